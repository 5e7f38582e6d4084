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

    .section .text.start, "ax"
    .globl _start
_start:
    /*
     * The header that `booti` of U-Boot reads, 64 bytes, little endian: a jump,
     * which offset from the start of RAM suits us, size with bss, flags, version 0.2.
     */
    .option norvc
    j boot_entry
    .option rvc
    .word 0
    .dword 0x200000, image_end - _start, 0, 2, 0
    .ascii "RISCV\0\0\0RSC\5"
    .word 0

/*
 * a0 is the hart's id.  The first one here is the boot hart, and for it a1 is
 * the physical address of the device tree.  It will start the others, which
 * come here too; whatever comes before its time waits until all is there.
 */
boot_entry:
    csrr s2, instret
    csrw sie, zero
    mv s0, a0
    lla t0, boot_state
    li t1, 1
    amoor.w.aqrl s3, t1, (t0)
    beqz s3, boot_first
1:  lw t2, (t0)
    beq t2, t1, 1b
    fence r, rw
    fence.i
    ld a0, kernel_satp
    j boot_translate

boot_first:
    mv s1, a1
    lla t0, bss_start
    lla t1, bss_end
1:  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56
    sd zero, \offset(t0)
    .endr
    addi t0, t0, 64
    bltu t0, t1, 1b
    lla sp, boot_stack_end
    call early_map             /* returns the value for satp */

/* The image is linked to the last 2 GiB, which lui reaches. */
boot_translate:
    lui t0, %hi(1f)
    addi t0, t0, %lo(1f)
    csrw stvec, t0
    sfence.vma
    csrw satp, a0
    .balign 4
1:  bnez s3, hart_begin
    lla t0, boot_trap
    csrw stvec, t0
    lla sp, boot_stack_end
    mv tp, zero
    mv a0, s0
    mv a1, s1
    mv a2, s2
    call boot_main

/* Find this hart's structure, make it ready to run programs and go to the scheduler. */
hart_begin:
    lla t0, harts
1:  ld tp, (t0)
    addi t0, t0, 8
    ld t1, HART_ID(tp)
    bne t1, s0, 1b
    ld sp, HART_STACK(tp)
    csrw sscratch, tp
    ld t0, HART_TRAP(tp)
    csrw stvec, t0
    csrwi scounteren, 7        /* cycle, time and instret are the programs' too */
    /* UXL and SPIE; SIE, SPP, VS, FS, SUM, MXR 0: sret to U-mode, user memory out of reach. */
    li t0, 0x200000020
    csrw sstatus, t0
    li t0, 0x222               /* external, timer and software interrupts */
    csrw sie, t0
#ifdef EXO_COUNTERS
    csrr t0, instret
    sd t0, HART_ENTERED(tp)
#endif
    tail hart_schedule

/*
 * One call to the firmware: platform.h.  Firmware keeps all registers but a0
 * and a1, and this keeps a7 too: no C code of the kernel touches it.
 */
    .globl sbi_call
sbi_call:
    mv t0, a7
    mv a7, a5
    ecall
    mv a7, t0
    ret

    .bss
    .balign 16
    .skip 8192
boot_stack_end:
