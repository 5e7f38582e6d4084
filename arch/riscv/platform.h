/* SPDX-License-Identifier: MIT */
/*
 * What the files of arch/riscv/ have of each other: calls to the firmware
 * (RISC-V SBI 1.0), the console, and device registers.
 *
 * Only the calls that exo uses are named.  Few need a probe before: an extension
 * that is missing answers with an error.
 */
#pragma once
#include "devicetree.h"

/* Extensions: function 2 of the first writes a byte to the console, and any of the second. */
#define SBI_CONSOLE 0x4442434e
#define SBI_PUTCHAR 1 /* legacy */
/* Extension and function. */
#define SBI_VERSION 0x10, 0
#define SBI_PROBE 0x10, 3
#define SBI_SET_TIMER 0x54494d45, 0
#define SBI_IPI_SEND 0x735049, 0
#define SBI_FENCE_ASID 0x52464e43, 2
#define SBI_HART_START 0x48534d, 0
#define SBI_RESET 0x53525354, 0

struct sbi_result {
    int64_t error; /* 0 or negative */
    uint64_t value;
};

/* In boot.S. */
struct sbi_result sbi_call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                           uint64_t extension, uint64_t function);

/* Learn how the firmware writes a byte to its console. */
void console_open(void);

/* No line is enabled, and those that will be can interrupt; before kernel_boot. */
void lines_open(void);

/* Where the kernel sees a device register; maps it if it is not, before other harts run. */
void *device_register(uint64_t address);
