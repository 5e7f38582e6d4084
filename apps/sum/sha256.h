/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 (FIPS 180-4) of a sequence of bytes.
 */
#pragma once
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_BLOCK 64

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;              /* added so far */
    uint8_t block[SHA256_BLOCK]; /* those that fill no block yet */
};

void sha256_begin(struct sha256 *sum);
void sha256_add(struct sha256 *sum, const void *bytes, uint64_t count);

/* The digest of all that was added; `sum` is used up. */
void sha256_end(struct sha256 *sum, uint8_t digest[SHA256_BYTES]);
