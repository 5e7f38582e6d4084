/* SPDX-License-Identifier: MIT */
/*
 * Harts as threads (thread.c), which may run all at once: what that needs
 * beyond fiber.h.
 */
#pragma once
#include "fiber.h"

/*
 * From now on all harts run at once: each does `life` again and again, after
 * what it was doing.  `life` is one step of a program: between two a hart looks
 * whether it is to halt, and one that slept in its step goes on with the rest of
 * it when it wakes, even if the others have halted for good.
 */
void threads_free(void (*life)(uint64_t hart));

/* All harts come to a stop, each in its program or asleep; returns when all have. */
void threads_halt(void);
