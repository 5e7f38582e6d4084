/* SPDX-License-Identifier: MIT */
/*
 * memset and memcpy by words, in place of picolibc's, which go byte by byte:
 * a program that zeroes every page it takes spends most of its time there.
 */
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define BLOCK (8 * WORD)

typedef uint64_t __attribute__((may_alias)) word;

/* Without this gcc would make these loops calls of the functions that they are in. */
#define NOT_ITSELF __attribute__((optimize("no-tree-loop-distribute-patterns")))

NOT_ITSELF void *memset(void *to, int byte, size_t count) {
    uint8_t *at = to;
    uint64_t value = (uint8_t)byte * 0x0101010101010101ul;

    for (; count > 0 && (uintptr_t)at % WORD; count--) *at++ = (uint8_t)byte;
    for (; count >= BLOCK; count -= BLOCK, at += BLOCK) {
        word *words = (word *)at;
        words[0] = value;
        words[1] = value;
        words[2] = value;
        words[3] = value;
        words[4] = value;
        words[5] = value;
        words[6] = value;
        words[7] = value;
    }
    for (; count >= WORD; count -= WORD, at += WORD) *(word *)at = value;
    for (; count > 0; count--) *at++ = (uint8_t)byte;
    return to;
}

NOT_ITSELF void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *at = to;
    const uint8_t *source = from;

    if (((uintptr_t)at ^ (uintptr_t)source) % WORD == 0) {
        for (; count > 0 && (uintptr_t)at % WORD; count--) *at++ = *source++;
        for (; count >= BLOCK; count -= BLOCK, at += BLOCK, source += BLOCK) {
            word *words = (word *)at;
            const word *sources = (const word *)source;
            word a = sources[0], b = sources[1], c = sources[2], d = sources[3];
            word e = sources[4], f = sources[5], g = sources[6], h = sources[7];
            words[0] = a;
            words[1] = b;
            words[2] = c;
            words[3] = d;
            words[4] = e;
            words[5] = f;
            words[6] = g;
            words[7] = h;
        }
        for (; count >= WORD; count -= WORD, at += WORD, source += WORD)
            *(word *)at = *(const word *)source;
    }
    for (; count > 0; count--) *at++ = *source++;
    return to;
}
