/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of the kernel on every hart, up to C at the kernel's
 * virtual address, and the last ones of a hart's start.
 *
 * Firmware enters with translation off, at whatever address the image was
 * loaded, while it is linked to a virtual one.  Until translation is on, code
 * reaches everything relative to pc.  No page is mapped at its own physical
 * address: writing satp makes the very next fetch fault, and stvec holds the
 * virtual address to go on at.
 */
#include <exo/abi.h>

#include "offsets.h"

#define SIE_SSIE_STIE 0x22 /* software and timer interrupts */
#define SSTATUS_SPIE 0x20
/* SIE, SPP, VS, FS, SUM, MXR: traps go to user mode and user memory stays out of reach. */
#define SSTATUS_CLEAR 0xc6702
#define COUNTERS_USER 7 /* cycle, time, instret */
#define BOOT_STACK_BYTES 8192

/*
 * Go on behind this at the linked address, by the tables of a value for satp.
 * The image is linked to the last 2 GiB, which lui reaches.
 */
    .macro TRANSLATE satp
    lui t0, %hi(1f)
    addi t0, t0, %lo(1f)
    csrw stvec, t0
    sfence.vma
    csrw satp, \satp
    sfence.vma
    .balign 4
1:
    .endm

    .section .text.start, "ax"
    .globl _start
_start:
    /* The header that `booti` of U-Boot reads, 64 bytes, little endian. */
    .option push
    .option norvc
    .option norelax
    j boot_entry
    .option pop
    .word 0
    .dword 0x200000            /* offset from the start of RAM that suits us */
    .dword image_end - _start  /* size with bss */
    .dword 0                   /* flags: little endian */
    .dword 2, 0                /* version of this header: 0.2 */
    .ascii "RISCV\0\0\0RSC\5"
    .word 0

/* The boot hart: a0 is its id, a1 the physical address of the device tree. */
boot_entry:
    csrr s2, instret
    csrw sie, zero
    lla t0, boot_begun
    li t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    bnez t1, boot_again
    mv s0, a0
    mv s1, a1

    lla t0, bss_start
    lla t1, bss_end
1:  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56
    sd zero, \offset(t0)
    .endr
    addi t0, t0, 64
    bltu t0, t1, 1b

    lla sp, boot_stack_end
    mv a0, s1
    call early_map             /* returns the value for satp */
    TRANSLATE a0
    lla t0, boot_trap
    csrw stvec, t0
    lla sp, boot_stack_end
    mv tp, zero
    mv a0, s0
    mv a1, s1
    mv a2, s2
    call boot_main

/*
 * Some firmware (OpenSBI 1.1) now and then sends a hart that boot_main started
 * here, as if it were the boot hart.  It waits until all is there, finds its
 * struct hart by its id and goes on where it should have begun.
 */
boot_again:
    lla t0, harts_ready
1:  lw t1, (t0)
    beqz t1, 1b
    fence r, rw
    lla t0, harts
    li t2, -1
    slli t2, t2, 38            /* DIRECT_MAP */
2:  ld a1, (t0)
    beqz a1, 3f
    addi t0, t0, 8
    sub t1, a1, t2
    ld t1, HART_ID(t1)
    bne t1, a0, 2b
    j hart_entry
3:  wfi
    j 3b

/*
 * Another hart, started by boot_main through the firmware: a1 is the kernel
 * address of its struct hart.  The kernel's tables are complete by now.
 */
    .globl hart_entry
hart_entry:
    csrw sie, zero
    mv a0, a1
    ld t1, kernel_satp
    fence.i
    TRANSLATE t1

/*
 * hart_begin(struct hart *hart): make this hart ready to run programs and go
 * to the scheduler.  Never returns.
 */
    .globl hart_begin
hart_begin:
    mv tp, a0
    ld sp, HART_STACK(tp)
    csrw sscratch, tp
    ld t0, HART_FACTS(tp)
    ld t0, FACTS_FLAGS(t0)
    andi t0, t0, EXO_HART_FLOAT
    beqz t0, 1f
    lla t0, float_trap_entry
1:  sd t0, HART_FLOAT_TRAP(tp)
    lla t0, trap_entry
    sd t0, HART_TRAP(tp)
    csrw stvec, t0
    csrwi scounteren, COUNTERS_USER
    li t0, SSTATUS_CLEAR
    csrc sstatus, t0
    li t0, SSTATUS_SPIE
    csrs sstatus, t0
    li t0, SIE_SSIE_STIE
    csrw sie, t0
#ifdef EXO_COUNTERS
    csrr t0, instret
    sd t0, HART_ENTERED(tp)
#endif
    tail hart_schedule

    .data
    .balign 4
boot_begun:
    .word 0

    .bss
    .balign 16
    .skip BOOT_STACK_BYTES
boot_stack_end:
