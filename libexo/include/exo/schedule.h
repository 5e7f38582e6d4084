/* SPDX-License-Identifier: MIT */
/*
 * Schedulers: a thread shares its slices among children (exo::task).
 *
 * A child is an environment without a row: a task, or a thread without one.
 * schedule_run gives it the rest of this thread's slice by a directed yield,
 * and has control back when the child waits, ends or yields, and at the latest
 * when the slice is over and this thread's next one begins.  If the program
 * holds a free URGENT row on this hart, control comes back in the middle of a
 * slice too: a thread sleeps on that row until the time that the scheduler
 * chose, and when it wakes, the rest of the slice is this thread's again.
 *
 * A child that is a thread of this program must not share locks with the
 * thread that schedules it: that one would sleep, and nobody would let it run.
 *
 * Which child runs is the scheduler's decision and nothing else is.  Two are
 * here; a third is a function or two like theirs.
 */
#pragma once
#include <exo/sys.h>

/*
 * A child.  One with a period has a job each period, which it begins when
 * schedule_next_job() returns and ends when it calls that again.  One without
 * has always something to do, unless it waits for something.
 */
struct schedule_child {
    /* The program fills in these, and zeroes the others. */
    uint64_t env; /* handle with CALL and NOTIFY */
    uint64_t env_frame;
    uint64_t period;   /* ticks, or 0 */
    uint64_t budget;   /* ticks that a job may take; 0: any */
    uint64_t deadline; /* ticks from a job's release to when it must be done; 0: the period */

    /* What schedule_run knows. */
    bool ended;       /* it has ended or faulted */
    bool ready;       /* it can run now */
    bool busy;        /* its job is not done */
    bool late;        /* ... and was counted as missed */
    uint64_t retry;   /* it could not be given the hart; not before this again */
    uint64_t release; /* when its next job begins */
    uint64_t due;     /* when its job must be done, EXO_NEVER without one */
    uint64_t left;    /* of its job's budget */
    uint64_t time;    /* ticks that it had */
    uint64_t jobs;    /* released */
    uint64_t done;
    uint64_t missed;

    uint64_t policy; /* the scheduler's own */

    const volatile struct exo_frame *words; /* schedule_run's own: of its ENV frame */
};

struct schedule {
    const struct scheduler *scheduler;
    struct schedule_child *children;
    uint64_t count;
    uint64_t quantum;  /* for schedulers that have one: ticks; 0: a slice */
    uint64_t switches; /* how often a child was given the hart */
    uint64_t policy;   /* the scheduler's own */
};

struct scheduler {
    const char *name;

    /*
     * Choose a child that is `ready`, or NULL to let none run, at the time
     * `now`.  *until says when it is asked again at the latest; it may make that
     * sooner.  It is always asked when a child stopped running or a job began.
     */
    struct schedule_child *(*pick)(struct schedule *schedule, uint64_t now, uint64_t *until);

    /* A child had the hart for so many ticks.  May be NULL. */
    void (*ran)(struct schedule *schedule, struct schedule_child *child, uint64_t ticks);
};

/* By turns, each for a quantum. */
extern const struct scheduler schedule_round_robin;

/*
 * Earliest deadline first.  A job that has used its budget runs no more before
 * the child's next one; children without a period run when nothing else does.
 */
extern const struct scheduler schedule_earliest_deadline;

/*
 * Run children until the time `end`, or until all have ended.  The first jobs
 * are released at once.  Returns 0, or EXO_EFULL when there is no memory.
 */
int64_t schedule_run(struct schedule *schedule, uint64_t end);

/* The child's side: the job is done; sleep until the next one begins. */
void schedule_next_job(void);
