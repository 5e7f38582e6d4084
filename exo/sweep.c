/* SPDX-License-Identifier: MIT */
/*
 * The sweep of a cut: everything that a space's page tables have of a range of
 * frames is taken away, one bounded step a call.
 *
 * Leaves into the range go, a large leaf that only touches it goes whole.  A
 * TABLE in the range is CLOSING from the moment the sweep sees it, and so is
 * every TABLE below it: it takes no new entry, is emptied and unlinked.
 */
#include "shoot.h"
#include "space.h"

#define SWEEP_STEP 96 /* entries of a step */

struct sweep {
    struct exo_env *space;
    uint64_t first; /* frames [first, end) */
    uint64_t end;
    uint64_t page; /* where the step is */
};

/* Where in the tree of tables the step is. */
struct place {
    uint64_t table; /* frame */
    bool doomed;    /* in the range, or below a table that is */
};

static uint64_t page_index(uint64_t page, unsigned level) {
    return page >> EXO_GROUP_SHIFT * level & (TABLE_ENTRIES - 1);
}

/* The first page after the entry of this level that covers `page`. */
static uint64_t page_after(uint64_t page, unsigned level) {
    unsigned shift = EXO_GROUP_SHIFT * level;
    return ((page >> shift) + 1) << shift;
}

static bool leaf_goes(const struct sweep *sweep, uint64_t pte, unsigned level) {
    uint64_t frame = pte_frame(pte);
    uint64_t frames = 1ul << EXO_GROUP_SHIFT * level;
    return frame < sweep->end && frame + frames > sweep->first;
}

/* Where a pointer to a table leads; a doomed table closes. */
static struct place place_below(const struct sweep *sweep, struct place above, uint64_t pte) {
    struct place below = {.table = pte_frame(pte)};
    below.doomed = above.doomed || (below.table >= sweep->first && below.table < sweep->end);
    if (below.doomed) *frame_state(below.table) |= EXO_TABLE_CLOSING;
    return below;
}

/*
 * Take away the leaves among `count` entries from the sweep's page on, which
 * are of `level` and no pointers to tables.
 */
static void leaves_remove(struct sweep *sweep, struct place at, unsigned level, uint64_t count) {
    uint64_t *entry = (uint64_t *)frame_pointer(at.table) + page_index(sweep->page, level);
    uint64_t removed = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (pte_is_leaf(entry[i]) && (at.doomed || leaf_goes(sweep, entry[i], level))) {
            pte_hide(&entry[i]);
            removed++;
        }
    }
    if (!removed) return;
    space_shoot(sweep->space);
    for (uint64_t i = 0; i < count; i++) {
        if (pte_is_present(entry[i]) || !pte_is_hidden(entry[i])) continue;
        if (level)
            group_unmap(pte_frame(entry[i]));
        else
            frame_unmap(pte_frame(entry[i]));
        pte_write(&entry[i], 0);
    }
    if (at.table != sweep->space->root) *frame_state(at.table) -= removed;
}

/* The emptied table below entry `page` of a table goes. */
static void table_remove(struct sweep *sweep, struct place above, unsigned level, uint64_t frame) {
    uint64_t *entry = (uint64_t *)frame_pointer(above.table) + page_index(sweep->page, level);
    kernel_assert(!(*frame_state(frame) & EXO_TABLE_LIVE_MASK));
    pte_write(entry, 0);
    space_shoot(sweep->space);
    if (above.table != sweep->space->root) *frame_state(above.table) -= 1;
    frame_release(frame);
}

/*
 * The sweep has come to the end of a table.  A doomed one goes, unless it has
 * live entries: then it took another's place between two steps, behind the
 * sweep, and is swept from its beginning.  It is CLOSING now, so that happens
 * once.
 */
static void table_leave(struct sweep *sweep, struct place above, struct place at, unsigned level) {
    uint64_t first = sweep->page >> EXO_GROUP_SHIFT * level << EXO_GROUP_SHIFT * level;
    uint64_t after = page_after(sweep->page, level);
    bool live = *frame_state(at.table) & EXO_TABLE_LIVE_MASK;
    if (at.doomed && !live) table_remove(sweep, above, level, at.table);
    sweep->page = at.doomed && live ? first : after;
}

/* A step within a table of level 0: a part of its leaves, and at its end the table itself. */
static void sweep_pages(struct sweep *sweep, struct place above, struct place at) {
    uint64_t left = page_after(sweep->page, 1) - sweep->page;
    uint64_t count = left < SWEEP_STEP ? left : SWEEP_STEP;
    if (*frame_state(at.table) & EXO_TABLE_LIVE_MASK) {
        leaves_remove(sweep, at, 0, count);
        if (count < left) {
            sweep->page += count;
            return;
        }
    }
    table_leave(sweep, above, at, 1);
}

/* A step within a table of level 1: a run of large leaves, or a step in the table that comes first. */
static void sweep_groups(struct sweep *sweep, struct place above, struct place at) {
    const uint64_t *entries = frame_pointer(at.table);
    uint64_t index = page_index(sweep->page, 1), after = page_after(sweep->page, 2), run = 0;
    while (index + run < TABLE_ENTRIES && run < SWEEP_STEP && !pte_is_table(entries[index + run]))
        run++;
    uint64_t next = ((sweep->page >> EXO_GROUP_SHIFT) + run) << EXO_GROUP_SHIFT;
    if (run) {
        leaves_remove(sweep, at, 1, run);
    } else {
        sweep_pages(sweep, at, place_below(sweep, at, entries[index]));
        next = sweep->page;
    }
    sweep->page = next == after ? next - 1 : next;
    if (next == after) table_leave(sweep, above, at, 2);
}

bool space_sweep(struct exo_env *space, uint64_t first, uint64_t end, uint64_t *progress) {
    struct sweep sweep = {.space = space, .first = first, .end = end, .page = *progress};
    struct place root = {.table = space->root};
    const uint64_t *entries = frame_pointer(space->root);
    uint64_t start = sweep.page >> 2 * EXO_GROUP_SHIFT, index = start;
    while (index < SPACE_PAGES >> 2 * EXO_GROUP_SHIFT && !pte_is_table(entries[index])) index++;
    /* To have passed empty entries is a step of its own. */
    if (index != start)
        sweep.page = index << 2 * EXO_GROUP_SHIFT;
    else if (sweep.page < SPACE_PAGES)
        sweep_groups(&sweep, root, place_below(&sweep, root, entries[index]));
    *progress = sweep.page;
    return sweep.page >= SPACE_PAGES;
}
