/* SPDX-License-Identifier: MIT */
/*
 * The frame table as the kernel exposes it, mapped where it is looked at.
 */
#include <exo/mem.h>

static struct region *table;

static bool table_fault(struct region *region, uint64_t va, uint64_t cause) {
    (void)cause;
    uint64_t page = (va - region->first) >> EXO_FRAME_SHIFT;
    int64_t value = space_map(&space_self, va & ~(uint64_t)(EXO_FRAME_BYTES - 1), EXO_NONE,
                              sys_info()->frame_table + page, 1, EXO_PAGE_R);
    return value == 0 || (value == EXO_EPRESENT && region_retry(va));
}

const volatile struct exo_frame *mem_frame_words(uint64_t frame) {
    const struct exo_info *info = sys_info();

    if (frame - info->ram_first >= info->ram_count) return NULL;
    mem_lock();
    if (!table)
        table = region_reserve(info->ram_count * sizeof(struct exo_frame), EXO_FRAME_BYTES,
                               EXO_PAGE_R, table_fault, NULL);
    mem_unlock();
    if (!table) return NULL;
    return (const volatile struct exo_frame *)table->first + (frame - info->ram_first);
}
