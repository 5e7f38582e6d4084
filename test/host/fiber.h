/* SPDX-License-Identifier: MIT */
/*
 * Where the kernels of the modelled harts run: one fiber a hart, so that a
 * kernel can pause in the middle of a call while another hart's goes on.
 * fiber.c has them as stacks of one thread, of which one runs at any moment;
 * thread.c as threads, which may also run all at once.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host.h"

enum fiber_reason {
    FIBER_SPLIT,   /* between two steps of ENTER; pauses only if a test asked for it */
    FIBER_POINT,   /* before an atomic or a fence; perhaps with locks held */
    FIBER_BLOCKED, /* for a lock that a paused hart holds */
    FIBER_SLEEP,   /* until the test wakes the hart */
};

/*
 * Run `body` on a fresh fiber of this hart until it returns, pauses, sleeps or
 * ends.  Returns the hart's state, which is HOST_PROGRAM after a return.
 */
enum host_state fiber_run(uint64_t hart, void (*body)(uint64_t hart));

/* Go on with a fiber that paused or sleeps. */
enum host_state fiber_continue(uint64_t hart);

/* Of the fiber that runs: give the processor back to the test. */
void fiber_pause(enum fiber_reason reason);

/* Of the fiber that runs: the hart is in its program now, and the fiber ends. */
_Noreturn void fiber_leave(void);

/* Of the fiber that runs: the machine is off, and the fiber ends. */
_Noreturn void fiber_end(void);

/* Print where the running program is, if it was built with the address sanitizer. */
void fiber_backtrace(void);
