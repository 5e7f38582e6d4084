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

/* Tell who holds the first ENV capability, unless it is `but`.  Under TREE. */
static void env_report(const struct exo_env *env, const struct exo_env *but) {
    struct exo_env *holder = env->first_cap ? cap_home(cap_at((uint32_t)env->first_cap)) : NULL;
    if (holder && holder != but) event_post(holder, 1ul << EXO_EVENT_CHILD);
}

void env_kill(struct exo_env *env) {
    if (env->frame == info->init_env) arch_stop("init has ended"); /* nobody holds the machine */
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

void env_answer(struct exo_env *env, int64_t value) {
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    ctx->register_x[REGISTER_A0 - 1] = (uint64_t)value;
    ctx->register_x[REGISTER_A1 - 1] = 0;
    write_once(env->last, 0); /* the fast paths do not load these */
}

/* The environment that runs here ends, or is stopped: what runs next.  Without init nothing does. */
static struct exo_env *env_leave(struct hart *hart, uint64_t flag, uint64_t state,
                                 const char *init_end) {
    struct exo_env *env = hart->env;
    if (env->frame == info->init_env) arch_stop(init_end);
    lock_take(&tree_lock); /* keeps the frame from being released */
    __atomic_fetch_or(hart->state, flag, __ATOMIC_RELAXED);
    env_release(hart, state);
    env_report(env, NULL);
    lock_release(&tree_lock);
    return slice_wait(hart);
}

struct exo_env *env_exit(void) {
    return env_leave(arch_hart(), EXO_FLAG_KILL, EXO_STATE_READY, "init has ended");
}

struct exo_env *env_fault(uint64_t cause, uint64_t value) {
    struct hart *hart = arch_hart();
    hart->ctx->stop_cause = cause;
    hart->ctx->stop_value = value;
    return env_leave(hart, EXO_FLAG_FAULT, EXO_STATE_STOPPED,
                     "init has faulted and handles no exception");
}

/* ---- env_create ---- */

/* May these frames become an environment?  Then all of them are claimed, else none. */
static int64_t frames_claim(const struct exo_cap *cap, const struct exo_cap *into,
                            const uint64_t *frames, uint64_t count) {
    static const uint8_t types[] = {EXO_FRAME_ENV, EXO_FRAME_CTX, EXO_FRAME_ROOT};
    uint64_t claimed = 0;
    int64_t error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return error;
    if (!into || !cap_is_fillable(into)) return EXO_ESLOT;
    for (uint64_t i = 0; i < count; i++)
        if (!cap_covers(cap, frames[i], 1)) return EXO_ERANGE;
    for (uint64_t i = 1; i < count; i++)
        if (frames[i] == frames[0] || frames[i] == frames[i - 1]) return EXO_EARGUMENT;
    if (cap->depth + 2 > EXO_DEPTH_MAX) return EXO_EDEPTH;
    while (claimed < count && frame_claim(frames[claimed], types[claimed])) claimed++;
    if (claimed == count) return 0;
    while (claimed > 0) frame_unclaim(frames[--claimed]);
    return EXO_EBUSY;
}

void env_init(struct exo_env *env, uint64_t ctx_frame, uint64_t root_frame,
              struct exo_env *leader) {
    uint64_t frame = frame_of(env);
    env->gen = ++generation_counter;
    env->frame = frame;
    env->leader = arch_address(leader);
    env->ctx = ctx_frame << EXO_FRAME_SHIFT;
    env->root = root_frame;
    write_once(env->deadline, EXO_NEVER);
    write_once(env->depth, EXO_CHAIN_MAX);
    write_once(*frame_state(ctx_frame), (uint64_t)EXO_TAG_CTX << EXO_TAG_SHIFT | frame);
    if (leader != env) {
        write_once(leader->joined, 1);
        write_once(leader->last, 0);
    } else {
        write_once(*frame_state(root_frame), (uint64_t)EXO_TAG_ROOT << EXO_TAG_SHIFT | frame);
        arch_root_init(frame_pointer(root_frame));
        asid_take(env);
        env->satp = arch_satp(root_frame, env->asid);
        env->tlb_gen = tlb_generation();
        env->lock = arch_address(space_lock(env));
    }
    __atomic_store_n(frame_state(frame), env_word(env->gen, EXO_STATE_STOPPED), __ATOMIC_RELEASE);
}

void env_donate(struct exo_cap *cap, struct exo_env *env, const uint64_t *frames, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) cap_donate(cap, &env->donation[i], frames[i]);
}

// LAB 1: BEGIN
struct result env_create(uint64_t slot, uint64_t env_frame, uint64_t ctx_frame, uint64_t root_frame,
                         uint64_t into) {
    struct exo_env *space = tree_take(), *env = env_at(env_frame);
    uint64_t frames[3] = {env_frame, ctx_frame, root_frame}, count = root_frame ? 3 : 2;
    struct exo_cap *cap = cap_find(space, slot), *to = cap_place(space, into);
    int64_t error = frames_claim(cap, to, frames, count);
    if (error) return tree_give(error);
    for (uint64_t i = 0; i < count; i++) arch_frame_clear(frame_pointer(frames[i]));
    env_init(env, ctx_frame, root_frame ? root_frame : space->root, root_frame ? env : space);
    env_donate(cap, env, frames, count);
    /* The first ENV capability is the child of the ENV frame's donation. */
    cap_adopt(&env->donation[0], to, EXO_CLASS_ENV,
              EXO_ENV_CALL | EXO_ENV_NOTIFY | EXO_ENV_CONTROL);
    to->first = env_frame;
    to->count = 1;
    to->extra = ENV_EVENTS;
    to->match = env_word(env->gen, EXO_STATE_READY);
    env->first_cap = cap_link(to);
    return tree_give((int64_t)cap_handle(to));
}
// LAB 1: END

/* ---- env_regs ---- */

#define REGISTERS 32 /* pc, then x1 to x31 */

/* GET, SET and START work on a STOPPED environment, which is claimed so that nobody else does. */
static int64_t regs_use(struct hart *hart, struct exo_env *env, uint64_t operation) {
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    uint64_t word = read_once(*frame_state(env->frame));
    uint64_t *registers = &ctx->register_pc, *vector = hart->ctx->vector;
    if (env_state(word) != EXO_STATE_STOPPED || word & EXO_FLAG_KILL ||
        !env_claim_word(hart, env->frame, word))
        return EXO_ESTATE;
    if (operation == EXO_REGS_START) {
        if (!(word & EXO_FLAG_INCALL)) write_once(env->depth, EXO_CHAIN_MAX);
        env_put(hart, env, EXO_STATE_READY);
        return 0;
    }
    bool get = operation == EXO_REGS_GET;
    for (uint64_t i = 0; i < REGISTERS; i++)
        *(get ? &vector[i] : &registers[i]) = get ? registers[i] : vector[i];
    if (!get) write_once(env->last, 0); /* the fast path of yield loads only a part */
    env_put_quietly(hart, env, EXO_STATE_STOPPED | (word & EXO_FLAG_FAULT));
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
    /* What its call returns, if it was asleep in one. */
    if (env_state(word) == EXO_STATE_WAIT) env_answer(env, 0);
    if (env_state(word) == EXO_STATE_ACCEPT) env_answer(env, EXO_ENOCALL);
    if (env_state(word) == EXO_STATE_CALLING) env_answer(env, EXO_EBROKEN);
    env_put(hart, env, EXO_STATE_STOPPED);
    return 0;
}

/*
 * Holding SPACE with a usable ENV slot keeps the environment's frames from
 * being released: reaping first cuts every ENV capability under that lock.
 */
static struct result regs_do(struct hart *hart, const struct exo_cap *cap, uint64_t operation) {
    bool asks = operation == EXO_REGS_STATE;
    int64_t error = env_check(cap, asks ? 0 : EXO_ENV_CONTROL);
    if (error) return answer(error);
    struct exo_env *env = env_at(cap->first);
    uint64_t word = read_once(*frame_state(cap->first));
    if (asks) return (struct result){word & (EXO_STATE_MASK | ENV_FLAGS), env->gen};
    if (env == hart->env) return answer(EXO_ESELF);
    if (operation > EXO_REGS_STOP) return answer(EXO_EARGUMENT);
    return answer(operation == EXO_REGS_STOP ? regs_stop(hart, env)
                                             : regs_use(hart, env, operation));
}

struct result env_regs(uint64_t handle, uint64_t operation) {
    struct hart *hart = arch_hart();
    lock_take(hart->space_lock);
    struct result result = regs_do(hart, cap_find(hart->space, handle), operation);
    lock_release(hart->space_lock);
    return result;
}
