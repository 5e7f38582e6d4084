/* SPDX-License-Identifier: MIT */
/*
 * Slice vectors: which environments a hart runs, in the order of its rows.
 *
 * A row names an environment by its ENV frame and the state word that it has
 * when READY, so that a hart claims it with one compare-and-swap and a row
 * that is read while it changes claims nobody.  Rows change under TREE.
 *
 * Not here yet in the kernel: the length of a row.  A row runs until its
 * environment yields, ends or is stopped.
 */
#pragma once
#include "env.h"

/* The row of a SLICE name: hart index * EXO_ROWS + row. */
struct exo_row *slice_row(uint64_t row);

/* Set at boot: rows of all harts. */
extern struct exo_row *slice_rows;

/*
 * Take the environment out of a row.  Returns false while another hart still
 * runs what the row gave it; that hart was told.  Under TREE.
 */
bool slice_unbind(uint64_t row);

/* Take an environment out of all rows of one hart that has any.  Returns whether one had.  Under TREE. */
bool slice_forget(struct exo_env *env);

/*
 * Somebody made an environment READY that has rows on these harts: wake those
 * that are idle.  The state word was written before.
 */
void slice_wake(uint64_t rows);

/*
 * Claim and enter the environment of the next row from `first` on (a number of
 * rows after the current one) that is READY.  Returns NULL if there is none.
 */
struct exo_env *slice_next(struct hart *hart, uint64_t first);

/* The same, asleep until there is one. */
struct exo_env *slice_wait(struct hart *hart, uint64_t first);

/* Where every hart begins: run the environments of its rows for ever. */
_Noreturn void hart_schedule(void);

/*
 * An interrupt came while an environment ran, whose registers are all saved:
 * obey what other harts asked for.  Returns the environment to go on with.
 */
struct exo_env *hart_interrupt(void);

/* Enter an environment that this hart has claimed, or if it is DYING what comes next. */
struct exo_env *hart_switch(struct exo_env *env);

/* yield's full form: docs/abi.md.  The caller's registers are saved. */
struct exo_env *env_yield(uint64_t env);

/* Call: docs/abi.md. */
struct result slice_bind(uint64_t slot, uint64_t row, uint64_t env);
