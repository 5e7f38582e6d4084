/* SPDX-License-Identifier: MIT */
/*
 * Two harts' calls in every order: each stops before or after each of its
 * atomics, fences and locks, the other goes on there, and at the end the walker and the
 * scene's own rule must be content.
 *
 * A scene is a machine and two acts.  Single stops are tried: one act stops
 * at its n-th point, the other is done, the first goes on.  And stops of both:
 * the first at its n-th point, the second at its m-th, then the first to its
 * end.  When one waits for a lock of the other, that one goes on point by point
 * until it has it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cut.h"
#include "fiber.h"
#include "fixture.h"
#include "recover.h"

#define PAIRS 100        /* stops of both that are tried of one order of a scene, at most */
#define CLOSE 60         /* single stops near either end are all tried, between them some */
#define SPARSE 40        /* ... how many */
#define RECOVER_EACH 100 /* runs between two in which all must die and init get everything back */
#define HARTS 3
#define FAST 1      /* by the fast ways of trap.S */
#define AFTER 2     /* stops are after atomics, else before them */
#define NO_CALL 100 /* in place of a call's number: an interrupt that is pending is taken */

struct act {
    uint64_t hart;
    int number;
    uint64_t a[7];
    uint64_t deadline; /* of pct_call_until */
};

struct scene {
    const char *name;
    void (*make)(void);
    struct act first, second; /* their arguments, filled in by `make` */
    /* NULL, or what is wrong when all harts have settled. */
    const char *(*check)(void);
};

extern const struct scene scenes[];

/* ---- the explorer ---- */

static struct act acts[2];     /* first and second, as the scene names them */
static uint64_t points[HARTS]; /* passed by each hart's act */
static uint64_t stops[HARTS];  /* where it is to stop next; 0: nowhere */

/* Meanwhile the table walker of each hart runs ahead. */
static void at_point(void) {
    uint64_t hart = arch_hart()->index, frame;
    for (uint64_t i = 0; i < HARTS; i++) host_touch(i, VA, false, &frame);
    if (++points[hart] == stops[hart]) fiber_pause(FIBER_POINT);
}

static bool is_over(uint64_t hart) {
    return host_models[hart].state != HOST_PAUSED && host_models[hart].state != HOST_BLOCKED;
}

static void act_begin(const struct act *act) {
    struct host_model *model = &host_models[act->hart];
    if (act->number == NO_CALL) {
        if (!host_interrupt_pending(act->hart)) return;
        if (model->state == HOST_IDLE)
            host_continue(act->hart);
        else
            host_interrupt(act->hart);
        return;
    }
    /* It may be asleep or another's by what the other act did. */
    if (model->state != HOST_PROGRAM) return;
    model->registers[HOST_T1] = act->deadline;
    host_call(act->hart, act->number, act->a);
}

/* Let a hart go on to its end; where it waits for a lock, the other goes on point by point. */
static void act_end(uint64_t hart, uint64_t other) {
    while (!is_over(hart)) {
        host_continue(hart);
        if (host_models[hart].state != HOST_BLOCKED) continue;
        if (is_over(other)) fail_msg("a lock was not released");
        stops[other] = points[other] + 1;
        host_continue(other);
        stops[other] = 0;
    }
}

/*
 * The act `lead` stops at its point n, the other begins, and stops at its point
 * m unless that is 0; then the first ends, then the second.  Returns whether
 * both stops were reached.
 */
static bool play(const struct scene *scene, unsigned lead, unsigned how, uint64_t n, uint64_t m) {
    fixture_hurries = true;
    host_boot(&(struct host_plan){.groups = 2, .harts = HARTS, .asids = 16});
    host_fast = how & FAST;
    host_points_after = how & AFTER;
    acts[0] = scene->first;
    acts[1] = scene->second;
    scene->make();
    fixture_hurries = false;
    uint64_t first = acts[lead].hart, second = acts[!lead].hart;
    for (unsigned i = 0; i < HARTS; i++) points[i] = stops[i] = 0;
    stops[first] = n;
    stops[second] = m;
    host_at_point = at_point;
    act_begin(&acts[lead]);
    bool reached = !is_over(first);
    act_begin(&acts[!lead]);
    bool paused = host_models[second].state == HOST_PAUSED;
    stops[first] = stops[second] = 0;
    if (!paused) act_end(second, first);
    act_end(first, second);
    act_end(second, first);
    host_at_point = NULL;
    return reached && (paused || !m);
}

static const char *judge(const struct scene *scene, bool recovers) {
    const char *wrong = walk();
    host_settle();
    if (!wrong) wrong = walk();
    if (!wrong && scene->check) wrong = scene->check();
    if (!wrong) wrong = walk();
    return wrong || !recovers ? wrong : recover();
}

static uint64_t runs_done;

/* One run of a scene.  Returns whether its stops were reached. */
static bool run(const struct scene *scene, unsigned lead, unsigned how, uint64_t n, uint64_t m) {
    bool reached = play(scene, lead, how, n, m);
    const char *wrong = judge(scene, runs_done++ % RECOVER_EACH == 0);
    if (wrong)
        fail_msg("%s (%lu %u %lu %lu %u): act %u stops %s its atomic %lu, the other at %lu, %s: %s",
                 scene->name, (uint64_t)(scene - scenes), lead + 1, n, m, how, lead + 1,
                 how & AFTER ? "after" : "before", n, m, how & FAST ? "fast" : "in full", wrong);
    return reached;
}

static void explore_order(const struct scene *scene, unsigned lead, unsigned how) {
    run(scene, lead, how, 0, 0);
    uint64_t first = points[acts[lead].hart], second = points[acts[!lead].hart], step = 1;
    uint64_t stride = first > 2 * CLOSE ? (first - 2 * CLOSE) / SPARSE + 1 : 1;
    for (uint64_t n = 1; run(scene, lead, how, n, 0);)
        n += n > CLOSE && n + CLOSE + stride < first ? stride : 1;
    while ((first / step + 1) * (second / step + 1) > PAIRS) step++;
    for (uint64_t n = 1; n <= first; n += step)
        for (uint64_t m = 1 + n % step; m <= second && run(scene, lead, how, n, m); m += step) {
        }
}

/* ---- the cast ---- */

/*
 * A on hart 1 and B, made from init's slots 9 and 10: to drop these kills
 * them.  A's slot 3 and init's slot 11 name B, with CALL; A's slot 4 with NOTIFY.
 * Each has been entered on hart 1, and B accepts.  B has a page at VA.
 */
#define OF_A 9
#define OF_B 10
#define SERVER 3
#define WAKEABLE 4
#define CLIENT 11

static void env_make(uint64_t from, uint64_t index, uint64_t frame) {
    GOOD(0, cap_derive, handle(0, 0), place(from), frame, 8, ALL_RIGHTS, 0, 0);
    GOOD(0, env_create, handle(0, from), frame, frame + 1, frame + 2, place(index));
    GOOD(0, env_regs, handle(0, index), EXO_REGS_START);
}

static void pct(uint64_t hart, int number, uint64_t name) {
    call(hart, number, (const uint64_t[]){11, 12, 13, 14, 15, 16, name}, 7);
}

static void cast(void) {
    env_make(OF_A, A_SLOT, A);
    env_make(OF_B, B_SLOT, B);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS, handle(0, A_SLOT));
    settle();
    introduce(A_SLOT, B_SLOT, SERVER, EXO_ENV_CALL);
    introduce(A_SLOT, B_SLOT, WAKEABLE, EXO_ENV_NOTIFY);
    GOOD(0, cap_derive, handle(0, B_SLOT), place(CLIENT), B, 1, EXO_ENV_CALL, 0, 0);
    GOOD(0, cap_derive, handle(0, OF_B), place(15), B + 3, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 15), handle(0, B_SLOT), place(0), 0, 0);
    CALL(1, yield, handle(1, SERVER));
    assert_int_equal(runs(1), B);
    tables(1, 0, B + 3);
    GOOD(1, page_map, 0, VA, handle(1, 0), B + 5, 1, EXO_PAGE_R);
    pct(1, exo_call_pct_reply, 0);
    assert_int_equal(runs(1), A);
    /* Once there and back, so that the next call has a fast way. */
    pct(1, exo_call_pct_call, handle(1, SERVER));
    assert_int_equal(runs(1), B);
    pct(1, exo_call_pct_reply, 0);
    assert_int_equal(runs(1), A);
}

/* B runs on hart 1 and serves A. */
static void cast_in_call(void) {
    cast();
    acts[0].a[6] = acts[1].a[6] = 0;
    pct(1, exo_call_pct_call, handle(1, SERVER));
    assert_int_equal(runs(1), B);
}

/* The same on hart 2, by B's own row, while hart 1 sleeps and watches A's deadline, which is now. */
static void cast_at_deadline(void) {
    cast();
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    uint64_t deadline = host_time + 3000;
    host_models[1].registers[HOST_T1] = deadline;
    pct(1, exo_call_pct_call_until, handle(1, SERVER));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    settle();
    assert_int_equal(runs(2), B);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS, handle(0, A_SLOT));
    settle();
    assert_int_equal(runs(1), 0);
    host_time = deadline;
    assert_true(host_interrupt_pending(1));
}

/* B has a row on hart 2 and waits for event 1; A runs on hart 1. */
static void cast_asleep(void) {
    cast();
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP);
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_START);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    settle();
    assert_int_equal(runs(2), B);
    CALL(2, wait, 1, EXO_NEVER);
    assert_int_equal(runs(2), 0);
}

/* B runs on hart 2. */
static void cast_awake(void) {
    cast_asleep();
    GOOD(0, notify, handle(0, B_SLOT), 1);
    settle();
    assert_int_equal(runs(2), B);
}

/* ---- how it must end ---- */

#define WANT(condition)                      \
    do {                                     \
        if (!(condition)) return #condition; \
    } while (0)

static bool is_env(uint64_t frame) { return frame_type(frame) == EXO_FRAME_ENV; }

static uint64_t the_state(uint64_t frame) { return state_of(frame) & EXO_STATE_MASK; }

/* The hart on which it runs; HARTS if none. */
static uint64_t hart_of(uint64_t frame) {
    uint64_t hart = 0;
    while (hart < HARTS && runs(hart) != frame) hart++;
    return hart;
}

/* Time passes until it runs. */
static uint64_t let_run(uint64_t frame) {
    for (unsigned i = 0; i < 6 && hart_of(frame) == HARTS; i++) host_advance(info->row_ticks);
    return hart_of(frame);
}

static struct result quick(uint64_t hart, int number, uint64_t a, uint64_t b, uint64_t c) {
    host_call(hart, number, (const uint64_t[7]){a, b, c});
    struct result result = host_models[hart].result;
    host_settle();
    return result;
}

static bool quick_job(int number, uint64_t a, uint64_t b, uint64_t c) {
    struct result result = {EXO_EAGAIN, 0};
    for (unsigned i = 0; i < 300 && (result.value == EXO_EAGAIN || result.value == EXO_EREAP);
         i++) {
        if (result.value == EXO_EREAP) quick_job(exo_call_env_reap, result.detail, 0, 0);
        result = quick(0, number, a, b, c);
    }
    return result.value == 0;
}

/* What its call has returned to an environment that runs: an error and no words, or words. */
static bool has_answer(uint64_t hart, int64_t error) {
    const uint64_t *registers = host_models[hart].registers;
    if (error) return (int64_t)registers[HOST_A0] == error && registers[HOST_A0 + 6] == 0;
    return registers[HOST_A0 + 6] != 0;
}

/* What dies can be reaped, and nothing names it. */
static const char *reaps(uint64_t frame) {
    WANT(is_env(frame) && state_of(frame) & EXO_FLAG_KILL);
    WANT(quick_job(exo_call_env_reap, frame, 0, 0));
    WANT(!is_env(frame));
    return NULL;
}

/* B, wherever it is, comes to accept; then A calls it and has its answer, if it still has a name for it. */
static const char *they_still_work(void) {
    if (the_state(B) == EXO_STATE_STOPPED)
        WANT(quick(0, exo_call_env_regs, handle(0, B_SLOT), EXO_REGS_START, 0).value == 0);
    if (the_state(B) == EXO_STATE_WAIT)
        WANT(quick(0, exo_call_notify, handle(0, B_SLOT), 1, 0).value == 0);
    if (the_state(B) != EXO_STATE_ACCEPT) {
        if (!env_at(B)->rows)
            WANT(quick(0, exo_call_slice_bind, handle(0, 1), 2 * EXO_ROWS + 5, handle(0, B_SLOT))
                     .value == 0);
        uint64_t hart = let_run(B);
        WANT(hart < HARTS);
        host_call(hart, EXO_CALL_pct_reply, (const uint64_t[7]){21, 22, 23, 24, 25, 26});
        host_settle();
    }
    WANT(state_of(B) == EXO_STATE_ACCEPT);
    if (the_state(A) == EXO_STATE_STOPPED)
        WANT(quick(0, exo_call_env_regs, handle(0, A_SLOT), EXO_REGS_START, 0).value == 0);
    uint64_t hart = let_run(A);
    WANT(hart < HARTS);
    if (EXO_CAP_STATE(slot(hart, SERVER)->word) != EXO_SLOT_LIVE) return NULL;
    uint64_t name = handle(hart, SERVER);
    host_call(hart, EXO_CALL_pct_call, (const uint64_t[7]){31, 32, 33, 34, 35, 36, name});
    WANT(runs(hart) == B && host_models[hart].registers[HOST_A0 + 6] == A);
    WANT(host_models[hart].registers[HOST_A0 + 5] == 36);
    host_call(hart, EXO_CALL_pct_reply, (const uint64_t[7]){41, 42, 43, 44, 45, 46});
    WANT(runs(hart) == A && has_answer(hart, 0));
    WANT(host_models[hart].registers[HOST_A0 + 5] == 46);
    return NULL;
}

/* A's call has an end; which of these. */
static const char *call_ended(const int64_t *errors, unsigned count) {
    WANT(the_state(A) != EXO_STATE_CALLING);
    uint64_t hart = let_run(A);
    WANT(hart < HARTS);
    for (unsigned i = 0; i < count; i++)
        if (has_answer(hart, errors[i])) return NULL;
    return "A's call has another answer";
}

static const char *server_is_killed(void) {
    static const int64_t errors[] = {EXO_EBROKEN, EXO_EDYING, EXO_ESLOT};
    WANT(state_of(B) & EXO_FLAG_KILL);
    const char *wrong = call_ended(errors, 3);
    return wrong ? wrong : reaps(B);
}

/* B's answer came first, or not. */
static const char *server_is_killed_in_call(void) {
    static const int64_t errors[] = {EXO_EBROKEN, 0};
    WANT(state_of(B) & EXO_FLAG_KILL);
    const char *wrong = call_ended(errors, 2);
    return wrong ? wrong : reaps(B);
}

static const char *server_is_stopped(void) {
    WANT(quick_job(exo_call_env_regs, handle(0, B_SLOT), EXO_REGS_STOP, 0));
    return they_still_work();
}

static const char *client_is_stopped(void) {
    WANT(quick_job(exo_call_env_regs, handle(0, A_SLOT), EXO_REGS_STOP, 0));
    WANT(state_of(A) == EXO_STATE_STOPPED);
    return they_still_work();
}

static const char *client_is_killed(void) {
    WANT(state_of(A) & EXO_FLAG_KILL);
    const char *wrong = reaps(A);
    if (wrong) return wrong;
    /* Now init is the client. */
    if (the_state(B) != EXO_STATE_ACCEPT) {
        WANT(quick(0, exo_call_slice_bind, handle(0, 1), 2 * EXO_ROWS + 5, handle(0, B_SLOT))
                 .value == 0);
        uint64_t hart = let_run(B);
        WANT(hart < HARTS);
        host_call(hart, EXO_CALL_pct_reply, (const uint64_t[7]){21});
        host_settle();
    }
    WANT(state_of(B) == EXO_STATE_ACCEPT);
    host_call(0, EXO_CALL_pct_call, (const uint64_t[7]){1, 2, 3, 4, 5, 6, handle(0, CLIENT)});
    WANT(runs(0) == B);
    return NULL;
}

static const char *name_is_cut(void) {
    static const int64_t errors[] = {EXO_EBROKEN, EXO_ESLOT, EXO_ERIGHTS, 0};
    WANT(quick_job(exo_call_cap_revoke, handle(0, B_SLOT), B, 0));
    const char *wrong = call_ended(errors, 4);
    return wrong ? wrong : they_still_work();
}

static const char *one_call_is_busy(void) {
    uint64_t hart = hart_of(B);
    WANT(hart < 2 && the_state(B) == EXO_STATE_RUN);
    uint64_t client = host_models[hart].registers[HOST_A0 + 6];
    WANT(client == (hart ? A : info->init_env));
    WANT(has_answer(!hart, EXO_EBUSY));
    host_call(hart, EXO_CALL_pct_reply, (const uint64_t[7]){21});
    WANT(runs(hart) == client && has_answer(hart, 0));
    return they_still_work();
}

static const char *answered_or_late(void) {
    static const int64_t errors[] = {EXO_ETIMEOUT, 0};
    const char *wrong = call_ended(errors, 2);
    return wrong ? wrong : they_still_work();
}

static const char *ended_or_late(void) {
    static const int64_t errors[] = {EXO_ETIMEOUT, EXO_EBROKEN};
    const char *wrong = call_ended(errors, 2);
    return wrong ? wrong : reaps(B);
}

/* The event was taken by the waiter, which runs, or is still there and it does not sleep. */
static const char *event_is_not_lost(void) {
    uint64_t hart = let_run(B);
    WANT(hart < HARTS);
    bool taken = host_models[hart].registers[HOST_A0] == 1;
    WANT(taken != (env_at(B)->events & 1));
    return they_still_work();
}

static const char *event_or_stop(void) {
    WANT(quick_job(exo_call_env_regs, handle(0, B_SLOT), EXO_REGS_STOP, 0));
    WANT(quick(0, exo_call_env_regs, handle(0, B_SLOT), EXO_REGS_START, 0).value == 0);
    return event_is_not_lost();
}

static const char *sleeper_wakes_in_time(void) {
    host_advance(10 * info->row_ticks);
    WANT(the_state(B) != EXO_STATE_WAIT);
    return they_still_work();
}

static const char *killed(void) { return reaps(B); }

static const char *both_work(void) { return they_still_work(); }

static const char *yielded_or_not(void) {
    WANT(hart_of(B) < HARTS || the_state(B) == EXO_STATE_READY);
    return they_still_work();
}

static const char *dead_or_ready(void) {
    WANT(quick_job(exo_call_env_reap, B, 0, 0));
    return NULL;
}

/* ---- the scenes ---- */

#define CALLS(on, name) .hart = (on), .number = exo_call_##name

/* Arguments that only the machine knows. */
static void kills_b(struct act *act) {
    act->a[0] = handle(0, OF_B);
    act->a[1] = B;
}

static void make_call_kill(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    kills_b(&acts[1]);
}

static void make_call_regs(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[0] = handle(0, acts[1].a[0]);
}

static void make_call_kill_client(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[0] = handle(0, OF_A);
    acts[1].a[1] = A;
}

static void make_call_cut(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[0] = handle(0, B_SLOT);
    acts[1].a[1] = B;
}

static void make_call_call(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[6] = handle(0, CLIENT);
}

/* init takes B's page away while A enters B's space. */
static void make_call_unmap(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[0] = handle(0, B_SLOT);
    acts[1].a[1] = VA;
    acts[1].a[2] = 1;
}

/* init makes a space meanwhile. */
static void make_call_create(void) {
    cast();
    acts[0].a[6] = handle(1, SERVER);
    acts[1].a[0] = handle(0, 0);
    acts[1].a[1] = FREE;
    acts[1].a[2] = FREE + 1;
    acts[1].a[3] = B + 2 + 16;
    acts[1].a[4] = place(12);
}

static void make_reply_kill(void) {
    cast_in_call();
    kills_b(&acts[1]);
}

static void make_reply_regs(void) {
    cast_in_call();
    acts[1].a[0] = handle(0, acts[1].a[0]);
}

static void make_reply_kill_client(void) {
    cast_in_call();
    acts[1].a[0] = handle(0, OF_A);
    acts[1].a[1] = A;
}

static void make_reply_cut(void) {
    cast_in_call();
    acts[1].a[0] = handle(0, B_SLOT);
    acts[1].a[1] = B;
}

static void make_reply_call(void) {
    cast_in_call();
    acts[1].a[6] = handle(0, CLIENT);
}

/* A is dead, and being reaped step by step. */
static void make_reply_reap(void) {
    cast_in_call();
    while (CALL(0, cap_drop, handle(0, OF_A), A).value == EXO_EAGAIN) {
    }
    for (uint64_t i = 0; i < acts[1].a[0]; i++) CALL(0, env_reap, A);
    acts[1].a[0] = A;
}

/* B is dead while it serves, its hart has not looked yet, and it is being reaped. */
static void make_interrupt_reap(void) {
    cast_in_call();
    while (CALL(0, cap_drop, handle(0, OF_B), B).value == EXO_EAGAIN) {
    }
    acts[1].a[0] = B;
}

static void make_at_deadline(void) { cast_at_deadline(); }

static void make_at_deadline_kill(void) {
    cast_at_deadline();
    kills_b(&acts[1]);
}

static void make_at_deadline_stop(void) {
    cast_at_deadline();
    acts[1].a[0] = handle(0, A_SLOT);
}

static void make_wait(void) {
    cast_awake();
    acts[0].a[0] = 1;
    acts[0].a[1] = EXO_NEVER;
    if (acts[1].a[0]) acts[1].a[0] = handle(acts[1].hart, acts[1].a[0]);
}

static void make_wait_kill(void) {
    cast_awake();
    acts[0].a[0] = 1;
    acts[0].a[1] = EXO_NEVER;
    kills_b(&acts[1]);
}

/* B falls asleep with a deadline while the row on its hart goes; it has another on hart 0. */
static void make_wait_unbind(void) {
    cast_awake();
    GOOD(0, slice_bind, handle(0, 1), 9, handle(0, B_SLOT));
    acts[0].a[0] = 1;
    acts[0].a[1] = host_time + 5000;
    acts[1].a[0] = handle(0, 1);
    acts[1].a[1] = 2 * EXO_ROWS;
    acts[1].a[2] = EXO_UNBIND;
}

/* ... or while it gets one, having none (it runs in the time of A). */
static void make_wait_bind(void) {
    cast();
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP);
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_START);
    CALL(1, yield, handle(1, SERVER));
    assert_int_equal(runs(1), B);
    acts[0].a[0] = 1;
    acts[0].a[1] = host_time + 5000;
    acts[1].a[0] = handle(0, 1);
    acts[1].a[1] = 2 * EXO_ROWS;
    acts[1].a[2] = handle(0, B_SLOT);
}

/*
 * Hart 2 falls asleep while B does so on hart 1, in A's time, with a deadline
 * that hart 2 is to watch.
 */
static void make_idle_wait(void) {
    make_wait_bind();
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(12));
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS + 9, handle(0, 12));
    GOOD(0, env_regs, handle(0, 12), EXO_REGS_START);
    settle();
    assert_int_equal(runs(1), B);
    assert_int_equal(runs(2), FREE);
    acts[0].a[0] = acts[1].a[0] = 1;
    acts[0].a[1] = EXO_NEVER;
    acts[1].a[1] = host_time + 25000; /* later than hart 2's slice ends */
}

static void make_notify(void) {
    cast_asleep();
    acts[0].a[0] = handle(1, WAKEABLE);
    acts[0].a[1] = 1;
    if (acts[1].a[0]) acts[1].a[0] = handle(0, acts[1].a[0]);
}

static void make_notify_deadline(void) {
    cast_awake();
    CALL(2, wait, 1, host_time + 500);
    host_time += 500;
    assert_true(host_interrupt_pending(2));
    acts[0].a[0] = handle(1, WAKEABLE);
    acts[0].a[1] = 1;
}

/* B is READY, and hart 2 is told that it has a row for it. */
static void make_yield_pick(void) {
    cast_awake();
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    settle();
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    assert_true(host_interrupt_pending(2));
    assert_int_equal(state_of(B), EXO_STATE_READY);
    acts[0].a[0] = handle(1, SERVER);
}

static void make_yield(void) {
    cast_awake();
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    settle();
    acts[0].a[0] = handle(1, SERVER);
    if (acts[1].number == exo_call_cap_drop)
        kills_b(&acts[1]);
    else
        acts[1].a[0] = handle(0, acts[1].a[0]);
}

/* Hart 2's program is to leave, and the row that gave it is unbound meanwhile. */
static void make_interrupt_unbind(void) {
    cast_awake();
    arch_ipi(harts[2]);
    acts[1].a[0] = handle(0, 1);
    acts[1].a[1] = 2 * EXO_ROWS;
    acts[1].a[2] = EXO_UNBIND;
}

static void make_pick_unbind(void) {
    make_yield_pick();
    acts[1].a[0] = handle(0, 1);
    acts[1].a[1] = 2 * EXO_ROWS;
    acts[1].a[2] = EXO_UNBIND;
}

/*
 * A server that is killed while its hart gives it up by itself: its caller may
 * wait until it is reaped.
 */
static const char *server_is_killed_at_slice_end(void) {
    static const int64_t errors[] = {EXO_EBROKEN};
    const char *wrong = reaps(B);
    return wrong ? wrong : call_ended(errors, 1);
}

/* The slice of a server ends in a call. */
static void make_preempt(void) {
    cast_in_call();
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    host_time = harts[1]->until;
    assert_true(host_interrupt_pending(1));
    if (acts[1].number == exo_call_cap_drop)
        kills_b(&acts[1]);
    else if (acts[1].number == exo_call_env_regs)
        acts[1].a[0] = handle(0, acts[1].a[0]);
}

static const char *preempted(void) {
    WANT(the_state(A) == EXO_STATE_CALLING && state_of(B) & EXO_FLAG_INCALL);
    return they_still_work();
}

static void make_exit(void) {
    cast_in_call();
    if (acts[1].number == exo_call_cap_drop) {
        acts[1].a[0] = handle(0, OF_A);
        acts[1].a[1] = A;
    } else {
        acts[1].a[0] = handle(0, acts[1].a[0]);
    }
}

static const char *both_are_dead(void) {
    const char *wrong = reaps(A);
    return wrong ? wrong : reaps(B);
}

static const char *exit_broke_it(void) {
    WANT(quick_job(exo_call_env_regs, handle(0, A_SLOT), EXO_REGS_STOP, 0));
    WANT(quick(0, exo_call_env_regs, handle(0, A_SLOT), EXO_REGS_START, 0).value == 0);
    static const int64_t errors[] = {EXO_EBROKEN};
    const char *wrong = call_ended(errors, 1);
    return wrong ? wrong : reaps(B);
}

/* init and A, which has CONTROL too, stop and start B at once. */
static void make_regs_regs(void) {
    cast_awake();
    introduce(A_SLOT, B_SLOT, 5, EXO_ENV_CONTROL);
    if (acts[0].a[1] == EXO_REGS_START)
        assert_int_equal(JOB(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP), 0);
    acts[0].a[0] = handle(1, 5);
    acts[1].a[0] = handle(0, B_SLOT);
}

static const char *stopped_or_started(void) {
    WANT(quick_job(exo_call_env_regs, handle(0, B_SLOT), EXO_REGS_STOP, 0));
    WANT(state_of(B) == EXO_STATE_STOPPED);
    return they_still_work();
}

/* A START that is refused changes nothing. */
static void make_start_call(void) { make_call_regs(); }

static const char *depth_is_right(void) {
    if (the_state(A) == EXO_STATE_CALLING) WANT(env_at(B)->depth == EXO_CHAIN_MAX - 1);
    return they_still_work();
}

#define PCT_CALL .first = {CALLS(1, pct_call), {11, 12, 13, 14, 15, 16}}
#define PCT_REPLY .first = {CALLS(1, pct_reply), {51, 52, 53, 54, 55, 56}}
#define SECOND(call, ...) .second = {CALLS(0, call), {__VA_ARGS__}}

const struct scene scenes[] = {
    {"call, server killed", make_call_kill, PCT_CALL, SECOND(cap_drop, 0), server_is_killed},
    {"call, server stopped", make_call_regs, PCT_CALL, SECOND(env_regs, B_SLOT, EXO_REGS_STOP),
     server_is_stopped},
    {"call, client stopped", make_call_regs, PCT_CALL, SECOND(env_regs, A_SLOT, EXO_REGS_STOP),
     client_is_stopped},
    {"call, client killed", make_call_kill_client, PCT_CALL, SECOND(cap_drop, 0), client_is_killed},
    {"call, name cut", make_call_cut, PCT_CALL, SECOND(cap_revoke, 0), name_is_cut},
    {"call, call", make_call_call, PCT_CALL, SECOND(pct_call, 1, 2, 3, 4, 5, 6), one_call_is_busy},
    {"call, unmap", make_call_unmap, PCT_CALL, SECOND(page_unmap, 0), both_work},
    {"call, a space of that identifier", make_call_create, PCT_CALL, SECOND(env_create, 0),
     both_work},
    {"reply, server killed", make_reply_kill, PCT_REPLY, SECOND(cap_drop, 0),
     server_is_killed_in_call},
    {"reply, server stopped", make_reply_regs, PCT_REPLY, SECOND(env_regs, B_SLOT, EXO_REGS_STOP),
     server_is_stopped},
    {"reply, client stopped", make_reply_regs, PCT_REPLY, SECOND(env_regs, A_SLOT, EXO_REGS_STOP),
     client_is_stopped},
    {"reply, client killed", make_reply_kill_client, PCT_REPLY, SECOND(cap_drop, 0),
     client_is_killed},
    {"reply, name cut", make_reply_cut, PCT_REPLY, SECOND(cap_revoke, 0), name_is_cut},
    {"reply, call", make_reply_call, PCT_REPLY, SECOND(pct_call, 1, 2, 3, 4, 5, 6), NULL},
    {"reply, client reaped, first step", make_reply_reap, PCT_REPLY, SECOND(env_reap, 0),
     client_is_killed},
    {"reply, client reaped, second step", make_reply_reap, PCT_REPLY, SECOND(env_reap, 1),
     client_is_killed},
    {"reply, client reaped, last steps", make_reply_reap, PCT_REPLY, SECOND(env_reap, 8), NULL},
    {"dead server told, reaped", make_interrupt_reap, .first = {.hart = 1, .number = NO_CALL},
     SECOND(env_reap, 0), server_is_killed_in_call},
    {"reply, deadline", make_at_deadline, .first = {CALLS(2, pct_reply), {1}},
     .second = {.hart = 1, .number = NO_CALL}, answered_or_late},
    {"exit, deadline", make_at_deadline, .first = {CALLS(2, exit), {0}},
     .second = {.hart = 1, .number = NO_CALL}, ended_or_late},
    {"deadline, server killed", make_at_deadline_kill, .first = {.hart = 1, .number = NO_CALL},
     SECOND(cap_drop, 0), ended_or_late},
    {"deadline, client stopped", make_at_deadline_stop, .first = {.hart = 1, .number = NO_CALL},
     SECOND(env_regs, 0, EXO_REGS_STOP), client_is_stopped},
    {"wait, notify", make_wait, .first = {CALLS(2, wait), {0}},
     .second = {CALLS(1, notify), {WAKEABLE, 1}}, event_is_not_lost},
    {"wait, stop", make_wait, .first = {CALLS(2, wait), {0}},
     SECOND(env_regs, B_SLOT, EXO_REGS_STOP), server_is_stopped},
    {"wait, kill", make_wait_kill, .first = {CALLS(2, wait), {0}}, SECOND(cap_drop, 0), killed},
    {"wait until, its row unbound", make_wait_unbind, .first = {CALLS(2, wait), {0}},
     SECOND(slice_bind, 0), sleeper_wakes_in_time},
    {"wait until, a row bound", make_wait_bind, .first = {CALLS(1, wait), {0}},
     SECOND(slice_bind, 0), sleeper_wakes_in_time},
    {"a hart falls asleep, a deadline becomes its own", make_idle_wait,
     .first = {CALLS(2, wait), {0}}, .second = {CALLS(1, wait), {0}}, sleeper_wakes_in_time},
    {"start, call", make_start_call, PCT_CALL, SECOND(env_regs, B_SLOT, EXO_REGS_START),
     depth_is_right},
    {"notify, notify", make_notify, .first = {CALLS(1, notify), {0}}, SECOND(notify, B_SLOT, 1),
     NULL},
    {"notify, stop", make_notify, .first = {CALLS(1, notify), {0}},
     SECOND(env_regs, B_SLOT, EXO_REGS_STOP), event_or_stop},
    {"notify, deadline", make_notify_deadline, .first = {CALLS(1, notify), {0}},
     .second = {.hart = 2, .number = NO_CALL}, event_is_not_lost},
    {"yield, a row takes it", make_yield_pick, .first = {CALLS(1, yield), {0}},
     .second = {.hart = 2, .number = NO_CALL}, yielded_or_not},
    {"yield, stop", make_yield, .first = {CALLS(1, yield), {0}},
     SECOND(env_regs, B_SLOT, EXO_REGS_STOP), stopped_or_started},
    {"yield, kill", make_yield, .first = {CALLS(1, yield), {0}}, SECOND(cap_drop, 0),
     dead_or_ready},
    {"interrupt, unbind", make_interrupt_unbind, .first = {.hart = 2, .number = NO_CALL},
     SECOND(slice_bind, 0), NULL},
    {"a row taken, unbind", make_pick_unbind, .first = {.hart = 2, .number = NO_CALL},
     SECOND(slice_bind, 0), NULL},
    {"slice end in a call, kill", make_preempt, .first = {.hart = 1, .number = NO_CALL},
     SECOND(cap_drop, 0), server_is_killed_at_slice_end},
    {"slice end in a call, stop", make_preempt, .first = {.hart = 1, .number = NO_CALL},
     SECOND(env_regs, B_SLOT, EXO_REGS_STOP), server_is_stopped},
    {"slice end in a call, client stopped", make_preempt, .first = {.hart = 1, .number = NO_CALL},
     SECOND(env_regs, A_SLOT, EXO_REGS_STOP), client_is_stopped},
    {"slice end in a call, its own row", make_preempt, .first = {.hart = 1, .number = NO_CALL},
     .second = {.hart = 2, .number = NO_CALL}, preempted},
    {"exit in a call, client stopped", make_exit, .first = {CALLS(1, exit), {0}},
     SECOND(env_regs, A_SLOT, EXO_REGS_STOP), exit_broke_it},
    {"exit in a call, client killed", make_exit, .first = {CALLS(1, exit), {0}},
     SECOND(cap_drop, 0), both_are_dead},
    {"stop, stop", make_regs_regs, .first = {CALLS(1, env_regs), {0, EXO_REGS_STOP}},
     SECOND(env_regs, 0, EXO_REGS_STOP), stopped_or_started},
    {"start, stop", make_regs_regs, .first = {CALLS(1, env_regs), {0, EXO_REGS_START}},
     SECOND(env_regs, 0, EXO_REGS_STOP), stopped_or_started},
    {"start, start", make_regs_regs, .first = {CALLS(1, env_regs), {0, EXO_REGS_START}},
     SECOND(env_regs, 0, EXO_REGS_START), NULL},
    {"start, registers", make_regs_regs, .first = {CALLS(1, env_regs), {0, EXO_REGS_START}},
     SECOND(env_regs, 0, EXO_REGS_SET), NULL},
};

#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

static void explore(void **state) {
    const struct scene *scene = *state;
    runs_done = 0;
    for (unsigned lead = 0; lead < 2; lead++)
        for (unsigned how = 0; how <= (FAST | AFTER); how++) explore_order(scene, lead, how);
    print_message("%lu runs\n", runs_done);
}

/* With arguments: one scene, or one run of it, by the numbers in brackets that a failure tells. */
int main(int count, char **arguments) {
    struct CMUnitTest tests[SCENES];
    for (unsigned i = 0; i < SCENES; i++)
        tests[i] =
            (struct CMUnitTest){scenes[i].name, explore, NULL, NULL, (void *)(uintptr_t)&scenes[i]};
    if (count == 2)
        return cmocka_run_group_tests_name(
            "interleave", *(struct CMUnitTest(*)[1]) & tests[atoi(arguments[1])], NULL, NULL);
    if (count == 6) {
        run(&scenes[atoi(arguments[1])], (unsigned)atoi(arguments[2]) - 1,
            (unsigned)atoi(arguments[5]), (uint64_t)atol(arguments[3]),
            (uint64_t)atol(arguments[4]));
        return 0;
    }
    return cmocka_run_group_tests_name("interleave", tests, NULL, NULL);
}
