/* SPDX-License-Identifier: MIT */
/*
 * Memory as a program asks for it: anonymous, or the caller's own frames.
 */
#include <exo/mem.h>

#define LARGE_BYTES (EXO_GROUP_FRAMES * EXO_FRAME_BYTES)

static void *reserve(uint64_t bytes) {
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

void *mem_reserve(uint64_t bytes) {
    mem_lock();
    void *memory = reserve(bytes);
    mem_unlock();
    return memory;
}

void mem_release(void *memory) {
    mem_lock();
    struct region *region = region_find((uint64_t)memory);
    if (region) {
        manager_end(region);
        region_release(region);
    }
    mem_unlock();
}

static void unmap_frames(void *memory) {
    struct region *region = region_find((uint64_t)memory);

    if (!region) return;
    space_unmap(&space_self, region->first, (region->end - region->first) / EXO_FRAME_BYTES);
    region_release(region);
}

void mem_unmap_frames(void *memory) {
    mem_lock();
    unmap_frames(memory);
    mem_unlock();
}

static void *map_frames(uint64_t slot, uint64_t frame, uint64_t count, uint64_t rights) {
    struct region *region =
        region_reserve(count * EXO_FRAME_BYTES, EXO_FRAME_BYTES, rights, NULL, NULL);

    if (!region) return NULL;
    if (space_map(&space_self, region->first, slot, frame, count, rights) < 0) {
        unmap_frames((void *)region->first);
        return NULL;
    }
    return (void *)region->first;
}

void *mem_map_frames(uint64_t slot, uint64_t frame, uint64_t count, uint64_t rights) {
    mem_lock();
    void *memory = map_frames(slot, frame, count, rights);
    mem_unlock();
    return memory;
}

static int64_t slot_find_or_add(void) {
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

int64_t mem_slot(void) {
    mem_lock();
    int64_t slot = slot_find_or_add();
    mem_unlock();
    return slot;
}
