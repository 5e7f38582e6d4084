/* SPDX-License-Identifier: MIT */
/*
 * What the bench counts with: code between two reads of instret.
 *
 * Nothing of the compiler lies between the reads.  What measures itself is one
 * of the two reads, which measure_nothing tells so that it can be subtracted.
 * Arguments are loaded before the first read.
 */
#include <exo/abi.h>

    .text

    .macro FUNCTION name
    .globl \name
    .type \name, @function
\name:
    .endm

/* The registers that a C function must keep, and ra. */
    .macro KEEP op
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \op s\n, 8 * \n(sp)
    .endr
    \op ra, 96(sp)
    \op gp, 104(sp)
    \op tp, 112(sp)
    .endm
    .macro ENTER
    addi sp, sp, -128
    KEEP sd
    .endm
    .macro LEAVE
    sub a0, s11, s10
    KEEP ld
    addi sp, sp, 128
    ret
    .endm

/* measure_nothing() */
FUNCTION measure_nothing
    ENTER
    rdinstret s10
    rdinstret s11
    LEAVE

/* measure_call(stub, arguments[7], result[2]): jump to the stub, stub, kernel. */
FUNCTION measure_call
    ENTER
    mv s0, a0
    mv s1, a2
    mv t0, a1
    .irp n, 0, 1, 2, 3, 4, 5, 6
    ld a\n, 8 * \n(t0)
    .endr
    rdinstret s10
    jalr s0
    rdinstret s11
    sd a0, 0(s1)
    sd a1, 8(s1)
    LEAVE

/* measure_fault(): a breakpoint, its handler, and back. */
FUNCTION measure_fault
    ENTER
    .option push
    .option norvc
    rdinstret s10
    ebreak
    rdinstret s11
    .option pop
    LEAVE

/* The empty handler: steps over the ebreak.  t0, t1 and a7 are in the record. */
    .balign 4
FUNCTION step_handler
    lui t1, EXO_VA_CTX >> 12
    ld t0, 0(t1) /* exception_pc */
    addi t0, t0, 4
    sd t0, 0(t1)
    li a7, EXO_CALL_resume
    ecall

/* measure_store(address): a store to an absent page, which map_handler maps. */
FUNCTION measure_store
    ENTER
    rdinstret s10
    sd zero, 0(a0)
    rdinstret s11
    LEAVE

/*
 * Maps a frame where the fault was.  At sp: the handle of a PAGE capability,
 * the frame, then room for the ten registers that a call may destroy and that
 * are not in the record.
 */
    .macro KEEP_CALL op
    .set place, 16
    .irp register, a2, a3, a4, a5, a6, t2, t3, t4, t5, t6
    \op \register, place(sp)
    .set place, place + 8
    .endr
    .endm
    .balign 4
FUNCTION map_handler
    KEEP_CALL sd
    lui t1, EXO_VA_CTX >> 12
    ld a1, 72(t1) /* exception_value: aligned, the bench sees to that */
    ld a2, 0(sp)
    ld a3, 8(sp)
    li a0, EXO_SELF
    li a4, 1
    li a5, EXO_PAGE_R | EXO_PAGE_W
    jal exo_page_map
    KEEP_CALL ld
    li a7, EXO_CALL_resume
    ecall

/*
 * registers_check(dump[32], pattern): give each register but sp a value of its
 * own, run into a breakpoint, and store what they hold then.  Register n gets
 * pattern + n.
 */
FUNCTION registers_check
    ENTER
    mv t0, sp
    addi sp, a0, 0
    sd t0, 16(sp) /* where sp's own place is */
    mv x31, a1
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24
    addi x\n, x31, \n
    .endr
    .irp n, 25, 26, 27, 28, 29, 30, 31
    addi x\n, x31, \n
    .endr
    .option push
    .option norvc
    ebreak
    .option pop
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24
    sd x\n, 8 * \n(sp)
    .endr
    .irp n, 25, 26, 27, 28, 29, 30, 31
    sd x\n, 8 * \n(sp)
    .endr
    ld sp, 16(sp)
    LEAVE

/*
 * ping(handle of the partner, struct ping): yields to the partner `rounds`
 * times and keeps the fewest instructions of a round, and of the last round
 * the satp writes and sfences.
 */
#define PING_ROUNDS 0
#define PING_LEAST 8
#define PING_SATP 16
#define PING_SFENCES 24
#define PING_FACTS 32
FUNCTION ping
    mv s0, a0
    mv s1, a1
    ld s2, PING_ROUNDS(s1)
    ld s3, PING_FACTS(s1)
    li s6, -1
1:  ld s4, 16(s3) /* exo_hart_info.satp_writes */
    ld s5, 24(s3) /* exo_hart_info.sfences */
    mv a0, s0
    rdinstret s10
    jal exo_yield
    rdinstret s11
    ld t0, 16(s3)
    ld t1, 24(s3)
    sub t0, t0, s4
    sub t1, t1, s5
    sd t0, PING_SATP(s1)
    sd t1, PING_SFENCES(s1)
    sub s11, s11, s10
    bgeu s11, s6, 2f
    mv s6, s11
2:  addi s2, s2, -1
    bnez s2, 1b
    sd s6, PING_LEAST(s1)
    j exo_exit

/* pong(handle of the partner): yields back for ever; its loop is PONG_LOOP instructions. */
FUNCTION pong
    mv s0, a0
1:  mv a0, s0
    jal exo_yield
    j 1b
