/* SPDX-License-Identifier: MIT */
/* The ways into the kernel and out of it, in C: see trap.h. */
#include "trap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not among the core's sources, but its atomics are points as well. */
#include "host_atomic.h"

#include "cap.h"
#include "device.h"
#include "env.h"
#include "event.h"
#include "pct.h"
#include "shoot.h"
#include "slice.h"

#define RA 1
#define SP 2
#define TP 4
#define T0 5
#define S0 8
#define A0 HOST_A0
#define A1 (HOST_A0 + 1)
#define A7 (HOST_A0 + 7)
#define S2 18
#define S11 27
#define T6 31
#define FLOAT_DIRTY 0x6000 /* what trap.S stores in float_saved */

static struct host_model *model_of(const struct hart *hart) { return &host_models[hart->index]; }

static uint64_t *registers(const struct hart *hart) { return model_of(hart)->registers; }

/* ---- saving and loading ---- */

void host_float_save(void) {
    struct hart *hart = arch_hart();
    struct host_model *model = model_of(hart);
    if (!model->float_live) return;
    hart->ctx->register_f[0] = model->float_register;
    model->float_live = false;
    hart->env->float_saved = FLOAT_DIRTY;
    __atomic_fetch_or(&hart->env->last, EXO_LAST_FLOAT, __ATOMIC_RELAXED);
}

static void float_load(struct hart *hart) {
    model_of(hart)->float_live = true;
    model_of(hart)->float_register = hart->ctx->register_f[0];
    hart->env->float_saved = 0;
}

/* sp, tp and s0 to s11, between CTX and registers. */
static void switched_copy(struct exo_ctx *ctx, uint64_t *registers, bool save) {
    for (unsigned i = SP; i <= S11; i++) {
        bool kept = i == SP || i == TP || (i >= S0 && i < A0) || i >= S2;
        if (kept && save) ctx->register_x[i - 1] = registers[i];
        if (kept && !save) registers[i] = ctx->register_x[i - 1];
    }
}

/* What a call that switches saves. */
static void switch_save(struct hart *hart) {
    hart->ctx->register_pc = registers(hart)[RA];
    switched_copy(hart->ctx, registers(hart), true);
}

/* An interruption saves all. */
static void full_save(struct hart *hart) {
    uint64_t *from = registers(hart);
    hart->ctx->register_pc = from[0];
    for (unsigned i = 1; i <= T6; i++) hart->ctx->register_x[i - 1] = from[i];
}

/* pc, tp and, with `switched`, sp and the s registers; all else is 0. */
static void switch_load(struct hart *hart, bool switched) {
    uint64_t *to = registers(hart);
    memset(to, 0, sizeof(model_of(hart)->registers));
    if (switched) switched_copy(hart->ctx, to, false);
    to[0] = to[RA] = hart->ctx->register_pc;
    to[SP] = hart->ctx->register_x[SP - 1];
    to[TP] = hart->ctx->register_x[TP - 1];
}

void trap_enter(struct hart *hart) {
    struct exo_ctx *ctx = hart->ctx;
    uint64_t *to = registers(hart);
    if (hart->env->float_saved) float_load(hart);
    to[0] = ctx->register_pc;
    for (unsigned i = 1; i <= T6; i++) to[i] = ctx->register_x[i - 1];
    for (unsigned i = A0; i < A7; i++) ctx->register_x[i - 1] = 0;
}

/* What C returned runs next. */
static void enter(struct hart *hart, const struct exo_env *env) {
    if (!env || env != hart->env) {
        fprintf(stderr, "KERNEL BUG: hart %lu returns to no environment\n", hart->index);
        abort();
    }
    trap_enter(hart);
}

/* ---- the ways when all goes well ---- */

static void words_load(struct hart *hart, const uint64_t *words, uint64_t a6) {
    memcpy(&registers(hart)[A0], words, 6 * sizeof(*words));
    registers(hart)[A0 + 6] = a6;
}

/*
 * ENTER and ENTER_OTHER: enter a leader that is alone in its space and was
 * entered here last, or one of the space that this hart is in.  Returns false
 * when hart_enter must do it.
 */
static bool enter_fast(struct hart *hart, struct exo_env *env) {
    uint64_t frame = frame_of(env), active = hart->active;
    __atomic_store_n(&hart->active, frame << 32 | (uint32_t)active, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t last = __atomic_load_n(&env->last, __ATOMIC_RELAXED);
    if (last == (hart->run | EXO_LAST_JOINED) && env_leader(env) == hart->space) {
        __atomic_store_n(&hart->active, (uint64_t)(uint32_t)active << 32 | (uint32_t)active,
                         __ATOMIC_RELAXED);
        hart->env = env;
        hart->state = frame_state(frame);
        hart->ctx = arch_pointer(env->ctx);
        return true;
    }
    if (last != hart->run && last != (hart->run | EXO_LAST_FLOAT)) return false;
    hart->env = env;
    arch_root_write(env->satp);
    __atomic_store_n(&hart->active, frame << 32 | frame, __ATOMIC_RELEASE);
    hart->space = env;
    hart->space_lock = arch_pointer(env->lock);
    hart->state = frame_state(frame);
    hart->ctx = arch_pointer(env->ctx);
    if (last == hart->run) return true;
    __atomic_fetch_and(&env->last, ~(uint64_t)EXO_LAST_FLOAT, __ATOMIC_RELAXED);
    float_load(hart);
    return true;
}

/* What C is asked for later. */
static void words_keep(struct hart *hart, const uint64_t *words, uint64_t a6) {
    memcpy(&hart->kept[A0], words, 6 * sizeof(*words));
    hart->kept[A0 + 6] = a6;
}

static void words_enter(struct hart *hart, struct exo_env *env, const uint64_t *words, uint64_t a6,
                        bool switched) {
    if (host_fast && enter_fast(hart, env)) {
        switch_load(hart, switched);
        words_load(hart, words, a6);
        return;
    }
    words_keep(hart, words, a6);
    enter(hart, call_enter(env));
}

/* The usable ENV capability with CALL of this handle in the ENV frame's own slots; else NULL.  Under SPACE. */
static const struct exo_cap *env_find(struct hart *hart, uint64_t handle) {
    const struct exo_cap *cap = cap_near(hart->space, handle);
    return cap_suits(cap, handle, EXO_CLASS_ENV, EXO_ENV_CALL) ? cap : NULL;
}

static bool word_claim(uint64_t frame, uint64_t word, uint64_t claimed) {
    return __atomic_compare_exchange_n(frame_state(frame), &word, claimed, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* Returns false, with nothing done, when call_full must do it. */
static bool call_fast(struct hart *hart, const uint64_t *words, uint64_t handle) {
    struct lock *lock = hart->space_lock;
    struct exo_env *env = hart->env;
    lock_take(lock);
    const struct exo_cap *cap = env_find(hart, handle);
    uint64_t depth = read_once(env->depth), accepts = 0;
    if (cap) accepts = cap->match + EXO_STATE_ACCEPT - EXO_STATE_READY;
    if (!cap || !depth || !word_claim(cap->first, accepts, accepts + hart->accept)) {
        lock_release(lock);
        return false;
    }
    struct exo_env *callee = env_at(cap->first);
    uint64_t gives =
        (frame_of(callee) << EXO_ENV_HART_SHIFT) - hart->run + EXO_STATE_CALLING - EXO_STATE_READY;
    write_once(callee->depth, depth - 1);
    write_once(env->call, handle);
    uint64_t word = __atomic_fetch_add(hart->state, gives, __ATOMIC_SEQ_CST) &
                    ~(uint64_t)(EXO_FLAG_STOP | EXO_FLAG_KILL);
    callee->caller_ready = word - hart->run;
    callee->caller_word = word + gives;
    write_once(callee->caller, env->frame);
    lock_release(lock);
    words_enter(hart, callee, words, env->frame, false);
    return true;
}

/* Returns false when there is nobody to answer. */
static bool reply_answers(struct hart *hart, const uint64_t *words) {
    struct exo_env *env = hart->env;
    uint64_t caller = env->caller;
    if (!caller || !word_claim(caller, env->caller_word, env->caller_ready + hart->run))
        return false;
    write_once(env->caller, 0);
    __atomic_fetch_sub(hart->state, hart->accept, __ATOMIC_SEQ_CST);
    words_enter(hart, env_at(caller), words, caller, true);
    return true;
}

/* The caller is READY, and the environment that this hart has claimed runs. */
static void yield_gives(struct hart *hart, struct exo_env *target) {
    const struct exo_env *env = hart->env;
    __atomic_fetch_xor(hart->state, hart->run, __ATOMIC_SEQ_CST);
    bool tells = hart->others && ((read_once(env->rows) & hart->others) || read_once(env->caller));
    if (tells) slice_wake(env, hart->others);
    if (tells || !enter_fast(hart, target)) {
        enter(hart, hart_switch(target));
        return;
    }
    hart->ctx->slice_end = hart->until;
    switch_load(hart, true);
    registers(hart)[A0] = hart->ctx->register_x[A0 - 1];
    hart->ctx->register_x[A0 - 1] = 0;
}

static bool yield_fast(struct hart *hart, uint64_t handle) {
    struct lock *lock = hart->space_lock;
    lock_take(lock);
    const struct exo_cap *cap = env_find(hart, handle);
    bool claimed = cap && word_claim(cap->first, cap->match, cap->match + hart->run);
    struct exo_env *target = claimed ? env_at(cap->first) : NULL;
    lock_release(lock);
    if (claimed) yield_gives(hart, target);
    return claimed;
}

/* ---- calls ---- */

/* How many arguments a call has. */
static int call_arguments(int number) {
    switch (number) {
#define X(its_number, name, arguments) \
    case its_number: return arguments;
        EXO_CALLS(X)
#undef X
    default: return 0;
    }
}

typedef struct result function_0(void);
typedef struct result function_1(uint64_t);
typedef struct result function_2(uint64_t, uint64_t);
typedef struct result function_3(uint64_t, uint64_t, uint64_t);
typedef struct result function_4(uint64_t, uint64_t, uint64_t, uint64_t);
typedef struct result function_5(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef struct result function_6(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef struct result function_7(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                 uint64_t);

static struct result call_by_number(const struct hart *hart, int number) {
    const uint64_t *a = &registers(hart)[A0];
    void *function = hart->calls[number];
    switch (call_arguments(number)) {
    case 0: return ((function_0 *)function)();
    case 1: return ((function_1 *)function)(a[0]);
    case 2: return ((function_2 *)function)(a[0], a[1]);
    case 3: return ((function_3 *)function)(a[0], a[1], a[2]);
    case 4: return ((function_4 *)function)(a[0], a[1], a[2], a[3]);
    case 5: return ((function_5 *)function)(a[0], a[1], a[2], a[3], a[4]);
    case 6: return ((function_6 *)function)(a[0], a[1], a[2], a[3], a[4], a[5]);
    default: return ((function_7 *)function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    }
}

/* A call that does not switch returns. */
static void result_load(struct hart *hart, struct result result) {
    uint64_t *to = registers(hart);
    for (unsigned i = 0; i <= T6; i++)
        if ((i >= T0 && i < S0) || (i > A1 && i < A7) || i > S11) to[i] = 0;
    to[A0] = (uint64_t)result.value;
    to[A1] = result.detail;
    to[0] = to[RA];
    to[RA] = 0;
}

/* wait and notify: C decides, and if there is a switch the registers are saved for it. */
static void trap_wait(struct hart *hart, const uint64_t *a) {
    struct result result = env_wait(a[0], a[1]);
    if (!result.detail) {
        result_load(hart, result);
        return;
    }
    switch_save(hart);
    enter(hart, wait_sleep());
}

static void trap_notify(struct hart *hart, const uint64_t *a) {
    struct result result = env_notify(a[0], a[1]);
    if (!result.detail) {
        result_load(hart, result);
        return;
    }
    switch_save(hart);
    yield_gives(hart, env_at(result.detail));
}

static void trap_pct_call(struct hart *hart, const uint64_t *a, uint64_t deadline, bool fast) {
    if (fast) host_float_save();
    switch_save(hart);
    if (fast && call_fast(hart, a, a[6])) return;
    words_keep(hart, a, a[6]);
    hart->kept[HOST_T1] = deadline;
    enter(hart, call_full());
}

/* pct_reply saves no s register: it returns with these 0. */
static void trap_reply(struct hart *hart, const uint64_t *a) {
    host_float_save();
    hart->ctx->register_pc = registers(hart)[RA];
    hart->ctx->register_x[SP - 1] = registers(hart)[SP];
    hart->ctx->register_x[TP - 1] = registers(hart)[TP];
    if (!reply_answers(hart, a)) enter(hart, call_accept());
}

static void trap_yield(struct hart *hart, uint64_t handle) {
    if (host_fast) host_float_save();
    switch_save(hart);
    if (host_fast && yield_fast(hart, handle)) return;
    enter(hart, env_yield(handle));
}

static void trap_resume(struct hart *hart) {
    struct exo_ctx *ctx = hart->ctx;
    uint64_t *to = registers(hart);
    if (ctx->slice_pending && ctx->slice_entry) {
        ctx->exception_cause = EXO_CAUSE_SLICE;
        to[0] = ctx->slice_entry;
        to[SP] = ctx->exception_stack;
        ctx->slice_pending = to[T0] = to[T0 + 1] = 0;
        return;
    }
    ctx->slice_pending = ctx->exception_mask = 0;
    to[0] = ctx->exception_pc;
    to[RA] = ctx->exception_ra;
    to[SP] = ctx->exception_sp;
    to[T0] = ctx->exception_t0;
    to[T0 + 1] = ctx->exception_t1;
    to[A0] = ctx->exception_a0;
    to[A1] = ctx->exception_a1;
    to[A7] = ctx->exception_a7;
}

void trap_call(struct hart *hart, int number) {
    uint64_t a[7];
    memcpy(a, &registers(hart)[A0], sizeof(a));
    switch (number) {
    case EXO_CALL_pct_call: trap_pct_call(hart, a, EXO_NEVER, host_fast); break;
    case EXO_CALL_pct_call_until: trap_pct_call(hart, a, registers(hart)[HOST_T1], false); break;
    case EXO_CALL_pct_reply: trap_reply(hart, a); break;
    case EXO_CALL_yield: trap_yield(hart, a[0]); break;
    case EXO_CALL_null: result_load(hart, answer(0)); break;
    case EXO_CALL_resume: trap_resume(hart); break;
    case EXO_CALL_exit: enter(hart, env_exit()); break;
    case EXO_CALL_wait: trap_wait(hart, a); break;
    case EXO_CALL_notify: trap_notify(hart, a); break;
    default: result_load(hart, call_by_number(hart, number)); break;
    }
}

/* ---- interrupts and exceptions ---- */

/* The record, but for its value, and the way into a handler. */
static void handler_enter(struct hart *hart, uint64_t entry, uint64_t cause) {
    struct exo_ctx *ctx = hart->ctx;
    uint64_t *from = registers(hart);
    ctx->exception_pc = from[0];
    ctx->exception_cause = cause;
    ctx->exception_ra = from[RA];
    ctx->exception_sp = from[SP];
    ctx->exception_t0 = from[T0];
    ctx->exception_t1 = from[T0 + 1];
    ctx->exception_a0 = from[A0];
    ctx->exception_a1 = from[A1];
    ctx->exception_a7 = from[A7];
    ctx->exception_mask = 1;
    from[0] = entry;
    from[SP] = ctx->exception_stack;
    from[T0] = from[T0 + 1] = 0;
}

void trap_interrupt(struct hart *hart) {
    struct host_model *model = model_of(hart);
    bool software =
        __atomic_exchange_n(&model->ipi, false, __ATOMIC_SEQ_CST) || host_line_pending(hart->index);
    int64_t entry = software || arch_time() >= hart->until ? -1 : hart_tick();
    if (entry > 0) handler_enter(hart, (uint64_t)entry, EXO_CAUSE_SLICE);
    if (entry >= 0) return;
    full_save(hart);
    enter(hart, hart_interrupt());
}

void trap_exception(struct hart *hart, uint64_t cause, uint64_t value) {
    struct exo_ctx *ctx = hart->ctx;
    if (!ctx->exception_mask) ctx->exception_value = value;
    if (ctx->exception_mask || !ctx->exception_entry) {
        full_save(hart);
        __atomic_store_n(&hart->env->last, 0, __ATOMIC_RELAXED);
        enter(hart, env_fault(cause, value));
        return;
    }
    handler_enter(hart, ctx->exception_entry, cause);
}
