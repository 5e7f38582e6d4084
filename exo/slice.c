/* SPDX-License-Identifier: MIT */
/* Slice vectors and the choice of what runs: see slice.h. */
#include "slice.h"

#include "disk.h"
#include "event.h"
#include "irq.h"
#include "pct.h"
#include "shoot.h"
#include "space.h"

#define BORROW_COST 8 /* what an urgent row pays for interrupting: the announcement's time / this */

struct exo_row *slice_rows;

/* ---- rows ---- */

/* Let each row know which bound one comes next, round the vector.  Under TREE. */
static void rows_link(struct exo_row *rows) {
    uint32_t next = 0;
    for (uint32_t i = 2 * EXO_ROWS; i-- > 0;) {
        if (i < EXO_ROWS) write_once(rows[i].next, next);
        if (rows[i % EXO_ROWS].env) next = i % EXO_ROWS;
    }
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
    __atomic_store_n(&bound->env, env->frame, __ATOMIC_RELEASE);
    rows_link(harts[index]->rows);
    __atomic_fetch_or(&env->rows, 1ul << index, __ATOMIC_SEQ_CST);
}

/* Its hart's rows are to be linked anew. */
static void row_clear(struct hart *hart, struct exo_row *row) {
    struct exo_env *env = env_at(row->env);
    write_once(row->env, 0);
    if (--env->row_count[hart->index]) return;
    write_once(env->urgent, env->urgent & ~(1ul << hart->index));
    __atomic_fetch_and(&env->rows, ~(1ul << hart->index), __ATOMIC_SEQ_CST);
    slice_look(env); /* its deadline may have been kept here */
}

bool slice_unbind(uint64_t row) {
    struct hart *hart = harts[row / EXO_ROWS];
    struct exo_row *bound = &slice_rows[row];
    if (bound->env) {
        row_clear(hart, bound);
        rows_link(hart->rows);
    }
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
    for (struct exo_row *row = hart->rows; row < hart->rows + EXO_ROWS; row++)
        if (row->env == env->frame) row_clear(hart, row);
    rows_link(hart->rows);
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

void slice_wake(const struct exo_env *env, uint64_t mask) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* The rows of whom it serves run it too.  The links are only hints. */
    for (unsigned i = 0; env && i <= EXO_CHAIN_MAX; i++, env = env_named(read_once(env->caller))) {
        uint64_t frame = frame_of(env), rows = read_once(env->rows) & mask;
        for (uint64_t index = 0; index < hart_count && rows >> index; index++) {
            struct hart *hart = harts[index];
            const struct exo_row *current = read_once(hart->row);
            bool could = rows >> index & 1 &&
                         (read_once(hart->idle) || read_once(current->env) == frame ||
                          (read_once(env->urgent) >> index & 1 && urgent_row(hart, frame)));
            /* Who was told and has not looked yet will see this one too. */
            if (could && !__atomic_exchange_n(&hart->recall, 1, __ATOMIC_SEQ_CST)) arch_ipi(hart);
        }
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
    uint64_t rows = read_once(env->rows), deadline = read_once(env->deadline), index = 0;
    while (index < hart_count && !(rows >> index & 1)) index++;
    if (index == hart_count || deadline == EXO_NEVER) return;
    struct hart *hart = harts[index];
    deadline_lower(hart, deadline);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (deadline < read_once(hart->armed) || read_once(hart->idle)) arch_ipi(hart);
}

/* ---- claiming ---- */

/*
 * Who runs for the environment with this READY word: itself, or the end of its
 * chain of calls, of which all but the claim hints.  NULL if that cannot run, or
 * another hart was first.
 */
static __attribute__((noinline)) struct exo_env *chain_end(struct hart *hart, uint64_t frame,
                                                           uint64_t ready, bool claims) {
    uint64_t word = read_once(*frame_state(frame)), caller = 0;
    bool is = !((word ^ ready) >> EXO_ENV_GEN_SHIFT);
    for (unsigned i = 0; is && i < EXO_CHAIN_MAX; i++) {
        if ((word & (EXO_STATE_MASK | EXO_FLAG_KILL)) != EXO_STATE_CALLING) break;
        caller = frame;
        frame = env_hart(word);
        word = read_once(*frame_state(frame));
        is = word >> EXO_TAG_SHIFT == EXO_TAG_ENV && word & EXO_FLAG_INCALL;
    }
    struct exo_env *env = env_at(frame);
    if (!is || !env_sleeps(word, EXO_STATE_READY)) return NULL;
    if (caller && read_once(env->caller) != caller) return NULL;
    if (!claims) return env;
    if (!env_claim(hart, frame, word)) return NULL;
    if (!caller || read_once(env->caller) == caller) return env;
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
    if (unlikely(!env_claim(hart, frame, ready))) env = chain_end(hart, frame, ready, true);
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
    if (hart->fills) return;
    uint64_t left = read_once(row->left);
    write_once(row->left, left > used ? left - used : 0);
}

inline __attribute__((always_inline)) void slice_arm(struct hart *hart) {
    /* Who lowers the deadline from here on interrupts. */
    uint64_t armed = __atomic_exchange_n(&hart->armed, EXO_NEVER, __ATOMIC_SEQ_CST);
    uint64_t first = hart->until - hart->notice, deadline = read_once(hart->deadline);
    if (deadline < first) first = deadline;
    write_once(hart->armed, first);
    if (first != armed) arch_timer(hart, first);
}

/* What runs next runs until then, and is told so much sooner. */
static inline void slice_set(struct hart *hart, uint64_t until, uint64_t notice) {
    hart->until = until;
    hart->notice = notice;
    slice_arm(hart);
}

/* Could the row's environment, or the end of its chain of calls, run here? */
static bool row_is_ready(struct hart *hart, const struct exo_row *row) {
    uint64_t frame = read_once(row->env);
    return frame && chain_end(hart, frame, read_once(row->match), false);
}

/* How rows_find looks: at its TURN a row begins its round, skipped or not; LOOK claims nothing. */
enum { TURN = 1, URGENT = 2, LOOK = 4 };

/*
 * The next row after `from` that has something to run, which is claimed and
 * entered; or NULL.  URGENT: of those whose owner has time left in this round;
 * the current one is none of these: its owner has its rest anyway.
 */
static inline __attribute__((always_inline)) struct exo_row *
rows_find(struct hart *hart, struct exo_row *from, unsigned how, uint64_t now) {
    struct exo_row *row = from;
    uint64_t refused = 0;
    for (unsigned i = 0; i < EXO_ROWS; i++) {
        row = &hart->rows[read_once(row->next)];
        if (how & TURN) write_once(row->left, hart->row_ticks);
        uint64_t frame = read_once(row->env);
        bool may = frame != refused; /* many rows of one sleeper are one look */
        if (how & URGENT)
            may = may && read_once(row->flags) & EXO_ROW_URGENT && read_once(row->left) &&
                  (row != hart->row || now >= hart->end);
        if (may && (how & LOOK ? row_is_ready(hart, row) : row_claim(hart, row))) return row;
        if (may) refused = frame;
        if (row == from) break;
    }
    return NULL;
}

/* Enter what is to run now.  Returns false if there is nothing. */
static inline bool slice_pick(struct hart *hart) {
    disks_look();
    uint64_t now = arch_time(), until;
    bool look = read_once(hart->recall) | hart->borrows;
    slice_charge(hart, now);
    hart->borrows = hart->fills = 0;
    if (look) write_once(hart->recall, 0); /* what is set from here on comes with an interrupt */
    if (unlikely(look) && rows_find(hart, hart->rows + EXO_ROWS - 1, URGENT, now)) {
        hart->borrows = 1;
        until = now + read_once(hart->running->left);
    } else if (now < hart->end) {
        if (!row_claim(hart, hart->row)) { /* its owner; or another row by turns */
            struct exo_row *row = rows_find(hart, hart->filled, 0, 0);
            if (!row) return false;
            hart->filled = row;
            hart->fills = 1;
        }
        until = hart->end;
    } else {
        struct exo_row *row = rows_find(hart, hart->row, TURN, now);
        if (!row) return false;
        write_once(hart->row, row);
        until = hart->end = now + hart->row_ticks;
    }
    struct exo_ctx *ctx = hart->ctx;
    ctx->slice_begin = now;
    ctx->slice_end = until;
    slice_set(hart, until, hart->grace_ticks);
    return true;
}

struct exo_env *slice_wait(struct hart *hart) {
    while (unlikely(!slice_pick(hart))) {
        write_once(hart->running, NULL);
        if (hart->idle) {
            slice_set(hart, EXO_NEVER, 0);
            if (!read_once(disks_masked)) arch_wait_for_interrupt();
            hart_lines(hart);
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
            if (!own || !hart->notice)
                slice_set(hart, own ? hart->end : now + read_once(row->left), hart->grace_ticks);
            arch_float_save();
            return (struct result){0, frame};
        }
        arch_ipi(hart); /* it loses the row just now; what runs is looked at anew */
    }
    env_put(hart, env_at(frame), EXO_STATE_READY);
    return answer(0);
}

/* ---- the timer ---- */

int64_t hart_tick(void) {
    struct hart *hart = arch_hart();
    struct exo_ctx *ctx = hart->ctx;
    uint64_t now = arch_time(), entry = 0;
    if (now >= hart->until || now >= read_once(hart->deadline)) return -1;
    if (now >= hart->until - hart->notice) {
        hart->notice = 0;
        if (ctx->exception_mask || ctx->critical)
            ctx->slice_pending = 1;
        else
            entry = ctx->slice_entry;
        if (entry) ctx->exception_value = hart->until;
    }
    slice_arm(hart);
    return (int64_t)entry;
}

/* Must the program that runs here leave, with time left? */
static __attribute__((noinline)) bool slice_is_over(struct hart *hart) {
    if (!read_once(hart->running->env) || read_once(*hart->state) & EXO_FLAG_STOP) return true;
    bool dies = env_is_dying(hart->env);
    if (dies) call_break(hart->env);
    if (dies || !read_once(hart->recall) || hart->borrows) return dies;
    /*
     * Somebody may take a row back.  Looked at before anything is given up: who is given up
     * is told to other harts, and two harts could go on telling each other.
     */
    write_once(hart->recall, 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool ready =
        row_is_ready(hart, hart->row) || rows_find(hart, hart->rows, URGENT | LOOK, arch_time());
    if (ready) write_once(hart->recall, 1); /* for slice_pick */
    return ready;
}

struct exo_env *hart_interrupt(void) {
    hart_lines(arch_hart());
    if (arch_time() >= read_once(arch_hart()->deadline)) hart_deadlines(arch_hart());
    if (arch_time() >= arch_hart()->until || slice_is_over(arch_hart())) {
        __atomic_fetch_or(&arch_hart()->env->last, EXO_LAST_FULL, __ATOMIC_RELAXED);
        slice_give_up(arch_hart());
        return slice_wait(arch_hart());
    }
    slice_arm(arch_hart());
    return arch_hart()->env;
}

/* ---- yield ---- */

struct exo_env *env_yield(uint64_t handle) {
    struct hart *hart = arch_hart();
    struct exo_env *env = hart->env, *target = NULL;
    int64_t error = 0;
    if (handle == EXO_NONE) {
        if (!hart->fills) write_once(hart->running->left, 0);
        if (!hart->fills && !hart->borrows) hart->end = 0;
    } else {
        lock_take(hart->space_lock);
        const struct exo_cap *cap = cap_find(hart->space, handle);
        error = env_check(cap, EXO_ENV_CALL);
        if (!error) target = chain_end(hart, cap->first, cap->match, true);
        if (!error && !target) error = EXO_ESTATE;
        lock_release(hart->space_lock);
    }
    env_answer(env, error);
    if (error) return env;
    slice_give_up(hart);
    return target ? hart_switch(target) : slice_wait(hart);
}

/* ---- slice_bind ---- */

/* Whether this may be bound to the row, or the row emptied.  0 with *target, or an error. */
static int64_t bind_check(struct hart *hart, const struct exo_cap *cap, uint64_t row, uint64_t env,
                          struct exo_env **target) {
    int64_t error = cap_check(cap, EXO_CLASS_SLICE, EXO_SLICE_BIND);
    if (error) return error;
    if (!cap_covers(cap, row, 1)) return EXO_ERANGE;
    if (slice_rows[row].holder != cap_link(cap)) return EXO_EOVERLAP;
    if (env == EXO_UNBIND) return 0;
    if (env != EXO_SELF) {
        const struct exo_cap *named = cap_find(hart->space, env);
        error = env_check(named, 0);
        if (error) return error;
        *target = env_at(named->first);
        if (env_is_dying(*target)) return EXO_EDYING;
    }
    return slice_rows[row].env ? EXO_EBUSY : 0;
}

struct result slice_bind(uint64_t slot, uint64_t row, uint64_t env) {
    struct exo_env *space = tree_take(), *target = arch_hart()->env;
    const struct exo_cap *cap = cap_find(space, slot);
    int64_t error = bind_check(arch_hart(), cap, row, env, &target);
    /* What still runs there has lost the row. */
    if (!error && !slice_unbind(row)) error = EXO_EAGAIN;
    if (error || env == EXO_UNBIND) return tree_give(error);
    bool urgent = EXO_CAP_RIGHTS(cap->word) & EXO_SLICE_URGENT;
    slice_fill(row, target, space, urgent ? EXO_ROW_URGENT : 0);
    slice_look(target); /* it may sleep with a deadline that no hart watched */
    slice_wake(target, SLICE_ALL);
    return tree_give(0);
}
