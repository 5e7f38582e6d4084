/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing a queue: its capability, its frames, its windows.
 *
 * Nothing is recorded of what the program holds: its capability table says it.
 */
#include <string.h>

#include "blk.h"

#define DMA_RIGHTS (EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_DMA)

/* The next slot of the program from *place on that holds a class with these rights; EXO_NONE at the end. */
static uint64_t slot_next(uint64_t *place, uint64_t class, uint64_t rights,
                          const struct exo_cap **found) {
    while (*place < (EXO_CAPS_FRAMES + 1) * EXO_CAPS_SLOTS) {
        uint64_t table = *place / EXO_CAPS_SLOTS, index = *place % EXO_CAPS_SLOTS;
        const struct exo_cap *cap = sys_slot(table, index);
        ++*place;
        uint64_t word = cap ? *(const volatile uint64_t *)&cap->word : 0;
        if (EXO_CAP_STATE(word) != EXO_SLOT_LIVE || EXO_CAP_CLASS(word) != class ||
            (rights & ~EXO_CAP_RIGHTS(word)))
            continue;
        *found = cap;
        return EXO_HANDLE(table, index) | word >> EXO_HANDLE_GEN_SHIFT << EXO_HANDLE_GEN_SHIFT;
    }
    return EXO_NONE;
}

static bool has_entries(const struct exo_cap *cap) {
    return EXO_BLOCK_ENTRY(cap->extra) < EXO_BLOCK_ENTRY_END(cap->extra);
}

uint64_t blk_slot(uint64_t number) {
    uint64_t place = 0, slot;
    const struct exo_cap *cap;

    while ((slot = slot_next(&place, EXO_CLASS_BLOCK, 0, &cap)))
        if (has_entries(cap) && number-- == 0) return slot;
    return EXO_NONE;
}

/* Name all memory that requests may use; how many windows that are. */
static uint64_t windows_fill(uint64_t *windows) {
    uint64_t place = 0, count = 0;
    const struct exo_cap *cap;

    while (count < EXO_WINDOWS_MAX &&
           (windows[count] = slot_next(&place, EXO_CLASS_PAGE, DMA_RIGHTS, &cap)))
        count++;
    return count;
}

static void facts_fill(struct blk *blk, uint64_t slot) {
    const struct exo_cap *cap = sys_slot_named(slot);

    blk->first = cap->first;
    blk->count = cap->count;
    blk->name = EXO_BLOCK_NAME(slot);
    blk->disk = mem_map_frames(EXO_NONE, sys_info()->disk_table + EXO_BLOCK_DISK(cap->extra), 1,
                               EXO_PAGE_R);
}

/* Map a part of the queue's frames; the addresses go into *blk. */
static void frames_map(struct blk *blk, uint64_t slot) {
    uint64_t write = EXO_PAGE_R | EXO_PAGE_W;

    blk->ring = mem_map_frames(slot, blk->frame + BLK_RING, 1, write);
    blk->state = mem_map_frames(slot, blk->frame + BLK_QUEUE, 1, EXO_PAGE_R);
    blk->areas = mem_map_frames(slot, blk->frame + BLK_AREAS, BLK_AREA_FRAMES, write);
    blk->areas_address = (blk->frame + BLK_AREAS) << EXO_FRAME_SHIFT;
}

static void unmap(const volatile void *memory) {
    if (memory) mem_unmap_frames((void *)(uintptr_t)memory);
}

static int64_t open_frames(struct blk *blk, uint64_t slot) {
    uint64_t page_slot = frame_slot(blk->frame), windows = windows_fill(sys_ctx()->vector);

    if (!windows) return BLK_EMEMORY;
    return exo_queue_open(slot, page_slot, blk->frame + BLK_RING, blk->frame + BLK_QUEUE,
                          1ul << blk->event, windows)
        .value;
}

int64_t blk_open(struct blk *blk, uint64_t slot, uint64_t event) {
    memset(blk, 0, sizeof(*blk));
    blk->event = event;
    blk->frame = frame_alloc_range(BLK_FRAMES, 1, NULL);
    if (!blk->frame) return BLK_EMEMORY;
    int64_t error = open_frames(blk, slot);
    if (error < 0) {
        frame_free(blk->frame, BLK_FRAMES);
        return error;
    }
    facts_fill(blk, slot);
    frames_map(blk, frame_slot(blk->frame));
    if (!blk->disk || !blk->ring || !blk->state || !blk->areas) {
        blk_close(blk);
        return BLK_EMEMORY;
    }
    blk_begin(blk);
    return 0;
}

int64_t blk_close(struct blk *blk) {
    int64_t error;

    if (blk->under_way) return EXO_EBUSY;
    do error = exo_queue_close(blk->frame + BLK_QUEUE).value;
    while (error == EXO_EAGAIN && blk->disk && blk->disk->state != EXO_DISK_GONE);
    unmap(blk->disk);
    unmap(blk->ring);
    unmap(blk->state);
    unmap(blk->areas);
    /* A device that does not answer may write to what it was given for ever. */
    if (error == EXO_EAGAIN) return EXO_EDEVICE;
    frame_free(blk->frame, BLK_FRAMES);
    return 0;
}
