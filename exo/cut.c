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

/* The next child that reaches past the slot's end, or NULL.  Counts `budget` down. */
static struct exo_cap *walk_find(struct exo_cap *slot, bool spare, unsigned *budget) {
    while (slot->walk && *budget) {
        struct exo_cap *child = cap_at(slot->walk);
        bool donation = EXO_CAP_CLASS(child->word) == EXO_CLASS_DONATION;
        (*budget)--;
        if (cap_end(child) > slot->reach && !(donation && spare)) return child;
        slot->walk = cap_next(child);
    }
    return NULL;
}

/*
 * Look for a promise in the way: a child's guaranteed prefix that reaches past
 * `from`, unless its holder is DYING.  Returns 0 when there is none, KEEP or
 * AGAIN.  A promise lies within the parent's own, so most ends need no look.
 */
static int64_t walk_promises(struct exo_cap *slot, uint64_t from) {
    unsigned budget = WALK_STEP;
    bool looks = slot->pass == EXO_PASS_KEEP || slot->pass == EXO_PASS_CUT;
    if (!looks || slot->reach != from) {
        bool promised = slot->child && from < slot->first + slot->keep;
        cut_walk(slot, from, promised ? EXO_PASS_KEEP : EXO_PASS_CUT);
    }
    while (slot->pass == EXO_PASS_KEEP) {
        if (!slot->walk) {
            cut_walk(slot, from, EXO_PASS_CUT);
            return EXO_EAGAIN;
        }
        if (!budget--) return EXO_EAGAIN;
        struct exo_cap *child = cap_at(slot->walk);
        struct exo_env *holder = cap_home(child);
        if (holder && child->keep && from < child->first + child->keep && !env_is_dying(holder)) {
            slot->pass = EXO_PASS_NONE;
            return EXO_EKEEP;
        }
        slot->walk = cap_next(child);
    }
    return 0;
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
    uint64_t frame = donation->first;
    if (frame_type(frame_of(donation)) == EXO_FRAME_QUEUE) {
        int64_t value = queue_shut(frame_of(donation));
        return answer(value ? value : EXO_EAGAIN);
    }
    if (frame_type(frame) != EXO_FRAME_ENV)
        frame = read_once(*frame_state(frame)) & FRAME_NUMBER_MASK;
    struct exo_env *env = env_at(frame);
    if (env == hart->env || env == hart->space) return (struct result){EXO_ESELF, frame};
    env_kill(env);
    return (struct result){EXO_EREAP, frame};
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
    case EXO_CLASS_IRQ: lines_unbind(slot->first + slot->count, slot->tail); break;
    case EXO_CLASS_ENV: {
        /* Calls that act through this slot re-read it under the target's SPACE lock. */
        struct exo_env *env = env_at(slot->first);
        struct lock *lock = space_lock(env_leader(env));
        lock_take(lock);
        lock_release(lock);
        call_cut(space, slot);
        if (env->first_cap == cap_link(slot)) env_kill(env);
        break;
    }
    default: break;
    }
    return 0;
}

/* Step 5: the names of the tail are gone. */
static void cut_complete(struct exo_env *space, struct exo_cap *slot, uint64_t final) {
    struct exo_cap *parent = cap_at(slot->parent);
    struct lock *lock = space_lock(space);
    uint64_t class = EXO_CAP_CLASS(slot->word), first = slot->first + slot->count;
    /* A BLOCK slot keeps its entries as long as it has sectors. */
    if (class != EXO_CLASS_BLOCK || !slot->count)
        cap_index(slot, names_of(class, first, cap_end(slot), slot->extra), slot->parent);
    lock_take(lock);
    slot->tail = 0;
    slot->sweep = 0;
    slot->pass = EXO_PASS_NONE;
    slot->due = 0;
    if (slot->count) {
        slot->word = slot->word >> 3 << 3 | EXO_SLOT_LIVE;
    } else {
        if (EXO_CAP_CLASS(parent->word) == EXO_CLASS_DONATION) env_at(slot->first)->first_cap = 0;
        cap_orphan(slot);
        uint64_t word = slot->word;
        cap_reset(slot, final);
        if (final == EXO_SLOT_LOST)
            slot->word = word >> EXO_CAP_PLACE_SHIFT << EXO_CAP_PLACE_SHIFT | EXO_SLOT_LOST;
    }
    lock_release(lock);
}

/* Steps 2 to 5 for a slot below which nothing reaches past its end: one bounded step. */
static int64_t cut_finish(struct exo_cap *slot, uint64_t final) {
    struct exo_env *space = cap_home(slot);
    struct exo_cap *parent = cap_at(slot->parent);
    uint64_t first = slot->first + slot->count;
    /* Step 2: the space holds these names through the parent too; bindings hang on that now. */
    bool stays = class_is_shared(EXO_CAP_CLASS(slot->word)) && cap_home(parent) == space &&
                 parent->first <= first && cap_end(slot) <= cap_end(parent) &&
                 (slot->count || !cap_has_entries(slot));
    int64_t value = stays ? 0 : cut_bindings(space, slot);
    if (!value) cut_complete(space, slot, final);
    return value;
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

/* One step of: shorten a slot to `from`, cut all below, then the slot itself. */
static struct result cut_own(struct exo_cap *slot, uint64_t from) {
    cut_shrink(slot, from);
    struct result result = cut_below(slot, false);
    if (!result.value) result.value = cut_finish(slot, EXO_SLOT_EMPTY);
    return result;
}

struct result cut_all(struct exo_cap *slot) {
    return cut_own(slot, slot->first);
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
            uint32_t next = cap_next(slot);
            slot = cap_at(slot->parent);
            slot->walk = next;
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
        slot = child;
        if (telling) continue;
        slot_mark(child, from, due);
        marked++;
    }
    return false;
}

struct result cap_revoke(uint64_t handle, uint64_t from, uint64_t due) {
    struct result result = {EXO_ESLOT, 0};
    lock_take(&tree_lock);
    struct exo_cap *slot = cap_find(arch_hart()->space, handle);
    if (!slot || EXO_CAP_STATE(slot->word) != EXO_SLOT_LIVE) goto out;
    result.value = EXO_ERANGE;
    if (from < slot->first || from > slot->first + slot->count) goto out;
    bool asks = due > arch_time(), marking = slot->pass == EXO_PASS_TELL && slot->reach == from;
    result.value = asks && marking ? 0 : walk_promises(slot, from);
    if (!result.value && asks) {
        result.value = EXO_EAGAIN;
        if (mark_below(slot, from, due)) result.detail = due;
    } else if (!result.value) {
        result = cut_below(slot, true);
        if (!result.value) slot->pass = EXO_PASS_NONE;
    }
out:
    lock_release(&tree_lock);
    return result;
}

/* Make a tombstone EMPTY.  Under TREE. */
static void drop_lost(struct exo_cap *slot) {
    struct lock *lock = arch_hart()->space_lock;
    lock_take(lock);
    cap_reset(slot, EXO_SLOT_EMPTY);
    lock_release(lock);
}

static struct result drop_step(struct exo_cap *slot, uint64_t from) {
    uint64_t state = slot ? EXO_CAP_STATE(slot->word) : EXO_SLOT_EMPTY;
    if (state == EXO_SLOT_LOST) {
        drop_lost(slot);
        return answer(0);
    }
    if (state != EXO_SLOT_LIVE && state != EXO_SLOT_CUTTING) return answer(EXO_ESLOT);
    if (!slot->parent) return answer(EXO_EROOT);
    uint64_t end = slot->first + slot->count;
    if (from < slot->first || from > end) return answer(EXO_ERANGE);
    if (state == EXO_SLOT_CUTTING) { /* the cut in progress, whoever began it, comes first */
        struct result result = cut_own(slot, end);
        return result.value || from == end ? result : answer(EXO_EAGAIN);
    }
    if (from == end) return answer(0);
    int64_t value = walk_promises(slot, from);
    return value ? (struct result){value, 0} : cut_own(slot, from);
}

struct result cap_drop(uint64_t handle, uint64_t from) {
    lock_take(&tree_lock);
    struct result result = drop_step(cap_find(arch_hart()->space, handle), from);
    lock_release(&tree_lock);
    return result;
}
