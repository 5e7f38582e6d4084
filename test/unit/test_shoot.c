/* SPDX-License-Identifier: MIT */
/* Unit tests of ENTER and SHOOT, with harts that stop half-way (exo/shoot.c). */
#include "fixture.h"

#define RW (EXO_PAGE_R | EXO_PAGE_W)

/* A with a page at VA, and B, both with the ASID of the other. */
static void people_of_one_asid(void)
{
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 0), FREE + 2, 4, RW);
    assert_int_equal(env_at(A)->asid, env_at(B)->asid);
}

static bool reaches(uint64_t hart, uint64_t va)
{
    uint64_t frame;
    return host_touch(hart, va, false, &frame);
}

/* init's yield to A on hart 0, after which A has no hart of its own; stops at the first place where it can. */
static void yield_to_a(void)
{
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS, EXO_UNBIND);
    assert_int_equal(runs(1), A);
    host_settle();
    assert_int_equal(runs(1), 0);
    host_split = true;
    host_call(0, EXO_CALL_yield, (const uint64_t[7]){handle(0, A_SLOT)});
    assert_int_equal(host_models[0].state, HOST_PAUSED);
    walk_is_good();
}

static void go_on(uint64_t hart)
{
    while (host_models[hart].state == HOST_PAUSED) {
        host_continue(hart);
        walk_is_good();
    }
}

static void an_unmap_reaches_every_hart(void **state)
{
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

static void spaces_of_one_asid_do_not_mix(void **state)
{
    (void)state;
    people_of_one_asid();
    assert_true(reaches(1, VA));
    /* B takes hart 1 from A: nothing of A is left there. */
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS + 1, handle(0, B_SLOT));
    GOOD(0, slice_bind, handle(0, 1), 2 * EXO_ROWS, EXO_UNBIND);
    host_settle();
    assert_int_equal(runs(2), 0);
    host_call(1, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    assert_int_equal(runs(1), B);
    assert_false(reaches(1, VA));
    host_call(1, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    assert_int_equal(runs(1), A);
    assert_true(reaches(1, VA));
}

static void a_change_during_enter_is_seen(void **state)
{
    (void)state;
    people_of_one_asid();
    /* Once before, so that hart 0 knows A's translations, and 2 for what changes them. */
    yield_to_a();
    go_on(0);
    host_split = false;
    assert_int_equal(runs(0), A);
    assert_true(reaches(0, VA));
    assert_true(reaches(0, VA + 0x1000));
    GOOD(0, cap_derive, EXO_NONE, place(5), info->init_env, env_at(info->init_env)->gen, 0, 0, 0);
    host_call(0, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    assert_int_equal(runs(0), info->init_env);
    GOOD(0, cap_derive, handle(0, A_SLOT), place(7), A, 1, 7, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, B_SLOT), place(7), 0, 0);
    for (unsigned steps = 0; steps < 3; steps++) {
        host_split = true;
        host_call(0, EXO_CALL_yield, (const uint64_t[7]){handle(0, A_SLOT)});
        for (unsigned i = 0; i < steps && host_models[0].state == HOST_PAUSED; i++)
            host_continue(0);
        GOOD(2, page_unmap, handle(2, 7), VA + steps * 0x1000, 1, 0);
        go_on(0);
        host_split = false;
        assert_int_equal(runs(0), A);
        assert_false(reaches(0, VA + steps * 0x1000));
        host_call(0, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
        assert_int_equal(runs(0), info->init_env);
    }
    GOOD(0, cap_drop, handle(1 - 1, A_SLOT), A);
}

static void a_leader_that_dies_during_enter(void **state)
{
    (void)state;
    people_of_one_asid();
    yield_to_a();
    GOOD(2, debug_write, 0, 0, 0, 0) == 0 ? (void)0 : (void)0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(an_unmap_reaches_every_hart),
        CORE_TEST(spaces_of_one_asid_do_not_mix),
        CORE_TEST(a_change_during_enter_is_seen),
        CORE_TEST(a_leader_that_dies_during_enter),
    };
    return cmocka_run_group_tests_name("shoot", tests, NULL, NULL);
}
