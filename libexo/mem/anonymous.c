/* SPDX-License-Identifier: MIT */
/*
 * Memory as a program asks for it: anonymous, or the caller's own frames.
 */
#include <exo/mem.h>

#define LARGE_BYTES (EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

void *mem_reserve(uint64_t bytes) {
    uint64_t align = bytes >= LARGE_BYTES ? LARGE_BYTES : EXO_FRAME_BYTES;
    struct region *region =
        region_reserve(bytes, align, EXO_PAGE_R | EXO_PAGE_W, manager_fault, NULL);

    if (!region) return NULL;
    if (manager_extend(region, region->end - region->first) < 0) {
        manager_end(region);
        region_release(region);
        return NULL;
    }
    return (void *)region->first;
}

void mem_release(void *memory) {
    struct region *region = region_find((uint64_t)memory);

    if (!region) return;
    manager_end(region);
    region_release(region);
}

void *mem_map_frames(uint64_t slot, uint64_t frame, uint64_t count, uint64_t rights) {
    struct region *region =
        region_reserve(count * EXO_FRAME_BYTES, EXO_FRAME_BYTES, rights, NULL, NULL);

    if (!region) return NULL;
    if (space_map(&space_self, region->first, slot, frame, count, rights) < 0) {
        mem_unmap_frames((void *)region->first);
        return NULL;
    }
    return (void *)region->first;
}

void mem_unmap_frames(void *memory) {
    struct region *region = region_find((uint64_t)memory);

    if (!region) return;
    space_unmap(&space_self, region->first, (region->end - region->first) / EXO_FRAME_BYTES);
    region_release(region);
}

int64_t mem_slot(void) {
    int64_t slot = sys_slot_find();

    if (slot != EXO_EFULL) return slot;
    uint64_t frame = frame_alloc();
    if (frame == 0) return EXO_EFULL;
    int64_t error = sys_slots_add(frame_slot(frame), frame);
    if (error < 0) {
        frame_free(frame, 1);
        return error;
    }
    return sys_slot_find();
}
