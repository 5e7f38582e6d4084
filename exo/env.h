/* SPDX-License-Identifier: MIT */
/*
 * Environments: contexts of execution.
 *
 * An environment's state is word 1 of its ENV frame: one compare-and-swap
 * checks that it lives and claims it.  Who claims an environment expects no
 * STOP and no KILL; who gives it up does so with one release add that changes
 * only the state field, and obeys the flags that it sees in the old value.
 * KILL is DYING: such an environment is never claimed again.
 */
#pragma once
#include "cap.h"

#define ENV_FLAGS (EXO_FLAG_STOP | EXO_FLAG_KILL | EXO_FLAG_FAULT)
#define ENV_EVENTS ((1ul << 56) - 1) /* event bits that programs may use */

/* The state word of an environment with this generation in a state, without flags. */
static inline uint64_t env_word(uint64_t generation, uint64_t state) {
    uint64_t low = generation & ((1ul << EXO_ENV_GEN_BITS) - 1);
    return (uint64_t)EXO_TAG_ENV << EXO_TAG_SHIFT | low << EXO_ENV_GEN_SHIFT | state;
}

static inline uint64_t env_state(uint64_t word) { return word & EXO_STATE_MASK; }

static inline uint64_t env_hart(uint64_t word) {
    return word >> EXO_ENV_HART_SHIFT & FRAME_NUMBER_MASK;
}

static inline struct exo_env *env_at(uint64_t frame) { return frame_pointer(frame); }

static inline struct exo_env *env_leader(const struct exo_env *env) {
    return arch_pointer(env->leader);
}

/*
 * USE of an ENV capability.  While one is being cut its slot has no name left,
 * and no rights: the hot paths see the latter.  Returns 0, SLOT, CLASS, RIGHTS
 * or RANGE.
 */
static inline int64_t env_check(const struct exo_cap *cap, uint64_t rights) {
    int64_t error = cap_check(cap, EXO_CLASS_ENV, rights);
    return error || cap->count ? error : EXO_ERANGE;
}

/* The environment of an ENV frame, or NULL if the number is of no ENV frame.  Under TREE. */
struct exo_env *env_named(uint64_t frame);

/* Has it or its leader begun to die? */
bool env_is_dying(const struct exo_env *env);

/*
 * Mark it DYING and make the hart that runs it look.  The rest is env_reap's.
 * Needs no lock, but the frame must be kept from being released.
 */
void env_kill(struct exo_env *env);

/*
 * Give up the environment that runs here, to state READY or STOPPED.
 * Registers are saved.  Returns the other harts that have rows of it.
 */
uint64_t env_release(struct hart *hart, uint64_t state);

/* The same, and those that sleep are told when it is READY. */
void env_give_up(struct hart *hart, uint64_t state);

/*
 * An environment was given up and its state word was `old` before: if that had
 * STOP, it becomes STOPPED.  Only the hart that saw the flag does this.
 */
void env_obey(uint64_t *state, uint64_t old);

/* Store what a call of a switched-out environment returns. */
void env_answer(struct exo_env *env, int64_t value);

/*
 * Fill a claimed and cleared ENV frame: a STOPPED environment with these CTX
 * and ROOT frames, which leads its space if it is its own leader.
 */
void env_init(struct exo_env *env, uint64_t ctx_frame, uint64_t root_frame, struct exo_env *leader);

/* Record that the environment's frames were donated through `cap`.  Returns the ENV frame's donation. */
struct exo_cap *env_donate(struct exo_cap *cap, struct exo_env *env, const uint64_t *frames,
                           uint64_t count);

/* Take the caller out of its hart: each returns the environment that runs next, entered. */
struct exo_env *env_exit(void);
struct exo_env *env_fault(uint64_t cause, uint64_t value);

/* Calls: docs/abi.md. */
struct result env_create(uint64_t slot, uint64_t env_frame, uint64_t ctx_frame, uint64_t root_frame,
                         uint64_t into);
struct result env_regs(uint64_t env, uint64_t operation);
struct result env_reap(uint64_t frame);
