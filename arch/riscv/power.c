/* SPDX-License-Identifier: MIT */
/*
 * The ends of a run: power off, a machine that cannot run exo, a bug of the
 * kernel.
 */
#include "power.h"

#include "arch.h"
#include "machine.h"
#include "sbi.h"
#include "uart.h"

/* What a sifive,test0 takes: these, the second with a status above it. */
#define TEST_PASS 0x5555
#define TEST_FAIL 0x3333

static volatile uint32_t *test_device;

void power_open(volatile uint32_t *device) { test_device = device; }

/*
 * Only the test device tells the status to whoever started the machine.
 * Some firmware cannot shut down but can reset, and an emulator that was told
 * not to reboot ends then.
 */
_Noreturn void arch_power_off(uint64_t status) {
    if (test_device != 0)
        *test_device = status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL;
    sbi_call(SBI_RESET, 0, SBI_RESET_SHUTDOWN, status != 0, 0, 0, 0);
    sbi_call(SBI_RESET, 0, SBI_RESET_COLD, status != 0, 0, 0, 0);
    for (;;) asm volatile("wfi");
}

_Noreturn void arch_stop(const char *why) {
    uart_write_last("exo: ");
    uart_write_last(why);
    uart_write_last("\n");
    arch_power_off(1);
}

_Noreturn void arch_panic(const char *what, const char *file, int line) {
    char number[12];
    uint32_t at = sizeof(number);
    number[--at] = '\0';
    number[--at] = '\n';
    uint32_t rest = (uint32_t)line;
    do {
        number[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0 && at > 0);
    uart_write_last("exo: a bug of the kernel: ");
    uart_write_last(what);
    uart_write_last(" at ");
    uart_write_last(file);
    uart_write_last(":");
    uart_write_last(number + at);
    arch_power_off(2);
}
