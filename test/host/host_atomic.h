/* SPDX-License-Identifier: MIT */
/*
 * Included before every file of the core when it is built for the host: each of
 * its atomics and fences is a point at which a test may let another hart go on.
 * Locks have theirs in arch_lock.h.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Set by a test: called before, or after, each of them, where other harts may go on first. */
extern void (*host_at_point)(void);
extern bool host_points_after;

static inline void host_point(bool after) {
    if (__builtin_expect(host_at_point != 0, 0) && host_points_after == after) host_at_point();
}

#define HOST_VALUE(atomic)                 \
    ({                                     \
        host_point(false);                 \
        __auto_type host_value = (atomic); \
        host_point(true);                  \
        host_value;                        \
    })
#define HOST_VOID(atomic) (host_point(false), (atomic), host_point(true))
#define __atomic_load_n(...) HOST_VALUE(__atomic_load_n(__VA_ARGS__))
#define __atomic_exchange_n(...) HOST_VALUE(__atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) HOST_VALUE(__atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) HOST_VALUE(__atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) HOST_VALUE(__atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_and(...) HOST_VALUE(__atomic_fetch_and(__VA_ARGS__))
#define __atomic_fetch_or(...) HOST_VALUE(__atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_xor(...) HOST_VALUE(__atomic_fetch_xor(__VA_ARGS__))
#define __atomic_store_n(...) HOST_VOID(__atomic_store_n(__VA_ARGS__))
#define __atomic_thread_fence(order) HOST_VOID(__atomic_thread_fence(order))
