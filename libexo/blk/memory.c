/* SPDX-License-Identifier: MIT */
/* Memory for requests, by physical address. */
#include "blk.h"

#define PAGES 64 /* looked up at once */
#define PAGE_OFFSET(va) ((va) & (EXO_FRAME_BYTES - 1))

void *blk_memory_alloc(uint64_t frames, uint64_t *address) {
    uint64_t first = frame_alloc_range(frames, 1, NULL);

    if (!first) return NULL;
    void *memory = mem_map_frames(frame_slot(first), first, frames, EXO_PAGE_R | EXO_PAGE_W);
    if (!memory) frame_free(first, frames);
    *address = first << EXO_FRAME_SHIFT;
    return memory;
}

void blk_memory_free(void *memory, uint64_t address, uint64_t frames) {
    mem_unmap_frames(memory);
    frame_free(address >> EXO_FRAME_SHIFT, frames);
}

struct list {
    struct blk_segment *segments;
    uint64_t count;
    uint64_t max;
};

static int64_t list_add(struct list *list, uint64_t address, uint64_t bytes) {
    struct blk_segment *last = list->count ? &list->segments[list->count - 1] : NULL;

    if (last && last->address + last->bytes == address && bytes <= UINT32_MAX - last->bytes) {
        last->bytes += (uint32_t)bytes;
        return 0;
    }
    if (list->count == list->max) return EXO_EFULL;
    list->segments[list->count++] = (struct blk_segment){address, (uint32_t)bytes};
    return 0;
}

/* Add the bytes [va, va + bytes) as far as one look-up tells of them; how many those are, or an error. */
static int64_t piece_add(struct list *list, uint64_t va, uint64_t bytes) {
    uint64_t pages = (PAGE_OFFSET(va) + bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES;
    uint64_t frames[PAGES], done = 0;
    bool large;

    pages = pages < PAGES ? pages : PAGES;
    /* A page that was never touched has no frame yet. */
    for (uint64_t i = 0; i < pages; i++)
        (void)*(const volatile char *)((va & ~(uint64_t)(EXO_FRAME_BYTES - 1)) +
                                       i * EXO_FRAME_BYTES);
    pages = space_frames(va, pages, frames, &large);
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t frame =
            large ? frames[0] + i + (va >> EXO_FRAME_SHIFT) % EXO_GROUP_FRAMES : frames[i];
        uint64_t offset = i ? 0 : PAGE_OFFSET(va), rest = bytes - done;
        uint64_t part = EXO_FRAME_BYTES - offset < rest ? EXO_FRAME_BYTES - offset : rest;
        if (!frames[large ? 0 : i]) return EXO_EADDRESS;
        if (list_add(list, (frame << EXO_FRAME_SHIFT) + offset, part)) return EXO_EFULL;
        done += part;
    }
    return (int64_t)done;
}

int64_t blk_segments(const void *memory, uint64_t bytes, struct blk_segment *segments,
                     uint64_t max) {
    struct list list = {segments, 0, max};

    for (uint64_t done = 0; done < bytes;) {
        int64_t value = piece_add(&list, (uint64_t)memory + done, bytes - done);
        if (value < 0) return value;
        done += (uint64_t)value;
    }
    return (int64_t)list.count;
}
