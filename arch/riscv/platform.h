/* SPDX-License-Identifier: MIT */
/*
 * What the files of arch/riscv/ have of each other: calls to the firmware
 * (RISC-V SBI 1.0), the console, and the ways to stop.
 *
 * Only the calls that exo uses are named.  An extension that may be missing
 * needs no probe before the call: the firmware answers it with an error.
 */
#pragma once
#include "devicetree.h"

/* Extension and function. */
#define SBI_PUTCHAR 1, 0 /* legacy: a0 is the byte, no function number */
#define SBI_VERSION 0x10, 0
#define SBI_SET_TIMER 0x54494d45, 0
#define SBI_IPI_SEND 0x735049, 0
#define SBI_FENCE_ASID 0x52464e43, 2
#define SBI_HART_START 0x48534d, 0
#define SBI_RESET 0x53525354, 0
#define SBI_RESET_SHUTDOWN 0
#define SBI_RESET_COLD 1
#define SBI_WRITE_BYTE 0x4442434e, 2

struct sbi_result {
    int64_t error; /* 0 or negative */
    uint64_t value;
};

/*
 * Make one call.  Firmware keeps all registers but a0 and a1, and this keeps
 * a7 too: no C code of the kernel touches it (see CMakeLists.txt).
 */
static inline struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a,
                                         uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    register uint64_t a0 asm("a0") = a;
    register uint64_t a1 asm("a1") = b;
    register uint64_t a2 asm("a2") = c;
    register uint64_t a3 asm("a3") = d;
    register uint64_t a4 asm("a4") = e;
    register uint64_t a6 asm("a6") = function;
    uint64_t a7;
    asm volatile("mv %[a7], a7\n\t"
                 "mv a7, %[extension]\n\t"
                 "ecall\n\t"
                 "mv a7, %[a7]"
                 : "+r"(a0), "+r"(a1), [a7] "=&r"(a7)
                 : "r"(a2), "r"(a3), "r"(a4), "r"(a6), [extension] "r"(extension)
                 : "memory");
    return (struct sbi_result){(int64_t)a0, a1};
}

/* From now on write to this UART, whose address is the kernel's.  Before, the firmware writes. */
void uart_open(struct uart found);

/*
 * Write a text that ends with a zero byte before the machine stops: waits for
 * the transmitter (for a time) and heeds no other hart that writes.
 */
void uart_write_last(const char *text);

/* From now on end the machine by this register of a sifive,test0, if it is not 0. */
void power_open(volatile uint32_t *device);
