/* SPDX-License-Identifier: MIT */
/* Unit tests of page tables: link, map, unmap, protect, harvest (exo/space.c, exo/sweep.c). */
#include <string.h>

#include "fixture.h"

#define RW (EXO_PAGE_R | EXO_PAGE_W)
#define PAGE EXO_FRAME_BYTES
#define LARGE_PAGE (EXO_FRAME_BYTES * (uint64_t)EXO_GROUP_FRAMES)

/* init with a TABLE for VA. */
static void space_make(void) { tables(0, 0, FREE); }

static bool reaches(uint64_t hart, uint64_t va, bool write, uint64_t wanted) {
    uint64_t frame = 0;
    return host_touch(hart, va, write, &frame) && frame == wanted;
}

static bool reads_nothing(uint64_t hart, uint64_t va) {
    uint64_t frame;
    return !host_touch(hart, va, false, &frame);
}

static uint64_t *vector(uint64_t hart) { return harts[hart]->ctx->vector; }

static void link_refuses(void **state) {
    (void)state;
    uint64_t root = handle(0, 0);
    GOOD(0, cap_derive, root, place(3), FREE, 4, EXO_PAGE_R, 0, 0);
    REFUSED(ARGUMENT, 0, table_link, 0, VA, 0, root, FREE);
    REFUSED(ARGUMENT, 0, table_link, 0, VA, 3, root, FREE);
    REFUSED(ARGUMENT, 0, table_link, 0, VA, ~0ul, root, FREE);
    REFUSED(ADDRESS, 0, table_link, 0, VA + PAGE, 2, root, FREE);
    REFUSED(ADDRESS, 0, table_link, 0, VA + LARGE_PAGE, 2, root, FREE);
    REFUSED(ADDRESS, 0, table_link, 0, EXO_VA_LIMIT, 2, root, FREE);
    REFUSED(ADDRESS, 0, table_link, 0, 0xffffffc000000000, 2, root, FREE);
    REFUSED(ADDRESS, 0, table_link, 0, VA + 1, 2, root, FREE);
    REFUSED(NOTABLE, 0, table_link, 0, VA, 1, root, FREE);
    REFUSED(PRESENT, 0, table_link, 0, 0, 2, root, FREE);
    REFUSED(RANGE, 0, table_link, 0, VA, 2, root, NEVER);
    REFUSED(RANGE, 0, table_link, 0, VA, 2, root, ~0ul);
    REFUSED(RIGHTS, 0, table_link, 0, VA, 2, handle(0, 3), FREE);
    REFUSED(SLOT, 0, table_link, 0, VA, 2, root + (1ul << 32), FREE);
    REFUSED(SLOT, 0, table_link, 0, VA, 2, EXO_NONE, FREE);
    REFUSED(CLASS, 0, table_link, 0, VA, 2, handle(0, 1), FREE);
    REFUSED(BUSY, 0, table_link, 0, VA, 2, root, info->init_env);
    REFUSED(BUSY, 0, table_link, 0, VA, 2, root, info->archive + 1); /* init's own text, mapped */
    REFUSED(BUSY, 0, table_link, 0, VA, 2, root, HOST_RAM_FRAME);
    REFUSED(SLOT, 0, table_link, 1, VA, 2, root, FREE);
    REFUSED(SLOT, 0, table_link, ~0ul, VA, 2, root, FREE);
    REFUSED(CLASS, 0, table_link, root, VA, 2, root, FREE);
}

static void unlink_wants_an_empty_table(void **state) {
    (void)state;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 2, 1, RW);
    REFUSED(BUSY, 0, table_unlink, 0, VA, 1);
    REFUSED(BUSY, 0, table_unlink, 0, VA, 2);
    REFUSED(ABSENT, 0, table_unlink, 0, VA + LARGE_PAGE, 1);
    REFUSED(NOTABLE, 0, table_unlink, 0, 2 * VA, 1);
    REFUSED(ABSENT, 0, table_unlink, 0, 2 * VA, 2);
    REFUSED(ARGUMENT, 0, table_unlink, 0, VA, 0);
    REFUSED(ADDRESS, 0, table_unlink, 0, VA + PAGE, 1);
    REFUSED(ADDRESS, 0, table_unlink, 0, EXO_VA_LIMIT, 1);
    /* A payload does not hold a TABLE. */
    GOOD(0, page_unmap, 0, VA, 1, 0xabc00);
    assert_true(reads_nothing(0, VA));
    GOOD(0, table_unlink, 0, VA, 1);
    assert_int_equal(frame_type(FREE + 1), EXO_FRAME_DATA);
    GOOD(0, page_map, 0, EXO_VA_INIT + 0x100000, handle(0, 0), FREE + 1, 1, RW);
    GOOD(0, page_unmap, 0, EXO_VA_INIT + 0x100000, 1, 0);
    GOOD(0, page_map, 0, VA, handle(0, 0), GROUP(2), 1, RW | EXO_MAP_LARGE);
    REFUSED(TYPE, 0, table_unlink, 0, VA, 1);
}

static void map_reaches_what_it_names(void **state) {
    (void)state;
    space_make();
    assert_int_equal(GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 3, RW), 3);
    assert_true(reaches(0, VA + 2 * PAGE, true, FREE + 6));
    assert_true(reads_nothing(0, VA + 3 * PAGE));
    /* Filling stops at what is present, and at the table's end. */
    assert_int_equal(GOOD(0, page_map, 0, VA + 5 * PAGE, handle(0, 0), FREE + 4, 1, RW), 1);
    assert_int_equal(GOOD(0, page_map, 0, VA + 3 * PAGE, handle(0, 0), FREE + 4, 3, RW), 2);
    assert_int_equal(GOOD(0, page_map, 0, VA + 510 * PAGE, handle(0, 0), FREE + 4, 5, EXO_PAGE_R),
                     2);
    REFUSED(PRESENT, 0, page_map, 0, VA, handle(0, 0), FREE + 4, 1, RW);
    REFUSED(PRESENT, 0, page_map, 0, VA, handle(0, 0), FREE + 4, 3, RW);
    assert_int_equal(*frame_word(FREE + 4) >> EXO_MAP_SHIFT, 4);
}

static void map_refuses(void **state) {
    (void)state;
    space_make();
    uint64_t root = handle(0, 0);
    GOOD(0, cap_derive, root, place(3), FREE + 4, 4, EXO_PAGE_R, 0, 0);
    uint64_t some = handle(0, 3);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 0, RW);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 257, RW);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, ~0ul, RW);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 1, 0);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 1, EXO_PAGE_W);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 1, EXO_PAGE_R | EXO_PAGE_DMA);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 1, EXO_PAGE_R | 0x80);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, FREE + 4, 1, EXO_PAGE_R | 1ul << 63);
    REFUSED(ADDRESS, 0, page_map, 0, VA + 1, root, FREE + 4, 1, RW);
    REFUSED(ADDRESS, 0, page_map, 0, VA + 0x800, root, FREE + 4, 1, RW);
    REFUSED(ADDRESS, 0, page_map, 0, EXO_VA_LIMIT, root, FREE + 4, 1, RW);
    REFUSED(ADDRESS, 0, page_map, 0, EXO_VA_LIMIT - PAGE, root, FREE + 4, 2, RW);
    REFUSED(ADDRESS, 0, page_map, 0, ~0xffful, root, FREE + 4, 1, RW);
    REFUSED(ADDRESS, 0, page_map, 0, ~0xffful, root, FREE + 4, 2, RW);
    REFUSED(ADDRESS, 0, page_map, 0, 0xffffffc000000000, root, FREE + 4, 1, RW);
    REFUSED(NOTABLE, 0, page_map, 0, VA + LARGE_PAGE, root, FREE + 4, 1, RW);
    REFUSED(NOTABLE, 0, page_map, 0, 2 * VA, root, FREE + 4, 1, RW);
    REFUSED(RANGE, 0, page_map, 0, VA, some, FREE + 3, 1, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, some, FREE + 8, 1, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, some, FREE + 4, 5, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, some, ~0ul, 2, EXO_PAGE_R);
    REFUSED(RIGHTS, 0, page_map, 0, VA, some, FREE + 4, 1, RW);
    REFUSED(RIGHTS, 0, page_map, 0, VA, some, FREE + 4, 1, EXO_PAGE_R | EXO_PAGE_X);
    REFUSED(SLOT, 0, page_map, 0, VA, some + (1ul << 32), FREE + 4, 1, EXO_PAGE_R);
    REFUSED(SLOT, 0, page_map, 0, VA, place(9), FREE + 4, 1, EXO_PAGE_R);
    REFUSED(CLASS, 0, page_map, 0, VA, handle(0, 1), 0, 1, EXO_PAGE_R);
    REFUSED(SLOT, 0, page_map, some + (1ul << 32), VA, some, FREE + 4, 1, EXO_PAGE_R);
    REFUSED(CLASS, 0, page_map, some, VA, some, FREE + 4, 1, EXO_PAGE_R);
    /* The kernel's frames and the tables themselves. */
    REFUSED(TYPE, 0, page_map, 0, VA, root, HOST_RAM_FRAME, 1, EXO_PAGE_R);
    REFUSED(TYPE, 0, page_map, 0, VA, root, FREE, 1, RW);
    REFUSED(TYPE, 0, page_map, 0, VA, root, FREE, 1, EXO_PAGE_R | EXO_PAGE_X);
    REFUSED(TYPE, 0, page_map, 0, VA, root, info->init_env, 1, RW);
    REFUSED(TYPE, 0, page_map, 0, VA, root, info->info_frame, 1, RW);
    GOOD(0, page_map, 0, VA, root, FREE, 1, EXO_PAGE_R);
    GOOD(0, page_map, 0, VA + PAGE, root, info->init_env, 1, EXO_PAGE_R);
}

static void info_is_for_everybody(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 4, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, EXO_NONE, info->frame_table, 1, EXO_PAGE_R);
    assert_true(reaches(1, VA, false, info->frame_table));
    REFUSED(TYPE, 1, page_map, 0, VA + PAGE, EXO_NONE, info->info_frame, 1, RW);
    REFUSED(TYPE, 1, page_map, 0, VA + PAGE, EXO_NONE, FREE + 3, 1, EXO_PAGE_R);
    REFUSED(TYPE, 1, page_map, 0, VA + PAGE, EXO_NONE, A, 1, EXO_PAGE_R);
    REFUSED(RANGE, 1, page_map, 0, VA + PAGE, EXO_NONE, NEVER, 1, EXO_PAGE_R);
    REFUSED(RANGE, 1, page_map, 0, VA + PAGE, EXO_NONE, ~0ul, 1, EXO_PAGE_R);
    REFUSED(ARGUMENT, 1, page_map, 0, VA, EXO_NONE, info->info_frame, 1,
            EXO_PAGE_R | EXO_MAP_LARGE);
}

static void replace_changes_leaves(void **state) {
    (void)state;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 2, RW);
    assert_true(reaches(0, VA, true, FREE + 4));
    assert_int_equal(
        GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 8, 3, EXO_PAGE_R | EXO_MAP_REPLACE), 3);
    assert_true(reaches(0, VA, false, FREE + 8));
    assert_int_equal(*frame_word(FREE + 4), 0);
    assert_int_equal(*frame_word(FREE + 5), 0);
    REFUSED(PRESENT, 0, page_map, 0, VA, handle(0, 0), GROUP(2), 1,
            RW | EXO_MAP_LARGE | EXO_MAP_REPLACE); /* no leaf but a TABLE */
}

static void a_vector_names_each_frame(void **state) {
    (void)state;
    space_make();
    GOOD(0, cap_derive, handle(0, 0), place(3), FREE + 4, 8, ALL_RIGHTS, 0, 0);
    const uint64_t frames[] = {FREE + 9, FREE + 4, FREE + 9, FREE + 12, ~0ul};
    for (unsigned i = 0; i < 5; i++) vector(0)[i] = frames[i];
    assert_int_equal(GOOD(0, page_map, 0, VA, handle(0, 3), 0, 4, RW | EXO_MAP_VECTOR), 3);
    assert_true(reaches(0, VA, true, FREE + 9));
    assert_true(reaches(0, VA + PAGE, true, FREE + 4));
    assert_true(reaches(0, VA + 2 * PAGE, true, FREE + 9));
    vector(0)[0] = ~0ul;
    REFUSED(RANGE, 0, page_map, 0, VA + 3 * PAGE, handle(0, 3), 0, 2, RW | EXO_MAP_VECTOR);
    vector(0)[0] = 1ul << 54;
    REFUSED(RANGE, 0, page_map, 0, VA + 3 * PAGE, handle(0, 3), 0, 1, RW | EXO_MAP_VECTOR);
    REFUSED(RANGE, 0, page_map, 0, VA, handle(0, 3), 0, 1, RW | EXO_MAP_VECTOR | EXO_MAP_REPLACE);
}

static void soft_bits_are_the_programs(void **state) {
    (void)state;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 1, RW | EXO_MAP_SOFT);
    const uint64_t *leaf = frame_pointer(FREE + 1);
    assert_int_equal(leaf[0] & PTE_SOFT, PTE_SOFT);
}

static void large_pages(void **state) {
    (void)state;
    GOOD(0, table_link, 0, VA, 2, handle(0, 0), FREE);
    uint64_t large = RW | EXO_MAP_LARGE;
    assert_int_equal(GOOD(0, page_map, 0, VA, handle(0, 0), GROUP(2), 2, large), 2);
    assert_true(reaches(0, VA + 700 * PAGE, true, GROUP(2) + 700));
    REFUSED(ADDRESS, 0, page_map, 0, VA + PAGE, handle(0, 0), GROUP(2), 1, large);
    REFUSED(PRESENT, 0, page_map, 0, VA, handle(0, 0), GROUP(2), 1, large);
    REFUSED(ARGUMENT, 0, page_map, 0, VA + 4 * LARGE_PAGE, handle(0, 0), GROUP(2) + 1, 1, large);
    REFUSED(TYPE, 0, page_map, 0, VA + 4 * LARGE_PAGE, handle(0, 0), GROUP(1), 1, large);
    REFUSED(RANGE, 0, page_map, 0, VA + 4 * LARGE_PAGE, handle(0, 0), GROUP(3), 2, large);
    REFUSED(BUSY, 0, table_link, 0, 2 * VA, 2, handle(0, 0), GROUP(2) + 9);
    REFUSED(BUSY, 0, caps_add, handle(0, 0), GROUP(2) + 9);
    /* 4 KiB calls do not see into a large leaf. */
    REFUSED(NOTABLE, 0, page_unmap, 0, VA, 1, 0);
    GOOD(0, page_protect, 0, VA, 2 | EXO_COUNT_LARGE, EXO_PAGE_R);
    uint64_t frame;
    assert_false(host_touch(0, VA, true, &frame));
    struct result result = CALL(0, page_unmap, 0, VA, 3 | EXO_COUNT_LARGE, 0);
    assert_int_equal(result.value, 3);
    assert_int_equal(result.detail, 2);
    assert_true(reads_nothing(0, VA));
    GOOD(0, table_link, 0, VA + LARGE_PAGE, 1, handle(0, 0), FREE + 1);
    assert_int_equal(GOOD(0, page_unmap, 0, VA, 3 | EXO_COUNT_LARGE, 0), 1);
    REFUSED(TYPE, 0, page_unmap, 0, VA + LARGE_PAGE, 1 | EXO_COUNT_LARGE, 0);
}

static void unmap_takes_and_leaves_a_payload(void **state) {
    (void)state;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 3, RW);
    assert_true(reaches(0, VA + PAGE, true, FREE + 5));
    struct result result = CALL(0, page_unmap, 0, VA + PAGE, 4, 0xffffffffffffffee);
    assert_int_equal(result.value, 4);
    assert_int_equal(result.detail, 2);
    assert_true(reads_nothing(0, VA + PAGE));
    const uint64_t *leaf = frame_pointer(FREE + 1);
    assert_int_equal(leaf[1], 0xffffffffffffffee);
    assert_int_equal(leaf[4], 0xffffffffffffffee);
    assert_int_equal(leaf[5], 0);
    REFUSED(ARGUMENT, 0, page_unmap, 0, VA, 1, 1);
    REFUSED(ARGUMENT, 0, page_unmap, 0, VA, 1, 0x10);
    REFUSED(ARGUMENT, 0, page_unmap, 0, VA, 0, 0);
    REFUSED(ARGUMENT, 0, page_unmap, 0, VA, 257, 0);
    REFUSED(ARGUMENT, 0, page_unmap, 0, VA, ~0ul, 0);
    REFUSED(ADDRESS, 0, page_unmap, 0, VA + 8, 1, 0);
    REFUSED(ADDRESS, 0, page_unmap, 0, EXO_VA_LIMIT - PAGE, 2, 0);
    REFUSED(ADDRESS, 0, page_unmap, 0, ~0xffful, 1, 0);
    REFUSED(NOTABLE, 0, page_unmap, 0, 2 * VA, 1, 0);
    REFUSED(SLOT, 0, page_unmap, 3, VA, 1, 0);
    GOOD(0, page_map, 0, VA + PAGE, handle(0, 0), FREE + 5, 4, RW);
}

static void protect_only_lowers(void **state) {
    (void)state;
    uint64_t frame;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 2, RW);
    assert_true(host_touch(0, VA, true, &frame));
    assert_int_equal(GOOD(0, page_protect, 0, VA, 3, EXO_PAGE_R | EXO_PAGE_X), 3);
    assert_false(host_touch(0, VA, true, &frame));
    assert_true(host_touch(0, VA, false, &frame));
    GOOD(0, page_protect, 0, VA, 2, RW | EXO_PAGE_X);
    assert_false(host_touch(0, VA, true, &frame));
    REFUSED(ABSENT, 0, page_protect, 0, VA + 9 * PAGE, 2, EXO_PAGE_R);
    REFUSED(ARGUMENT, 0, page_protect, 0, VA, 1, 0);
    REFUSED(ARGUMENT, 0, page_protect, 0, VA, 1, EXO_PAGE_W);
    REFUSED(ARGUMENT, 0, page_protect, 0, VA, 1, EXO_PAGE_R | EXO_PAGE_DMA);
    REFUSED(ARGUMENT, 0, page_protect, 0, VA, 0, EXO_PAGE_R);
    REFUSED(ARGUMENT, 0, page_protect, 0, VA, 257, EXO_PAGE_R);
    REFUSED(ADDRESS, 0, page_protect, 0, EXO_VA_LIMIT, 1, EXO_PAGE_R);
    REFUSED(NOTABLE, 0, page_protect, 0, 2 * VA, 1, EXO_PAGE_R);
    REFUSED(CLASS, 0, page_protect, handle(0, 0), VA, 1, EXO_PAGE_R);
}

static void harvest_tells_what_was_used(void **state) {
    (void)state;
    uint64_t frame;
    space_make();
    GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 3, RW);
    GOOD(0, page_harvest, 0, VA, 4); /* leaves begin accessed and dirty */
    assert_true(host_touch(0, VA, false, &frame));
    assert_true(host_touch(0, VA + PAGE, true, &frame));
    assert_int_equal(GOOD(0, page_harvest, 0, VA, 4), 4);
    assert_int_equal(vector(0)[0], EXO_HARVEST_PRESENT | EXO_HARVEST_ACCESSED);
    assert_int_equal(vector(0)[1], EXO_HARVEST_PRESENT | EXO_HARVEST_ACCESSED | EXO_HARVEST_DIRTY);
    assert_int_equal(vector(0)[2], EXO_HARVEST_PRESENT);
    assert_int_equal(vector(0)[3], 0);
    /* What the TLB still had as dirty is gone, so a write is seen again. */
    assert_true(host_touch(0, VA + PAGE, true, &frame));
    GOOD(0, page_harvest, 0, VA + PAGE, 1);
    assert_int_equal(vector(0)[0], EXO_HARVEST_PRESENT | EXO_HARVEST_ACCESSED | EXO_HARVEST_DIRTY);
    REFUSED(ARGUMENT, 0, page_harvest, 0, VA, 0);
    REFUSED(ARGUMENT, 0, page_harvest, 0, VA, 257);
    REFUSED(ADDRESS, 0, page_harvest, 0, EXO_VA_LIMIT, 1);
    REFUSED(NOTABLE, 0, page_harvest, 0, 2 * VA, 1);
    REFUSED(SLOT, 0, page_harvest, place(7), VA, 1);
}

static void an_interrupt_ends_a_run_early(void **state) {
    (void)state;
    space_make();
    host_interrupt_after = 1;
    int64_t done = GOOD(0, page_map, 0, VA, handle(0, 0), FREE + 4, 200, RW);
    assert_true(done > 0 && done < 200);
    host_interrupt_after = 0;
    uint64_t left = 200 - (uint64_t)done;
    uint64_t va = VA + (uint64_t)done * PAGE;
    assert_int_equal(GOOD(0, page_map, 0, va, handle(0, 0), FREE + 4 + (uint64_t)done, left, RW),
                     left);
    host_interrupt_after = 1;
    done = GOOD(0, page_unmap, 0, VA, 200, 0);
    assert_true(done > 0 && done < 200);
    host_interrupt_after = 0;
    assert_true(reads_nothing(0, VA + ((uint64_t)done - 1) * PAGE));
    assert_true(reaches(0, VA + (uint64_t)done * PAGE, true, FREE + 4 + (uint64_t)done));
    host_interrupt_after = 1;
    assert_true(GOOD(0, page_protect, 0, VA + 64 * PAGE, 100, EXO_PAGE_R) < 100);
    host_interrupt_after = 1;
    assert_true(GOOD(0, page_harvest, 0, VA + 64 * PAGE, 100) < 100);
}

static void a_parent_acts_as_its_child(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 3, FREE, 8, RW, 0);
    uint64_t child = handle(0, A_SLOT), its = handle(1, 3);
    GOOD(0, table_link, child, VA, 2, its, FREE);
    GOOD(0, table_link, child, VA, 1, its, FREE + 1);
    GOOD(0, page_map, child, VA, its, FREE + 2, 2, RW);
    assert_true(reaches(1, VA, true, FREE + 2));
    /* The slots are the child's: the parent's own root is no slot of it. */
    REFUSED(SLOT, 0, page_map, child, VA + 4 * PAGE, handle(0, 0), FREE + 2, 1, RW);
    REFUSED(RANGE, 0, page_map, child, VA + 4 * PAGE, its, FREE + 20, 1, RW);
    GOOD(0, page_protect, child, VA, 2, EXO_PAGE_R);
    GOOD(0, page_harvest, child, VA, 2);
    GOOD(0, cap_derive, child, place(6), A, 1, EXO_ENV_CALL, 0, 0);
    REFUSED(RIGHTS, 0, page_unmap, handle(0, 6), VA, 2, 0);
    GOOD(0, page_unmap, child, VA, 2, 0);
    GOOD(0, table_unlink, child, VA, 1);
    CALL(1, exit, 0);
    REFUSED(DYING, 0, table_link, child, VA, 1, its, FREE + 1);
    REFUSED(DYING, 0, table_unlink, child, VA, 2);
}

static void a_closing_table_takes_nothing(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, 0), place(6), FREE, 2, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_derive, handle(0, 6), place(7), FREE, 2, ALL_RIGHTS, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), handle(0, A_SLOT), place(0), 0, 0);
    lend(A_SLOT, 1, FREE + 20, 8, ALL_RIGHTS, 0);
    lend(A_SLOT, 2, GROUP(2), EXO_GROUP_FRAMES, ALL_RIGHTS, 0);
    tables(1, 0, FREE);
    GOOD(1, page_map, 0, VA, handle(1, 1), FREE + 20, 1, RW);
    GOOD(1, page_map, 0, VA + 300 * PAGE, handle(1, 1), FREE + 20, 1, RW);
    do {
        assert_int_equal(CALL(0, cap_revoke, handle(0, 6), FREE, 0).value, EXO_EAGAIN);
    } while (!(*frame_state(FREE + 1) & EXO_TABLE_CLOSING));
    REFUSED(CLOSING, 1, page_map, 0, VA + 5 * PAGE, handle(1, 1), FREE + 21, 1, RW);
    REFUSED(CLOSING, 1, page_map, 0, VA + 5 * PAGE, handle(1, 1), FREE + 21, 2, RW);
    REFUSED(CLOSING, 1, page_map, 0, VA + 5 * PAGE, handle(1, 1), FREE + 21, 1,
            RW | EXO_MAP_REPLACE);
    REFUSED(CLOSING, 1, table_link, 0, VA + LARGE_PAGE, 1, handle(1, 1), FREE + 22);
    REFUSED(CLOSING, 1, page_map, 0, VA + LARGE_PAGE, handle(1, 2), GROUP(2), 1,
            RW | EXO_MAP_LARGE);
    GOOD(1, page_unmap, 0, VA, 1, 0);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 6), FREE, 0), 0);
    REFUSED(NOTABLE, 1, page_map, 0, VA, handle(1, 1), FREE + 20, 1, RW);
}

/*
 * Registers of devices: a UART, a virtio transport, both kinds in one frame, and
 * one that is not there.  They lie so close below RAM that the words that they
 * do not have would be in the frame before the frame table.
 */
#define UART (HOST_RAM_FRAME - 8)
enum { VIRTIO = 1, MIXED, NOTHING, REGISTERS };

/* A machine with devices: init's root is in the slot after its others. */
static uint64_t devices_make(void) {
    const struct exo_device devices[] = {
        {.address = UART << EXO_FRAME_SHIFT, .kind = EXO_DEVICE_NS16550},
        {.address = (UART + VIRTIO) << EXO_FRAME_SHIFT, .kind = EXO_DEVICE_VIRTIO},
        {.address = (UART + MIXED) << EXO_FRAME_SHIFT, .kind = EXO_DEVICE_RTC},
        {.address = ((UART + MIXED) << EXO_FRAME_SHIFT) + 0x800, .kind = EXO_DEVICE_VIRTIO},
        {.address = NEVER << EXO_FRAME_SHIFT, .kind = EXO_DEVICE_RTC},
    };
    struct exo_cap *cap = slot(0, info->root_count);
    memcpy(info->device, devices, sizeof(devices));
    info->device_count = sizeof(devices) / sizeof(devices[0]);
    cap_reset(cap, EXO_SLOT_LIVE);
    cap->word |= EXO_CLASS_DEVICE << EXO_CAP_CLASS_SHIFT | (EXO_DEVICE_R | EXO_DEVICE_W)
                                                               << EXO_CAP_RIGHTS_SHIFT;
    cap->first = UART & ~(EXO_GROUP_FRAMES - 1ul);
    cap->count = cap->keep = NEVER - cap->first + 1;
    return handle(0, info->root_count++);
}

static void registers_of_devices_are_mapped(void **state) {
    (void)state;
    uint64_t root = devices_make(), memory = handle(0, 0);
    const uint64_t *leaf = frame_pointer(FREE + 1);
    space_make();
    GOOD(0, page_map, 0, VA, root, UART, 1, RW | EXO_MAP_SOFT);
    assert_int_equal(leaf[0], pte_leaf(UART, RW | EXO_MAP_SOFT));
    assert_int_equal(*frame_state(FREE + 1) & EXO_TABLE_LIVE_MASK, 1);
    REFUSED(PRESENT, 0, page_map, 0, VA, root, UART, 1, RW);
    GOOD(0, page_protect, 0, VA, 1, EXO_PAGE_R);
    assert_int_equal(pte_rights(leaf[0]), EXO_PAGE_R);
    GOOD(0, page_harvest, 0, VA, 1);
    /* Replaced by memory and back: only the memory is counted. */
    GOOD(0, page_map, 0, VA, memory, FREE + 4, 1, RW | EXO_MAP_REPLACE);
    assert_int_equal(*frame_word(FREE + 4), FRAME_MAP_ONE);
    GOOD(0, page_map, 0, VA, root, UART, 1, RW | EXO_MAP_REPLACE);
    assert_int_equal(*frame_word(FREE + 4), 0);
    assert_int_equal(CALL(0, page_unmap, 0, VA, 1, 0x100).detail, 1);
    assert_int_equal(*frame_word(UART), 0);
    /* Between leaves to memory, one call each. */
    vector(0)[0] = UART;
    vector(0)[1] = UART + VIRTIO;
    assert_int_equal(GOOD(0, page_map, 0, VA, root, 0, 2, RW | EXO_MAP_VECTOR), 1);
    GOOD(0, page_map, 0, VA + PAGE, memory, FREE + 4, 2, RW);
    assert_int_equal(CALL(0, page_unmap, 0, VA, 4, 0).detail, 3);
    assert_int_equal(*frame_state(FREE + 1) & EXO_TABLE_LIVE_MASK, 0);
    assert_int_equal(*frame_word(UART), 0);
}

static void device_registers_are_refused(void **state) {
    (void)state;
    uint64_t root = devices_make(), large = RW | EXO_MAP_LARGE;
    space_make();
    GOOD(0, cap_derive, root, place(5), UART, REGISTERS, EXO_DEVICE_R, 0, 0);
    uint64_t reads = handle(0, 5);
    REFUSED(TYPE, 0, page_map, 0, VA, root, UART + VIRTIO, 1, EXO_PAGE_R);
    REFUSED(TYPE, 0, page_map, 0, VA, root, UART + MIXED, 1, EXO_PAGE_R);
    REFUSED(TYPE, 0, page_map, 0, VA, root, UART + NOTHING, 1, EXO_PAGE_R);
    REFUSED(TYPE, 0, page_map, 0, VA, root, NEVER, 1, EXO_PAGE_R);
    REFUSED(TYPE, 0, page_map, 0, VA, root, FREE + 4, 1, EXO_PAGE_R);
    REFUSED(RIGHTS, 0, page_map, 0, VA, root, UART, 1, EXO_PAGE_R | EXO_PAGE_X);
    REFUSED(RIGHTS, 0, page_map, 0, VA, reads, UART, 1, RW);
    REFUSED(RANGE, 0, page_map, 0, VA, reads, UART - 1, 1, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, reads, UART, REGISTERS + 1, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, handle(0, 0), UART, 1, EXO_PAGE_R);
    REFUSED(RANGE, 0, page_map, 0, VA, EXO_NONE, UART, 1, EXO_PAGE_R);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, UART & ~511ul, 1, large);
    REFUSED(ARGUMENT, 0, page_map, 0, VA, root, GROUP(2), 1, large);
    /* Nothing of them is donated. */
    REFUSED(CLASS, 0, table_link, 0, 2 * VA, 2, root, UART);
    REFUSED(CLASS, 0, caps_add, root, UART);
    REFUSED(CLASS, 0, env_create, root, UART, UART + 1, UART + 2, place(6));
}

static void a_cut_takes_registers_back(void **state) {
    (void)state;
    uint64_t root = devices_make();
    people(2);
    for (uint64_t n = 0; n < 2; n++) {
        lend(A_SLOT + n, 0, FREE + 8 * n, 8, ALL_RIGHTS, 0);
        GOOD(0, cap_derive, root, place(9 + n), UART, 1, RW, 0, 0);
        GOOD(0, cap_derive, handle(0, 9 + n), place(8), UART, 1, RW, 0, 0);
        GOOD(0, cap_grant, handle(0, 8), handle(0, A_SLOT + n), place(1), 0, 0);
        tables(n + 1, 0, FREE + 8 * n);
        GOOD(n + 1, page_map, 0, VA, handle(n + 1, 1), UART, 1, RW);
        GOOD(n + 1, page_map, 0, VA + PAGE, handle(n + 1, 0), FREE + 8 * n + 2, 1, RW);
    }
    uint64_t frame;
    assert_int_equal(JOB(0, cap_revoke, handle(0, 9), UART, 0), 0);
    assert_true(reads_nothing(1, VA));
    assert_true(host_touch(1, VA + PAGE, true, &frame));
    assert_true(host_touch(2, VA, true, &frame));
    assert_int_equal(frame, UART);
    /* And who dies leaves none. */
    CALL(2, exit, 0);
    assert_int_equal(JOB(0, env_reap, B), 0);
    assert_int_equal(*frame_word(FREE + 10), 0);
    assert_int_equal(*frame_word(UART), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(link_refuses),
        CORE_TEST(unlink_wants_an_empty_table),
        CORE_TEST(map_reaches_what_it_names),
        CORE_TEST(map_refuses),
        CORE_TEST(info_is_for_everybody),
        CORE_TEST(replace_changes_leaves),
        CORE_TEST(a_vector_names_each_frame),
        CORE_TEST(soft_bits_are_the_programs),
        CORE_TEST(large_pages),
        CORE_TEST(unmap_takes_and_leaves_a_payload),
        CORE_TEST(protect_only_lowers),
        CORE_TEST(harvest_tells_what_was_used),
        CORE_TEST(an_interrupt_ends_a_run_early),
        CORE_TEST(a_parent_acts_as_its_child),
        CORE_TEST(a_closing_table_takes_nothing),
        CORE_TEST(registers_of_devices_are_mapped),
        CORE_TEST(device_registers_are_refused),
        CORE_TEST(a_cut_takes_registers_back),
    };
    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
