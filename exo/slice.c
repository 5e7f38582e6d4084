/* SPDX-License-Identifier: MIT */
/* Slice vectors and the choice of what runs: see slice.h. */
#include "slice.h"

#include "shoot.h"
#include "space.h"

struct exo_row *slice_rows;

struct exo_row *slice_row(uint64_t row) {
    return &slice_rows[row];
}

bool slice_unbind(uint64_t row) {
    struct hart *hart = harts[row / EXO_ROWS];
    __atomic_store_n(&slice_rows[row].env, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (hart == arch_hart() || __atomic_load_n(&hart->running, __ATOMIC_RELAXED) != row + 1)
        return true;
    arch_ipi(hart);
    return false;
}

bool slice_forget(struct exo_env *env) {
    if (!env->rows) return false;
    uint64_t index = 0;
    while (!(env->rows >> index & 1)) index++;
    struct exo_row *rows = &slice_rows[index * EXO_ROWS];
    for (uint64_t row = 0; row < EXO_ROWS; row++)
        if (rows[row].env == env->frame) __atomic_store_n(&rows[row].env, 0, __ATOMIC_RELAXED);
    env->rows &= ~(1ul << index);
    return true;
}

void slice_wake(uint64_t rows) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint64_t index = 0; rows >> index; index++)
        if ((rows >> index & 1) && __atomic_load_n(&harts[index]->idle, __ATOMIC_RELAXED))
            arch_ipi(harts[index]);
}

/* Claim an environment that has this state word, READY without flags. */
static bool env_claim(struct hart *hart, uint64_t frame, uint64_t ready) {
    return __atomic_compare_exchange_n(frame_state(frame), &ready, ready + hart->run, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

struct exo_env *slice_next(struct hart *hart, uint64_t first) {
    uint64_t base = hart->index * EXO_ROWS;
    for (uint64_t i = first; i < first + EXO_ROWS; i++) {
        uint64_t row = base + (hart->row + i) % EXO_ROWS;
        if (!__atomic_load_n(&slice_rows[row].env, __ATOMIC_RELAXED)) continue;
        /* Either who empties the row sees this, or the row is seen empty here. */
        __atomic_store_n(&hart->running, row + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        uint64_t frame = __atomic_load_n(&slice_rows[row].env, __ATOMIC_RELAXED);
        uint64_t ready = __atomic_load_n(&slice_rows[row].match, __ATOMIC_RELAXED);
        if (frame && env_claim(hart, frame, ready) && hart_enter(hart, env_at(frame))) {
            hart->row = row;
            return hart->env;
        }
    }
    __atomic_store_n(&hart->running, 0, __ATOMIC_RELAXED);
    return NULL;
}

struct exo_env *slice_wait(struct hart *hart, uint64_t first) {
    struct exo_env *env = slice_next(hart, first);
    while (!env) {
        hart_leave(hart);
        __atomic_store_n(&hart->idle, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        env = slice_next(hart, 0);
        if (!env) arch_wait_for_interrupt();
        __atomic_store_n(&hart->idle, 0, __ATOMIC_RELAXED);
    }
    return env;
}

_Noreturn void hart_schedule(void) {
    struct hart *hart = arch_hart();
    info->hart[hart->index].flags |= EXO_HART_STARTED;
    arch_enter(slice_wait(hart, 0));
}

struct exo_env *hart_interrupt(void) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env;
    uint64_t word = __atomic_load_n(hart->state, __ATOMIC_RELAXED);
    bool unbound = !__atomic_load_n(&slice_rows[hart->row].env, __ATOMIC_RELAXED);
    if (!unbound && !(word & EXO_FLAG_STOP) && !env_is_dying(env)) return env;
    env_give_up(hart, EXO_STATE_READY);
    return slice_wait(hart, 0);
}

/* Check and claim yield's target.  0 with *next entered soon by the caller, or an error. */
static int64_t yield_claim(struct hart *hart, uint64_t handle, uint64_t *frame) {
    lock_take(hart->space_lock);
    struct exo_cap *cap = cap_find(hart->space, handle);
    int64_t error = env_check(cap, EXO_ENV_CALL);
    if (!error) {
        *frame = cap->first;
        error = env_claim(hart, cap->first, cap->match) ? 0 : EXO_ESTATE;
    }
    lock_release(hart->space_lock);
    return error;
}

struct exo_env *hart_switch(struct exo_env *env) {
    struct hart *hart = arch_hart();
    return hart_enter(hart, env) ? env : slice_wait(hart, 0);
}

struct exo_env *env_yield(uint64_t handle) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env;
    uint64_t frame;
    if (handle == EXO_NONE) {
        env_answer(env, 0);
        env_give_up(hart, EXO_STATE_READY);
        return slice_wait(hart, 1);
    }
    int64_t error = yield_claim(hart, handle, &frame);
    env_answer(env, error);
    if (error) return env;
    env_give_up(hart, EXO_STATE_READY);
    return hart_switch(env_at(frame));
}

/* ---- slice_bind ---- */

/* The environment that slice_bind names, under TREE and SPACE: 0 or an error. */
static int64_t bind_target(struct hart *hart, uint64_t env, struct exo_env **target) {
    *target = hart->env;
    if (env == EXO_SELF) return 0;
    struct exo_cap *cap = cap_find(hart->space, env);
    int64_t error = env_check(cap, 0);
    if (error) return error;
    *target = env_at(cap->first);
    return env_is_dying(*target) ? EXO_EDYING : 0;
}

static int64_t bind_check(struct hart *hart, uint64_t slot, uint64_t row, uint64_t env,
                          struct exo_env **target) {
    struct exo_cap *cap = cap_find(hart->space, slot);
    int64_t error = cap_check(cap, EXO_CLASS_SLICE, EXO_SLICE_BIND);
    if (error) return error;
    if (!cap_covers(cap, row, 1)) return EXO_ERANGE;
    if (slice_rows[row].holder != cap_link(cap)) return EXO_EOVERLAP;
    if (env == EXO_UNBIND) return 0;
    error = bind_target(hart, env, target);
    if (error) return error;
    struct hart *runner = harts[row / EXO_ROWS];
    bool running = __atomic_load_n(&runner->running, __ATOMIC_RELAXED) == row + 1;
    if (slice_rows[row].env) return EXO_EBUSY;
    if (!running || runner == hart) return 0;
    arch_ipi(runner); /* what it runs has lost the row */
    return EXO_EAGAIN;
}

struct result slice_bind(uint64_t slot, uint64_t row, uint64_t env) {
    struct exo_env *space = tree_take(), *target = NULL;
    int64_t error = bind_check(arch_hart(), slot, row, env, &target);
    if (error) return tree_give(error);
    if (env == EXO_UNBIND) return tree_give(slice_unbind(row) ? 0 : EXO_EAGAIN);
    struct exo_row *bound = &slice_rows[row];
    bound->binder = space->frame;
    bound->match = env_word(target->gen, EXO_STATE_READY);
    __atomic_store_n(&bound->env, target->frame, __ATOMIC_RELEASE);
    __atomic_fetch_or(&target->rows, 1ul << row / EXO_ROWS, __ATOMIC_RELAXED);
    slice_wake(target->rows);
    return tree_give(0);
}
