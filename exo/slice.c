/* SPDX-License-Identifier: MIT */
/* Slice vectors and the choice of what runs: see slice.h. */
#include "slice.h"

#include "event.h"
#include "pct.h"
#include "shoot.h"
#include "space.h"

#define BORROW_COST 8 /* what an urgent row pays for interrupting: the announcement's time / this */

struct exo_row *slice_rows;

struct exo_row *slice_row(uint64_t row) {
    return &slice_rows[row];
}

/* ---- rows ---- */

/* Put a row that is bound now into the ring of its hart's bound rows.  Under TREE. */
static void row_link(struct exo_row *rows, uint32_t row) {
    uint32_t prev = row;
    do prev = (prev - 1) % EXO_ROWS;
    while (prev != row && !rows[prev].env);
    rows[row].prev = prev;
    write_once(rows[row].next, prev == row ? row : rows[prev].next);
    rows[rows[row].next].prev = row;
    write_once(rows[prev].next, row);
}

void slice_fill(uint64_t row, struct exo_env *env, const struct exo_env *binder, uint64_t flags) {
    uint64_t index = row / EXO_ROWS;
    struct exo_row *bound = &slice_rows[row];
    bound->binder = binder->frame;
    write_once(bound->match, env_word(env->gen, EXO_STATE_READY));
    write_once(bound->flags, flags);
    write_once(bound->left, 0);
    env->row_count[index]++;
    if (flags & EXO_ROW_URGENT) write_once(env->urgent, env->urgent | 1ul << index);
    row_link(harts[index]->rows, row % EXO_ROWS);
    __atomic_store_n(&bound->env, env->frame, __ATOMIC_RELEASE);
    __atomic_fetch_or(&env->rows, 1ul << index, __ATOMIC_SEQ_CST);
}

static void row_clear(struct hart *hart, struct exo_row *row) {
    struct exo_env *env = env_at(row->env);
    write_once(row->env, 0);
    write_once(hart->rows[row->prev].next, row->next);
    hart->rows[row->next].prev = row->prev;
    if (--env->row_count[hart->index]) return;
    write_once(env->urgent, env->urgent & ~(1ul << hart->index));
    __atomic_fetch_and(&env->rows, ~(1ul << hart->index), __ATOMIC_SEQ_CST);
    slice_look(env); /* its deadline may have been kept here */
}

bool slice_unbind(uint64_t row) {
    struct hart *hart = harts[row / EXO_ROWS];
    struct exo_row *bound = &slice_rows[row];
    if (bound->env) row_clear(hart, bound);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (hart == arch_hart() || read_once(hart->running) != bound) return true;
    arch_ipi(hart);
    return false;
}

bool slice_forget(struct exo_env *env) {
    if (!env->rows) return false;
    uint64_t index = 0;
    while (!(env->rows >> index & 1)) index++;
    struct hart *hart = harts[index];
    for (uint64_t row = 0; row < EXO_ROWS; row++)
        if (hart->rows[row].env == env->frame) row_clear(hart, &hart->rows[row]);
    return true;
}

/* ---- telling harts ---- */

/* An urgent row of this environment that has time left in this round, or NULL. */
static struct exo_row *urgent_row(const struct hart *hart, uint64_t frame) {
    for (struct exo_row *row = hart->rows; row < hart->rows + EXO_ROWS; row++)
        if (read_once(row->env) == frame && read_once(row->flags) & EXO_ROW_URGENT &&
            read_once(row->left))
            return row;
    return NULL;
}

/* Tell those of these harts that have a row of this environment and could run it now. */
static void rows_wake(const struct exo_env *env, uint64_t mask) {
    uint64_t frame = frame_of(env);
    mask &= read_once(env->rows);
    for (uint64_t index = 0; index < hart_count && mask >> index; index++) {
        struct hart *hart = harts[index];
        if (!(mask >> index & 1)) continue;
        const struct exo_row *current = read_once(hart->row);
        bool could = read_once(hart->idle) || read_once(current->env) == frame ||
                     (read_once(env->urgent) >> index & 1 && urgent_row(hart, frame));
        /* Who was told and has not looked yet will see this one too. */
        if (could && !__atomic_exchange_n(&hart->recall, 1, __ATOMIC_SEQ_CST)) arch_ipi(hart);
    }
}

void slice_wake(const struct exo_env *env, uint64_t mask) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* The rows of whom it serves run it too.  The links are only hints. */
    for (unsigned i = 0; env && i <= EXO_CHAIN_MAX; i++) {
        rows_wake(env, mask);
        uint64_t caller = read_once(env->caller);
        env = caller ? env_named(caller) : NULL;
    }
}

void deadline_lower(struct hart *hart, uint64_t deadline) {
    uint64_t first = read_once(hart->deadline);
    while (deadline < first &&
           !__atomic_compare_exchange_n(&hart->deadline, &first, deadline, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
    }
}

void slice_look(const struct exo_env *env) {
    uint64_t rows = read_once(env->rows), index = 0;
    uint64_t deadline = read_once(env->deadline);
    while (index < hart_count && !(rows >> index & 1)) index++;
    if (index == hart_count || deadline == EXO_NEVER) return;
    struct hart *hart = harts[index];
    deadline_lower(hart, deadline);
    if (deadline < read_once(hart->armed) || read_once(hart->idle)) arch_ipi(hart);
}

/* ---- claiming ---- */

/* Where a chain of calls ends: all of it hints. */
struct chain {
    uint64_t frame;  /* of the environment that can run, 0 if none can */
    uint64_t word;   /* its state word */
    uint64_t caller; /* ENV frame of whom it serves in this chain, 0 if it is the first */
};

/* From the environment with this READY word: itself, or who serves it while it waits for an answer. */
static struct chain chain_find(uint64_t frame, uint64_t ready) {
    struct chain end = {frame, read_once(*frame_state(frame)), 0};
    for (unsigned i = 0; (end.word & ~(uint64_t)EXO_FLAG_INCALL) != ready; i++) {
        bool calls = (end.word & (EXO_STATE_MASK | EXO_FLAG_KILL)) == EXO_STATE_CALLING;
        if (!calls || (end.word ^ ready) >> EXO_ENV_GEN_SHIFT || i == EXO_CHAIN_MAX)
            return (struct chain){0};
        end.caller = end.frame;
        end.frame = env_hart(end.word);
        end.word = read_once(*frame_state(end.frame));
        if (end.word >> EXO_TAG_SHIFT != EXO_TAG_ENV || !(end.word & EXO_FLAG_INCALL))
            return (struct chain){0};
        ready = end.word >> EXO_ENV_GEN_SHIFT << EXO_ENV_GEN_SHIFT | EXO_STATE_READY;
    }
    if (end.caller && read_once(env_at(end.frame)->caller) != end.caller) end.frame = 0;
    return end;
}

/* Claim what chain_find finds; NULL if that is nothing, or another hart was first. */
static __attribute__((noinline)) struct exo_env *chain_claim(struct hart *hart, uint64_t frame,
                                                             uint64_t ready) {
    struct chain end = chain_find(frame, ready);
    if (!end.frame || !env_claim(hart, end.frame, end.word)) return NULL;
    struct exo_env *env = env_at(end.frame);
    if (!end.caller || read_once(env->caller) == end.caller) return env;
    env_put(hart, env, EXO_STATE_READY); /* the call ended meanwhile */
    return NULL;
}

/*
 * Announce that what runs next is by this row, and return the environment bound
 * to it: either who empties the row sees that, or the row is seen empty here.
 */
static inline uint64_t row_announce(struct hart *hart, struct exo_row *row) {
    write_once(hart->running, row);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return read_once(row->env);
}

/* Claim and enter what a row has to run. */
static inline __attribute__((always_inline)) bool row_claim(struct hart *hart,
                                                            struct exo_row *row) {
    uint64_t frame = row_announce(hart, row);
    if (!frame) return false;
    uint64_t ready = read_once(row->match);
    struct exo_env *env = env_at(frame);
    if (unlikely(!env_claim(hart, frame, ready))) env = chain_claim(hart, frame, ready);
    return env && hart_enter(hart, env);
}

/* ---- the choice ---- */

/* What ran has used its row's time up to now. */
static inline void slice_charge(struct hart *hart, uint64_t now) {
    struct exo_row *row = hart->running;
    uint64_t used = now - hart->since;
    hart->since = now;
    if (unlikely(!row)) return;
    row->time += used;
    if (unlikely(hart->borrows)) {
        used += hart->grace_ticks / BORROW_COST; /* the switches are on its account too */
        hart->end += used;
    }
    if (!hart->fills) write_once(row->left, read_once(row->left) > used ? row->left - used : 0);
}

/* Set the timer for that time or the next deadline, whichever comes first. */
static inline void timer_set(struct hart *hart, uint64_t first) {
    uint64_t deadline = read_once(hart->deadline);
    if (deadline < first) first = deadline;
    if (first == hart->armed) return;
    write_once(hart->armed, first);
    arch_timer(hart, first);
}

/* What runs next runs until then. */
static inline void slice_set(struct hart *hart, uint64_t until) {
    hart->until = until;
    hart->told = 0;
    timer_set(hart, until - hart->grace_ticks);
}

/* The next bound row in the order of rows; the row itself if no other is bound. */
static inline struct exo_row *row_after(const struct hart *hart, struct exo_row *row) {
    if (likely(read_once(row->env))) return &hart->rows[read_once(row->next)];
    uint64_t at = (uint64_t)(row - hart->rows), next = at;
    do next = (next + 1) % EXO_ROWS;
    while (next != at && !read_once(hart->rows[next].env));
    return &hart->rows[next];
}

/*
 * Claim from the next row after `from` that has something to run, round the
 * whole vector.  At its `turn` a row begins its round, skipped or not.  Returns
 * that row, or NULL.
 */
static inline struct exo_row *rows_claim(struct hart *hart, struct exo_row *from, bool turn) {
    struct exo_row *row = from;
    uint64_t refused = 0;
    for (unsigned i = 0; i < EXO_ROWS; i++) {
        row = row_after(hart, row);
        if (turn) write_once(row->left, hart->row_ticks);
        uint64_t frame = read_once(row->env);
        if (frame != refused && row_claim(hart, row)) return row;
        refused = frame; /* many rows of one sleeper are one look */
        if (row == from) break;
    }
    return NULL;
}

/*
 * Claim an urgent row whose owner woke and has time left in this round.  The
 * current row is none of these: its owner has its rest anyway.
 */
static __attribute__((noinline)) bool urgent_claim(struct hart *hart, uint64_t now) {
    uint64_t refused = 0;
    for (struct exo_row *row = hart->rows; row < hart->rows + EXO_ROWS; row++) {
        uint64_t frame = read_once(row->env);
        bool urgent = read_once(row->flags) & EXO_ROW_URGENT && read_once(row->left);
        if (!frame || frame == refused || !urgent || (row == hart->row && now < hart->end))
            continue;
        if (row_claim(hart, row)) return true;
        refused = frame;
    }
    return false;
}

/* Claim who has the rest of the current row: its owner, or another row by turns. */
static __attribute__((noinline)) bool rest_claim(struct hart *hart) {
    if (row_claim(hart, hart->row)) return true;
    struct exo_row *row = rows_claim(hart, hart->filled, false);
    if (!row) return false;
    hart->filled = row;
    hart->fills = 1;
    return true;
}

/* Enter what is to run now.  Returns false if there is nothing. */
static inline bool slice_pick(struct hart *hart) {
    uint64_t now = arch_time(), until;
    bool look = read_once(hart->recall) | hart->borrows;
    slice_charge(hart, now);
    hart->borrows = hart->fills = 0;
    if (look) write_once(hart->recall, 0); /* what is set from here on comes with an interrupt */
    if (unlikely(look) && urgent_claim(hart, now)) {
        hart->borrows = 1;
        until = now + hart->running->left;
    } else if (now < hart->end) {
        if (!rest_claim(hart)) return false;
        until = hart->end;
    } else {
        struct exo_row *row = rows_claim(hart, hart->row, true);
        if (!row) return false;
        write_once(hart->row, row);
        until = hart->end = now + hart->row_ticks;
    }
    struct exo_ctx *ctx = hart->ctx;
    ctx->slice_begin = now;
    ctx->slice_end = until;
    slice_set(hart, until);
    return true;
}

struct exo_env *slice_wait(struct hart *hart) {
    while (unlikely(!slice_pick(hart))) {
        write_once(hart->running, NULL);
        if (hart->idle) {
            slice_arm(hart);
            arch_wait_for_interrupt();
        } else { /* announced first, then looked again */
            hart_leave(hart);
            write_once(hart->idle, 1);
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
        }
        hart_deadlines(hart);
    }
    if (unlikely(hart->idle)) write_once(hart->idle, 0);
    return hart->env;
}

_Noreturn void hart_schedule(void) {
    struct hart *hart = arch_hart();
    info->hart[hart->index].flags |= EXO_HART_STARTED;
    arch_enter(slice_wait(hart));
}

struct exo_env *hart_switch(struct exo_env *env) {
    struct hart *hart = arch_hart();
    if (!hart_enter(hart, env)) return slice_wait(hart);
    hart->ctx->slice_end = hart->until;
    return env;
}

struct result slice_recall(struct hart *hart, uint64_t frame) {
    uint64_t now = arch_time();
    bool own = read_once(hart->row->env) == frame && now < hart->end && !hart->borrows;
    struct exo_row *row = own ? hart->row : hart->borrows ? NULL : urgent_row(hart, frame);
    if (row) {
        slice_charge(hart, now);
        if (likely(row_announce(hart, row) == frame)) {
            hart->fills = 0;
            hart->borrows = !own;
            if (!own || hart->told) slice_set(hart, own ? hart->end : now + row->left);
            return (struct result){0, frame};
        }
        arch_ipi(hart); /* it loses the row just now; what runs is looked at anew */
    }
    env_put(hart, env_at(frame), EXO_STATE_READY);
    return answer(0);
}

/* ---- the timer ---- */

void slice_arm(struct hart *hart) {
    uint64_t stop = hart->told ? hart->until : hart->until - hart->grace_ticks;
    timer_set(hart, hart->running ? stop : EXO_NEVER);
}

bool hart_tick(void) {
    struct hart *hart = arch_hart();
    struct exo_ctx *ctx = hart->ctx;
    uint64_t now = arch_time();
    if (now >= hart->until || now >= read_once(hart->deadline)) return true;
    if (!hart->told && now >= hart->until - hart->grace_ticks) {
        bool masked = ctx->exception_mask || ctx->critical;
        if (ctx->slice_entry && !masked) return true;
        if (masked) ctx->slice_pending = 1;
        hart->told = 1;
    }
    timer_set(hart, hart->told ? hart->until : hart->until - hart->grace_ticks);
    return false;
}

/* Enter the program's handler for the end of its slice, as an exception does. */
static void slice_announce(struct hart *hart) {
    struct exo_ctx *ctx = hart->ctx;
    bool masked = ctx->exception_mask || ctx->critical;
    hart->told = 1;
    if (masked) ctx->slice_pending = 1;
    if (masked || !ctx->slice_entry) return;
    ctx->exception_pc = ctx->register_pc;
    ctx->exception_ra = ctx->register_x[0];
    ctx->exception_sp = ctx->register_x[1];
    ctx->exception_t0 = ctx->register_x[4];
    ctx->exception_t1 = ctx->register_x[5];
    ctx->exception_a0 = ctx->register_x[9];
    ctx->exception_a1 = ctx->register_x[10];
    ctx->exception_a7 = ctx->register_x[16];
    ctx->exception_cause = EXO_CAUSE_SLICE;
    ctx->exception_value = hart->until;
    ctx->exception_mask = 1;
    ctx->register_pc = ctx->slice_entry;
    ctx->register_x[1] = ctx->exception_stack;
}

/* Could the row's environment, or the end of its chain of calls, run here? */
static bool row_is_ready(const struct exo_row *row) {
    uint64_t frame = read_once(row->env);
    return frame && chain_find(frame, read_once(row->match)).frame;
}

/*
 * Was this hart told of somebody who may take a row back?  Looked at before
 * anything is given up: who is given up is told to other harts, and two harts
 * could go on telling each other.
 */
static bool slice_is_recalled(struct hart *hart) {
    if (!read_once(hart->recall) || hart->borrows) return false;
    write_once(hart->recall, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t frame = frame_of(hart->env);
    bool ready = read_once(hart->row->env) != frame && row_is_ready(hart->row);
    for (struct exo_row *row = hart->rows; !ready && row < hart->rows + EXO_ROWS; row++)
        if (read_once(row->flags) & EXO_ROW_URGENT && row->left && read_once(row->env) != frame)
            ready = row_is_ready(row);
    if (ready) write_once(hart->recall, 1); /* for slice_pick */
    return ready;
}

/* Must the program that runs here leave? */
static bool slice_is_over(struct hart *hart) {
    uint64_t word = __atomic_load_n(hart->state, __ATOMIC_RELAXED);
    bool unbound = !read_once(hart->running->env);
    if (unbound || word & EXO_FLAG_STOP) return true;
    if (env_is_dying(hart->env)) {
        call_break(hart->env);
        return true;
    }
    return slice_is_recalled(hart);
}

struct exo_env *hart_interrupt(void) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env;
    uint64_t now = arch_time();
    if (now >= read_once(hart->deadline)) hart_deadlines(hart);
    if (now >= hart->until || slice_is_over(hart)) {
        slice_give_up(hart);
        return slice_wait(hart);
    }
    __atomic_fetch_and(&env->last, ~(uint64_t)EXO_LAST_FULL, __ATOMIC_RELAXED); /* it goes on */
    if (!hart->told && now >= hart->until - hart->grace_ticks) slice_announce(hart);
    slice_arm(hart);
    return env;
}

/* ---- yield ---- */

/* Check and claim yield's target.  0 with *target claimed, or an error. */
static int64_t yield_claim(struct hart *hart, uint64_t handle, struct exo_env **target) {
    lock_take(hart->space_lock);
    struct exo_cap *cap = cap_find(hart->space, handle);
    int64_t error = env_check(cap, EXO_ENV_CALL);
    if (!error) {
        *target = chain_claim(hart, cap->first, cap->match);
        error = *target ? 0 : EXO_ESTATE;
    }
    lock_release(hart->space_lock);
    return error;
}

struct exo_env *env_yield(uint64_t handle) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env, *target = NULL;
    if (handle == EXO_NONE) {
        env_answer(env, 0);
        if (!hart->fills) write_once(hart->running->left, 0);
        if (!hart->fills && !hart->borrows) hart->end = 0;
        slice_give_up(hart);
        return slice_wait(hart);
    }
    int64_t error = yield_claim(hart, handle, &target);
    env_answer(env, error);
    if (error) return env;
    slice_give_up(hart);
    return hart_switch(target);
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

static int64_t bind_check(struct hart *hart, const struct exo_cap *cap, uint64_t row, uint64_t env,
                          struct exo_env **target) {
    int64_t error = cap_check(cap, EXO_CLASS_SLICE, EXO_SLICE_BIND);
    if (error) return error;
    if (!cap_covers(cap, row, 1)) return EXO_ERANGE;
    if (slice_rows[row].holder != cap_link(cap)) return EXO_EOVERLAP;
    if (env == EXO_UNBIND) return 0;
    error = bind_target(hart, env, target);
    if (error) return error;
    struct hart *runner = harts[row / EXO_ROWS];
    bool running = read_once(runner->running) == &slice_rows[row];
    if (slice_rows[row].env) return EXO_EBUSY;
    if (!running || runner == hart) return 0;
    arch_ipi(runner); /* what it runs has lost the row */
    return EXO_EAGAIN;
}

struct result slice_bind(uint64_t slot, uint64_t row, uint64_t env) {
    struct exo_env *space = tree_take(), *target = NULL;
    const struct exo_cap *cap = cap_find(space, slot);
    int64_t error = bind_check(arch_hart(), cap, row, env, &target);
    if (error) return tree_give(error);
    if (env == EXO_UNBIND) return tree_give(slice_unbind(row) ? 0 : EXO_EAGAIN);
    bool urgent = EXO_CAP_RIGHTS(cap->word) & EXO_SLICE_URGENT;
    slice_fill(row, target, space, urgent ? EXO_ROW_URGENT : 0);
    slice_look(target); /* it may sleep with a deadline that no hart watched */
    slice_wake(target, SLICE_ALL);
    return tree_give(0);
}
