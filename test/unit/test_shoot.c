/* SPDX-License-Identifier: MIT */
/* Unit tests of ENTER and SHOOT, with harts that stop half-way (exo/shoot.c). */
#include "fixture.h"

#define RW (EXO_PAGE_R | EXO_PAGE_W)

/*
 * A with pages at VA, off its hart but READY; B, of the same ASID, on hart 2
 * holds A's first capability in slot 7, and init on hart 0 one of its own in
 * slot 6.
 */
static void people_of_one_asid(void) {
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 2, 4, RW);
    assert_int_equal(env_at(A)->asid, env_at(B)->asid);
    assert_int_not_equal(env_at(A)->asid, env_at(info->init_env)->asid);
    GOOD(0, cap_grant, handle(0, A_SLOT), handle(0, B_SLOT), place(7), 0, 0);
    GOOD(2, cap_derive, handle(2, 7), place(8), A, 1, 7, 0, 0);
    GOOD(0, cap_derive, EXO_NONE, place(6), B, env_at(B)->gen, 0, 0, 0);
    GOOD(2, cap_grant, handle(2, 8), EXO_NONE, place(6), info->init_env,
         env_at(info->init_env)->gen);
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(runs(1), 0);
}

static bool reaches(uint64_t hart, uint64_t va) {
    uint64_t frame;
    return host_touch(hart, va, false, &frame);
}

/* init gives hart 0 to A; the hart stops `steps` places after the first at which it can. */
static void yield_to_a(unsigned steps) {
    host_split = true;
    host_call(0, EXO_CALL_yield, (const uint64_t[7]){handle(0, 6)});
    while (steps-- && host_models[0].state == HOST_PAUSED) host_continue(0);
    host_split = false;
    walk_is_good();
}

/* A gives it back. */
static void yield_back(void) {
    assert_int_equal(runs(0), A);
    host_call(0, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    walk_is_good();
    assert_int_equal(runs(0), info->init_env);
}

static void go_on(uint64_t hart) {
    while (host_models[hart].state == HOST_PAUSED) {
        host_continue(hart);
        walk_is_good();
    }
}

static void an_unmap_reaches_every_hart(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 2, 4, RW);
    assert_true(reaches(1, VA));
    GOOD(0, page_unmap, handle(0, A_SLOT), VA, 1, 0);
    assert_false(reaches(1, VA));
    GOOD(0, page_map, handle(0, A_SLOT), VA + 0x1000, handle(1, 0), FREE + 6, 1,
         RW | EXO_MAP_REPLACE);
    uint64_t frame;
    assert_true(host_touch(1, VA + 0x1000, true, &frame));
    assert_int_equal(frame, FREE + 6);
}

static void spaces_of_one_asid_do_not_mix(void **state) {
    (void)state;
    people_of_one_asid();
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 1, handle(0, B_SLOT));
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 2, handle(0, 6));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    host_settle();
    for (unsigned turn = 0; turn < 4; turn++) {
        bool a = runs(1) == A;
        assert_int_equal(runs(1), a ? A : B);
        assert_int_equal(reaches(1, VA), a);
        assert_int_equal(reaches(1, VA + 0x1000), a);
        host_call(1, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
        walk_is_good();
        assert_int_not_equal(runs(1), a ? A : B);
    }
}

/* While a hart is in the kernel its table walker may still run ahead through the root in satp. */
static void what_is_walked_during_enter_is_forgotten(void **state) {
    (void)state;
    people_of_one_asid();
    GOOD(0, cap_derive, handle(0, 1), place(9), EXO_ROWS + 1, 2, EXO_SLICE_BIND, 0, 0);
    GOOD(0, slice_bind, handle(0, 9), EXO_ROWS + 1, handle(0, 6));
    host_settle();
    assert_int_equal(runs(1), A);
    GOOD(0, slice_bind, handle(0, 9), EXO_ROWS + 2, handle(0, B_SLOT));
    assert_int_equal(JOB(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND), 0);
    assert_int_equal(runs(1), A);
    host_split = true;
    host_call(1, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    unsigned pauses = 0;
    for (; host_models[1].state == HOST_PAUSED; pauses++) {
        reaches(1, VA);
        reaches(1, VA + EXO_FRAME_BYTES);
        host_continue(1);
        walk_is_good();
    }
    host_split = false;
    assert_true(pauses > 1);
    assert_int_equal(runs(1), B);
    assert_false(reaches(1, VA));
    assert_false(reaches(1, VA + EXO_FRAME_BYTES));
}

static void a_change_during_enter_is_seen(void **state) {
    (void)state;
    people_of_one_asid();
    yield_to_a(9);
    for (uint64_t page = 0; page < 4; page++) assert_true(reaches(0, VA + page * EXO_FRAME_BYTES));
    yield_back();
    for (unsigned steps = 0; steps < 4; steps++) {
        yield_to_a(steps);
        GOOD(2, page_unmap, handle(2, 7), VA + steps * EXO_FRAME_BYTES, 1, 0);
        go_on(0);
        assert_false(reaches(0, VA + steps * EXO_FRAME_BYTES));
        yield_back();
    }
}

static void a_change_while_away_is_seen(void **state) {
    (void)state;
    people_of_one_asid();
    yield_to_a(9);
    assert_true(reaches(0, VA));
    yield_back();
    GOOD(2, page_unmap, handle(2, 7), VA, 1, 0);
    yield_to_a(9);
    assert_false(reaches(0, VA));
    assert_true(reaches(0, VA + EXO_FRAME_BYTES));
}

static void who_dies_during_enter_is_not_reaped(void **state) {
    (void)state;
    for (unsigned steps = 0; steps < 3; steps++) {
        people_of_one_asid();
        yield_to_a(steps);
        bool paused = host_models[0].state == HOST_PAUSED;
        while (CALL(2, cap_drop, handle(2, 7), A).value == EXO_EAGAIN) {
        }
        assert_true(*frame_state(A) & EXO_FLAG_KILL);
        for (unsigned i = 0; i < 4 && paused; i++)
            assert_int_equal(CALL(2, env_reap, A).value, EXO_EAGAIN);
        assert_int_equal(frame_type(A + 2), EXO_FRAME_ROOT);
        go_on(0);
        assert_int_equal(JOB(2, env_reap, A), 0);
        assert_int_equal(runs(0), info->init_env);
        assert_int_equal(fixture_end(state), 0);
        assert_int_equal(fixture_boot(state), 0);
    }
}

static void a_new_space_sees_nothing_of_a_dead_one(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 2, 1, RW);
    assert_true(reaches(1, VA));
    CALL(1, exit, 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
    GOOD(0, cap_drop, handle(0, A_SLOT), 0);
    people(1); /* the same root frame and so the same ASID */
    assert_false(reaches(1, VA));
    assert_false(reaches(1, EXO_VA_INIT));
}

static void an_idle_hart_is_in_no_space(void **state) {
    (void)state;
    people(1);
    host_split = true;
    CALL(1, exit, 0);
    assert_int_equal(host_models[1].state, HOST_PAUSED); /* about to load the kernel's root */
    assert_int_equal(CALL(0, env_reap, A).value, EXO_EAGAIN);
    assert_int_equal(CALL(0, env_reap, A).value, EXO_EAGAIN);
    host_split = false;
    go_on(1);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    assert_int_equal(harts[1]->active, 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(an_unmap_reaches_every_hart),
        CORE_TEST(spaces_of_one_asid_do_not_mix),
        CORE_TEST(what_is_walked_during_enter_is_forgotten),
        CORE_TEST(a_change_during_enter_is_seen),
        CORE_TEST(a_change_while_away_is_seen),
        CORE_TEST(who_dies_during_enter_is_not_reaped),
        CORE_TEST(a_new_space_sees_nothing_of_a_dead_one),
        CORE_TEST(an_idle_hart_is_in_no_space),
    };
    return cmocka_run_group_tests_name("shoot", tests, NULL, NULL);
}
