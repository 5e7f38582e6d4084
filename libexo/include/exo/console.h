/* SPDX-License-Identifier: MIT */
/*
 * A console (exo::sys): one frame with two rings of bytes, between a program and
 * whoever serves it.
 *
 * The program writes to `out` and reads from `in`; who serves it takes from `out`
 * and puts what is typed into `in`.  Both tell each other by the event
 * SYS_EVENT_CONSOLE.  The program's children share its frame, unless they are
 * given one of their own, so those who write take a lock; it is a courtesy.
 *
 * The frame is shared memory: neither side believes more of the other than
 * bytes.  A console that is served again by somebody else goes on where it was.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_OUT_BYTES 2048
#define CONSOLE_IN_BYTES 1024

/* How far the two sides of a ring are: bytes since the begin, modulo 2^32. */
struct console_place {
    _Alignas(64) uint32_t written;
    _Alignas(64) uint32_t read;
};

struct console {
    uint32_t lock;   /* of those who write */
    uint32_t served; /* not 0: somebody takes, or will take, what is written */
    uint32_t typed;  /* not 0: and puts what is typed */
    struct console_place out;
    struct console_place in;
    char out_bytes[CONSOLE_OUT_BYTES];
    char in_bytes[CONSOLE_IN_BYTES];
};
_Static_assert(sizeof(struct console) <= 4096, "a console is one frame");

/* ---- Who serves it */

/* Make a frame of any contents a console that is served. */
void console_begin(struct console *console, bool typed);

/* Bytes that were written and not taken, in one piece from *bytes on; how many, 0: none. */
uint32_t console_look(const struct console *console, const char **bytes);

/* Take so many of them. */
void console_take(struct console *console, uint32_t count);

/* Put typed bytes, as far as there is room; how many. */
uint32_t console_type(struct console *console, const char *from, uint32_t count);

/* How many typed bytes there is room for. */
uint32_t console_room(const struct console *console);

/* ---- The program */

/* Write bytes, as far as there is room; how many. */
uint32_t console_put(struct console *console, const char *from, uint32_t count);

/* Whether this byte is among those that were typed and not read. */
bool console_has(const struct console *console, char byte);

/* Read up to `count` typed bytes; how many there were. */
uint32_t console_get(struct console *console, char *to, uint32_t count);
