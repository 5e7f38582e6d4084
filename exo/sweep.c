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

#define SWEEP_STEP 96                                     /* entries of a step */
#define USER_ENTRIES (SPACE_PAGES >> 2 * EXO_GROUP_SHIFT) /* of a root */

void space_sweep(struct exo_env *space, uint64_t first, uint64_t end, uint64_t *progress) {
    uint64_t page = *progress, va = page << EXO_FRAME_SHIFT, level = 2, *way[3];
    struct run run = {.space = space, .table = space->root << EXO_FRAME_SHIFT};
    while (pte_is_table(*(way[level] = table_entry(run.table, va, level))) && level) {
        uint64_t frame = pte_frame(*way[level--]), *state = frame_state(frame);
        run.table = frame << EXO_FRAME_SHIFT;
        if (!(read_once(*state) & EXO_TABLE_CLOSING) && (frame < first || frame >= end)) continue;
        write_once(*state, read_once(*state) | EXO_TABLE_CLOSING);
        first = 0; /* all that is below goes too */
        end = UINT64_MAX;
    }
    uint64_t shift = EXO_GROUP_SHIFT * level, hidden = 0;
    uint64_t left = (level == 2 ? USER_ENTRIES : TABLE_ENTRIES) - entry_index(va, level);
    run.entry = way[level];
    if (level < 2 && !(read_once(*address_state(run.table)) & EXO_TABLE_LIVE_MASK))
        run.count = left;
    else if (level < 2 && left > SWEEP_STEP)
        left = SWEEP_STEP;
    while (run.count < left && !pte_is_table(run.entry[run.count])) {
        uint64_t *entry = &run.entry[run.count++], frame = pte_frame(*entry);
        if (pte_is_leaf(*entry) && frame < end && frame + (1ul << shift) > first)
            hidden |= pte_hide(entry);
    }
    if (hidden) {
        space_shoot(space);
        run_drop(&run, level, false, 0);
    }
    page = ((page >> shift) + run.count) << shift;
    /*
     * At its end a CLOSING table goes, unless it has live entries: then it took
     * another's place between two steps, behind the sweep, and is swept from its
     * beginning, which happens once.
     */
    for (; level < 2 && page % (TABLE_ENTRIES << EXO_GROUP_SHIFT * level) == 0; level++) {
        uint64_t word = read_once(*frame_state(frame_of(way[level])));
        if (!(word & EXO_TABLE_CLOSING)) continue;
        if (word & EXO_TABLE_LIVE_MASK) {
            page -= TABLE_ENTRIES << EXO_GROUP_SHIFT * level;
            break;
        }
        table_remove(space, way[level + 1]);
    }
    *progress = page;
}
