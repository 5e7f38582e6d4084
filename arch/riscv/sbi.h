/* SPDX-License-Identifier: MIT */
/*
 * Calls to the firmware (RISC-V SBI 1.0), by extension and function number.
 *
 * Only what exo uses is named here.  An extension that may be missing needs no
 * probe before the call: the firmware answers it with an error.
 */
#pragma once
#include <stdint.h>

#define SBI_PUTCHAR 1 /* legacy: a0 is the byte, no function number */
#define SBI_BASE 0x10
#define SBI_BASE_VERSION 0
#define SBI_BASE_PROBE 3
#define SBI_IPI 0x735049
#define SBI_IPI_SEND 0
#define SBI_RFENCE 0x52464e43
#define SBI_RFENCE_SFENCE_ASID 2
#define SBI_HSM 0x48534d
#define SBI_HSM_START 0
#define SBI_RESET 0x53525354
#define SBI_RESET_SHUTDOWN 0
#define SBI_RESET_COLD 1
#define SBI_CONSOLE 0x4442434e
#define SBI_CONSOLE_WRITE_BYTE 2

struct sbi_result {
    int64_t error; /* 0 or negative */
    uint64_t value;
};

/*
 * Make one call.  Firmware keeps all registers but a0 and a1, and this keeps
 * a7 too: no C code of the kernel touches it (see CMakeLists.txt).
 */
static inline struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a,
                                         uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
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
