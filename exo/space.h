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

#define TABLE_ENTRIES 512
#define SPACE_PAGES (EXO_VA_LIMIT >> EXO_FRAME_SHIFT)

static inline struct lock *space_lock(const struct exo_env *space) {
    return &space_locks[space->root % SPACE_LOCKS];
}

/*
 * One bounded step of taking away whatever this space has of the frames
 * [first, end): leaves into them, TABLEs in them and all below those.
 * *progress is a page number, 0 at the start.  Returns whether it is finished.
 * Under SPACE.
 */
bool space_sweep(struct exo_env *space, uint64_t first, uint64_t end, uint64_t *progress);

/* Calls: docs/abi.md. */
struct result table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot, uint64_t frame);
struct result table_unlink(uint64_t env, uint64_t va, uint64_t level);
struct result page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                       uint64_t flags);
struct result page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload);
struct result page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights);
struct result page_harvest(uint64_t env, uint64_t va, uint64_t count);
