/* SPDX-License-Identifier: MIT */
/*
 * exo::task: programs of the boot archive as environments of their own.
 *
 * A task is built from a run of the caller's frames: three become its ENV, CTX
 * and ROOT, a few its page tables, some hold its image, and all of them are
 * lent to it, so that it can do with its memory what the caller did with its
 * own.  Nothing runs before task_start.  A task with a row of a hart runs there
 * by itself; one without runs when somebody yields to it, and until it waits,
 * ends or faults, or the slice it was given is over.
 */
#pragma once
#include <exo/row.h>

/* A range that the caller holds and lends on. */
struct task_lend {
    uint64_t slot; /* own handle that covers it */
    uint64_t first;
    uint64_t count;
    uint64_t rights; /* by class */
    uint64_t extra;  /* of class ENV: the event bits that the child may set; of BLOCK: entries */
};

struct task_options {
    const char *const *arguments; /* the first is by custom the program's name */
    uint64_t argument_count;      /* at most SYS_ARGUMENTS_MAX, and less than 4 KB in all */
    uint64_t frames;              /* memory to lend; 0: as much as TASK_FRAMES_DEFAULT */
    const struct task_lend *lend; /* beside memory, archive and console */
    uint64_t lend_count;          /* at most SYS_LENT_MAX */
    uint64_t rings;               /* frame of a console of its own (console_begin), which this
                                     program serves or init's service knows; 0: it shares the
                                     caller's; TASK_NO_RINGS: it has none */
    bool silent;                  /* it may not write by debug_write either */
};

#define TASK_NO_RINGS 1

#define TASK_FRAMES_DEFAULT 1024 /* 4 MiB */
#define TASK_NO_ROW (~0ul)

#define TASK_NAME_BYTES 48 /* of a file of the archive, with its zero byte */

struct task {
    uint64_t env;       /* handle: its first ENV capability */
    uint64_t env_frame; /* its first frame, and the name of the environment */
    uint64_t frame_count;
    uint64_t row;        /* row that it is bound to, or TASK_NO_ROW */
    struct exo_ctx *ctx; /* its CTX frame, mapped here */
    char file[TASK_NAME_BYTES];
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

/*
 * The same, and take a free row for it: on this hart or ROW_ANY_HART, held with
 * these EXO_SLICE rights.  EXO_EFULL, and it is not started, when there is none.
 */
int64_t task_start_taking(struct task *task, uint64_t hart, uint64_t rights);

/* The range to lend so that a child can notify this program's first thread of these event bits. */
struct task_lend task_lend_self(uint64_t events);

/* ... or notify another task of its caller. */
struct task_lend task_lend_task(const struct task *task, uint64_t rights, uint64_t events);

enum task_state {
    TASK_STOPPED, /* never started, or stopped by somebody */
    TASK_READY,
    TASK_RUNNING, /* or waiting for something */
    TASK_FAULTED, /* stopped by an exception that it does not handle */
    TASK_EXITED,  /* or killed */
    TASK_GONE,    /* reaped by somebody else; its status is lost */
};

enum task_state task_state(const struct task *task);

/* Whether it will not run again by itself. */
bool task_has_ended(const struct task *task);

/*
 * Return when all of these have ended.  Those without a row run by turns in
 * this thread's slices; while there is none of them this thread sleeps.
 */
void task_run(struct task *tasks, uint64_t count);

/*
 * Sleep until a task may have ended, or the deadline.  The kernel tells the
 * first thread, of all tasks of the program together; another one looks now and
 * then.  So look at all again after it.
 */
void task_wait(uint64_t deadline);

/* Exit status, 0 to 255, of a task that has exited. */
int task_status(const struct task *task);

/*
 * Copy bytes of a task's memory, where they lie in frames that were lent to it
 * at its start; how many, from the first on, that were.
 */
uint64_t task_read(const struct task *task, uint64_t va, void *to, uint64_t bytes);

#define TASK_CALLS_MAX 32

/*
 * The places in its code where a STOPPED task is: pc, then the return addresses
 * of the functions that have not returned, along their frame pointers.  Nothing
 * there is believed.  Returns how many, at most TASK_CALLS_MAX.
 */
uint64_t task_calls(const struct task *task, uint64_t *places);

/*
 * Print about a task that has faulted: a line with cause and place, a few with
 * its registers, and one of the form `backtrace: FILE PLACE...`, which
 * scripts/run explains.
 */
void task_show_fault(const struct task *task, const char *name);

/*
 * End a task in whatever state, with all that it started, and take its memory
 * back.  Returns 0 or an enum exo_error.
 */
int64_t task_end(struct task *task);
