/* SPDX-License-Identifier: MIT */
/*
 * exo::mem at the program's start: its frames, page faults, its stack.
 */
#include <exo/mem.h>

#include "mem.h"

/* What the parent lent.  Without memory nothing can be allocated, and the program may still run. */
static void start_adopt(const struct sys_start *start) {
    uint64_t bitmap = start->frame_first + start->frame_used;
    uint64_t pages = frame_bitmap_frames(start->frame_count);
    uint64_t used = start->frame_used + pages;

    if (start->memory == EXO_NONE || used >= start->frame_count) return;
    if (frame_range_add(start->memory, start->frame_first, start->frame_count, bitmap) < 0) return;
    frame_free(start->frame_first + used, start->frame_count - used);
}

void sys_memory_begin(void) {
    sys_handler_set(SYS_CAUSE_FETCH_PAGE, region_exception);
    sys_handler_set(SYS_CAUSE_LOAD_PAGE, region_exception);
    sys_handler_set(SYS_CAUSE_STORE_PAGE, region_exception);
    if (sys_is_init()) {
        mem_machine_adopt();
        return; /* and its stack lies in its image */
    }
    start_adopt(sys_start);

    /* The first page of the stack is in use already. */
    struct region *stack = region_reserve_at(SYS_VA_STACK, SYS_VA_STACK_TOP - EXO_FRAME_BYTES,
                                             EXO_PAGE_R | EXO_PAGE_W, manager_fault, NULL);
    /* A program with less memory than this has the one page, and stops when it needs more. */
    mem_stack_grows = manager_extend(stack, stack->end - stack->first) == 0;
}
