/* SPDX-License-Identifier: MIT */
/*
 * Protected control transfer as C functions.
 *
 * A call leaves the temporary registers to the callee as they are, so they are
 * cleared first.  pct_reply returns with s0 to s11 zero, so they are kept on
 * the stack meanwhile.
 */
#include <exo/abi.h>

    .macro WORDS op, at
    \op a0, 0(\at)
    \op a1, 8(\at)
    \op a2, 16(\at)
    \op a3, 24(\at)
    \op a4, 32(\at)
    \op a5, 40(\at)
    .endm

    .macro CLEAR
    .irp register, t0, t2, t3, t4, t5, t6
    li \register, 0
    .endr
    .endm

    .macro KEPT op
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \op s\n, 8 * \n(sp)
    .endr
    \op ra, 96(sp)
    .endm

/* int64_t sys_call(env, words); int64_t sys_call_until(env, words, deadline) */
    .section .text.sys_call, "ax", @progbits
    .globl sys_call, sys_call_until
    .type sys_call, @function
    .type sys_call_until, @function
sys_call:
    li a7, EXO_CALL_pct_call
    li t1, 0
    j 1f
sys_call_until:
    li a7, EXO_CALL_pct_call_until
    mv t1, a2
1:  addi sp, sp, -16
    sd s0, 0(sp)
    sd ra, 8(sp)
    mv s0, a1
    mv a6, a0
    WORDS ld, s0
    CLEAR
    jal 3f
    beqz a6, 2f
    WORDS sd, s0
    li a0, 0
2:  ld s0, 0(sp)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
3:  ecall
    .size sys_call, . - sys_call
    .size sys_call_until, . - sys_call_until

/* uint64_t sys_reply(words) */
    .section .text.sys_reply, "ax", @progbits
    .globl sys_reply
    .type sys_reply, @function
sys_reply:
    addi sp, sp, -112
    KEPT sd
    sd a0, 104(sp)
    mv t1, a0
    li a7, EXO_CALL_pct_reply
    WORDS ld, t1
    CLEAR
    li t1, 0
    jal 2f
    beqz a6, 1f
    ld t1, 104(sp)
    WORDS sd, t1
1:  KEPT ld
    addi sp, sp, 112
    mv a0, a6
    ret
2:  ecall
    .size sys_reply, . - sys_reply
