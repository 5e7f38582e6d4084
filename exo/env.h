/* SPDX-License-Identifier: MIT */
/*
 * Environments: contexts of execution.
 *
 * An environment's state is word 1 of its ENV frame: one compare-and-swap
 * checks that it lives and claims it.  Who claims an environment expects no
 * STOP and no KILL; who gives it up does so with one release add that changes
 * only the state field and keeps the flags.  KILL is DYING: such an environment
 * is never claimed again.  STOP is set on one that runs; given up it is claimed
 * by nobody but who stops it, and who asked for the stop asks again to finish
 * it.  INCALL is a mark beside the state: it serves a call, whatever it does.
 *
 * Who ends a sleep (WAIT, ACCEPT, CALLING) claims the sleeper as if to run it,
 * writes what its call returns, and puts it to READY or STOPPED.
 */
#pragma once
#include "cap.h"

#define ENV_FLAGS (EXO_FLAG_STOP | EXO_FLAG_KILL | EXO_FLAG_FAULT | EXO_FLAG_INCALL)
#define REGISTER_A0 10               /* in exo_ctx.register_x[n - 1] */
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

/* Claim an environment that has this state word, READY without flags but INCALL. */
static inline bool env_claim(struct hart *hart, uint64_t frame, uint64_t ready) {
    return __atomic_compare_exchange_n(frame_state(frame), &ready, ready + hart->run, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Is this the word of a sleeper in that state, not DYING and not to be stopped? */
static inline bool env_sleeps(uint64_t word, uint64_t state) {
    return (word & (EXO_STATE_MASK | EXO_FLAG_STOP | EXO_FLAG_KILL)) == state;
}

/* Claim one that has this word, which is not RUN.  Of its flags only INCALL stays. */
static inline bool env_claim_word(struct hart *hart, uint64_t frame, uint64_t word) {
    uint64_t same = word >> EXO_ENV_GEN_SHIFT << EXO_ENV_GEN_SHIFT | (word & EXO_FLAG_INCALL);
    return __atomic_compare_exchange_n(frame_state(frame), &word,
                                       same + EXO_STATE_READY + hart->run, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/*
 * Give back an environment that this hart claimed and does not run, READY or
 * STOPPED.  The first without telling the harts that may run it.
 */
void env_put_quietly(struct hart *hart, struct exo_env *env, uint64_t state);
void env_put(struct hart *hart, struct exo_env *env, uint64_t state);

/* The environment will not answer whom it serves: that one gets BROKEN.  It runs nowhere else. */
void call_break(struct exo_env *env);

/* The call of the caller with this frame (0: none) and word has ended without an answer. */
void call_end(uint64_t frame, uint64_t word);

/*
 * Give up the environment that runs here, to a state with the callee's frame
 * beside it (CALLING).  Its registers are saved, all but floating point.
 * Returns its word; the frame may be another's by now.
 */
static inline uint64_t env_release(struct hart *hart, uint64_t state) {
    uint64_t caller = hart->env->caller, waits = hart->env->caller_word;
    uint64_t difference = hart->run + EXO_STATE_READY - state;
    arch_float_save();
    hart->env = NULL;
    uint64_t word = __atomic_fetch_sub(hart->state, difference, __ATOMIC_SEQ_CST) - difference;
    /* Who killed it left its caller to this hart. */
    if (unlikely(word & EXO_FLAG_KILL)) call_end(caller, waits);
    return word;
}

/* Store what a call of a switched-out environment returns. */
void env_answer(struct exo_env *env, int64_t value);

/*
 * Fill a claimed and cleared ENV frame: a STOPPED environment with these CTX
 * and ROOT frames, which leads its space if it is its own leader.
 */
void env_init(struct exo_env *env, uint64_t ctx_frame, uint64_t root_frame, struct exo_env *leader);

/* Record that the environment's frames were donated through `cap`. */
void env_donate(struct exo_cap *cap, struct exo_env *env, const uint64_t *frames, uint64_t count);

/* Take the caller out of its hart: each returns the environment that runs next, entered. */
struct exo_env *env_exit(void);
struct exo_env *env_fault(uint64_t cause, uint64_t value);

/* Calls: docs/abi.md. */
struct result env_create(uint64_t slot, uint64_t env_frame, uint64_t ctx_frame, uint64_t root_frame,
                         uint64_t into);
struct result env_regs(uint64_t env, uint64_t operation);
struct result env_reap(uint64_t frame);
