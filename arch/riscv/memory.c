/* SPDX-License-Identifier: MIT */
/*
 * memset and memcpy, which the compiler may call for the copy of a structure.
 * Structures of the kernel are mostly whole words, and aligned to them.
 */
#include <stddef.h>
#include <stdint.h>

/* Else the compiler finds a memset in memset's loop, and calls it. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

void *memset(void *to, int byte, size_t size) {
    uint64_t word = (uint8_t)byte * 0x0101010101010101ul;
    uint64_t *words = to;
    for (; size >= sizeof(word); size -= sizeof(word)) *words++ = word;
    for (uint8_t *bytes = (uint8_t *)words; size > 0; size--) *bytes++ = (uint8_t)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    const uint64_t *source = from;
    uint64_t *words = to;
    for (; size >= sizeof(*words); size -= sizeof(*words)) *words++ = *source++;
    const uint8_t *bytes = (const uint8_t *)source;
    for (uint8_t *target = (uint8_t *)words; size > 0; size--) *target++ = *bytes++;
    return to;
}
