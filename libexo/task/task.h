/* SPDX-License-Identifier: MIT */
/*
 * What the files of exo::task know of each other and nobody else does.
 */
#pragma once
#include <exo/task.h>

#include "elf.h"

/* A task while it is built. */
struct build {
    struct task *task;
    const struct task_options *options;
    struct elf_image image;
    const uint8_t *file; /* the ELF file, mapped */
    uint64_t next;       /* first frame of its memory that is not in use */
    uint64_t memory;     /* child's handle of its memory */
    struct space space;  /* the child's */
    uint8_t *content;    /* start block, stack page and image, mapped here */
    uint64_t content_frame;
    uint64_t content_count;
};

/* lend.c: derive and grant to the child's slot `into`; returns the child's handle or an error. */
int64_t task_lend_to(uint64_t env, const struct task_lend *range, uint64_t into);

/* lend.c: everything that the child holds from the start; fills in the start block. */
int64_t task_lend_all(struct build *build, struct sys_start *start);

/* image.c: how many frames start block, stack page and image take. */
uint64_t image_frames(const struct elf_image *image);

/* image.c: put the bytes of the image into build->content, zeroes where the file has none. */
void image_fill(struct build *build);

/* image.c: map stack page and segments in the child. */
int64_t image_map(struct build *build);
