/* SPDX-License-Identifier: MIT */
/*
 * What the files of the shell know of each other.
 *
 * The shell holds what init lends it and lends that on: memory, rows, disks, and
 * to each program a console that the shell itself serves.  So no program can do
 * more than the shell may, and init need not be asked to start one.
 */
#pragma once
#include <exo/console.h>
#include <exo/init.h>
#include <exo/task.h>

#define JOBS_MAX 4
#define JOB_NAME_BYTES 32
#define WORDS_MAX SYS_ARGUMENTS_MAX
#define STATUS_USAGE 2
#define STATUS_NOT_FOUND 127
#define STATUS_FAULT 128
#define STATUS_KILLED 137
#define STATUS_INTERRUPTED 130

/* ---- job.c: programs that the shell runs */

struct job {
    bool runs;
    bool front;
    char name[JOB_NAME_BYTES];
    struct task task;
    uint64_t row; /* own handle of the row that it runs by, or EXO_NONE */
    struct console *console;
    uint64_t console_frame;
    const volatile struct exo_env *env; /* its ENV frame, mapped here when somebody looked */
};

extern struct job jobs[JOBS_MAX]; /* by their number less one */

/* What was typed for the program in front, which has ended without reading it. */
extern struct typed_back {
    char bytes[CONSOLE_IN_BYTES];
    uint32_t count, at;
} typed_back;

/* Returns 0 or an enum exo_error. */
int64_t jobs_make(void);

/* Start a program, in front or not; its status if that fails, and 0 else. */
int job_start(char **words, uint64_t count, bool front);

/* The one in front, or NULL. */
struct job *job_front(void);

/* Pass on what a job has written; whether there was anything. */
bool job_pump(struct job *job);

/* End a job as if it had ended with this status. */
void job_kill(struct job *job, int status);

/*
 * See who has ended, and say how.  `front_status` gets the status of the one that was
 * in front.
 */
void jobs_look(int *front_status);

/* ---- command.c */

/* What the last command ended with. */
extern int last_status;

/* Instructions from the kernel's first one to the first prompt. */
extern uint64_t prompt_instructions;

/* Run a line; a program in front goes on running after it. */
void command_run(char *text);

/* ---- words.c */

/* Split a line into words, in place.  How many, or a negative number when a quote is not closed. */
int words_split(char *text, char **words, int max);

/* ---- survey.c: who is there, by what the kernel and init show */

#define WHO_MAX 96
#define WHO_NONE (~0ul)

struct who {
    uint64_t frame; /* its ENV frame, by which it is known */
    uint64_t word;  /* its state word */
    char name[JOB_NAME_BYTES];
    uint64_t owner; /* ENV frame of the one in whose memory it lies, or WHO_NONE */
    const volatile struct exo_env *env; /* its ENV frame; NULL: this program may not read it */
    uint64_t kernel_frames;             /* that the kernel has in its place: ENV, CTX, TABLE ... */
    uint64_t frames; /* of RAM that it holds by its own capabilities; WHO_NONE: unknown */
    uint64_t slots;  /* in use in its ENV frame; WHO_NONE: unknown */
    bool more_slots; /* it has CAPS frames too */
    uint64_t rows;
    uint64_t starts;              /* of a program of init, how often */
    uint64_t time[EXO_HARTS_MAX]; /* ticks since the survey before */
};

struct survey {
    uint64_t count;
    uint64_t ticks; /* since the survey before */
    struct who who[WHO_MAX];
};

/* Look at all environments.  False when what the kernel shows cannot be mapped. */
bool survey_take(struct survey *survey);

/* The programs of init, or NULL; a number of it by name, or WHO_NONE. */
const volatile struct init_table *init_table(void);
uint64_t init_program_find(const char *name);

/* A state for people. */
const char *state_name(uint64_t word);

/* A number of frames for people, in *text. */
const char *frames_text(uint64_t frames, char text[24]);

/* ---- top.c */

int top_run(void);
