/* SPDX-License-Identifier: MIT */
/* Unit tests of reaping (exo/reap.c). */
#include "fixture.h"

static void only_the_dying_are_reaped(void **state) {
    (void)state;
    people(1);
    REFUSED(STATE, 0, env_reap, A);
    REFUSED(STATE, 0, env_reap, info->init_env);
    REFUSED(ENV, 0, env_reap, A + 1);
    REFUSED(ENV, 0, env_reap, FREE);
    REFUSED(ENV, 0, env_reap, 0);
    REFUSED(ENV, 0, env_reap, NEVER);
    REFUSED(ENV, 0, env_reap, ~0ul);
    REFUSED(ENV, 0, env_reap, HOST_RAM_FRAME - 1);
}

static void nobody_reaps_itself(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_drop, handle(0, A_SLOT), A);
    assert_true(*frame_state(A) & EXO_FLAG_KILL);
    /* Its hart has not looked yet. */
    assert_true(host_models[1].ipi);
    REFUSED(SELF, 1, env_reap, A);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

static void all_that_it_was_goes(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 16, ALL_RIGHTS, 4);
    GOOD(0, cap_derive, handle(0, 1), place(6), 3, 2, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(2), 0, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 2, 8, EXO_PAGE_R | EXO_PAGE_W);
    GOOD(1, page_unmap, 0, VA, 1, 0xff00);
    GOOD(1, caps_add, handle(1, 0), FREE + 11);
    GOOD(1, cap_derive, handle(1, 0), place(33), FREE + 12, 4, ALL_RIGHTS, 0, 0);
    GOOD(1, caps_add, handle(1, 33), FREE + 12);
    GOOD(1, cap_derive, EXO_NONE, place(65), B, env_at(B)->gen, 0, 0, 0);
    GOOD(1, slice_bind, handle(1, 2), 3, EXO_SELF);
    /* ... and what it had lent. */
    GOOD(2, cap_derive, EXO_NONE, place(0), A, env_at(A)->gen, 0, 0, 0);
    GOOD(1, cap_derive, handle(1, 0), place(3), FREE + 14, 2, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_grant, handle(1, 3), EXO_NONE, place(0), B, env_at(B)->gen);
    CALL(1, exit, 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(EXO_CAP_STATE(slot(2, 0)->word), EXO_SLOT_LOST);
    assert_int_equal(EXO_CAP_STATE(slot(0, A_SLOT)->word), EXO_SLOT_LOST);
    assert_int_equal(slice_row(3)->env, 0);
    for (uint64_t i = 0; i < 16; i++) assert_int_equal(*frame_word(FREE + i), 0);
    GOOD(0, cap_drop, handle(0, A_SLOT), 0);
    people(1); /* the same frames once more */
}

static void it_leaves_its_hart_first(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_drop, handle(0, A_SLOT), A);
    host_models[1].ipi = false; /* the first interrupt is still on its way */
    arch_ipi(harts[1]);
    struct result result;
    for (unsigned i = 0; i < 4; i++) {
        result = CALL(0, env_reap, A);
        assert_int_equal(result.value, EXO_EAGAIN);
        assert_int_equal(frame_type(A + 2), EXO_FRAME_ROOT);
    }
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(runs(1), 0);
}

static void what_it_made_dies_before_it(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, FREE + 2, place(1));
    GOOD(1, cap_derive, handle(1, 0), place(2), FREE + 3, 4, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_grant, handle(1, 2), handle(1, 1), place(0), 0, 0);
    CALL(1, exit, 0);
    struct result result = {EXO_EAGAIN, 0};
    while (result.value == EXO_EAGAIN) result = CALL(0, env_reap, A);
    assert_int_equal(result.value, EXO_EREAP);
    assert_int_equal(result.detail, FREE);
    /* Nothing goes on until that is done, and anybody may do it. */
    assert_int_equal(CALL(0, env_reap, A).value, EXO_EREAP);
    assert_int_equal(JOB(0, env_reap, FREE), 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

static void a_thread_goes_without_its_space(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE + 2);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, 0, place(1));
    assert_int_equal(JOB(1, cap_drop, handle(1, 1), FREE), 0);
    assert_int_equal(JOB(1, env_reap, FREE), 0);
    assert_int_equal(frame_type(FREE), EXO_FRAME_DATA);
    assert_int_equal(frame_type(FREE + 2), EXO_FRAME_TABLE);
    assert_int_equal(runs(1), A);
}

static void a_space_takes_its_threads_along(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, 0, place(1));
    GOOD(1, env_regs, handle(1, 1), EXO_REGS_START);
    GOOD(0, cap_derive, handle(0, 1), place(6), 2 * EXO_ROWS, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(2), 0, 0);
    GOOD(1, slice_bind, handle(1, 2), 2 * EXO_ROWS, handle(1, 1));
    host_settle();
    assert_int_equal(runs(2), FREE);
    CALL(1, exit, 0);
    assert_int_equal(runs(2), FREE); /* until somebody reaps */
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(runs(2), 0);
    assert_int_equal(frame_type(FREE), EXO_FRAME_DATA);
}

static void a_read_only_view_is_no_hindrance(void **state) {
    (void)state;
    uint64_t frame;
    people(1);
    tables(0, 0, FREE + 20);
    GOOD(0, page_map, 0, VA, handle(0, 0), A, 3, EXO_PAGE_R);
    CALL(1, exit, 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_true(host_touch(0, VA, false, &frame));
    assert_int_equal(frame, A);
    const uint64_t *words = frame_pointer(A);
    for (unsigned i = 0; i < EXO_FRAME_BYTES / sizeof(*words); i++) assert_int_equal(words[i], 0);
    REFUSED(BUSY, 0, env_create, handle(0, 0), A, A + 1, A + 2, place(6));
}

static void the_reaper_may_change(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    CALL(1, exit, 0);
    CALL(0, env_reap, A);
    CALL(2, env_reap, A);
    CALL(2, env_reap, A);
    CALL(2, exit, 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(JOB(0, env_reap, B), 0);
}

/* init used frames that it got from A, and goes with them. */
static void the_machine_stops_when_a_cut_kills_init(void **state) {
    (void)state;
    assert_int_equal(fixture_boot(state), 0);
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    uint64_t init = info->init_env;
    GOOD(0, cap_derive, EXO_NONE, place(9), A, env_at(A)->gen, 0, 0, 0);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_grant, handle(1, 1), EXO_NONE, place(9), init, env_at(init)->gen);
    GOOD(0, caps_add, handle(0, 9), FREE);
    CALL(1, exit, 0);
    while (host_call(2, exo_call_env_reap, (const uint64_t[7]){A}) == HOST_PROGRAM) {
        assert_int_equal(host_models[2].result.value, EXO_EAGAIN);
        host_settle();
    }
    assert_int_equal(host_models[2].state, HOST_OFF);
    assert_non_null(host_stop_why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(only_the_dying_are_reaped),
        CORE_TEST(nobody_reaps_itself),
        CORE_TEST(all_that_it_was_goes),
        CORE_TEST(it_leaves_its_hart_first),
        CORE_TEST(what_it_made_dies_before_it),
        CORE_TEST(a_thread_goes_without_its_space),
        CORE_TEST(a_space_takes_its_threads_along),
        CORE_TEST(a_read_only_view_is_no_hindrance),
        CORE_TEST(the_reaper_may_change),
        cmocka_unit_test(the_machine_stops_when_a_cut_kills_init),
    };
    return cmocka_run_group_tests_name("reap", tests, NULL, NULL);
}
