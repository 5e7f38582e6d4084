/* SPDX-License-Identifier: MIT */
/*
 * A memory manager: everything mapped beforehand, with 2 MiB leaves where
 * region and frames allow them.
 *
 * No page ever faults in and a TLB entry covers much, for the price of memory
 * that is taken whether it is used or not.  Where no whole group of frames is
 * free, or a region does not begin at one, 4 KiB pages are mapped instead.
 */
#include <exo/mem.h>
#include <string.h>

#define LARGE_BYTES (EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

const char manager_name[] = "pre-mapped, 2 MiB pages";

region_fault *const manager_fault = NULL;

/* Map frames at va, which belong to the region from then on, or give them back. */
static int64_t piece_map(struct region *region, uint64_t va, uint64_t frame, uint64_t frames,
                         uint64_t flags) {
    if (frame == 0) return EXO_EFULL;
    int64_t error = space_map(&space_self, va, frame_slot(frame), frame, 1, region->rights | flags);
    if (error < 0) {
        frame_free(frame, frames);
        return error;
    }
    memset((void *)va, 0, frames * EXO_FRAME_BYTES);
    region->usable += frames * EXO_FRAME_BYTES;
    return 0;
}

int64_t manager_extend(struct region *region, uint64_t bytes) {
    while (region->usable < bytes) {
        uint64_t va = region->first + region->usable;
        int64_t error = EXO_EFULL;
        if (va % LARGE_BYTES == 0 && LARGE_BYTES <= region->end - va)
            error =
                piece_map(region, va, frame_alloc_range(EXO_GROUP_FRAMES, EXO_GROUP_FRAMES, NULL),
                          EXO_GROUP_FRAMES, EXO_MAP_LARGE);
        if (error < 0) error = piece_map(region, va, frame_alloc(), 1, 0);
        if (error < 0) return error;
    }
    return 0;
}

void manager_end(struct region *region) {
    static uint64_t frames[EXO_GROUP_FRAMES];
    uint64_t end = region->first + region->usable;

    for (uint64_t va = region->first; va < end;) {
        bool large;
        uint64_t told = space_frames(va, (end - va) / EXO_FRAME_BYTES, frames, &large);
        if (large) {
            space_unmap(&space_self, va, 1 | EXO_COUNT_LARGE);
            frame_free(frames[0], EXO_GROUP_FRAMES);
        } else {
            space_unmap(&space_self, va, told);
            for (uint64_t i = 0; i < told; i++) frame_free(frames[i], 1);
        }
        va += told * EXO_FRAME_BYTES;
    }
    region->usable = 0;
}
