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
    assert_int_equal(harts[1]->row, EXO_ROWS + 7);
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
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
