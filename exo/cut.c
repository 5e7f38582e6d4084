/* SPDX-License-Identifier: MIT */
/* Taking back: see cut.h. */
#include "cut.h"

#include "disk.h"
#include "env.h"
#include "event.h"
#include "irq.h"
#include "pct.h"
#include "queue.h"
#include "slice.h"
#include "space.h"

#define SHRINK_STEP 8  /* slots that one call shortens on its way down */
#define ROWS_STEP 64   /* rows that one call unbinds */
#define WALK_STEP 64   /* children that one call looks at */
#define MARK_STEP 8    /* slots whose holders one call tells */
#define QUIET_NAMES 64 /* up to so many frames are looked at, to spare a sweep */

void cut_walk(struct exo_cap *slot, uint64_t from, uint8_t pass) {
    slot->reach = from;
    slot->walk = slot->child;
    slot->pass = pass;
}

/*
 * A promise in the way of a cut: a guaranteed prefix that reaches past `from`,
 * unless its holder is DYING.  A donation has none.
 */
static bool cap_promises(const struct exo_cap *cap, uint64_t from) {
    return cap->keep && from < cap->first + cap->keep && !env_is_dying(cap_home(cap));
}

/*
 * The next child that is in the way of the slot's walk, or NULL: one that
 * reaches past its end, or that promises so.  Counts `budget` down.
 */
static struct exo_cap *walk_find(struct exo_cap *slot, bool spare, unsigned *budget) {
    while (slot->walk && *budget) {
        struct exo_cap *child = cap_at(slot->walk);
        bool spared = spare && EXO_CAP_CLASS(child->word) == EXO_CLASS_DONATION;
        (*budget)--;
        if (slot->pass == EXO_PASS_KEEP ? cap_promises(child, slot->reach)
                                        : cap_end(child) > slot->reach && !spared)
            return child;
        slot->walk = cap_next(child);
    }
    return NULL;
}

/*
 * Look for a child's promise in the way.  Returns 0 when there is none, KEEP or
 * AGAIN.  A promise lies within the parent's own, so most ends need no look.
 */
static int64_t walk_promises(struct exo_cap *slot, uint64_t from) {
    unsigned budget = WALK_STEP;
    bool looks = slot->pass == EXO_PASS_KEEP || slot->pass == EXO_PASS_CUT;
    if (!looks || slot->reach != from) {
        bool promised = slot->child && from < slot->first + slot->keep;
        cut_walk(slot, from, promised ? EXO_PASS_KEEP : EXO_PASS_CUT);
    }
    if (slot->pass == EXO_PASS_CUT) return 0;
    if (walk_find(slot, false, &budget)) {
        slot->pass = EXO_PASS_NONE;
        return EXO_EKEEP;
    }
    if (!slot->walk) cut_walk(slot, from, EXO_PASS_CUT);
    return EXO_EAGAIN;
}

/*
 * Step 1: from here on no new binding of names at or past `from` is made
 * through the slot.  What remains of it stays usable.  Returns whether that is
 * new.
 */
static bool cut_shrink(struct exo_cap *slot, uint64_t from) {
    uint64_t keeps = from > slot->first ? from - slot->first : 0;
    if (keeps > slot->count) keeps = slot->count;
    if (EXO_CAP_STATE(slot->word) == EXO_SLOT_CUTTING && keeps == slot->count) return false;
    struct lock *lock = space_lock(cap_home(slot));
    lock_take(lock);
    slot->tail += slot->count - keeps;
    slot->count = keeps;
    slot->cursor = 0;
    slot->sweep = 0;
    slot->began = arch_time();
    slot->word = slot->word >> 3 << 3 | EXO_SLOT_CUTTING;
    if (slot->keep > keeps) slot->keep = keeps;
    /* Where a name is not looked at (ENV, MACHINE), no right is what keeps the slot from use. */
    if (!keeps) slot->word &= ~(uint64_t)(15 << EXO_CAP_RIGHTS_SHIFT);
    lock_release(lock);
    cut_walk(slot, slot->first + keeps, EXO_PASS_CUT);
    return true;
}

/* A donation in the way: its queue is closed; its environment must die first, but never the caller's own. */
static struct result cut_donation(const struct exo_cap *donation) {
    struct hart *hart = arch_hart();
    if (frame_type(frame_of(donation)) == EXO_FRAME_QUEUE) {
        int64_t value = queue_shut(frame_of(donation));
        return answer(value ? value : EXO_EAGAIN);
    }
    struct exo_env *env = cap_home(donation);
    if (env == hart->env || env == hart->space) return (struct result){EXO_ESELF, env->frame};
    env_kill(env);
    return (struct result){EXO_EREAP, env->frame};
}

/* Step 3 for rows: unbind some, and wait until no other hart runs what they gave it.  0 or AGAIN. */
static int64_t unbind_rows(struct exo_cap *slot) {
    uint64_t row = slot->first + slot->count + slot->sweep;
    uint64_t left = slot->tail - slot->sweep, step = left < ROWS_STEP ? left : ROWS_STEP;
    bool off = true;
    for (uint64_t i = 0; i < step; i++) off &= slice_unbind(row + i);
    if (off) slot->sweep += step;
    return slot->sweep < slot->tail ? EXO_EAGAIN : 0;
}

/* Steps 3 and 4 for frames: no mapping, then no request in flight names them.  0 or AGAIN. */
static int64_t sweep_pages_of(struct exo_env *space, struct exo_cap *slot) {
    uint64_t first = slot->first + slot->count;
    bool pages = EXO_CAP_CLASS(slot->word) == EXO_CLASS_PAGE;
    if (pages && slot->tail <= QUIET_NAMES && frames_quiet(first, slot->tail)) return 0;
    if (slot->sweep < SPACE_PAGES) {
        lock_take(space_lock(space));
        space_sweep(space, first, first + slot->tail, &slot->sweep);
        lock_release(space_lock(space));
    }
    if (slot->sweep < SPACE_PAGES) return EXO_EAGAIN;
    uint64_t entry = slot->sweep - SPACE_PAGES;
    int64_t value = pages ? requests_leave(space, slot, &entry) : 0;
    slot->sweep = SPACE_PAGES + entry;
    return value;
}

/* Steps 3 and 4 for sectors: no queue by entries that go, no request in flight names them. */
static int64_t drain_sectors(struct exo_env *space, struct exo_cap *slot) {
    int64_t value = !slot->count && slot->match ? queue_shut(slot->match) : 0;
    return value ? value : requests_leave(space, slot, &slot->sweep);
}

/* Steps 3 and 4: undo what this space has bound of the tail, by class.  0 or AGAIN. */
static int64_t cut_bindings(struct exo_env *space, struct exo_cap *slot) {
    switch (EXO_CAP_CLASS(slot->word)) {
    case EXO_CLASS_PAGE:
    case EXO_CLASS_DEVICE: return sweep_pages_of(space, slot);
    case EXO_CLASS_BLOCK: return drain_sectors(space, slot);
    case EXO_CLASS_SLICE: return unbind_rows(slot);
    case EXO_CLASS_IRQ: lines_unbind(slot->first + slot->count, slot->tail); return 0;
    case EXO_CLASS_ENV: {
        /* Calls that act through this slot have the target's SPACE lock. */
        struct exo_env *env = env_at(slot->first);
        lock_take(space_lock(env_leader(env)));
        lock_release(space_lock(env_leader(env)));
        call_cut(space, slot);
        if (env->first_cap == cap_link(slot)) env_kill(env);
        return 0;
    }
    default: return 0;
    }
}

/* Steps 2 to 5 for a slot below which nothing reaches past its end: one bounded step. */
static int64_t cut_finish(struct exo_cap *slot, uint64_t final) {
    struct exo_env *space = cap_home(slot);
    const struct exo_cap *parent = cap_at(slot->parent);
    uint64_t class = EXO_CAP_CLASS(slot->word), first = slot->first + slot->count;
    /* Step 2: what the space has through the parent too hangs on that now; entries never do. */
    bool stays = cap_is_doubled(slot) && (slot->count || !cap_has_entries(slot));
    int64_t value = stays ? 0 : cut_bindings(space, slot);
    if (value) return value;
    /* Step 5: the tail's names are gone.  A BLOCK slot keeps its entries as long as it has sectors. */
    if (class != EXO_CLASS_BLOCK || !slot->count)
        cap_index(slot, names_of(class, first, cap_end(slot), slot->extra), slot->parent);
    lock_take(space_lock(space));
    slot->tail = 0;
    slot->sweep = 0;
    slot->pass = EXO_PASS_NONE;
    slot->due = 0;
    if (slot->count) {
        slot->word = slot->word >> 3 << 3 | EXO_SLOT_LIVE;
    } else {
        if (EXO_CAP_CLASS(parent->word) == EXO_CLASS_DONATION) env_at(slot->first)->first_cap = 0;
        cap_orphan(slot);
        cap_reset(slot, final);
        /* Its holder knows a tombstone by the old handle. */
        if (final == EXO_SLOT_LOST) slot->word -= 1ul << EXO_HANDLE_GEN_SHIFT;
    }
    lock_release(space_lock(space));
    return 0;
}

struct result cut_below(struct exo_cap *top, bool spare) {
    unsigned budget = WALK_STEP, shrunk = 0;
    struct exo_cap *slot = top;
    // LAB 4: BEGIN
    while (shrunk < SHRINK_STEP) {
        struct exo_cap *child = walk_find(slot, spare && slot == top, &budget);
        if (!child) break;
        if (EXO_CAP_CLASS(child->word) == EXO_CLASS_DONATION) return cut_donation(child);
        shrunk += cut_shrink(child, slot->reach);
        slot = child;
    }
    /* A long way down is a step of its own. */
    if (slot->walk || shrunk > 1) return answer(EXO_EAGAIN);
    if (slot == top) return answer(0);
    int64_t value = cut_finish(slot, EXO_SLOT_LOST);
    // LAB 4: END
    return answer(value ? value : EXO_EAGAIN);
}

struct result cut_slot(struct exo_cap *slot, uint64_t from) {
    cut_shrink(slot, from);
    struct result result = cut_below(slot, false);
    if (!result.value) result.value = cut_finish(slot, EXO_SLOT_EMPTY);
    return result;
}

/* Tell a slot's holder that its names from `from` on are to go by `due`. */
static void slot_mark(struct exo_cap *slot, uint64_t from, uint64_t due) {
    struct exo_env *holder = cap_home(slot);
    lock_take(space_lock(holder));
    slot->due = due;
    slot->from = from;
    lock_release(space_lock(holder));
    event_post(holder, 1ul << EXO_EVENT_REVOKE);
    cut_walk(slot, from, EXO_PASS_MARK);
}

/*
 * One step of marking all below a slot that reaches past `from`.  The way is
 * kept in the slots' own walks.  Returns whether it is finished.
 */
static bool mark_below(struct exo_cap *top, uint64_t from, uint64_t due) {
    unsigned marked = 0;
    struct exo_cap *slot = top;
    if (top->pass != EXO_PASS_TELL || top->reach != from) cut_walk(top, from, EXO_PASS_TELL);
    for (unsigned budget = WALK_STEP; budget && marked < MARK_STEP; budget--) {
        if (!slot->walk) {
            slot->pass = EXO_PASS_NONE;
            if (slot == top) return true;
            slot = cap_at(slot->parent); /* goes on with the next: this one is told */
            continue;
        }
        struct exo_cap *child = cap_at(slot->walk);
        bool live = EXO_CAP_STATE(child->word) == EXO_SLOT_LIVE &&
                    EXO_CAP_CLASS(child->word) != EXO_CLASS_DONATION;
        bool told = child->due == due && child->from <= from;
        bool telling = told && child->pass == EXO_PASS_MARK && child->reach == from;
        /* Who disturbs the walk over its children keeps only these from being told. */
        if (!live || cap_end(child) <= from || (told && !telling)) {
            slot->walk = cap_next(child);
            continue;
        }
        if (!telling) slot_mark(child, from, due);
        marked += !telling;
        slot = child;
    }
    return false;
}

static struct result revoke_step(struct exo_cap *slot, uint64_t from, uint64_t due) {
    if (!slot || EXO_CAP_STATE(slot->word) != EXO_SLOT_LIVE) return answer(EXO_ESLOT);
    if (from < slot->first || from > slot->first + slot->count) return answer(EXO_ERANGE);
    bool asks = due > arch_time(), marking = slot->pass == EXO_PASS_TELL && slot->reach == from;
    int64_t value = asks && marking ? 0 : walk_promises(slot, from);
    if (value) return answer(value);
    if (asks) return (struct result){EXO_EAGAIN, mark_below(slot, from, due) ? due : 0};
    struct result result = cut_below(slot, true);
    if (!result.value) slot->pass = EXO_PASS_NONE;
    return result;
}

struct result cap_revoke(uint64_t handle, uint64_t from, uint64_t due) {
    lock_take(&tree_lock);
    struct result result = revoke_step(cap_find(arch_hart()->space, handle), from, due);
    lock_release(&tree_lock);
    return result;
}

static struct result drop_step(struct exo_cap *slot, uint64_t from) {
    uint64_t state = slot ? EXO_CAP_STATE(slot->word) : EXO_SLOT_EMPTY;
    if (state == EXO_SLOT_LOST) {
        lock_take(arch_hart()->space_lock);
        cap_reset(slot, EXO_SLOT_EMPTY);
        lock_release(arch_hart()->space_lock);
        return answer(0);
    }
    if (state != EXO_SLOT_LIVE && state != EXO_SLOT_CUTTING) return answer(EXO_ESLOT);
    if (!slot->parent) return answer(EXO_EROOT);
    uint64_t end = slot->first + slot->count;
    if (from < slot->first || from > end) return answer(EXO_ERANGE);
    if (state == EXO_SLOT_CUTTING) { /* the cut in progress, whoever began it, comes first */
        struct result result = cut_slot(slot, end);
        return result.value || from == end ? result : answer(EXO_EAGAIN);
    }
    if (from == end) return answer(0);
    int64_t value = walk_promises(slot, from);
    return value ? answer(value) : cut_slot(slot, from);
}

struct result cap_drop(uint64_t handle, uint64_t from) {
    lock_take(&tree_lock);
    struct result result = drop_step(cap_find(arch_hart()->space, handle), from);
    lock_release(&tree_lock);
    return result;
}
