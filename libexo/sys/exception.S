/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel enters the program at an exception.
 *
 * The kernel has put pc, sp, ra, t0, t1, a0, a1 and a7 into the record in CTX
 * and set sp to the exception stack; resume loads them back.  The other
 * registers that a C function may destroy are kept here.  The frame has the
 * form that a walk along s0 expects, with the interrupted pc as its return
 * address, so a backtrace goes through an exception.
 */
#include <exo/abi.h>

#define FRAME 96

    .section .text.sys_exception_entry, "ax", @progbits
    .globl sys_exception_entry
    .type sys_exception_entry, @function
sys_exception_entry:
    addi sp, sp, -FRAME
    sd t2, 0(sp)
    sd t3, 8(sp)
    sd t4, 16(sp)
    sd t5, 24(sp)
    sd t6, 32(sp)
    sd a2, 40(sp)
    sd a3, 48(sp)
    sd a4, 56(sp)
    sd a5, 64(sp)
    sd a6, 72(sp)
    sd s0, 80(sp)
    li t2, EXO_VA_CTX
    ld t3, 0(t2) /* exception_pc */
    sd t3, 88(sp)
    addi s0, sp, FRAME
    jal sys_exception
    ld t2, 0(sp)
    ld t3, 8(sp)
    ld t4, 16(sp)
    ld t5, 24(sp)
    ld t6, 32(sp)
    ld a2, 40(sp)
    ld a3, 48(sp)
    ld a4, 56(sp)
    ld a5, 64(sp)
    ld a6, 72(sp)
    ld s0, 80(sp)
    li a7, EXO_CALL_resume
    ecall
    .size sys_exception_entry, . - sys_exception_entry
