/* SPDX-License-Identifier: MIT */
/* Entering spaces and shooting TLB entries down: see shoot.h. */
#include "shoot.h"

#include "space.h"

static bool asids[HART_ASIDS]; /* in use */

void asid_take(struct exo_env *space) {
    uint64_t asid = 0, last = info->asid_count - 1;
    while (asid < last && asids[asid]) asid++;
    asids[asid] = true;
    write_once(space->asid, asid);
    write_once(space->shared, asid == last);
}

void asid_give(struct exo_env *space) { asids[space->asid] = false; }

uint64_t space_harts(const struct exo_env *space) {
    uint64_t mask = 0;
    for (uint64_t index = 0; index < hart_count; index++) {
        uint64_t active = __atomic_load_n(&harts[index]->active, __ATOMIC_RELAXED);
        if (active >> 32 == space->frame || (uint32_t)active == space->frame) mask |= 1ul << index;
    }
    return mask & ~(1ul << arch_hart()->index);
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
        active_entered(hart, (uint32_t)hart->active);
        return false;
    }
    if (hart->space != leader) space_enter(hart, leader);
    /* trap.S enters another space only for a leader that is alone in it, which it knows by this mark. */
    uint64_t mark = hart->run | (env == leader && !read_once(leader->joined) ? 0 : EXO_LAST_JOINED);
    if (read_once(env->last) != mark) {
        __atomic_store_n(&env->last, mark, __ATOMIC_RELAXED);
        arch_instruction_fence();
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        /* A SHOOT may have begun meanwhile, whose 0 the mark has overwritten. */
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
