/* SPDX-License-Identifier: MIT */
/*
 * The part of exo/arch.h that is neither inline nor about tables or lines: what
 * one hart asks of another, sleep, device registers, the console, and the ends
 * of a run.
 */
#include "platform.h"

#include "arch.h"

#define SIP_SSIP 2
/* Bytes of one write to the console: the firmware takes some 350 instructions for each. */
#define CONSOLE_BYTES 8
/* What a sifive,test0 takes: these, the second with a status above it. */
#define TEST_PASS 0x5555
#define TEST_FAIL 0x3333
#define BUG "exo: a bug of the kernel: "

/* In trap.S: a trap came from the kernel itself, which is a bug of it. */
_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value);

static uint64_t console = SBI_PUTCHAR; /* extension */

/* The firmware names harts by a mask of 64 ids from a base. */
void arch_tlb_flush_remote(uint64_t hart_mask, uint64_t asid) {
    while (hart_mask != 0) {
        uint64_t base = 0, ids = 0;
        for (uint32_t i = 0; i < hart_count; i++) {
            if (!(hart_mask >> i & 1)) continue;
            if (ids == 0) base = harts[i]->id & ~63ul;
            if (harts[i]->id - base >= 64) continue;
            ids |= 1ul << (harts[i]->id - base);
            hart_mask &= ~(1ul << i);
        }
        /* A translation that survived would be a hole: there is no going on. */
        kernel_assert(sbi_call(ids, base, 0, UINT64_MAX, asid, SBI_FENCE_ASID).error == 0);
    }
}

void arch_ipi(const struct hart *hart) {
    if (hart == arch_hart())
        asm volatile("csrs sip, %0" : : "r"(SIP_SSIP) : "memory");
    else
        sbi_call(1, hart->id, 0, 0, 0, SBI_IPI_SEND);
}

void firmware_timer(uint64_t ticks) { sbi_call(ticks, 0, 0, 0, 0, SBI_SET_TIMER); }

void arch_wait_for_interrupt(void) {
    asm volatile("wfi\n\tcsrc sip, %0" : : "r"(SIP_SSIP) : "memory");
#ifdef EXO_COUNTERS
    arch_hart()->entered = CSR_READ(instret); /* sleep is no stay in the kernel */
#endif
}

/* The fences order device registers and memory both ways. */
uint32_t arch_register_read(uint64_t address) {
    uint32_t value, *at = device_register(address);
    asm volatile("fence\n\tlw %0, (%1)\n\tfence" : "=r"(value) : "r"(at) : "memory");
    return value;
}

void arch_register_write(uint64_t address, uint32_t value) {
    uint32_t *at = device_register(address);
    asm volatile("fence\n\tsw %0, (%1)\n\tfence" : : "r"(value), "r"(at) : "memory");
}

void console_open(void) {
    if (sbi_call(SBI_CONSOLE, 0, 0, 0, 0, SBI_PROBE).value != 0) console = SBI_CONSOLE;
}

uint64_t arch_console_write(const char *bytes, uint64_t length) {
    uint64_t count = length < CONSOLE_BYTES ? length : CONSOLE_BYTES;
    for (uint64_t i = 0; i < count; i++) sbi_call((uint8_t)bytes[i], 0, 0, 0, 0, console, 2);
    return count;
}

/* Write texts up to a null pointer before the machine stops; heeds no other hart that writes. */
static void texts_write(const char *const *texts) {
    for (; *texts != 0; texts++)
        for (const char *at = *texts; *at != '\0';) at += arch_console_write(at, 1);
}

/* The digits of a number, before the zero byte at `end`. */
static const char *digits(char *end, uint64_t number, uint64_t base) {
    do *--end = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    return end;
}

/*
 * Only the test device tells the status to whoever started the machine.
 * Some firmware cannot shut down (0) but can reset (1), and an emulator that
 * was told not to reboot ends then.
 */
_Noreturn void arch_power_off(uint64_t status) {
    uint64_t device = devicetree.test_device;
    devicetree.test_device = 0; /* a trap here comes back without it */
    if (device != 0)
        arch_register_write(device, status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL);
    sbi_call(0, status != 0, 0, 0, 0, SBI_RESET);
    sbi_call(1, status != 0, 0, 0, 0, SBI_RESET);
    for (;;) asm volatile("wfi");
}

_Noreturn void arch_stop(const char *why) {
    texts_write((const char *[]){"exo: ", why, "\n", 0});
    arch_power_off(1);
}

_Noreturn void arch_panic(const char *what, const char *file, int line) {
    char room[24] = "";
    texts_write((const char *[]){BUG, what, " at ", file, ":",
                                 digits(room + 23, (uint64_t)line, 10), "\n", 0});
    arch_power_off(2);
}

_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value) {
    char room[3][24] = {""};
    texts_write((const char *[]){BUG, "trap in the kernel at ", digits(room[0] + 23, pc, 16),
                                 ", stval ", digits(room[1] + 23, value, 16), ", scause ",
                                 digits(room[2] + 23, cause & 63, 10), "\n", 0});
    arch_power_off(2);
}
