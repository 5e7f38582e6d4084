/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a bitmap for each range of frames that is held.
 *
 * A set bit is a frame that is taken.  The bitmap of a range lies in frames of
 * that range, mapped once at SYS_VA_BITMAP, so that any amount of memory can
 * be managed and a small program pays for a page only.
 */
#include <exo/mem.h>

#define BITS 64
#define BITMAP_PAGES ((SYS_VA_SCRATCH - SYS_VA_BITMAP) / EXO_FRAME_BYTES)
#define FRAMES_PER_PAGE (EXO_FRAME_BYTES * 8)

struct range {
    uint64_t slot;
    uint64_t first;
    uint64_t count;
    uint64_t *taken; /* bitmap */
    uint64_t low;    /* all words of the bitmap below this are full */
    uint64_t fresh;  /* frames from this offset on were never handed out */
};

static struct range ranges[FRAME_RANGES_MAX];
static uint64_t range_count;
static uint64_t bitmap_pages; /* used of SYS_VA_BITMAP */
static uint64_t free_count;
static uint64_t promised;

uint64_t frame_bitmap_frames(uint64_t count) {
    return (count + FRAMES_PER_PAGE - 1) / FRAMES_PER_PAGE;
}

static int64_t range_add(uint64_t slot, uint64_t first, uint64_t count, uint64_t bitmap) {
    uint64_t pages = frame_bitmap_frames(count);
    if (range_count == FRAME_RANGES_MAX || pages > BITMAP_PAGES - bitmap_pages) return EXO_EFULL;

    uint64_t va = SYS_VA_BITMAP + bitmap_pages * EXO_FRAME_BYTES;
    int64_t error = space_map(&space_self, va, slot, bitmap, pages, EXO_PAGE_R | EXO_PAGE_W);
    if (error < 0) return error;

    struct range *range = &ranges[range_count++];
    bitmap_pages += pages;
    *range = (struct range){
        .slot = slot,
        .first = first,
        .count = count,
        .taken = (uint64_t *)va,
        .low = (count + BITS - 1) / BITS,
    };
    for (uint64_t i = 0; i < range->low; i++) range->taken[i] = ~0ul;
    return 0;
}

int64_t frame_range_add(uint64_t slot, uint64_t first, uint64_t count, uint64_t bitmap) {
    mem_lock();
    int64_t error = range_add(slot, first, count, bitmap);
    mem_unlock();
    return error;
}

static struct range *range_of(uint64_t frame) {
    for (uint64_t i = 0; i < range_count; i++)
        if (frame - ranges[i].first < ranges[i].count) return &ranges[i];
    return NULL;
}

uint64_t frame_slot(uint64_t frame) {
    const struct range *range = range_of(frame);
    return range ? range->slot : EXO_NONE;
}

/* The bits of word `word` that offsets [from, to) have. */
static uint64_t word_mask(uint64_t word, uint64_t from, uint64_t to) {
    uint64_t mask = ~0ul;
    if (from > word * BITS) mask &= ~0ul << (from - word * BITS);
    if (to < (word + 1) * BITS) mask &= ~(~0ul << (to - word * BITS));
    return mask;
}

void frame_take(uint64_t first, uint64_t count) {
    struct range *range = range_of(first);
    uint64_t from = first - range->first;
    uint64_t to = from + count;

    mem_lock();
    for (uint64_t word = from / BITS; word * BITS < to; word++)
        range->taken[word] |= word_mask(word, from, to);
    free_count -= count;
    if (range->fresh < to) range->fresh = to;
    mem_unlock();
}

void frame_free(uint64_t first, uint64_t count) {
    struct range *range = range_of(first);
    uint64_t from = first - range->first;
    uint64_t to = from + count;

    mem_lock();
    for (uint64_t word = from / BITS; word * BITS < to; word++)
        range->taken[word] &= ~word_mask(word, from, to);
    free_count += count;
    if (range->low > from / BITS) range->low = from / BITS;
    mem_unlock();
}

/* The first taken offset at or after `from`, or `limit` when none is before it. */
static uint64_t taken_after(const struct range *range, uint64_t from, uint64_t limit) {
    while (from < limit) {
        uint64_t word = range->taken[from / BITS] >> from % BITS;
        if (word) {
            uint64_t at = from + (uint64_t)__builtin_ctzl(word);
            return at < limit ? at : limit;
        }
        from = (from / BITS + 1) * BITS;
    }
    return limit;
}

/* The first free offset at or after `from`, or the count when there is none. */
static uint64_t free_after(const struct range *range, uint64_t from) {
    while (from < range->count) {
        uint64_t word = ~range->taken[from / BITS] >> from % BITS;
        if (word) {
            uint64_t at = from + (uint64_t)__builtin_ctzl(word);
            return at < range->count ? at : range->count;
        }
        from = (from / BITS + 1) * BITS;
    }
    return range->count;
}

static uint64_t align_up(uint64_t value, uint64_t align) {
    return (value + align - 1) & ~(align - 1);
}

/* Take the lowest fitting frames of one range: their first, or 0. */
static uint64_t range_alloc(struct range *range, uint64_t count, uint64_t align, uint64_t *stale) {
    uint64_t at = free_after(range, range->low * BITS);

    range->low = at / BITS;
    while (at < range->count) {
        at = align_up(range->first + at, align) - range->first;
        if (at >= range->count || count > range->count - at) return 0;
        uint64_t end = taken_after(range, at, at + count);
        if (end == at + count) {
            if (stale)
                *stale = range->fresh <= at ? 0 : range->fresh < end ? range->fresh - at : count;
            frame_take(range->first + at, count);
            return range->first + at;
        }
        at = free_after(range, end);
    }
    return 0;
}

uint64_t frame_alloc_range(uint64_t count, uint64_t align, uint64_t *stale) {
    uint64_t first = 0;

    mem_lock();
    if (count != 0 && count <= frame_count_free())
        for (uint64_t i = 0; i < range_count && !first; i++)
            first = range_alloc(&ranges[i], count, align, stale);
    mem_unlock();
    return first;
}

uint64_t frame_alloc(void) { return frame_alloc_range(1, 1, NULL); }

uint64_t frame_count_free(void) { return free_count - promised; }

uint64_t frame_longest(uint64_t align) {
    uint64_t longest = 0;

    mem_lock();
    for (uint64_t i = 0; i < range_count; i++) {
        const struct range *range = &ranges[i];
        uint64_t at = free_after(range, 0);
        while (at < range->count) {
            uint64_t end = taken_after(range, at, range->count);
            at = align_up(range->first + at, align) - range->first;
            if (end > at && end - at > longest) longest = end - at;
            at = free_after(range, end);
        }
    }
    if (longest > frame_count_free()) longest = frame_count_free();
    mem_unlock();
    return longest;
}

bool frame_promise(uint64_t count) {
    mem_lock();
    bool enough = count <= frame_count_free();
    if (enough) promised += count;
    mem_unlock();
    return enough;
}

void frame_promise_end(uint64_t count) {
    mem_lock();
    promised -= count;
    mem_unlock();
}

uint64_t frame_alloc_promised(void) {
    mem_lock();
    promised--;
    uint64_t frame = frame_alloc();
    mem_unlock();
    return frame;
}
