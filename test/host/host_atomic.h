/* SPDX-License-Identifier: MIT */
/*
 * Included before every file of the core when it is built for the host: each of
 * its atomics and fences is a point at which a test may let another hart go on,
 * and in a build for the thread sanitizer the fences are
 * something that it understands.  Locks have theirs in arch_lock.h.
 */
#pragma once
#include <stdint.h>

/* Set by a test: called at every point, where other harts may go on first. */
extern void (*host_at_point)(void);

static inline void host_point(void) {
    if (__builtin_expect(host_at_point != 0, 0)) host_at_point();
}

#ifdef HOST_THREADS
/* The thread sanitizer knows no fences: a word that all of them change orders them all. */
extern uint64_t host_fences;
#define host_fence(order) ((void)__atomic_fetch_add(&host_fences, 1, __ATOMIC_SEQ_CST))
#else
#define host_fence(order) __atomic_thread_fence(order)
#endif

#define __atomic_load_n(...) (host_point(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (host_point(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (host_point(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (host_point(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) (host_point(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) (host_point(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_and(...) (host_point(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_fetch_or(...) (host_point(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_xor(...) (host_point(), __atomic_fetch_xor(__VA_ARGS__))
#define __atomic_thread_fence(order) (host_point(), host_fence(order))
