/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines by the platform-level interrupt controller (RISC-V PLIC
 * specification 1.0): a context is the S-mode of one hart.  All lines have the
 * same priority.
 */
#include "arch.h"
#include "platform.h"

/* Registers of a context: the first, and bytes from one context's to the next one's. */
#define ENABLE 0x2000, 0x80 /* a bit for each line */
#define THRESHOLD 0x200000, 0x1000
#define CLAIM 0x200004, 0x1000

static uint64_t address_of(uint64_t hart, uint64_t first, uint64_t bytes) {
    return devicetree.plic + first + devicetree.context[hart] * bytes;
}

void lines_open(void) {
    uint64_t lines = devicetree.machine.lines;
    for (uint64_t line = 1; line < lines; line++)
        arch_register_write(devicetree.plic + 4 * line, 1);
    for (uint32_t i = 0; lines > 1 && i < devicetree.machine.facts.hart_count; i++) {
        for (uint64_t line = 0; line < lines; line += 32)
            arch_register_write(address_of(i, ENABLE) + line / 8, 0);
        arch_register_write(address_of(i, THRESHOLD), 0);
    }
}

void arch_line_enable(const struct hart *hart, uint64_t line, bool enable) {
    uint64_t address = address_of(hart->index, ENABLE) + line / 32 * 4;
    uint32_t bit = 1u << line % 32;
    uint32_t others = arch_register_read(address) & ~bit;
    arch_register_write(address, enable ? others | bit : others);
}

uint64_t arch_line_claim(const struct hart *hart) {

    return arch_register_read(address_of(hart->index, CLAIM));
}

void arch_line_complete(const struct hart *hart, uint64_t line) {
    arch_register_write(address_of(hart->index, CLAIM), (uint32_t)line);
}
