/* SPDX-License-Identifier: MIT */
/*
 * Filling memory: arch_frame_clear, and memset, which the compiler may call to
 * clear a structure.  Structures of the kernel are mostly whole words, and
 * aligned to them.
 */
#include "arch.h"

/* Else the compiler finds a memset in these loops, and calls it. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memset(void *to, int byte, uint64_t size);

void *memset(void *to, int byte, uint64_t size) {
    uint64_t word = (uint8_t)byte * 0x0101010101010101ul;
    uint64_t *words = to;
    for (; size >= sizeof(word); size -= sizeof(word)) *words++ = word;
    for (uint8_t *bytes = (uint8_t *)words; size > 0; size--) *bytes++ = (uint8_t)byte;
    return to;
}

void arch_frame_clear(void *frame) {
    uint64_t *words = frame;
#pragma GCC unroll 32
    for (uint32_t i = 0; i < EXO_FRAME_BYTES / sizeof(*words); i++) words[i] = 0;
}
