/* SPDX-License-Identifier: MIT */
/*
 * Environments: making them, their registers, stopping and ending them.
 *
 * Not here: what is left to do when one has died (reap.c).
 */
#include "env.h"

#include "event.h"
#include "pct.h"
#include "shoot.h"
#include "slice.h"
#include "space.h"

#define REGISTER_A1 11

static uint64_t generation_counter; /* never restarts, so no name of an environment repeats */

struct exo_env *env_named(uint64_t frame) {
    if (!frame_exists(frame) || frame_type(frame) != EXO_FRAME_ENV) return NULL;
    return env_at(frame);
}

bool env_is_dying(const struct exo_env *env) {
    uint64_t own = __atomic_load_n(frame_state(env->frame), __ATOMIC_RELAXED);
    uint64_t leader = __atomic_load_n(frame_state(env_leader(env)->frame), __ATOMIC_RELAXED);
    return (own | leader) & EXO_FLAG_KILL;
}

/* Without init nobody holds the machine: then it stops, with one line. */
static void init_check(const struct exo_env *env, const char *end) {
    if (env->frame == info->init_env) arch_stop(end);
}

/* Tell who holds the first ENV capability, unless it is `but`.  Under TREE. */
static void env_report(const struct exo_env *env, const struct exo_env *but) {
    struct exo_env *holder = env->first_cap ? cap_home(cap_at((uint32_t)env->first_cap)) : NULL;
    if (holder && holder != but) event_post(holder, 1ul << EXO_EVENT_CHILD);
}

void env_kill(struct exo_env *env) {
    init_check(env, "init has ended");
    uint64_t old = __atomic_fetch_or(frame_state(env->frame), EXO_FLAG_KILL, __ATOMIC_SEQ_CST);
    if (old & EXO_FLAG_KILL) return;
    if (env_state(old) == EXO_STATE_RUN)
        arch_ipi(harts[env_hart(old)]);
    else
        call_break(env);
    env_report(env, arch_hart()->space);
}

void env_put_quietly(struct hart *hart, struct exo_env *env, uint64_t state) {
    uint64_t *word = frame_state(frame_of(env));
    /* Who killed it meanwhile left its caller to the hart in its word. */
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & EXO_FLAG_KILL) call_break(env);
    __atomic_fetch_sub(word, hart->run + EXO_STATE_READY - state, __ATOMIC_SEQ_CST);
}

void env_put(struct hart *hart, struct exo_env *env, uint64_t state) {
    env_put_quietly(hart, env, state);
    if (state == EXO_STATE_READY) slice_wake(env, SLICE_ALL);
}

/* What a call returns whose sleep in this state ends without what it waited for. */
static void env_unanswered(struct exo_env *env, uint64_t state) {
    if (state == EXO_STATE_WAIT) env_answer(env, 0);
    if (state == EXO_STATE_ACCEPT) env_answer(env, EXO_ENOCALL);
    if (state == EXO_STATE_CALLING) env_answer(env, EXO_EBROKEN);
}

void env_answer(struct exo_env *env, int64_t value) {
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    ctx->register_x[REGISTER_A0 - 1] = (uint64_t)value;
    ctx->register_x[REGISTER_A1 - 1] = 0;
    write_once(env->last, 0); /* the fast paths do not load these */
}

/* The environment that runs here ends, or is stopped: what runs next. */
static struct exo_env *env_leave(struct hart *hart, uint64_t flag, uint64_t state) {
    struct exo_env *env = hart->env;
    lock_take(&tree_lock); /* keeps the frame from being released */
    __atomic_fetch_or(hart->state, flag, __ATOMIC_RELAXED);
    env_release(hart, state);
    env_report(env, NULL);
    lock_release(&tree_lock);
    return slice_wait(hart);
}

struct exo_env *env_exit(void) {
    struct hart *hart = arch_hart();
    init_check(hart->env, "init has ended");
    return env_leave(hart, EXO_FLAG_KILL, EXO_STATE_READY);
}

struct exo_env *env_fault(uint64_t cause, uint64_t value) {
    struct hart *hart = arch_hart();
    if (hart->env->frame == info->init_env) arch_stop("init has faulted and handles no exception");
    hart->ctx->stop_cause = cause;
    hart->ctx->stop_value = value;
    return env_leave(hart, EXO_FLAG_FAULT, EXO_STATE_STOPPED);
}

/* ---- env_create ---- */

static int64_t create_check(const struct exo_cap *cap, const struct exo_cap *into,
                            const uint64_t *frames, uint64_t count) {
    int64_t error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return error;
    if (!into || !cap_is_fillable(into)) return EXO_ESLOT;
    for (uint64_t i = 0; i < count; i++)
        if (!cap_covers(cap, frames[i], 1)) return EXO_ERANGE;
    if (frames[0] == frames[1] ||
        (count == 3 && (frames[2] == frames[0] || frames[2] == frames[1])))
        return EXO_EARGUMENT;
    return cap->depth + 2 > EXO_DEPTH_MAX ? EXO_EDEPTH : 0;
}

/* All three frames or none. */
static bool frames_claim(const uint64_t *frames, uint64_t count) {
    static const uint8_t types[] = {EXO_FRAME_ENV, EXO_FRAME_CTX, EXO_FRAME_ROOT};
    for (uint64_t i = 0; i < count; i++) {
        if (frame_claim(frames[i], types[i])) continue;
        while (i > 0) frame_unclaim(frames[--i]);
        return false;
    }
    return true;
}

void env_init(struct exo_env *env, uint64_t ctx_frame, uint64_t root_frame,
              struct exo_env *leader) {
    uint64_t frame = frame_of(env);
    env->gen = ++generation_counter;
    env->frame = frame;
    env->leader = arch_address(leader);
    env->ctx = ctx_frame << EXO_FRAME_SHIFT;
    env->root = root_frame;
    env->saved = EXO_SAVED_FULL;
    write_once(env->deadline, EXO_NEVER);
    write_once(env->depth, EXO_CHAIN_MAX);
    *frame_state(ctx_frame) = (uint64_t)EXO_TAG_CTX << EXO_TAG_SHIFT | frame;
    if (leader != env) {
        leader->joined = 1;
        write_once(leader->last, 0);
    } else {
        *frame_state(root_frame) = (uint64_t)EXO_TAG_ROOT << EXO_TAG_SHIFT | frame;
        arch_root_init(frame_pointer(root_frame));
        asid_take(env);
        env->satp = arch_satp(root_frame, env->asid);
        env->tlb_gen = tlb_generation();
        env->lock = arch_address(space_lock(env));
    }
    __atomic_store_n(frame_state(frame), env_word(env->gen, EXO_STATE_STOPPED), __ATOMIC_RELEASE);
}

struct exo_cap *env_donate(struct exo_cap *cap, struct exo_env *env, const uint64_t *frames,
                           uint64_t count) {
    for (uint64_t i = 0; i < count; i++) cap_donate(cap, &env->donation[i], frames[i]);
    return &env->donation[0];
}

/* The first ENV capability: the child of the ENV frame's donation. */
static void first_capability(struct exo_env *env, struct exo_cap *donation, struct exo_cap *into) {
    cap_adopt(donation, into, EXO_CLASS_ENV, EXO_ENV_CALL | EXO_ENV_NOTIFY | EXO_ENV_CONTROL);
    into->first = env->frame;
    into->count = 1;
    into->extra = ENV_EVENTS;
    into->match = env_word(env->gen, EXO_STATE_READY);
    env->first_cap = cap_link(into);
}

// LAB 1: BEGIN
struct result env_create(uint64_t slot, uint64_t env_frame, uint64_t ctx_frame, uint64_t root_frame,
                         uint64_t into) {
    struct exo_env *space = tree_take(), *env = env_at(env_frame);
    uint64_t frames[3] = {env_frame, ctx_frame, root_frame}, count = root_frame ? 3 : 2;
    struct exo_cap *cap = cap_find(space, slot), *to = cap_place(space, into);
    int64_t error = create_check(cap, to, frames, count);
    if (!error && !frames_claim(frames, count)) error = EXO_EBUSY;
    if (error) return tree_give(error);
    for (uint64_t i = 0; i < count; i++) arch_frame_clear(frame_pointer(frames[i]));
    env_init(env, ctx_frame, root_frame ? root_frame : space->root, root_frame ? env : space);
    first_capability(env, env_donate(cap, env, frames, count), to);
    return tree_give((int64_t)cap_handle(to));
}
// LAB 1: END

/* ---- env_regs ---- */

#define REGISTERS 32 /* pc, then x1 to x31 */
/* Flags that a STOPPED environment may have. */
#define ENV_KEPT (EXO_FLAG_FAULT | EXO_FLAG_INCALL | EXO_FLAG_STOP)

static void registers_copy(struct exo_env *env, uint64_t *vector, bool get) {
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    uint64_t *registers = &ctx->register_pc;
    for (uint64_t i = 0; i < REGISTERS; i++)
        *(get ? &vector[i] : &registers[i]) = get ? registers[i] : vector[i];
    if (get) return;
    env->saved = EXO_SAVED_FULL;
    write_once(env->last, 0); /* the fast path of yield loads only a part */
}

/* Get and set work on a STOPPED environment, which is claimed so that nobody starts it meanwhile. */
static int64_t regs_copy(struct hart *hart, struct exo_env *env, uint64_t operation) {
    uint64_t *state = frame_state(env->frame);
    uint64_t flags = __atomic_load_n(state, __ATOMIC_RELAXED) & ENV_KEPT;
    uint64_t stopped = env_word(env->gen, EXO_STATE_STOPPED) | flags;
    uint64_t difference = hart->run + EXO_STATE_READY - EXO_STATE_STOPPED;
    if (!__atomic_compare_exchange_n(state, &stopped, stopped + difference, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return EXO_ESTATE;
    registers_copy(env, hart->ctx->vector, operation == EXO_REGS_GET);
    __atomic_fetch_sub(state, difference, __ATOMIC_RELEASE);
    return 0;
}

static int64_t regs_start(struct hart *hart, struct exo_env *env) {
    uint64_t word = read_once(*frame_state(env->frame));
    if (env_state(word) != EXO_STATE_STOPPED || word & EXO_FLAG_KILL) return EXO_ESTATE;
    if (!env_claim_word(hart, env->frame, word)) return EXO_ESTATE;
    if (!(word & EXO_FLAG_INCALL)) write_once(env->depth, EXO_CHAIN_MAX);
    env_put(hart, env, EXO_STATE_READY);
    return 0;
}

static int64_t regs_stop(struct hart *hart, struct exo_env *env) {
    uint64_t *state = frame_state(env->frame);
    uint64_t word = __atomic_load_n(state, __ATOMIC_RELAXED);
    if (env_state(word) == EXO_STATE_STOPPED) return 0;
    if (word & EXO_FLAG_KILL) return EXO_EDYING;
    if (env_state(word) == EXO_STATE_RUN) {
        if (__atomic_compare_exchange_n(state, &word, word | EXO_FLAG_STOP, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            arch_ipi(harts[env_hart(word)]);
        return EXO_EAGAIN;
    }
    if (!env_claim_word(hart, env->frame, word)) return EXO_EAGAIN;
    env_unanswered(env, env_state(word));
    env_put(hart, env, EXO_STATE_STOPPED);
    return 0;
}

/*
 * Holding SPACE with a usable ENV slot keeps the environment's frames from
 * being released: reaping first cuts every ENV capability under that lock.
 */
struct result env_regs(uint64_t handle, uint64_t operation) {
    struct hart *hart = arch_hart();
    struct result result = {EXO_EARGUMENT, 0};
    lock_take(hart->space_lock);
    const struct exo_cap *cap = cap_find(hart->space, handle);
    bool state = operation == EXO_REGS_STATE;
    int64_t error = env_check(cap, state ? 0 : (uint64_t)EXO_ENV_CONTROL);
    struct exo_env *env = error ? NULL : env_at(cap->first);
    if (error) {
        result.value = error;
    } else if (state) {
        uint64_t word = __atomic_load_n(frame_state(cap->first), __ATOMIC_RELAXED);
        result = (struct result){word & (EXO_STATE_MASK | ENV_FLAGS), env->gen};
    } else if (env == hart->env) {
        result.value = EXO_ESELF;
    } else if (operation == EXO_REGS_START) {
        result.value = regs_start(hart, env);
    } else if (operation == EXO_REGS_STOP) {
        result.value = regs_stop(hart, env);
    } else if (operation == EXO_REGS_GET || operation == EXO_REGS_SET) {
        result.value = regs_copy(hart, env, operation);
    }
    lock_release(hart->space_lock);
    return result;
}
