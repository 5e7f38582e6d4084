/* SPDX-License-Identifier: MIT */
/*
 * hostile_cap: every wrong argument to the calls that govern capabilities.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define FRAMES 16
#define KERNEL_ADDRESS 0xffffffc080000000

static uint64_t memory, first; /* own slot, and FRAMES frames of it that nobody uses */
static struct child child;

static uint64_t slot(void) { return (uint64_t)mem_slot(); }

/* What can be promised: only what was promised to us, as the roots are. */
static uint64_t promise(uint64_t count) { return sys_is_init() ? count : 0; }

static struct exo_result derive(uint64_t from, uint64_t at, uint64_t count, uint64_t rights,
                                uint64_t keep) {
    return exo_cap_derive(from, slot(), at, count, rights, keep, 0);
}

static void derive_checks(void) {
    uint64_t own = DONE("derive", exo_cap_derive(memory, slot(), first, 8, R | W, promise(4), 0));
    uint64_t wide = ~0ul - first + 1;

    TRY_HANDLES(SLOT, own, "derive from", exo_cap_derive(bad, slot(), first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into a slot in use", exo_cap_derive(memory, own, first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into itself", exo_cap_derive(own, own, first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into slot 16 of an ENV frame",
            exo_cap_derive(memory, EXO_HANDLE(0, 16), first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into a table that is none",
            exo_cap_derive(memory, EXO_HANDLE(EXO_CAPS_FRAMES, 1), first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into a table past the last",
            exo_cap_derive(memory, EXO_HANDLE(0xfffff, 31), first, 1, R, 0, 0));
    REFUSED(SLOT, "derive into the donation of a CAPS frame",
            exo_cap_derive(memory, EXO_HANDLE(1, 0), first, 1, R, 0, 0));
    REFUSED(RANGE, "derive no names", derive(own, first, 0, R, 0));
    REFUSED(RANGE, "derive the name before", derive(own, first - 1, 1, R, 0));
    REFUSED(RANGE, "derive one name too many", derive(own, first, 9, R, 0));
    REFUSED(RANGE, "derive the name after", derive(own, first + 8, 1, R, 0));
    REFUSED(RANGE, "derive 2^64 - 1 names", derive(own, first, ~0ul, R, 0));
    REFUSED(RANGE, "derive a range that wraps to 0", derive(own, first, wide, R, 0));
    REFUSED(RANGE, "derive a range that wraps to itself", derive(own, first + 1, ~0ul, R, 0));
    REFUSED(RANGE, "derive from name 2^64 - 1", derive(own, ~0ul, 2, R, 0));
    REFUSED(RANGE, "derive a kernel address", derive(own, KERNEL_ADDRESS, 1, R, 0));
    if (!sys_is_init())
        REFUSED(RANGE, "derive an INFO frame", derive(memory, sys_info()->info_frame, 1, R, 0));
    REFUSED(RIGHTS, "derive no right", derive(own, first, 1, 0, 0));
    REFUSED(RIGHTS, "derive a right more", derive(own, first, 1, R | EXO_PAGE_X, 0));
    REFUSED(RIGHTS, "derive DMA", derive(own, first, 1, EXO_PAGE_DMA, 0));
    REFUSED(RIGHTS, "derive a right that is none", derive(own, first, 1, 16, 0));
    REFUSED(RIGHTS, "derive right 2^63", derive(own, first, 1, R | 1ul << 63, 0));
    REFUSED(KEEP, "promise more than the range", derive(own, first, 2, R, 3));
    REFUSED(KEEP, "promise what was not promised", derive(own, first, 8, R, 5));
    REFUSED(KEEP, "promise past what was promised", derive(own, first + 4, 1, R, 1));
    REFUSED(KEEP, "promise 2^64 - 1", derive(own, first, 8, R, ~0ul));
    DONE("drop", exo_cap_drop(own, first));
    REFUSED(SLOT, "derive from what was dropped", derive(own, first, 1, R, 0));
}

static void class_checks(void) {
    uint64_t env = child.env;
    struct exo_result none = exo_cap_derive(env, slot(), child.frame, 1, EXO_ENV_CALL, 0, 1);
    uint64_t masked = DONE("derive an event", none);

    REFUSED(RIGHTS, "derive an event bit more",
            exo_cap_derive(masked, slot(), child.frame, 1, EXO_ENV_CALL, 0, 3));
    REFUSED(RIGHTS, "derive the kernel's event bits",
            exo_cap_derive(env, slot(), child.frame, 1, EXO_ENV_CALL, 0, ~0ul));
    REFUSED(RANGE, "derive another environment",
            exo_cap_derive(env, slot(), sys_env()->frame, 1, EXO_ENV_CALL, 0, 0));
    REFUSED(RANGE, "derive two environments",
            exo_cap_derive(env, slot(), child.frame, 2, EXO_ENV_CALL, 0, 0));
    if (sys_start->console) {
        REFUSED(RANGE, "derive a second machine",
                exo_cap_derive(sys_start->console, slot(), 0, 2, EXO_MACHINE_CONSOLE, 0, 0));
        REFUSED(RIGHTS, "derive a fourth right of the machine",
                exo_cap_derive(sys_start->console, slot(), 0, 1, 8, 0, 0));
    }
    DONE("drop", exo_cap_drop(masked, child.frame));
}

static void open_checks(void) {
    uint64_t gen = sys_env()->gen, frame = sys_env()->frame, into = slot();

    REFUSED(ENV, "open for a DATA frame", exo_cap_derive(EXO_NONE, into, first, gen, 0, 0, 0));
    REFUSED(ENV, "open for a CTX frame", exo_cap_derive(EXO_NONE, into, frame + 1, gen, 0, 0, 0));
    REFUSED(ENV, "open for frame 2^64 - 1", exo_cap_derive(EXO_NONE, into, ~0ul, gen, 0, 0, 0));
    REFUSED(ENV, "open for a generation to come",
            exo_cap_derive(EXO_NONE, into, frame, gen + 1, 0, 0, 0));
    REFUSED(ENV, "open for a generation that looks alike",
            exo_cap_derive(EXO_NONE, into, frame, gen + (1ul << EXO_ENV_GEN_BITS), 0, 0, 0));
    REFUSED(SLOT, "open a slot in use", exo_cap_derive(EXO_NONE, memory, frame, gen, 0, 0, 0));
    REFUSED(SLOT, "close a slot that is not open", exo_cap_derive(EXO_NONE, into, 0, 0, 0, 0, 0));
    uint64_t open =
        DONE("open", exo_cap_derive(EXO_NONE, into, child.frame,
                                    exo_env_regs(child.env, EXO_REGS_STATE).detail, 0, 0, 0));
    uint64_t own = DONE("derive", derive(memory, first, 1, R, 0));
    REFUSED(NOTOPEN, "grant into what is open for another", exo_cap_grant(own, 0, open, 0, 0));
    REFUSED(SLOT, "derive from an open slot", derive(open, first, 1, R, 0));
    REFUSED(SLOT, "drop an open slot", exo_cap_drop(open, 0));
    REFUSED(SLOT, "revoke from an open slot", exo_cap_revoke(open, 0, 0));
    DONE("close", exo_cap_derive(EXO_NONE, open, 0, 0, 0, 0, 0));
    DONE("drop", exo_cap_drop(own, first));
}

static void grant_checks(void) {
    uint64_t own = DONE("derive", derive(memory, first, 4, R, 0));
    uint64_t below = DONE("derive", derive(own, first, 1, R, 0));
    uint64_t weak = DONE("derive ENV", exo_cap_derive(child.env, slot(), child.frame, 1,
                                                      EXO_ENV_CALL | EXO_ENV_NOTIFY, 0, 0));
    uint64_t there = EXO_HANDLE(0, CHILD_SLOT_FREE), gen = sys_env()->gen;

    REFUSED(CHILDREN, "grant what has children", exo_cap_grant(own, child.env, there, 0, 0));
    TRY_HANDLES(SLOT, below, "grant", exo_cap_grant(bad, child.env, there, 0, 0));
    REFUSED(SLOT, "grant to a stale environment",
            exo_cap_grant(below, child.env + (1ul << 32), there, 0, 0));
    REFUSED(CLASS, "grant to a PAGE slot as environment", exo_cap_grant(below, own, there, 0, 0));
    REFUSED(NOTOPEN, "grant without CONTROL", exo_cap_grant(below, weak, there, 0, 0));
    REFUSED(SLOT, "grant over the child's memory",
            exo_cap_grant(below, child.env, EXO_HANDLE(0, CHILD_SLOT_MEMORY), 0, 0));
    REFUSED(SLOT, "grant into slot 31", exo_cap_grant(below, child.env, EXO_HANDLE(0, 31), 0, 0));
    REFUSED(SLOT, "grant into the child's CAPS frames",
            exo_cap_grant(below, child.env, EXO_HANDLE(1, 1), 0, 0));
    REFUSED(SLOT, "grant into its own slot", exo_cap_grant(below, 0, below, 0, 0));
    REFUSED(ENV, "grant to a DATA frame", exo_cap_grant(below, 0, there, first, gen));
    REFUSED(ENV, "grant to frame 2^64 - 1", exo_cap_grant(below, 0, there, ~0ul, gen));
    REFUSED(ENV, "grant to another generation",
            exo_cap_grant(below, 0, there, sys_env()->frame, gen + 1));
    if (sys_start->rings)
        REFUSED(BUSY, "give away what is mapped",
                exo_cap_grant(sys_start->rings, child.env, there, 0, 0));
    else
        REFUSED(ROOT, "give a root away", exo_cap_grant(memory, child.env, there, 0, 0));
    DONE("drop", exo_cap_drop(weak, child.frame));
    sys_cap_drop(below, first);
    sys_cap_drop(own, first);
}

static void revoke_checks(void) {
    uint64_t own = DONE("derive", exo_cap_derive(memory, slot(), first, 8, R | W, promise(8), 0));
    uint64_t kept = DONE("derive", exo_cap_derive(own, slot(), first, 4, R, promise(3), 0));

    TRY_HANDLES(SLOT, own, "revoke", exo_cap_revoke(bad, first, 0));
    REFUSED(RANGE, "revoke before the first name", exo_cap_revoke(own, first - 1, 0));
    REFUSED(RANGE, "revoke past the end", exo_cap_revoke(own, first + 9, 0));
    REFUSED(RANGE, "revoke from 2^64 - 1", exo_cap_revoke(own, ~0ul, 0));
    if (promise(1)) {
        REFUSED(KEEP, "revoke what was promised in the future", exo_cap_revoke(own, first, ~0ul));
        REFUSED(KEEP, "revoke what was promised", exo_cap_revoke(own, first + 2, 0));
        REFUSED(KEEP, "drop what was promised", exo_cap_drop(own, first));
    }
    TRY_HANDLES(SLOT, own, "drop", exo_cap_drop(bad, first));
    REFUSED(RANGE, "drop before the first name", exo_cap_drop(own, first - 1));
    REFUSED(RANGE, "drop past the end", exo_cap_drop(own, first + 9));
    check(sys_cap_revoke(own, first + 3) == 0, "revoke down to a part");
    const struct exo_cap *cap = sys_slot(kept << 32 >> 44, kept >> 7 & 31);
    check(cap->count == 3, "that part stands: %lu names", cap->count);
    sys_cap_drop(kept, first);
    REFUSED(SLOT, "drop twice", exo_cap_drop(kept, first));
    sys_cap_drop(own, first);
    if (sys_is_init()) REFUSED(ROOT, "drop a root", exo_cap_drop(memory, first));
}

static void caps_checks(void) {
    const struct exo_env *env = sys_env();
    uint64_t ctx = env->ctx >> EXO_FRAME_SHIFT;
    uint64_t weak = DONE("derive", derive(memory, first, 1, R, 0));

    TRY_HANDLES(SLOT, weak, "caps_add", exo_caps_add(bad, first));
    REFUSED(CLASS, "caps_add by an ENV slot", exo_caps_add(child.env, first));
    REFUSED(RIGHTS, "caps_add without W", exo_caps_add(weak, first));
    if (sys_is_init())
        REFUSED(BUSY, "caps_add of an INFO frame", exo_caps_add(memory, sys_info()->info_frame));
    else
        REFUSED(RANGE, "caps_add of an INFO frame", exo_caps_add(memory, sys_info()->info_frame));
    REFUSED(RANGE, "caps_add of frame 2^64 - 1", exo_caps_add(memory, ~0ul));
    REFUSED(BUSY, "caps_add of its own ENV frame", exo_caps_add(memory, env->frame));
    REFUSED(BUSY, "caps_add of its own CTX frame", exo_caps_add(memory, ctx));
    REFUSED(BUSY, "caps_add of its own ROOT frame", exo_caps_add(memory, env->root));
    REFUSED(BUSY, "caps_add of its own CAPS frame", exo_caps_add(memory, env->caps[0]));
    REFUSED(BUSY, "caps_add of the child's ENV frame", exo_caps_add(memory, child.frame));
    uint64_t va = check_room(memory, first, 1);
    space_map(&space_self, va, memory, first + 1, 1, R);
    REFUSED(BUSY, "caps_add of a mapped frame", exo_caps_add(memory, first + 1));
    space_unmap(&space_self, va, 1);
    REFUSED(RANGE, "caps_del of frame 0", exo_caps_del(0));
    REFUSED(RANGE, "caps_del of a DATA frame", exo_caps_del(first));
    REFUSED(RANGE, "caps_del of its own ENV frame", exo_caps_del(env->frame));
    REFUSED(RANGE, "caps_del of frame 2^64 - 1", exo_caps_del(~0ul));
    REFUSED(BUSY, "caps_del of a frame in use", exo_caps_del(env->caps[0]));
    sys_cap_drop(weak, first);
}

static volatile uint64_t half_way_done;

/* In a child: a step of a drop that needs many, and then the end or a loop. */
static void die_in_a_drop(uint64_t range, uint64_t die) {
    uint64_t at = EXO_CAP_HANDLE(sys_slot(0, CHILD_SLOT_FREE)->word, CHILD_SLOT_FREE);
    uint64_t into = EXO_HANDLE(0, CHILD_SLOT_FREE + 1);
    for (int i = 0; i < 4; i++)
        exo_cap_derive(at, into + EXO_HANDLE(0, i), range, FRAMES - (uint64_t)i, R, 0, 0);
    exo_cap_drop(at, range);
    half_way_done = 1;
    if (die) exo_exit();
    for (;;) exo_yield(EXO_NONE);
}

/* Another goes on with what a program began that died, or stopped, in the middle. */
static void half_way_checks(uint64_t die) {
    struct child half;
    uint64_t own = DONE("derive", derive(memory, first, FRAMES, R | W, 0));
    const char *how = die ? "died" : "stopped";

    child_make(&half, 0);
    child_lend(half.env, own, first, FRAMES, R | W, 0, CHILD_SLOT_FREE);
    half_way_done = 0;
    child_start(&half, die_in_a_drop, first, die);
    WAIT(half_way_done || (exo_yield(half.env), false));
    if (die) run_to_end(half.env);
    if (!die) exo_env_regs(half.env, EXO_REGS_STOP);
    const struct exo_env *env = mem_map_frames(memory, half.frame, 1, R);
    check(EXO_CAP_STATE(env->slot[CHILD_SLOT_FREE].word) == EXO_SLOT_CUTTING,
          "a child %s in the middle of a drop", how);
    check(sys_cap_revoke(own, first) == 0, "its lender goes on with it");
    uint64_t left = 0;
    for (uint64_t i = CHILD_SLOT_FREE; i < EXO_ENV_SLOTS; i++) left += env->slot[i].count;
    check(left == 0, "no name is left with the child that %s", how);
    mem_unmap_frames((void *)env);
    check(child_end(&half) == 0, "the child that %s is reaped", how);
    check(sys_cap_drop(own, first) == 0, "and the range is free");
}

int main(void) {
    check_begin("hostile_cap");
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    if (child_make(&child, 0)) check(false, "no child");
    check_watch(0, mem_map_frames(memory, child.frame, 1, R));
    /* So many slots in use that there is a CAPS frame. */
    uint64_t filler[EXO_ENV_SLOTS];
    for (uint64_t i = 0; i < EXO_ENV_SLOTS; i++)
        filler[i] = DONE("derive", derive(memory, first, 1, R, 0));
    derive_checks();
    class_checks();
    open_checks();
    grant_checks();
    revoke_checks();
    caps_checks();
    half_way_checks(1);
    half_way_checks(0);
    for (uint64_t i = 0; i < EXO_ENV_SLOTS; i++) sys_cap_drop(filler[i], first);
    mem_unmap_frames((void *)check_watched[0]);
    check_watch(0, NULL);
    check(child_end(&child) == 0, "the child is reaped");
    return check_end();
}
