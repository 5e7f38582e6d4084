/* SPDX-License-Identifier: MIT */
/*
 * Taking back: revoke, drop, and the cut that both are made of.
 *
 * A cut takes the names past an end from a slot and from all that was derived
 * from it.  It goes down before it goes up: every slot that it passes is
 * shortened first (state CUTTING), then it descends to a child that reaches
 * past the new end, and the deepest is finished first.  derive and grant need
 * LIVE, so nothing new can appear below a slot that is CUTTING, and every
 * descent ends.  One call does one bounded step; the progress is in the slots,
 * so that any holder above may go on.
 */
#pragma once
#include "cap.h"

/*
 * One step of cutting everything below a slot that reaches past its `reach`.
 * Donations directly below it are left alone if `spare`.  Returns 0 when
 * nothing is left, else AGAIN, REAP with an ENV frame as detail, or SELF.
 * Under TREE, with `pass` at EXO_PASS_CUT.
 */
struct result cut_below(struct exo_cap *slot, bool spare);

/* One step of: shorten a slot to `from`, cut all below, then the slot itself.  Under TREE.  As cut_below. */
struct result cut_slot(struct exo_cap *slot, uint64_t from);

/* Begin a walk over all children, for a cut at `from`. */
void cut_walk(struct exo_cap *slot, uint64_t from, uint8_t pass);

/* Calls: docs/abi.md. */
struct result cap_revoke(uint64_t handle, uint64_t from, uint64_t due);
struct result cap_drop(uint64_t handle, uint64_t from);
