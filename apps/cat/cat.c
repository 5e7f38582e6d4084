/* SPDX-License-Identifier: MIT */
/*
 * cat [FILE...]: writes files of the boot archive, or what is typed until Ctrl-D.
 */
#include <exo/mem.h>
#include <stdio.h>

static int file_write(const char *name) {
    struct archive_file file;

    if (!archive_find(name, &file)) {
        printf("cat: %s: the boot archive has no such file\n", name);
        return 1;
    }
    if (file.bytes == 0) return 0;
    const char *bytes = archive_map(&file);
    if (!bytes) {
        printf("cat: %s: there is not enough memory to map it\n", name);
        return 1;
    }
    fwrite(bytes, 1, file.bytes, stdout);
    mem_unmap_frames((void *)bytes);
    return 0;
}

int main(int argument_count, char **arguments) {
    int status = 0, byte;

    for (int i = 1; i < argument_count; i++) status |= file_write(arguments[i]);
    if (argument_count > 1) return status;
    while ((byte = getchar()) != EOF) putchar(byte);
    return 0;
}
