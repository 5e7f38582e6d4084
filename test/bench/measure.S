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

/* A use of floating point, which makes it dirty. */
    .macro FLOAT_USE
    .option push
    .option arch, +d
    fmv.d.x fa0, zero
    .option pop
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

/* ---- in children: they have no C, and their s registers are their own ---- */

/* What a round has cost, from s10 to s11, and satp writes and sfences since s4 and s5. */
#define COST_INSTRUCTIONS 0
#define COST_SATP 8
#define COST_SFENCES 16
    .macro FACTS_BEGIN facts
    ld s4, 16(\facts) /* exo_hart_info.satp_writes */
    ld s5, 24(\facts) /* exo_hart_info.sfences */
    .endm
    .macro COST_LEAST cost, facts
    ld t0, 16(\facts)
    ld t1, 24(\facts)
    sub t0, t0, s4
    sub t1, t1, s5
    sub s11, s11, s10
    ld t2, COST_INSTRUCTIONS(\cost)
    bgeu s11, t2, .Lmore\@
    sd s11, COST_INSTRUCTIONS(\cost)
    sd t0, COST_SATP(\cost)
    sd t1, COST_SFENCES(\cost)
.Lmore\@:
    .endm

/*
 * caller(struct probe): makes a call so many times, keeps the cost of the
 * cheapest, and exits.
 */
#define PROBE_FACTS 24
#define PROBE_ROUNDS 32
#define PROBE_STUB 40
#define PROBE_FLOAT 48
#define PROBE_DEADLINE 56
#define PROBE_ARGUMENTS 64
#define PROBE_RESULT 120
#define PROBE_SERVED 128
FUNCTION caller
    mv s1, a0
    ld s0, PROBE_STUB(s1)
    ld s2, PROBE_ROUNDS(s1)
    ld s3, PROBE_FACTS(s1)
1:  ld t0, PROBE_FLOAT(s1)
    beqz t0, 2f
    FLOAT_USE
2:  FACTS_BEGIN s3
    .irp n, 0, 1, 2, 3, 4, 5, 6
    ld a\n, PROBE_ARGUMENTS + 8 * \n(s1)
    .endr
    ld t1, PROBE_DEADLINE(s1)
    rdinstret s10
    jalr s0
    rdinstret s11
    sd a0, PROBE_RESULT(s1)
    sd a6, PROBE_SERVED(s1)
    COST_LEAST s1, s3
    addi s2, s2, -1
    bnez s2, 1b
    j exo_exit

/* pong(handle of the partner): yields back for ever; its loop is PONG_LOOP instructions. */
FUNCTION pong
    mv s0, a0
1:  mv a0, s0
    jal exo_yield
    j 1b

/* callee(): answers calls with their own words for ever; its loop is CALLEE_LOOP instructions. */
FUNCTION callee
    jal exo_pct_reply
    j callee

/* The same with floating point: CALLEE_LOOP_FLOAT instructions. */
FUNCTION callee_float
    jal exo_pct_reply
    FLOAT_USE
    j callee_float

/*
 * waker(handle of the sleeper, struct wake): notifies it so many times, each
 * time when it sleeps.  The sleeper counts from the stamp to its own return.
 * Who can be notified is not run by yield, so this waits by giving its turn up.
 * It begins late, for an URGENT row has time to keep from its first turn on.
 */
#define WAKE_FACTS 24
#define WAKE_ROUNDS 32
#define WAKE_STAMP 40
#define WAKE_SATP 48
#define WAKE_SFENCES 56
#define WAKE_VALID 64
#define WAKE_RESET 72
#define WAKE_WOKEN 80
#define WAKE_URGENT 88
#define WAKE_UNTIL 96
#define WAKE_START 104
#define WAKE_PAUSE 112
#define CTX_SLICE_END 152
    .macro WAKE_ARGUMENTS
    mv s0, a0
    mv s1, a1
    ld s2, WAKE_ROUNDS(s1)
    ld s3, WAKE_FACTS(s1)
    li a0, 0
    ld a1, WAKE_START(s1)
    jal exo_wait
    .endm
    .macro WAKE_BEGIN
    lui t0, EXO_VA_CTX >> 12
    ld t0, CTX_SLICE_END(t0)
    ld t1, WAKE_URGENT(s1)
    and t0, t0, t1
    sd t0, WAKE_UNTIL(s1)
    FACTS_BEGIN s3
    sd s4, WAKE_SATP(s1)
    sd s5, WAKE_SFENCES(s1)
    ld s6, WAKE_WOKEN(s1)
    mv a0, s0
    li a1, 1
    rdinstret s10
    sd s10, WAKE_STAMP(s1)
    jal exo_notify
    .endm
FUNCTION waker
    WAKE_ARGUMENTS
1:  WAKE_BEGIN
2:  ld t0, WAKE_WOKEN(s1)
    bne t0, s6, 3f
    li a0, EXO_NONE
    jal exo_yield
    j 2b
3:  rdtime a1
    ld t0, WAKE_PAUSE(s1)
    add a1, a1, t0
    li a0, 0
    jal exo_wait
    addi s2, s2, -1
    bnez s2, 1b
    j exo_exit

/*
 * waker_waits: the same, but the sleeper only becomes READY and this waits then,
 * until it is notified in its turn.  A round in which the sleeper ran at once
 * does not count: it finds that VALID is not set.
 */
FUNCTION waker_waits
    WAKE_ARGUMENTS
1:  WAKE_BEGIN
    sd s1, WAKE_VALID(s1)
    li a0, 1
    li a1, -1
    jal exo_wait
    addi s2, s2, -1
    bnez s2, 1b
    j exo_exit

/*
 * sleeper(struct wake, handle of whom to notify in turn, or 0): with URGENT
 * (all bits) only those rounds count in which it preempted another row, whose
 * end is another one than its own time's.
 */
FUNCTION sleeper
    mv s1, a0
    mv s2, a1
    ld s3, WAKE_FACTS(s1)
1:  li a0, 1
    li a1, -1
    jal exo_wait
    rdinstret s11
    ld s10, WAKE_STAMP(s1)
    ld s4, WAKE_SATP(s1)
    ld s5, WAKE_SFENCES(s1)
    ld t0, WAKE_VALID(s1)
    ld t1, WAKE_RESET(s1)
    sd t1, WAKE_VALID(s1)
    beqz t0, 2f
    lui t0, EXO_VA_CTX >> 12
    ld t0, CTX_SLICE_END(t0)
    ld t1, WAKE_UNTIL(s1)
    beq t0, t1, 2f
    COST_LEAST s1, s3
2:  ld t0, WAKE_WOKEN(s1)
    addi t0, t0, 1
    sd t0, WAKE_WOKEN(s1)
    beqz s2, 1b
    mv a0, s2
    li a1, 1
    jal exo_notify
    j 1b

/*
 * spinner(struct gaps, number): two of these read instret all the time and keep
 * it in a word that they share; a gap is a stay in the kernel.  For each it
 * logs the instructions from the last read to the first one, who read last, and
 * where in its loop each of the two was interrupted, as CTX tells (gap_of in
 * bench.c).  The other's CTX is mapped at GAPS_OTHER.
 */
#define GAPS_LAST 0
#define GAPS_OWNER 8
#define GAPS_COUNT 16
#define GAPS_PLACE 24 /* of the interrupted pc in CTX */
#define GAPS_ENTRY 32
#define GAPS_CRITICAL 40
#define GAPS_OTHER 48
#define GAPS_FACTS 56
#define GAPS_LOG 64
#define GAPS_MAX 64
    .option push
    .option norvc
FUNCTION spinner
    mv s1, a0
    mv s3, a1
    lui t0, EXO_VA_CTX >> 12
    addi sp, sp, -256
    sd sp, 88(t0) /* exception_stack */
    ld t1, GAPS_ENTRY(s1)
    sd t1, 120(t0) /* slice_entry */
    ld t1, GAPS_CRITICAL(s1)
    sd t1, 136(t0) /* critical */
    ld t1, GAPS_PLACE(s1)
    add s4, t0, t1
    ld s5, GAPS_OTHER(s1)
    add s5, s5, t1
    li s2, 32
spinner_loop:
    rdinstret t0
    ld t1, GAPS_LAST(s1)
    sd t0, GAPS_LAST(s1)
    sub t1, t0, t1
    bgeu t1, s2, 1f
    j spinner_loop
1:  la t4, spinner_loop
    ld t3, (s4)
    sub t3, t3, t4
    ld t5, (s5)
    sub t5, t5, t4
    ld t2, GAPS_OWNER(s1)
    sd s3, GAPS_OWNER(s1)
    sub t2, t2, s3
    ld t4, GAPS_COUNT(s1)
    slli t6, t4, 6
    add t6, t6, s1
    sd t1, GAPS_LOG(t6)
    sd t2, GAPS_LOG + 8(t6)
    sd t5, GAPS_LOG + 16(t6)
    sd t3, GAPS_LOG + 24(t6)
    ld t5, GAPS_FACTS(s1)
    ld t1, 16(t5) /* exo_hart_info.satp_writes */
    ld t2, 24(t5)
    sd t1, GAPS_LOG + 32(t6)
    sd t2, GAPS_LOG + 40(t6)
    addi t4, t4, 1
    sd t4, GAPS_COUNT(s1)
    li t5, GAPS_MAX
    beq t4, t5, 2f
    rdinstret t0
    sd t0, GAPS_LAST(s1)
    j spinner_loop
2:  j exo_exit
    .option pop

/* The end-of-slice upcall of a spinner: keeps what yield does not, and gives the rest up. */
    .balign 4
FUNCTION slice_handler
    KEEP_CALL sd
    li a0, EXO_NONE
    jal exo_yield
    KEEP_CALL ld
    li a7, EXO_CALL_resume
    ecall
