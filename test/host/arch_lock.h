/* SPDX-License-Identifier: MIT */
/* The two atomics of a ticket lock on the host. */
#pragma once
#include <stdint.h>

static inline int32_t arch_take_ticket(int32_t *next) {
    return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
}

static inline void arch_serve_next(int32_t *serving) {
    __atomic_fetch_add(serving, 1, __ATOMIC_RELEASE);
}
