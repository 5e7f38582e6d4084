/* SPDX-License-Identifier: MIT */
/* The frame table: see frame.h. */
#include "frame.h"

uint64_t ram_first;
uint64_t ram_count;
uint64_t *group_words;
struct exo_info *info;

/* Add to a group's word unless it has some of these bits, which are returned then, else 0. */
static uint64_t group_add(uint64_t frame, uint64_t difference, uint64_t bits) {
    uint64_t old = read_once(*group_word(frame)), set;
    do {
        set = old & bits;
        if (set) return set;
    } while (!__atomic_compare_exchange_n(group_word(frame), &old, old + difference, false,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return 0;
}

bool frame_claim(uint64_t frame, uint64_t type) {
    uint64_t data = 0;
    if (group_add(frame, GROUP_TYPED_ONE, GROUP_LEAVES_MASK)) return false;
    if (__atomic_compare_exchange_n(frame_word(frame), &data, type << EXO_TYPE_SHIFT, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    __atomic_fetch_sub(group_word(frame), GROUP_TYPED_ONE, __ATOMIC_RELAXED);
    return false;
}

void frame_unclaim(uint64_t frame) {
    __atomic_fetch_sub(frame_word(frame), frame_type(frame) << EXO_TYPE_SHIFT, __ATOMIC_RELEASE);
    __atomic_fetch_sub(group_word(frame), GROUP_TYPED_ONE, __ATOMIC_RELEASE);
}

void frame_release(uint64_t frame) {
    arch_frame_clear(frame_pointer(frame));
    __atomic_store_n(frame_state(frame), 0, __ATOMIC_RELAXED);
    frame_unclaim(frame);
}

int64_t frame_map(uint64_t frame, uint64_t rights) {
    uint64_t old = __atomic_fetch_add(frame_word(frame), FRAME_MAP_ONE, __ATOMIC_RELAXED);
    uint64_t type = old >> EXO_TYPE_SHIFT;
    /* The bits between count and type are room for harts that add at once and then take it back. */
    uint64_t maps = (old & ((1ul << EXO_TYPE_SHIFT) - 1)) >> EXO_MAP_SHIFT;
    /* Types up to RING are the programs' to write, up to INFO to read. */
    bool allowed = type <= EXO_FRAME_RING || (type <= EXO_FRAME_INFO && rights == EXO_PAGE_R);
    int64_t error = !allowed ? EXO_ETYPE : maps < FRAME_MAPS_MAX ? 0 : EXO_EFULL;
    if (error) frame_unmap(frame);
    return error;
}

int64_t group_map(uint64_t frame) {
    uint64_t bits = group_add(frame, 1, ~(uint64_t)(GROUP_LEAVES_MASK >> 1));
    return !bits ? 0 : bits >= GROUP_TYPED_ONE ? EXO_ETYPE : EXO_EFULL;
}

bool frames_quiet(uint64_t first, uint64_t count) {
    for (uint64_t frame = first; frame < first + count; frame++) {
        bool group = frame == first || frame % EXO_GROUP_FRAMES == 0;
        if (read_once(*frame_word(frame))) return false;
        if (group && read_once(*group_word(frame)) & GROUP_LEAVES_MASK) return false;
    }
    return true;
}
