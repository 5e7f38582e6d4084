/* SPDX-License-Identifier: MIT */
/*
 * hello: says where it runs, what it holds, and takes and returns memory.
 */
#include <exo/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 1048576.0
#define TAKEN_BYTES (256 * 1024)

static double machine_bytes(void) {
    const struct exo_info *info = sys_info();
    uint64_t frames = 0;

    for (uint32_t i = 0; i < info->bank_count; i++) frames += info->bank[i].count;
    return (double)(frames * EXO_FRAME_BYTES);
}

int main(void) {
    printf("hello from exo: %u hart%s, %.1f MiB of memory\n", (unsigned)sys_info()->hart_count,
           sys_info()->hart_count == 1 ? "" : "s", machine_bytes() / MIB);
    printf("I hold the frames %#lx to %#lx and build my address space from them (%s)\n",
           sys_start->frame_first, sys_start->frame_first + sys_start->frame_count - 1,
           manager_name);

    uint64_t before = frame_count_free();
    char *taken = mem_reserve(TAKEN_BYTES);
    if (!taken) {
        printf("there is not enough memory for %d bytes\n", TAKEN_BYTES);
        return 1;
    }
    memset(taken, 1, TAKEN_BYTES);
    uint64_t during = frame_count_free();
    mem_release(taken);
    printf("%lu frames are free, %lu while I use %d KiB more\n", before, during,
           TAKEN_BYTES / 1024);

    char *text = malloc(32);
    if (!text) return 1;
    strcpy(text, "malloc works too");
    printf("%s\n", text);
    free(text);
    return 0;
}
