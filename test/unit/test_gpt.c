/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the reader of partition tables (libexo/blk/gpt.c).
 *
 * The table is one that sfdisk wrote to an image of 1 MiB.  Each test changes
 * it and mends its checksums, so that what is refused is refused for its own
 * reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk/gpt.h"

#define DISK_SECTORS 2048
#define ENTRIES 128
#define ENTRY_BYTES 128
#define LONG_NAME "a name of exactly thirty-six letters"

static const uint8_t sfdisk_header[92] = {
    0x45, 0x46, 0x49, 0x20, 0x50, 0x41, 0x52, 0x54, 0x00, 0x00, 0x01, 0x00, 0x5c, 0x00, 0x00, 0x00,
    0x4b, 0xbe, 0x67, 0xe2, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xff, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xde, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33,
    0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x80, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x3c, 0x1d, 0x54, 0xa7,
};
/* The same table's other header, up to where its entries are. */
static const uint8_t sfdisk_backup[] = {
    0x40, 0x90, 0x15, 0x51, 0x00, 0x00, 0x00, 0x00, 0xff, 0x07, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t sfdisk_entry[][56] = {
    {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47,
     0x7d, 0xe4, 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x66, 0x66,
     0x66, 0x66, 0x66, 0x66, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa3},
    {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47,
     0x7d, 0xe4, 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x77, 0x77,
     0x77, 0x77, 0x77, 0x77, 0xc8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc8},
};

static uint8_t header[GPT_SECTOR_BYTES];
static uint8_t entries[ENTRIES * ENTRY_BYTES];
static struct gpt gpt;
static uint64_t first, count;

static void store(uint8_t *at, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static void name_set(unsigned entry, const char *name) {
    uint8_t *at = entries + entry * ENTRY_BYTES + 56;
    memset(at, 0, 72);
    for (unsigned i = 0; i < 36 && name[i]; i++) at[2 * i] = (uint8_t)name[i];
}

static void begin(void) {
    memset(header, 0, sizeof(header));
    memset(entries, 0, sizeof(entries));
    memcpy(header, sfdisk_header, sizeof(sfdisk_header));
    memcpy(entries, sfdisk_entry[0], sizeof(sfdisk_entry[0]));
    memcpy(entries + ENTRY_BYTES, sfdisk_entry[1], sizeof(sfdisk_entry[1]));
    name_set(0, "first");
    name_set(1, LONG_NAME);
    first = count = 0;
}

/* CRC32 by polynomial division of the whole, for the mending only. */
static uint32_t crc(const uint8_t *bytes, uint64_t size) {
    uint32_t value = ~0u;
    for (uint64_t bit = 0; bit < 8 * size; bit++) {
        uint32_t one = (value ^ (uint32_t)bytes[bit / 8] >> bit % 8) & 1;
        value = value >> 1 ^ (one ? 0xedb88320 : 0);
    }
    return ~value;
}

static void mend(void) {
    uint64_t size = (uint64_t)header[12] | (uint64_t)header[13] << 8 | (uint64_t)header[14] << 16;
    store(header + 88, crc(entries, sizeof(entries)), 4);
    store(header + 16, 0, 4);
    if (size <= sizeof(header)) store(header + 16, crc(header, size), 4);
}

static bool read(uint64_t sector) {
    return gpt_header_read(header, sector, DISK_SECTORS, &gpt) && gpt_entries_check(&gpt, entries);
}

static void what_sfdisk_wrote_is_read(void **state) {
    (void)state;
    begin();
    assert_true(read(1));
    assert_int_equal(gpt.entries_sector, 2);
    assert_int_equal(gpt.entries_sectors, 32);
    assert_int_equal(gpt.entry_count, 128);
    assert_int_equal(gpt.first, 34);
    assert_int_equal(gpt.end, 2015);
    assert_true(gpt_find(&gpt, entries, "first", &first, &count));
    assert_int_equal(first, 64);
    assert_int_equal(count, 100);
    assert_true(gpt_find(&gpt, entries, LONG_NAME, &first, &count));
    assert_int_equal(first, 200);
    assert_int_equal(count, 1);
}

static void the_other_header_is_read(void **state) {
    (void)state;
    begin();
    memcpy(header + 16, sfdisk_backup, sizeof(sfdisk_backup));
    store(header + 72, 2015, 8);
    assert_true(read(DISK_SECTORS - 1));
    assert_false(read(1));
    assert_false(read(DISK_SECTORS - 2));
}

static void a_name_is_the_whole_name(void **state) {
    (void)state;
    const char *const others[] = {
        "",      "f",      "firs",        "first ",
        "First", "firstt", LONG_NAME "s", "a name of exactly thirty-six letter",
        "second"};
    begin();
    assert_true(read(1));
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(gpt_find(&gpt, entries, others[i], &first, &count));
    entries[56] = 0xe4; /* with an umlaut, and one with a unit whose low byte is the letter's */
    assert_false(gpt_find(&gpt, entries, "\xe4irst", &first, &count));
    name_set(0, "first");
    entries[57] = 1;
    assert_false(gpt_find(&gpt, entries, "first", &first, &count));
}

static void the_first_of_a_name_counts(void **state) {
    (void)state;
    begin();
    name_set(1, "first");
    assert_true(
        gpt_find(&(struct gpt){.entry_count = 2, .entry_bytes = 128, .first = 34, .end = 2015},
                 entries, "first", &first, &count));
    assert_int_equal(first, 64);
    memset(entries, 0, 16); /* unused now */
    assert_true(
        gpt_find(&(struct gpt){.entry_count = 2, .entry_bytes = 128, .first = 34, .end = 2015},
                 entries, "first", &first, &count));
    assert_int_equal(first, 200);
}

static void any_flipped_bit_is_seen(void **state) {
    (void)state;
    begin();
    for (unsigned bit = 0; bit < 8 * sizeof(sfdisk_header); bit++) {
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(gpt_header_read(header, 1, DISK_SECTORS, &gpt));
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(read(1));
    for (unsigned bit = 0; bit < 8 * sizeof(entries); bit += 61) {
        entries[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(gpt_entries_check(&gpt, entries));
        entries[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(read(1));
}

/* Headers whose checksum is right and which lie. */
static void what_cannot_be_is_refused(void **state) {
    (void)state;
    const struct {
        unsigned place, bytes;
        uint64_t value;
        bool good;
    } changes[] = {
        {8, 4, 0x00020000, false}, /* revision */
        {12, 4, 91, false},        /* header's size */
        {12, 4, 513, false},        {12, 4, 0xffffffff, false},
        {12, 4, 512, true},         {24, 8, 2, false},    /* its own sector */
        {40, 8, 0, false},                                /* first sector of partitions */
        {40, 8, 1, false},          {40, 8, 33, false},   /* ... among the entries */
        {40, 8, 2014, true},        {40, 8, 2015, false}, /* ... after the last */
        {40, 8, ~0ul, false},       {48, 8, 2047, true},  /* last sector */
        {48, 8, 2048, false},       {48, 8, ~0ul, false},
        {48, 8, 33, false},         {72, 8, 0, false}, /* sector of the entries */
        {72, 8, 1, false},          {72, 8, 3, false}, /* ... reaching into the partitions */
        {72, 8, 100, false},        {72, 8, 2015, true},
        {72, 8, 2017, false}, /* ... reaching past the disk */
        {72, 8, 2048, false},       {72, 8, ~0ul, false},
        {80, 4, 0, false}, /* entries */
        {80, 4, 512, false},        {80, 4, 513, false},
        {80, 4, 0xffffffff, false}, {84, 4, 0, false}, /* their size */
        {84, 4, 64, false},         {84, 4, 129, false},
        {84, 4, 0x80000000, false}, {84, 4, 1024, false},
    };
    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        begin();
        store(header + changes[i].place, changes[i].value, changes[i].bytes);
        mend();
        if (gpt_header_read(header, 1, DISK_SECTORS, &gpt) != changes[i].good)
            fail_msg("place %u, value %#lx", changes[i].place, changes[i].value);
    }
}

static void partitions_lie_in_bounds(void **state) {
    (void)state;
    const uint64_t wrong[][2] = {
        {33, 40}, {0, 40}, {64, 2015}, {64, 63}, {64, ~0ul}, {~0ul, ~0ul}, {2015, 2015}, {~0ul, 64},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        begin();
        store(entries + 32, wrong[i][0], 8);
        store(entries + 40, wrong[i][1], 8);
        mend();
        assert_true(read(1));
        assert_false(gpt_find(&gpt, entries, "first", &first, &count));
        assert_true(gpt_find(&gpt, entries, LONG_NAME, &first, &count));
    }
    begin();
    store(entries + 32, 34, 8);
    store(entries + 40, 2014, 8);
    mend();
    assert_true(read(1));
    assert_true(gpt_find(&gpt, entries, "first", &first, &count));
    assert_int_equal(count, 1981);
}

static void small_disks_have_no_table(void **state) {
    (void)state;
    begin();
    for (uint64_t sectors = 0; sectors < 2015; sectors++)
        assert_false(gpt_header_read(header, 1, sectors, &gpt));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sfdisk_wrote_is_read), cmocka_unit_test(the_other_header_is_read),
        cmocka_unit_test(a_name_is_the_whole_name),  cmocka_unit_test(the_first_of_a_name_counts),
        cmocka_unit_test(any_flipped_bit_is_seen),   cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(partitions_lie_in_bounds),  cmocka_unit_test(small_disks_have_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
