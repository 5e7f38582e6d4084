/* SPDX-License-Identifier: MIT */
/*
 * Ticket locks.
 *
 * Order: TREE, then SPACE (two by address), then the console, never upwards.
 * They lie in kernel memory, never in a program's frame, and nothing resets
 * them: a hart may wait for a space's lock while that space is being reaped.
 */
#pragma once
#include <stdint.h>

#include "arch_lock.h"

struct lock {
    int32_t next;    /* the ticket that the next taker gets */
    int32_t serving; /* the ticket that holds the lock; trap.S has its offset */
};

/* A build with EXO_ASSERT stops when the order above is not kept (call.c). */
#ifdef EXO_ASSERT
void lock_taken(const struct lock *lock);
void lock_released(const struct lock *lock);
#else
#define lock_taken(lock) ((void)0)
#define lock_released(lock) ((void)0)
#endif

static inline void lock_take(struct lock *lock) {
    int64_t ticket = arch_take_ticket(&lock->next);
    while (*(volatile int32_t *)&lock->serving != ticket) {
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    lock_taken(lock);
}

static inline void lock_release(struct lock *lock) {
    lock_released(lock);
    arch_serve_next(&lock->serving);
}

/* Two locks of one kind, in the order of their addresses; they may be the same. */
static inline void lock_take_pair(struct lock *first, struct lock *second) {
    lock_take(first < second ? first : second);
    if (first != second) lock_take(first < second ? second : first);
}

static inline void lock_release_pair(struct lock *first, struct lock *second) {
    lock_release(first);
    if (first != second) lock_release(second);
}

/* TREE: every change of the capability tree's shape is made under it. */
extern struct lock tree_lock;

/* SPACE locks, by the number of the space's ROOT frame; two spaces may share one. */
#define SPACE_LOCKS 256
extern struct lock *space_locks;
