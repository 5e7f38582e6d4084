/* SPDX-License-Identifier: MIT */
/* Unit tests of the frame table and of boot, which fills it (exo/frame.c, exo/boot.c). */
#include <string.h>

#include "fixture.h"

static void boot_types_what_the_kernel_needs(void **state) {
    (void)state;
    assert_int_equal(ram_first, HOST_RAM_FRAME);
    assert_int_equal(info->ram_count, ram_count);
    assert_int_equal(info->root_count, 3);
    assert_int_equal(frame_type(HOST_RAM_FRAME), EXO_FRAME_KERNEL);
    assert_int_equal(frame_type(info->info_frame), EXO_FRAME_INFO);
    assert_int_equal(frame_type(info->frame_table), EXO_FRAME_INFO);
    assert_int_equal(frame_type(info->group_table), EXO_FRAME_INFO);
    assert_int_equal(frame_type(info->slice_table + 2), EXO_FRAME_INFO);
    assert_int_equal(frame_type(info->init_env), EXO_FRAME_ENV);
    assert_int_equal(frame_type(FREE), EXO_FRAME_DATA);
    assert_int_equal(info->root[0].handle, handle(0, 0));
    assert_int_equal(info->root[1].handle, handle(0, 1));
    assert_int_equal(info->root[2].handle, handle(0, 2));
}

static void init_sees_its_frames(void **state) {
    (void)state;
    uint64_t frame;
    assert_true(host_touch(0, EXO_VA_INFO, false, &frame));
    assert_int_equal(frame, info->info_frame);
    assert_false(host_touch(0, EXO_VA_INFO, true, &frame));
    assert_true(host_touch(0, EXO_VA_ENV, false, &frame));
    assert_int_equal(frame, info->init_env);
    assert_false(host_touch(0, EXO_VA_ENV, true, &frame));
    assert_true(host_touch(0, EXO_VA_CTX, true, &frame));
    assert_true(host_touch(0, EXO_VA_INIT, false, &frame));
    assert_false(host_touch(0, EXO_VA_INIT, true, &frame));
    assert_true(host_touch(0, EXO_VA_INIT + EXO_FRAME_BYTES, true, &frame));
}

static void a_claim_needs_an_idle_data_frame(void **state) {
    (void)state;
    assert_true(frame_claim(FREE, EXO_FRAME_TABLE));
    assert_false(frame_claim(FREE, EXO_FRAME_TABLE));
    assert_int_equal(frame_map(FREE, EXO_PAGE_R | EXO_PAGE_W), EXO_ETYPE);
    assert_int_equal(frame_map(FREE, EXO_PAGE_R), 0);
    frame_unmap(FREE);
    frame_unclaim(FREE);
    assert_int_equal(frame_map(FREE, EXO_PAGE_R | EXO_PAGE_W), 0);
    assert_false(frame_claim(FREE, EXO_FRAME_TABLE));
    frame_unmap(FREE);
    *frame_word(FREE) += EXO_PIN_ONE;
    assert_false(frame_claim(FREE, EXO_FRAME_TABLE));
    *frame_word(FREE) -= EXO_PIN_ONE;
}

static void a_release_zeroes_and_keeps_the_maps(void **state) {
    (void)state;
    assert_true(frame_claim(FREE, EXO_FRAME_CAPS));
    memset(frame_pointer(FREE), 0x5a, EXO_FRAME_BYTES);
    assert_int_equal(frame_map(FREE, EXO_PAGE_R), 0);
    frame_release(FREE);
    assert_int_equal(*frame_word(FREE), FRAME_MAP_ONE);
    const uint8_t *bytes = frame_pointer(FREE);
    for (unsigned i = 0; i < EXO_FRAME_BYTES; i++) assert_int_equal(bytes[i], 0);
    frame_unmap(FREE);
}

static void large_leaves_and_types_exclude_each_other(void **state) {
    (void)state;
    assert_int_equal(group_map(GROUP(2)), 0);
    assert_false(frame_claim(GROUP(2) + 5, EXO_FRAME_TABLE));
    group_unmap(GROUP(2));
    assert_true(frame_claim(GROUP(2) + 5, EXO_FRAME_TABLE));
    assert_int_equal(group_map(GROUP(2)), EXO_ETYPE);
    frame_unclaim(GROUP(2) + 5);
    assert_int_equal(group_map(HOST_RAM_FRAME), EXO_ETYPE);
}

static void counts_do_not_overflow(void **state) {
    (void)state;
    *frame_word(FREE) = (uint64_t)FRAME_MAPS_MAX << EXO_MAP_SHIFT;
    assert_int_equal(frame_map(FREE, EXO_PAGE_R), EXO_EFULL);
    assert_int_equal(*frame_word(FREE), (uint64_t)FRAME_MAPS_MAX << EXO_MAP_SHIFT);
    *frame_word(FREE) -= FRAME_MAP_ONE;
    assert_int_equal(frame_map(FREE, EXO_PAGE_R), 0);
    assert_int_equal(frame_map(FREE, EXO_PAGE_R), EXO_EFULL);
    *frame_word(FREE) = 0;
    uint64_t *group = &group_words[GROUP(2) >> EXO_GROUP_SHIFT];
    *group = GROUP_LEAVES_MASK;
    assert_int_equal(group_map(GROUP(2)), EXO_EFULL);
    *group = 0;
    /* The kernel's own frames and no-one's are mapped by nobody. */
    assert_int_equal(frame_map(HOST_RAM_FRAME, EXO_PAGE_R), EXO_ETYPE);
}

static void quiet_means_nothing_bound(void **state) {
    (void)state;
    assert_true(frames_quiet(FREE, 1024));
    assert_int_equal(group_map(GROUP(2)), 0);
    assert_false(frames_quiet(FREE, 513));
    assert_true(frames_quiet(FREE, 512));
    assert_false(frames_quiet(GROUP(2) + 300, 1));
    group_unmap(GROUP(2));
    assert_int_equal(frame_map(FREE + 700, EXO_PAGE_R), 0);
    assert_false(frames_quiet(FREE, 701));
    assert_true(frames_quiet(FREE, 700));
    frame_unmap(FREE + 700);
}

/* ---- machines that lack something ---- */

static struct machine small_machine(void) {
    host_ram_make(2);
    struct machine machine = {
        .facts = {.bank_count = 1,
                  .bank = {{HOST_RAM_FRAME, 2 * EXO_GROUP_FRAMES}},
                  .hart_count = 1,
                  .asid_count = 1,
                  .timebase_hz = 10000000},
        .archive_address = HOST_RAM_ADDRESS + 0x40000,
        .used_count = MACHINE_OTHER,
        .used[MACHINE_KERNEL] = {HOST_RAM_FRAME, 16},
    };
    machine.facts.archive_bytes = host_archive_make(machine.archive_address);
    return machine;
}

static void refuses_to_boot(struct machine *machine) {
    assert_false(host_boot_machine(machine));
    assert_non_null(host_stop_why);
}

static struct exo_archive *archive_of(const struct machine *machine) {
    return arch_pointer(machine->archive_address);
}

static void a_machine_must_have_what_boot_needs(void **state) {
    (void)state;
    struct machine machine = small_machine();
    machine.facts.archive_bytes = 0;
    refuses_to_boot(&machine);
    machine = small_machine();
    machine.archive_address += 8;
    refuses_to_boot(&machine);
    machine = small_machine();
    machine.used[machine.used_count++] = (struct exo_bank){HOST_RAM_FRAME, 2 * EXO_GROUP_FRAMES};
    refuses_to_boot(&machine);
    machine = small_machine();
    assert_true(host_boot_machine(&machine));
    walk_is_good();
}

static void a_damaged_archive_is_refused(void **state) {
    (void)state;
    struct machine machine = small_machine();
    archive_of(&machine)->magic ^= 1;
    refuses_to_boot(&machine);
    machine = small_machine();
    machine.facts.archive_bytes -= 1; /* truncated */
    refuses_to_boot(&machine);
    machine = small_machine();
    machine.facts.archive_bytes = 8;
    refuses_to_boot(&machine);
    const uint64_t wild[] = {1, 0x800, 0x7000, 1ul << 40, ~0xffful, 1ul << 63};
    for (unsigned field = 0; field < 3; field++) {
        for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
            machine = small_machine();
            struct exo_archive *archive = archive_of(&machine);
            uint64_t *fields[] = {&archive->init_offset, &archive->init_text_bytes,
                                  &archive->init_bytes};
            *fields[field] = wild[i];
            refuses_to_boot(&machine);
        }
    }
    machine = small_machine();
    archive_of(&machine)->init_text_bytes = 0;
    refuses_to_boot(&machine);
}

static void reserved_frames_are_the_kernels(void **state) {
    (void)state;
    struct machine machine = small_machine();
    machine.used[machine.used_count++] = (struct exo_bank){HOST_RAM_FRAME + 100, 30};
    machine.used[machine.used_count++] =
        (struct exo_bank){HOST_RAM_FRAME + 1020, 400}; /* past the end */
    assert_true(host_boot_machine(&machine));
    walk_is_good();
    assert_int_equal(frame_type(HOST_RAM_FRAME + 99), EXO_FRAME_DATA);
    assert_int_equal(frame_type(HOST_RAM_FRAME + 100), EXO_FRAME_KERNEL);
    assert_int_equal(frame_type(HOST_RAM_FRAME + 129), EXO_FRAME_KERNEL);
    assert_int_equal(frame_type(HOST_RAM_FRAME + 1023), EXO_FRAME_KERNEL);
}

static void holes_between_banks_are_the_kernels(void **state) {
    (void)state;
    struct machine machine = small_machine();
    host_ram_make(6);
    machine.facts.archive_bytes = host_archive_make(machine.archive_address);
    machine.facts.bank_count = 2;
    machine.facts.bank[1] = (struct exo_bank){GROUP(4), 2 * EXO_GROUP_FRAMES};
    assert_true(host_boot_machine(&machine));
    walk_is_good();
    assert_int_equal(frame_type(GROUP(2)), EXO_FRAME_KERNEL);
    assert_int_equal(frame_type(GROUP(4) - 1), EXO_FRAME_KERNEL);
    assert_int_equal(frame_type(GROUP(4)), EXO_FRAME_DATA);
    assert_int_equal(info->root_count, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(boot_types_what_the_kernel_needs),
        CORE_TEST(init_sees_its_frames),
        CORE_TEST(a_claim_needs_an_idle_data_frame),
        CORE_TEST(a_release_zeroes_and_keeps_the_maps),
        CORE_TEST(large_leaves_and_types_exclude_each_other),
        CORE_TEST(counts_do_not_overflow),
        CORE_TEST(quiet_means_nothing_bound),
        cmocka_unit_test(a_machine_must_have_what_boot_needs),
        cmocka_unit_test(a_damaged_archive_is_refused),
        cmocka_unit_test(reserved_frames_are_the_kernels),
        cmocka_unit_test(holes_between_banks_are_the_kernels),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
