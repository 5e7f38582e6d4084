/* SPDX-License-Identifier: MIT */
/*
 * The consoles of init and its programs: frames that init holds, so that a new
 * driver finds what an old one left.
 */
#include "init.h"

#include <stdio.h>

#define DRAIN_PATIENCE SYS_SECOND       /* without a byte taken */
#define DRAIN_LOOK (SYS_SECOND / 10000) /* between two looks */

struct console *consoles;
uint64_t consoles_frame;

int64_t consoles_make(void) {
    consoles_frame = frame_alloc_range(CONSOLES, 1, NULL);
    if (!consoles_frame) return EXO_EFULL;
    uint64_t slot = frame_slot(consoles_frame);
    consoles = mem_map_frames(slot, consoles_frame, CONSOLES, EXO_PAGE_R | EXO_PAGE_W);
    if (!consoles) return EXO_EFULL;
    return sys_console_make(slot, consoles_frame);
}

static bool driver_lives(void) {
    return driver && driver->state == INIT_RUNS && !task_has_ended(&driver->task);
}

void console_drain(const struct console *console) {
    uint32_t before = console->out.read;
    uint64_t since = sys_time();
    const char *bytes;

    while (driver_lives() && console_look(console, &bytes) > 0 &&
           sys_time() - since < sys_ticks(DRAIN_PATIENCE)) {
        exo_wait(0, sys_time() + sys_ticks(DRAIN_LOOK));
        uint32_t now = __atomic_load_n(&console->out.read, __ATOMIC_RELAXED);
        if (now != before) since = sys_time();
        before = now;
    }
}

void consoles_leave(void) {
    const char *bytes;
    uint32_t count;

    /* init's own first, so that what follows is not written to it. */
    for (uint64_t i = 0; i < CONSOLES; i++) {
        struct console *console = console_at(i);
        __atomic_store_n(&console->served, 0, __ATOMIC_RELEASE);
        while ((count = console_look(console, &bytes)) > 0) {
            sys_console_write(bytes, count);
            console_take(console, count);
        }
    }
    sys_console_bell_set(EXO_NONE);
}

_Noreturn void power_off(int status) {
    fflush(stdout);
    if (consoles) {
        for (uint64_t i = 0; i < CONSOLES; i++) console_drain(console_at(i));
        consoles_leave();
    }
    for (;;) exo_shutdown(sys_start->console, (uint64_t)status);
}
