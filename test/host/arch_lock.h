/* SPDX-License-Identifier: MIT */
/*
 * The two atomics of a ticket lock on the host.  Here the taker waits for its
 * turn in arch_take_ticket already, where it can let other harts go on.
 */
#pragma once
#include <stdint.h>

#include "host_atomic.h"

/* Wait until this ticket is served. */
void host_lock_wait(const int32_t *serving, int32_t ticket);

static inline int32_t arch_take_ticket(int32_t *next) {
    int32_t ticket = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    host_lock_wait(next + 1, ticket); /* struct lock: `serving` is next to `next` */
    return ticket;
}

static inline void arch_serve_next(int32_t *serving) {
    __atomic_fetch_add(serving, 1, __ATOMIC_RELEASE);
}
