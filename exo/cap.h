/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: slots, and the tree that they form.
 *
 * A slot's words change only under TREE and the SPACE lock of the space that
 * holds it, so either lock makes them stable: the calls of the hot path look a
 * slot up under SPACE, the calls that shape the tree hold TREE.  Links, `walk`,
 * `pass` and `reach` are TREE's alone.  `cursor` is written under SPACE.
 */
#pragma once
#include "frame.h"

static inline struct exo_cap *cap_at(uint32_t link) {
    return arch_pointer((uint64_t)link << EXO_CAP_SHIFT);
}

static inline uint32_t cap_link(const struct exo_cap *cap) {
    return (uint32_t)(arch_address(cap) >> EXO_CAP_SHIFT);
}

/* One name past the last, those being cut included. */
static inline uint64_t cap_end(const struct exo_cap *cap) {
    return cap->first + cap->count + cap->tail;
}

/* Is [first, first + count) in the usable names, without overflow?  `count` is not 0. */
static inline bool cap_covers(const struct exo_cap *cap, uint64_t first, uint64_t count) {
    uint64_t offset = first - cap->first;
    return offset < cap->count && count <= cap->count - offset;
}

/* The parent keeps its own use of names of these classes. */
static inline bool class_is_shared(uint64_t class) {
    return class != EXO_CLASS_SLICE && class != EXO_CLASS_IRQ;
}

/* Names that only one slot holds: rows, lines, or the ring entries of a BLOCK slot. */
struct names {
    uint64_t first;
    uint64_t end;
};
static inline struct names names_of(uint64_t class, uint64_t first, uint64_t end, uint64_t extra) {
    if (class == EXO_CLASS_BLOCK)
        return (struct names){EXO_BLOCK_ENTRY(extra), EXO_BLOCK_ENTRY_END(extra)};
    return (struct names){first, class_is_shared(class) ? first : end};
}

static inline bool cap_has_entries(const struct exo_cap *cap) {
    struct names names = names_of(EXO_CAP_CLASS(cap->word), 0, 0, cap->extra);
    return names.first < names.end;
}

/* Take TREE and the SPACE lock of the caller's space, which is returned. */
struct exo_env *tree_take(void);

/* Release both, with the answer of the call. */
struct result tree_give(int64_t value);

/* The slot at a handle's place in this space's table, of any generation; NULL if there is none. */
struct exo_cap *cap_place(struct exo_env *space, uint64_t handle);

/* cap_find for slots beyond the ENV frame's own. */
struct exo_cap *cap_find_far(struct exo_env *space, uint64_t handle);

/* The slot at the handle's index, if it is one of the ENV frame's own. */
static inline struct exo_cap *cap_near(struct exo_env *space, uint64_t handle) {
    /* Shifting the frame and not the slot lets the loads that follow have the sum as their offset. */
    char *shifted = (char *)space + (handle & (EXO_ENV_SLOTS - 1) << EXO_HANDLE_INDEX_SHIFT);
    return ((struct exo_env *)shifted)->slot;
}

static inline bool cap_is_named(const struct exo_cap *cap, uint64_t handle) {
    return (cap->word ^ handle) >> EXO_CAP_PLACE_SHIFT == 0;
}

/* The slot that a handle names, in any state; NULL if its generation is another. */
static inline struct exo_cap *cap_find(struct exo_env *space, uint64_t handle) {
    struct exo_cap *cap = cap_near(space, handle);
    return likely(cap_is_named(cap, handle)) ? cap : cap_find_far(space, handle);
}

/* Why a slot word cannot be used so: SLOT, CLASS or RIGHTS. */
int64_t cap_refusal(uint64_t word, uint64_t class, uint64_t rights);

/* Is it the slot of the handle, and usable as `class` with `rights`?  See cap_check. */
static inline bool cap_suits(const struct exo_cap *cap, uint64_t handle, uint64_t class,
                             uint64_t rights) {
    uint64_t mask = 6 | 15 << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    uint64_t want = EXO_SLOT_LIVE | class << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    return cap_is_named(cap, handle) && (cap->word & mask) == want;
}

/*
 * USE: may this slot's names be used as `class` with `rights`?  LIVE and
 * CUTTING slots may (they differ in bit 0).  Returns 0, SLOT, CLASS or RIGHTS.
 */
static inline int64_t cap_check(const struct exo_cap *cap, uint64_t class, uint64_t rights) {
    uint64_t mask = 6 | 15 << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    uint64_t want = EXO_SLOT_LIVE | class << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    if (likely(cap && (cap->word & mask) == want)) return 0;
    return cap ? cap_refusal(cap->word, class, rights) : EXO_ESLOT;
}

/* The handle of a slot as it is now. */
uint64_t cap_handle(const struct exo_cap *cap);

/*
 * The environment in whose ENV or CAPS frame this slot is: the leader of the
 * space that holds it.  Of a donation the one that it was made to.
 */
struct exo_env *cap_home(const struct exo_cap *cap);

/* Has its space the slot's names through the parent too, which keeps its own use of them? */
bool cap_is_doubled(const struct exo_cap *cap);

/* Is there a slot that can be filled: EMPTY, with a generation left? */
bool cap_is_fillable(const struct exo_cap *cap);

/* Give a slot the next generation, with this state, class and rights; everything else becomes 0. */
void cap_reset(struct exo_cap *cap, uint64_t use);

/*
 * Make `cap` a LIVE child of `parent`, last in its ring.  The caller fills in
 * the names.  Under TREE and the SPACE locks of both.
 */
void cap_adopt(struct exo_cap *parent, struct exo_cap *cap, uint64_t class, uint64_t rights);

/* Record the donation of a frame through the slot `from`: a child that lies in the frame itself. */
void cap_donate(struct exo_cap *from, struct exo_cap *donation, uint64_t frame);

/* Take a slot without children out of its parent's ring, and the parent's walk past it. */
void cap_orphan(struct exo_cap *cap);

/* The next sibling's link, 0 after the last. */
uint32_t cap_next(const struct exo_cap *cap);

/* Exclusive names of the slot's class lie under this holder (a slot's link) from now on. */
void cap_index(const struct exo_cap *cap, struct names names, uint32_t holder);

/* Free a CAPS frame of this space, whose slots are all EMPTY.  Under TREE and SPACE. */
void caps_remove(struct exo_env *space, uint64_t frame);

/* Calls: docs/abi.md. */
struct result cap_derive(uint64_t slot, uint64_t into, uint64_t first, uint64_t count,
                         uint64_t rights, uint64_t keep, uint64_t extra);
struct result cap_grant(uint64_t slot, uint64_t env, uint64_t into, uint64_t frame,
                        uint64_t generation);
struct result caps_add(uint64_t slot, uint64_t frame);
struct result caps_del(uint64_t frame);
