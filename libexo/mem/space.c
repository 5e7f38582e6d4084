/* SPDX-License-Identifier: MIT */
/*
 * Page tables: TABLEs are linked when a mapping needs them.
 *
 * No record is kept of which TABLEs exist; the kernel's answer NOTABLE tells.
 * Only this file knows the form of the hardware's entries (Sv39), and only to
 * read back what the kernel wrote.
 */
#include <string.h>

#include "mem.h"

#define LARGE_BYTES (EXO_GROUP_FRAMES * EXO_FRAME_BYTES)
#define ENTRIES 512
#define ENTRY_PRESENT 1
#define ENTRY_RIGHTS 0xe
#define ENTRY_RIGHTS_SHIFT 1 /* then they are PAGE rights */
#define ENTRY_FRAME(entry) ((entry) << 10 >> 20)

static uint64_t self_frame_take(struct space *space, uint64_t *slot) {
    (void)space;
    uint64_t frame = frame_alloc();
    *slot = frame_slot(frame);
    return frame;
}

struct space space_self = {.env = EXO_SELF, .frame_take = self_frame_take};

/* Link a TABLE to the entry of `level` (2 or 1) for va. */
static int64_t table_link(struct space *space, uint64_t va, uint64_t level, uint64_t slot,
                          uint64_t frame) {
    uint64_t bytes = (uint64_t)EXO_FRAME_BYTES << (EXO_GROUP_SHIFT * level);
    return exo_table_link(space->env, va & ~(bytes - 1), level, slot, frame).value;
}

/* The same, and first those above it that are missing. */
static int64_t table_add(struct space *space, uint64_t va, uint64_t level) {
    for (;;) {
        uint64_t slot;
        uint64_t frame = space->frame_take(space, &slot);
        if (frame == 0) return EXO_EFULL;
        int64_t value = table_link(space, va, level, slot, frame);
        if (value != EXO_ENOTABLE || level == 2) return value;
        value = table_link(space, va, 2, slot, frame);
        if (value < 0) return value;
    }
}

/* How many pages (or large leaves) from va on share the TABLE that holds their entries. */
static uint64_t pages_in_table(uint64_t va, uint64_t page_bytes) {
    return ENTRIES - va / page_bytes % ENTRIES;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static int64_t map(struct space *space, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                   uint64_t flags) {
    uint64_t page_bytes = flags & EXO_MAP_LARGE ? LARGE_BYTES : EXO_FRAME_BYTES;

    while (count > 0) {
        uint64_t step = least(least(count, EXO_PAGES_MAX), pages_in_table(va, page_bytes));
        int64_t value = exo_page_map(space->env, va, slot, frame, step, flags).value;
        if (value == EXO_ENOTABLE) {
            value = table_add(space, va, flags & EXO_MAP_LARGE ? 2 : 1);
            if (value < 0) return value;
            continue;
        }
        if (value == EXO_EAGAIN) continue;
        if (value < 0) return value;
        uint64_t done = (uint64_t)value;
        va += done * page_bytes;
        frame += done * (page_bytes / EXO_FRAME_BYTES);
        count -= done;
    }
    return 0;
}

int64_t space_map(struct space *space, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                  uint64_t flags) {
    mem_lock(); /* else two threads link the same TABLE */
    int64_t error = map(space, va, slot, frame, count, flags);
    mem_unlock();
    return error;
}

static int64_t map_clear(struct space *space, uint64_t va, uint64_t frame, uint64_t rights) {
    uint64_t slot = frame_slot(frame), place = mem_has_threads ? SYS_VA_SCRATCH : va;
    int64_t error = 0;

    if (mem_has_threads)
        error = space_map(&space_self, place, slot, frame, 1,
                          EXO_PAGE_R | EXO_PAGE_W | EXO_MAP_REPLACE);
    else
        error = space_map(space, va, slot, frame, 1, rights);
    if (error < 0) return error;
    memset((void *)place, 0, EXO_FRAME_BYTES);
    if (!mem_has_threads) return 0;
    space_unmap(&space_self, place, 1);
    return space_map(space, va, slot, frame, 1, rights);
}

int64_t space_map_clear(struct space *space, uint64_t va, uint64_t frame, uint64_t rights) {
    mem_lock();
    int64_t error = map_clear(space, va, frame, rights);
    mem_unlock();
    return error;
}

int64_t space_unmap(struct space *space, uint64_t va, uint64_t count) {
    uint64_t large = count & EXO_COUNT_LARGE;
    uint64_t page_bytes = large ? LARGE_BYTES : EXO_FRAME_BYTES;

    count &= ~EXO_COUNT_LARGE;
    while (count > 0) {
        uint64_t step = least(least(count, EXO_PAGES_MAX), pages_in_table(va, page_bytes));
        int64_t value = exo_page_unmap(space->env, va, step | large, 0).value;
        if (value == EXO_EAGAIN) continue;
        if (value == EXO_ENOTABLE) /* then nothing is mapped there */
            value = (int64_t)step;
        else if (value == EXO_EABSENT)
            value = 1;
        if (value < 0) return value;
        va += (uint64_t)value * page_bytes;
        count -= (uint64_t)value;
    }
    return 0;
}

int64_t space_protect(struct space *space, uint64_t va, uint64_t count, uint64_t rights) {
    while (count > 0) {
        uint64_t step = least(least(count, EXO_PAGES_MAX), pages_in_table(va, EXO_FRAME_BYTES));
        int64_t value = exo_page_protect(space->env, va, step, rights).value;
        if (value == EXO_EAGAIN) continue;
        if (value < 0) return value;
        va += (uint64_t)value * EXO_FRAME_BYTES;
        count -= (uint64_t)value;
    }
    return 0;
}

/* A page of another frame at SYS_VA_SCRATCH, to be read; false if that fails. */
static bool scratch_map(uint64_t frame) {
    return space_map(&space_self, SYS_VA_SCRATCH, frame_slot(frame), frame, 1,
                     EXO_PAGE_R | EXO_MAP_REPLACE) == 0;
}

uint64_t space_frames(uint64_t va, uint64_t count, uint64_t *frames, bool *large) {
    uint64_t table = sys_env()->root;
    const uint64_t *entries = (const uint64_t *)SYS_VA_SCRATCH;
    uint64_t told = least(count, pages_in_table(va, EXO_FRAME_BYTES));

    *large = false;
    for (uint64_t i = 0; i < told; i++) frames[i] = 0;
    mem_lock();
    for (unsigned shift = 30; scratch_map(table); shift -= 9) {
        uint64_t at = va >> shift & (ENTRIES - 1);
        if (shift == EXO_FRAME_SHIFT) {
            for (uint64_t i = 0; i < told; i++)
                if (entries[at + i] & ENTRY_PRESENT) frames[i] = ENTRY_FRAME(entries[at + i]);
            break;
        }
        uint64_t entry = entries[at];
        if (!(entry & ENTRY_PRESENT)) break;
        if (entry & ENTRY_RIGHTS) {
            *large = true;
            frames[0] = ENTRY_FRAME(entry);
            break;
        }
        table = ENTRY_FRAME(entry);
    }
    /* A TABLE that somebody maps cannot become another typed frame later. */
    space_unmap(&space_self, SYS_VA_SCRATCH, 1);
    mem_unlock();
    return told;
}

uint64_t space_frame_of(uint64_t root, uint64_t va, struct frame_range within, uint64_t *rights) {
    const volatile uint64_t *entries = (const volatile uint64_t *)SYS_VA_SCRATCH;
    uint64_t frame = root;

    if (va >= EXO_VA_LIMIT) return 0;
    mem_lock();
    for (unsigned shift = 30; frame && shift >= EXO_FRAME_SHIFT; shift -= 9) {
        /* What was a TABLE may be the other program's to write by now. */
        uint64_t entry = frame - within.first < within.count && scratch_map(frame)
                             ? entries[va >> shift & (ENTRIES - 1)]
                             : 0;
        frame = entry & ENTRY_PRESENT ? ENTRY_FRAME(entry) : 0;
        *rights = (entry & ENTRY_RIGHTS) >> ENTRY_RIGHTS_SHIFT;
        if (!*rights) continue;
        frame += va >> EXO_FRAME_SHIFT & ((1ul << (shift - EXO_FRAME_SHIFT)) - 1);
        break;
    }
    space_unmap(&space_self, SYS_VA_SCRATCH, 1);
    mem_unlock();
    return frame - within.first < within.count ? frame : 0;
}
