/* SPDX-License-Identifier: MIT */
/*
 * The one lock of exo::mem.
 *
 * Page faults take it too, so nothing may fault while it is held.  All that is
 * used under it lies in the image or is mapped from the start, but the stack
 * may be one that grows by page faults: what is needed of it is touched before.
 */
#include "mem.h"

#define STACK_NEEDED 4096

bool mem_stack_grows;
bool mem_has_threads;
static struct sys_nested_lock lock;

void mem_threads_begin(void) { mem_has_threads = true; }

void mem_lock(void) {
    /* The exception stack is whole, and smaller. */
    if (mem_stack_grows && !sys_ctx()->exception_mask)
        (void)*(volatile char *)((char *)__builtin_frame_address(0) - STACK_NEEDED);
    sys_nested_take(&lock);
}

void mem_unlock(void) { sys_nested_give(&lock); }
