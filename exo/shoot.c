/* SPDX-License-Identifier: MIT */
/* Entering spaces and shooting TLB entries down: see shoot.h. */
#include "shoot.h"

#include "space.h"

uint64_t space_harts(const struct exo_env *space) {
    uint64_t mask = 0;
    for (uint64_t index = 0; index < hart_count; index++) {
        uint64_t active = __atomic_load_n(&harts[index]->active, __ATOMIC_RELAXED);
        if (active >> 32 == space->root || (uint32_t)active == space->root) mask |= 1ul << index;
    }
    return mask & ~(1ul << arch_hart()->index);
}

void shoot_others(struct exo_env *space) {
    uint64_t mask = space_harts(space);
    if (mask) arch_tlb_flush_remote(mask, space->asid);
}

/*
 * Two halves of one word: the first store says which root is being entered,
 * the second that it is the one in satp.  Between them both count.
 */
static void active_entering(struct hart *hart, uint64_t root) {
    uint64_t active = hart->active;
    __atomic_store_n(&hart->active, root << 32 | (uint32_t)active, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void active_entered(struct hart *hart, uint64_t root) {
    /* What ran before must have its stores out before the old root's name goes. */
    __atomic_store_n(&hart->active, root << 32 | root, __ATOMIC_RELEASE);
}

static void space_enter(struct hart *hart, struct exo_env *space) {
    uint64_t asid = space->asid;
    uint64_t generation = __atomic_load_n(&space->tlb_gen, __ATOMIC_RELAXED);
    bool same_asid = hart->space && hart->space->asid == asid;
    if (hart->seen[asid] != generation) {
        hart->seen[asid] = generation;
        arch_tlb_flush(asid);
    }
    arch_root_write(space->satp);
    /* Between the flush and the new root the old one could have refilled the shared ASID. */
    if (same_asid) arch_tlb_flush_all();
    active_entered(hart, space->root);
    hart->space = space;
    hart->space_lock = space_lock(space);
}

bool hart_enter(struct hart *hart, struct exo_env *env) {
    struct exo_env *leader = env_leader(env);
    hart->env = env;
    hart->ctx = arch_pointer(env->ctx);
    hart->state = frame_state(env->frame);
    if (hart->space != leader) active_entering(hart, leader->root);
    /* A leader that begins to die after this look sees the hart in active[] and waits for it. */
    if (__atomic_load_n(frame_state(leader->frame), __ATOMIC_RELAXED) & EXO_FLAG_KILL) {
        env_release(hart, EXO_STATE_READY);
        if (hart->space != leader) active_entered(hart, hart->space ? hart->space->root : 0);
        return false;
    }
    if (hart->space != leader) space_enter(hart, leader);
    /* Only a leader may be entered by yield's fast path, which knows it by this mark. */
    uint64_t mark = env == leader ? hart->run : ~hart->run;
    if (env->last != mark) {
        env->last = mark;
        arch_instruction_fence();
    }
    return true;
}

void hart_leave(struct hart *hart) {
    hart->env = NULL;
    if (!hart->space) return;
    active_entering(hart, 0);
    arch_root_write(arch_satp_kernel());
    hart->space = NULL;
    active_entered(hart, 0);
}
