/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target of the reader of partition tables: no disk makes it touch a
 * byte outside what was read from it (ASan watches), and a partition that it
 * finds lies in the bounds of a table that it accepted.
 *
 * An input is the number of sectors of the disk, a byte of flags, a name, a
 * header and entries.  No fuzzer guesses a checksum, so one flag has each put
 * right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk/gpt.h"

#define NAME_BYTES 40
#define MEND 1
#define BACKUP 2

static void sure(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "an accepted table breaks a rule: %s\n", what);
    abort();
}

static uint32_t crc(const uint8_t *bytes, uint64_t size) {
    uint32_t value = ~0u;
    for (uint64_t i = 0; i < size; i++) {
        value ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value;
}

static void store(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t load(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void mend(uint8_t *header, const uint8_t *entries, uint64_t entries_bytes) {
    uint64_t bytes = (uint64_t)load(header + 80) * load(header + 84);
    if (bytes <= entries_bytes) store(header + 88, crc(entries, bytes));
    uint32_t header_bytes = load(header + 12);
    store(header + 16, 0);
    if (header_bytes <= GPT_SECTOR_BYTES) store(header + 16, crc(header, header_bytes));
}

static void table_check(const struct gpt *gpt, uint64_t sector, uint64_t sectors) {
    uint64_t end = gpt->entries_sector + gpt->entries_sectors;
    sure(gpt->entry_count > 0 && gpt->entry_bytes >= 128, "entries");
    sure((uint64_t)gpt->entry_count * gpt->entry_bytes <= GPT_ENTRIES_BYTES_MAX, "size");
    sure(gpt->entries_sectors * GPT_SECTOR_BYTES <= GPT_ENTRIES_BYTES_MAX, "sectors of entries");
    sure(gpt->entries_sector > GPT_FIRST_SECTOR && end <= sectors, "place of entries");
    sure(gpt->first < gpt->end && gpt->end <= sectors, "bounds");
    sure(end <= gpt->first || gpt->entries_sector >= gpt->end, "entries among partitions");
    sure(sector < gpt->first || sector >= gpt->end, "header among partitions");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t sectors, first = 0, count = 0;
    char name[NAME_BYTES + 1] = {0};
    struct gpt gpt;

    if (size < sizeof(sectors) + 1 + NAME_BYTES + GPT_SECTOR_BYTES) return 0;
    memcpy(&sectors, data, sizeof(sectors));
    uint8_t flags = data[sizeof(sectors)];
    data += sizeof(sectors) + 1;
    memcpy(name, data, NAME_BYTES);
    data += NAME_BYTES;
    /* Blocks of just their size, so that a byte beside them is seen. */
    uint8_t *header = malloc(GPT_SECTOR_BYTES);
    memcpy(header, data, GPT_SECTOR_BYTES);
    data += GPT_SECTOR_BYTES;
    size -= sizeof(sectors) + 1 + NAME_BYTES + GPT_SECTOR_BYTES;
    if (flags & MEND) mend(header, data, size);
    uint64_t sector = flags & BACKUP ? sectors - 1 : GPT_FIRST_SECTOR;
    if (gpt_header_read(header, sector, sectors, &gpt)) {
        table_check(&gpt, sector, sectors);
        uint64_t bytes = gpt.entries_sectors * GPT_SECTOR_BYTES;
        uint8_t *entries = calloc(1, bytes);
        memcpy(entries, data, size < bytes ? size : bytes);
        /* What is checked is used; and what is not must do no harm either. */
        gpt_entries_check(&gpt, entries);
        if (gpt_find(&gpt, entries, name, &first, &count)) {
            sure(count > 0 && first >= gpt.first, "begin of a partition");
            sure(count <= gpt.end && first <= gpt.end - count, "end of a partition");
        }
        free(entries);
    }
    free(header);
    return 0;
}
