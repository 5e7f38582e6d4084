/* SPDX-License-Identifier: MIT */
/*
 * picolibc's heap: malloc asks sbrk for more, the memory manager finds frames.
 */
#include <errno.h>
#include <exo/mem.h>
#include <unistd.h>

static struct region *heap;
static uint64_t heap_bytes; /* in use, of the region */

static void *heap_move(ptrdiff_t increment) {
    if (!heap)
        heap = region_reserve_at(MEM_VA_HEAP, MEM_VA_HEAP_END, EXO_PAGE_R | EXO_PAGE_W,
                                 manager_fault, NULL);

    uint64_t bytes = heap_bytes + (uint64_t)increment;
    bool inside = increment < 0 ? bytes < heap_bytes
                                : bytes >= heap_bytes && bytes <= heap->end - heap->first;
    if (!inside || manager_extend(heap, bytes) < 0) return NULL;
    void *old = (void *)(heap->first + heap_bytes);
    heap_bytes = bytes;
    return old;
}

void *sbrk(ptrdiff_t increment) {
    mem_lock();
    void *old = heap_move(increment);
    mem_unlock();
    if (old) return old;
    errno = ENOMEM;
    return (void *)-1;
}
