/* SPDX-License-Identifier: MIT */
/* Partitions of a disk, by name: its tables are read, and gpt.c understands them. */
#include "blk.h"
#include "gpt.h"

#define MEMORY_FRAMES (GPT_ENTRIES_BYTES_MAX / EXO_FRAME_BYTES)

struct reading {
    struct blk *blk;
    uint8_t *memory;
    uint64_t address;
};

static int64_t sectors_read(const struct reading *reading, uint64_t sector, uint64_t count) {
    const struct blk_segment segment = {reading->address, (uint32_t)(count * EXO_SECTOR_BYTES)};
    struct blk_request request = {
        .type = EXO_BLOCK_READ,
        .segments = &segment,
        .segment_count = 1,
        .sector = sector,
    };
    return blk_run(reading->blk, &request);
}

/* Read and check the table whose header is in this sector; its entries are in memory then. */
static int64_t table_read(const struct reading *reading, uint64_t sector, struct gpt *gpt) {
    int64_t error = sectors_read(reading, sector, 1);

    if (error) return error;
    if (!gpt_header_read(reading->memory, sector, reading->blk->disk->sectors, gpt))
        return BLK_ETABLE;
    error = sectors_read(reading, gpt->entries_sector, gpt->entries_sectors);
    if (error) return error;
    return gpt_entries_check(gpt, reading->memory) ? 0 : BLK_ETABLE;
}

int64_t blk_partition_find(struct blk *blk, const char *name, uint64_t *first, uint64_t *count) {
    struct reading reading = {.blk = blk};
    struct gpt gpt;

    reading.memory = blk_memory_alloc(MEMORY_FRAMES, &reading.address);
    if (!reading.memory) return BLK_EMEMORY;
    int64_t error = table_read(&reading, GPT_FIRST_SECTOR, &gpt);
    /* What is wrong with the first counts when the second is no better. */
    if (error && !table_read(&reading, blk->disk->sectors - 1, &gpt)) error = 0;
    if (!error && !gpt_find(&gpt, reading.memory, name, first, count)) error = BLK_ENAME;
    blk_memory_free(reading.memory, reading.address, MEMORY_FRAMES);
    return error;
}
