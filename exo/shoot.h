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
 * Generations come from one counter of the machine and are never used twice,
 * so a space that gets the ASID of a dead one never looks already seen.
 * trap.S repeats hart_enter's protocol in the fast path of yield.
 */
#pragma once
#include "env.h"

/* A TLB generation that no space ever had. */
uint64_t tlb_generation(void);

/*
 * No hart uses the entries of the space that were changed before this call,
 * when it returns.  Under SPACE.
 */
void space_shoot(struct exo_env *space);

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
