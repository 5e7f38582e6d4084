/* SPDX-License-Identifier: MIT */
/*
 * Slice vectors: what a hart runs, and until when.
 *
 * A hart walks its rows in order and gives each EXO_ROW_NANOSECONDS.  A row
 * runs the environment bound to it, or the end of that one's chain of calls; a
 * row that has nothing to run at its turn is skipped.  When the owner of the
 * current row sleeps, what is left goes to other rows by turns (`fills`), and
 * the owner takes it back when it wakes in time.  An URGENT row keeps the time
 * that its owner slept through in this round (`left`), and the owner may take
 * it when it wakes (`borrows`): then the current row ends that much later.
 *
 * A row names an environment by its ENV frame and the state word that it has
 * when READY, so that a hart claims it with one compare-and-swap and a row
 * that is read while it changes claims nobody.  Rows change under TREE, but
 * for `left` and `time`, which are the hart's own.
 */
#pragma once
#include "env.h"

/* Set at boot: rows of all harts, by the names of class SLICE: hart index * EXO_ROWS + row. */
extern struct exo_row *slice_rows;
static inline struct exo_row *slice_row(uint64_t row) { return &slice_rows[row]; }

/* Bind an empty row.  Under TREE. */
void slice_fill(uint64_t row, struct exo_env *env, const struct exo_env *binder, uint64_t flags);

/*
 * Take the environment out of a row.  Returns false while another hart still
 * runs what the row gave it; that hart was told.  Under TREE.
 */
bool slice_unbind(uint64_t row);

/* Take an environment out of all rows of one hart that has any.  Returns whether one had.  Under TREE. */
bool slice_forget(struct exo_env *env);

/*
 * Somebody made this environment READY: tell those of these harts which may
 * run it at once.  The state word was written before, and the frame may be
 * another's by now: then some hart looks for nothing.
 */
void slice_wake(const struct exo_env *env, uint64_t harts);
#define SLICE_ALL (~0ul) /* all harts */

/* Give up the environment that runs here, READY; its registers are saved. */
static inline void slice_give_up(struct hart *hart) {
    const struct exo_env *env = hart->env;
    env_release(hart, EXO_STATE_READY);
    if (hart->others) slice_wake(env, hart->others);
}

/* If it sleeps, its deadline is watched by a hart that has a row of it from now on. */
void slice_look(const struct exo_env *env);

/* This hart looks at its sleepers no later than then. */
void deadline_lower(struct hart *hart, uint64_t deadline);

/*
 * An environment that this hart has claimed was woken.  If it owns the current
 * row, or an urgent one with time left, the hart's time is that row's from now
 * on, and the detail is its ENV frame: it is to be entered.  Else it becomes
 * READY.
 */
struct result slice_recall(struct hart *hart, uint64_t frame);

/*
 * What this hart runs next, entered; it sleeps until there is something.  It
 * runs nothing now.
 */
struct exo_env *slice_wait(struct hart *hart);

/* Set the timer for what comes first: the end of the slice, its announcement, a deadline. */
void slice_arm(struct hart *hart);

/* Where every hart begins: run the environments of its rows for ever. */
_Noreturn void hart_schedule(void);

/*
 * The timer interrupted a program.  Returns 0 when there is nothing to do but
 * to go on, or where the handler of the end of its slice begins.  Below zero
 * all its registers must be saved for hart_interrupt.
 */
int64_t hart_tick(void);

/*
 * An interrupt came while an environment ran, whose registers are all saved:
 * wake who is due, obey what other harts asked for, end the slice.  Returns the
 * environment to go on with.
 */
struct exo_env *hart_interrupt(void);

/* Enter an environment that this hart has claimed, or if it is DYING what comes next. */
struct exo_env *hart_switch(struct exo_env *env);

/* yield's full form: docs/abi.md.  The caller's registers are saved. */
struct exo_env *env_yield(uint64_t env);

/* Call: docs/abi.md. */
struct result slice_bind(uint64_t slot, uint64_t row, uint64_t env);
