/* SPDX-License-Identifier: MIT */
/* A trap in the kernel itself, which is always a bug of the kernel. */
#include "trap.h"

#include "arch.h"

#define TEXT_WIDTH 16 /* digits of a register */

static char *text_hex(char *text, const char *name, uint64_t value) {
    while (*name) *text++ = *name++;
    for (int shift = 4 * (TEXT_WIDTH - 1); shift >= 0; shift -= 4)
        *text++ = "0123456789abcdef"[value >> shift & 15];
    return text;
}

_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value) {
    char text[80];
    char *end = text_hex(text, "trap in the kernel at ", pc);
    end = text_hex(end, ", stval ", value);
    *end = 0;
    arch_panic(text, "scause", (int)(cause & 63));
}
