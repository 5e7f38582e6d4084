/* SPDX-License-Identifier: MIT */
/*
 * The frame table: what each frame of memory is used for, and by how many.
 *
 * Word 0 (abi.h) counts a frame's mappings and names its type; DATA is 0, so
 * that one atomic add and one compare tell whether a frame may be mapped.
 * Word 1 depends on the type.  A word per group of 512 frames counts large
 * leaves and typed frames: a large leaf needs no typed frame below it, and
 * typing a frame needs no large leaf above it.
 *
 * All words are atomics and need no lock, at any point.  Zeroing belongs to
 * every change of type, so that nobody's data becomes a table or the reverse.
 */
#pragma once
#include "arch.h"

#define FRAME_MAP_ONE (1ul << EXO_MAP_SHIFT)
#define FRAME_MAPS_MAX (1ul << EXO_MAP_BITS) /* mappings of a frame, at most */
/* A word 0 below this is of type DATA and has room for another mapping. */
#define FRAME_DATA_LIMIT (FRAME_MAPS_MAX << EXO_MAP_SHIFT)
#define GROUP_TYPED_ONE (1ul << 32)
#define GROUP_LEAVES_MASK (GROUP_TYPED_ONE - 1)
/* What word 1 holds below its tag, for CTX, ROOT and CAPS. */
#define FRAME_NUMBER_MASK ((1ul << EXO_FRAME_NUMBER_BITS) - 1)

/* Set once at boot: RAM is [ram_first, ram_first + ram_count), holes included. */
extern uint64_t ram_first;
extern uint64_t ram_count;
extern uint64_t *group_words; /* biased: group_words[frame >> EXO_GROUP_SHIFT] */
extern struct exo_info *info;

static inline uint64_t *frame_word(uint64_t frame) { return &arch_hart()->frames[frame].word0; }

/* Word 1 of a frame. */
static inline uint64_t *frame_state(uint64_t frame) { return &arch_hart()->frames[frame].word1; }

static inline uint64_t *group_word(uint64_t frame) {
    return &group_words[frame >> EXO_GROUP_SHIFT];
}

static inline uint64_t frame_type(uint64_t frame) {
    return __atomic_load_n(frame_word(frame), __ATOMIC_RELAXED) >> EXO_TYPE_SHIFT;
}

/* Word 1 of a frame of this space's changes under SPACE; others may look at it. */
static inline void state_add(uint64_t *word, uint64_t difference) {
    write_once(*word, read_once(*word) + difference);
}

/* Word 1 of the frame at a physical address. */
static inline uint64_t *address_state(uint64_t address) {
    return (uint64_t *)((char *)arch_hart()->words + (address >> (EXO_FRAME_SHIFT - 4)));
}

static inline void *frame_pointer(uint64_t frame) { return arch_pointer(frame << EXO_FRAME_SHIFT); }

static inline uint64_t frame_of(const void *pointer) {
    return arch_address(pointer) >> EXO_FRAME_SHIFT;
}

static inline bool frame_exists(uint64_t frame) { return frame - ram_first < ram_count; }

/*
 * DATA to `type`, if it is DATA without pins and maps and no large leaf lies
 * over it.  The frame is not yet cleared: the caller does that when nothing
 * can fail any more.  Returns whether it was done.
 */
bool frame_claim(uint64_t frame, uint64_t type);

/* Take frame_claim back before the frame was cleared or word 1 written. */
void frame_unclaim(uint64_t frame);

/* Zero a typed frame that the kernel is done with and make it DATA.  Its mappings stay counted. */
void frame_release(uint64_t frame);

/* Count one more mapping of a DATA frame, by its word 0.  False, with nothing done: it is another case. */
static inline bool frame_map_data(uint64_t *word) {
    if (likely(__atomic_fetch_add(word, FRAME_MAP_ONE, __ATOMIC_RELAXED) < FRAME_DATA_LIMIT))
        return true;
    __atomic_fetch_sub(word, FRAME_MAP_ONE, __ATOMIC_RELAXED);
    return false;
}

/* Count one more mapping of a frame of any type with these PAGE rights.  Returns 0, TYPE or FULL. */
int64_t frame_map(uint64_t frame, uint64_t rights);

/* Device registers lie below RAM; the table does not know them, and nobody counts their mappings. */
static inline void frame_unmap(uint64_t frame) {
    if (unlikely(frame < arch_hart()->ram_first)) return;
    __atomic_fetch_sub(frame_word(frame), FRAME_MAP_ONE, __ATOMIC_RELAXED);
}

/* The same for a large leaf over the group that begins with `frame`.  Returns 0, TYPE or FULL. */
int64_t group_map(uint64_t frame);

static inline void group_unmap(uint64_t frame) {
    __atomic_fetch_sub(group_word(frame), 1, __ATOMIC_RELEASE);
}

/* No program's binding can be on these frames: all DATA, unpinned, unmapped, no large leaf. */
bool frames_quiet(uint64_t first, uint64_t count);
