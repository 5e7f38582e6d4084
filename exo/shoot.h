/* SPDX-License-Identifier: MIT */
/*
 * Which space a hart is in, and taking entries out of its TLB (SHOOT).
 *
 * hart->active holds two spaces by their leaders' frames: the one being entered and the one
 * in satp.  Who changes the page tables of a space reads it to learn which
 * harts may still use what was there; who enters a space writes it first and
 * then compares the space's TLB generation with the one that this hart saw
 * last.  Each side has a full fence between its write and its read, so at
 * least one of the two sees the other.
 *
 * A generation is never used twice in the machine (each hart makes its own), so
 * a space that gets the ASID of a dead one never looks already seen.
 *
 * The fast paths of trap.S do the same with one word, the `last` of a leader:
 * it is the hart's mark only if the space was entered on this hart last, nobody
 * shot at it since from elsewhere, and no other space has its ASID.
 */
#pragma once
#include "env.h"

/* A TLB generation that no space ever had. */
static inline uint64_t tlb_generation(void) { return arch_hart()->generation += EXO_HARTS_MAX; }

/* Is the space in some hart's TLB or about to be: on any hart but this one? */
uint64_t space_harts(const struct exo_env *space);

/*
 * No hart uses the entries of the space that were changed before this call,
 * when it returns.  Under SPACE.
 */
// LAB 3: BEGIN
static inline void space_shoot(struct exo_env *space) {
    uint64_t generation = tlb_generation();
    /* The changed entries must be visible before the generation, and that before active[] is read. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *(volatile uint64_t *)&space->tlb_gen = generation;
    bool here = arch_hart()->space == space;
    if (unlikely(!here || read_once(space->last) != arch_hart()->run)) {
        __atomic_thread_fence(
            __ATOMIC_RELEASE); /* who sees 0 here, or overwrites it, sees the generation */
        write_once(space->last, 0);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t mask = unlikely(arch_hart()->others) ? space_harts(space) : 0;
    if (mask) arch_tlb_flush_remote(mask, space->asid);
    if (here) {
        arch_hart()->seen[space->asid] = generation;
        arch_tlb_flush(space->asid);
    }
}
// LAB 3: END

/*
 * Give a new space an identifier that no other has; if there is none left, the
 * last one, which all others share (`shared`).  And take it back.  Under TREE.
 */
void asid_take(struct exo_env *space);
void asid_give(struct exo_env *space);

/*
 * Enter the space of an environment that this hart has claimed (RUN), and make
 * it the hart's.  Returns false, with the environment given up again, if its
 * leader is DYING.
 */
bool hart_enter_fully(struct hart *hart, struct exo_env *env);

/*
 * Two halves of one word: the first store says which space is being entered,
 * the second that its root is in satp.  Between them both count.
 */
static inline void active_entering(struct hart *hart, uint64_t frame) {
    write_once(hart->active, frame << 32 | (uint32_t)hart->active);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void active_entered(struct hart *hart, uint64_t frame) {
    /* What ran before must have its stores out before the old root's name goes. */
    __atomic_store_n(&hart->active, frame << 32 | frame, __ATOMIC_RELEASE);
}

/* The usual case of it is an environment that is alone in its space and was here last. */
static inline bool hart_enter(struct hart *hart, struct exo_env *env) {
    uint64_t frame = frame_of(env);
    active_entering(hart, frame);
    uint64_t last = __atomic_load_n(&env->last, __ATOMIC_RELAXED);
    if (unlikely((last & ~(uint64_t)(EXO_LAST_FLOAT | EXO_LAST_FULL)) != hart->run))
        return hart_enter_fully(hart, env);
    /* Another hart may have cleared it meanwhile (SHOOT). */
    if (last != hart->run) __atomic_fetch_and(&env->last, hart->run, __ATOMIC_RELAXED);
    hart->env = hart->space = env;
    hart->ctx = arch_pointer(env->ctx);
    hart->state = frame_state(frame);
    hart->space_lock = arch_pointer(env->lock);
    arch_root_write(env->satp);
    active_entered(hart, frame);
    return true;
}

/* Leave for the kernel's own root: this hart runs no environment. */
void hart_leave(struct hart *hart);
