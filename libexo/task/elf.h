/* SPDX-License-Identifier: MIT */
/*
 * Reader of ELF programs: static RISC-V executables of 64 bits.
 *
 * It only reads bytes and never follows a number out of them without a check,
 * so any input gives an image that is safe to load or an error.  It allocates
 * nothing and depends on nothing of exo: host programs compile it too.
 */
#pragma once
#include <stdint.h>

#define ELF_SEGMENTS_MAX 8
#define ELF_PAGE_BYTES 4096
#define ELF_ADDRESS_LIMIT 0x4000000000 /* user addresses are below 2^38 */

/* Flags of a segment, as in the file. */
#define ELF_X 1
#define ELF_W 2
#define ELF_R 4

/* A PT_LOAD entry with bytes in memory. */
struct elf_segment {
    uint64_t address;
    uint64_t offset;       /* of its first byte in the file */
    uint64_t file_bytes;   /* at most memory_bytes; the rest is zero */
    uint64_t memory_bytes; /* not 0 */
    uint32_t flags;        /* ELF_R, ELF_W, ELF_X */
};

struct elf_image {
    uint64_t entry;
    uint32_t segment_count;
    struct elf_segment segment[ELF_SEGMENTS_MAX]; /* ascending, no two in one page */
};

/* Number, name, text: the first thing that is wrong. */
#define ELF_ERRORS(X)                                                        \
    X(0, OK, "no error")                                                     \
    X(-1, SHORT, "the file ends inside a header")                            \
    X(-2, MAGIC, "the file is no ELF file")                                  \
    X(-3, FORM, "the file is not 64-bit, little-endian, version 1")          \
    X(-4, TYPE, "the file is no static executable")                          \
    X(-5, MACHINE, "the program is for another machine than RISC-V")         \
    X(-6, HEADERS, "the program headers have another size or are too many")  \
    X(-7, BOUNDS, "a segment's bytes lie outside the file")                  \
    X(-8, SIZE, "a segment has more bytes in the file than in memory")       \
    X(-9, ADDRESS, "a segment lies outside the user's addresses")            \
    X(-10, OVERLAP, "segments are not ascending, or two share a page")       \
    X(-11, SEGMENTS, "there are no segments, or more than the reader takes") \
    X(-12, ENTRY, "the entry lies in no executable segment")

enum elf_error {
#define X(number, name, text) ELF_##name = number,
    ELF_ERRORS(X)
#undef X
};

/*
 * Read the program headers of the ELF file in bytes[0, size).  Fills *image
 * and returns ELF_OK, or returns another number and *image is undefined.  A
 * dynamic program (type DYN, or with an INTERP or DYNAMIC entry) is TYPE.
 */
enum elf_error elf_read(const void *bytes, uint64_t size, struct elf_image *image);

/* What an error says, for people. */
const char *elf_error_text(enum elf_error error);
