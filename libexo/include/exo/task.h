/* SPDX-License-Identifier: MIT */
/*
 * exo::task: programs of the boot archive as environments of their own.
 *
 * A task is built from a run of the caller's frames: three become its ENV, CTX
 * and ROOT, a few its page tables, some hold its image, and all of them are
 * lent to it, so that it can do with its memory what the caller did with its
 * own.  Nothing runs before task_start.  There is no preemption: a program
 * without a row of a hart runs when somebody yields to it, and until it
 * yields, ends or faults.
 */
#pragma once
#include <exo/mem.h>

/* A range that the caller holds and lends on. */
struct task_lend {
    uint64_t slot; /* own handle that covers it */
    uint64_t first;
    uint64_t count;
    uint64_t rights; /* by class */
};

struct task_options {
    const char *const *arguments; /* the first is by custom the program's name */
    uint64_t argument_count;      /* at most SYS_ARGUMENTS_MAX, and less than 4 KB in all */
    uint64_t frames;              /* memory to lend; 0: as much as TASK_FRAMES_DEFAULT */
    const struct task_lend *lend; /* beside memory, archive and console */
    uint64_t lend_count;          /* at most SYS_LENT_MAX */
};

#define TASK_FRAMES_DEFAULT 1024 /* 4 MiB */
#define TASK_NO_ROW (~0ul)

struct task {
    uint64_t env;       /* handle: its first ENV capability */
    uint64_t env_frame; /* its first frame, and the name of the environment */
    uint64_t frame_count;
    uint64_t row;        /* row that it is bound to, or TASK_NO_ROW */
    struct exo_ctx *ctx; /* its CTX frame, mapped here */
};

/* Errors beside enum exo_error; TASK_EELF - n stands for the enum elf_error -n. */
#define TASK_EFILE (-100)     /* the archive has no such file */
#define TASK_EMEMORY (-101)   /* no run of free frames is long enough */
#define TASK_EARGUMENT (-102) /* too many arguments or too long ones, or too many ranges lent */
#define TASK_EELF (-200)

/* What an error of this header's functions says, for people. */
const char *task_error_text(int64_t error);

/*
 * Build a task from the file `name`, STOPPED at its entry, with the start
 * block of sys.h.  Archive and console are lent on when the caller has them.
 * Frames that held anything before are cleared first.  Returns 0 or an error,
 * and then nothing is left of it.
 */
int64_t task_spawn(struct task *task, const char *name, const struct task_options *options);

/* Make it READY, to run when somebody yields to task->env. */
int64_t task_start(struct task *task);

/* The same, and bind it to a row (hart index * EXO_ROWS + row) of a SLICE capability. */
int64_t task_start_on(struct task *task, uint64_t slice, uint64_t row);

enum task_state {
    TASK_STOPPED, /* never started, or stopped by somebody */
    TASK_READY,
    TASK_RUNNING,
    TASK_FAULTED, /* stopped by an exception that it does not handle */
    TASK_EXITED,  /* or killed */
    TASK_GONE,    /* reaped by somebody else; its status is lost */
};

enum task_state task_state(const struct task *task);

/* Whether it will not run again by itself. */
bool task_has_ended(const struct task *task);

/* Run tasks that were started until all have ended: those without a row by turns on this hart. */
void task_run(struct task *tasks, uint64_t count);

/* Exit status, 0 to 255, of a task that has exited. */
int task_status(const struct task *task);

/* Print one line about a task that has faulted: cause, place, registers. */
void task_show_fault(const struct task *task, const char *name);

/*
 * End a task in whatever state, with all that it started, and take its memory
 * back.  Returns 0 or an enum exo_error.
 */
int64_t task_end(struct task *task);
