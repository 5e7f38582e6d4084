/* SPDX-License-Identifier: MIT */
/*
 * The part of exo/arch.h that is neither inline nor about tables: what one hart
 * asks of another, sleep, clearing a frame, and the ends of a run.
 */
#include "platform.h"

#include "arch.h"

#define SIP_SSIP 2
#define MASK_HARTS 64 /* firmware names harts by a mask of so many ids from a base */
/* What a sifive,test0 takes: these, the second with a status above it. */
#define TEST_PASS 0x5555
#define TEST_FAIL 0x3333

/* In trap.S: a trap came from the kernel itself, which is a bug of it. */
_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value);

static volatile uint32_t *test_device;

void arch_tlb_flush_remote(uint64_t hart_mask, uint64_t asid) {
    while (hart_mask != 0) {
        uint64_t base = 0;
        uint64_t ids = 0;
        for (uint32_t i = 0; i < hart_count; i++) {
            if (!(hart_mask >> i & 1)) continue;
            if (ids == 0) base = harts[i]->id & ~(uint64_t)(MASK_HARTS - 1);
            if (harts[i]->id - base >= MASK_HARTS) continue;
            ids |= 1ul << (harts[i]->id - base);
            hart_mask &= ~(1ul << i);
        }
        /* A translation that survived would be a hole: there is no going on. */
        kernel_assert(sbi_call(SBI_FENCE_ASID, ids, base, 0, UINT64_MAX, asid).error == 0);
    }
}

void arch_ipi(const struct hart *hart) {
    if (hart == arch_hart())
        asm volatile("csrs sip, %0" : : "r"(SIP_SSIP) : "memory");
    else
        sbi_call(SBI_IPI_SEND, 1, hart->id, 0, 0, 0);
}

void firmware_timer(uint64_t ticks) { sbi_call(SBI_SET_TIMER, ticks, 0, 0, 0, 0); }

void arch_wait_for_interrupt(void) {
    asm volatile("wfi\n\tcsrc sip, %0" : : "r"(SIP_SSIP) : "memory");
#ifdef EXO_COUNTERS
    arch_hart()->entered = CSR_READ(instret); /* sleep is no stay in the kernel */
#endif
}

void arch_frame_clear(void *frame) {
    char *end = (char *)frame + EXO_FRAME_BYTES;
    for (char *at = frame; at < end; at += 256) {
        asm volatile(".set offset, 0\n\t"
                     ".rept 32\n\t"
                     "sd zero, offset(%0)\n\t"
                     ".set offset, offset + 8\n\t"
                     ".endr"
                     :
                     : "r"(at)
                     : "memory");
    }
}

void power_open(volatile uint32_t *device) { test_device = device; }

/*
 * Only the test device tells the status to whoever started the machine.
 * Some firmware cannot shut down but can reset, and an emulator that was told
 * not to reboot ends then.
 */
_Noreturn void arch_power_off(uint64_t status) {
    if (test_device != 0)
        *test_device = status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL;
    sbi_call(SBI_RESET, SBI_RESET_SHUTDOWN, status != 0, 0, 0, 0);
    sbi_call(SBI_RESET, SBI_RESET_COLD, status != 0, 0, 0, 0);
    for (;;) asm volatile("wfi");
}

_Noreturn void arch_stop(const char *why) {
    uart_write_last("exo: ");
    uart_write_last(why);
    uart_write_last("\n");
    arch_power_off(1);
}

static void number_write(uint64_t number, uint64_t base) {
    if (number >= base) number_write(number / base, base);
    uart_write_last((char[]){"0123456789abcdef"[number % base], '\0'});
}

/* The end of the line about a bug, and of the run. */
static _Noreturn void bug_stop(const char *where, uint32_t number) {
    uart_write_last(" at ");
    uart_write_last(where);
    uart_write_last(":");
    number_write(number, 10);
    uart_write_last("\n");
    arch_power_off(2);
}

_Noreturn void arch_panic(const char *what, const char *file, int line) {
    uart_write_last("exo: a bug of the kernel: ");
    uart_write_last(what);
    bug_stop(file, (uint32_t)line);
}

_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value) {
    uart_write_last("exo: a bug of the kernel: trap in the kernel at ");
    number_write(pc, 16);
    uart_write_last(", stval ");
    number_write(value, 16);
    bug_stop("scause", cause & 63);
}
