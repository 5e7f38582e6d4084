/* SPDX-License-Identifier: MIT */
/* Ranges of a disk that the manifest names by their partition. */
#include "init.h"

bool partition_find(const struct manifest_disk *wanted, uint64_t *first, uint64_t *count) {
    (void)first;
    (void)count;
    return plan_wrong(wanted->line, "disk %lu has no partition \"%s\"", wanted->disk,
                      wanted->partition);
}
