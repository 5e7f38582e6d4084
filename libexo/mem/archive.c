/* SPDX-License-Identifier: MIT */
/*
 * Files of the boot archive.
 *
 * The archive comes from outside and may be damaged or cut short, so each
 * entry is held against the size that the kernel tells before it is used.
 */
#include <exo/mem.h>
#include <string.h>

static const struct exo_archive *archive; /* header and directory, mapped */
static uint64_t archive_count;            /* entries that the directory really holds */

uint64_t archive_slot(void) {
    return sys_is_init() ? frame_slot(sys_info()->archive) : sys_start->archive;
}

static uint64_t pages_of(uint64_t bytes) { return (bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES; }

static bool open_locked(void) {
    const struct exo_info *info = sys_info();

    if (archive) return true;
    if (info->archive_bytes < sizeof(struct exo_archive)) return false;
    const struct exo_archive *head = mem_map_frames(archive_slot(), info->archive, 1, EXO_PAGE_R);
    if (!head) return false;
    uint64_t room = (info->archive_bytes - sizeof(*head)) / sizeof(struct exo_archive_entry);
    archive_count = head->count < room ? head->count : room;
    uint64_t pages = pages_of(sizeof(*head) + archive_count * sizeof(struct exo_archive_entry));
    bool known = head->magic == EXO_ARCHIVE_MAGIC;
    if (known && pages == 1) {
        archive = head;
        return true;
    }
    mem_unmap_frames((void *)head);
    if (known) archive = mem_map_frames(archive_slot(), info->archive, pages, EXO_PAGE_R);
    return archive != NULL;
}

static bool archive_open(void) {
    mem_lock();
    bool good = open_locked();
    mem_unlock();
    return good;
}

bool archive_at(uint64_t index, struct archive_file *file) {
    const struct exo_info *info = sys_info();

    if (!archive_open() || index >= archive_count) return false;
    const struct exo_archive_entry *entry = (const struct exo_archive_entry *)(archive + 1) + index;
    if (memchr(entry->name, 0, sizeof(entry->name)) == NULL) return false;
    if (entry->offset % EXO_FRAME_BYTES || entry->offset > info->archive_bytes ||
        entry->bytes > info->archive_bytes - entry->offset)
        return false;
    file->name = entry->name;
    file->frame = info->archive + entry->offset / EXO_FRAME_BYTES;
    file->bytes = entry->bytes;
    return true;
}

bool archive_find(const char *name, struct archive_file *file) {
    if (!archive_open()) return false;
    for (uint64_t i = 0; i < archive_count; i++)
        if (archive_at(i, file) && strcmp(file->name, name) == 0) return true;
    return false;
}

const void *archive_map(const struct archive_file *file) {
    if (file->bytes == 0) return NULL;
    return mem_map_frames(archive_slot(), file->frame, pages_of(file->bytes), EXO_PAGE_R);
}
