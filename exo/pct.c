/* SPDX-License-Identifier: MIT */
/* Protected control transfer in full, and how it ends without an answer: see pct.h. */
#include "pct.h"

#include "event.h"
#include "shoot.h"
#include "slice.h"
#include "space.h"

/* In hart->kept, and with one less in exo_ctx.register_x. */
enum { REGISTER_T1 = 6, REGISTER_S0 = 8, REGISTER_A6 = 16, REGISTER_S11 = 27 };

/* ---- pct_call ---- */

/* Is it the caller, or does it wait for an answer in the caller's chain of calls? */
static bool chain_has(const struct exo_env *env, uint64_t frame) {
    for (unsigned i = 0; env && i <= EXO_CHAIN_MAX; i++, env = env_named(read_once(env->caller)))
        if (frame_of(env) == frame) return true;
    return false;
}

/* Check the handle and claim the callee.  0 with *callee, or an error.  Under SPACE. */
static int64_t call_claim(struct hart *hart, uint64_t handle, struct exo_env **callee) {
    const struct exo_cap *cap = cap_find(hart->space, handle);
    int64_t error = env_check(cap, EXO_ENV_CALL);
    if (error) return error;
    *callee = env_at(cap->first);
    uint64_t accepts = cap->match + (EXO_STATE_ACCEPT - EXO_STATE_READY), word = accepts;
    bool deep = !read_once(hart->env->depth);
    if (!deep && __atomic_compare_exchange_n(frame_state(cap->first), &word, accepts + hart->accept,
                                             false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return 0;
    if (word & EXO_FLAG_KILL) return EXO_EDYING;
    if (chain_has(hart->env, cap->first)) return EXO_ELOOP;
    if (deep) return EXO_EDEPTH;
    return env_state(word) == EXO_STATE_STOPPED ? EXO_ESTATE : EXO_EBUSY;
}

struct exo_env *call_full(void) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env, *callee = NULL;
    struct lock *lock = hart->space_lock; /* keeps both frames */
    uint64_t *handle = &hart->kept[REGISTER_A6];
    lock_take(lock);
    int64_t error = call_claim(hart, *handle, &callee);
    if (error) {
        lock_release(lock);
        env_answer(env, error);
        return env;
    }
    uint64_t state = EXO_STATE_CALLING | callee->frame << EXO_ENV_HART_SHIFT;
    write_once(env->call, *handle);
    write_once(callee->depth, read_once(env->depth) - 1);
    uint64_t word = sleep_begin(hart, state, hart->kept[REGISTER_T1]);
    callee->caller_word = word & ~(uint64_t)(EXO_FLAG_STOP | EXO_FLAG_KILL);
    callee->caller_ready = callee->caller_word - state + EXO_STATE_READY;
    write_once(callee->caller, env->frame);
    *handle = env->frame; /* from here on a6 */
    lock_release(lock);
    return call_enter(callee);
}

struct exo_env *call_enter(struct exo_env *env) {
    struct hart *hart = arch_hart();
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    bool called = hart->kept[REGISTER_A6] != env->frame;
    for (uint64_t i = REGISTER_S0; i <= REGISTER_S11; i++)
        if (i >= REGISTER_A0 && i <= REGISTER_A6)
            ctx->register_x[i - 1] = hart->kept[i];
        else if (called)
            ctx->register_x[i - 1] = 0;
    struct exo_env *next = hart_switch(env);
    slice_arm(hart);
    return next;
}

struct exo_env *call_accept(void) {
    struct hart *hart = arch_hart();
    write_once(hart->env->caller, 0);
    uint64_t serves = read_once(*hart->state) & EXO_FLAG_INCALL;
    env_release(hart, EXO_STATE_ACCEPT - serves);
    return slice_wait(hart);
}

/* ---- ends without an answer ---- */

void call_end(uint64_t frame, uint64_t word) {
    struct hart *hart = arch_hart();
    if (!frame || !env_claim_word(hart, frame, word)) return;
    env_answer(env_at(frame), EXO_EBROKEN);
    env_put(hart, env_at(frame), EXO_STATE_READY);
}

void call_break(struct exo_env *env) {
    uint64_t frame = read_once(env->caller);
    write_once(env->caller, 0);
    call_end(frame, env->caller_word);
}

void call_cut(const struct exo_env *space, const struct exo_cap *cap) {
    struct lock *lock = space_lock(space);
    lock_take(lock);
    const struct exo_env *caller = env_named(read_once(env_at(cap->first)->caller));
    if (caller && env_leader(caller) == space) {
        /* Through this one, or one that is gone: then the call hung on what it was derived from. */
        const struct exo_cap *through = cap_find(env_leader(caller), read_once(caller->call));
        bool made = !through || through == cap || EXO_CAP_STATE(through->word) != EXO_SLOT_LIVE;
        uint64_t word = read_once(*frame_state(caller->frame));
        if (made && env_sleeps(word, EXO_STATE_CALLING) && env_hart(word) == cap->first)
            call_end(caller->frame, word);
    }
    lock_release(lock);
}
