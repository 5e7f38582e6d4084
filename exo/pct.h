/* SPDX-License-Identifier: MIT */
/*
 * Protected control transfer: a call to another environment, on this hart and
 * in this slice.
 *
 * A callee accepts calls while it is in pct_reply (state ACCEPT).  The caller
 * becomes CALLING, with the callee's frame in its state word, and the callee
 * keeps a link: the caller's frame, its state word while it waits, and the one
 * that it gets with the answer, as READY.  Who ends a call claims the caller
 * by that word, so a call ends once: by the answer, a deadline, a stop of the
 * caller, the callee's death, or the cut of the capability it went through.
 *
 * A call is made under the caller's SPACE lock up to the store of the caller's
 * state, so under that lock the calls of a space stand still.
 *
 * trap.S does what goes well; here is the full form.
 */
#pragma once
#include "env.h"

/*
 * pct_call in full: docs/abi.md.  The registers of a switch are saved, and in
 * hart->kept are the words, the handle (a6) and the deadline (t1).  Returns the
 * environment that runs next, entered.
 */
struct exo_env *call_full(void);

/*
 * Enter an environment that is claimed with the six words in hart->kept, and
 * in a6 an ENV frame: of the caller, which is its own when the words are an
 * answer.  pct_reply has claimed the caller, or here is nobody to answer.
 */
struct exo_env *call_enter(struct exo_env *env);
struct exo_env *call_accept(void);

/* An ENV capability of this space is cut: so is the call that was made through it.  Under TREE. */
void call_cut(const struct exo_env *space, const struct exo_cap *cap);
