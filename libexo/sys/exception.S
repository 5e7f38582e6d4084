/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel enters the program at an exception.
 *
 * The kernel has put pc, sp, ra, t0, t1, a0, a1 and a7 into the record in CTX
 * and set sp to the exception stack; resume loads them back.  The other
 * registers that a C function may destroy are kept here.  The end of a slice
 * comes the same way.  Which CTX it is the thread's own variables tell.
 *
 * Backtraces go through an exception both ways: the frame has the form that a
 * walk along s0 expects, with the interrupted pc as its return address, and
 * the unwind rules below say where pc, sp, ra and s0 of the interrupted code
 * lie.  They are written out by hand, since its sp is no offset from this one.
 */
#include <exo/abi.h>

#define FRAME 112
#define AT_SP 64
#define AT_RA 72
#define AT_S0 96
#define AT_PC 104
#define VECTOR 2048 /* in CTX */

/* DWARF: "the value at sp + offset", as an expression of 4 bytes or its address, of 3. */
#define CFA_EXPRESSION 0x0f
#define EXPRESSION 0x10
#define OP_SP 0x72
#define OP_LOAD 0x06
#define LEB(offset) ((offset) & 0x7f | 0x80), ((offset) >> 7)
#define COLUMN_PC 64

    .section .text.sys_exception_entry, "ax", @progbits
    .globl sys_exception_entry
    .type sys_exception_entry, @function
    .cfi_sections .debug_frame
sys_exception_entry:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_return_column COLUMN_PC
    addi sp, sp, -FRAME
    sd t2, 0(sp)
    sd t3, 8(sp)
    sd t4, 16(sp)
    sd t5, 24(sp)
    sd t6, 32(sp)
    sd a2, 40(sp)
    sd a3, 48(sp)
    sd a4, 56(sp)
    lui t2, %tprel_hi(sys_thread)
    add t2, t2, tp, %tprel_add(sys_thread)
    ld t2, %tprel_lo(sys_thread)(t2) /* its ctx */
    ld t3, 0(t2) /* exception_pc */
    ld t4, 8(t2) /* exception_sp */
    ld t5, 16(t2) /* exception_ra */
    sd t3, AT_PC(sp)
    sd t4, AT_SP(sp)
    sd t5, AT_RA(sp)
    sd a5, 80(sp)
    sd a6, 88(sp)
    sd s0, AT_S0(sp)
    .cfi_escape CFA_EXPRESSION, 4, OP_SP, LEB(AT_SP), OP_LOAD
    .cfi_escape EXPRESSION, COLUMN_PC, 3, OP_SP, LEB(AT_PC)
    .cfi_escape EXPRESSION, 1, 3, OP_SP, LEB(AT_RA)
    .cfi_escape EXPRESSION, 8, 3, OP_SP, LEB(AT_S0)
    addi s0, sp, FRAME
    jal sys_exception
    bnez a0, crash
    ld t2, 0(sp)
    ld t3, 8(sp)
    ld t4, 16(sp)
    ld t5, 24(sp)
    ld t6, 32(sp)
    ld a2, 40(sp)
    ld a3, 48(sp)
    ld a4, 56(sp)
    ld a5, 80(sp)
    ld a6, 88(sp)
    ld s0, AT_S0(sp)
    li a7, EXO_CALL_resume
    ecall

/* All registers of the faulting thread to the vector of its CTX, from where they can be set. */
    .macro TO_VECTOR n, register
    sd \register, 8 * \n(t1)
    .endm
    .macro COPY_TO_VECTOR n, offset, from
    ld t2, \offset(\from)
    TO_VECTOR \n, t2
    .endm
crash:
    lui t0, %tprel_hi(sys_thread)
    add t0, t0, tp, %tprel_add(sys_thread)
    ld t0, %tprel_lo(sys_thread)(t0)
    li t1, VECTOR
    add t1, t1, t0
    .irp n, 3, 4, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
    TO_VECTOR \n, x\n
    .endr
    COPY_TO_VECTOR 0, AT_PC, sp
    COPY_TO_VECTOR 1, AT_RA, sp
    COPY_TO_VECTOR 2, AT_SP, sp
    COPY_TO_VECTOR 5, 24, t0
    COPY_TO_VECTOR 6, 32, t0
    COPY_TO_VECTOR 7, 0, sp
    COPY_TO_VECTOR 8, AT_S0, sp
    COPY_TO_VECTOR 10, 40, t0
    COPY_TO_VECTOR 11, 48, t0
    COPY_TO_VECTOR 12, 40, sp
    COPY_TO_VECTOR 13, 48, sp
    COPY_TO_VECTOR 14, 56, sp
    COPY_TO_VECTOR 15, 80, sp
    COPY_TO_VECTOR 16, 88, sp
    COPY_TO_VECTOR 17, 56, t0
    COPY_TO_VECTOR 28, 8, sp
    COPY_TO_VECTOR 29, 16, sp
    COPY_TO_VECTOR 30, 24, sp
    COPY_TO_VECTOR 31, 32, sp
    jal sys_crash
    .cfi_endproc
    .size sys_exception_entry, . - sys_exception_entry
