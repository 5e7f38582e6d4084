/* SPDX-License-Identifier: MIT */
/* Reader of partition tables: see gpt.h. */
#include "gpt.h"

#include <string.h>

#define SIGNATURE "EFI PART"
#define REVISION 0x00010000
#define HEADER_BYTES_MIN 92
#define ENTRY_BYTES_MIN 128
#define NAME_UNITS 36 /* of UTF-16 */

/* Places in the header (table 5-5) and in an entry (table 5-6). */
enum {
    HEADER_REVISION = 8,
    HEADER_BYTES = 12,
    HEADER_CRC = 16,
    HEADER_SECTOR = 24,
    HEADER_FIRST = 40,
    HEADER_LAST = 48,
    HEADER_ENTRIES = 72,
    HEADER_ENTRY_COUNT = 80,
    HEADER_ENTRY_BYTES = 84,
    HEADER_ENTRIES_CRC = 88,
    ENTRY_TYPE = 0,
    ENTRY_FIRST = 32,
    ENTRY_LAST = 40,
    ENTRY_NAME = 56,
};

/* A little-endian number of so many bytes. */
static uint64_t number(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

/* CRC32 (ISO 3309) over more bytes; it begins and ends with an inversion. */
static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return crc;
}

/* The header's checksum is over its bytes with the checksum's own as zeroes. */
static uint32_t header_crc(const uint8_t *header, uint64_t bytes) {
    static const uint8_t zeroes[4];
    uint32_t crc = crc_add(~0u, header, HEADER_CRC);

    crc = crc_add(crc, zeroes, sizeof(zeroes));
    return ~crc_add(crc, header + HEADER_CRC + sizeof(zeroes), bytes - HEADER_CRC - sizeof(zeroes));
}

/* Do entries and partitions lie where they can? */
static bool bounds_check(const struct gpt *gpt, uint64_t sector, uint64_t disk_sectors) {
    uint64_t entries_end = gpt->entries_sector + gpt->entries_sectors;

    if (gpt->first >= gpt->end || gpt->end > disk_sectors) return false;
    if (gpt->first <= sector && sector < gpt->end) return false;
    if (gpt->entries_sector <= GPT_FIRST_SECTOR || gpt->entries_sector >= disk_sectors)
        return false;
    if (entries_end > disk_sectors) return false;
    return entries_end <= gpt->first || gpt->end <= gpt->entries_sector;
}

bool gpt_header_read(const uint8_t bytes[GPT_SECTOR_BYTES], uint64_t sector, uint64_t disk_sectors,
                     struct gpt *gpt) {
    uint64_t header_bytes = number(bytes + HEADER_BYTES, 4);
    uint64_t count = number(bytes + HEADER_ENTRY_COUNT, 4);
    uint64_t entry_bytes = number(bytes + HEADER_ENTRY_BYTES, 4);
    uint64_t last = number(bytes + HEADER_LAST, 8);

    if (memcmp(bytes, SIGNATURE, sizeof(SIGNATURE) - 1) != 0) return false;
    if (number(bytes + HEADER_REVISION, 4) != REVISION) return false;
    if (header_bytes < HEADER_BYTES_MIN || header_bytes > GPT_SECTOR_BYTES) return false;
    if (number(bytes + HEADER_CRC, 4) != header_crc(bytes, header_bytes)) return false;
    if (number(bytes + HEADER_SECTOR, 8) != sector || sector >= disk_sectors) return false;
    if (entry_bytes < ENTRY_BYTES_MIN || entry_bytes & (entry_bytes - 1)) return false;
    if (!count || entry_bytes * count > GPT_ENTRIES_BYTES_MAX || last >= disk_sectors) return false;
    *gpt = (struct gpt){
        .entries_sector = number(bytes + HEADER_ENTRIES, 8),
        .entries_sectors = (entry_bytes * count + GPT_SECTOR_BYTES - 1) / GPT_SECTOR_BYTES,
        .entry_count = (uint32_t)count,
        .entry_bytes = (uint32_t)entry_bytes,
        .entries_crc = (uint32_t)number(bytes + HEADER_ENTRIES_CRC, 4),
        .first = number(bytes + HEADER_FIRST, 8),
        .end = last + 1,
    };
    return bounds_check(gpt, sector, disk_sectors);
}

bool gpt_entries_check(const struct gpt *gpt, const uint8_t *entries) {
    return ~crc_add(~0u, entries, (uint64_t)gpt->entry_count * gpt->entry_bytes) ==
           gpt->entries_crc;
}

static bool is_used(const uint8_t *entry) {
    static const uint8_t unused[16];
    return memcmp(entry + ENTRY_TYPE, unused, sizeof(unused)) != 0;
}

static bool has_name(const uint8_t *entry, const char *name) {
    for (unsigned i = 0; i < NAME_UNITS; i++) {
        uint64_t unit = number(entry + ENTRY_NAME + 2 * i, 2);
        if (unit >= 0x80 || unit != (uint8_t)name[i]) return false;
        if (!unit) return true;
    }
    return !name[NAME_UNITS];
}

bool gpt_find(const struct gpt *gpt, const uint8_t *entries, const char *name, uint64_t *first,
              uint64_t *count) {
    for (uint32_t i = 0; i < gpt->entry_count; i++) {
        const uint8_t *entry = entries + (uint64_t)i * gpt->entry_bytes;
        uint64_t from = number(entry + ENTRY_FIRST, 8), last = number(entry + ENTRY_LAST, 8);
        if (!is_used(entry) || !has_name(entry, name)) continue;
        if (from < gpt->first || last < from || last >= gpt->end) continue;
        *first = from;
        *count = last - from + 1;
        return true;
    }
    return false;
}
