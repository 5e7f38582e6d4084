/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target of libexo's ELF reader: no input makes it touch a byte
 * outside the file (ASan watches), and an image that it accepts is safe to
 * load: all bytes inside the file, all pages below the limit, in order, and no
 * two segments in one page.
 *
 * With the environment variable ELF_PRINT set it prints what it read, one line
 * an input, for elf_oracle.py, which compares it with pyelftools.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/elf.h"

static void sure(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "an accepted image breaks a rule: %s\n", what);
    abort();
}

static void image_check(const struct elf_image *image, size_t size) {
    uint64_t end = 0;
    int entered = 0;
    sure(image->segment_count >= 1 && image->segment_count <= ELF_SEGMENTS_MAX, "segment count");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segment[i];
        sure(segment->memory_bytes > 0 && segment->file_bytes <= segment->memory_bytes, "sizes");
        sure(segment->offset <= size && segment->file_bytes <= size - segment->offset, "file");
        sure(segment->memory_bytes <= ELF_ADDRESS_LIMIT &&
                 segment->address <= ELF_ADDRESS_LIMIT - segment->memory_bytes,
             "addresses");
        sure(i == 0 || segment->address / ELF_PAGE_BYTES > (end - 1) / ELF_PAGE_BYTES, "pages");
        sure(!(segment->flags & ~(uint32_t)(ELF_R | ELF_W | ELF_X)), "flags");
        end = segment->address + segment->memory_bytes;
        entered |=
            (segment->flags & ELF_X) && image->entry >= segment->address && image->entry < end;
    }
    sure(entered, "entry");
}

static void image_print(enum elf_error error, const struct elf_image *image) {
    printf("%d", error);
    if (!error) {
        printf(" %" PRIx64, image->entry);
        for (uint32_t i = 0; i < image->segment_count; i++) {
            const struct elf_segment *segment = &image->segment[i];
            printf(" %" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%x", segment->address,
                   segment->offset, segment->file_bytes, segment->memory_bytes, segment->flags);
        }
    }
    printf("\n");
    fflush(stdout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct elf_image image;
    memset(&image, 0x5a, sizeof(image)); /* what is left undefined must not look right */
    enum elf_error error = elf_read(data, size, &image);
    sure(strcmp(elf_error_text(error), "unknown") != 0, "error text");
    if (!error) image_check(&image, size);
    if (getenv("ELF_PRINT")) image_print(error, &image);
    return 0;
}
