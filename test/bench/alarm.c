/* SPDX-License-Identifier: MIT */
/*
 * From the interrupt of a device to the program that waits for it.
 *
 * The device is the clock (google,goldfish-rtc) on the machine's own time, of
 * which an instruction takes a nanosecond: so it is known at which instruction
 * the alarm comes, whether the hart is idle or not.
 */
#include <exo/mem.h>

#include "bench.h"
#include "disk.h"

#define EVENT 1
#define ALARMS 201
#define AFTER 20000 /* nanoseconds */

/* Registers of the clock. */
enum { TIME_LOW, TIME_HIGH, ALARM_LOW, ALARM_HIGH, INTERRUPT_ENABLE, CLEAR_ALARM, STATUS, CLEAR };

static uint64_t root_of(uint32_t class) {
    for (uint32_t i = 0; i < sys_info()->root_count; i++)
        if (sys_info()->root[i].class == class) return sys_info()->root[i].handle;
    return EXO_NONE;
}

static const struct exo_device *clock_find(void) {
    for (uint32_t i = 0; i < sys_info()->device_count; i++)
        if (sys_info()->device[i].kind == EXO_DEVICE_RTC) return &sys_info()->device[i];
    need(EXO_ERANGE, "the machine has no clock");
    return NULL;
}

static uint64_t clock_now(const volatile uint32_t *clock) {
    uint64_t low = clock[TIME_LOW]; /* it keeps the high half until that is read */
    return (uint64_t)clock[TIME_HIGH] << 32 | low;
}

/* The least that the clock is ahead of instret: at an instruction just before the clock was read. */
static uint64_t clock_ahead(const volatile uint32_t *clock) {
    uint64_t least = ~0ul;
    for (int turn = 0; turn < 20; turn++) {
        uint64_t before = sys_instructions(), ahead = clock_now(clock) - before;
        if (ahead < least) least = ahead;
    }
    return least;
}

void bench_alarm(const char *name) {
    uint64_t best = ~0ul;
    const struct exo_device *device = clock_find();
    uint64_t lines = root_of(EXO_CLASS_IRQ);
    volatile uint32_t *clock =
        mem_map_frames(root_of(EXO_CLASS_DEVICE), device->address >> EXO_FRAME_SHIFT, 1,
                       EXO_DEVICE_R | EXO_DEVICE_W);

    if (!clock) need(EXO_ERANGE, "the clock cannot be mapped");
    need(exo_irq_bind(lines, device->line, 1ul << EVENT).value, "irq_bind");
    clock[INTERRUPT_ENABLE] = 1;
    for (int i = 0; i < ALARMS; i++) {
        uint64_t ahead = clock_ahead(clock), alarm = clock_now(clock) + AFTER + 37 * (uint64_t)i;
        clock[ALARM_HIGH] = (uint32_t)(alarm >> 32);
        clock[ALARM_LOW] = (uint32_t)alarm;
        need(exo_wait(1ul << EVENT, EXO_NEVER).value, "wait");
        uint64_t late = sys_instructions() - (alarm - ahead);
        if (late < best) best = late;
        clock[CLEAR] = 1;
        need(exo_irq_ack(lines, device->line).value, "irq_ack");
    }
    clock[INTERRUPT_ENABLE] = 0;
    need(exo_irq_bind(lines, device->line, 0).value, "irq_bind");
    mem_unmap_frames((void *)(uintptr_t)clock);
    print(name, (struct cost){best, 0, 0}, 1);
}
