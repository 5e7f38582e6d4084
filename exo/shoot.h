/* SPDX-License-Identifier: MIT */
/*
 * Which space a hart is in, and taking entries out of its TLB (SHOOT).
 *
 * hart->active holds two root frame numbers: the one being entered and the one
 * in satp.  Who changes the page tables of a space reads it to learn which
 * harts may still use what was there; who enters a space writes it first and
 * then compares the space's TLB generation with the one that this hart saw
 * last.  Each side has a full fence between its write and its read, so at
 * least one of the two sees the other.
 *
 * A generation is never used twice in the machine (each hart makes its own), so
 * a space that gets the ASID of a dead one never looks already seen.
 * trap.S repeats hart_enter's protocol in the fast path of yield.
 */
#pragma once
#include "env.h"

/* A TLB generation that no space ever had. */
static inline uint64_t tlb_generation(void) { return arch_hart()->generation += EXO_HARTS_MAX; }

/* The part of space_shoot for other harts. */
void shoot_others(struct exo_env *space);

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
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (unlikely(arch_hart()->others)) shoot_others(space);
    if (arch_hart()->space == space) {
        arch_hart()->seen[space->asid] = generation;
        arch_tlb_flush(space->asid);
    }
}
// LAB 3: END

/* Is the space in some hart's TLB or about to be: on any hart but this one? */
uint64_t space_harts(const struct exo_env *space);

/*
 * Enter the space of an environment that this hart has claimed (RUN), and make
 * it the hart's.  Returns false, with the environment given up again, if its
 * leader is DYING.
 */
bool hart_enter(struct hart *hart, struct exo_env *env);

/* Leave for the kernel's own root: this hart runs no environment. */
void hart_leave(struct hart *hart);
