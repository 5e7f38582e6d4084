/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of protected control transfer (exo/pct.c): every answer, what
 * passes in registers, chains, deadlines, and the end of either side.
 *
 * Most have a server in state ACCEPT, B, which has slept since it ran on hart
 * 2, and a client, A, on hart 1, which holds CALL for it in slot 3.
 */
#include "fixture.h"

#define SERVER 3 /* A's slot of B */
#define IS(frame, ...) assert_int_equal(state_of(frame), __VA_ARGS__)

static uint64_t words_of(uint64_t seed, uint64_t i) { return seed * 0x9e3779b97f4a7c15 + i; }

static enum host_state call_words(uint64_t hart, uint64_t handle, uint64_t seed) {
    uint64_t a[7];
    for (uint64_t i = 0; i < 6; i++) a[i] = words_of(seed, i);
    a[6] = handle;
    call(hart, exo_call_pct_call, a, 7);
    return host_models[hart].state;
}

static enum host_state call_until(uint64_t hart, uint64_t handle, uint64_t deadline) {
    host_models[hart].registers[HOST_T1] = deadline;
    call(hart, exo_call_pct_call_until, (const uint64_t[]){1, 2, 3, 4, 5, 6, handle}, 7);
    return host_models[hart].state;
}

static enum host_state reply(uint64_t hart, uint64_t seed) {
    uint64_t a[6];
    for (uint64_t i = 0; i < 6; i++) a[i] = words_of(seed, i);
    call(hart, exo_call_pct_reply, a, 6);
    return host_models[hart].state;
}

/* The program on a hart has got these words, from or about that environment. */
static void has_words(uint64_t hart, uint64_t seed, uint64_t frame) {
    for (uint64_t i = 0; i < 6; i++) assert_int_equal(word(hart, i), words_of(seed, i));
    assert_int_equal(word(hart, 6), frame);
}

/* It has an error, and no words. */
static void has_error(uint64_t hart, int64_t error) {
    assert_int_equal((int64_t)word(hart, 0), error);
    for (uint64_t i = 1; i < 7; i++) assert_int_equal(word(hart, i), 0);
}

static void client_and_server(void) {
    people(2);
    introduce(A_SLOT, B_SLOT, SERVER, EXO_ENV_CALL);
    reply(2, 0);
    IS(B, EXO_STATE_ACCEPT);
    assert_int_equal(host_models[2].state, HOST_IDLE);
}

static void a_call_and_its_answer(void **state) {
    (void)state;
    client_and_server();
    uint64_t *registers = host_models[1].registers, end = harts[1]->end;
    for (uint64_t i = 0; i < 32; i++) registers[i] = 500 + i;
    for (unsigned turn = 0; turn < 5; turn++) {
        call_words(1, handle(1, SERVER), 10 + turn);
        assert_int_equal(runs(1), B); /* on this hart, in this slice */
        assert_int_equal(harts[1]->end, end);
        assert_ptr_equal(harts[1]->running, slice_row(EXO_ROWS));
        has_words(1, 10 + turn, A);
        IS(B, EXO_STATE_RUN | EXO_FLAG_INCALL);
        IS(A, EXO_STATE_CALLING);
        for (uint64_t i = 8; i < 28; i++)
            if (i < 10 || i > 17) assert_int_equal(registers[i], 0); /* nothing of the caller's */
        for (uint64_t i = 8; i < 28; i++)
            if (i < 10 || i > 17) registers[i] = 900 + i;
        reply(1, 20 + turn);
        assert_int_equal(runs(1), A);
        has_words(1, 20 + turn, A);
        IS(A, EXO_STATE_RUN);
        IS(B, EXO_STATE_ACCEPT);
        assert_int_equal(registers[2], 502);
        assert_int_equal(registers[4], 504);
        for (uint64_t i = 8; i < 28; i++)
            if (i < 10 || i > 17) assert_int_equal(registers[i], 500 + i);
        registers[0] = registers[1] = 501;
    }
}

static void a_server_keeps_its_stack(void **state) {
    (void)state;
    people(2);
    introduce(A_SLOT, B_SLOT, SERVER, EXO_ENV_CALL);
    host_models[2].registers[1] = 0x7001;
    host_models[2].registers[2] = 0x7002;
    host_models[2].registers[4] = 0x7004;
    reply(2, 0);
    call_words(1, handle(1, SERVER), 1);
    assert_int_equal(host_models[1].registers[0], 0x7001);
    assert_int_equal(host_models[1].registers[2], 0x7002);
    assert_int_equal(host_models[1].registers[4], 0x7004);
}

static void a_call_is_refused(uint64_t hart, uint64_t name, int64_t error) {
    uint64_t frame = runs(hart), states[] = {state_of(A), state_of(B)};
    for (unsigned until = 0; until < 2; until++) {
        if (until)
            call_until(hart, name, host_time + 1000);
        else
            call_words(hart, name, 7);
        assert_int_equal(runs(hart), frame);
        has_error(hart, error);
        assert_int_equal(state_of(A), states[0]);
        assert_int_equal(state_of(B), states[1]);
    }
}

static void bad_handles(void **state) {
    (void)state;
    client_and_server();
    introduce(A_SLOT, B_SLOT, 4, EXO_ENV_NOTIFY | EXO_ENV_CONTROL);
    lend(A_SLOT, 5, FREE, 4, ALL_RIGHTS, 0);
    uint64_t name = handle(1, SERVER);
    a_call_is_refused(1, name + (1ul << 32), EXO_ESLOT);
    a_call_is_refused(1, name - (1ul << 32), EXO_ESLOT);
    a_call_is_refused(1, EXO_SELF, EXO_ESLOT);
    a_call_is_refused(1, EXO_UNBIND, EXO_ESLOT);
    a_call_is_refused(1, place(9), EXO_ESLOT);
    a_call_is_refused(1, ~0ul, EXO_ESLOT);
    a_call_is_refused(1, name | 5ul << EXO_HANDLE_TABLE_SHIFT, EXO_ESLOT);
    a_call_is_refused(1, handle(1, 4), EXO_ERIGHTS);
    a_call_is_refused(1, handle(1, 5), EXO_ECLASS);
    a_call_is_refused(0, handle(0, 2), EXO_ECLASS);
    call_words(1, name, 3);
    assert_int_equal(runs(1), B);
}

/* Handles beyond the ENV frame's own slots are as good. */
static void a_far_handle(void **state) {
    (void)state;
    client_and_server();
    lend(A_SLOT, 5, FREE, 4, ALL_RIGHTS, 0);
    GOOD(1, caps_add, handle(1, 5), FREE);
    GOOD(1, cap_derive, handle(1, SERVER), place(40), B, 1, EXO_ENV_CALL, 0, 0);
    call_words(1, handle(1, 40), 3);
    has_words(1, 3, A);
    reply(1, 4);
    has_words(1, 4, A);
}

static void who_does_not_accept_is_busy(void **state) {
    (void)state;
    people(2);
    introduce(A_SLOT, B_SLOT, SERVER, EXO_ENV_CALL);
    uint64_t name = handle(1, SERVER);
    a_call_is_refused(1, name, EXO_EBUSY); /* it runs */
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    a_call_is_refused(1, name, EXO_EBUSY); /* READY */
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, B_SLOT));
    settle();
    CALL(2, wait, 1, EXO_NEVER);
    a_call_is_refused(1, name, EXO_EBUSY); /* it waits */
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP);
    a_call_is_refused(1, name, EXO_ESTATE);
    assert_int_equal(JOB(0, cap_drop, handle(0, B_SLOT), B), 0);
    a_call_is_refused(1, name, EXO_ESLOT); /* the cut takes A's too */
}

static void who_serves_another_is_busy(void **state) {
    (void)state;
    client_and_server();
    GOOD(0, cap_derive, handle(0, B_SLOT), place(9), B, 1, EXO_ENV_CALL, 0, 0);
    call_words(1, handle(1, SERVER), 1);
    assert_int_equal(runs(1), B);
    a_call_is_refused(0, handle(0, 9), EXO_EBUSY);
    CALL(1, wait, 1, EXO_NEVER);
    IS(B, EXO_STATE_WAIT | EXO_FLAG_INCALL);
    a_call_is_refused(0, handle(0, 9), EXO_EBUSY);
    assert_int_equal(host_models[1].state, HOST_IDLE); /* the whole chain sleeps */
    GOOD(0, notify, handle(0, B_SLOT), 1);
    settle();
    assert_int_equal(runs(1), B);
    reply(1, 2);
    has_words(1, 2, A);
    call_words(0, handle(0, 9), 5);
    assert_int_equal(runs(0), B);
    has_words(0, 5, info->init_env);
}

static void who_dies_is_not_called(void **state) {
    (void)state;
    client_and_server();
    /* Marked, with its names not yet cut. */
    arch_hart_set(harts[0]);
    env_kill(env_at(B));
    a_call_is_refused(1, handle(1, SERVER), EXO_EDYING);
    assert_int_equal(JOB(0, env_reap, B), 0);
    a_call_is_refused(1, handle(1, SERVER), EXO_ESLOT);
}

/* ---- chains ---- */

/* CROWD(0) to CROWD(count - 1), each of which may call the next, all but the first accept; it runs on hart 1. */
static void chain(unsigned count) {
    crowd(count);
    for (unsigned i = count; i-- > 0;) {
        GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS, handle(0, CROWD_SLOT + i));
        settle();
        assert_int_equal(runs(1), CROWD(i));
        if (i + 1 < count) {
            GOOD(0, cap_derive, handle(0, CROWD_SLOT + i + 1), place(5), CROWD(i + 1), 1,
                 EXO_ENV_CALL, 0, 0);
            GOOD(0, cap_grant, handle(0, 5), handle(0, CROWD_SLOT + i), place(0), 0, 0);
        }
        if (i == 0) break;
        reply(1, 0);
        IS(CROWD(i), EXO_STATE_ACCEPT);
        GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS, EXO_UNBIND);
        settle();
    }
}

static void a_chain_has_at_most_eight_calls(void **state) {
    (void)state;
    chain(9);
    /* The ninth would be its own chain's end, the one behind it a tenth environment. */
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, 4));
    GOOD(0, env_regs, handle(0, 4), EXO_REGS_START);
    settle();
    reply(2, 0);
    GOOD(0, cap_grant, handle(0, 4), handle(0, CROWD_SLOT + 8), place(0), 0, 0);
    for (uint64_t i = 0; i < 8; i++) {
        call_words(1, handle(1, 0), i);
        assert_int_equal(runs(1), CROWD(i + 1));
        has_words(1, i, CROWD(i));
    }
    call_words(1, handle(1, 0), 1);
    has_error(1, EXO_EDEPTH);
    assert_int_equal(runs(1), CROWD(8));
    IS(FREE, EXO_STATE_ACCEPT);
    /* A thread of the same row at any time: it is the first one's. */
    assert_ptr_equal(harts[1]->running, slice_row(EXO_ROWS));
    for (uint64_t i = 8; i > 0; i--) {
        reply(1, 100 + i);
        assert_int_equal(runs(1), CROWD(i - 1));
        has_words(1, 100 + i, CROWD(i - 1));
    }
    /* Each of these is at the beginning of a chain again. */
    for (uint64_t i = 0; i < 8; i++) call_words(1, handle(1, 0), i);
    assert_int_equal(runs(1), CROWD(8));
}

static void nobody_is_twice_in_a_chain(void **state) {
    (void)state;
    chain(3);
    introduce(CROWD_SLOT, CROWD_SLOT, 1, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 1, CROWD_SLOT, 1, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 2, CROWD_SLOT, 1, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 2, CROWD_SLOT + 1, 2, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 2, CROWD_SLOT + 2, 3, EXO_ENV_CALL);
    call_words(1, handle(1, 1), 1);
    has_error(1, EXO_ELOOP); /* itself */
    call_words(1, handle(1, 0), 1);
    call_words(1, handle(1, 1), 1);
    has_error(1, EXO_ELOOP);
    call_words(1, handle(1, 0), 1);
    assert_int_equal(runs(1), CROWD(2));
    for (unsigned i = 1; i <= 3; i++) {
        call_words(1, handle(1, i), 1);
        has_error(1, EXO_ELOOP);
    }
    reply(1, 1);
    assert_int_equal(runs(1), CROWD(1));
}

/* In the whole of a chain of eight the one asked is a member, not too deep. */
static void a_loop_is_told_at_any_depth(void **state) {
    (void)state;
    chain(9);
    GOOD(0, cap_derive, handle(0, CROWD_SLOT), place(5), CROWD(0), 1, EXO_ENV_CALL, 0, 0);
    GOOD(0, cap_grant, handle(0, 5), handle(0, CROWD_SLOT + 8), place(1), 0, 0);
    for (uint64_t i = 0; i < 8; i++) call_words(1, handle(1, 0), i);
    call_words(1, handle(1, 1), 1);
    has_error(1, EXO_ELOOP);
}

/* ---- whose time, and on which hart ---- */

static void a_chain_runs_in_the_callers_row(void **state) {
    (void)state;
    chain(2);
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS + 1, handle(0, 4));
    GOOD(0, env_regs, handle(0, 4), EXO_REGS_START);
    uint64_t before = slice_row(EXO_ROWS)->time;
    call_words(1, handle(1, 0), 1);
    uint64_t end = harts[1]->end;
    advance(end - host_time - 1);
    assert_int_equal(runs(1), CROWD(1));
    advance(1);
    assert_int_equal(runs(1), FREE);
    IS(CROWD(1), EXO_STATE_READY | EXO_FLAG_INCALL);
    IS(CROWD(0), EXO_STATE_CALLING);
    advance(info->row_ticks);
    assert_int_equal(runs(1), CROWD(1)); /* the end of the chain, by the row of its beginning */
    assert_true(slice_row(EXO_ROWS)->time > before);
    reply(1, 9);
    assert_int_equal(runs(1), CROWD(0));
    has_words(1, 9, CROWD(0));
}

static void an_answer_may_come_on_another_hart(void **state) {
    (void)state;
    client_and_server();
    call_words(1, handle(1, SERVER), 1);
    /* B has a row on hart 2 itself; hart 1 has no time for it any more. */
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    settle();
    assert_int_equal(runs(1), 0);
    assert_int_equal(runs(2), B);
    IS(B, EXO_STATE_RUN | EXO_FLAG_INCALL);
    reply(2, 6);
    assert_int_equal(runs(2), A); /* in B's time, to its end */
    has_words(2, 6, A);
    CALL(2, wait, 1, EXO_NEVER);
    IS(A, EXO_STATE_WAIT);
}

static void who_waits_can_help_a_busy_server(void **state) {
    (void)state;
    client_and_server();
    introduce(A_SLOT, B_SLOT, 4, EXO_ENV_CALL);
    GOOD(0, cap_derive, handle(0, B_SLOT), place(9), B, 1, EXO_ENV_CALL, 0, 0);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    call_words(1, handle(1, SERVER), 1);
    /* The client's row goes while its server works for it. */
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    settle();
    IS(B, EXO_STATE_READY | EXO_FLAG_INCALL);
    a_call_is_refused(0, handle(0, 9), EXO_EBUSY);
    CALL(0, yield, handle(0, 9));
    assert_int_equal(runs(0), B); /* by init's time */
    reply(0, 3);
    assert_int_equal(runs(0), A);
    has_words(0, 3, A);
    CALL(0, wait, 1, EXO_NEVER);
    assert_int_equal(runs(0), info->init_env); /* the rest is its own */
    call_words(0, handle(0, 9), 1);
    has_words(0, 1, info->init_env);
}

static void a_yield_to_who_calls_goes_to_the_end_of_its_chain(void **state) {
    (void)state;
    chain(3);
    call_words(1, handle(1, 0), 1);
    call_words(1, handle(1, 0), 2);
    assert_int_equal(runs(1), CROWD(2));
    GOOD(0, cap_derive, handle(0, CROWD_SLOT), place(5), CROWD(0), 1, EXO_ENV_CALL, 0, 0);
    assert_int_equal(CALL(0, yield, handle(0, 5)).value, EXO_ESTATE); /* it runs */
    assert_int_equal(JOB(0, slice_bind, handle(0, CALM), EXO_ROWS, EXO_UNBIND), 0);
    settle();
    CALL(0, yield, handle(0, 5));
    assert_int_equal(runs(0), CROWD(2));
    CALL(0, wait, 1, EXO_NEVER);
    assert_int_equal(runs(0), info->init_env);
    assert_int_equal(CALL(0, yield, handle(0, 5)).value, EXO_ESTATE); /* it sleeps */
}

/* The one at the end sleeps: who wakes it tells the hart whose row its chain runs in. */
static void a_sleeper_in_a_call_is_woken_by_its_callers_row(void **state) {
    (void)state;
    chain(3);
    call_words(1, handle(1, 0), 1);
    call_words(1, handle(1, 0), 2);
    CALL(1, wait, 1, EXO_NEVER);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    GOOD(0, notify, handle(0, CROWD_SLOT + 2), 1);
    assert_true(host_models[1].ipi);
    settle();
    assert_int_equal(runs(1), CROWD(2));
    assert_int_equal(word(1, 0), 1);
}

/* ---- deadlines ---- */

static void a_deadline_breaks_the_call_only(void **state) {
    (void)state;
    client_and_server();
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 1, handle(0, B_SLOT));
    call_until(1, handle(1, SERVER), host_time + 3000);
    assert_int_equal(runs(1), B);
    for (uint64_t i = 0; i < 6; i++) assert_int_equal(word(1, i), i + 1);
    advance(2999);
    IS(A, EXO_STATE_CALLING);
    assert_int_equal(runs(1), B);
    advance(1);
    assert_int_equal(runs(1), A); /* its row is the current one */
    has_error(1, EXO_ETIMEOUT);
    assert_true(state_of(B) & EXO_FLAG_INCALL); /* it goes on */
    a_call_is_refused(1, handle(1, SERVER), EXO_EBUSY);
    settle();
    while (runs(2) != B && runs(1) != B) advance(info->row_ticks);
    uint64_t hart = runs(1) == B ? 1 : 2;
    reply(hart, 5); /* nobody wants it */
    IS(B, EXO_STATE_ACCEPT);
    settle();
    while (runs(1) != A) advance(info->row_ticks);
    call_words(1, handle(1, SERVER), 8);
    has_words(1, 8, A);
    reply(1, 9);
    has_words(1, 9, A);
}

static void a_call_in_time_has_no_deadline_later(void **state) {
    (void)state;
    client_and_server();
    call_until(1, handle(1, SERVER), host_time + 3000);
    reply(1, 5);
    has_words(1, 5, A);
    call_words(1, handle(1, SERVER), 6);
    advance(9000);
    IS(A, EXO_STATE_CALLING);
    assert_int_equal(runs(1), B);
}

static void a_passed_deadline_ends_the_call_soon(void **state) {
    (void)state;
    client_and_server();
    call_until(1, handle(1, SERVER), 0);
    assert_int_equal(runs(1), B);
    settle();
    assert_int_equal(runs(1), A);
    has_error(1, EXO_ETIMEOUT);
    call_until(1, handle(1, SERVER), host_time);
    settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(runs(2), B);
    IS(B, EXO_STATE_RUN | EXO_FLAG_INCALL);
}

static void a_deadline_of_a_sleeping_chain(void **state) {
    (void)state;
    client_and_server();
    call_until(1, handle(1, SERVER), host_time + 70000);
    CALL(1, wait, 1, EXO_NEVER);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    advance(70000);
    assert_int_equal(runs(1), A);
    has_error(1, EXO_ETIMEOUT);
    IS(B, EXO_STATE_WAIT | EXO_FLAG_INCALL);
    GOOD(0, notify, handle(0, B_SLOT), 1);
    settle();
    assert_int_equal(runs(2), B);
    reply(2, 1);
    IS(B, EXO_STATE_ACCEPT);
}

/* A guest in another's time: its own row's hart watches. */
static void a_deadline_is_watched_where_the_row_is(void **state) {
    (void)state;
    client_and_server();
    GOOD(0, cap_derive, handle(0, A_SLOT), place(9), A, 1, EXO_ENV_CALL, 0, 0);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS + 1, handle(0, A_SLOT));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    settle();
    assert_int_equal(runs(2), A);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS + 1, EXO_UNBIND), 0);
    settle();
    CALL(0, yield, handle(0, 9));
    assert_int_equal(runs(0), A);
    call_until(0, handle(0, SERVER), host_time + 30000);
    CALL(0, wait, 1, EXO_NEVER);
    assert_int_equal(runs(0), info->init_env);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 7, handle(0, A_SLOT));
    settle();
    advance(30000);
    assert_int_equal(runs(1), A);
    has_error(1, EXO_ETIMEOUT);
}

/* ---- the end of either side ---- */

/* Where a server can be when something happens to it. */
enum { RUNNING, PREEMPTED, WAITING, CALLED_ON, SERVER_PLACES };

/*
 * A has called B, which is at one of these places; C, the third in the chain, is
 * CROWD(0).  init's slot 9 names B with CALL.
 */
static uint64_t low_bits; /* of the handle through which A calls: they name nothing */

static void served(unsigned where) {
    people(2);
    introduce(A_SLOT, B_SLOT, SERVER, EXO_ENV_CALL);
    crowd(1);
    GOOD(0, slice_bind, handle(0, CALM), EXO_ROWS + 1, handle(0, CROWD_SLOT));
    settle();
    while (runs(1) != CROWD(0)) advance(info->row_ticks);
    reply(1, 0);
    settle();
    introduce(B_SLOT, CROWD_SLOT, 0, EXO_ENV_CALL);
    reply(2, 0);
    settle();
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(JOB(0, slice_bind, handle(0, CALM), EXO_ROWS + 1, EXO_UNBIND), 0);
    call_words(1, handle(1, SERVER) | low_bits, 1);
    assert_int_equal(runs(1), B);
    if (where == PREEMPTED) {
        assert_int_equal(JOB(0, slice_bind, handle(0, CALM), EXO_ROWS, EXO_UNBIND), 0);
        settle();
        IS(B, EXO_STATE_READY | EXO_FLAG_INCALL);
    }
    if (where == WAITING) CALL(1, wait, 1, EXO_NEVER);
    if (where == CALLED_ON) {
        call_words(1, handle(1, 0), 2);
        assert_int_equal(runs(1), CROWD(0));
    }
}

/* The same test goes on with a new machine. */
static void another_machine(void **state) {
    bool fast = host_fast;
    assert_int_equal(fixture_end(state), 0);
    assert_int_equal(fixture_boot(state), 0);
    host_fast = fast;
}

/* Let it run, by a row of hart 2 if it has none; the hart. */
static uint64_t let_run(uint64_t env, uint64_t slot_of_it) {
    settle();
    for (uint64_t hart = 1; hart < 3; hart++)
        if (runs(hart) == env) return hart;
    if (!env_at(env)->rows)
        GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS + slot_of_it, handle(0, slot_of_it));
    settle();
    for (unsigned i = 0; i < 8; i++, advance(info->row_ticks))
        for (uint64_t hart = 1; hart < 3; hart++)
            if (runs(hart) == env) return hart;
    fail_msg("0x%lx does not run", env);
    return 0;
}

static void a_dead_server_breaks_the_call(void **state) {
    for (unsigned where = RUNNING; where < SERVER_PLACES; where++) {
        served(where);
        assert_int_equal(JOB(0, cap_drop, handle(0, B_SLOT), B), 0);
        assert_int_not_equal(state_of(A) & EXO_STATE_MASK, EXO_STATE_CALLING);
        uint64_t hart = let_run(A, A_SLOT);
        has_error(hart, EXO_EBROKEN);
        assert_int_equal(JOB(0, env_reap, B), 0);
        if (where == CALLED_ON) { /* what it had called goes on, and its answer goes nowhere */
            uint64_t other = let_run(CROWD(0), CROWD_SLOT);
            reply(other, 4);
            IS(CROWD(0), EXO_STATE_ACCEPT);
        }
        another_machine(state);
    }
}

static void a_server_that_ends_itself_breaks_the_call(void **state) {
    (void)state;
    served(RUNNING);
    CALL(1, exit, 0);
    settle();
    assert_int_equal(runs(1), A);
    has_error(1, EXO_EBROKEN);
    assert_int_equal(JOB(0, env_reap, B), 0);
}

/* A fault is for whoever holds the server to mend: the caller waits. */
static void a_server_that_faults_can_be_mended(void **state) {
    (void)state;
    served(RUNNING);
    host_fault(1, 13, 0);
    walk_is_good();
    IS(B, EXO_STATE_STOPPED | EXO_FLAG_FAULT | EXO_FLAG_INCALL);
    IS(A, EXO_STATE_CALLING);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_START);
    settle();
    assert_int_equal(runs(1), B);
    reply(1, 5);
    has_words(1, 5, A);
}

static void a_caller_waits_for_a_faulted_server_until_its_deadline(void **state) {
    (void)state;
    client_and_server();
    call_until(1, handle(1, SERVER), host_time + 100000);
    host_fault(1, 13, 0);
    advance(99999);
    IS(A, EXO_STATE_CALLING);
    advance(1);
    assert_int_equal(runs(1), A);
    has_error(1, EXO_ETIMEOUT);
    a_call_is_refused(1, handle(1, SERVER), EXO_ESTATE);
}

static void a_stopped_server_goes_on_where_it_was(void **state) {
    for (unsigned where = RUNNING; where < SERVER_PLACES; where++) {
        served(where);
        assert_int_equal(JOB(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP), 0);
        IS(B, EXO_STATE_STOPPED | EXO_FLAG_INCALL);
        IS(A, EXO_STATE_CALLING);
        GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_START);
        uint64_t hart = let_run(B, B_SLOT);
        if (where == WAITING) assert_int_equal(word(hart, 0), 0);
        if (where == CALLED_ON) has_error(hart, EXO_EBROKEN);
        reply(hart, 5);
        hart = let_run(A, A_SLOT);
        has_words(hart, 5, A);
        another_machine(state);
    }
}

static void a_stopped_client_gets_no_answer(void **state) {
    for (unsigned where = RUNNING; where < SERVER_PLACES; where++) {
        served(where);
        GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_STOP);
        IS(A, EXO_STATE_STOPPED);
        GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_START);
        uint64_t hart = let_run(A, A_SLOT);
        has_error(hart, EXO_EBROKEN);
        if (where == WAITING) GOOD(0, notify, handle(0, B_SLOT), 1);
        if (where == CALLED_ON) reply(let_run(CROWD(0), CROWD_SLOT), 1);
        reply(let_run(B, B_SLOT), 5);
        IS(B, EXO_STATE_ACCEPT);
        hart = let_run(A, A_SLOT);
        call_words(hart, handle(hart, SERVER), 7);
        has_words(hart, 7, A);
        another_machine(state);
    }
}

static void a_dead_clients_server_goes_on(void **state) {
    for (unsigned where = RUNNING; where < SERVER_PLACES; where++)
        for (unsigned reaped = 0; reaped < 2; reaped++) {
            served(where);
            assert_int_equal(JOB(0, cap_drop, handle(0, A_SLOT), A), 0);
            if (reaped) assert_int_equal(JOB(0, env_reap, A), 0);
            /* The frame may be another environment's by now. */
            if (reaped) {
                GOOD(0, env_create, handle(0, 0), A, A + 1, A + 2, place(A_SLOT));
                GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_START);
            }
            if (where == WAITING) GOOD(0, notify, handle(0, B_SLOT), 1);
            if (where == CALLED_ON) reply(let_run(CROWD(0), CROWD_SLOT), 1);
            reply(let_run(B, B_SLOT), 5);
            IS(B, EXO_STATE_ACCEPT);
            if (reaped) IS(A, EXO_STATE_READY);
            settle();
            GOOD(0, cap_derive, handle(0, B_SLOT), place(9), B, 1, EXO_ENV_CALL, 0, 0);
            call_words(0, handle(0, 9), 7);
            has_words(0, 7, info->init_env);
            another_machine(state);
        }
}

/* The capability through which it called is cut. */
static void a_cut_name_breaks_the_call(void **state) {
    for (unsigned where = RUNNING; where < SERVER_PLACES; where++) {
        low_bits = where & 1 ? 0x55 : 0;
        served(where);
        low_bits = 0;
        assert_int_equal(JOB(0, cap_revoke, handle(0, B_SLOT), B, 0), 0);
        IS(B, state_of(B) | EXO_FLAG_INCALL);
        uint64_t hart = let_run(A, A_SLOT);
        has_error(hart, EXO_EBROKEN);
        call_words(hart, handle(hart, SERVER), 1);
        has_error(hart, EXO_ESLOT);
        if (where == WAITING) GOOD(0, notify, handle(0, B_SLOT), 1);
        if (where == CALLED_ON) reply(let_run(CROWD(0), CROWD_SLOT), 1);
        reply(let_run(B, B_SLOT), 5);
        IS(B, EXO_STATE_ACCEPT);
        another_machine(state);
    }
}

static void an_accepting_one_that_is_stopped_has_no_call(void **state) {
    (void)state;
    client_and_server();
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP);
    a_call_is_refused(1, handle(1, SERVER), EXO_ESTATE);
    GOOD(0, env_regs, handle(0, B_SLOT), EXO_REGS_START);
    settle();
    assert_int_equal(runs(2), B);
    has_error(2, EXO_ENOCALL);
    reply(2, 1); /* an answer to nobody */
    call_words(1, handle(1, SERVER), 4);
    has_words(1, 4, A);
}

static void a_server_deep_in_a_chain_begins_anew_after_a_stop(void **state) {
    (void)state;
    chain(9);
    for (uint64_t i = 0; i < 8; i++) call_words(1, handle(1, 0), i);
    reply(1, 0);
    IS(CROWD(8), EXO_STATE_ACCEPT);
    GOOD(0, env_regs, handle(0, CROWD_SLOT + 8), EXO_REGS_STOP);
    GOOD(0, env_regs, handle(0, CROWD_SLOT + 8), EXO_REGS_START);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, CROWD_SLOT + 8));
    settle();
    assert_int_equal(runs(2), CROWD(8));
    assert_int_equal(env_at(CROWD(8))->depth, EXO_CHAIN_MAX);
}

static void a_killed_accepting_one_is_reaped(void **state) {
    (void)state;
    client_and_server();
    assert_int_equal(JOB(0, cap_drop, handle(0, B_SLOT), B), 0);
    assert_int_equal(JOB(0, env_reap, B), 0);
}

/* Threads of one space call another. */
static void a_thread_calls_too(void **state) {
    (void)state;
    client_and_server();
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, 0, place(1));
    GOOD(0, cap_derive, handle(0, 1), place(6), EXO_ROWS * 2 + 4, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(2), 0, 0);
    GOOD(1, slice_bind, handle(1, 2), EXO_ROWS * 2 + 4, handle(1, 1));
    GOOD(1, env_regs, handle(1, 1), EXO_REGS_START);
    settle();
    assert_int_equal(runs(2), FREE);
    call_words(2, handle(2, SERVER), 5);
    assert_int_equal(runs(2), B);
    has_words(2, 5, FREE);
    a_call_is_refused(1, handle(1, SERVER), EXO_EBUSY);
    reply(2, 6);
    assert_int_equal(runs(2), FREE);
    has_words(2, 6, FREE);
    /* A call between the two of them is a switch within the space. */
    reply(2, 0);
    IS(FREE, EXO_STATE_ACCEPT);
    for (unsigned turn = 0; turn < 3; turn++) {
        call_words(1, handle(1, 1), 7);
        assert_int_equal(runs(1), FREE);
        has_words(1, 7, A);
        reply(1, 8);
        has_words(1, 8, A);
    }
}

/* The thread of a space is cut off its server, its leader goes on. */
static void a_name_cut_breaks_only_the_call_through_it(void **state) {
    (void)state;
    client_and_server();
    introduce(A_SLOT, B_SLOT, 4, EXO_ENV_CALL);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, 0, place(1));
    GOOD(0, cap_derive, handle(0, 1), place(6), EXO_ROWS * 2 + 4, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(2), 0, 0);
    GOOD(1, slice_bind, handle(1, 2), EXO_ROWS * 2 + 4, handle(1, 1));
    GOOD(1, env_regs, handle(1, 1), EXO_REGS_START);
    settle();
    call_words(2, handle(2, SERVER), 5); /* the thread calls through slot 3 */
    assert_int_equal(JOB(1, cap_drop, handle(1, 4), B), 0);
    IS(FREE, EXO_STATE_CALLING);
    assert_int_equal(JOB(1, cap_drop, handle(1, SERVER), B), 0);
    assert_int_not_equal(state_of(FREE), EXO_STATE_CALLING);
}

static void floating_point_is_nobody_elses(void **state) {
    (void)state;
    client_and_server();
    host_models[1].float_live = true;
    host_models[1].float_register = 1234;
    call_words(1, handle(1, SERVER), 1);
    assert_false(host_models[1].float_live);
    host_models[1].float_live = true;
    host_models[1].float_register = 777;
    reply(1, 2);
    assert_true(host_models[1].float_live);
    assert_int_equal(host_models[1].float_register, 1234);
    call_words(1, handle(1, SERVER), 1);
    assert_true(host_models[1].float_live);
    assert_int_equal(host_models[1].float_register, 777);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH_TESTS(a_call_and_its_answer),
        BOTH_TESTS(a_server_keeps_its_stack),
        BOTH_TESTS(bad_handles),
        BOTH_TESTS(a_far_handle),
        BOTH_TESTS(who_does_not_accept_is_busy),
        BOTH_TESTS(who_serves_another_is_busy),
        BOTH_TESTS(who_dies_is_not_called),
        BOTH_TESTS(a_chain_has_at_most_eight_calls),
        BOTH_TESTS(nobody_is_twice_in_a_chain),
        BOTH_TESTS(a_loop_is_told_at_any_depth),
        BOTH_TESTS(a_chain_runs_in_the_callers_row),
        BOTH_TESTS(an_answer_may_come_on_another_hart),
        BOTH_TESTS(who_waits_can_help_a_busy_server),
        BOTH_TESTS(a_yield_to_who_calls_goes_to_the_end_of_its_chain),
        BOTH_TESTS(a_sleeper_in_a_call_is_woken_by_its_callers_row),
        BOTH_TESTS(a_deadline_breaks_the_call_only),
        BOTH_TESTS(a_call_in_time_has_no_deadline_later),
        BOTH_TESTS(a_passed_deadline_ends_the_call_soon),
        BOTH_TESTS(a_deadline_of_a_sleeping_chain),
        BOTH_TESTS(a_deadline_is_watched_where_the_row_is),
        BOTH_TESTS(a_dead_server_breaks_the_call),
        BOTH_TESTS(a_server_that_ends_itself_breaks_the_call),
        BOTH_TESTS(a_server_that_faults_can_be_mended),
        BOTH_TESTS(a_caller_waits_for_a_faulted_server_until_its_deadline),
        BOTH_TESTS(a_stopped_server_goes_on_where_it_was),
        BOTH_TESTS(a_stopped_client_gets_no_answer),
        BOTH_TESTS(a_dead_clients_server_goes_on),
        BOTH_TESTS(a_cut_name_breaks_the_call),
        BOTH_TESTS(an_accepting_one_that_is_stopped_has_no_call),
        BOTH_TESTS(a_server_deep_in_a_chain_begins_anew_after_a_stop),
        BOTH_TESTS(a_killed_accepting_one_is_reaped),
        BOTH_TESTS(a_thread_calls_too),
        BOTH_TESTS(a_name_cut_breaks_only_the_call_through_it),
        BOTH_TESTS(floating_point_is_nobody_elses),
    };
    return cmocka_run_group_tests_name("pct", tests, NULL, NULL);
}
