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
#include "offsets.h"

#define SIE_SSIE 2
#define SSTATUS_SPIE 0x20
/* SIE, SPP, VS, FS, SUM, MXR: traps go to user mode and user memory stays out of reach. */
#define SSTATUS_CLEAR 0xc6702
#define COUNTERS_USER 7 /* cycle, time, instret */
#define BOOT_STACK_BYTES 8192

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
    .word 2                    /* version of this header: 0.2 */
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\5"
    .word 0

/* The boot hart: a0 is its id, a1 the physical address of the device tree. */
boot_entry:
    csrr s2, instret
    csrw sie, zero
    mv s0, a0
    mv s1, a1

    lla t0, bss_start
    lla t1, bss_end
1:
    .irp offset, 0, 8, 16, 24, 32, 40, 48, 56
    sd zero, \offset(t0)
    .endr
    addi t0, t0, 64
    bltu t0, t1, 1b

    lla sp, boot_stack_end
    mv a0, s1
    call early_map             /* returns the value for satp */
    ld t0, boot_mapped_address
    csrw stvec, t0
    sfence.vma
    csrw satp, a0
    sfence.vma

    .balign 4
boot_mapped:
    lla t0, boot_trap
    csrw stvec, t0
    lla sp, boot_stack_end
    mv tp, zero
    mv a0, s0
    mv a1, s1
    mv a2, s2
    call boot_main

/* An exception of the boot hart before hart_begin. */
    .balign 4
boot_trap:
    call boot_exception

/*
 * Another hart, started by boot_main through the firmware: a1 is the kernel
 * address of its struct hart.  The kernel's tables are complete by now.
 */
    .globl hart_entry
hart_entry:
    csrw sie, zero
    mv tp, a1
    ld t1, kernel_satp
    ld t0, hart_mapped_address
    csrw stvec, t0
    fence.i
    sfence.vma
    csrw satp, t1
    sfence.vma

    .balign 4
hart_mapped:
    mv a0, tp

/*
 * hart_begin(struct hart *hart): make this hart ready to run programs and go
 * to the scheduler.  Never returns.
 */
    .globl hart_begin
hart_begin:
    mv tp, a0
    ld sp, HART_STACK(tp)
    csrw sscratch, tp
    lla t0, trap_entry
    csrw stvec, t0
    csrwi scounteren, COUNTERS_USER
    li t0, SSTATUS_CLEAR
    csrc sstatus, t0
    li t0, SSTATUS_SPIE
    csrs sstatus, t0
    csrwi sie, SIE_SSIE
    tail hart_schedule

    .section .rodata
    .balign 8
/* Linked addresses: what code that is relative to pc cannot say itself. */
boot_mapped_address:
    .dword boot_mapped
hart_mapped_address:
    .dword hart_mapped

    .bss
    .balign 16
    .skip BOOT_STACK_BYTES
boot_stack_end:
