/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: derive, grant and the room for them.
 *
 * Not here: taking back (cut.c).  docs/capabilities.md tells the semantics.
 */
#include "cap.h"

#include "disk.h"
#include "env.h"
#include "irq.h"
#include "slice.h"
#include "space.h"

#define QUIET_STEP 256   /* frames that one call of cap_grant looks at */
#define DERIVE_NAMES 256 /* rows or lines that one capability can be derived for */

struct exo_env *tree_take(void) {
    struct hart *hart = arch_hart();
    lock_take(&tree_lock);
    lock_take(hart->space_lock);
    return hart->space;
}

struct result tree_give(int64_t value) {
    lock_release(arch_hart()->space_lock);
    lock_release(&tree_lock);
    return answer(value);
}

struct exo_cap *cap_place(struct exo_env *space, uint64_t handle) {
    uint64_t table = (uint32_t)handle >> EXO_HANDLE_TABLE_SHIFT;
    uint64_t index = handle >> EXO_HANDLE_INDEX_SHIFT & (EXO_CAPS_SLOTS - 1);
    if (table == 0) return index < EXO_ENV_SLOTS ? &space->slot[index] : NULL;
    if (table > EXO_CAPS_FRAMES || !space->caps[table - 1] || index == 0) return NULL;
    struct exo_caps *caps = frame_pointer(space->caps[table - 1]);
    return &caps->slot[index];
}

struct exo_cap *cap_find_far(struct exo_env *space, uint64_t handle) {
    struct exo_cap *cap = cap_place(space, handle);
    return cap && cap_is_named(cap, handle) ? cap : NULL;
}

int64_t cap_refusal(uint64_t word, uint64_t class, uint64_t rights) {
    uint64_t state = EXO_CAP_STATE(word);
    if (state != EXO_SLOT_LIVE && state != EXO_SLOT_CUTTING) return EXO_ESLOT;
    if (EXO_CAP_CLASS(word) != class) return EXO_ECLASS;
    return rights & ~EXO_CAP_RIGHTS(word) ? EXO_ERIGHTS : 0;
}

uint64_t cap_handle(const struct exo_cap *cap) {
    uint64_t index = cap_link(cap);
    if (cap->word << EXO_HANDLE_GEN_SHIFT >> (EXO_HANDLE_GEN_SHIFT + EXO_HANDLE_TABLE_SHIFT) == 0)
        index -= offsetof(struct exo_env, slot) >> EXO_CAP_SHIFT;
    return EXO_CAP_HANDLE(cap->word, index);
}

struct exo_env *cap_home(const struct exo_cap *cap) {
    uint64_t frame = frame_of(cap);
    if (frame_type(frame) == EXO_FRAME_ENV) return env_at(frame);
    return env_at(read_once(*frame_state(frame)) & FRAME_NUMBER_MASK);
}

bool cap_is_doubled(const struct exo_cap *cap) {
    const struct exo_cap *parent = cap_at(cap->parent);
    uint64_t class = EXO_CAP_CLASS(cap->word);
    /* The parent of a first ENV capability is a donation, which gives nobody use of it. */
    return class_is_shared(class) && class == EXO_CAP_CLASS(parent->word) &&
           cap_home(cap) == cap_home(parent);
}

bool cap_is_fillable(const struct exo_cap *cap) {
    return cap && EXO_CAP_STATE(cap->word) == EXO_SLOT_EMPTY &&
           cap->word >> EXO_HANDLE_GEN_SHIFT < EXO_HANDLE_GEN_MAX - 1;
}

void cap_reset(struct exo_cap *cap, uint64_t use) {
    uint64_t place = cap->word >> EXO_CAP_PLACE_SHIFT << EXO_CAP_PLACE_SHIFT;
    *cap = (struct exo_cap){.word = (place + (1ul << EXO_HANDLE_GEN_SHIFT)) | use};
}

void cap_adopt(struct exo_cap *parent, struct exo_cap *cap, uint64_t class, uint64_t rights) {
    uint32_t link = cap_link(cap);
    cap_reset(cap, EXO_SLOT_LIVE | class << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT);
    cap->depth = (uint8_t)(parent->depth + 1);
    cap->parent = cap_link(parent);
    cap->prev = link; /* of an only child, which comes before itself */
    if (!parent->child) parent->child = link;
    struct exo_cap *first = cap_at(parent->child);
    cap->next = parent->child;
    cap->prev = first->prev;
    cap_at(cap->prev)->next = link;
    first->prev = link;
    /* The new child may reach past a walk's end, and may bind what a scan has passed. */
    parent->pass = EXO_PASS_NONE;
    parent->cursor = 0;
}

void cap_donate(struct exo_cap *from, struct exo_cap *donation, uint64_t frame) {
    cap_adopt(from, donation, EXO_CLASS_DONATION, EXO_ENV_CALL | EXO_ENV_NOTIFY | EXO_ENV_CONTROL);
    donation->first = frame;
    donation->count = 1;
}

uint32_t cap_next(const struct exo_cap *cap) {
    return cap->next == cap_at(cap->parent)->child ? 0 : cap->next;
}

void cap_orphan(struct exo_cap *cap) {
    struct exo_cap *parent = cap_at(cap->parent);
    uint32_t link = cap_link(cap);
    if (parent->walk == link) parent->walk = cap_next(cap);
    if (parent->child == link) parent->child = cap->next == link ? 0 : cap->next;
    cap_at(cap->prev)->next = cap->next;
    cap_at(cap->next)->prev = cap->prev;
}

/* Where an exclusive name's holder is kept. */
static uint32_t *name_holder(const struct exo_cap *cap, uint64_t name) {
    switch (EXO_CAP_CLASS(cap->word)) {
    case EXO_CLASS_SLICE: return &slice_rows[name].holder;
    case EXO_CLASS_IRQ: return &lines[name].holder;
    default: return &disks[EXO_BLOCK_DISK(cap->extra)].facts->entry[name].holder;
    }
}

void cap_index(const struct exo_cap *cap, struct names names, uint32_t holder) {
    for (uint64_t name = names.first; name < names.end; name++)
        write_once(*name_holder(cap, name), holder);
}

/* Are all these names the slot's own, not lent? */
static bool cap_holds(const struct exo_cap *cap, struct names names) {
    for (uint64_t name = names.first; name < names.end; name++)
        if (*name_holder(cap, name) != cap_link(cap)) return false;
    return true;
}

/* ---- cap_derive ---- */

/* The environment with this ENV frame and generation, or NULL. */
static struct exo_env *env_exact(uint64_t frame, uint64_t generation) {
    struct exo_env *env = env_named(frame);
    return env && env->gen == generation ? env : NULL;
}

/* Open a slot for the environment with this ENV frame and generation, or close it (frame 0). */
static int64_t cap_open(struct exo_cap *cap, uint64_t frame, uint64_t generation) {
    if (frame ? !cap_is_fillable(cap) : !cap || EXO_CAP_STATE(cap->word) != EXO_SLOT_OPEN)
        return EXO_ESLOT;
    if (frame && !env_exact(frame, generation)) return EXO_EENV;
    cap_reset(cap, frame ? EXO_SLOT_OPEN : EXO_SLOT_EMPTY);
    cap->extra = frame;
    cap->match = frame ? generation : 0;
    return frame ? (int64_t)cap_handle(cap) : 0;
}

/* Can the slot lend these exclusive names?  Entries of a disk, only while none of its own is in use. */
static int64_t derive_names(const struct exo_cap *from, struct names names, uint64_t extra) {
    if (EXO_CAP_CLASS(from->word) == EXO_CLASS_BLOCK && extra) {
        if (extra >> 32 || names.first < EXO_BLOCK_ENTRY(from->extra) ||
            names.end > EXO_BLOCK_ENTRY_END(from->extra))
            return EXO_ERANGE;
        bool used = from->match || requests_use(arch_hart()->space, from, false);
        if (names.first < names.end && used) return EXO_EBUSY;
    }
    return cap_holds(from, names) ? 0 : EXO_EOVERLAP;
}

static int64_t derive_check(const struct exo_cap *from, const struct exo_cap *into, uint64_t first,
                            uint64_t count, uint64_t rights, uint64_t keep, uint64_t extra) {
    if (!from || EXO_CAP_STATE(from->word) != EXO_SLOT_LIVE || !cap_is_fillable(into))
        return EXO_ESLOT;
    uint64_t class = EXO_CAP_CLASS(from->word);
    if (count == 0 || !cap_covers(from, first, count)) return EXO_ERANGE;
    struct names names = names_of(class, first, first + count, extra);
    if (names.end - names.first > DERIVE_NAMES) return EXO_ERANGE;
    if (rights == 0 || rights & ~EXO_CAP_RIGHTS(from->word)) return EXO_ERIGHTS;
    if (class == EXO_CLASS_ENV && extra & ~from->extra) return EXO_ERIGHTS;
    if (from->depth >= EXO_DEPTH_MAX) return EXO_EDEPTH;
    if (keep > count || (keep && first + keep > from->first + from->keep)) return EXO_EKEEP;
    return derive_names(from, names, extra);
}

struct result cap_derive(uint64_t slot, uint64_t into, uint64_t first, uint64_t count,
                         uint64_t rights, uint64_t keep, uint64_t extra) {
    struct exo_env *space = tree_take();
    struct exo_cap *to = cap_place(space, into);
    if (slot == EXO_NONE) return tree_give(cap_open(to, first, count));
    struct exo_cap *from = cap_find(space, slot);
    int64_t error = derive_check(from, to, first, count, rights, keep, extra);
    if (error) return tree_give(error);
    // LAB 4: BEGIN
    uint64_t class = EXO_CAP_CLASS(from->word);
    cap_adopt(from, to, class, rights);
    to->first = first;
    to->count = count;
    to->keep = keep;
    if (class == EXO_CLASS_ENV) {
        to->extra = extra;
        to->match = from->match;
    } else if (class == EXO_CLASS_BLOCK) {
        to->extra = extra | EXO_BLOCK_DISK(from->extra) << 32;
    }
    cap_index(to, names_of(class, first, first + count, extra), cap_link(to));
    // LAB 4: END
    return tree_give((int64_t)cap_handle(to));
}

/* ---- cap_grant ---- */

/*
 * QUIET: does no binding of the giver depend on the slot?  0, BUSY, or AGAIN
 * after a bounded step.  Any new binding through the slot sets `cursor` to 0.
 */
static int64_t grant_quiet(const struct exo_env *space, struct exo_cap *cap) {
    const struct exo_cap *parent = cap_at(cap->parent);
    uint64_t class = EXO_CAP_CLASS(cap->word);
    bool stays = cap_is_doubled(cap) && cap_end(cap) <= parent->first + parent->count;
    if (class == EXO_CLASS_BLOCK)
        return cap->match || requests_use(space, cap, !stays) ? EXO_EBUSY : 0;
    if (stays) return 0;
    if (class == EXO_CLASS_PAGE) {
        uint64_t left = cap->count - cap->cursor;
        uint64_t step = left < QUIET_STEP ? left : QUIET_STEP;
        if (!frames_quiet(cap->first + cap->cursor, step)) return EXO_EBUSY;
        cap->cursor += step;
        return cap->cursor < cap->count ? EXO_EAGAIN : 0;
    }
    /* Mappings of registers are not counted, so nobody knows whether there are any. */
    bool bound = class == EXO_CLASS_DEVICE ||
                 (class == EXO_CLASS_IRQ && lines_bound(cap->first, cap->count));
    for (uint64_t row = cap->first; class == EXO_CLASS_SLICE && row < cap_end(cap); row++)
        bound |= slice_rows[row].env != 0;
    return bound ? EXO_EBUSY : 0;
}

static int64_t grant_check(const struct exo_env *space, const struct exo_cap *from,
                           const struct exo_env *receiver, const struct exo_cap *into,
                           bool control) {
    if (!from || EXO_CAP_STATE(from->word) != EXO_SLOT_LIVE) return EXO_ESLOT;
    if (!from->parent) return EXO_EROOT;
    if (from->child) return EXO_ECHILDREN;
    if (!into || into == from) return EXO_ESLOT;
    if (EXO_CAP_STATE(into->word) == EXO_SLOT_OPEN) {
        const struct exo_env *open_for = env_exact(into->extra, into->match);
        return open_for && env_leader(open_for) == space ? 0 : EXO_ENOTOPEN;
    }
    if (!cap_is_fillable(into)) return EXO_ESLOT;
    return env_leader(receiver) == space || control ? 0 : EXO_ENOTOPEN;
}

/* Move an entry, with its place in the tree, from one slot to another.  Returns the new handle. */
static int64_t cap_move(struct exo_cap *from, struct exo_cap *to) {
    struct exo_cap *parent = cap_at(from->parent);
    struct exo_cap *before = cap_at(from->prev), *after = cap_at(from->next);
    uint32_t old = cap_link(from), new = cap_link(to);
    before->next = after->prev = new; /* of an only child its own, which `to` gets */
    cap_reset(to, from->word & ((1ul << EXO_CAP_PLACE_SHIFT) - 1));
    uint64_t word = to->word;
    *to = *from;
    to->word = word;
    to->cursor = 0;
    to->pass = EXO_PASS_NONE;
    if (parent->child == old) parent->child = new;
    if (parent->walk == old) parent->walk = new;
    if (EXO_CAP_CLASS(parent->word) == EXO_CLASS_DONATION) env_at(to->first)->first_cap = new;
    cap_index(to, names_of(EXO_CAP_CLASS(word), to->first, cap_end(to), to->extra), new);
    cap_reset(from, EXO_SLOT_EMPTY);
    return (int64_t)cap_handle(to);
}

/*
 * The receiver of a grant, if it is not the caller: through an ENV capability of
 * the space, or by name.  Sets *control if that capability has CONTROL.
 */
static int64_t grant_receiver(struct hart *hart, uint64_t env, uint64_t frame, uint64_t generation,
                              struct exo_env **receiver, bool *control) {
    if (env != EXO_NONE) {
        const struct exo_cap *cap = cap_find(hart->space, env);
        int64_t error = env_check(cap, 0);
        if (error) return error;
        *control = EXO_CAP_RIGHTS(cap->word) & EXO_ENV_CONTROL;
        *receiver = env_at(cap->first);
    } else if (frame) {
        if (!env_exact(frame, generation)) return EXO_EENV;
        *receiver = env_at(frame);
    }
    return env_is_dying(*receiver) ? EXO_EDYING : 0;
}

struct result cap_grant(uint64_t slot, uint64_t env, uint64_t into, uint64_t frame,
                        uint64_t generation) {
    struct hart *hart = arch_hart();
    struct exo_env *receiver = hart->env;
    bool control = false;
    lock_take(&tree_lock);
    int64_t value = grant_receiver(hart, env, frame, generation, &receiver, &control);
    struct exo_env *target = env_leader(receiver);
    struct lock *target_lock = space_lock(target);
    lock_take_pair(hart->space_lock, target_lock);
    struct exo_cap *from = cap_find(hart->space, slot);
    struct exo_cap *to = cap_place(target, into);
    if (!value) value = grant_check(hart->space, from, receiver, to, control);
    if (!value) value = grant_quiet(hart->space, from);
    if (!value) value = cap_move(from, to);
    lock_release_pair(hart->space_lock, target_lock);
    lock_release(&tree_lock);
    return answer(value);
}

/* ---- caps_add, caps_del ---- */

/* The first entry of caps[] with this frame (0: a hole), or EXO_CAPS_FRAMES. */
static uint64_t caps_find(const struct exo_env *space, uint64_t frame) {
    uint64_t entry = 0;
    while (entry < EXO_CAPS_FRAMES && space->caps[entry] != frame) entry++;
    return entry;
}

static int64_t caps_check(const struct exo_cap *cap, uint64_t frame, uint64_t hole) {
    int64_t error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return error;
    if (!cap_covers(cap, frame, 1)) return EXO_ERANGE;
    if (cap->depth >= EXO_DEPTH_MAX) return EXO_EDEPTH;
    if (hole == EXO_CAPS_FRAMES) return EXO_EFULL;
    return frame_claim(frame, EXO_FRAME_CAPS) ? 0 : EXO_EBUSY;
}

struct result caps_add(uint64_t slot, uint64_t frame) {
    struct exo_env *space = tree_take();
    struct exo_cap *cap = cap_find(space, slot);
    uint64_t hole = caps_find(space, 0);
    int64_t error = caps_check(cap, frame, hole);
    if (error) return tree_give(error);
    struct exo_caps *caps = frame_pointer(frame);
    arch_frame_clear(caps);
    write_once(*frame_state(frame), (uint64_t)EXO_TAG_CAPS << EXO_TAG_SHIFT | space->frame);
    cap_donate(cap, &caps->slot[0], frame);
    caps->slot[0].extra = ++space->caps_donated;
    for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++) {
        uint64_t place = EXO_HANDLE(hole + 1, index) >> EXO_CAP_PLACE_SHIFT << EXO_CAP_PLACE_SHIFT;
        caps->slot[index].word = space->caps_gen << EXO_HANDLE_GEN_SHIFT | place;
    }
    space->caps[hole] = frame;
    if (space->caps_count <= hole) space->caps_count = hole + 1;
    return tree_give((int64_t)hole + 1);
}

void caps_remove(struct exo_env *space, uint64_t frame) {
    struct exo_caps *caps = frame_pointer(frame);
    /* The next table at this place begins where this one ends, so that no old handle fits. */
    for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++) {
        uint64_t generation = caps->slot[index].word >> EXO_HANDLE_GEN_SHIFT;
        if (space->caps_gen < generation) space->caps_gen = generation;
    }
    space->caps[caps_find(space, frame)] = 0;
    while (space->caps_count && !space->caps[space->caps_count - 1]) space->caps_count--;
    cap_orphan(&caps->slot[0]);
    frame_release(frame);
}

struct result caps_del(uint64_t frame) {
    struct exo_env *space = tree_take();
    if (!frame || caps_find(space, frame) == EXO_CAPS_FRAMES) return tree_give(EXO_ERANGE);
    const struct exo_caps *caps = frame_pointer(frame);
    for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++)
        if (EXO_CAP_STATE(caps->slot[index].word) != EXO_SLOT_EMPTY) return tree_give(EXO_EBUSY);
    caps_remove(space, frame);
    return tree_give(0);
}
