/* SPDX-License-Identifier: MIT */
/* Events, sleep and deadlines: see event.h. */
#include "event.h"

#include "disk.h"
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
    uint64_t word = read_once(*frame_state(frame)); /* after the events */
    if (!env_sleeps(word, EXO_STATE_WAIT) || !(read_once(env->mask) & bits)) return false;
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

uint64_t sleep_begin(struct hart *hart, uint64_t state, uint64_t deadline) {
    struct exo_env *env = hart->env;
    write_once(env->deadline, deadline);
    if (deadline == EXO_NEVER) return env_release(hart, state);
    write_once(env->last, 0); /* hart_enter forgets the deadline, the fast paths do not */
    deadline_lower(hart, deadline);
    uint64_t word = env_release(hart, state);
    /* Read now, since a row that was bound or emptied before was not told of the deadline. */
    if (!(read_once(env->rows) >> hart->index & 1)) slice_look(env);
    return word;
}

struct exo_env *wait_sleep(void) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env;
    uint64_t frame = env->frame, mask = env->mask;
    uint64_t word = sleep_begin(hart, EXO_STATE_WAIT, env->deadline);
    /*
     * Who set an event before that saw it running.  From here on it may be
     * reaped: then its word is another and the claim fails.
     */
    bool came = __atomic_load_n(&env->events, __ATOMIC_SEQ_CST) & mask;
    if (came && env_sleeps(word, EXO_STATE_WAIT) && env_claim_word(hart, frame, word)) {
        env_answer(env, (int64_t)event_take(env, env->mask)); /* it may be another wait by now */
        return hart_switch(env);
    }
    return slice_wait(hart);
}

/* ---- notify ---- */

/*
 * What is not the usual notify: of itself, by a slot of a CAPS frame, or refused.
 * The ENV frame or an error, and the bits, which so need no saved register.
 */
static __attribute__((noinline)) struct result notify_check(uint64_t handle, uint64_t bits) {
    const struct exo_cap *cap = cap_find(arch_hart()->space, handle);
    bool self = handle == EXO_SELF;
    int64_t error = self ? 0 : env_check(cap, EXO_ENV_NOTIFY);
    if (!error && bits & ~(self ? ENV_EVENTS : cap->extra)) error = EXO_ERIGHTS;
    if (error) return answer(error);
    return (struct result){(int64_t)(self ? arch_hart()->env->frame : cap->first), bits};
}

struct result env_notify(uint64_t handle, uint64_t bits) {
    lock_take(arch_hart()->space_lock);
    const struct exo_cap *cap = cap_near(arch_hart()->space, handle);
    bool usual = cap_suits(cap, handle, EXO_CLASS_ENV, EXO_ENV_NOTIFY) && !(bits & ~cap->extra);
    struct result to = {(int64_t)cap->first, bits};
    if (unlikely(!usual)) to = notify_check(handle, bits);
    bool claimed = to.value > 0 && event_claim(arch_hart(), (uint64_t)to.value, to.detail);
    lock_release(arch_hart()->space_lock);
    if (claimed) return slice_recall(arch_hart(), (uint64_t)to.value);
    return answer(to.value < 0 ? to.value : 0);
}

/* ---- deadlines ---- */

/* The deadline of a sleeper with this state word has passed: wake it, unless somebody else does. */
static void deadline_end(struct hart *hart, struct exo_env *env, uint64_t word, uint64_t now) {
    if (!env_claim_word(hart, frame_of(env), word)) return;
    /* Else it was woken and sleeps anew, by the same word. */
    int64_t value = read_once(env->deadline) <= now ? EXO_ETIMEOUT : EXO_EBROKEN;
    if (env_state(word) == EXO_STATE_WAIT) value = (int64_t)event_take(env, env->mask);
    env_answer(env, value);
    env_put(hart, env, EXO_STATE_READY);
}

void hart_deadlines(struct hart *hart) {
    uint64_t now = arch_time(), first = EXO_NEVER, woken = 0;
    /* Before the look: who stores a deadline meanwhile lowers it again. */
    __atomic_store_n(&hart->deadline, EXO_NEVER, __ATOMIC_SEQ_CST);
    for (const struct exo_row *row = hart->rows; row < hart->rows + EXO_ROWS; row++) {
        uint64_t frame = read_once(row->env);
        if (!frame) continue;
        struct exo_env *env = env_at(frame);
        uint64_t word = __atomic_load_n(frame_state(frame), __ATOMIC_ACQUIRE);
        if ((word ^ read_once(row->match)) >> EXO_ENV_GEN_SHIFT) continue;
        if (!env_sleeps(word, EXO_STATE_WAIT) && !env_sleeps(word, EXO_STATE_CALLING)) continue;
        uint64_t deadline = read_once(env->deadline);
        if (deadline <= now && woken++ < WAKE_STEP)
            deadline_end(hart, env, word, now);
        else if (deadline < first)
            first = deadline;
    }
    deadline_lower(hart, first);
    deadline_lower(hart, disks_late(now));
}
