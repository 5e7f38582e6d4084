/* SPDX-License-Identifier: MIT */
/*
 * sum NAME...: SHA-256 of files of the boot archive, in the form of sha256sum.
 *
 * The file is not copied anywhere: its frames are mapped read-only where they
 * lie, with the capability for the archive that init lends.
 */
#include <exo/mem.h>
#include <stdio.h>

#include "sha256.h"

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
    uint8_t digest[SHA256_BYTES];
    sha256_begin(&sum);
    sha256_add(&sum, bytes, file.bytes);
    sha256_end(&sum, digest);
    if (bytes) mem_unmap_frames((void *)bytes);
    for (unsigned i = 0; i < SHA256_BYTES; i++) printf("%02x", digest[i]);
    printf("  %s\n", name);
    return 0;
}

int main(int argument_count, char **arguments) {
    int status = 0;

    if (argument_count < 2) {
        printf("usage: sum NAME...\n");
        return 2;
    }
    for (int i = 1; i < argument_count; i++) status |= sum_file(arguments[i]);
    return status;
}
