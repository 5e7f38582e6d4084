/* SPDX-License-Identifier: MIT */
/*
 * What the kernel must know of the machine it runs on, found by the
 * architecture (arch/riscv/ reads it from the device tree).
 */
#pragma once
#include <exo/abi.h>
#include <stdint.h>

#define MACHINE_RESERVED_MAX 24

struct frame_range {
    uint64_t first; /* frame number */
    uint64_t count; /* frames */
};

struct machine {
    uint32_t bank_count;
    uint32_t reserved_count;
    struct frame_range bank[EXO_BANKS_MAX]; /* RAM, ascending, disjoint, whole groups */
    /* Frames in or outside the banks that belong to firmware or the kernel's image; may overlap. */
    struct frame_range reserved[MACHINE_RESERVED_MAX];
    uint32_t hart_count; /* that have an MMU and are enabled; entry 0 is the boot hart */
    uint32_t sbi_version;
    struct {
        uint64_t id;
        uint64_t flags; /* EXO_HART_ */
    } hart[EXO_HARTS_MAX];
    uint64_t timebase_hz;
    uint64_t asid_count;      /* identifiers for spaces: 1 to HART_ASIDS */
    uint64_t archive_address; /* physical, of the boot archive */
    uint64_t archive_bytes;
    struct frame_range kernel;  /* the image with its bss */
    uint64_t boot_instructions; /* instret at the kernel's first instruction */
};

/*
 * Build the frame table, the slice vectors, the harts and init from `machine`
 * (exo/boot.c).  Runs once, on the boot hart, before any other hart.  When a
 * machine lacks something, calls arch_stop with one line.  Returns init's
 * environment, READY and bound to row 0 of hart 0.
 */
struct exo_env *kernel_boot(const struct machine *machine);
