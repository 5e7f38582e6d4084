/* SPDX-License-Identifier: MIT */
/*
 * The console: stdout and stderr of picolibc, by debug_write.
 *
 * The kernel takes at most 16 bytes a call, and other programs and threads
 * write as well.  So each thread collects a line of its own and writes it under
 * a lock that lies in a frame which the parent shares among its children.  The
 * lock is a courtesy: the wait for it is bounded, for a program may die with it
 * or hold it in bad faith, and then lines mix but nobody waits for ever.
 *
 * stdin is empty: there is no call to read the console.
 */
#include <exo/sys.h>
#include <stdio.h>
#include <string.h>

#include "sys.h"

#define LOCK_SPINS 1000                 /* a writer on another hart is done by then */
#define LOCK_PATIENCE (SYS_SECOND / 10) /* one that waits for its slice, by then */

static _Thread_local char line[256];
static _Thread_local uint64_t line_bytes;

static uint32_t *console_lock(void) { return sys_start->lock ? (uint32_t *)SYS_VA_CONSOLE : NULL; }

static bool lock_take(uint32_t *lock) {
    uint64_t begin = sys_time();

    for (int tries = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE); tries++) {
        if (tries < LOCK_SPINS) continue;
        if (sys_time() - begin > sys_ticks(LOCK_PATIENCE)) return false;
        exo_yield(EXO_NONE);
    }
    return true;
}

void sys_console_write(const char *bytes, uint64_t length) {
    uint32_t *lock = console_lock();
    bool locked = lock && lock_take(lock);

    while (length > 0) {
        uint64_t piece[2] = {0};
        uint64_t count = length < EXO_WRITE_MAX ? length : EXO_WRITE_MAX;
        memcpy(piece, bytes, count);
        struct exo_result result = exo_debug_write(sys_start->console, count, piece[0], piece[1]);
        if (result.value < 0) break;
        bytes += result.value;
        length -= (uint64_t)result.value;
    }
    if (locked) __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

int64_t sys_console_lock_make(uint64_t slot, uint64_t frame) {
    struct exo_result result =
        exo_page_map(EXO_SELF, SYS_VA_CONSOLE, slot, frame, 1, EXO_PAGE_R | EXO_PAGE_W);
    if (result.value < 0) return result.value;
    memset((void *)SYS_VA_CONSOLE, 0, EXO_FRAME_BYTES);
    sys_init_start.lock = slot;
    sys_init_start.lock_frame = frame;
    return 0;
}

void sys_console_flush(void) {
    uint64_t length = line_bytes;

    line_bytes = 0;
    if (length > 0) sys_console_write(line, length);
}

static int console_put(char c, FILE *file) {
    (void)file;
    line[line_bytes++] = c;
    if (c == '\n' || line_bytes == sizeof(line)) sys_console_flush();
    return (unsigned char)c;
}

static int console_get(FILE *file) {
    (void)file;
    return EOF;
}

static int console_sync(FILE *file) {
    (void)file;
    sys_console_flush();
    return 0;
}

static FILE console = FDEV_SETUP_STREAM(console_put, console_get, console_sync, _FDEV_SETUP_RW);
FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;
