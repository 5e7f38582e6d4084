/* SPDX-License-Identifier: MIT */
/* Entering spaces and shooting TLB entries down: see shoot.h. */
#include "shoot.h"

#include "space.h"

/* By identifier: how many spaces have it, and the ENV frame of the one that was alone with it. */
static struct {
    uint64_t spaces;
    uint64_t alone;
} asids[HART_ASIDS];

/* From now on no fast path enters this space; hart_enter may be about to let one. */
static void asid_share(struct exo_env *space) {
    write_once(space->shared, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&space->last, 0, __ATOMIC_RELAXED);
}

void asid_take(struct exo_env *space) {
    uint64_t asid = space->root % info->asid_count;
    write_once(space->asid, asid);
    if (!asids[asid].spaces++) {
        asids[asid].alone = space->frame;
        return;
    }
    asid_share(space);
    if (asids[asid].alone) asid_share(env_at(asids[asid].alone));
    asids[asid].alone = 0;
}

void asid_give(struct exo_env *space) {
    asids[space->asid].spaces--;
    if (asids[space->asid].alone == space->frame) asids[space->asid].alone = 0;
}

uint64_t space_harts(const struct exo_env *space) {
    uint64_t mask = 0;
    for (uint64_t index = 0; index < hart_count; index++) {
        uint64_t active = __atomic_load_n(&harts[index]->active, __ATOMIC_RELAXED);
        if (active >> 32 == space->frame || (uint32_t)active == space->frame) mask |= 1ul << index;
    }
    return mask & ~(1ul << arch_hart()->index);
}

void shoot_others(struct exo_env *space) {
    uint64_t mask = space_harts(space);
    if (mask) arch_tlb_flush_remote(mask, space->asid);
}

static void space_enter(struct hart *hart, struct exo_env *space) {
    uint64_t asid = read_once(space->asid);
    uint64_t generation = __atomic_load_n(&space->tlb_gen, __ATOMIC_RELAXED);
    bool same_asid = hart->space && read_once(hart->space->asid) == asid;
    if (hart->seen[asid] != generation) {
        hart->seen[asid] = generation;
        arch_tlb_flush(asid);
    }
    arch_root_write(space->satp);
    /* Between the flush and the new root the old one could have refilled the shared ASID. */
    if (same_asid) arch_tlb_flush_all();
    active_entered(hart, space->frame);
    hart->space = space;
    hart->space_lock = space_lock(space);
}

bool hart_enter_fully(struct hart *hart, struct exo_env *env) {
    struct exo_env *leader = env_leader(env);
    hart->env = env;
    hart->ctx = arch_pointer(env->ctx);
    hart->state = frame_state(env->frame);
    write_once(env->deadline, EXO_NEVER);
    /* Also when it is in that space: a fast path may have begun to enter it. */
    active_entering(hart, leader->frame);
    /* A leader that begins to die after this look sees the hart in active[] and waits for it. */
    if (__atomic_load_n(frame_state(leader->frame), __ATOMIC_RELAXED) & EXO_FLAG_KILL) {
        hart->env = NULL;
        env_put_quietly(hart, env, EXO_STATE_READY); /* nobody can enter it */
        active_entered(hart, hart->space ? hart->space->frame : 0);
        return false;
    }
    if (hart->space != leader) space_enter(hart, leader);
    /* trap.S enters another space only for a leader that is alone in it, which it knows by this mark. */
    uint64_t mark = hart->run | (env == leader && !leader->joined ? 0 : EXO_LAST_JOINED);
    if (read_once(env->last) != mark) {
        __atomic_store_n(&env->last, mark, __ATOMIC_RELAXED);
        arch_instruction_fence();
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        /* A SHOOT or asid_share may have begun meanwhile, whose 0 the mark has overwritten. */
        bool stale = read_once(leader->tlb_gen) != hart->seen[leader->asid];
        if (stale || read_once(leader->shared)) write_once(env->last, 0);
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
