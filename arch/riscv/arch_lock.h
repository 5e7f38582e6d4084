/* SPDX-License-Identifier: MIT */
/*
 * The two atomics of a ticket lock, as single instructions (A extension,
 * amoadd.w).  The 1 that they add stays in t5 from the taking to the release: C
 * does not use t5, and a 1 in it tells a program nothing.
 */
#pragma once
#include <stdint.h>

/* Add 1 and return what was there. */
static inline int64_t arch_take_ticket(int32_t *next) {
    int64_t ticket; /* amoadd.w extends the sign, and as int32_t it would be extended again */
    asm volatile("li t5, 1\n\tamoadd.w %0, t5, (%1)" : "=&r"(ticket) : "r"(next) : "memory");
    return ticket;
}

/* Add 1 after everything before it in program order. */
static inline void arch_serve_next(int32_t *serving) {
    asm volatile("amoadd.w.rl zero, t5, (%0)" : : "r"(serving) : "memory");
}
