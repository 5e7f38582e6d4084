/* SPDX-License-Identifier: MIT */
/*
 * Events: 64 bits an environment, set by anybody who may, taken by itself.
 *
 * A waiter gives its state up to WAIT and then looks at its events again; a
 * waker sets events and then looks at the state.  Both with a full fence
 * between, so no wake-up is lost.  Who claims a sleeper takes the events of its
 * mask for it.
 *
 * A deadline is kept in the ENV frame, and watched by a hart that has a row of
 * the sleeper: no sleeper's deadline is before its `deadline`.
 */
#pragma once
#include "env.h"

/* Set events and wake the environment if it waits for one of them.  The frame must be kept. */
void event_post(struct exo_env *env, uint64_t bits);

/*
 * Give up the environment that runs here, to a state that ends at the deadline
 * at the latest: a hart that has a row of it watches that.  Returns its word.
 */
uint64_t sleep_begin(struct hart *hart, uint64_t state, uint64_t deadline);

/* Wake the sleepers of this hart's rows that are due: a bounded number, then it looks again at once. */
void hart_deadlines(struct hart *hart);

/*
 * The calls wait and notify: docs/abi.md.  A detail that is not 0 asks for a
 * switch when the caller's registers are saved: the caller is to sleep
 * (wait_sleep), or is READY and the environment of that ENV frame, which this
 * hart has claimed, runs by its own row.
 */
struct result env_wait(uint64_t mask, uint64_t deadline);
struct result env_notify(uint64_t env, uint64_t bits);

/* Sleep until an event of the mask, the deadline, or a stop.  Returns who runs next, entered. */
struct exo_env *wait_sleep(void);
