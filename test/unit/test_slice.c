/* SPDX-License-Identifier: MIT */
/* Unit tests of rows, yield, and what runs where (exo/slice.c). */
#include "fixture.h"

static enum host_state yield(uint64_t hart, uint64_t to) {
    enum host_state now = host_call(hart, EXO_CALL_yield, (const uint64_t[7]){to});
    walk_is_good();
    return now;
}

static int64_t yield_answer(uint64_t hart, uint64_t to) {
    yield(hart, to);
    return host_models[hart].result.value;
}

static void bind_refuses(void **state) {
    (void)state;
    people(2);
    uint64_t rows = handle(0, 1);
    GOOD(0, cap_derive, rows, place(6), 10, 2, EXO_SLICE_URGENT, 0, 0);
    REFUSED(RANGE, 0, slice_bind, rows, 3 * EXO_ROWS, EXO_SELF);
    REFUSED(RANGE, 0, slice_bind, rows, ~0ul, EXO_SELF);
    REFUSED(RIGHTS, 0, slice_bind, handle(0, 6), 10, EXO_SELF);
    REFUSED(OVERLAP, 0, slice_bind, rows, 10, EXO_SELF);
    REFUSED(SLOT, 0, slice_bind, rows + (1ul << 32), 5, EXO_SELF);
    REFUSED(SLOT, 0, slice_bind, place(9), 5, EXO_SELF);
    REFUSED(CLASS, 0, slice_bind, handle(0, 0), 5, EXO_SELF);
    REFUSED(SLOT, 0, slice_bind, rows, 5, handle(0, A_SLOT) + (1ul << 32));
    REFUSED(SLOT, 0, slice_bind, rows, 5, 2);
    REFUSED(CLASS, 0, slice_bind, rows, 5, handle(0, 0));
    REFUSED(BUSY, 0, slice_bind, rows, 0, EXO_SELF);
    REFUSED(BUSY, 0, slice_bind, rows, EXO_ROWS, handle(0, B_SLOT));
    CALL(1, exit, 0);
    REFUSED(DYING, 0, slice_bind, rows, 5, handle(0, A_SLOT));
}

static void yield_goes_round_the_rows(void **state) {
    (void)state;
    people(2);
    uint64_t rows = handle(0, 1);
    GOOD(0, slice_bind, rows, EXO_ROWS + 1, handle(0, B_SLOT));
    assert_int_equal(JOB(0, slice_bind, rows, 2 * EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(runs(2), 0);
    assert_int_equal(runs(1), A);
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), B);
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), A);
    assert_int_equal(JOB(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP), 0);
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), A);
}

static void yield_to_one(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, B_SLOT), place(6), B, 1, EXO_ENV_CALL, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(3), 0, 0);
    GOOD(0, cap_derive, handle(0, B_SLOT), place(6), B, 1, EXO_ENV_CONTROL, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(4), 0, 0);
    uint64_t name = handle(1, 3);
    assert_int_equal(yield_answer(1, name), EXO_ESTATE); /* B runs on hart 2 */
    assert_int_equal(yield_answer(1, name + (1ul << 32)), EXO_ESLOT);
    assert_int_equal(yield_answer(1, place(9)), EXO_ESLOT);
    assert_int_equal(yield_answer(1, handle(1, 4)), EXO_ERIGHTS);
    assert_int_equal(yield_answer(0, handle(0, 1)), EXO_ECLASS);
    assert_int_equal(runs(1), A);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(yield_answer(1, name), 0);
    assert_int_equal(runs(1), B);
    assert_int_equal(env_state(*frame_state(A)), EXO_STATE_READY);
    /* The row is A's, so A comes back when B gives it up. */
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), A);
    CALL(0, env_regs, handle(0, B_SLOT), EXO_REGS_STOP);
    assert_int_equal(yield_answer(1, name), EXO_ESTATE);
}

static void a_start_wakes_an_idle_hart(void **state) {
    (void)state;
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 7, handle(0, 4));
    assert_false(host_models[2].ipi);
    host_settle();
    assert_int_equal(runs(1), 0);
    GOOD(0, env_regs, handle(0, 4), EXO_REGS_START);
    assert_true(host_models[1].ipi);
    assert_false(host_models[2].ipi);
    host_settle();
    assert_int_equal(runs(1), FREE);
    assert_ptr_equal(harts[1]->running, slice_row(EXO_ROWS + 7));
}

static void a_bind_wakes_an_idle_hart(void **state) {
    (void)state;
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    GOOD(0, env_regs, handle(0, 4), EXO_REGS_START);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, 4));
    host_settle();
    assert_int_equal(runs(2), FREE);
}

static void one_environment_runs_once(void **state) {
    (void)state;
    people(1);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, A_SLOT));
    host_settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(runs(2), 0);
    /* When it gives hart 1 up, the other may take it. */
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    host_settle();
    assert_int_equal(runs(1), 0);
    assert_int_equal(runs(2), A);
}

static void unbind_waits_for_the_other_hart(void **state) {
    (void)state;
    people(1);
    uint64_t rows = handle(0, 1);
    assert_int_equal(CALL(0, slice_bind, rows, EXO_ROWS, EXO_UNBIND).value, EXO_EAGAIN);
    assert_true(host_models[1].ipi);
    assert_int_equal(CALL(0, slice_bind, rows, EXO_ROWS, EXO_SELF).value, EXO_EAGAIN);
    assert_int_equal(CALL(0, slice_bind, rows, EXO_ROWS, EXO_UNBIND).value, EXO_EAGAIN);
    host_settle();
    GOOD(0, slice_bind, rows, EXO_ROWS, EXO_UNBIND);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    GOOD(0, slice_bind, rows, EXO_ROWS, EXO_SELF);
}

/* Who drops the row that it runs in goes on, until somebody wants to bind it. */
static void a_dropped_row_can_be_bound(void **state) {
    (void)state;
    people(1);
    uint64_t rows = handle(0, 1), row = EXO_ROWS + 1;
    GOOD(0, cap_derive, rows, place(9), row, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 9), handle(0, A_SLOT), place(3), 0, 0);
    GOOD(1, slice_bind, handle(1, 3), row, EXO_SELF);
    assert_int_equal(CALL(0, slice_bind, rows, EXO_ROWS, EXO_UNBIND).value, EXO_EAGAIN);
    host_settle(); /* it is off the one row and on the other */
    JOB(1, cap_drop, handle(1, 3), row);
    assert_int_equal(host_models[1].state, HOST_PROGRAM);
    assert_int_equal(CALL(0, slice_bind, rows, row, EXO_SELF).value, EXO_EAGAIN);
    assert_true(host_models[1].ipi);
    host_settle();
    assert_int_equal(host_models[1].state, HOST_IDLE);
    GOOD(0, slice_bind, rows, row, EXO_SELF);
}

static void a_row_taken_during_enter_is_not_run(void **state) {
    (void)state;
    uint64_t rows = handle(0, 1);
    GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    GOOD(0, slice_bind, rows, EXO_ROWS + 3, handle(0, 4));
    GOOD(0, env_regs, handle(0, 4), EXO_REGS_START);
    host_split = true;
    host_continue(1);
    assert_int_equal(host_models[1].state, HOST_PAUSED);
    /* The hart has claimed the environment and not yet entered it. */
    assert_int_equal(CALL(0, slice_bind, rows, EXO_ROWS + 3, EXO_UNBIND).value, EXO_EAGAIN);
    host_split = false;
    host_settle();
    assert_int_equal(runs(1), 0);
    GOOD(0, slice_bind, rows, EXO_ROWS + 3, EXO_UNBIND);
    assert_int_equal(env_state(*frame_state(FREE)), EXO_STATE_READY);
}

static void an_interrupt_changes_nothing_by_itself(void **state) {
    (void)state;
    people(1);
    arch_ipi(harts[1]);
    host_settle();
    assert_int_equal(runs(1), A);
    arch_ipi(harts[2]);
    host_settle();
    assert_int_equal(runs(2), 0);
    assert_int_equal(host_models[2].state, HOST_IDLE);
}

static void a_dying_one_is_not_claimed(void **state) {
    (void)state;
    people(2);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 1, handle(0, B_SLOT));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(JOB(0, cap_drop, handle(0, B_SLOT), B), 0);
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), A);
    assert_int_equal(JOB(0, env_reap, B), 0);
    assert_int_equal(slice_row(EXO_ROWS + 1)->env, 0);
}

/* ---- time ---- */

#define ROW (info->row_ticks)
#define GRACE (info->grace_ticks)
#define TAKE_BACK (GRACE / 8) /* what an urgent row pays each time beside what it uses */

/* CROWD(n) gets a row of hart 1, by its number there. */
static void bind(unsigned n, uint64_t row) {
    uint64_t rows = handle(0, EXO_ROWS + row >= URGENT_ROW ? PRESSING : CALM);
    GOOD(0, slice_bind, rows, EXO_ROWS + row, handle(0, CROWD_SLOT + n));
}

/* `count` environments with the rows 0, 1 ... of hart 1, the first of which has just begun. */
static void crowd_with_rows(unsigned count) {
    crowd(count);
    for (unsigned i = 0; i < count; i++) bind(i, i);
    settle();
    assert_int_equal(runs(1), CROWD(0));
}

static uint64_t time_of(uint64_t row) { return slice_row(EXO_ROWS + row)->time; }

/* What runs on hart 1 goes to sleep until it is told. */
static void sleep_here(void) { CALL(1, wait, 1, EXO_NEVER); }

static void wake(unsigned n) {
    GOOD(0, notify, handle(0, CROWD_SLOT + n), 1);
    settle();
}

static void a_slice_is_a_row_long(void **state) {
    (void)state;
    crowd_with_rows(2);
    assert_int_equal(harts[1]->ctx->slice_begin, host_time);
    assert_int_equal(harts[1]->ctx->slice_end, host_time + ROW);
    advance(ROW - 1);
    assert_int_equal(runs(1), CROWD(0));
    advance(1);
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(harts[1]->ctx->slice_end, host_time + ROW);
    assert_int_equal(state_of(CROWD(0)), EXO_STATE_READY);
    advance(ROW);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(time_of(0), ROW);
    assert_int_equal(time_of(1), ROW);
}

static void rows_have_their_turns_in_order(void **state) {
    static const uint64_t rows[] = {9, 2, 40, 3, 21}, order[] = {0, 4, 2, 1, 3};
    (void)state;
    crowd(5);
    bind(0, rows[0]);
    settle();
    for (unsigned i = 1; i < 5; i++) bind(i, rows[i]);
    for (unsigned turn = 0; turn < 15; turn++) {
        assert_int_equal(runs(1), CROWD(order[turn % 5]));
        advance(ROW);
    }
    /* The ring of rows stays whole when rows go and come. */
    assert_int_equal(JOB(0, slice_bind, handle(0, CALM), EXO_ROWS + 40, EXO_UNBIND), 0);
    bind(2, 10);
    while (runs(1) != CROWD(0)) advance(ROW);
    static const uint64_t then[] = {0, 2, 4, 1, 3};
    for (unsigned turn = 0; turn < 10; turn++) {
        assert_int_equal(runs(1), CROWD(then[turn % 5]));
        advance(ROW);
    }
}

static void a_row_that_cannot_run_is_skipped(void **state) {
    (void)state;
    crowd_with_rows(3);
    GOOD(0, env_regs, handle(0, CROWD_SLOT + 1), EXO_REGS_STOP);
    for (unsigned turn = 0; turn < 6; turn++) {
        assert_int_equal(runs(1), CROWD(turn % 2 ? 2 : 0));
        advance(ROW);
    }
    assert_int_equal(time_of(1), 0);
    GOOD(0, env_regs, handle(0, CROWD_SLOT + 1), EXO_REGS_START);
    assert_int_equal(runs(1), CROWD(0)); /* it waits for its turn */
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1));
}

/* One environment with rows on two harts runs on one at a time. */
static void a_row_whose_owner_runs_elsewhere_is_skipped(void **state) {
    (void)state;
    crowd_with_rows(2);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, CROWD_SLOT));
    settle();
    assert_int_equal(runs(2), 0); /* CROWD(0) runs on hart 1 */
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(runs(2), CROWD(0)); /* told at once */
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(runs(2), CROWD(0));
}

static void the_rest_of_a_sleepers_row_is_filled_and_taken_back(void **state) {
    (void)state;
    crowd_with_rows(3);
    advance(3000);
    sleep_here();
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(harts[1]->ctx->slice_end, host_time + ROW - 3000);
    advance(1000);
    wake(0);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(word(1, 0), 1);
    assert_int_equal(time_of(0), 3000);
    assert_int_equal(time_of(1), 1000);
    advance(ROW - 4000 - 1);
    assert_int_equal(runs(1), CROWD(0));
    advance(1);
    assert_int_equal(runs(1), CROWD(1)); /* its own turn is whole, whatever it filled */
    advance(ROW - 1);
    assert_int_equal(runs(1), CROWD(1));
    advance(1);
    assert_int_equal(runs(1), CROWD(2));
    advance(ROW);
    assert_int_equal(time_of(0), ROW - 1000);
    assert_int_equal(time_of(1), ROW + 1000);
}

static void who_wakes_after_its_row_waits_for_its_turn(void **state) {
    (void)state;
    crowd_with_rows(2);
    sleep_here();
    assert_int_equal(runs(1), CROWD(1));
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1)); /* its own now */
    wake(0);
    assert_int_equal(runs(1), CROWD(1));
    advance(ROW);
    assert_int_equal(runs(1), CROWD(0));
}

static void what_is_filled_is_in_proportion_to_rows(void **state) {
    (void)state;
    crowd(3);
    bind(0, 0);
    bind(1, 1);
    bind(2, 2);
    bind(2, 3);
    settle();
    for (unsigned round = 0; round < 300; round++) {
        while (runs(1) != CROWD(0)) advance(ROW);
        sleep_here(); /* a whole row to be filled */
        advance(ROW);
        wake(0);
    }
    assert_true(time_of(0) == 0);
    uint64_t one = time_of(1), two = time_of(2) + time_of(3);
    assert_in_range(two * 100 / one, 195, 205);
}

/* CROWD(0) has an urgent row, CROWD(1) and CROWD(2) others. */
static void urgent_crowd(void) {
    crowd(3);
    bind(1, 1);
    bind(2, 2);
    settle();
    assert_int_equal(runs(1), CROWD(1));
    bind(0, URGENT_ROW - EXO_ROWS);
    settle();
    /* Its first turn, in which it sleeps. */
    while (runs(1) != CROWD(0)) advance(ROW);
}

static void an_urgent_one_takes_what_it_slept_through(void **state) {
    (void)state;
    urgent_crowd();
    uint64_t row = URGENT_ROW - EXO_ROWS, before = time_of(row);
    advance(2000);
    sleep_here();
    while (runs(1) != CROWD(2)) advance(ROW);
    uint64_t end = harts[1]->end;
    advance(1000);
    wake(0);
    assert_int_equal(runs(1), CROWD(0)); /* at once, in the middle of another's row */
    assert_int_equal(harts[1]->until, host_time + ROW - 2000);
    advance(3000);
    sleep_here();
    assert_int_equal(runs(1), CROWD(2));
    assert_int_equal(harts[1]->end, end + 3000 + TAKE_BACK); /* no shorter for it */
    advance(500);
    wake(0);
    assert_int_equal(harts[1]->until, host_time + ROW - 5000 - TAKE_BACK);
    advance(ROW - 5000 - TAKE_BACK);
    assert_int_equal(runs(1), CROWD(2)); /* nothing is left */
    assert_int_equal(time_of(row) - before, ROW - TAKE_BACK);
    GOOD(0, notify, handle(0, CROWD_SLOT), 1);
    settle();
    assert_int_equal(runs(1), CROWD(2));
}

/* Whatever it does, it never gets more than a row in each round, and the others theirs. */
static void an_urgent_one_never_gets_more_than_its_row(void **state) {
    (void)state;
    urgent_crowd();
    uint64_t row = URGENT_ROW - EXO_ROWS, random = 12345, begin = host_time;
    uint64_t before[] = {time_of(row), time_of(1), time_of(2)};
    for (unsigned i = 0; i < 4000; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        advance(random >> 33 & 1023);
        if (runs(1) == CROWD(0) && random >> 62)
            sleep_here();
        else if (state_of(CROWD(0)) == EXO_STATE_WAIT)
            wake(0);
    }
    uint64_t urgent = time_of(row) - before[0], passed = host_time - begin;
    uint64_t one = time_of(1) - before[1], two = time_of(2) - before[2];
    assert_int_equal(urgent + one + two, harts[1]->since - begin);
    assert_true(urgent <= passed / 3 + 2 * ROW);
    assert_true(one >= passed / 3 - 2 * ROW);
    assert_true(two >= passed / 3 - 2 * ROW);
}

static void an_urgent_one_is_not_preempted_by_another(void **state) {
    (void)state;
    urgent_crowd();
    GOOD(0, slice_bind, handle(0, PRESSING), URGENT_ROW + 1, handle(0, CROWD_SLOT + 1));
    sleep_here();
    while (runs(1) != CROWD(1)) advance(ROW);
    sleep_here();
    advance(8 * ROW); /* both have slept through their turns */
    while (harts[1]->fills) advance(ROW);
    wake(0);
    assert_int_equal(runs(1), CROWD(0));
    advance(100);
    wake(1);
    assert_int_equal(runs(1), CROWD(0));
    sleep_here();
    assert_int_equal(runs(1), CROWD(1)); /* now it is its turn */
}

/* Two that hand the rest to and fro for ever have no more of it (Xok had such a slice). */
static void a_donation_never_outlives_the_slice(void **state) {
    (void)state;
    crowd_with_rows(3);
    introduce(CROWD_SLOT, CROWD_SLOT + 1, 0, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 1, CROWD_SLOT, 0, EXO_ENV_CALL);
    settle();
    while (runs(1) != CROWD(0)) advance(ROW);
    uint64_t before[] = {time_of(0), time_of(1), time_of(2)}, begin = host_time;
    for (unsigned i = 0; i < 3000; i++) {
        if (runs(1) != CROWD(2)) {
            uint64_t was = runs(1), end = harts[1]->end;
            yield(1, handle(1, 0));
            assert_int_not_equal(runs(1), was);
            assert_int_equal(harts[1]->end, end);
            assert_int_equal(harts[1]->ctx->slice_end, end);
        }
        advance(97);
    }
    uint64_t share = (host_time - begin) / 3;
    for (unsigned row = 0; row < 3; row++)
        assert_in_range(time_of(row) - before[row], share - ROW, share + ROW);
}

static void what_a_donee_does_not_need_is_the_owners(void **state) {
    (void)state;
    crowd_with_rows(2);
    introduce(CROWD_SLOT, CROWD_SLOT + 1, 0, EXO_ENV_CALL);
    advance(1000);
    yield(1, handle(1, 0));
    assert_int_equal(runs(1), CROWD(1));
    advance(2000);
    sleep_here();
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(word(1, 0), 0);
    assert_int_equal(time_of(0), 3000);
    advance(ROW - 3000 - 1);
    assert_int_equal(runs(1), CROWD(0));
}

static void a_yield_to_nobody_ends_the_row(void **state) {
    (void)state;
    crowd_with_rows(3);
    for (unsigned turn = 0; turn < 7; turn++) {
        assert_int_equal(runs(1), CROWD(turn % 3));
        advance(100);
        yield(1, EXO_NONE);
    }
    assert_int_equal(harts[1]->ctx->slice_end, host_time + ROW);
    /* One that fills another's row gives up no row of its own. */
    while (runs(1) != CROWD(0)) advance(ROW);
    sleep_here();
    uint64_t end = harts[1]->end, filler = runs(1);
    yield(1, EXO_NONE);
    assert_int_equal(harts[1]->end, end);
    assert_int_not_equal(runs(1), filler);
}

static void a_yield_to_nobody_gives_the_urgent_rest_up(void **state) {
    (void)state;
    urgent_crowd();
    sleep_here();
    while (runs(1) != CROWD(2)) advance(ROW);
    wake(0);
    assert_int_equal(runs(1), CROWD(0));
    yield(1, EXO_NONE);
    assert_int_equal(runs(1), CROWD(2));
    assert_int_equal(slice_row(URGENT_ROW)->left, 0);
}

/* ---- the end of a slice ---- */

static void set_handler(uint64_t hart) {
    harts[hart]->ctx->slice_entry = 0x1234000;
    harts[hart]->ctx->exception_stack = 0x5678000;
}

static void the_end_is_announced(void **state) {
    (void)state;
    crowd_with_rows(2);
    struct exo_ctx *ctx = harts[1]->ctx;
    uint64_t *registers = host_models[1].registers;
    set_handler(1);
    for (uint64_t i = 0; i < 32; i++) registers[i] = 100 + i;
    advance(ROW - GRACE - 1);
    assert_int_equal(registers[0], 100);
    advance(1);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(registers[0], 0x1234000);
    assert_int_equal(registers[2], 0x5678000);
    assert_int_equal(ctx->exception_mask, 1);
    assert_int_equal(ctx->exception_cause, EXO_CAUSE_SLICE);
    assert_int_equal(ctx->exception_pc, 100);
    assert_int_equal(ctx->exception_ra, 101);
    assert_int_equal(ctx->exception_sp, 102);
    assert_int_equal(ctx->exception_t0, 105);
    assert_int_equal(ctx->exception_t1, 106);
    assert_int_equal(ctx->exception_a0, 110);
    assert_int_equal(ctx->exception_a1, 111);
    assert_int_equal(ctx->exception_a7, 117);
    /* Only once; and the end comes whether the handler is done or not. */
    advance(GRACE - 1);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(ctx->slice_pending, 0);
    advance(1);
    assert_int_equal(runs(1), CROWD(1));
    advance(ROW);
    assert_int_equal(registers[0], 0x1234000);
    CALL(1, resume, 0);
    for (uint64_t i = 0; i < 32; i++)
        if (i == 0 || i == 1 || i == 2 || i == 5 || i == 6 || i == 10 || i == 11 || i == 17)
            assert_int_equal(registers[i], 100 + i);
    assert_int_equal(ctx->exception_mask, 0);
}

static void without_a_handler_nothing_is_announced(void **state) {
    (void)state;
    crowd_with_rows(2);
    for (uint64_t i = 0; i < 32; i++) host_models[1].registers[i] = 100 + i;
    advance(ROW - 1);
    for (uint64_t i = 0; i < 32; i++) assert_int_equal(host_models[1].registers[i], 100 + i);
    assert_int_equal(harts[1]->ctx->slice_pending, 0);
    advance(1 + ROW);
    assert_int_equal(runs(1), CROWD(0));
    for (uint64_t i = 0; i < 32; i++) assert_int_equal(host_models[1].registers[i], 100 + i);
}

static void a_critical_section_is_only_told(void **state) {
    (void)state;
    crowd_with_rows(2);
    struct exo_ctx *ctx = harts[1]->ctx;
    set_handler(1);
    ctx->critical = 1;
    advance(ROW - 1);
    assert_int_equal(ctx->slice_pending, 1);
    assert_int_equal(ctx->exception_mask, 0);
    assert_int_not_equal(host_models[1].registers[0], 0x1234000);
    advance(1); /* it ends all the same */
    assert_int_equal(runs(1), CROWD(1));
}

static void a_masked_handler_is_entered_by_resume(void **state) {
    (void)state;
    crowd_with_rows(2);
    struct exo_ctx *ctx = harts[1]->ctx;
    set_handler(1);
    ctx->exception_entry = 0x4321000;
    host_models[1].registers[0] = 77;
    host_fault(1, 13, 0);
    assert_int_equal(host_models[1].registers[0], 0x4321000);
    advance(ROW - 1);
    assert_int_equal(ctx->slice_pending, 1);
    assert_int_equal(ctx->exception_cause, 13);
    CALL(1, resume, 0);
    assert_int_equal(host_models[1].registers[0], 0x1234000);
    assert_int_equal(ctx->exception_mask, 1);
    assert_int_equal(ctx->slice_pending, 0);
    assert_int_equal(ctx->exception_pc, 77);
    CALL(1, resume, 0);
    assert_int_equal(host_models[1].registers[0], 77);
    assert_int_equal(ctx->exception_mask, 0);
}

/* A program may write what it likes there. */
static void words_of_the_slice_are_hostile(void **state) {
    (void)state;
    crowd_with_rows(2);
    struct exo_ctx *ctx = harts[1]->ctx;
    ctx->slice_entry = ~0ul;
    ctx->slice_pending = ctx->critical = ~0ul;
    ctx->slice_end = ctx->slice_begin = ~0ul;
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1));
    advance(ROW);
    assert_int_equal(ctx->slice_end, host_time + ROW);
}

/* ---- no ticks without need ---- */

static void a_hart_without_work_has_no_timer(void **state) {
    (void)state;
    crowd(1);
    assert_int_equal(host_models[2].timer, EXO_NEVER);
    bind(0, 3);
    settle();
    assert_int_equal(host_models[1].timer, host_time + ROW - GRACE);
    sleep_here();
    assert_int_equal(host_models[1].state, HOST_IDLE);
    assert_int_equal(host_models[1].timer, EXO_NEVER);
    uint64_t time = time_of(3);
    advance(1000 * ROW);
    wake(0);
    assert_int_equal(runs(1), CROWD(0));
    assert_int_equal(time_of(3), time); /* sleep costs nothing */
    assert_int_equal(harts[1]->ctx->slice_end, host_time + ROW);
}

static void all_time_is_somebodys(void **state) {
    (void)state;
    crowd_with_rows(3);
    uint64_t begin = host_time - time_of(0) - time_of(1) - time_of(2);
    for (unsigned i = 0; i < 500; i++) {
        advance(1 + i * 37 % 4001);
        if (i % 3 == 0) sleep_here();
        if (i % 3 == 2)
            for (unsigned n = 0; n < 3; n++) wake(n);
    }
    while (harts[1]->since != host_time) yield(1, EXO_NONE);
    assert_int_equal(time_of(0) + time_of(1) + time_of(2), host_time - begin);
}

/* Time is the counter's: an interrupt that comes late costs who ran, and moves no turn. */
static void a_late_timer_is_charged(void **state) {
    (void)state;
    crowd_with_rows(2);
    host_time += 5 * ROW;
    settle();
    assert_int_equal(runs(1), CROWD(1));
    assert_int_equal(time_of(0), 5 * ROW);
    assert_int_equal(harts[1]->until, host_time + ROW);
}

/* ---- who is told ---- */

static bool told(uint64_t hart) { return host_models[hart].ipi; }

static void only_who_can_run_it_is_told(void **state) {
    (void)state;
    crowd_with_rows(3);
    advance(ROW);
    assert_int_equal(runs(1), CROWD(1));
    sleep_here();
    assert_int_equal(runs(1), CROWD(0));
    advance(ROW);
    assert_int_equal(runs(1), CROWD(2)); /* in a row of its own */
    GOOD(0, notify, handle(0, CROWD_SLOT + 1), 1);
    assert_false(told(1)); /* it runs another's row and is told nothing */
    assert_false(told(2)); /* it has no row of it */
    advance(2 * ROW);
    assert_int_equal(runs(1), CROWD(1));
    sleep_here();
    GOOD(0, notify, handle(0, CROWD_SLOT + 1), 1);
    assert_true(told(1)); /* its own row is the current one */
    settle();
    assert_int_equal(runs(1), CROWD(1));
}

static void an_idle_hart_is_told(void **state) {
    (void)state;
    crowd(1);
    bind(0, 0);
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, handle(0, CROWD_SLOT));
    settle();
    uint64_t hart = runs(1) ? 1 : 2;
    CALL(hart, wait, 1, EXO_NEVER);
    GOOD(0, notify, handle(0, CROWD_SLOT), 1);
    assert_true(told(1) && told(2));
    settle();
    assert_true(!runs(1) != !runs(2)); /* one of them */
}

/* Each of two harts fills the other's owner's row: then neither has anything to tell the other. */
static void harts_do_not_recall_each_other_for_ever(void **state) {
    (void)state;
    crowd(2);
    for (uint64_t turn = 0; turn < 2; turn++) {
        for (uint64_t n = 0; n < 2; n++) {
            uint64_t hart = n == turn ? 2 : 1;
            GOOD(0, slice_bind, handle(0, hart == 1 ? CALM : 1), hart * EXO_ROWS + n,
                 handle(0, CROWD_SLOT + n));
        }
        settle();
        assert_true(runs(1) == CROWD(1) && runs(2) == CROWD(0));
    }
    CALL(1, wait, 1, EXO_NEVER);
    CALL(2, wait, 1, EXO_NEVER);
    assert_int_equal(runs(1) | runs(2), 0);
    GOOD(0, notify, handle(0, CROWD_SLOT), 1);
    host_continue(1); /* takes CROWD(0), to fill CROWD(1)'s row */
    host_continue(2);
    assert_int_equal(runs(1), CROWD(0));
    GOOD(0, notify, handle(0, CROWD_SLOT + 1), 1);
    host_continue(2);
    assert_int_equal(runs(2), CROWD(1));
    for (unsigned i = 0; i < 20; i++)
        for (uint64_t hart = 1; hart < 3; hart++)
            if (host_models[hart].ipi) host_interrupt(hart);
    assert_false(told(1) || told(2));
    walk_is_good();
}

static void floating_point_goes_with_its_owner(void **state) {
    (void)state;
    crowd_with_rows(3);
    introduce(CROWD_SLOT, CROWD_SLOT + 2, 0, EXO_ENV_CALL);
    introduce(CROWD_SLOT + 2, CROWD_SLOT, 0, EXO_ENV_CALL);
    for (unsigned turn = 0; turn < 12; turn++) {
        uint64_t n = (runs(1) - CROWD(0)) / 4;
        if (n == 1) { /* it uses none and sees none */
            assert_false(host_models[1].float_live);
        } else if (turn < 3) {
            host_models[1].float_live = true;
            host_models[1].float_register = 1000 + n;
        } else {
            assert_true(host_models[1].float_live);
            assert_int_equal(host_models[1].float_register, 1000 + n);
        }
        if (turn % 3 == 0 && n != 1)
            yield(1, handle(1, 0));
        else
            advance(ROW);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(bind_refuses),
        CORE_TEST(yield_goes_round_the_rows),
        CORE_TEST(yield_to_one),
        CORE_TEST(a_start_wakes_an_idle_hart),
        CORE_TEST(a_bind_wakes_an_idle_hart),
        CORE_TEST(one_environment_runs_once),
        CORE_TEST(unbind_waits_for_the_other_hart),
        CORE_TEST(a_dropped_row_can_be_bound),
        CORE_TEST(a_row_taken_during_enter_is_not_run),
        CORE_TEST(an_interrupt_changes_nothing_by_itself),
        CORE_TEST(a_dying_one_is_not_claimed),
        BOTH_TESTS(a_slice_is_a_row_long),
        BOTH_TESTS(rows_have_their_turns_in_order),
        BOTH_TESTS(a_row_that_cannot_run_is_skipped),
        BOTH_TESTS(a_row_whose_owner_runs_elsewhere_is_skipped),
        BOTH_TESTS(the_rest_of_a_sleepers_row_is_filled_and_taken_back),
        BOTH_TESTS(who_wakes_after_its_row_waits_for_its_turn),
        BOTH_TESTS(what_is_filled_is_in_proportion_to_rows),
        BOTH_TESTS(an_urgent_one_takes_what_it_slept_through),
        BOTH_TESTS(an_urgent_one_never_gets_more_than_its_row),
        BOTH_TESTS(an_urgent_one_is_not_preempted_by_another),
        BOTH_TESTS(a_donation_never_outlives_the_slice),
        BOTH_TESTS(what_a_donee_does_not_need_is_the_owners),
        BOTH_TESTS(a_yield_to_nobody_ends_the_row),
        BOTH_TESTS(a_yield_to_nobody_gives_the_urgent_rest_up),
        BOTH_TESTS(the_end_is_announced),
        BOTH_TESTS(without_a_handler_nothing_is_announced),
        BOTH_TESTS(a_critical_section_is_only_told),
        BOTH_TESTS(a_masked_handler_is_entered_by_resume),
        BOTH_TESTS(words_of_the_slice_are_hostile),
        BOTH_TESTS(a_hart_without_work_has_no_timer),
        BOTH_TESTS(all_time_is_somebodys),
        BOTH_TESTS(a_late_timer_is_charged),
        BOTH_TESTS(only_who_can_run_it_is_told),
        BOTH_TESTS(an_idle_hart_is_told),
        CORE_TEST(harts_do_not_recall_each_other_for_ever),
        BOTH_TESTS(floating_point_goes_with_its_owner),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
