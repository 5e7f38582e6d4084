/* SPDX-License-Identifier: MIT */
/* Unit tests of derive, grant, open slots and CAPS frames (exo/cap.c). */
#include "fixture.h"

static void derive_lends_a_part(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 8, EXO_PAGE_R | EXO_PAGE_W, 4, 0);
    GOOD(0, cap_derive, handle(0, 3), place(4), FREE + 2, 2, EXO_PAGE_R, 2, 0);
    assert_int_equal(slot(0, 4)->first, FREE + 2);
    assert_int_equal(slot(0, 4)->count, 2);
    assert_int_equal(slot(0, 4)->keep, 2);
    assert_int_equal(slot(0, 4)->depth, 2);
    assert_int_equal(slot(0, 4)->parent, cap_link(slot(0, 3)));
    assert_int_equal(EXO_CAP_RIGHTS(slot(0, 4)->word), EXO_PAGE_R);
}

static void derive_refuses(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 8, EXO_PAGE_R | EXO_PAGE_W, 4, 0);
    uint64_t from = handle(0, 3), into = place(4);
    REFUSED(SLOT, 0, cap_derive, from + (1ul << 32), into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from - (1ul << 32), into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from | 1ul << 63, into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, place(5), into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, place(32 + 1), into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, ~0ul, into, FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from, place(3), FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from, place(16), FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from, place(32 + 1), FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, from, ~0ul, FREE, 1, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, FREE, 0, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, FREE, 9, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, FREE - 1, 2, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, FREE + 8, 1, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, FREE + 1, ~0ul, 1, 0, 0);
    REFUSED(RANGE, 0, cap_derive, from, into, ~0ul, 2, 1, 0, 0);
    REFUSED(RIGHTS, 0, cap_derive, from, into, FREE, 1, 0, 0, 0);
    REFUSED(RIGHTS, 0, cap_derive, from, into, FREE, 1, EXO_PAGE_X, 0, 0);
    REFUSED(RIGHTS, 0, cap_derive, from, into, FREE, 1, ~0ul, 0, 0);
    REFUSED(KEEP, 0, cap_derive, from, into, FREE, 1, 1, 2, 0);
    REFUSED(KEEP, 0, cap_derive, from, into, FREE + 2, 4, 1, 3, 0);
    REFUSED(KEEP, 0, cap_derive, from, into, FREE, 1, 1, ~0ul, 0);
}

static void derive_stops_at_the_depth(void **state) {
    (void)state;
    GOOD(0, caps_add, handle(0, 0), FREE + 50);
    uint64_t last = 0;
    for (uint64_t depth = 1; depth <= EXO_DEPTH_MAX; depth++) {
        uint64_t next = depth <= 31 ? 32 + depth : 3;
        GOOD(0, cap_derive, handle(0, last), place(next), FREE, 3, ALL_RIGHTS, 0, 0);
        last = next;
    }
    REFUSED(DEPTH, 0, cap_derive, handle(0, last), place(4), FREE, 1, 1, 0, 0);
    REFUSED(DEPTH, 0, caps_add, handle(0, last), FREE);
    REFUSED(DEPTH, 0, env_create, handle(0, 32 + 31), FREE, FREE + 1, FREE + 2, place(4));
}

static void rows_are_lent_once(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 1), place(3), 10, 4, EXO_SLICE_BIND, 0, 0);
    REFUSED(OVERLAP, 0, cap_derive, handle(0, 1), place(4), 13, 2, EXO_SLICE_BIND, 0, 0);
    REFUSED(OVERLAP, 0, cap_derive, handle(0, 1), place(4), 8, 3, EXO_SLICE_BIND, 0, 0);
    REFUSED(OVERLAP, 0, slice_bind, handle(0, 1), 12, EXO_SELF);
    REFUSED(RANGE, 0, cap_derive, handle(0, 1), place(4), 3 * EXO_ROWS, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_derive, handle(0, 1), place(4), 14, 2, EXO_SLICE_BIND, 0, 0);
    assert_int_equal(JOB(0, cap_drop, handle(0, 3), 12), 0);
    GOOD(0, cap_derive, handle(0, 1), place(5), 12, 2, EXO_SLICE_BIND, 0, 0);
}

static void events_are_a_subset(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, A_SLOT), place(6), A, 1, EXO_ENV_CALL, 0, 0xf0);
    REFUSED(RIGHTS, 0, cap_derive, handle(0, 6), place(7), A, 1, EXO_ENV_CALL, 0, 0xf8);
    GOOD(0, cap_derive, handle(0, 6), place(7), A, 1, EXO_ENV_CALL, 0, 0x30);
    assert_int_equal(slot(0, 7)->extra, 0x30);
    REFUSED(RIGHTS, 0, cap_derive, handle(0, A_SLOT), place(8), A, 1, EXO_ENV_CALL, 0, 1ul << 60);
    REFUSED(RANGE, 0, cap_derive, handle(0, A_SLOT), place(8), A + 1, 1, EXO_ENV_CALL, 0, 0);
}

static void grant_moves_the_entry(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 2, 0);
    uint64_t old = handle(0, 6);
    GOOD(0, cap_grant, old, handle(0, A_SLOT), place(3), 0, 0);
    assert_int_equal(slot(1, 3)->first, FREE);
    assert_int_equal(slot(1, 3)->keep, 2);
    assert_int_equal(slot(1, 3)->parent, cap_link(slot(0, 0)));
    assert_int_equal(EXO_CAP_STATE(slot(0, 6)->word), EXO_SLOT_EMPTY);
    REFUSED(SLOT, 0, cap_grant, old, handle(0, A_SLOT), place(4), 0, 0);
}

static void grant_refuses(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 2, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, A_SLOT), place(8), A, 1, EXO_ENV_CALL, 0, 0);
    uint64_t to = handle(0, A_SLOT), what = handle(0, 7);
    REFUSED(ROOT, 0, cap_grant, handle(0, 0), to, place(3), 0, 0);
    REFUSED(CHILDREN, 0, cap_grant, handle(0, 6), to, place(3), 0, 0);
    REFUSED(SLOT, 0, cap_grant, what + (1ul << 32), to, place(3), 0, 0);
    REFUSED(SLOT, 0, cap_grant, what, to + (1ul << 32), place(3), 0, 0);
    REFUSED(CLASS, 0, cap_grant, what, handle(0, 1), place(3), 0, 0);
    REFUSED(SLOT, 0, cap_grant, what, to, place(16), 0, 0);
    REFUSED(SLOT, 0, cap_grant, what, to, place(32 + 1), 0, 0);
    REFUSED(NOTOPEN, 0, cap_grant, what, handle(0, 8), place(3), 0, 0);
    REFUSED(NOTOPEN, 0, cap_grant, what, EXO_NONE, place(3), A, env_at(A)->gen);
    REFUSED(ENV, 0, cap_grant, what, EXO_NONE, place(3), A, env_at(A)->gen + 1);
    REFUSED(ENV, 0, cap_grant, what, EXO_NONE, place(3), A + 1, 0);
    REFUSED(ENV, 0, cap_grant, what, EXO_NONE, place(3), NEVER, 0);
    REFUSED(ENV, 0, cap_grant, what, EXO_NONE, place(3), ~0ul, 0);
    REFUSED(SLOT, 0, cap_grant, what, EXO_NONE, place(7), 0, 0);
    GOOD(0, cap_grant, what, to, place(3), 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 1, ALL_RIGHTS, 0, 0);
    REFUSED(SLOT, 0, cap_grant, handle(0, 7), to, place(3), 0, 0);
}

static void an_open_slot_takes_from_one_only(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 4, ALL_RIGHTS, 0);
    lend(B_SLOT, 0, FREE + 4, 4, ALL_RIGHTS, 0);
    GOOD(1, cap_derive, handle(1, 0), place(1), FREE, 1, ALL_RIGHTS, 0, 0);
    GOOD(2, cap_derive, handle(2, 0), place(1), FREE + 4, 1, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, EXO_NONE, place(9), A, env_at(A)->gen, 0, 0, 0);
    uint64_t init = info->init_env, generation = env_at(init)->gen;
    REFUSED(NOTOPEN, 2, cap_grant, handle(2, 1), EXO_NONE, place(9), init, generation);
    REFUSED(NOTOPEN, 1, cap_grant, handle(1, 1), EXO_NONE, place(10), init, generation);
    REFUSED(SLOT, 0, cap_derive, handle(0, 0), place(9), FREE, 1, 1, 0, 0);
    GOOD(1, cap_grant, handle(1, 1), EXO_NONE, place(9), init, generation);
    assert_int_equal(slot(0, 9)->parent, cap_link(slot(1, 0)));
}

static void open_refuses(void **state) {
    (void)state;
    people(1);
    uint64_t generation = env_at(A)->gen;
    REFUSED(ENV, 0, cap_derive, EXO_NONE, place(9), A, generation + 1, 0, 0, 0);
    REFUSED(ENV, 0, cap_derive, EXO_NONE, place(9), A + 1, generation, 0, 0, 0);
    REFUSED(ENV, 0, cap_derive, EXO_NONE, place(9), NEVER, generation, 0, 0, 0);
    REFUSED(ENV, 0, cap_derive, EXO_NONE, place(9), ~0ul, generation, 0, 0, 0);
    REFUSED(SLOT, 0, cap_derive, EXO_NONE, place(0), A, generation, 0, 0, 0);
    REFUSED(SLOT, 0, cap_derive, EXO_NONE, place(16), A, generation, 0, 0, 0);
    REFUSED(SLOT, 0, cap_derive, EXO_NONE, place(9), 0, 0, 0, 0, 0);
    GOOD(0, cap_derive, EXO_NONE, place(9), A, generation, 0, 0, 0);
    REFUSED(SLOT, 0, cap_derive, EXO_NONE, place(9), A, generation, 0, 0, 0);
    REFUSED(SLOT, 0, cap_drop, handle(0, 9), 0);
    GOOD(0, cap_derive, EXO_NONE, place(9), 0, 0, 0, 0, 0);
}

static void what_is_bound_is_not_given_away(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    lend(A_SLOT, 1, FREE + 20, 4, ALL_RIGHTS, 0);
    tables(1, 1, FREE + 20);
    GOOD(2, cap_derive, EXO_NONE, place(3), A, env_at(A)->gen, 0, 0, 0);
    uint64_t generation = env_at(B)->gen;
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), FREE + 7, 1, EXO_PAGE_R);
    REFUSED(BUSY, 1, cap_grant, handle(1, 0), EXO_NONE, place(3), B, generation);
    GOOD(1, page_unmap, EXO_SELF, VA, 1, 0);
    /* A TABLE in the names binds them too. */
    REFUSED(BUSY, 1, cap_grant, handle(1, 1), EXO_NONE, place(3), B, generation);
    GOOD(1, caps_add, handle(1, 0), FREE);
    REFUSED(CHILDREN, 1, cap_grant, handle(1, 0), EXO_NONE, place(3), B, generation);
    GOOD(1, caps_del, FREE);
    GOOD(1, cap_grant, handle(1, 0), EXO_NONE, place(3), B, generation);
}

static void what_the_parent_keeps_is_given_at_once(void **state) {
    (void)state;
    people(2);
    lend(A_SLOT, 0, FREE, 8, ALL_RIGHTS, 0);
    lend(A_SLOT, 1, FREE + 20, 4, ALL_RIGHTS, 0);
    tables(1, 1, FREE + 20);
    GOOD(1, page_map, EXO_SELF, VA, handle(1, 0), FREE, 1, EXO_PAGE_R);
    GOOD(1, cap_derive, handle(1, 0), place(2), FREE, 1, ALL_RIGHTS, 0, 0);
    GOOD(2, cap_derive, EXO_NONE, place(3), A, env_at(A)->gen, 0, 0, 0);
    GOOD(1, cap_grant, handle(1, 2), EXO_NONE, place(3), B, env_at(B)->gen);
    uint64_t frame;
    assert_true(host_touch(1, VA, false, &frame));
}

static void a_bound_row_is_not_given_away(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 1), place(6), 2 * EXO_ROWS, 2, EXO_SLICE_BIND, 0, 0);
    GOOD(0, slice_bind, handle(0, 6), 2 * EXO_ROWS + 1, EXO_SELF);
    REFUSED(BUSY, 0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(3), 0, 0);
    GOOD(0, slice_bind, handle(0, 6), 2 * EXO_ROWS + 1, EXO_UNBIND);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(3), 0, 0);
    GOOD(1, slice_bind, handle(1, 3), 2 * EXO_ROWS + 1, EXO_SELF);
}

static void nothing_goes_to_the_dying(void **state) {
    (void)state;
    people(2);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 4, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, A_SLOT), place(7), A, 1, ALL_RIGHTS & 7, 0, 0);
    uint64_t generation = env_at(A)->gen;
    CALL(1, exit, 0);
    REFUSED(DYING, 0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(3), 0, 0);
    REFUSED(DYING, 0, cap_grant, handle(0, 6), EXO_NONE, place(3), A, generation);
}

static void caps_frames_hold_slots(void **state) {
    (void)state;
    assert_int_equal(GOOD(0, caps_add, handle(0, 0), FREE), 1);
    assert_int_equal(GOOD(0, caps_add, handle(0, 0), FREE + 1), 2);
    GOOD(0, cap_derive, handle(0, 0), place(64 + 31), FREE + 2, 1, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 64 + 31), place(32 + 1), FREE + 2, 1, ALL_RIGHTS, 0, 0);
    REFUSED(SLOT, 0, cap_derive, handle(0, 0), place(32), FREE + 2, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, handle(0, 0), place(96 + 1), FREE + 2, 1, 1, 0, 0);
    REFUSED(BUSY, 0, caps_del, FREE);
    REFUSED(BUSY, 0, caps_del, FREE + 1);
    assert_int_equal(JOB(0, cap_drop, handle(0, 32 + 1), FREE + 2), 0);
    GOOD(0, caps_del, FREE);
    assert_int_equal(frame_type(FREE), EXO_FRAME_DATA);
    assert_int_equal(GOOD(0, caps_add, handle(0, 0), FREE + 3), 1);
}

static void caps_refuse(void **state) {
    (void)state;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 4, EXO_PAGE_R, 0, 0);
    REFUSED(RIGHTS, 0, caps_add, handle(0, 3), FREE);
    REFUSED(RANGE, 0, caps_add, handle(0, 0), NEVER);
    REFUSED(RANGE, 0, caps_add, handle(0, 0), ~0ul);
    REFUSED(CLASS, 0, caps_add, handle(0, 1), 0);
    REFUSED(SLOT, 0, caps_add, handle(0, 0) + (1ul << 32), FREE);
    REFUSED(BUSY, 0, caps_add, handle(0, 0), info->init_env);
    REFUSED(BUSY, 0, caps_add, handle(0, 0), HOST_RAM_FRAME);
    REFUSED(RANGE, 0, caps_del, FREE);
    REFUSED(RANGE, 0, caps_del, 0);
    REFUSED(RANGE, 0, caps_del, ~0ul);
    for (uint64_t i = 0; i < EXO_CAPS_FRAMES; i++) GOOD(0, caps_add, handle(0, 0), FREE + i);
    REFUSED(FULL, 0, caps_add, handle(0, 0), FREE + EXO_CAPS_FRAMES);
}

static void an_old_handle_stays_dead(void **state) {
    (void)state;
    GOOD(0, caps_add, handle(0, 0), FREE);
    uint64_t old = (uint64_t)GOOD(0, cap_derive, handle(0, 0), place(33), FREE + 1, 1, 1, 0, 0);
    assert_int_equal(JOB(0, cap_drop, old, FREE + 1), 0);
    GOOD(0, caps_del, FREE);
    GOOD(0, caps_add, handle(0, 0), FREE + 2);
    GOOD(0, cap_derive, handle(0, 0), place(33), FREE + 1, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_drop, old, FREE + 1);
}

static void a_used_up_slot_stays_empty(void **state) {
    (void)state;
    slot(0, 3)->word |= (EXO_HANDLE_GEN_MAX - 3ul) << EXO_HANDLE_GEN_SHIFT;
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE, 1, 1, 0, 0);
    assert_int_equal(JOB(0, cap_drop, handle(0, 3), FREE), 0);
    REFUSED(SLOT, 0, cap_derive, handle(0, 0), place(3), FREE, 1, 1, 0, 0);
    REFUSED(SLOT, 0, cap_derive, EXO_NONE, place(3), info->init_env, env_at(info->init_env)->gen, 0,
            0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(derive_lends_a_part),
        CORE_TEST(derive_refuses),
        CORE_TEST(derive_stops_at_the_depth),
        CORE_TEST(rows_are_lent_once),
        CORE_TEST(events_are_a_subset),
        CORE_TEST(grant_moves_the_entry),
        CORE_TEST(grant_refuses),
        CORE_TEST(an_open_slot_takes_from_one_only),
        CORE_TEST(open_refuses),
        CORE_TEST(what_is_bound_is_not_given_away),
        CORE_TEST(what_the_parent_keeps_is_given_at_once),
        CORE_TEST(a_bound_row_is_not_given_away),
        CORE_TEST(nothing_goes_to_the_dying),
        CORE_TEST(caps_frames_hold_slots),
        CORE_TEST(caps_refuse),
        CORE_TEST(an_old_handle_stays_dead),
        CORE_TEST(a_used_up_slot_stays_empty),
    };
    return cmocka_run_group_tests_name("cap", tests, NULL, NULL);
}
