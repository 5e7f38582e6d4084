/* SPDX-License-Identifier: MIT */
/* The frame table: see frame.h. */
#include "frame.h"

uint64_t ram_first;
uint64_t ram_count;
uint64_t *group_words;
struct exo_info *info;

static uint64_t *group_word(uint64_t frame) { return &group_words[frame >> EXO_GROUP_SHIFT]; }

bool frame_claim(uint64_t frame, uint64_t type) {
    uint64_t *group = group_word(frame);
    uint64_t old = __atomic_load_n(group, __ATOMIC_RELAXED);
    do {
        if (old & GROUP_LEAVES_MASK) return false;
    } while (!__atomic_compare_exchange_n(group, &old, old + GROUP_TYPED_ONE, false,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    uint64_t data = 0;
    if (__atomic_compare_exchange_n(frame_word(frame), &data, type << EXO_TYPE_SHIFT, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    __atomic_fetch_sub(group, GROUP_TYPED_ONE, __ATOMIC_RELAXED);
    return false;
}

void frame_unclaim(uint64_t frame) {
    uint64_t type = frame_type(frame);
    __atomic_fetch_sub(frame_word(frame), type << EXO_TYPE_SHIFT, __ATOMIC_RELEASE);
    __atomic_fetch_sub(group_word(frame), GROUP_TYPED_ONE, __ATOMIC_RELEASE);
}

void frame_release(uint64_t frame) {
    arch_frame_clear(frame_pointer(frame));
    __atomic_store_n(frame_state(frame), 0, __ATOMIC_RELAXED);
    frame_unclaim(frame);
}

int64_t frame_map_typed(uint64_t *word, uint64_t old, uint64_t rights) {
    int64_t error = EXO_ETYPE;
    switch (old >> EXO_TYPE_SHIFT) {
    case EXO_FRAME_DATA:
    case EXO_FRAME_CTX:
    case EXO_FRAME_RING: error = 0; break;
    case EXO_FRAME_TABLE:
    case EXO_FRAME_ROOT:
    case EXO_FRAME_ENV:
    case EXO_FRAME_CAPS:
    case EXO_FRAME_QUEUE:
    case EXO_FRAME_INFO: error = rights == EXO_PAGE_R ? 0 : EXO_ETYPE; break;
    default: break;
    }
    /* The bits between count and type are room for harts that add at once and then take it back. */
    uint64_t maps = (old & ((1ul << EXO_TYPE_SHIFT) - 1)) >> EXO_MAP_SHIFT;
    if (!error && maps >= FRAME_MAPS_MAX) error = EXO_EFULL;
    if (error) __atomic_fetch_sub(word, FRAME_MAP_ONE, __ATOMIC_RELAXED);
    return error;
}

int64_t group_map(uint64_t frame) {
    uint64_t *group = group_word(frame);
    uint64_t old = __atomic_load_n(group, __ATOMIC_RELAXED);
    do {
        if (old >= GROUP_TYPED_ONE) return EXO_ETYPE;
        if (old == GROUP_LEAVES_MASK) return EXO_EFULL;
    } while (!__atomic_compare_exchange_n(group, &old, old + 1, false, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED));
    return 0;
}

void group_unmap(uint64_t frame) { __atomic_fetch_sub(group_word(frame), 1, __ATOMIC_RELEASE); }

bool frames_quiet(uint64_t first, uint64_t count) {
    for (uint64_t frame = first; frame < first + count; frame++) {
        if (__atomic_load_n(frame_word(frame), __ATOMIC_RELAXED)) return false;
        if ((frame == first || frame % EXO_GROUP_FRAMES == 0) &&
            (__atomic_load_n(group_word(frame), __ATOMIC_RELAXED) & GROUP_LEAVES_MASK))
            return false;
    }
    return true;
}
