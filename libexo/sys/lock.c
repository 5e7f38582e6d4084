/* SPDX-License-Identifier: MIT */
/*
 * Locks between threads.
 *
 * The word of a taken lock names its last waiter, and each waiter the one
 * before it.  Anybody may push a waiter, only the owner takes one away, so the
 * owner can follow the chain: waiters sleep until they are granted.  The lock
 * passes from the owner to the first waiter without being free in between, so
 * none is overtaken and no wake-up can be lost.
 */
#include <exo/sys.h>

#define TAKEN 1ul

static struct sys_waiter *last_waiter(uint64_t word) { return (struct sys_waiter *)(word - TAKEN); }

static bool word_change(struct sys_lock *lock, uint64_t *word, uint64_t to) {
    return __atomic_compare_exchange_n(&lock->word, word, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static __attribute__((noinline)) void lock_queue(struct sys_lock *lock, uint64_t word) {
    struct sys_waiter waiter;

    sys_waiter_begin(&waiter);
    for (;;) {
        if (word == 0) {
            if (word_change(lock, &word, TAKEN)) return;
            continue;
        }
        waiter.next = last_waiter(word);
        if (word_change(lock, &word, (uint64_t)&waiter + TAKEN)) break;
    }
    sys_waiter_wait(&waiter, EXO_NEVER);
}

void sys_lock_take(struct sys_lock *lock) {
    uint64_t word = 0;

    if (!word_change(lock, &word, TAKEN)) lock_queue(lock, word);
}

void sys_lock_give(struct sys_lock *lock) {
    uint64_t word = TAKEN;

    for (;;) {
        struct sys_waiter *first = last_waiter(word), *after = NULL;
        if (!first) {
            if (word_change(lock, &word, 0)) return;
            continue;
        }
        for (; first->next; first = first->next) after = first;
        if (after) {
            after->next = NULL;
            sys_waiter_grant(first);
            return;
        }
        if (word_change(lock, &word, TAKEN)) {
            sys_waiter_grant(first);
            return;
        }
    }
}

void sys_nested_take(struct sys_nested_lock *lock) {
    /* Only this thread writes its own name there, so it sees that whenever it is so. */
    if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED) != &sys_thread) {
        sys_lock_take(&lock->lock);
        __atomic_store_n(&lock->owner, &sys_thread, __ATOMIC_RELAXED);
    }
    lock->depth++;
}

void sys_nested_give(struct sys_nested_lock *lock) {
    if (--lock->depth) return;
    __atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
    sys_lock_give(&lock->lock);
}
