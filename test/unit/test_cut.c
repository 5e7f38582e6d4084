/* SPDX-License-Identifier: MIT */
/* Unit tests of revoke, drop and the cut (exo/cut.c). */
#include "fixture.h"

static void drop_shortens_from_the_top(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 8, ALL_RIGHTS, 5, 0);
    uint64_t name = handle(0, 3);
    assert_int_equal(JOB(0, cap_drop, name, FREE + 8), 0);
    assert_int_equal(slot(0, 3)->count, 8);
    assert_int_equal(JOB(0, cap_drop, name, FREE + 3), 0);
    assert_int_equal(slot(0, 3)->count, 3);
    assert_int_equal(slot(0, 3)->keep, 3);
    assert_int_equal(EXO_CAP_STATE(slot(0, 3)->word), EXO_SLOT_LIVE);
    assert_int_equal(handle(0, 3), name);
    assert_int_equal(JOB(0, cap_drop, name, FREE), 0);
    REFUSED(SLOT, 0, cap_drop, name, FREE);
}

static void drop_refuses(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 8, ALL_RIGHTS, 0, 0);
    uint64_t name = handle(0, 3);
    REFUSED(ROOT, 0, cap_drop, handle(0, 0), HOST_RAM_FRAME);
    REFUSED(ROOT, 0, cap_drop, handle(0, 2), 0);
    REFUSED(RANGE, 0, cap_drop, name, FREE - 1);
    REFUSED(RANGE, 0, cap_drop, name, FREE + 9);
    REFUSED(RANGE, 0, cap_drop, name, ~0ul);
    REFUSED(SLOT, 0, cap_drop, name + (1ul << 32), FREE);
    REFUSED(SLOT, 0, cap_drop, place(4), 0);
    REFUSED(SLOT, 0, cap_drop, ~0ul, 0);
    REFUSED(SLOT, 0, cap_drop, EXO_NONE, 0);
}

static void revoke_leaves_the_lender_whole(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 8, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 8, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE + 2, 6, ALL_RIGHTS, 0, 0);
    GOOD(2, cap_derive, EXO_NONE, place(3), A, env_at(A)->gen, 0, 0, 0);
    GOOD(1, cap_derive, handle(1, 1), place(2), FREE + 5, 3, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_grant, handle(1, 2), EXO_NONE, place(3), B, env_at(B)->gen);
    uint64_t lost = handle(2, 3);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE + 4, 0), 0);
    assert_int_equal(slot(0, 6)->count, 8);
    assert_int_equal(slot(1, 0)->count, 4);
    assert_int_equal(slot(1, 1)->count, 2);
    /* B's is a tombstone with its old name, which B clears. */
    assert_int_equal(EXO_CAP_STATE(slot(2, 3)->word), EXO_SLOT_LOST);
    REFUSED(SLOT, 2, cap_derive, lost, place(4), FREE + 5, 1, 1, 0, 0);
    GOOD(2, cap_drop, lost, 0);
    REFUSED(SLOT, 2, cap_drop, lost, 0);
}

static void revoke_refuses(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 8, ALL_RIGHTS, 4, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 4, ALL_RIGHTS, 2, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    uint64_t name = handle(0, 6);
    REFUSED(RANGE, 0, cap_revoke, name, FREE - 1, 0);
    REFUSED(RANGE, 0, cap_revoke, name, FREE + 9, 0);
    REFUSED(RANGE, 0, cap_revoke, name, ~0ul, 0);
    REFUSED(SLOT, 0, cap_revoke, name + (1ul << 32), FREE, 0);
    REFUSED(SLOT, 0, cap_revoke, place(8), FREE, 0);
    REFUSED(KEEP, 0, cap_revoke, name, FREE + 1, 0);
    /* A promise is in the way of what is only announced too. */
    REFUSED(KEEP, 0, cap_revoke, name, FREE + 1, host_time + 1);
    REFUSED(KEEP, 0, cap_revoke, name, FREE + 1, ~0ul);
    REFUSED(KEEP, 0, cap_drop, name, FREE);
    assert_int_equal(JOB(0, cap_revoke, name, FREE + 2, 0), 0);
    assert_int_equal(slot(1, 0)->count, 2);
}

static void a_dying_holder_has_no_promise(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 8, ALL_RIGHTS, 4, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 4, ALL_RIGHTS, 4, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    REFUSED(KEEP, 0, cap_revoke, handle(0, 6), FREE, 0);
    CALL(1, exit, 0);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE, 0), 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

static void a_cut_takes_mappings_and_tables(void **state) {
    (void)state;
    uint64_t frame;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 16, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 16, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    lend(A_SLOT, 1, FREE + 20, 4, ALL_RIGHTS, 0);
    GOOD(1, table_link, EXO_SELF, VA, 2, handle(1, 1), FREE + 20);
    GOOD(1, table_link, EXO_SELF, VA, 1, handle(1, 0), FREE + 15);
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), FREE, 10, EXO_PAGE_R | EXO_PAGE_W);
    GOOD(1, page_map, EXO_SELF, VA + 0x10000, handle(1, 1), FREE + 22, 1, EXO_PAGE_R);
    assert_true(host_touch(1, VA + 0x9000, true, &frame));
    assert_int_equal(frame, FREE + 9);
    /* The leaf TABLE lies in the tail, so all that is below it goes, whosever it is. */
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE + 12, 0), 0);
    assert_false(host_touch(1, VA + 0x9000, false, &frame));
    assert_int_equal(frame_type(FREE + 15), EXO_FRAME_DATA);
    for (uint64_t i = 0; i < 24; i++)
        assert_true(*frame_word(FREE + i) == 0 || FREE + i == FREE + 20);
}

static void a_large_leaf_goes_whole(void **state) {
    (void)state;
    uint64_t frame;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), GROUP(2), 512, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), GROUP(2), 512, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    lend(A_SLOT, 1, FREE + 20, 4, ALL_RIGHTS, 0);
    GOOD(1, table_link, EXO_SELF, VA, 2, handle(1, 1), FREE + 20);
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), GROUP(2), 1, EXO_PAGE_R | EXO_MAP_LARGE);
    assert_true(host_touch(1, VA + 0x5000, false, &frame));
    assert_int_equal(frame, GROUP(2) + 5);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), GROUP(2) + 511, 0), 0);
    assert_false(host_touch(1, VA + 0x5000, false, &frame));
    assert_int_equal(slot(1, 0)->count, 511);
}

static void what_is_cut_half_way_stays_usable(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 2, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 4, ALL_RIGHTS, 2, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    lend(A_SLOT, 1, FREE + 20, 8, ALL_RIGHTS, 0);
    tables(1, 1, FREE + 20);
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), FREE + 2, 1, EXO_PAGE_R);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE + 2, 0).value, EXO_EAGAIN);
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_CUTTING);
    GOOD(1, page_map, EXO_SELF, VA + 0x1000, handle(1, 0), FREE + 1, 1, EXO_PAGE_R);
    REFUSED(RANGE, 1, page_map, EXO_SELF, VA + 0x2000, handle(1, 0), FREE + 2, 1, EXO_PAGE_R);
    REFUSED(SLOT, 1, cap_derive, handle(1, 0), place(2), FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 1, cap_grant, handle(1, 0), EXO_NONE, place(2), 0, 0);
    REFUSED(SLOT, 1, cap_revoke, handle(1, 0), FREE, 0);
    /* Its holder may end what the author has left. */
    assert_int_equal(JOB(1, cap_drop, handle(1, 0), FREE + 2), 0);
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_LIVE);
}

static void a_drop_goes_on_after_another_cut(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    lend(A_SLOT, 1, FREE + 20, 8, ALL_RIGHTS, 0);
    tables(1, 1, FREE + 20);
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), FREE + 2, 1, EXO_PAGE_R);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE + 2, 0).value, EXO_EAGAIN);
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_CUTTING);
    assert_int_equal(JOB(1, cap_drop, handle(1, 0), FREE), 0);
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_EMPTY);
}

/* A revocation of init's slot 6 that stands at its 65th child; returns that child. */
static const struct exo_cap *walk_half_way(void) {
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 80, ALL_RIGHTS, 0, 0);
    for (uint64_t table = 1; table <= 3; table++)
        GOOD(0, caps_add, handle(0, 0), FREE + 200 + table);
    for (uint64_t i = 0; i < 75; i++)
        GOOD(0, cap_derive, handle(0, 6), place(32 + i / 31 * 32 + i % 31 + 1), FREE, 1 + i % 3,
             ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(32 + 64 + 20), FREE + 70, 10, ALL_RIGHTS, 0, 0);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE + 40, 0).value, EXO_EAGAIN);
    assert_int_equal(slot(0, 6)->pass, EXO_PASS_CUT);
    return cap_at(slot(0, 6)->walk);
}

static void walk_goes_on(void) {
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE + 40, 0), 0);
    assert_int_equal(EXO_CAP_STATE(slot(0, 32 + 64 + 20)->word), EXO_SLOT_LOST);
}

static void a_walk_follows_a_child_that_moves(void **state) {
    (void)state;
    const struct exo_cap *at = walk_half_way();
    GOOD(0, cap_grant, cap_handle(at), EXO_NONE, place(8), 0, 0);
    assert_ptr_equal(cap_at(slot(0, 6)->walk), slot(0, 8));
    walk_goes_on();
    assert_int_equal(EXO_CAP_STATE(slot(0, 8)->word), EXO_SLOT_LIVE);
}

static void a_walk_leaves_a_child_that_goes(void **state) {
    (void)state;
    const struct exo_cap *at = walk_half_way();
    assert_int_equal(JOB(0, cap_drop, cap_handle(at), at->first), 0);
    assert_ptr_not_equal(cap_at(slot(0, 6)->walk), at);
    walk_goes_on();
}

static void a_walk_begins_again_for_a_new_child(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 80, ALL_RIGHTS, 80, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE + 60, 4, ALL_RIGHTS, 0, 0);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE + 40, 0).value, EXO_EAGAIN);
    GOOD(0, cap_derive, handle(0, 6), place(9), FREE + 60, 4, ALL_RIGHTS, 0, 0);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE + 40, 0), 0);
    assert_int_equal(EXO_CAP_STATE(slot(0, 9)->word), EXO_SLOT_LOST);
    /* ... even if it is promised, which ends the revocation. */
    GOOD(0, cap_derive, handle(0, 6), place(8), FREE + 60, 4, ALL_RIGHTS, 0, 0);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE + 40, 0).value, EXO_EAGAIN);
    GOOD(0, cap_derive, handle(0, 6), place(10), FREE + 60, 4, ALL_RIGHTS, 4, 0);
    REFUSED(KEEP, 0, cap_revoke, handle(0, 6), FREE + 40, 0);
}

static void a_revoked_environment_name_is_of_no_use(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, B_SLOT), place(6), B, 1, 7, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), B, 1, 7, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    GOOD(1, cap_derive, handle(1, 0), place(1), B, 1, 7, 0, 0);
    assert_int_equal(CALL(0, cap_revoke, handle(0, 6), B, 0).value, EXO_EAGAIN);
    assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_CUTTING);
    REFUSED(RIGHTS, 1, env_regs, handle(1, 0), EXO_REGS_STOP);
    REFUSED(RIGHTS, 1, page_unmap, handle(1, 0), VA, 1, 0);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), B, 0), 0);
    REFUSED(SLOT, 1, env_regs, handle(1, 0), EXO_REGS_STOP);
    assert_int_equal(runs(2), B);
}

static void a_cut_ends_what_was_made_of_its_frames(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, FREE + 2, place(1));
    struct result result = CALL(0, cap_revoke, handle(0, 6), FREE, 0);
    while (result.value == EXO_EAGAIN) result = CALL(0, cap_revoke, handle(0, 6), FREE, 0);
    assert_int_equal(result.value, EXO_EREAP);
    assert_int_equal(result.detail, FREE);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE, 0), 0);
    assert_int_equal(frame_type(FREE), EXO_FRAME_DATA);
    assert_int_equal(EXO_CAP_STATE(slot(1, 1)->word), EXO_SLOT_LOST);
}

static void no_call_kills_its_caller(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 4, ALL_RIGHTS, 0);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE, 2, ALL_RIGHTS, 0, 0);
    GOOD(1, caps_add, handle(1, 1), FREE);
    assert_int_equal(JOB(1, cap_drop, handle(1, 1), FREE), EXO_ESELF);
    assert_int_equal(JOB(1, cap_revoke, handle(1, 0), FREE, 0), EXO_ESELF);
    assert_int_equal(runs(1), A);
    GOOD(1, caps_del, FREE);
    assert_int_equal(JOB(1, cap_drop, handle(1, 1), FREE), 0);
}

static void a_cut_unbinds_rows(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, 1), place(6), EXO_ROWS + 1, 2, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), EXO_ROWS + 1, 2, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    GOOD(1, slice_bind, handle(1, 0), EXO_ROWS + 1, EXO_SELF);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), EXO_ROWS + 1, 0), 0);
    assert_int_equal(slice_row(EXO_ROWS + 1)->env, 0);
    assert_int_equal(runs(1), A); /* in its other row */
}

/* A holder with the same frames twice puts other tables behind the sweep, at each level. */
static void tables_that_change_behind_the_sweep(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    lend(A_SLOT, 1, FREE, 8, ALL_RIGHTS, 0);
    lend(A_SLOT, 2, FREE + 20, 8, ALL_RIGHTS, 0);
    GOOD(1, table_link, 0, VA, 2, handle(1, 2), FREE + 20);
    GOOD(1, table_link, 0, VA, 1, handle(1, 0), FREE);
    GOOD(1, page_map, 0, VA + 300 * 4096, handle(1, 2), FREE + 21, 1, EXO_PAGE_R);
    uint64_t lent = handle(1, 0);
    for (int step = 0; step < 2; step++)
        assert_int_equal(CALL(1, cap_drop, lent, FREE).value, EXO_EAGAIN);
    GOOD(1, page_unmap, 0, VA + 300 * 4096, 1, 0);
    REFUSED(CLOSING, 1, table_unlink, 0, VA, 1);
    JOB(1, cap_drop, lent, FREE);

    /* The first table is none of the range, so it may go: the second one is, and has entries behind. */
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    lent = handle(1, 0);
    GOOD(1, table_link, 0, VA, 1, handle(1, 2), FREE + 22);
    GOOD(1, page_map, 0, VA + 300 * 4096, handle(1, 2), FREE + 21, 1, EXO_PAGE_R);
    GOOD(1, page_map, 0, VA + 4096, handle(1, 0), FREE + 3, 1, EXO_PAGE_R);
    for (int step = 0; step < 2; step++)
        assert_int_equal(CALL(1, cap_drop, lent, FREE).value, EXO_EAGAIN);
    GOOD(1, page_unmap, 0, VA + 300 * 4096, 1, 0);
    GOOD(1, table_unlink, 0, VA, 1);
    GOOD(1, table_link, 0, VA, 1, handle(1, 1), FREE + 1);
    GOOD(1, page_map, 0, VA, handle(1, 2), FREE + 21, 1, EXO_PAGE_R);
    JOB(1, cap_drop, lent, FREE);
    assert_int_equal(frame_type(FREE + 1), EXO_FRAME_DATA);
}

static void the_author_may_die(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    GOOD(2, cap_derive, EXO_NONE, place(0), A, env_at(A)->gen, 0, 0, 0);
    lend(B_SLOT, 1, FREE + 20, 8, ALL_RIGHTS, 0);
    tables(2, 1, FREE + 20);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE, 8, ALL_RIGHTS, 0, 0);
    GOOD(1, cap_grant, handle(1, 1), EXO_NONE, place(0), B, env_at(B)->gen);
    GOOD(2, page_map, EXO_SELF, VA, handle(2, 0), FREE, 8, EXO_PAGE_R);
    assert_int_equal(CALL(1, cap_revoke, handle(1, 0), FREE, 0).value, EXO_EAGAIN);
    assert_int_equal(EXO_CAP_STATE(slot(2, 0)->word), EXO_SLOT_CUTTING);
    CALL(1, exit, 0);
    /* What A had lent dies with it, and so the cut ends. */
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(EXO_CAP_STATE(slot(2, 0)->word), EXO_SLOT_LOST);
    assert_int_equal(*frame_word(FREE), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(drop_shortens_from_the_top),
        CORE_TEST(drop_refuses),
        CORE_TEST(revoke_leaves_the_lender_whole),
        CORE_TEST(revoke_refuses),
        CORE_TEST(a_dying_holder_has_no_promise),
        CORE_TEST(a_cut_takes_mappings_and_tables),
        CORE_TEST(a_large_leaf_goes_whole),
        CORE_TEST(what_is_cut_half_way_stays_usable),
        CORE_TEST(a_drop_goes_on_after_another_cut),
        CORE_TEST(a_walk_follows_a_child_that_moves),
        CORE_TEST(a_walk_leaves_a_child_that_goes),
        CORE_TEST(a_walk_begins_again_for_a_new_child),
        CORE_TEST(a_revoked_environment_name_is_of_no_use),
        CORE_TEST(a_cut_ends_what_was_made_of_its_frames),
        CORE_TEST(no_call_kills_its_caller),
        CORE_TEST(a_cut_unbinds_rows),
        CORE_TEST(tables_that_change_behind_the_sweep),
        CORE_TEST(the_author_may_die),
    };
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
