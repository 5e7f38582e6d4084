/* SPDX-License-Identifier: MIT */
/*
 * Spaces: the page tables that programs build from their own frames.
 *
 * Entries change only under the space's SPACE lock.  A frame's mappings are
 * counted up before its entry is written, and down only after SHOOT.  Taking
 * entries away has two passes: hide them from the hardware, SHOOT, then count
 * down and store what follows.
 */
#pragma once
#include "env.h"

#define TABLE_ENTRIES 512ul
#define SPACE_PAGES (EXO_VA_LIMIT >> EXO_FRAME_SHIFT)

/* A run of entries of one table. */
struct run {
    struct exo_env *space;
    uint64_t *entry; /* the first */
    uint64_t table;  /* physical address of the table that holds them */
    uint64_t count;
};

static inline struct lock *space_lock(const struct exo_env *space) {
    return &space_locks[space->root % SPACE_LOCKS];
}

static inline uint64_t entry_index(uint64_t va, uint64_t level) {
    return va >> (EXO_FRAME_SHIFT + EXO_GROUP_SHIFT * level) & (TABLE_ENTRIES - 1);
}

/* The entry for va in the table of this level at a physical address. */
static inline uint64_t *table_entry(uint64_t table, uint64_t va, uint64_t level) {
    return (uint64_t *)arch_pointer(table) + entry_index(va, level);
}

/*
 * The second pass over a run, when no hart uses its hidden leaves any more:
 * count their frames down and store the payload in their entries, or in `all`.
 * Returns how many there were.
 */
uint64_t run_drop(const struct run *run, bool large, bool all, uint64_t payload);

/* Take an empty TABLE out of the entry that points to it. */
void table_remove(struct exo_env *space, uint64_t *entry);

/*
 * One bounded step of taking away whatever this space has of the frames
 * [first, end): leaves into them, TABLEs in them and all below those.
 * *progress is a page number, 0 at the start and SPACE_PAGES at the end.  Under
 * SPACE.
 */
void space_sweep(struct exo_env *space, uint64_t first, uint64_t end, uint64_t *progress);

/* Calls: docs/abi.md. */
struct result table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot, uint64_t frame);
struct result table_unlink(uint64_t env, uint64_t va, uint64_t level);
struct result page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                       uint64_t flags);
struct result page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload);
struct result page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights);
struct result page_harvest(uint64_t env, uint64_t va, uint64_t count);
