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
    .cfi_endproc
    .size sys_exception_entry, . - sys_exception_entry
