/* SPDX-License-Identifier: MIT */
/*
 * Reader of partition tables: GPT (UEFI specification 2.10, chapter 5).
 *
 * A table is a header in one sector and an array of entries.  The reader only
 * reads bytes and believes no number in them without a check, so any disk gives
 * partitions that lie in the table's own bounds, or an answer that there are
 * none.  It allocates nothing and depends on nothing of exo: host programs
 * compile it too.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define GPT_SECTOR_BYTES 512
#define GPT_FIRST_SECTOR 1 /* of the first header; the other one is in the disk's last sector */
#define GPT_ENTRIES_BYTES_MAX 0x10000

struct gpt {
    uint64_t entries_sector; /* the array's first sector ... */
    uint64_t entries_sectors;
    uint32_t entry_count; /* at least 1 */
    uint32_t entry_bytes; /* of each; together at most GPT_ENTRIES_BYTES_MAX */
    uint32_t entries_crc;
    uint64_t first; /* partitions lie in sectors [first, end) */
    uint64_t end;
};

/*
 * Read the header in `bytes`, which is the sector `sector` of a disk that has
 * `disk_sectors`.  Returns whether it is one and whole; then the entries are in
 * sectors of the disk and outside [first, end).
 */
bool gpt_header_read(const uint8_t bytes[GPT_SECTOR_BYTES], uint64_t sector, uint64_t disk_sectors,
                     struct gpt *gpt);

/* Are these the entries of the table?  They are entries_sectors whole sectors. */
bool gpt_entries_check(const struct gpt *gpt, const uint8_t *entries);

/*
 * Look for the first partition with this name, of ASCII characters, among
 * checked entries.  One that does not lie in [gpt->first, gpt->end) does not
 * count.  Returns whether there is one; *count is not 0 then.
 */
bool gpt_find(const struct gpt *gpt, const uint8_t *entries, const char *name, uint64_t *first,
              uint64_t *count);
