/* SPDX-License-Identifier: MIT */
/*
 * The walker: every invariant of docs/design.md over the whole state of the
 * modelled machine, to be called when no kernel runs.
 */
#pragma once

/* NULL if all invariants hold, else what does not; valid until the next call. */
const char *walk(void);
