/* SPDX-License-Identifier: MIT */
/*
 * What the files of exo::blk know of each other and nobody else does.
 */
#pragma once
#include <exo/blk.h>

/* Memory of a request in the ring that the device or the kernel uses beside its segments. */
struct blk_area {
    struct exo_block_header header;
    struct exo_block_range range; /* of DISCARD and ZEROES */
    uint8_t status;
    uint8_t unused[31];
};
_Static_assert(sizeof(struct blk_area) == 64, "an area never crosses a frame");

#define BLK_AREA_FRAMES (sizeof(struct blk_area) * EXO_RING_SIZE / EXO_FRAME_BYTES)
/* Where what is, from blk.frame on. */
#define BLK_RING 0
#define BLK_QUEUE 1
#define BLK_AREAS 2
#define BLK_FRAMES (BLK_AREAS + BLK_AREA_FRAMES)

/* queue.c: an empty ring, in a zeroed structure whose pointers are set. */
void blk_begin(struct blk *blk);
