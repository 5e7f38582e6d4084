/* SPDX-License-Identifier: MIT */
/*
 * The image of a task: the bytes of its segments in frames of its memory.
 *
 * The frames are used in this order: start block, first page of the stack,
 * then the pages of each segment.
 */
#include <string.h>

#include "task.h"

#define CONTENT_BEFORE 2 /* start block and stack page */
#define PAGE_MASK ((uint64_t)EXO_FRAME_BYTES - 1)

static uint64_t segment_first(const struct elf_segment *segment) {
    return segment->address & ~PAGE_MASK;
}

static uint64_t segment_frames(const struct elf_segment *segment) {
    uint64_t end = segment->address + segment->memory_bytes;
    return (end - segment_first(segment) + PAGE_MASK) / EXO_FRAME_BYTES;
}

uint64_t image_frames(const struct elf_image *image) {
    uint64_t frames = CONTENT_BEFORE;

    for (uint32_t i = 0; i < image->segment_count; i++)
        frames += segment_frames(&image->segment[i]);
    return frames;
}

void image_fill(struct build *build) {
    uint8_t *at = build->content + CONTENT_BEFORE * EXO_FRAME_BYTES;

    for (uint32_t i = 0; i < build->image.segment_count; i++) {
        const struct elf_segment *segment = &build->image.segment[i];
        uint64_t bytes = segment_frames(segment) * EXO_FRAME_BYTES;
        uint64_t before = segment->address & PAGE_MASK;
        uint64_t end = before + segment->file_bytes;
        memset(at, 0, before);
        memcpy(at + before, build->file + segment->offset, segment->file_bytes);
        memset(at + end, 0, bytes - end);
        at += bytes;
    }
}

static uint64_t segment_rights(const struct elf_segment *segment) {
    return EXO_PAGE_R | (segment->flags & ELF_W ? EXO_PAGE_W : 0) |
           (segment->flags & ELF_X ? EXO_PAGE_X : 0);
}

int64_t image_map(struct build *build) {
    uint64_t frame = build->content_frame + 1;
    int64_t error = space_map(&build->space, SYS_VA_STACK_TOP - EXO_FRAME_BYTES, build->memory,
                              frame, 1, EXO_PAGE_R | EXO_PAGE_W);

    frame++;
    for (uint32_t i = 0; i < build->image.segment_count && !error; i++) {
        const struct elf_segment *segment = &build->image.segment[i];
        uint64_t frames = segment_frames(segment);
        error = space_map(&build->space, segment_first(segment), build->memory, frame, frames,
                          segment_rights(segment));
        frame += frames;
    }
    return error;
}
