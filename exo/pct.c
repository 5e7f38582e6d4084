/* SPDX-License-Identifier: MIT */
/* Protected control transfer in full, and how it ends without an answer: see pct.h. */
#include "pct.h"

#include "event.h"
#include "shoot.h"
#include "slice.h"
#include "space.h"

#define REGISTER_S0 8
#define REGISTER_S2 18
#define REGISTER_S11 27

/* ---- pct_call ---- */

/* Is it the caller, or does it wait for an answer in the caller's chain of calls? */
static bool chain_has(const struct exo_env *env, uint64_t frame) {
    for (unsigned i = 0; env && i <= EXO_CHAIN_MAX; i++) {
        if (env->frame == frame) return true;
        if (!env->caller) break;
        env = env_named(env->caller);
    }
    return false;
}

/* Why an environment that has this state word takes no call. */
static int64_t call_refusal(const struct exo_env *env, uint64_t frame, uint64_t word) {
    if (word & EXO_FLAG_KILL) return EXO_EDYING;
    if (chain_has(env, frame)) return EXO_ELOOP;
    return env_state(word) == EXO_STATE_STOPPED ? EXO_ESTATE : EXO_EBUSY;
}

/* Check the handle and claim the callee.  0 with *callee, or an error.  Under SPACE. */
static int64_t call_claim(struct hart *hart, uint64_t handle, struct exo_env **callee) {
    const struct exo_cap *cap = cap_find(hart->space, handle);
    int64_t error = env_check(cap, EXO_ENV_CALL);
    if (error) return error;
    uint64_t accepts = cap->match + (EXO_STATE_ACCEPT - EXO_STATE_READY), word = accepts;
    uint64_t *state = frame_state(cap->first);
    *callee = env_at(cap->first);
    if (!read_once(hart->env->depth)) {
        word = __atomic_load_n(state, __ATOMIC_RELAXED);
        return chain_has(hart->env, cap->first) ? EXO_ELOOP : EXO_EDEPTH;
    }
    if (__atomic_compare_exchange_n(state, &word, accepts + hart->accept, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return 0;
    return call_refusal(hart->env, cap->first, word);
}

/* The callee's link to its caller, which runs here. */
static void call_link(struct hart *hart, struct exo_env *callee) {
    const struct exo_env *env = hart->env;
    uint64_t flags = __atomic_load_n(hart->state, __ATOMIC_RELAXED) & EXO_FLAG_INCALL;
    callee->caller_ready = env_word(env->gen, EXO_STATE_READY) | flags;
    callee->caller_word =
        env_word(env->gen, EXO_STATE_CALLING) | flags | callee->frame << EXO_ENV_HART_SHIFT;
    write_once(callee->caller, env->frame);
    write_once(callee->depth, read_once(env->depth) - 1);
}

struct exo_env *call_full(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                          uint64_t a5, uint64_t handle) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env, *callee = NULL;
    struct lock *lock = hart->space_lock;
    uint64_t frame = env->frame;
    lock_take(lock);
    int64_t error = call_claim(hart, handle, &callee);
    if (error) {
        lock_release(lock);
        env_answer(env, error);
        return env;
    }
    call_link(hart, callee);
    write_once(env->call, handle);
    deadline_set(hart, env, hart->kept[0]);
    env_release(hart, EXO_STATE_CALLING | callee->frame << EXO_ENV_HART_SHIFT);
    lock_release(lock);
    deadline_tell(hart, env, hart->kept[0]);
    hart->env = callee;
    return call_enter(a0, a1, a2, a3, a4, a5, frame);
}

struct exo_env *call_enter(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                           uint64_t a5, uint64_t a6) {
    struct exo_env *env = arch_hart()->env;
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    const uint64_t words[] = {a0, a1, a2, a3, a4, a5, a6};
    for (uint64_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ctx->register_x[REGISTER_A0 - 1 + i] = words[i];
    for (uint64_t i = REGISTER_S0; a6 != env->frame && i <= REGISTER_S11; i++)
        if (i < REGISTER_A0 || i >= REGISTER_S2) ctx->register_x[i - 1] = 0;
    env->saved = EXO_SAVED_WORDS;
    struct exo_env *next = hart_switch(env);
    slice_arm(arch_hart());
    return next;
}

/* ---- pct_reply ---- */

/* Claim the caller that waits for this environment's answer; NULL if it does not any more. */
static struct exo_env *caller_claim(struct hart *hart, struct exo_env *env) {
    uint64_t frame = read_once(env->caller), word = env->caller_word;
    if (!frame) return NULL;
    write_once(env->caller, 0);
    bool waits =
        __atomic_compare_exchange_n(frame_state(frame), &word, env->caller_ready + hart->run, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    return waits ? env_at(frame) : NULL;
}

struct exo_env *reply_full(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                           uint64_t a5) {
    struct hart *hart = arch_hart();
    /* Before this one accepts another call, else the answer could be taken for that call's. */
    struct exo_env *caller = caller_claim(hart, hart->env);
    uint64_t serves = __atomic_load_n(hart->state, __ATOMIC_RELAXED) & EXO_FLAG_INCALL;
    env_release(hart, EXO_STATE_ACCEPT - serves);
    if (!caller) return slice_wait(hart);
    hart->env = caller;
    return call_enter(a0, a1, a2, a3, a4, a5, caller->frame);
}

/* ---- ends without an answer ---- */

void call_break(struct exo_env *env) {
    struct hart *hart = arch_hart();
    struct exo_env *caller = caller_claim(hart, env);
    if (!caller) return;
    env_answer(caller, EXO_EBROKEN);
    env_put(hart, caller, EXO_STATE_READY);
}

void call_cut(const struct exo_env *space, const struct exo_cap *cap) {
    struct hart *hart = arch_hart();
    struct lock *lock = space_lock(space);
    const struct exo_env *callee = env_at(cap->first);
    lock_take(lock);
    struct exo_env *caller = env_named(read_once(callee->caller));
    bool made = caller && env_leader(caller) == space;
    /* Through this one, or one that is gone: then the call hung on what it was derived from. */
    struct exo_cap *through = made ? cap_find(env_leader(caller), read_once(caller->call)) : NULL;
    made = made && (!through || through == cap || EXO_CAP_STATE(through->word) != EXO_SLOT_LIVE);
    uint64_t word = made ? __atomic_load_n(frame_state(caller->frame), __ATOMIC_RELAXED) : 0;
    made = env_sleeps(word, EXO_STATE_CALLING) && env_hart(word) == callee->frame &&
           env_claim_word(hart, caller->frame, word);
    if (made) {
        env_answer(caller, EXO_EBROKEN);
        env_put(hart, caller, EXO_STATE_READY);
    }
    lock_release(lock);
}
