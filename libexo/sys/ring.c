/* SPDX-License-Identifier: MIT */
/* The rings of a console: see exo/console.h. */
#include <exo/console.h>
#include <string.h>

/* Bytes between the two sides.  The other side may write anything: then all of them, as they are. */
static uint32_t filled(const struct console_place *place, uint32_t size) {
    uint32_t bytes = __atomic_load_n(&place->written, __ATOMIC_ACQUIRE) -
                     __atomic_load_n(&place->read, __ATOMIC_ACQUIRE);
    return bytes < size ? bytes : size;
}

static uint32_t ring_put(struct console_place *place, char *ring, uint32_t size, const char *from,
                         uint32_t count) {
    uint32_t at = __atomic_load_n(&place->written, __ATOMIC_RELAXED);
    uint32_t room = size - filled(place, size);

    if (count > room) count = room;
    uint32_t first = at % size, before_end = size - first;
    if (before_end > count) before_end = count;
    memcpy(ring + first, from, before_end);
    memcpy(ring, from + before_end, count - before_end);
    __atomic_store_n(&place->written, at + count, __ATOMIC_RELEASE);
    return count;
}

static uint32_t ring_get(struct console_place *place, const char *ring, uint32_t size, char *to,
                         uint32_t count) {
    uint32_t at = __atomic_load_n(&place->read, __ATOMIC_RELAXED);
    uint32_t there = filled(place, size);

    if (count > there) count = there;
    uint32_t first = at % size, before_end = size - first;
    if (before_end > count) before_end = count;
    memcpy(to, ring + first, before_end);
    memcpy(to + before_end, ring, count - before_end);
    __atomic_store_n(&place->read, at + count, __ATOMIC_RELEASE);
    return count;
}

void console_begin(struct console *console, bool typed) {
    memset(console, 0, sizeof(*console));
    console->typed = typed;
    console->served = 1;
}

uint32_t console_look(const struct console *console, const char **bytes) {
    uint32_t first = __atomic_load_n(&console->out.read, __ATOMIC_RELAXED) % CONSOLE_OUT_BYTES;
    uint32_t count = filled(&console->out, CONSOLE_OUT_BYTES);

    *bytes = console->out_bytes + first;
    return count < CONSOLE_OUT_BYTES - first ? count : CONSOLE_OUT_BYTES - first;
}

void console_take(struct console *console, uint32_t count) {
    __atomic_fetch_add(&console->out.read, count, __ATOMIC_RELEASE);
}

uint32_t console_type(struct console *console, const char *from, uint32_t count) {
    return ring_put(&console->in, console->in_bytes, CONSOLE_IN_BYTES, from, count);
}

uint32_t console_room(const struct console *console) {
    return CONSOLE_IN_BYTES - filled(&console->in, CONSOLE_IN_BYTES);
}

uint32_t console_put(struct console *console, const char *from, uint32_t count) {
    return ring_put(&console->out, console->out_bytes, CONSOLE_OUT_BYTES, from, count);
}

bool console_has(const struct console *console, char byte) {
    uint32_t at = __atomic_load_n(&console->in.read, __ATOMIC_RELAXED);

    for (uint32_t i = 0, count = filled(&console->in, CONSOLE_IN_BYTES); i < count; i++)
        if (console->in_bytes[(at + i) % CONSOLE_IN_BYTES] == byte) return true;
    return false;
}

uint32_t console_get(struct console *console, char *to, uint32_t count) {
    return ring_get(&console->in, console->in_bytes, CONSOLE_IN_BYTES, to, count);
}
