/* SPDX-License-Identifier: MIT */
/* The two atomics of a ticket lock, as single instructions (A extension, amoadd.w). */
#pragma once
#include <stdint.h>

/* Add 1 and return what was there. */
static inline int64_t arch_take_ticket(int32_t *next) {
    int64_t ticket; /* amoadd.w extends the sign, and as int32_t it would be extended again */
    asm volatile("amoadd.w %0, %2, (%1)" : "=r"(ticket) : "r"(next), "r"(1) : "memory");
    return ticket;
}

/* Add 1 after everything before it in program order. */
static inline void arch_serve_next(int32_t *serving) {
    asm volatile("amoadd.w.rl zero, %1, (%0)" : : "r"(serving), "r"(1) : "memory");
}
