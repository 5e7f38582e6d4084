/* SPDX-License-Identifier: MIT */
/*
 * What the kernel must know of the machine it runs on, found by the
 * architecture (arch/riscv/ reads it from the device tree).
 */
#pragma once
#include <exo/abi.h>

/*
 * Places in `used`: the boot archive (kernel_boot fills it in), the kernel's
 * image with its bss, and from OTHER on what belongs to firmware.
 */
enum { MACHINE_ARCHIVE, MACHINE_KERNEL, MACHINE_OTHER, MACHINE_USED_MAX = MACHINE_OTHER + 24 };

struct machine {
    /*
     * What INFO will tell, as far as the architecture knows it: timebase_hz,
     * archive_bytes, asid_count (1 to HART_ASIDS), sbi_version,
     * boot_instructions, id and flags of each hart that has an MMU and is
     * enabled (the boot hart first), at least one bank of RAM (ascending,
     * disjoint, whole groups), and the devices.  The rest is 0.
     */
    struct exo_info facts;
    uint64_t lines;           /* interrupt lines, with line 0: up to EXO_LINES_MAX */
    uint64_t archive_address; /* physical, of the boot archive */
    /* Ranges of frames, in or outside the banks, that are not free; they may overlap. */
    uint32_t used_count;
    struct exo_bank used[MACHINE_USED_MAX];
};

/*
 * Build the frame table, the slice vectors, the harts and init from `machine`
 * (exo/boot.c), whose facts are completed.  Runs once, on the boot hart, before
 * any other hart.  When a machine lacks something, calls arch_stop with one
 * line.  Returns init's environment, READY and bound to row 0 of hart 0.
 */
struct exo_env *kernel_boot(struct machine *machine);
