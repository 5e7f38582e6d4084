/* SPDX-License-Identifier: MIT */
/* Events, sleep and deadlines: see event.h. */
#include "event.h"

#include "shoot.h"
#include "slice.h"

#define WAKE_STEP 8 /* sleepers that one look at the deadlines wakes */

/* Clear the events of a mask and return those that were set. */
static uint64_t event_take(struct exo_env *env, uint64_t mask) {
    if (!(read_once(env->events) & mask)) return 0;
    return __atomic_fetch_and(&env->events, ~mask, __ATOMIC_SEQ_CST) & mask;
}

/*
 * Set events; whether that woke a sleeper, which this hart has claimed then.
 * Its answer is in CTX, from where all ways into a program load a0.
 */
static inline bool event_claim(struct hart *hart, uint64_t frame, uint64_t bits) {
    struct exo_env *env = env_at(frame);
    __atomic_fetch_or(&env->events, bits, __ATOMIC_SEQ_CST);
    uint64_t word = __atomic_load_n(frame_state(frame), __ATOMIC_RELAXED); /* after the events */
    if (!env_sleeps(word, EXO_STATE_WAIT)) return false;
    if (!(read_once(env->mask) & bits)) return false;
    if (!env_claim_word(hart, frame, word)) return false;
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    uint64_t mask = env->mask; /* only now it is that of the wait which was claimed */
    ctx->register_x[REGISTER_A0 - 1] =
        __atomic_fetch_and(&env->events, ~mask, __ATOMIC_RELAXED) & mask;
    return true;
}

void event_post(struct exo_env *env, uint64_t bits) {
    struct hart *hart = arch_hart();
    if (event_claim(hart, env->frame, bits)) env_put(hart, env, EXO_STATE_READY);
}

/* ---- wait ---- */

struct result env_wait(uint64_t mask, uint64_t deadline) {
    struct exo_env *env = arch_hart()->env;
    uint64_t taken = event_take(env, mask);
    if (taken || (deadline != EXO_NEVER && deadline <= arch_time())) return answer((int64_t)taken);
    write_once(env->mask, mask);
    write_once(env->deadline, deadline);
    return (struct result){0, env->frame};
}

void deadline_set(struct hart *hart, struct exo_env *env, uint64_t deadline) {
    write_once(env->deadline, deadline);
    if (deadline == EXO_NEVER) return;
    write_once(env->last, 0); /* hart_enter forgets the deadline, the fast paths do not */
    deadline_lower(hart, deadline);
}

void deadline_tell(const struct hart *hart, const struct exo_env *env, uint64_t deadline) {
    if (deadline == EXO_NEVER) return;
    /* Read now, since a row that was bound or emptied before was not told of the deadline. */
    uint64_t rows = read_once(env->rows);
    if (!(rows >> hart->index & 1)) slice_look(env);
}

struct exo_env *wait_sleep(void) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env;
    uint64_t frame = env->frame, mask = env->mask, deadline = env->deadline;
    uint64_t serves = __atomic_load_n(hart->state, __ATOMIC_RELAXED) & EXO_FLAG_INCALL;
    uint64_t waits = env_word(env->gen, EXO_STATE_WAIT) | serves;
    deadline_set(hart, env, deadline);
    env_release(hart, EXO_STATE_WAIT);
    deadline_tell(hart, env, deadline);
    /*
     * Who set an event before that saw it running.  From here on it may be
     * reaped: then its word is another and the claim fails.
     */
    if (__atomic_load_n(&env->events, __ATOMIC_SEQ_CST) & mask &&
        env_claim_word(hart, frame, waits)) {
        env_answer(env, (int64_t)event_take(env, env->mask)); /* it may be another wait by now */
        return hart_switch(env);
    }
    return slice_wait(hart);
}

/* ---- notify ---- */

/* Notify through a capability that suits. */
static inline struct result notify_by(struct hart *hart, const struct exo_cap *cap, uint64_t bits) {
    uint64_t frame = cap->first;
    bool claimed = event_claim(hart, frame, bits);
    lock_release(hart->space_lock);
    return claimed ? slice_recall(hart, frame) : answer(0);
}

/* What is not the usual notify: of itself, by a slot of a CAPS frame, or refused. */
static __attribute__((noinline)) struct result notify_unusual(struct hart *hart, uint64_t handle,
                                                              uint64_t bits) {
    const struct exo_cap *cap = cap_find(hart->space, handle);
    int64_t error = handle == EXO_SELF ? 0 : env_check(cap, EXO_ENV_NOTIFY);
    if (!error && bits & ~(handle == EXO_SELF ? ENV_EVENTS : cap->extra)) error = EXO_ERIGHTS;
    if (!error && handle != EXO_SELF) return notify_by(hart, cap, bits);
    lock_release(hart->space_lock);
    if (!error) __atomic_fetch_or(&hart->env->events, bits, __ATOMIC_RELAXED);
    return answer(error);
}

struct result env_notify(uint64_t handle, uint64_t bits) {
    struct hart *hart = arch_hart();
    lock_take(hart->space_lock);
    const struct exo_cap *cap = cap_near(hart->space, handle);
    bool usual = cap_suits(cap, handle, EXO_CLASS_ENV, EXO_ENV_NOTIFY) && !(bits & ~cap->extra);
    return likely(usual) ? notify_by(hart, cap, bits) : notify_unusual(hart, handle, bits);
}

/* ---- deadlines ---- */

/* The deadline of a sleeper with this state word has passed: wake it, unless somebody else does. */
static void deadline_end(struct hart *hart, struct exo_env *env, uint64_t word, uint64_t now) {
    if (!env_claim_word(hart, frame_of(env), word)) return;
    bool due =
        read_once(env->deadline) <= now; /* else it was woken and sleeps anew, by the same word */
    if (env_state(word) == EXO_STATE_WAIT)
        env_answer(env, (int64_t)event_take(env, env->mask));
    else
        env_answer(env, due ? EXO_ETIMEOUT : EXO_EBROKEN);
    env_put(hart, env, EXO_STATE_READY);
}

void hart_deadlines(struct hart *hart) {
    uint64_t now = arch_time(), first = EXO_NEVER, woken = 0;
    /* Before the look: who stores a deadline meanwhile lowers it again. */
    __atomic_store_n(&hart->deadline, EXO_NEVER, __ATOMIC_SEQ_CST);
    struct exo_row *rows = hart->rows;
    for (uint64_t row = 0; row < EXO_ROWS; row++) {
        uint64_t frame = read_once(rows[row].env);
        if (!frame) continue;
        struct exo_env *env = env_at(frame);
        uint64_t word = __atomic_load_n(frame_state(frame), __ATOMIC_ACQUIRE);
        if ((word ^ read_once(rows[row].match)) >> EXO_ENV_GEN_SHIFT) continue;
        if (!env_sleeps(word, EXO_STATE_WAIT) && !env_sleeps(word, EXO_STATE_CALLING)) continue;
        uint64_t deadline = read_once(env->deadline);
        if (deadline <= now && woken++ < WAKE_STEP)
            deadline_end(hart, env, word, now);
        else if (deadline < first)
            first = deadline;
    }
    deadline_lower(hart, first);
}
