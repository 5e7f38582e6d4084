/* SPDX-License-Identifier: MIT */
/*
 * Events and timers (exo::task).
 *
 * Each thread has 64 event bits in its environment.  Others set them
 * (exo_notify), it waits for them.  Setting a bit twice before it was taken is
 * setting it once, so an event says that there is something to look at and not
 * how often.  All of this is each thread's own.
 *
 * A thread that has no row is not woken at a deadline.
 */
#pragma once
#include <exo/sys.h>

/* ---- Events (event.c) */

/* An event bit of this thread that nobody uses, or EXO_EFULL.  Only those below SYS_EVENTS_FREE are given out. */
int64_t event_alloc(void);
void event_free(uint64_t bit);

/*
 * Sleep until there is an event of the mask or the deadline has come; the
 * events, which are taken by that, or 0.  A deadline that has passed only looks.
 */
uint64_t event_wait(uint64_t mask, uint64_t deadline);

/* What an event calls, in the thread that dispatches it. */
typedef void event_handler(void *context);

/* From now on event_dispatch calls this at an event of the bit; NULL: nothing. */
void event_handle(uint64_t bit, event_handler *handler, void *context);

/*
 * Sleep until an event with a handler comes, a timer is due, or the deadline,
 * and call what is to be called.  Returns how many calls that were.
 */
uint64_t event_dispatch(uint64_t deadline);

/* ---- Timers (timer.c): any number of them over the one deadline of a wait */

struct timer;

/* What a timer calls when it is due.  It is no longer set then, and may be set again. */
typedef void timer_handler(struct timer *timer);

/* A zeroed one is not set. */
struct timer {
    timer_handler *fire;
    void *context; /* the program's own */
    uint64_t due;
    /* A heap of all timers that are set: first child, next sibling, and what points here. */
    struct timer *child;
    struct timer *next;
    struct timer **link;
    bool set;
};

/* Have it fire at this time, in ticks of the time counter; if it is set already, then instead. */
void timer_set(struct timer *timer, uint64_t due);

/* It does not fire any more.  Nothing happens if it is not set. */
void timer_cancel(struct timer *timer);

/* When the first timer of this thread is due, or EXO_NEVER. */
uint64_t timer_next(void);

/* Fire those that are due; how many that were.  event_dispatch does it. */
uint64_t timer_run(void);
