/* SPDX-License-Identifier: MIT */
/*
 * The console's input: raw bytes, and stdin by lines.
 *
 * Echo and editing are the program's, not the driver's: here is the least that a
 * line needs (backspace, Ctrl-U, Ctrl-D); exo/line.h has more.
 */
#include <exo/console.h>
#include <stdio.h>

#include "sys.h"

#define KEY_END 4 /* Ctrl-D */
#define KEY_KILL 21
#define KEY_BACKSPACE 8
#define KEY_DELETE 127

static char line[256];
static uint64_t line_bytes; /* that were typed ... */
static uint64_t line_read;  /* and of these, that the program has */

bool sys_console_is_typed(void) {
    const struct console *console = sys_console();
    return console && __atomic_load_n(&console->typed, __ATOMIC_RELAXED);
}

uint64_t sys_console_read(char *bytes, uint64_t count, uint64_t deadline) {
    struct console *console = sys_console();

    if (!sys_console_is_typed() || count == 0) return 0;
    if (count > CONSOLE_IN_BYTES) count = CONSOLE_IN_BYTES;
    for (;;) {
        bool full = console_room(console) == 0;
        uint32_t got = console_get(console, bytes, (uint32_t)count);
        if (got && full) sys_console_bell();
        if (got || (deadline != EXO_NEVER && sys_time() >= deadline)) return got;
        exo_wait(1ul << SYS_EVENT_CONSOLE, deadline);
    }
}

/* Take one key; whether the line is complete. */
static bool key_take(char key) {
    if (key == '\r' || key == '\n') {
        line[line_bytes++] = '\n';
        sys_console_write("\n", 1);
        return true;
    }
    if (key == KEY_END) return line_bytes == 0;
    uint64_t erased = key == KEY_KILL                                                 ? line_bytes
                      : (key == KEY_BACKSPACE || key == KEY_DELETE) && line_bytes > 0 ? 1
                                                                                      : 0;
    line_bytes -= erased;
    for (; erased > 0; erased--) sys_console_write("\b \b", 3);
    if (key == '\t' || ((unsigned char)key >= ' ' && key != KEY_DELETE)) {
        if (line_bytes == sizeof(line) - 1) return false;
        line[line_bytes++] = key;
        sys_console_write(&key, 1);
    }
    return false;
}

int sys_input_byte(FILE *file) {
    char key;

    if (line_read == line_bytes) {
        line_read = line_bytes = 0;
        sys_console_flush();
        do {
            if (sys_console_read(&key, 1, EXO_NEVER) == 0) return EOF;
        } while (!key_take(key));
        if (line_bytes == 0) return EOF;
    }
    (void)file;
    return (unsigned char)line[line_read++];
}
