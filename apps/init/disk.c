/* SPDX-License-Identifier: MIT */
/*
 * Ranges of a disk that the manifest names by their partition.
 *
 * init reads the partition table itself, through a queue that it has only as long
 * as nothing of the disk is lent.
 */
#include <exo/blk.h>
#include <exo/event.h>

#include "init.h"

static int64_t find(uint64_t slot, const char *name, uint64_t *first, uint64_t *count) {
    static struct blk blk;
    int64_t event = event_alloc();

    if (event < 0) return event;
    int64_t error = blk_open(&blk, slot, (uint64_t)event);
    if (!error) {
        error = blk_partition_find(&blk, name, first, count);
        blk_close(&blk);
    }
    event_free((uint64_t)event);
    return error;
}

bool partition_find(const struct manifest_disk *wanted, uint64_t *first, uint64_t *count) {
    uint64_t slot = root_find(EXO_CLASS_BLOCK, wanted->disk)->handle;
    int64_t error = find(slot, wanted->partition, first, count);

    return !error || plan_wrong(wanted->line, "\"%s\" on disk %lu: %s", wanted->partition,
                                wanted->disk, blk_error_text(error));
}
