/* SPDX-License-Identifier: MIT */
/*
 * init's memory: which frames of the whole machine nobody uses.
 *
 * The kernel exposes a word for each group of 512 frames, so all but a few
 * groups are judged by one word: without typed frames and large leaves, and
 * outside the archive, a group is free.  Only in groups with typed frames the
 * frames are looked at one by one.
 */
#include <exo/mem.h>

#define SCRATCH_GROUPS SYS_VA_SCRATCH
#define SCRATCH_FRAMES (SYS_VA_SCRATCH + EXO_FRAME_BYTES)
#define GROUPS_PER_PAGE (EXO_FRAME_BYTES / sizeof(uint64_t))
#define GROUP_TABLE_PAGES (EXO_GROUP_FRAMES * sizeof(struct exo_frame) / EXO_FRAME_BYTES)
#define GROUP_TYPED(word) ((word) >> 32)
#define GROUP_LEAVES(word) ((word) << 32)

static uint64_t group_page; /* page of the group words that is mapped, + 1 */

static void info_map(uint64_t va, uint64_t frame, uint64_t count) {
    exo_page_map(EXO_SELF, va, EXO_NONE, frame, count, EXO_PAGE_R | EXO_MAP_REPLACE);
}

/* The word of the group that begins with this frame. */
static uint64_t group_word(uint64_t frame) {
    uint64_t group = (frame - sys_info()->ram_first) >> EXO_GROUP_SHIFT;
    uint64_t page = group / GROUPS_PER_PAGE;

    if (group_page != page + 1) {
        info_map(SCRATCH_GROUPS, sys_info()->group_table + page, 1);
        group_page = page + 1;
    }
    return ((const volatile uint64_t *)SCRATCH_GROUPS)[group % GROUPS_PER_PAGE];
}

static uint64_t archive_end(void) {
    const struct exo_info *info = sys_info();
    return info->archive + (info->archive_bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES;
}

static bool in_archive(uint64_t first, uint64_t count) {
    return first < archive_end() && sys_info()->archive < first + count;
}

static bool group_is_archive(uint64_t first) {
    return sys_info()->archive <= first && first + EXO_GROUP_FRAMES <= archive_end();
}

static bool group_is_free(uint64_t first) {
    return group_word(first) == 0 && !in_archive(first, EXO_GROUP_FRAMES);
}

/* Free those frames of a group that are free, run by run. */
static void group_scan(uint64_t group) {
    const struct exo_info *info = sys_info();
    uint64_t page = (group - info->ram_first) * sizeof(struct exo_frame) / EXO_FRAME_BYTES;
    const volatile struct exo_frame *words = (const volatile struct exo_frame *)SCRATCH_FRAMES;
    bool shared = in_archive(group, EXO_GROUP_FRAMES);
    uint64_t run = 0;

    info_map(SCRATCH_FRAMES, info->frame_table + page, GROUP_TABLE_PAGES);
    for (uint64_t i = 0; i <= EXO_GROUP_FRAMES; i++) {
        if (i < EXO_GROUP_FRAMES && words[i].word0 == 0 && !(shared && in_archive(group + i, 1))) {
            run++;
            continue;
        }
        if (run > 0) frame_free(group + i - run, run);
        run = 0;
    }
}

static void root_adopt(const struct exo_root_info *root) {
    uint64_t end = root->first + root->count;
    uint64_t bitmap = root->first;
    uint64_t pages = frame_bitmap_frames(root->count);

    /* A group has room for the bitmap of 64 GiB. */
    while (bitmap < end && !group_is_free(bitmap)) bitmap += EXO_GROUP_FRAMES;
    if (bitmap == end || frame_range_add(root->handle, root->first, root->count, bitmap) < 0)
        return;
    for (uint64_t group = root->first; group < end; group += EXO_GROUP_FRAMES) {
        if (group_is_free(group))
            frame_free(group, EXO_GROUP_FRAMES);
        else if (!group_is_archive(group) && GROUP_TYPED(group_word(group)) < EXO_GROUP_FRAMES &&
                 GROUP_LEAVES(group_word(group)) == 0)
            group_scan(group);
    }
    frame_take(bitmap, pages);
}

void mem_machine_adopt(void) {
    const struct exo_info *info = sys_info();

    for (uint32_t i = 0; i < info->root_count; i++)
        if (info->root[i].class == EXO_CLASS_PAGE) root_adopt(&info->root[i]);
    group_page = 0;
    space_unmap(&space_self, SYS_VA_SCRATCH, 1 + GROUP_TABLE_PAGES);
}
