/* SPDX-License-Identifier: MIT */
/*
 * The console's output: stdout and stderr of picolibc.
 *
 * Other programs and threads write as well.  So each thread collects a line of
 * its own and writes it under a lock that lies in the console's frame.  The lock
 * is a courtesy: the wait for it is bounded, for a program may die with it or
 * hold it in bad faith, and then lines mix but nobody waits for ever.
 *
 * While somebody serves the console its ring takes the bytes; else, and when who
 * serves it does not stir, debug_write does, of which the kernel takes at most 16
 * a call.
 */
#include <exo/console.h>
#include <stdio.h>
#include <string.h>

#include "sys.h"

#define LOCK_SPINS 1000                 /* a writer on another hart is done by then */
#define LOCK_PATIENCE (SYS_SECOND / 10) /* one that waits for its slice, by then */
#define PATIENCE SYS_SECOND             /* who takes the bytes has taken one by then */
#define RING_LOOK (SYS_SECOND / 5000)   /* a full ring is looked at so often */

static _Thread_local char line[256];
static _Thread_local uint64_t line_bytes;

struct console *sys_console(void) {
    return sys_start->rings ? (struct console *)SYS_VA_CONSOLE : NULL;
}

/* Who has waited long enough takes the lock over. */
static void lock_take(uint32_t *lock) {
    uint64_t begin = sys_time();

    for (int tries = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE); tries++) {
        if (tries < LOCK_SPINS) continue;
        if (sys_time() - begin > sys_ticks(LOCK_PATIENCE)) return;
        exo_yield(EXO_NONE);
    }
}

/* The ring is full: let who serves it take some of it. */
static void ring_wait(void) {
    /* Only who has a row is woken at a time. */
    if (sys_is_first() && sys_env()->rows)
        exo_wait(0, sys_time() + sys_ticks(RING_LOOK));
    else
        exo_yield(EXO_NONE);
}

/* Write to the ring, as long as somebody serves it; how many bytes it took. */
static uint64_t ring_write(struct console *console, const char *bytes, uint64_t length) {
    uint64_t done = 0, since = sys_time();

    while (done < length && __atomic_load_n(&console->served, __ATOMIC_ACQUIRE)) {
        uint64_t rest = length - done;
        uint32_t put = console_put(console, bytes + done,
                                   rest < CONSOLE_OUT_BYTES ? (uint32_t)rest : CONSOLE_OUT_BYTES);
        sys_console_bell();
        done += put;
        if (done == length) break;
        if (put)
            since = sys_time();
        else if (sys_time() - since > sys_ticks(PATIENCE))
            break;
        ring_wait();
    }
    return done;
}

static void direct_write(const char *bytes, uint64_t length) {
    uint64_t since = sys_time();

    while (length > 0) {
        uint64_t piece[2] = {0};
        uint64_t count = length < EXO_WRITE_MAX ? length : EXO_WRITE_MAX;
        memcpy(piece, bytes, count);
        struct exo_result result = exo_debug_write(sys_start->console, count, piece[0], piece[1]);
        if (result.value == EXO_EAGAIN && sys_time() - since < sys_ticks(PATIENCE)) continue;
        if (result.value < 0) break;
        since = sys_time();
        bytes += result.value;
        length -= (uint64_t)result.value;
    }
}

void sys_console_write(const char *bytes, uint64_t length) {
    struct console *console = sys_console();

    if (!console) {
        direct_write(bytes, length);
        return;
    }
    lock_take(&console->lock);
    uint64_t done = ring_write(console, bytes, length);
    direct_write(bytes + done, length - done);
    __atomic_store_n(&console->lock, 0, __ATOMIC_RELEASE);
}

int64_t sys_console_make(uint64_t slot, uint64_t frame) {
    struct exo_result result =
        exo_page_map(EXO_SELF, SYS_VA_CONSOLE, slot, frame, 1, EXO_PAGE_R | EXO_PAGE_W);
    if (result.value < 0) return result.value;
    sys_init_start.rings = slot;
    sys_init_start.rings_frame = frame;
    console_begin(sys_console(), false);
    return 0;
}

void sys_console_flush(void) {
    uint64_t length = line_bytes;

    line_bytes = 0;
    if (length > 0) sys_console_write(line, length);
}

static int console_put_byte(char c, FILE *file) {
    (void)file;
    line[line_bytes++] = c;
    if (c == '\n' || line_bytes == sizeof(line)) sys_console_flush();
    return (unsigned char)c;
}

static int console_sync(FILE *file) {
    (void)file;
    sys_console_flush();
    return 0;
}

static FILE console_file =
    FDEV_SETUP_STREAM(console_put_byte, sys_input_byte, console_sync, _FDEV_SETUP_RW);
FILE *const stdin = &console_file;
FILE *const stdout = &console_file;
FILE *const stderr = &console_file;
