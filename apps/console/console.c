/* SPDX-License-Identifier: MIT */
/*
 * console READER: the driver of the UART.
 *
 * init lends it the UART's registers and interrupt line, the frames of all
 * consoles in a row (exo/console.h), and the right to notify who reads what is
 * typed, which is console number READER.  It moves bytes and knows nothing of
 * lines, echo or Ctrl-C: those are the programs' own.
 *
 * All that it keeps for longer than a moment lies in the consoles, so another one
 * goes on where it was when it ends.
 */
#include <exo/console.h>
#include <exo/mem.h>
#include <stdio.h>
#include <stdlib.h>

#include "uart.h"

#define EVENT_LINE 0 /* the UART's interrupt line; SYS_EVENT_CONSOLE is the programs' bell */
#define EVENTS (1ul << EVENT_LINE | 1ul << SYS_EVENT_CONSOLE)

static struct uart uart;
static struct console *consoles;
static uint64_t console_count;
static struct console *reader; /* NULL: what is typed is nobody's */
static uint64_t reader_env;
static uint64_t line_slot;
static uint64_t line;

static struct console *console_at(uint64_t number) {
    return (struct console *)((char *)consoles + number * EXO_FRAME_BYTES);
}

/* ---- moving bytes ---- */

/* Pass on what has come, as far as its reader has room. */
static void receive(void) {
    bool told = false;
    int byte;

    while ((!reader || console_room(reader) > 0) && (byte = uart_receive(&uart)) >= 0) {
        char c = (char)byte;
        if (!reader) continue;
        console_type(reader, &c, 1);
        told = true;
    }
    if (told) exo_notify(reader_env, 1ul << SYS_EVENT_CONSOLE);
}

/* Send what a console holds; false when the UART takes no more for now. */
static bool send(struct console *console) {
    const char *bytes;
    uint32_t count;

    /* Taken when it is sent, so that nothing is lost with this program. */
    while ((count = console_look(console, &bytes)) > 0) {
        uint32_t sent = uart_send(&uart, bytes, count);
        if (sent == 0) return false;
        console_take(console, sent);
    }
    return true;
}

static _Noreturn void serve(void) {
    uint64_t at = 0;

    receive();
    uart_begin(&uart);
    for (;;) {
        bool room = true;
        receive();
        /* One after the other, beginning with the one that had to wait. */
        for (uint64_t i = 0; i < console_count && room; i++) {
            room = send(console_at(at));
            if (room) at = (at + 1) % console_count;
        }
        uart_interrupt(&uart, !reader || console_room(reader) > 0, !room);
        uint64_t events = (uint64_t)exo_wait(EVENTS, EXO_NEVER).value;
        if (events >> EVENT_LINE & 1) {
            receive();
            exo_irq_ack(line_slot, line);
        }
    }
}

/* ---- what was lent ---- */

/* The next capability of a class among those lent, from *number on; NULL when there is none. */
static const struct exo_cap *lent(uint64_t class, uint64_t *number) {
    while (*number < SYS_LENT_MAX) {
        uint64_t handle = sys_start->lent[(*number)++];
        const struct exo_cap *cap = handle ? sys_slot_named(handle) : NULL;
        if (cap && EXO_CAP_CLASS(cap->word) == class) return cap;
    }
    return NULL;
}

static uint64_t handle_of(uint64_t class, const struct exo_cap **cap) {
    uint64_t number = 0;

    *cap = lent(class, &number);
    return *cap ? sys_start->lent[number - 1] : EXO_NONE;
}

static bool registers_open(void) {
    const struct exo_info *info = sys_info();
    const struct exo_cap *cap;
    uint64_t slot = handle_of(EXO_CLASS_DEVICE, &cap);

    for (uint32_t i = 0; slot && i < info->device_count; i++) {
        const struct exo_device *device = &info->device[i];
        if (device->address >> EXO_FRAME_SHIFT != cap->first) continue;
        char *page = mem_map_frames(slot, cap->first, 1, EXO_PAGE_R | EXO_PAGE_W);
        return page && uart_open(&uart, device, page + device->address % EXO_FRAME_BYTES);
    }
    return false;
}

static bool line_open(void) {
    const struct exo_cap *cap;

    line_slot = handle_of(EXO_CLASS_IRQ, &cap);
    if (!line_slot) return false;
    line = cap->first;
    return exo_irq_bind(line_slot, line, 1ul << EVENT_LINE).value == 0;
}

static bool consoles_open(uint64_t number) {
    const struct exo_cap *cap, *env;
    uint64_t slot = handle_of(EXO_CLASS_PAGE, &cap);

    if (!slot) return false;
    console_count = cap->count;
    consoles = mem_map_frames(slot, cap->first, cap->count, EXO_PAGE_R | EXO_PAGE_W);
    reader_env = handle_of(EXO_CLASS_ENV, &env);
    if (consoles && reader_env && number < console_count) reader = console_at(number);
    return consoles != NULL;
}

int main(int argument_count, char **arguments) {
    const char *wrong = NULL;

    if (argument_count != 2) {
        printf("usage: console READER\n");
        return 2;
    }
    if (!registers_open())
        wrong = "it holds no registers of a UART that it knows";
    else if (!consoles_open(strtoul(arguments[1], NULL, 10)))
        wrong = "it holds no consoles";
    else if (!line_open())
        wrong = "it cannot bind the UART's interrupt line";
    if (!wrong) serve();
    printf("console: %s\n", wrong);
    return 1;
}
