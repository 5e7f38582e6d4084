/* SPDX-License-Identifier: MIT */
/*
 * sum: SHA-256 of files of the boot archive, or of a disk, in the form of
 * sha256sum.
 *
 *   sum NAME...             files
 *   sum                     the sectors of the disk that the program holds
 *   sum --disk FIRST COUNT  some of them
 *   sum --halves            two programs at once, each with its half of them
 *
 * A file is not copied anywhere: its frames are mapped read-only where they
 * lie, with the capability for the archive that init lends.
 */
#include <exo/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sum.h"

void sum_print(struct sha256 *sum, const char *name) {
    uint8_t digest[SHA256_BYTES];

    sha256_end(sum, digest);
    for (unsigned i = 0; i < SHA256_BYTES; i++) printf("%02x", digest[i]);
    printf("  %s\n", name);
}

static int sum_file(const char *name) {
    struct archive_file file;
    if (!archive_find(name, &file)) {
        printf("sum: %s: the boot archive has no such file\n", name);
        return 1;
    }
    const void *bytes = archive_map(&file);
    if (!bytes && file.bytes > 0) {
        printf("sum: %s: there is not enough memory to map it\n", name);
        return 1;
    }

    struct sha256 sum;
    sha256_begin(&sum);
    sha256_add(&sum, bytes, file.bytes);
    if (bytes) mem_unmap_frames((void *)bytes);
    sum_print(&sum, name);
    return 0;
}

/* A whole number, and nothing behind it. */
static bool number_read(const char *text, uint64_t *number) {
    char *end;
    *number = strtoul(text, &end, 0);
    return end != text && !*end;
}

int main(int argument_count, char **arguments) {
    uint64_t first, count;
    int status = 0;

    if (argument_count == 1) return sum_disk(NULL, 0, 0);
    if (argument_count == 2 && strcmp(arguments[1], "--halves") == 0)
        return sum_halves(arguments[0]);
    if (strncmp(arguments[1], "--", 2) == 0) {
        char name[64];
        if (argument_count != 4 || strcmp(arguments[1], "--disk") != 0 ||
            !number_read(arguments[2], &first) || !number_read(arguments[3], &count)) {
            printf("usage: sum [NAME... | --disk FIRST COUNT | --halves]\n");
            return 2;
        }
        snprintf(name, sizeof(name), "disk %lu %lu", first, count);
        return sum_disk(name, first, count);
    }
    for (int i = 1; i < argument_count; i++) status |= sum_file(arguments[i]);
    return status;
}
