/* SPDX-License-Identifier: MIT */
/* Unit tests of events, sleep and deadlines (exo/event.c), and of announced revocations (exo/cut.c). */
#include "fixture.h"

#define CHILD (1ul << EXO_EVENT_CHILD)
#define REVOKE (1ul << EXO_EVENT_REVOKE)
#define WAITS(frame) assert_int_equal(state_of(frame), EXO_STATE_WAIT)

static uint64_t events_of(uint64_t frame) { return env_at(frame)->events; }

/* What a call that came back answers. */
static int64_t wait_here(uint64_t hart, uint64_t mask, uint64_t deadline) {
    return CALL(hart, wait, mask, deadline).value;
}

/* Time passes, and no hart looks before it has passed. */
static void jump(uint64_t ticks) {
    host_time += ticks;
    settle();
}

/* ---- wait ---- */

static void wait_takes_what_is_there(void **state) {
    (void)state;
    people(1);
    GOOD(1, notify, EXO_SELF, 0xff);
    assert_int_equal(wait_here(1, 0x0f, EXO_NEVER), 0x0f);
    assert_int_equal(events_of(A), 0xf0);
    assert_int_equal(wait_here(1, ~0ul, 0), 0xf0);
    assert_int_equal(events_of(A), 0);
    assert_int_equal(runs(1), A);
}

static void a_passed_deadline_is_a_poll(void **state) {
    (void)state;
    people(1);
    assert_int_equal(wait_here(1, ~0ul, 0), 0);
    assert_int_equal(wait_here(1, ~0ul, host_time - 1), 0);
    assert_int_equal(wait_here(1, ~0ul, host_time), 0);
    assert_int_equal(runs(1), A);
    GOOD(1, notify, EXO_SELF, 6);
    assert_int_equal(wait_here(1, 1, 0), 0);
    assert_int_equal(wait_here(1, 2, 0), 2);
    assert_int_equal(events_of(A), 4);
}

static void a_notify_wakes(void **state) {
    (void)state;
    people(1);
    wait_here(1, 0x30, EXO_NEVER);
    WAITS(A);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    GOOD(0, notify, handle(0, A_SLOT), 0x0f); /* none that it waits for */
    WAITS(A);
    assert_false(host_models[1].ipi);
    GOOD(0, notify, handle(0, A_SLOT), 0x1f);
    assert_int_equal(state_of(A), EXO_STATE_READY);
    assert_true(host_models[1].ipi);
    /* What comes before it runs is not added. */
    GOOD(0, notify, handle(0, A_SLOT), 0x20);
    settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(word(1, 0), 0x10);
    assert_int_equal(word(1, 1), 0);
    assert_int_equal(events_of(A), 0x2f);
}

static void a_deadline_ends_it(void **state) {
    (void)state;
    people(1);
    uint64_t due = host_time + 12345;
    wait_here(1, ~0ul, due);
    advance(12344);
    WAITS(A);
    assert_int_equal(host_models[1].timer, due);
    advance(1);
    assert_int_equal(runs(1), A);
    assert_int_equal(word(1, 0), 0);
    /* Far ones, and one that never comes. */
    wait_here(1, ~0ul, EXO_NEVER - 1);
    jump(1ul << 50);
    WAITS(A);
    GOOD(0, notify, handle(0, A_SLOT), 1);
    settle();
    wait_here(1, ~0ul, EXO_NEVER);
    assert_true(host_models[1].timer >= EXO_NEVER - 1);
    jump(1ul << 50);
    WAITS(A);
    assert_int_equal(env_at(A)->deadline, EXO_NEVER);
}

/* A deadline that was not needed wakes nobody later. */
static void a_deadline_is_of_one_wait(void **state) {
    (void)state;
    people(1);
    wait_here(1, 1, host_time + 5000);
    GOOD(0, notify, handle(0, A_SLOT), 1);
    settle();
    assert_int_equal(word(1, 0), 1);
    wait_here(1, 1, EXO_NEVER);
    advance(100000);
    WAITS(A);
}

static void a_wait_for_nothing_is_a_sleep(void **state) {
    (void)state;
    people(1);
    GOOD(1, notify, EXO_SELF, 7);
    wait_here(1, 0, host_time + 500);
    WAITS(A);
    GOOD(0, notify, handle(0, A_SLOT), ENV_EVENTS);
    WAITS(A);
    advance(500);
    assert_int_equal(word(1, 0), 0);
    assert_int_equal(events_of(A), ENV_EVENTS);
}

static void a_stop_ends_it_with_nothing(void **state) {
    (void)state;
    people(1);
    wait_here(1, 1, host_time + 5000);
    GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_STOP);
    assert_int_equal(state_of(A), EXO_STATE_STOPPED);
    GOOD(0, notify, handle(0, A_SLOT), 1);
    advance(10000);
    assert_int_equal(state_of(A), EXO_STATE_STOPPED);
    GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_START);
    settle();
    assert_int_equal(word(1, 0), 0);
    assert_int_equal(wait_here(1, 1, 0), 1);
}

static void a_kill_ends_it_for_good(void **state) {
    (void)state;
    people(1);
    wait_here(1, 1, host_time + 5000);
    assert_int_equal(JOB(0, cap_drop, handle(0, A_SLOT), A), 0);
    advance(10000);
    assert_int_equal(state_of(A), EXO_STATE_WAIT | EXO_FLAG_KILL);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

/* ---- whose deadline a hart watches ---- */

/* B sleeps on hart 2 with a row on hart 1 too, where A runs. */
static void sleeper_with_two_rows(uint64_t deadline) {
    people(2);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 1, handle(0, B_SLOT));
    wait_here(2, 1, deadline);
    WAITS(B);
}

static void a_deadline_moves_with_the_rows(void **state) {
    (void)state;
    sleeper_with_two_rows(host_time + 50000);
    assert_int_equal(host_models[2].timer, host_time + 50000);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    settle();
    advance(49999);
    WAITS(B);
    advance(1);
    assert_int_equal(state_of(B) & EXO_STATE_MASK, runs(1) == B ? EXO_STATE_RUN : EXO_STATE_READY);
    while (runs(1) != B) advance(info->row_ticks);
    assert_int_equal(word(1, 0), 0);
}

static void without_a_row_there_is_no_deadline(void **state) {
    (void)state;
    people(1);
    wait_here(1, 1, host_time + 50000);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    advance(100000);
    WAITS(A);
    /* It is looked at as soon as it has one. */
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS + 3, handle(0, A_SLOT));
    settle();
    assert_int_equal(runs(2), A);
    assert_int_equal(word(2, 0), 0);
}

/* It sleeps on a hart where it has no row, in the time of another. */
static void a_guest_is_watched_where_its_row_is(void **state) {
    (void)state;
    people(2);
    introduce(A_SLOT, B_SLOT, 3, EXO_ENV_CALL);
    GOOD(0, slice_bind, handle(0, 1), 5, handle(0, B_SLOT));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    settle();
    while (state_of(B) != EXO_STATE_READY) advance(info->row_ticks);
    CALL(1, yield, handle(1, 3));
    assert_int_equal(runs(1), B);
    wait_here(1, 1, host_time + 30000);
    WAITS(B);
    assert_int_equal(runs(1), A);
    settle();
    advance(30000);
    assert_int_not_equal(state_of(B), EXO_STATE_WAIT);
    /* The same with no row at all while it falls asleep. */
    while (runs(0) != B) advance(info->row_ticks);
    wait_here(0, 1, host_time + 30000);
    settle();
    assert_int_equal(runs(0), info->init_env);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 5, EXO_UNBIND), 0);
    advance(60000);
    WAITS(B);
}

/* One more than a hart wakes at one look. */
static void many_sleepers_are_due_at_once(void **state) {
    (void)state;
    crowd(9);
    for (unsigned i = 0; i < 9; i++)
        for (unsigned row = 0; row < 3; row++)
            GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS + 3 * i + row, handle(0, CROWD_SLOT + i));
    settle();
    for (unsigned i = 0; i < 9; i++) wait_here(1, 1, 100000);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    assert_int_equal(host_models[1].timer, 100000);
    advance(100000 - host_time);
    for (unsigned i = 0; i < 9; i++) assert_int_not_equal(state_of(CROWD(i)), EXO_STATE_WAIT);
    for (unsigned i = 0; i < 9; i++) wait_here(1, 1, host_time + 1000 * (9 - i));
    for (unsigned i = 0; i < 9; i++) {
        advance(1000);
        assert_int_equal(host_models[1].state, HOST_PROGRAM);
        wait_here(1, 1, EXO_NEVER);
        assert_int_equal(host_models[1].state, HOST_IDLE);
    }
}

/* ---- notify ---- */

static void notify_refuses(void **state) {
    (void)state;
    people(2);
    uint64_t name = handle(0, A_SLOT);
    GOOD(0, cap_derive, name, place(6), A, 1, EXO_ENV_CALL | EXO_ENV_CONTROL, 0, ENV_EVENTS);
    GOOD(0, cap_derive, name, place(7), A, 1, EXO_ENV_NOTIFY, 0, 0xf0);
    REFUSED(SLOT, 0, notify, name + (1ul << 32), 1);
    REFUSED(SLOT, 0, notify, place(8), 1);
    REFUSED(SLOT, 0, notify, EXO_UNBIND, 1);
    REFUSED(SLOT, 0, notify, ~0ul, 1);
    REFUSED(CLASS, 0, notify, handle(0, 0), 1);
    REFUSED(CLASS, 0, notify, handle(0, 1), 0);
    REFUSED(RIGHTS, 0, notify, handle(0, 6), 1);
    REFUSED(RIGHTS, 0, notify, handle(0, 7), 1);
    REFUSED(RIGHTS, 0, notify, handle(0, 7), 0x1f0);
    REFUSED(RIGHTS, 0, notify, name, CHILD);
    REFUSED(RIGHTS, 0, notify, name, ~0ul);
    REFUSED(RIGHTS, 0, notify, EXO_SELF, REVOKE);
    REFUSED(RIGHTS, 0, notify, EXO_SELF, ~0ul);
    GOOD(0, notify, name, 0);
    GOOD(0, notify, handle(0, 7), 0);
    GOOD(0, notify, handle(0, 7), 0xf0);
    GOOD(0, notify, name, ENV_EVENTS);
    assert_int_equal(events_of(A), ENV_EVENTS);
    assert_int_equal(JOB(0, cap_revoke, name, A, 0), 0);
    REFUSED(SLOT, 0, notify, handle(0, 6), 1);
    CALL(1, exit, 0);
    GOOD(0, notify, name, 1); /* what dies takes them as long as it has a name */
    assert_int_equal(JOB(0, env_reap, A), 0);
    REFUSED(SLOT, 0, notify, name, 1);
}

static void one_that_does_not_wait_is_not_disturbed(void **state) {
    (void)state;
    people(2);
    GOOD(0, notify, handle(0, A_SLOT), 1);
    assert_false(host_models[1].ipi);
    assert_int_equal(state_of(A), EXO_STATE_RUN);
    assert_int_equal(JOB(0, env_regs, handle(0, A_SLOT), EXO_REGS_STOP), 0);
    GOOD(0, notify, handle(0, A_SLOT), 2);
    assert_int_equal(state_of(A), EXO_STATE_STOPPED);
    CALL(2, pct_reply, 0, 0, 0, 0, 0, 0);
    GOOD(0, notify, handle(0, B_SLOT), 4);
    assert_int_equal(state_of(B), EXO_STATE_ACCEPT);
    assert_int_equal(events_of(B), 4);
}

/* The woken owner of the notifier's own row runs at once, and gives it back when it sleeps. */
static void the_owner_of_the_row_runs_at_once(void **state) {
    (void)state;
    crowd(2);
    for (unsigned i = 0; i < 2; i++)
        GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS + i, handle(0, CROWD_SLOT + i));
    settle();
    introduce(CROWD_SLOT + 1, CROWD_SLOT, 0, EXO_ENV_NOTIFY);
    wait_here(1, 3, EXO_NEVER);
    assert_int_equal(runs(1), CROWD(1));
    uint64_t end = harts[1]->end;
    for (unsigned i = 0; i < 3; i++) {
        CALL(1, notify, handle(1, 0), 2);
        assert_int_equal(runs(1), CROWD(0));
        assert_int_equal(word(1, 0), 2);
        assert_int_equal(state_of(CROWD(1)), EXO_STATE_READY);
        assert_int_equal(harts[1]->end, end);
        wait_here(1, 3, EXO_NEVER);
        assert_int_equal(runs(1), CROWD(1));
        assert_int_equal(word(1, 0), 0); /* what its notify answers */
        advance(100);
    }
    /* In a row of its own it goes on. */
    advance(info->row_ticks);
    assert_int_equal(runs(1), CROWD(1));
    GOOD(1, notify, handle(1, 0), 2);
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(state_of(CROWD(0)), EXO_STATE_READY);
}

static void an_urgent_one_runs_at_once(void **state) {
    (void)state;
    crowd(2);
    GOOD(0, slice_bind, handle(0, PRESSING), URGENT_ROW, handle(0, CROWD_SLOT));
    GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS, handle(0, CROWD_SLOT + 1));
    settle();
    introduce(CROWD_SLOT + 1, CROWD_SLOT, 0, EXO_ENV_NOTIFY);
    while (runs(1) != CROWD(0)) advance(info->row_ticks);
    advance(1000);
    wait_here(1, 1, EXO_NEVER);
    while (harts[1]->running != slice_row(EXO_ROWS) || harts[1]->fills) advance(info->row_ticks);
    CALL(1, notify, handle(1, 0), 1);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(harts[1]->until, host_time + info->row_ticks - 1000);
    advance(info->row_ticks - 1000);
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(word(1, 0), 0);
}

/* ---- events of the kernel ---- */

/* A holds B's first capability. */
static void a_parent_and_its_child(void) {
    people(2);
    GOOD(0, cap_grant, handle(0, B_SLOT), handle(0, A_SLOT), place(4), 0, 0);
    wait_here(1, CHILD, EXO_NEVER);
}

static void a_childs_exit_is_told(void **state) {
    (void)state;
    a_parent_and_its_child();
    CALL(2, exit, 0);
    settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(word(1, 0), CHILD);
    assert_int_equal(events_of(info->init_env), 0);
    assert_int_equal(JOB(1, env_reap, B), 0);
}

static void a_childs_fault_is_told(void **state) {
    (void)state;
    a_parent_and_its_child();
    host_fault(2, 13, 0x123);
    settle();
    assert_int_equal(word(1, 0), CHILD);
    assert_int_equal(CALL(1, env_regs, handle(1, 4), EXO_REGS_STATE).value,
                     EXO_STATE_STOPPED | EXO_FLAG_FAULT);
    /* A stop is who stops its own affair. */
    GOOD(1, env_regs, handle(1, 4), EXO_REGS_START);
    settle();
    assert_int_equal(JOB(1, env_regs, handle(1, 4), EXO_REGS_STOP), 0);
    assert_int_equal(events_of(A), 0);
}

/* A made a child from frames that init takes back. */
static void a_childs_end_by_others_is_told(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(9), FREE, 8, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 9), place(15), FREE, 8, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 15), handle(0, A_SLOT), place(0), 0, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, FREE + 2, place(1));
    wait_here(1, CHILD, EXO_NEVER);
    struct result result = CALL(0, cap_revoke, handle(0, 9), FREE, 0);
    while (result.value == EXO_EAGAIN) result = CALL(0, cap_revoke, handle(0, 9), FREE, 0);
    assert_int_equal(result.value, EXO_EREAP);
    assert_int_equal(result.detail, FREE);
    settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(word(1, 0), CHILD);
}

static void ones_own_child_is_not_told(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, FREE + 2, place(1));
    assert_int_equal(JOB(1, cap_drop, handle(1, 1), FREE), 0);
    assert_int_equal(events_of(A), 0);
    assert_int_equal(JOB(1, env_reap, FREE), 0);
}

/* ---- an announced revocation ---- */

static void an_announced_revocation_is_told(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 16, ALL_RIGHTS, 4);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE + 8, 4, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_derive, handle(1, 0), place(2), FREE + 2, 3, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, B_SLOT), handle(0, A_SLOT), place(4), 0, 0);
    GOOD(1, cap_grant, handle(1, 1), handle(1, 4), place(0), 0, 0);
    uint64_t due = host_time + 5000;
    wait_here(1, REVOKE, EXO_NEVER);
    struct result result = {EXO_EAGAIN, 0};
    uint64_t steps = 0;
    do {
        result = CALL(0, cap_revoke, handle(0, 0), FREE + 8, due);
        assert_int_equal(result.value, EXO_EAGAIN);
        steps++;
    } while (!result.detail);
    assert_true(steps < 100);
    assert_int_equal(result.detail, due);
    settle();
    assert_int_equal(word(1, 0), REVOKE);
    assert_int_equal(events_of(B), REVOKE);
    assert_int_equal(slot(1, 0)->due, due);
    assert_int_equal(slot(1, 0)->from, FREE + 8);
    assert_int_equal(slot(2, 0)->due, due);
    assert_int_equal(slot(2, 0)->from, FREE + 8);
    assert_int_equal(slot(1, 2)->due, 0); /* it ends before */
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_LIVE);
    /* Nothing is taken before, and everything is usable. */
    tables(1, 0, FREE + 12);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 9, 1, EXO_PAGE_R);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 0), FREE + 8, due).value, EXO_EAGAIN);
    assert_int_equal(slot(1, 0)->count, 16);
    advance(5000);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), FREE + 8, due), 0);
    assert_int_equal(slot(1, 0)->count, 8);
    assert_int_equal(slot(1, 0)->due, 0);
    assert_int_equal(EXO_CAP_STATE(slot(2, 0)->word), EXO_SLOT_LOST);
}

/* Who gives it up in time has nothing taken. */
static void who_is_told_can_give_it_up(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 16, ALL_RIGHTS, 0);
    uint64_t due = host_time + 5000;
    while (!CALL(0, cap_revoke, handle(0, 0), FREE + 8, due).detail) {
    }
    assert_int_equal(JOB(1, cap_drop, handle(1, 0), slot(1, 0)->from), 0);
    assert_int_equal(slot(1, 0)->due, 0);
    advance(5000);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), FREE + 8, due), 0);
    assert_int_equal(slot(1, 0)->count, 8);
}

/* Bounded steps, whatever the tree: wide, and deep. */
static void a_large_tree_is_told_in_steps(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 64, ALL_RIGHTS, 0);
    for (uint64_t table = 1; table <= 4; table++) GOOD(1, caps_add, handle(1, 0), FREE + table - 1);
    uint64_t marked = 0, index = 33;
    for (; index < 4 * 32; index++)
        if (index % 32)
            GOOD(1, cap_derive, handle(1, 0), place(index), FREE + 10, 30, ALL_RIGHTS, 0, 0);
    for (uint64_t i = 0, parent = 40; i < 20; i++, parent = index++) {
        if (index % 32 == 0) index++;
        GOOD(1, cap_derive, handle(1, parent), place(index), FREE + 10, 30, ALL_RIGHTS, 0, 0);
    }
    struct result result = {EXO_EAGAIN, 0};
    unsigned steps = 0;
    for (; !result.detail; steps++) {
        uint64_t before = marked;
        result = CALL(0, cap_revoke, handle(0, 0), FREE + 30, host_time + 100);
        assert_int_equal(result.value, EXO_EAGAIN);
        marked = slot(1, 0)->due != 0;
        for (uint64_t i = 33; i < index; i++)
            if (i % 32) marked += slot(1, i)->due == host_time + 100;
        assert_true(marked - before <= 16);
        assert_true(steps < 200);
    }
    for (uint64_t i = 33; i < index; i++)
        if (i % 32) assert_int_equal(slot(1, i)->from, FREE + 30);
    assert_true(steps > 5);
    advance(100);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), FREE + 30, host_time), 0);
    assert_int_equal(slot(1, 0)->count, 30);
}

/* The tree may change between two steps; another revocation, or a cut, may come between. */
static void marking_goes_on_when_the_tree_changes(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 64, ALL_RIGHTS, 0);
    lend(B_SLOT, 0, FREE, 64, ALL_RIGHTS, 0);
    GOOD(1, caps_add, handle(1, 0), FREE);
    GOOD(1, caps_add, handle(1, 0), FREE + 1);
    for (uint64_t index = 33; index < 96; index++)
        if (index % 32)
            GOOD(1, cap_derive, handle(1, 0), place(index), FREE + 10, 30, ALL_RIGHTS, 0, 0);
    uint64_t due = host_time + 1000;
    assert_int_equal(CALL(0, cap_revoke, handle(0, 0), FREE + 30, due).detail, 0);
    for (uint64_t index = 33; index < 96; index += 3)
        if (index % 32) assert_int_equal(JOB(1, cap_drop, handle(1, index), FREE + 10), 0);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 0), FREE + 30, due).value, EXO_EAGAIN);
    /* One below revokes for itself, and the way through its slot is another's for a while. */
    CALL(1, cap_revoke, handle(1, 0), FREE + 35, due + 5);
    CALL(1, cap_revoke, handle(1, 0), FREE + 38, 0);
    unsigned steps = 0;
    while (!CALL(0, cap_revoke, handle(0, 0), FREE + 30, due).detail) assert_true(++steps < 200);
    assert_int_equal(slot(1, 0)->due, due);
    assert_int_equal(slot(2, 0)->due, due);
    assert_true(events_of(A) & events_of(B) & REVOKE);
    advance(1000);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), FREE + 30, due), 0);
    assert_int_equal(slot(1, 0)->count, 30);
    assert_int_equal(slot(2, 0)->count, 30);
}

static void rows_are_announced_too(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 1), place(9), EXO_ROWS + 8, 4, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 9), handle(0, A_SLOT), place(3), 0, 0);
    GOOD(1, slice_bind, handle(1, 3), EXO_ROWS + 11, EXO_SELF);
    uint64_t due = host_time + 100;
    while (!CALL(0, cap_revoke, handle(0, 1), EXO_ROWS + 10, due).detail) {
    }
    assert_int_equal(slot(1, 3)->due, due);
    assert_int_equal(wait_here(1, REVOKE, 0), REVOKE);
    assert_int_not_equal(slice_row(EXO_ROWS + 11)->env, 0);
    advance(100);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 1), EXO_ROWS + 10, due), 0);
    assert_int_equal(slice_row(EXO_ROWS + 11)->env, 0);
    assert_int_equal(slot(1, 3)->count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(wait_takes_what_is_there),
        CORE_TEST(a_passed_deadline_is_a_poll),
        CORE_TEST(a_notify_wakes),
        CORE_TEST(a_deadline_ends_it),
        CORE_TEST(a_deadline_is_of_one_wait),
        CORE_TEST(a_wait_for_nothing_is_a_sleep),
        CORE_TEST(a_stop_ends_it_with_nothing),
        CORE_TEST(a_kill_ends_it_for_good),
        CORE_TEST(a_deadline_moves_with_the_rows),
        CORE_TEST(without_a_row_there_is_no_deadline),
        CORE_TEST(a_guest_is_watched_where_its_row_is),
        CORE_TEST(many_sleepers_are_due_at_once),
        CORE_TEST(notify_refuses),
        CORE_TEST(one_that_does_not_wait_is_not_disturbed),
        BOTH_TESTS(the_owner_of_the_row_runs_at_once),
        BOTH_TESTS(an_urgent_one_runs_at_once),
        CORE_TEST(a_childs_exit_is_told),
        CORE_TEST(a_childs_fault_is_told),
        CORE_TEST(a_childs_end_by_others_is_told),
        CORE_TEST(ones_own_child_is_not_told),
        CORE_TEST(an_announced_revocation_is_told),
        CORE_TEST(who_is_told_can_give_it_up),
        CORE_TEST(a_large_tree_is_told_in_steps),
        CORE_TEST(marking_goes_on_when_the_tree_changes),
        CORE_TEST(rows_are_announced_too),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
