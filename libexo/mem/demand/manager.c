/* SPDX-License-Identifier: MIT */
/*
 * A memory manager: 4 KiB pages, zeroed when they are first touched.
 *
 * Memory costs frames only where it is used, and a page fault for each page.
 * What is made usable is promised first, with the TABLEs that it may need, so
 * a fault always finds its frame.  `context` counts what is left of a region's
 * promise.
 */
#include <exo/mem.h>

#define LARGE_BYTES (EXO_GROUP_FRAMES * EXO_FRAME_BYTES)
#define ROOT_ENTRY_BYTES ((uint64_t)LARGE_BYTES << EXO_GROUP_SHIFT)
#define PAGE_MASK ((uint64_t)EXO_FRAME_BYTES - 1)

const char manager_name[] = "demand-zero, 4 KiB pages";

static uint64_t promised_frame(struct region *region) {
    region->context = (void *)((uint64_t)region->context - 1);
    return frame_alloc_promised();
}

static uint64_t table_take(struct space *space, uint64_t *slot) {
    uint64_t frame = promised_frame(space->context);
    *slot = frame_slot(frame);
    return frame;
}

/* How many pieces of this size have a byte in [from, to). */
static uint64_t pieces(uint64_t from, uint64_t to, uint64_t bytes) {
    return from < to ? (to - 1) / bytes - from / bytes + 1 : 0;
}

int64_t manager_extend(struct region *region, uint64_t bytes) {
    uint64_t from = region->first + region->usable;
    uint64_t to = (region->first + bytes + PAGE_MASK) & ~PAGE_MASK;

    if (to <= from) return 0;
    uint64_t frames = pieces(from, to, EXO_FRAME_BYTES) + pieces(from, to, LARGE_BYTES) +
                      pieces(from, to, ROOT_ENTRY_BYTES);
    if (!frame_promise(frames)) return EXO_EFULL;
    region->context = (void *)((uint64_t)region->context + frames);
    region->usable = to - region->first;
    return 0;
}

static bool demand_fault(struct region *region, uint64_t va, uint64_t cause) {
    struct space space = {.env = EXO_SELF, .frame_take = table_take, .context = region};

    (void)cause;
    if (va - region->first >= region->usable) return false;
    va &= ~PAGE_MASK;
    uint64_t frame = promised_frame(region);
    int64_t error = space_map_clear(&space, va, frame, region->rights);
    if (error < 0) {
        frame_free(frame, 1);
        frame_promise(1);
        region->context = (void *)((uint64_t)region->context + 1);
        return error == EXO_EPRESENT && region_retry(va);
    }
    return true;
}

region_fault *const manager_fault = demand_fault;

void manager_end(struct region *region) {
    static uint64_t frames[EXO_GROUP_FRAMES];
    uint64_t end = region->first + region->usable;

    for (uint64_t va = region->first; va < end;) {
        bool large;
        uint64_t told = space_frames(va, (end - va) / EXO_FRAME_BYTES, frames, &large);
        space_unmap(&space_self, va, told);
        for (uint64_t i = 0; i < told; i++)
            if (frames[i]) frame_free(frames[i], 1);
        va += told * EXO_FRAME_BYTES;
    }
    frame_promise_end((uint64_t)region->context);
    region->context = NULL;
    region->usable = 0;
}
