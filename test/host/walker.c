/* SPDX-License-Identifier: MIT */
/*
 * The walker of the invariants (see walker.h).
 *
 * It believes no count and no link: mappings, tables, slots, donations and
 * rows are found by walking from what cannot be wrong, the frame types, and
 * then compared with what the kernel wrote down.  The numbers of the
 * invariants are those of docs/design.md.
 */
#include "walker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cap.h"
#include "disk.h"
#include "env.h"
#include "host.h"
#include "irq.h"
#include "slice.h"
#include "space.h"

#define SLOTS_A_FRAME (EXO_FRAME_BYTES / sizeof(struct exo_cap))
#define ENV_FIRST_SLOT (offsetof(struct exo_env, slot) / sizeof(struct exo_cap))
#define ENV_DONATION (offsetof(struct exo_env, donation) / sizeof(struct exo_cap))
#define PTE_KNOWN_BITS 0x3ffffffffffffful /* frame number and flags; what lies above is never set */
#define PTE_G 0x20ul
#define BORROW_COST 8 /* an urgent row pays the announcement's time / this for interrupting */

/* What the walk has found, to be compared with the frame table. */
struct found {
    uint32_t maps;
    uint16_t leaves; /* of the group that begins here */
    uint16_t slots;  /* of this frame that some ring reached: counted up to 27 or 32 */
    uint32_t pins;   /* of requests in flight */
    bool table;      /* reached from a root */
    bool caps;       /* in the caps[] of its space */
};

static struct found *found;
static uint64_t found_count;
static char message[256];

/* Every check ends the walk at the first thing that is wrong. */
static bool wrong(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    return false;
}

#define SURE(condition, ...)                         \
    do {                                             \
        if (!(condition)) return wrong(__VA_ARGS__); \
    } while (0)

static struct found *found_at(uint64_t frame) { return &found[frame - ram_first]; }

static uint64_t frame_tag(uint64_t frame) { return *frame_state(frame) >> EXO_TAG_SHIFT; }

static uint64_t frame_owner(uint64_t frame) { return *frame_state(frame) & FRAME_NUMBER_MASK; }

static bool frame_is(uint64_t frame, uint64_t type) {
    return frame_exists(frame) && frame_type(frame) == type;
}

/* ---- slots ---- */

/* Can a slot be at this link at all? */
static bool link_is_slot(uint64_t link) {
    uint64_t frame = link / SLOTS_A_FRAME, index = link % SLOTS_A_FRAME;
    if (frame_is(frame, EXO_FRAME_CAPS)) return true;
    if (frame_is(frame, EXO_FRAME_QUEUE)) return index < 2; /* its donations */
    return frame_is(frame, EXO_FRAME_ENV) && index >= ENV_FIRST_SLOT && index < ENV_DONATION + 3;
}

static bool slot_is_used(const struct exo_cap *cap) {
    uint64_t state = EXO_CAP_STATE(cap->word);
    return state == EXO_SLOT_LIVE || state == EXO_SLOT_CUTTING;
}

/* The leader of the space whose table has the slot, found without the slot's own words. */
static struct exo_env *slot_space(const struct exo_cap *cap) {
    uint64_t frame = frame_of(cap);
    return env_at(frame_type(frame) == EXO_FRAME_CAPS ? frame_owner(frame) : frame);
}

static bool is_donation(const struct exo_cap *cap) {
    return EXO_CAP_CLASS(cap->word) == EXO_CLASS_DONATION;
}

/* Does a slot of this space, its tails included, have these names with these rights? */
static bool space_has(const struct exo_env *space, uint64_t class, uint64_t first, uint64_t count,
                      uint64_t rights) {
    for (uint64_t table = 0; table <= EXO_CAPS_FRAMES; table++) {
        if (table && !space->caps[table - 1]) continue;
        const struct exo_cap *slots =
            table ? ((struct exo_caps *)frame_pointer(space->caps[table - 1]))->slot : space->slot;
        uint64_t end = table ? EXO_CAPS_SLOTS : EXO_ENV_SLOTS;
        for (uint64_t i = table ? 1 : 0; i < end; i++) {
            const struct exo_cap *cap = &slots[i];
            /* A slot that a cut takes whole has no rights any more, and its bindings go one by one. */
            if (slot_is_used(cap) && EXO_CAP_CLASS(cap->word) == class && cap->first <= first &&
                first + count <= cap_end(cap) &&
                (!cap->count || !(rights & ~EXO_CAP_RIGHTS(cap->word))))
                return true;
        }
    }
    return false;
}

static bool child_check(const struct exo_cap *parent, const struct exo_cap *child) {
    uint32_t link = cap_link(child);
    SURE(slot_is_used(child), "2: child 0x%x is not in use", link);
    SURE(child->parent == cap_link(parent), "2: child 0x%x has another parent", link);
    SURE(child->first >= parent->first && cap_end(child) <= cap_end(parent),
         "2: child 0x%x has names outside its parent", link);
    SURE(child->depth == parent->depth + 1 && child->depth <= EXO_DEPTH_MAX, "2: depth of 0x%x",
         link);
    if (is_donation(child)) {
        SURE(EXO_CAP_CLASS(parent->word) == EXO_CLASS_PAGE, "2: 0x%x is no donation of a frame",
             link);
        return true;
    }
    SURE(is_donation(parent) ? EXO_CAP_CLASS(child->word) == EXO_CLASS_ENV
                             : EXO_CAP_CLASS(child->word) == EXO_CAP_CLASS(parent->word),
         "2: class of 0x%x", link);
    SURE(!parent->count || !(EXO_CAP_RIGHTS(child->word) & ~EXO_CAP_RIGHTS(parent->word)),
         "2: rights of 0x%x", link);
    if (!is_donation(parent)) {
        SURE(EXO_CAP_CLASS(child->word) == EXO_CLASS_BLOCK || !(child->extra & ~parent->extra),
             "2: event bits of 0x%x", link);
        if (EXO_CAP_CLASS(child->word) == EXO_CLASS_BLOCK)
            SURE(EXO_BLOCK_DISK(child->extra) == EXO_BLOCK_DISK(parent->extra) &&
                     (!cap_has_entries(child) ||
                      (EXO_BLOCK_ENTRY(child->extra) >= EXO_BLOCK_ENTRY(parent->extra) &&
                       EXO_BLOCK_ENTRY_END(child->extra) <= EXO_BLOCK_ENTRY_END(parent->extra))),
                 "2: entries of 0x%x", link);
        SURE(child->keep == 0 || EXO_CAP_STATE(parent->word) == EXO_SLOT_CUTTING ||
                 child->first + child->keep <= parent->first + parent->keep,
             "2: promise of 0x%x", link);
    }
    return true;
}

static bool children_check(const struct exo_cap *parent) {
    uint32_t link = parent->child, previous = 0;
    bool walk_seen = parent->walk == 0;
    if (!link) return true;
    for (uint64_t count = 0;; count++) {
        SURE(count < 100000, "2: the children of 0x%x are no ring", cap_link(parent));
        SURE(link_is_slot(link), "2: link 0x%x is to no slot", link);
        const struct exo_cap *child = cap_at(link);
        SURE(!previous || child->prev == previous, "2: links of 0x%x", link);
        found_at(link / SLOTS_A_FRAME)->slots++;
        if (!child_check(parent, child)) return false;
        if (!class_is_shared(EXO_CAP_CLASS(parent->word)))
            for (uint32_t other = child->next; other != parent->child; other = cap_at(other)->next)
                SURE(link_is_slot(other) && (cap_at(other)->first >= cap_end(child) ||
                                             cap_end(cap_at(other)) <= child->first),
                     "2: rows of 0x%x are its sibling's", link);
        walk_seen = walk_seen || parent->walk == link;
        previous = link;
        link = child->next;
        if (link == parent->child) break;
    }
    SURE(cap_at(parent->child)->prev == previous, "2: the ring of 0x%x", cap_link(parent));
    SURE(walk_seen || parent->pass == EXO_PASS_NONE, "2: the walk of 0x%x is at no child",
         cap_link(parent));
    return true;
}

static bool env_slot_check(const struct exo_cap *cap) {
    uint32_t link = cap_link(cap);
    SURE(frame_is(cap->first, EXO_FRAME_ENV), "7: slot 0x%x names a dead environment", link);
    const struct exo_env *env = env_at(cap->first);
    SURE(cap->match == env_word(env->gen, EXO_STATE_READY),
         "7: slot 0x%x names another environment", link);
    bool first = cap->parent == cap_link(&env->donation[0]);
    SURE((env->first_cap == link) == first, "2: 0x%x and the first capability of 0x%lx", link,
         env->frame);
    return true;
}

static bool slot_check(const struct exo_cap *cap, uint64_t place) {
    uint32_t link = cap_link(cap);
    uint64_t state = EXO_CAP_STATE(cap->word);
    SURE((uint32_t)cap->word >> EXO_CAP_PLACE_SHIFT == place >> EXO_CAP_PLACE_SHIFT,
         "2: place of slot 0x%x", link);
    SURE(state <= EXO_SLOT_LOST && !(cap->word >> 63), "2: state of slot 0x%x", link);
    if (!slot_is_used(cap)) {
        SURE(!cap->child && !cap->parent && !EXO_CAP_CLASS(cap->word) && !cap->count && !cap->tail,
             "2: slot 0x%x holds something and is in state %lu", link, state);
        return true;
    }
    SURE(state == EXO_SLOT_LIVE ? !cap->tail && cap->count : true, "2: names of LIVE slot 0x%x",
         link);
    SURE(cap->keep <= cap->count, "2: promise of 0x%x", link);
    SURE(!EXO_CAP_RIGHTS(cap->word) == !cap->count, "2: rights of slot 0x%x", link);
    SURE(cap_end(cap) >= cap->first, "2: names of 0x%x wrap", link);
    if (cap->parent)
        SURE(link_is_slot(cap->parent), "2: slot 0x%x has no parent", link);
    else
        SURE(cap->depth == 0 && slot_space(cap)->frame == info->init_env, "2: 0x%x is no root",
             link);
    if (EXO_CAP_CLASS(cap->word) == EXO_CLASS_ENV && !env_slot_check(cap)) return false;
    return children_check(cap);
}

/* A donated frame's child entry, in the frame itself or in the ENV frame of its environment. */
static bool donation_check(const struct exo_cap *cap, uint64_t frame) {
    uint32_t link = cap_link(cap);
    SURE(EXO_CAP_STATE(cap->word) == EXO_SLOT_LIVE && is_donation(cap), "3: donation 0x%x", link);
    SURE(cap->first == frame && cap->count == 1 && !cap->tail, "3: names of donation 0x%x", link);
    SURE(link_is_slot(cap->parent), "3: parent of donation 0x%x", link);
    return children_check(cap);
}

/* ---- page tables ---- */

static bool leaf_check(const struct exo_env *space, uint64_t pte, unsigned level) {
    uint64_t frame = pte_frame(pte), count = 1ul << EXO_GROUP_SHIFT * level;
    uint64_t rights = pte_rights(pte);
    SURE((pte & PTE_U) && !(pte & PTE_G) && (rights & EXO_PAGE_R), "1: leaf 0x%lx", pte);
    if (frame < ram_first) { /* registers of a device: nobody counts their mappings */
        SURE(level == 0 && space_has(space, EXO_CLASS_DEVICE, frame, 1, rights),
             "1: space 0x%lx has no slot for the registers at 0x%lx", space->frame, pte);
        return true;
    }
    SURE(frame_exists(frame) && frame % count == 0 && level < 2, "1: leaf 0x%lx at level %u", pte,
         level);
    if (frame_type(frame) != EXO_FRAME_INFO || rights != EXO_PAGE_R)
        SURE(space_has(space, EXO_CLASS_PAGE, frame, count, rights),
             "1: space 0x%lx has no slot for its leaf 0x%lx", space->frame, pte);
    if (level) {
        found_at(frame)->leaves++;
        return true;
    }
    uint64_t type = frame_type(frame);
    bool users = type == EXO_FRAME_DATA || type == EXO_FRAME_CTX || type == EXO_FRAME_RING;
    SURE(users || (rights == EXO_PAGE_R && type != EXO_FRAME_KERNEL),
         "3: leaf 0x%lx to a frame of type %lu", pte, type);
    found_at(frame)->maps++;
    return true;
}

static bool table_check(const struct exo_env *space, uint64_t table, unsigned level);

static bool pointer_check(const struct exo_env *space, uint64_t table, uint64_t index, uint64_t pte,
                          unsigned level) {
    uint64_t child = pte_frame(pte), word;
    SURE(level > 0 && pte == pte_table(child), "1: pointer 0x%lx at level %u", pte, level);
    SURE(frame_is(child, EXO_FRAME_TABLE), "3: pointer 0x%lx is to no TABLE", pte);
    SURE(!found_at(child)->table, "3: TABLE 0x%lx has two parents", child);
    word = *frame_state(child) & ~(uint64_t)(EXO_TABLE_LIVE_MASK | EXO_TABLE_CLOSING);
    SURE(word == ((uint64_t)EXO_TAG_TABLE << EXO_TAG_SHIFT |
                  (uint64_t)(level - 1) << EXO_TABLE_LEVEL_SHIFT | table << EXO_TABLE_PARENT_SHIFT |
                  index << EXO_TABLE_INDEX_SHIFT),
         "3: word 1 of TABLE 0x%lx", child);
    SURE(space_has(space, EXO_CLASS_PAGE, child, 1, EXO_PAGE_R | EXO_PAGE_W),
         "1: space 0x%lx has no slot for its TABLE 0x%lx", space->frame, child);
    return table_check(space, child, level - 1);
}

static bool table_check(const struct exo_env *space, uint64_t table, unsigned level) {
    const uint64_t *entries = frame_pointer(table);
    uint64_t live = 0;
    found_at(table)->table = true;
    if (level == 2) SURE(host_root_is_whole(entries), "3: the kernel's half of root 0x%lx", table);
    for (uint64_t i = 0; i < (level == 2 ? HOST_USER_ENTRIES : TABLE_ENTRIES); i++) {
        uint64_t pte = entries[i];
        if (pte == 0) continue;
        if (!pte_is_present(pte)) {
            SURE(!(pte & EXO_PAYLOAD_ZERO), "1: hidden entry 0x%lx in 0x%lx", pte, table);
            continue;
        }
        SURE(!(pte & ~PTE_KNOWN_BITS), "1: reserved bits of 0x%lx", pte);
        live++;
        if (!(pte_is_table(pte) ? pointer_check(space, table, i, pte, level)
                                : leaf_check(space, pte, level)))
            return false;
    }
    if (level < 2)
        SURE((*frame_state(table) & EXO_TABLE_LIVE_MASK) == live, "3: live entries of TABLE 0x%lx",
             table);
    return true;
}

/* ---- environments ---- */

static bool space_check(struct exo_env *env) {
    SURE(frame_is(env->root, EXO_FRAME_ROOT) && frame_tag(env->root) == EXO_TAG_ROOT &&
             frame_owner(env->root) == env->frame,
         "3: root of 0x%lx", env->frame);
    SURE(env->asid < info->asid_count && env->shared == (env->asid == info->asid_count - 1) &&
             env->satp == arch_satp(env->root, env->asid),
         "3: satp of 0x%lx", env->frame);
    uint64_t last = 0;
    for (uint64_t i = 0; i < EXO_CAPS_FRAMES; i++) {
        uint64_t frame = env->caps[i];
        if (!frame) continue;
        last = i + 1;
        SURE(frame_is(frame, EXO_FRAME_CAPS) && frame_tag(frame) == EXO_TAG_CAPS &&
                 frame_owner(frame) == env->frame && !found_at(frame)->caps,
             "3: CAPS frame 0x%lx of 0x%lx", frame, env->frame);
        found_at(frame)->caps = true;
        struct exo_caps *caps = frame_pointer(frame);
        if (!donation_check(&caps->slot[0], frame)) return false;
        for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++)
            if (!slot_check(&caps->slot[index], EXO_HANDLE(i + 1, index))) return false;
    }
    SURE(env->caps_count == last, "3: caps_count of 0x%lx", env->frame);
    for (uint64_t index = 0; index < EXO_ENV_SLOTS; index++)
        if (!slot_check(&env->slot[index], EXO_HANDLE(0, index))) return false;
    return table_check(env, env->root, 2) && donation_check(&env->donation[2], env->root);
}

/* A call that was made and not ended: who waits names who serves, and the other way round. */
static bool call_check(const struct exo_env *env, uint64_t word) {
    uint64_t state = env_state(word), callee = env_hart(word);
    SURE(!env->caller || word & EXO_FLAG_INCALL, "5: 0x%lx serves and is in no call", env->frame);
    SURE(state != EXO_STATE_ACCEPT || !(word & EXO_FLAG_INCALL), "5: 0x%lx accepts in a call",
         env->frame);
    SURE(word & EXO_FLAG_INCALL || state <= EXO_STATE_STOPPED || state == EXO_STATE_ACCEPT ||
             env->depth == EXO_CHAIN_MAX,
         "5: depth of 0x%lx", env->frame);
    SURE(env->depth <= EXO_CHAIN_MAX, "5: depth of 0x%lx", env->frame);
    /* One that is to stop or dies waits for nothing: its answer would be swallowed. */
    if (state != EXO_STATE_CALLING || word & (EXO_FLAG_STOP | EXO_FLAG_KILL)) return true;
    SURE(frame_is(callee, EXO_FRAME_ENV), "5: 0x%lx waits for a dead one's answer", env->frame);
    const struct exo_env *server = env_at(callee);
    SURE(server->caller == env->frame && server->caller_word == word,
         "5: 0x%lx waits for the answer of 0x%lx, which serves another", env->frame, callee);
    SURE(server->caller_ready == (env_word(env->gen, EXO_STATE_READY) | (word & EXO_FLAG_INCALL)),
         "5: what 0x%lx makes of its caller", callee);
    SURE(server->depth == env->depth - 1, "5: depth of 0x%lx", callee);
    return true;
}

static bool state_check(const struct exo_env *env, uint64_t word) {
    uint64_t state = env_state(word), hart = env_hart(word);
    SURE(state >= EXO_STATE_STOPPED && state <= EXO_STATE_CALLING, "5: state of 0x%lx", env->frame);
    SURE(state == EXO_STATE_RUN || state == EXO_STATE_CALLING || hart == 0, "5: hart of 0x%lx",
         env->frame);
    if (state == EXO_STATE_RUN)
        SURE(hart < hart_count && harts[hart]->env == env, "5: no hart runs 0x%lx", env->frame);
    return call_check(env, word);
}

static bool env_check_all(uint64_t frame) {
    struct exo_env *env = env_at(frame);
    uint64_t word = *frame_state(frame), ctx = env->ctx >> EXO_FRAME_SHIFT;
    SURE(env->frame == frame, "3: ENV frame 0x%lx", frame);
    SURE((word & ~(uint64_t)(EXO_STATE_MASK | ENV_FLAGS |
                             FRAME_NUMBER_MASK << EXO_ENV_HART_SHIFT)) == env_word(env->gen, 0),
         "5: state word of 0x%lx", frame);
    SURE(frame_is(ctx, EXO_FRAME_CTX) && frame_tag(ctx) == EXO_TAG_CTX && frame_owner(ctx) == frame,
         "3: CTX of 0x%lx", frame);
    if (!state_check(env, word)) return false;
    uint64_t leader = env->leader >> EXO_FRAME_SHIFT;
    SURE(frame_is(leader, EXO_FRAME_ENV) && env_leader(env_at(leader)) == env_at(leader) &&
             env->root == env_at(leader)->root,
         "7: the leader of 0x%lx is dead", frame);
    if (!donation_check(&env->donation[0], frame) || !donation_check(&env->donation[1], ctx))
        return false;
    if (leader == frame) return space_check(env);
    for (uint64_t i = 0; i < EXO_ENV_SLOTS; i++)
        SURE(!env->slot[i].word, "3: 0x%lx has slots and is no leader", frame);
    return true;
}

/* ---- the frame table ---- */

static bool frames_check(void) {
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) {
        uint64_t word = *frame_word(frame), type = word >> EXO_TYPE_SHIFT;
        const struct found *at = found_at(frame);
        SURE(word == (type << EXO_TYPE_SHIFT | (uint64_t)at->maps << EXO_MAP_SHIFT | at->pins),
             "3: word 0 of frame 0x%lx is 0x%lx, found %u mappings and %u pins", frame, word,
             at->maps, at->pins);
        SURE(type != EXO_FRAME_TABLE || at->table, "3: TABLE 0x%lx is in no space", frame);
        SURE(type != EXO_FRAME_CAPS || at->caps, "3: CAPS 0x%lx is in no space", frame);
        if (type == EXO_FRAME_CTX || type == EXO_FRAME_ROOT) {
            uint64_t owner = frame_owner(frame);
            SURE(frame_is(owner, EXO_FRAME_ENV) &&
                     (type == EXO_FRAME_CTX ? env_at(owner)->ctx >> EXO_FRAME_SHIFT
                                            : env_at(owner)->root) == frame,
                 "3: frame 0x%lx belongs to no environment", frame);
        }
        if (type == EXO_FRAME_DATA || type == EXO_FRAME_KERNEL || type == EXO_FRAME_INFO)
            SURE(*frame_state(frame) == 0, "3: word 1 of frame 0x%lx", frame);
    }
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame += EXO_GROUP_FRAMES) {
        uint64_t typed = 0, word = group_words[frame >> EXO_GROUP_SHIFT];
        for (uint64_t i = 0; i < EXO_GROUP_FRAMES; i++)
            typed += frame_type(frame + i) != EXO_FRAME_DATA;
        SURE(word == (typed * GROUP_TYPED_ONE | found_at(frame)->leaves),
             "3: word 0x%lx of group 0x%lx", word, frame);
        SURE(!typed || !found_at(frame)->leaves, "3: a large leaf over a typed frame of 0x%lx",
             frame);
    }
    return true;
}

/* Every slot in use that is no root was reached once, through its parent's ring. */
static bool rings_check(void) {
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) {
        uint64_t used = 0;
        if (frame_type(frame) != EXO_FRAME_ENV && frame_type(frame) != EXO_FRAME_CAPS &&
            frame_type(frame) != EXO_FRAME_QUEUE)
            continue;
        for (uint64_t index = 0; index < SLOTS_A_FRAME; index++) {
            uint32_t link = (uint32_t)(frame * SLOTS_A_FRAME + index);
            if (link_is_slot(link) && slot_is_used(cap_at(link)) && cap_at(link)->parent) used++;
        }
        SURE(found_at(frame)->slots == used, "2: %lu slots of 0x%lx have a parent, %u are a child",
             used, frame, found_at(frame)->slots);
    }
    return true;
}

/* ---- rows ---- */

static bool row_check(uint64_t row) {
    const struct exo_row *at = slice_row(row);
    SURE(link_is_slot(at->holder), "5: row %lu has no holder", row);
    const struct exo_cap *holder = cap_at((uint32_t)at->holder);
    SURE(slot_is_used(holder) && EXO_CAP_CLASS(holder->word) == EXO_CLASS_SLICE &&
             holder->first <= row && row < cap_end(holder),
         "5: the holder of row %lu does not hold it", row);
    for (uint32_t link = holder->child; link; link = cap_next(cap_at(link)))
        SURE(row < cap_at(link)->first || row >= cap_end(cap_at(link)), "5: row %lu is lent on",
             row);
    SURE(at->left <= info->row_ticks, "5: row %lu has more than its time left", row);
    if (!at->env) return true;
    SURE(frame_is(at->env, EXO_FRAME_ENV), "7: row %lu names a dead environment", row);
    const struct exo_env *env = env_at(at->env);
    SURE(at->match == env_word(env->gen, EXO_STATE_READY), "7: row %lu names another environment",
         row);
    SURE(frame_is(at->binder, EXO_FRAME_ENV) &&
             space_has(env_at(at->binder), EXO_CLASS_SLICE, row, 1,
                       EXO_SLICE_BIND | (at->flags & EXO_ROW_URGENT ? EXO_SLICE_URGENT : 0)),
         "5: row %lu is not its binder's", row);
    return true;
}

/* Every row knows the next bound one round the vector, and no more time was given out than has passed. */
static bool vector_check(const struct hart *hart) {
    uint64_t next = 0, time = 0;
    for (uint64_t i = 2 * EXO_ROWS; i-- > 0;) {
        const struct exo_row *row = &hart->rows[i % EXO_ROWS];
        if (i < EXO_ROWS) {
            SURE(row->next == next, "5: after row %lu of hart %lu comes %u, not %lu", i,
                 hart->index, row->next, next);
            time += row->time;
        }
        if (row->env) next = i % EXO_ROWS;
    }
    SURE(hart->since <= host_time, "5: hart %lu has charged time to come", hart->index);
    SURE(!time || time <= hart->since - HOST_TIME_START,
         "5: hart %lu gave out %lu ticks and has charged up to %lu", hart->index, time,
         hart->since);
    return true;
}

/* What an environment keeps of its rows. */
static bool env_rows_check(const struct exo_env *env) {
    for (uint64_t index = 0; index < EXO_HARTS_MAX; index++) {
        uint64_t count = 0, urgent = 0;
        for (uint64_t row = 0; index < hart_count && row < EXO_ROWS; row++) {
            if (harts[index]->rows[row].env != env->frame) continue;
            count++;
            urgent |= harts[index]->rows[row].flags & EXO_ROW_URGENT;
        }
        SURE(env->row_count[index] == count, "5: 0x%lx counts %u rows of hart %lu, not %lu",
             env->frame, env->row_count[index], index, count);
        SURE((env->rows >> index & 1) == (count > 0), "5: 0x%lx does not know its rows of hart %lu",
             env->frame, index);
        SURE(!urgent || env->urgent >> index & 1, "5: 0x%lx does not know its urgent row of %lu",
             env->frame, index);
        SURE(count || !(env->urgent >> index & 1), "5: 0x%lx has no urgent row of hart %lu",
             env->frame, index);
    }
    return true;
}

/* The environment that a row could run now, itself or at the end of its chain of calls; 0: none. */
static uint64_t row_runnable(const struct exo_row *row) {
    uint64_t frame = row->env, caller = 0;
    for (unsigned i = 0; frame && i <= EXO_CHAIN_MAX; i++) {
        uint64_t word = *frame_state(frame);
        const struct exo_env *env = env_at(frame);
        if (caller && env->caller != caller) return 0;
        if (word & (EXO_FLAG_STOP | EXO_FLAG_KILL)) return 0;
        if (env_state(word) == EXO_STATE_READY) return env_is_dying(env) ? 0 : frame;
        if (env_state(word) != EXO_STATE_CALLING) return 0;
        caller = frame;
        frame = env_hart(word);
    }
    return 0;
}

/* ---- who sleeps, and who must wake it ---- */

/* No kernel is half-way through something. */
static bool machine_is_quiet(void) {
    for (uint64_t hart = 0; hart < hart_count; hart++)
        if (host_models[hart].state != HOST_PROGRAM && host_models[hart].state != HOST_IDLE)
            return false;
    return true;
}

static bool sleeper_check(const struct exo_env *env) {
    uint64_t word = *frame_state(env->frame), deadline = env->deadline;
    bool waits = env_sleeps(word, EXO_STATE_WAIT), calls = env_sleeps(word, EXO_STATE_CALLING);
    SURE(!waits || !(env->events & env->mask), "6: 0x%lx sleeps and its events are set",
         env->frame);
    if ((!waits && !calls) || deadline == EXO_NEVER || !env->rows) return true;
    for (uint64_t index = 0; index < hart_count; index++) {
        const struct host_model *model = &host_models[index];
        if (!(env->rows >> index & 1) || harts[index]->deadline > deadline) continue;
        if (model->ipi || model->timer <= deadline) return true;
    }
    return wrong("6: nobody watches the deadline of 0x%lx", env->frame);
}

/* Whose time it is, and until when. */
static bool slice_check(const struct hart *hart) {
    uint64_t start = hart->since, left = hart->running ? hart->running->left : 0;
    if (host_models[hart->index].state != HOST_PROGRAM) return true;
    SURE(hart->row >= hart->rows && hart->row < hart->rows + EXO_ROWS &&
             hart->running >= hart->rows && hart->running < hart->rows + EXO_ROWS,
         "5: rows of hart %lu", hart->index);
    /* A row that was bound anew has no credit, but may be what still runs here. */
    if (hart->borrows)
        SURE(hart->until <= start + info->row_ticks && (!left || hart->until == start + left),
             "5: hart %lu lends more than its urgent row has left", hart->index);
    else
        SURE(hart->until == hart->end, "5: hart %lu does not stop at its row's end", hart->index);
    return true;
}

/* A hart that was told nothing more has the right thing to do. */
static bool choice_check(const struct hart *hart) {
    const struct host_model *model = &host_models[hart->index];
    if (!slice_check(hart)) return false;
    if (host_interrupt_pending(hart->index)) return true;
    if (model->state == HOST_IDLE) {
        for (uint64_t row = 0; row < EXO_ROWS; row++)
            SURE(!row_runnable(&hart->rows[row]), "6: hart %lu sleeps and its row %lu has 0x%lx",
                 hart->index, row, row_runnable(&hart->rows[row]));
        return true;
    }
    SURE(model->timer <= hart->until, "5: no timer ends the slice of hart %lu", hart->index);
    return true;
}

/* ---- what changes from one look to the next ---- */

/*
 * What a hart was about when the walker looked last.  Only looks between which
 * no time has passed, or nothing has happened on the hart, are compared: then
 * what may have happened in between is known.
 */
static struct look {
    uint64_t machine; /* generation of init's environment, which no other machine's has; 0: none */
    uint64_t time;
    uint64_t since;
    uint64_t end;
    uint64_t env; /* ENV frame of what ran, 0 if nothing did */
    uint64_t
        given; /* ENV frame of whom the current row would run if he had not given the hart away */
    bool borrows;
    bool fills;
} looks[EXO_HARTS_MAX];

/* Is `end` so late, or later by what some urgent rows paid that interrupted and slept at once? */
static bool end_is(uint64_t end, uint64_t expected, uint64_t cost) {
    return end >= expected && end - expected <= 8 * cost && (end - expected) % cost == 0;
}

/* The current row's end moves by what an urgent row took and paid, and to a new turn when it is over. */
static bool end_check(const struct hart *hart, const struct look *before) {
    uint64_t cost = hart->grace_ticks / BORROW_COST, end = before->end;
    if (hart->end == end) return true;
    if (before->borrows) end += hart->since - before->since + cost;
    bool over = end <= hart->since || (!before->borrows && !before->fills); /* yield ends its own */
    SURE(end_is(hart->end, end, cost) ||
             (over && (end_is(hart->end, 0, cost) ||
                       end_is(hart->end, hart->since + info->row_ticks, cost))),
         "5: the end of hart %lu's row moves from %lu to %lu", hart->index, before->end, hart->end);
    return true;
}

static bool look_check(const struct hart *hart) {
    struct look *before = &looks[hart->index];
    struct look now = {.machine = env_at(info->init_env)->gen,
                       .time = host_time,
                       .since = hart->since,
                       .end = hart->end,
                       .env = hart->env ? hart->env->frame : 0,
                       .borrows = hart->borrows,
                       .fills = hart->fills};
    uint64_t owner = hart->env && now.fills && !now.borrows ? row_runnable(hart->row) : 0;
    bool still = now.since == before->since && now.end == before->end && now.env == before->env;
    bool follows = now.machine == before->machine && (now.time == before->time || still);
    if (!follows || before->env == owner || before->given == owner) now.given = owner;
    SURE(now.given == owner || host_interrupt_pending(hart->index),
         "5: 0x%lx does not take its row of hart %lu back", owner, hart->index);
    if (follows && !end_check(hart, before)) return false;
    *before = now;
    return true;
}

/* ---- disks and lines ---- */

static bool queue_check(uint64_t frame) {
    const struct exo_queue *queue = frame_pointer(frame);
    SURE(frame_tag(frame) == EXO_TAG_QUEUE && frame_owner(frame) == queue->leader &&
             frame_is(queue->leader, EXO_FRAME_ENV) &&
             env_leader(env_at(queue->leader)) == env_at(queue->leader),
         "4: queue 0x%lx is of no space", frame);
    SURE(frame_is(queue->ring, EXO_FRAME_RING), "3: ring of queue 0x%lx", frame);
    if (!donation_check(&queue->donation[0], frame) ||
        !donation_check(&queue->donation[1], queue->ring))
        return false;
    SURE(link_is_slot(queue->slot), "4: queue 0x%lx has no capability", frame);
    const struct exo_cap *slot = cap_at((uint32_t)queue->slot);
    SURE(slot_is_used(slot) && EXO_CAP_CLASS(slot->word) == EXO_CLASS_BLOCK &&
             slot->match == frame && slot_space(slot)->frame == queue->leader,
         "4: queue 0x%lx has lost its capability", frame);
    return true;
}

/* Count the pins of a segment; its frames are the space's, with these rights. */
static bool segment_check(const struct exo_env *space, uint64_t address, uint64_t bytes,
                          uint64_t rights) {
    uint64_t end = (address + bytes - 1) >> EXO_FRAME_SHIFT;
    for (uint64_t frame = address >> EXO_FRAME_SHIFT; frame <= end; frame++) {
        SURE(frame_is(frame, EXO_FRAME_DATA), "4: frame 0x%lx in flight", frame);
        SURE(space_has(space, EXO_CLASS_PAGE, frame, 1, rights),
             "4: space 0x%lx has no slot for frame 0x%lx in flight", space->frame, frame);
        found_at(frame)->pins++;
    }
    return true;
}

static bool request_check(const struct disk *disk, uint64_t entry) {
    const struct request *request = &disk->requests[entry];
    const struct exo_queue *queue = frame_pointer(disk->facts->entry[entry].queue);
    SURE(frame_is(disk->facts->entry[entry].queue, EXO_FRAME_QUEUE) &&
             queue->leader == request->leader,
         "4: entry %lu is in flight for no queue", entry);
    SURE(disk->facts->entry[entry].holder == queue->slot,
         "6: entry %lu is in flight and not its queue's", entry);
    const struct exo_env *space = env_at(request->leader);
    bool reads = request->header.type == EXO_BLOCK_READ;
    uint64_t right = reads || !request->sectors ? EXO_BLOCK_R : EXO_BLOCK_W;
    SURE(!request->sectors ||
             space_has(space, EXO_CLASS_BLOCK, request->sector, request->sectors, right),
         "6: space 0x%lx has no slot for its sectors in flight", space->frame);
    for (uint32_t i = 1; i <= request->pinned; i++)
        if (!segment_check(space, request->table[i].address, request->table[i].bytes,
                           EXO_PAGE_DMA | (reads ? EXO_PAGE_W : EXO_PAGE_R)))
            return false;
    return segment_check(space, request->status_address, 1, EXO_PAGE_DMA | EXO_PAGE_W);
}

static bool disk_check(uint64_t index) {
    const struct disk *disk = &disks[index];
    uint64_t in_flight = 0;
    SURE(disk->lock.next == disk->lock.serving, "DEVICE %lu is held", index);
    for (uint64_t entry = 0; entry < EXO_ENTRIES; entry++) {
        const struct exo_entry *at = &disk->facts->entry[entry];
        SURE(link_is_slot(at->holder), "6: entry %lu has no holder", entry);
        const struct exo_cap *holder = cap_at(at->holder);
        SURE(slot_is_used(holder) && EXO_CAP_CLASS(holder->word) == EXO_CLASS_BLOCK &&
                 EXO_BLOCK_DISK(holder->extra) == index &&
                 EXO_BLOCK_ENTRY(holder->extra) <= entry &&
                 entry < EXO_BLOCK_ENTRY_END(holder->extra),
             "6: the holder of entry %lu does not hold it", entry);
        if (!at->queue) continue;
        in_flight++;
        if (!request_check(disk, entry)) return false;
    }
    SURE(disk->in_flight == in_flight, "4: disk %lu has %lu requests in flight, found %lu", index,
         disk->in_flight, in_flight);
    return true;
}

static bool line_check(uint64_t number) {
    const struct exo_line *line = &lines[number];
    if (!line->leader) return true;
    SURE(frame_is(line->leader, EXO_FRAME_ENV) &&
             space_has(env_at(line->leader), EXO_CLASS_IRQ, number, 1, EXO_IRQ_BIND),
         "5: line %lu is not its space's", number);
    return true;
}

static bool devices_check(void) {
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++)
        if (frame_type(frame) == EXO_FRAME_QUEUE && !queue_check(frame)) return false;
    for (uint64_t disk = 0; disk < disk_count; disk++)
        if (!disk_check(disk)) return false;
    for (uint64_t line = 1; line < EXO_LINES_MAX; line++)
        if (!line_check(line)) return false;
    SURE(lines_lock.next == lines_lock.serving, "LINES is held");
    return true;
}

/* ---- harts ---- */

/* The entry of a root's tables that covers a page (>> 9 * level), as it is in memory; 0 if none. */
static uint64_t memory_entry(uint64_t table, uint64_t page, uint64_t level) {
    for (uint64_t above = 2;; above--) {
        uint64_t index = page >> 9 * (above - level) & 511;
        uint64_t pte = ((const uint64_t *)frame_pointer(table))[index];
        if (above == level) return pte;
        if (!pte_is_table(pte)) return 0;
        table = pte_frame(pte);
    }
}

/* What a hart has in its TLB for this space is what its tables say now. */
static bool tlb_check(uint64_t index, const struct exo_env *space) {
    const struct host_model *model = &host_models[index];
    uint64_t marks = PTE_A | PTE_D | PTE_SOFT;
    for (uint64_t i = 0; i < model->tlb_count; i++) {
        const struct host_translation *entry = &model->tlb[i];
        if (entry->asid != space->asid) continue;
        uint64_t pte = memory_entry(space->root, entry->page, entry->level);
        SURE(((entry->pte ^ pte) & ~marks) == 0,
             "8: hart %lu reaches page 0x%lx of level %lu through 0x%lx, the table says 0x%lx",
             index, entry->page, entry->level, entry->pte, pte);
    }
    return true;
}

/* The promise to the fast paths: a hart's mark means that they may enter without a look at the TLB. */
static bool mark_check(const struct exo_env *env) {
    uint64_t last = env->last & ~(uint64_t)(EXO_LAST_FLOAT | EXO_LAST_FULL);
    for (uint64_t index = 0; index < hart_count; index++) {
        if (last != harts[index]->run) continue;
        SURE(env_leader(env) == env && !env->joined && !env->shared,
             "8: 0x%lx is marked and not alone", env->frame);
        SURE(env_state(*frame_state(env->frame)) == EXO_STATE_RUN ||
                 !(env->last & EXO_LAST_FLOAT) == !env->float_saved,
             "5: floating point of 0x%lx", env->frame);
        if (!tlb_check(index, env)) return false;
    }
    return true;
}

static bool hart_check(uint64_t index) {
    const struct host_model *model = &host_models[index];
    const struct hart *hart = harts[index];
    uint64_t root = host_satp_root(model->satp), entered = (uint32_t)hart->active;
    SURE(!root || frame_is(root, EXO_FRAME_ROOT), "8: satp of hart %lu is no root", index);
    if (entered)
        SURE(frame_is(entered, EXO_FRAME_ENV) && env_leader(env_at(entered)) == env_at(entered),
             "8: hart %lu is in a space that is dead", index);
    if (root && entered && env_at(entered)->root == root && !tlb_check(index, env_at(entered)))
        return false;
    SURE(!hart->held[0], "a lock is held by hart %lu", index);
    if (hart->space)
        SURE(frame_is(hart->space->frame, EXO_FRAME_ENV) && env_leader(hart->space) == hart->space,
             "7: hart %lu is in a dead space", index);
    if (model->state == HOST_IDLE)
        SURE(!hart->env && !hart->space && !hart->active && !root && hart->idle,
             "5: hart %lu sleeps in a space", index);
    if (hart->env)
        SURE(frame_is(hart->env->frame, EXO_FRAME_ENV) &&
                 env_state(*frame_state(hart->env->frame)) == EXO_STATE_RUN &&
                 env_hart(*frame_state(hart->env->frame)) == index,
             "5: hart %lu does not run what it has", index);
    if (model->state != HOST_PROGRAM) return true;
    const struct exo_env *env = hart->env;
    SURE(env && hart->space == env_leader(env) && !hart->idle, "5: hart %lu is in another space",
         index);
    uint64_t leader = hart->space->frame;
    SURE(hart->active == (leader << 32 | leader) && model->satp == hart->space->satp,
         "8: active[] of hart %lu", index);
    SURE((void *)hart->ctx == frame_pointer(env->ctx >> EXO_FRAME_SHIFT) &&
             hart->state == frame_state(env->frame) && hart->space_lock == space_lock(hart->space),
         "5: what hart %lu keeps of 0x%lx", index, env->frame);
    SURE(!(*hart->state & (EXO_FLAG_STOP | EXO_FLAG_KILL)) || model->ipi,
         "5: hart %lu runs 0x%lx, which is to stop, and nobody told it", index, env->frame);
    return true;
}

static bool locks_check(void) {
    SURE(tree_lock.next == tree_lock.serving, "TREE is held");
    for (uint64_t i = 0; i < SPACE_LOCKS; i++)
        SURE(space_locks[i].next == space_locks[i].serving, "SPACE %lu is held", i);
    return true;
}

static bool walk_all(void) {
    if (!locks_check()) return false;
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++)
        if (frame_type(frame) == EXO_FRAME_ENV && !env_check_all(frame)) return false;
    if (!devices_check() || !frames_check() || !rings_check()) return false;
    for (uint64_t row = 0; row < hart_count * EXO_ROWS; row++)
        if (!row_check(row)) return false;
    for (uint64_t hart = 0; hart < hart_count; hart++)
        if (!vector_check(harts[hart]) || !hart_check(hart)) return false;
    bool quiet = machine_is_quiet();
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) {
        if (frame_type(frame) != EXO_FRAME_ENV) continue;
        if (!env_rows_check(env_at(frame)) || !mark_check(env_at(frame))) return false;
        if (quiet && !sleeper_check(env_at(frame))) return false;
    }
    if (!quiet) memset(looks, 0, sizeof(looks));
    for (uint64_t hart = 0; quiet && hart < hart_count; hart++)
        if (!choice_check(harts[hart]) || !look_check(harts[hart])) return false;
    return true;
}

const char *walk(void) {
    if (found_count != ram_count) {
        free(found);
        found = calloc(ram_count, sizeof(*found));
        found_count = ram_count;
    }
    memset(found, 0, found_count * sizeof(*found));
    arch_hart_set(harts[0]);
    return walk_all() ? NULL : message;
}
