/* SPDX-License-Identifier: MIT */
/*
 * Regions: who is responsible for which addresses.
 *
 * An address in no region is nobody's, and touching it stops the program.
 */
#include <exo/mem.h>

#include "mem.h"

static struct region regions[REGIONS_MAX];
/* The page of this thread's last fault on a present page, + 1; 0: none. */
static _Thread_local uint64_t retried;

static uint64_t page_up(uint64_t bytes) {
    return (bytes + EXO_FRAME_BYTES - 1) & ~(uint64_t)(EXO_FRAME_BYTES - 1);
}

struct region *region_find(uint64_t va) {
    struct region *found = NULL;

    mem_lock();
    for (struct region *region = regions; region < regions + REGIONS_MAX && !found; region++)
        if (region->first && va >= region->first && va < region->end) found = region;
    mem_unlock();
    return found;
}

/* A region that shares a byte with [first, end), or NULL. */
static struct region *region_overlap(uint64_t first, uint64_t end) {
    for (struct region *region = regions; region < regions + REGIONS_MAX; region++)
        if (region->first && first < region->end && region->first < end) return region;
    return NULL;
}

static struct region *reserve_at(uint64_t first, uint64_t end, uint64_t rights, region_fault *fault,
                                 void *context) {
    if (first == 0 || first >= end || end > EXO_VA_LIMIT || region_overlap(first, end)) return NULL;
    for (struct region *region = regions; region < regions + REGIONS_MAX; region++) {
        if (region->first) continue;
        *region = (struct region){
            .first = first,
            .end = end,
            .rights = rights,
            .fault = fault,
            .context = context,
        };
        return region;
    }
    return NULL;
}

struct region *region_reserve_at(uint64_t first, uint64_t end, uint64_t rights, region_fault *fault,
                                 void *context) {
    mem_lock();
    struct region *region = reserve_at(first, end, rights, fault, context);
    mem_unlock();
    return region;
}

static struct region *reserve(uint64_t bytes, uint64_t align, uint64_t rights, region_fault *fault,
                              void *context) {
    uint64_t first = MEM_VA_REGIONS;

    if (bytes == 0 || bytes > MEM_VA_REGIONS_END - MEM_VA_REGIONS) return NULL;
    if (align < EXO_FRAME_BYTES) align = EXO_FRAME_BYTES;
    bytes = page_up(bytes);
    for (;;) {
        if (first > MEM_VA_REGIONS_END - bytes) return NULL;
        const struct region *other = region_overlap(first, first + bytes + EXO_FRAME_BYTES);
        if (!other) return reserve_at(first, first + bytes, rights, fault, context);
        first = (other->end + EXO_FRAME_BYTES + align - 1) & ~(align - 1);
    }
}

struct region *region_reserve(uint64_t bytes, uint64_t align, uint64_t rights, region_fault *fault,
                              void *context) {
    mem_lock();
    struct region *region = reserve(bytes, align, rights, fault, context);
    mem_unlock();
    return region;
}

void region_release(struct region *region) {
    mem_lock();
    *region = (struct region){0};
    mem_unlock();
}

bool region_retry(uint64_t va) {
    uint64_t page = (va >> EXO_FRAME_SHIFT) + 1;
    bool again = retried == page;

    retried = again ? 0 : page;
    return !again;
}

/* The PAGE right that an access needs, by its cause. */
static uint64_t access_right(uint64_t cause) {
    switch (cause) {
    case SYS_CAUSE_FETCH_PAGE: return EXO_PAGE_X;
    case SYS_CAUSE_STORE_PAGE: return EXO_PAGE_W;
    default: return EXO_PAGE_R;
    }
}

bool region_exception(struct exo_ctx *ctx, uint64_t cause, uint64_t value) {
    (void)ctx;
    mem_lock();
    struct region *region = region_find(value);
    bool good = region && region->fault && (region->rights & access_right(cause)) &&
                region->fault(region, value, cause);
    mem_unlock();
    return good;
}
