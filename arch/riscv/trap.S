/* SPDX-License-Identifier: MIT */
/*
 * The way into the kernel and out of it, and what is all assembly: null,
 * resume, the exception that enters a program's handler, floating point, and
 * the usual ways of pct_call, pct_reply and yield.
 *
 * A trap comes only from U-mode: the kernel takes none.  tp is the hart's
 * structure from the second instruction on; sscratch keeps the program's tp.
 * The kernel returns to the address in ra, so a stub needs no return of its
 * own, and since the kernel takes no trap, sepc can be written at once.
 *
 * C is compiled without t5, t6 and a7 (-ffixed), so these need no clearing.
 * Every other register that C may have used is cleared before a program sees
 * it.  gp is the program's own affair and is never switched.
 */
#include <exo/abi.h>

#include "offsets.h"

#define CAUSE_ILLEGAL 2
#define CAUSE_ECALL 8
#define CAUSE_TIMER 4 /* this bit tells the timer's interrupt from a software one */
#define SSTATUS_SPP 0x100
#define SSTATUS_FS 0x6000
#define SIP_SSIP 2
#define SLOT_OFFSET_MASK 0x780 /* of a handle: the slot's offset in an ENV frame */
#define ENV_CAP_MASK (6 | 15 << EXO_CAP_CLASS_SHIFT | EXO_ENV_CALL << EXO_CAP_RIGHTS_SHIFT)
#define ENV_CAP_WANT (EXO_SLOT_LIVE | EXO_CLASS_ENV << EXO_CAP_CLASS_SHIFT | \
                      EXO_ENV_CALL << EXO_CAP_RIGHTS_SHIFT)
#define X(n) (CTX_REGISTER_X + 8 * ((n) - 1))

/* Registers of the program that a call which switches keeps: s0 to s11. */
#define SAVED 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
#define WORDS 10, 11, 12, 13, 14, 15, 16
/* What C may destroy: ra, t2, a0 to a6, t3, t4; with sp.  And what no switch keeps: gp, a7, t5, t6 too. */
#define CALLER 1, 2, 7, WORDS, 28, 29
#define SCRATCH 1, 3, 7, WORDS, 17, 28, 29, 30, 31
/* All but tp, t0 and t1, which the kernel uses itself meanwhile. */
#define FULL 2, SAVED, SCRATCH
#define FLOATS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, \
               23, 24, 25, 26, 27, 28, 29, 30, 31
/* Where EACH finds the registers of a CTX. */
#define INTEGER(ctx) x, CTX_REGISTER_X-8(ctx)
#define FLOATING(ctx) f, CTX_REGISTER_F(ctx)

/* These registers of a kind (x or f), to or from words that begin with that of register 0. */
    .macro EACH op, kind, base, numbers:vararg
    .irp n, \numbers
    \op \kind\n, 8 * \n + \base
    .endr
    .endm

    .macro CLEAR registers:vararg
    .irp register, \registers
    li \register, 0
    .endr
    .endm

/* Registers that an exception record holds whole, to or from the one of the CTX in t1. */
    .macro RECORD op
    \op sp, CTX_EXCEPTION_SP(t1)
    \op ra, CTX_EXCEPTION_RA(t1)
    \op a0, CTX_EXCEPTION_A0(t1)
    \op a1, CTX_EXCEPTION_A1(t1)
    \op a7, CTX_EXCEPTION_A7(t1)
    .endm

/*
 * The first instructions of a trap, up to what is done for a call.
 * kernel-counters keeps the most instructions that a stay in the kernel took.
 */
    .macro TRAP_BEGIN
    csrrw tp, sscratch, tp
    sd t0, HART_USER_T0(tp)
#ifdef EXO_COUNTERS
    csrr t0, instret
    sd t0, HART_ENTERED(tp)
#endif
    csrr t0, scause
    addi t0, t0, -CAUSE_ECALL
    bnez t0, not_a_call
    .endm

/* Back to the program. */
    .macro LEAVE
#ifdef EXO_COUNTERS
    sd t0, HART_USER_T0(tp)
    sd t1, HART_USER_T1(tp)
    csrr t0, instret
    ld t1, HART_ENTERED(tp)
    sub t0, t0, t1
    ld t1, HART_FACTS(tp)
    addi t1, t1, FACTS_LONGEST
    amomaxu.d zero, t0, (t1)
    ld t0, HART_USER_T0(tp)
    ld t1, HART_USER_T1(tp)
#endif
    csrrw tp, sscratch, tp
    sret
    .endm

/* Call C on the kernel's stack; the second one returns who runs next. */
    .macro CALL_C function
    ld sp, HART_STACK(tp)
    call \function
    .endm
    .macro CALL_NEXT function
    CALL_C \function
    j arch_enter
    .endm

/* A control register (csrr), or a word spilled in the hart (ld), to the CTX in t1. */
    .macro STORE op, from, offset
    \op t0, \from
    sd t0, \offset(t1)
    .endm

/* What a call that switches saves.  Leaves the CTX in t0 and uses s0. */
    .macro SAVE_SWITCH
    ld t0, HART_CTX(tp)
    sd ra, CTX_REGISTER_PC(t0)
    EACH sd, INTEGER(t0), 2, SAVED
    csrr s0, sscratch
    sd s0, X(4)(t0)
    .endm

/*
 * The fast paths of the switching calls use the registers that are saved:
 * s0 the `serving` of the SPACE lock, s1 1, s3 HART_RUN, s4 the space, s5 who is
 * entered, s7 (a6 in pct_reply) its frame, s8 its state word's address, s9 where
 * physical address 0 is seen.
 */
    .macro LOCK_SPACE
    ld s0, HART_SPACE_LOCK(tp)
    ld s4, HART_SPACE(tp)
    li s1, 1
    amoadd.w s2, s1, (s0)
    addi s0, s0, LOCK_SERVING
.Llock\@:
    lr.w.aq s3, (s0)
    bne s2, s3, .Llock\@
    .endm

/* The usable ENV capability with CALL of this handle: its READY word in s6. */
    .macro FIND_ENV handle, refused
    andi s5, \handle, SLOT_OFFSET_MASK
    add s5, s5, s4
    ld s6, ENV_SLOT + CAP_WORD(s5)
    xor s7, s6, \handle
    srli s7, s7, EXO_CAP_PLACE_SHIFT
    bnez s7, \refused
    andi s6, s6, ENV_CAP_MASK
    addi s6, s6, -ENV_CAP_WANT
    bnez s6, \refused
    ld s6, ENV_SLOT + CAP_MATCH(s5)
    ld s7, ENV_SLOT + CAP_FIRST(s5)
    ld s3, HART_RUN(tp)
    .endm

/* A frame's state word's address in s8, and its own in s5. */
    .macro LOCATE frame
    ld s8, HART_WORDS(tp)
    slli s9, \frame, 4
    add s8, s8, s9
    ld s9, HART_MEMORY(tp)
    slli s5, \frame, EXO_FRAME_SHIFT
    add s5, s5, s9
    .endm

/* Turn the state word of a frame from s6 to s10. */
    .macro CLAIM frame, refused
    LOCATE \frame
.Lclaim\@:
    lr.d.aq s2, (s8)
    bne s2, s6, \refused
    sc.d s2, s10, (s8)
    bnez s2, .Lclaim\@
    .endm

/*
 * hart_enter for a leader that is alone in its space, was entered here last and
 * was saved by a call: only then ENV_LAST equals HART_RUN (shoot.h).
 */
    .macro ENTER frame, other
    sw \frame, HART_ACTIVE + 4(tp)
    ld t0, ENV_CTX(s5)
    fence rw, rw
    ld s2, ENV_LAST(s5)
    add t0, t0, s9
    bne s2, s3, \other
    ENTER_ROOT \frame
    ENTER_ENV
    .endm
    .macro ENTER_ROOT frame
    ld s2, ENV_SATP(s5)
#ifdef EXO_COUNTERS
    li s6, 1
    ld s10, HART_FACTS(tp)
    addi s10, s10, FACTS_SATP_WRITES
    amoadd.d zero, s6, (s10)
#endif
    csrw satp, s2
    amoswap.w.rl zero, \frame, (tp) /* HART_ACTIVE */
    ld s2, ENV_LOCK(s5)
    sd s5, HART_SPACE(tp)
    add s2, s2, s9
    sd s2, HART_SPACE_LOCK(tp)
    .endm
    .macro ENTER_ENV
    sd s5, HART_ENV(tp)
    sd s8, HART_STATE(tp)
    sd t0, HART_CTX(tp)
    .endm

/*
 * Another mark: the same with floating point to be loaded; or of the space that this
 * hart is in, and entered here last.  All else is hart_enter's.
 */
    .macro ENTER_OTHER frame, slow, entered
    addi s2, s2, -EXO_LAST_FLOAT
    bne s2, s3, .Ljoined\@
    ENTER_ROOT \frame
    ENTER_ENV
    addi s6, s5, ENV_LAST
    li s2, ~EXO_LAST_FLOAT
    amoand.d zero, s2, (s6) /* another hart may have cleared it (SHOOT) */
    jal t3, float_load
    li t3, 0
    j \entered
.Ljoined\@:
    addi s2, s2, EXO_LAST_FLOAT - EXO_LAST_JOINED
    bne s2, s3, \slow
    ld s2, ENV_LEADER(s5)
    lw s4, HART_ACTIVE(tp)
    srli s2, s2, EXO_FRAME_SHIFT
    bne s2, s4, \slow
    sw s2, HART_ACTIVE + 4(tp)
    ENTER_ENV
    j \entered
    .endm

/* pc and tp of the CTX in t0. */
    .macro LOAD_PC
    ld ra, CTX_REGISTER_PC(t0)
    ld sp, X(4)(t0)
    csrw sepc, ra
    csrw sscratch, sp
    .endm

    .text
    .balign 64
    .globl trap_entry
trap_entry:
    TRAP_BEGIN
is_call:
    bltz a7, special_call
    li t0, EXO_CALL_COUNT
    bgeu a7, t0, no_such_call
    csrw sepc, ra
    sd sp, HART_USER_SP(tp)
    slli t0, a7, 3
    add t0, t0, tp
    ld sp, HART_STACK(tp)
    ld t0, HART_CALLS(t0)
    jalr t0
call_return:
    ld sp, HART_USER_SP(tp)
    CLEAR ra, t0, t1, t2, t3, t4, a2, a3, a4, a5, a6
    LEAVE

no_such_call:
    li a0, ERROR_CALL
    j 1f
null_call:
    li a0, 0
1:  csrw sepc, ra
    li t0, 0
    LEAVE

/* Numbers below zero, which may switch environments; the most frequent first. */
special_call:
    addi t0, a7, -EXO_CALL_pct_reply
    beqz t0, pct_reply
    bltz t0, other_call

/*
 * pct_call: what goes well is here, everything else is call_full's.  The order
 * is the same: save; under SPACE look the slot up, claim the callee, give the
 * caller up and make the link; enter the callee's space.
 */
pct_call:
    SAVE_SWITCH
    LOCK_SPACE
    FIND_ENV a6, call_refused
    ld ra, HART_ENV(tp)
    ld s10, HART_ACCEPT(tp)
    ld s11, ENV_DEPTH(ra)
    addi s6, s6, EXO_STATE_ACCEPT - EXO_STATE_READY
    add s10, s10, s6
    beqz s11, call_refused
    CLAIM s7, call_refused
    ld s10, HART_STATE(tp)
    addi s11, s11, -1
    sd s11, ENV_DEPTH(s5)
    slli s11, s7, EXO_ENV_HART_SHIFT
    sub s11, s11, s3
    addi s11, s11, EXO_STATE_CALLING - EXO_STATE_READY
    sd a6, ENV_CALL(ra)
    amoadd.d.aqrl s6, s11, (s10)
    andi s6, s6, ~(EXO_FLAG_STOP | EXO_FLAG_KILL) /* with one of these it gets no answer */
    sub s2, s6, s3
    add s11, s11, s6
    sd s2, ENV_CALLER_READY(s5)
    sd s11, ENV_CALLER_WORD(s5)
    ld a6, ENV_FRAME(ra)
    sd a6, ENV_CALLER(s5)
    amoadd.w.rl zero, s1, (s0)
    ENTER s7, call_other
call_entered:
    LOAD_PC
    ld sp, X(2)(t0)
    CLEAR t0, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    LEAVE

/* pct_reply: the answer to the caller, if there is one who waits for it. */
pct_reply:
    ld t0, HART_CTX(tp)
    ld s1, HART_ENV(tp)
    sd ra, CTX_REGISTER_PC(t0)
    sd sp, X(2)(t0)
    csrr s0, sscratch
    ld a6, ENV_CALLER(s1)
    sd s0, X(4)(t0)
    beqz a6, reply_slow
    ld s6, ENV_CALLER_WORD(s1)
    ld s10, ENV_CALLER_READY(s1)
    ld s3, HART_RUN(tp)
    add s10, s10, s3
    CLAIM a6, reply_slow
    ld s11, HART_ACCEPT(tp)
    ld s10, HART_STATE(tp)
    sd zero, ENV_CALLER(s1)
    neg s11, s11
    amoadd.d.aqrl zero, s11, (s10)
    ENTER a6, reply_other
reply_entered:
    LOAD_PC
    EACH ld, INTEGER(t0), 2, SAVED
    li t0, 0
    LEAVE

other_call:
    addi t0, a7, -EXO_CALL_null
    beqz t0, null_call
    addi t0, a7, -EXO_CALL_resume
    beqz t0, resume
    addi t0, a7, -EXO_CALL_yield
    beqz t0, yield
    addi t0, a7, -EXO_CALL_notify
    beqz t0, notify
    addi t0, a7, -EXO_CALL_wait
    beqz t0, wait
    addi t0, a7, -EXO_CALL_pct_call_until
    beqz t0, pct_call_until
    addi t0, a7, -EXO_CALL_exit
    bnez t0, no_such_call
    CALL_NEXT env_exit

/*
 * resume(): back to the exception record.  Every word of it is the program's
 * to choose: it names registers of its own U-mode state and nothing else.
 */
resume:
    ld t1, HART_CTX(tp)
    ld t0, CTX_SLICE_PENDING(t1)
    bnez t0, resume_pending
resume_goes:
    sd zero, CTX_EXCEPTION_MASK(t1)
    ld t0, CTX_EXCEPTION_PC(t1)
    csrw sepc, t0
    RECORD ld
    ld t0, CTX_EXCEPTION_T0(t1)
    ld t1, CTX_EXCEPTION_T1(t1)
    LEAVE

/* The end of the slice was announced meanwhile: its handler first, with the record as it is. */
resume_pending:
    sd zero, CTX_SLICE_PENDING(t1)
    ld sp, CTX_SLICE_ENTRY(t1)
    beqz sp, resume_goes
    li t0, EXO_CAUSE_SLICE
    sd t0, CTX_EXCEPTION_CAUSE(t1)
    j handler_enters

/*
 * An exception of the program: save ten words in its CTX and enter its
 * handler, unless that runs already (the mask) or there is none.
 */
not_a_call:
    addi t0, t0, CAUSE_ECALL
    sd t1, HART_USER_T1(tp)
    bltz t0, interrupt
    csrr t1, sstatus
    andi t1, t1, SSTATUS_SPP
    bnez t1, trap_in_kernel
    addi t0, t0, -CAUSE_ILLEGAL
    beqz t0, illegal
exception:
    ld t1, HART_CTX(tp)
    ld t0, CTX_EXCEPTION_MASK(t1)
    bnez t0, fault
    STORE csrr, stval, CTX_EXCEPTION_VALUE
    ld t0, CTX_EXCEPTION_ENTRY(t1)
    beqz t0, fault
/* Enter the handler at t0; the record has its value. */
record:
    RECORD sd
    mv sp, t0
    STORE csrr, sepc, CTX_EXCEPTION_PC
    STORE csrr, scause, CTX_EXCEPTION_CAUSE
    STORE ld, HART_USER_T0(tp), CTX_EXCEPTION_T0
    STORE ld, HART_USER_T1(tp), CTX_EXCEPTION_T1
    li t0, 1
    sd t0, CTX_EXCEPTION_MASK(t1)
handler_enters:
    csrw sepc, sp
    ld sp, CTX_EXCEPTION_STACK(t1)
    CLEAR t0, t1
    LEAVE

/* The timer, which may have nothing to do; or another hart's request to look again. */
interrupt:
    andi t0, t0, CAUSE_TIMER
    beqz t0, interrupt_full
    ld t1, HART_UNTIL(tp)
    rdtime t0
    bgeu t0, t1, interrupt_full
    EACH sd, x, HART_KEPT(tp), CALLER
    CALL_C hart_tick
    mv t0, a0
    EACH ld, x, HART_KEPT(tp), CALLER
    bnez t0, tick_asks
spilled:
    ld t0, HART_USER_T0(tp)
    ld t1, HART_USER_T1(tp)
    LEAVE

tick_asks:
    ld t1, HART_CTX(tp)
    bgtz t0, record
/* All registers to the CTX; t0 and t1 were spilled. */
interrupt_full:
    ld t1, HART_CTX(tp)
fault:
    EACH sd, INTEGER(t1), FULL
    STORE csrr, sepc, CTX_REGISTER_PC
    STORE csrr, sscratch, X(4)
    STORE ld, HART_USER_T0(tp), X(5)
    STORE ld, HART_USER_T1(tp), X(6)
    csrr a0, scause
    csrr a1, stval
    bltz a0, 1f
    ld t0, HART_ENV(tp)
    sd zero, ENV_LAST(t0) /* the fast paths load less */
    CALL_NEXT env_fault
1:  csrci sip, SIP_SSIP
    CALL_C hart_interrupt

/* Enter U-mode as the environment in a0, which hart_enter made this hart's. */
    .globl arch_enter
arch_enter:
    ld t0, HART_CTX(tp)
    ld t1, ENV_FLOAT_SAVED(a0)
    beqz t1, 1f
    mv s5, a0
    jal t3, float_load
1:  LOAD_PC
    ld t1, X(5)(t0)
    sd t1, HART_USER_T0(tp)
    EACH ld, INTEGER(t0), 6, FULL
    .irp n, 5, 6, SCRATCH /* a switch leaves these as they are */
    sd zero, X(\n)(t0)
    .endr
    ld t0, HART_USER_T0(tp)
    LEAVE

/*
 * yield(env): what goes well is here, everything else is env_yield's.  The
 * order is that of slice.c and shoot.c: save, look the slot up and claim the
 * target under SPACE, give the caller up, enter the target's space.
 */
yield:
    SAVE_SWITCH
    LOCK_SPACE
    FIND_ENV a0, yield_refused
    add s10, s6, s3
    CLAIM s7, yield_refused
    amoadd.w.rl zero, s1, (s0)
yield_gives:
    /* READY and RUN here differ in the bits of HART_RUN, so this turns RUN into READY. */
    ld s10, HART_STATE(tp)
    ld s2, HART_OTHERS(tp)
    amoxor.d.aqrl zero, s3, (s10)
    bnez s2, yield_wake
yield_told:
    ENTER s7, yield_other
yield_entered:
    ld s2, HART_UNTIL(tp)
    sd s2, CTX_SLICE_END(t0)
    ld a0, X(10)(t0)
    sd zero, X(10)(t0)
    j reply_entered

/* Harts that sleep and have a row of the caller, who is READY now, must be told. */
yield_wake:
    ld a0, HART_ENV(tp)
    ld s6, ENV_ROWS(a0)
    ld s11, ENV_CALLER(a0)
    and s6, s6, s2
    or s6, s6, s11
    beqz s6, yield_told
    mv a1, s2
    CALL_C slice_wake
    j yield_enter

yield_refused:
    amoadd.w.rl zero, s1, (s0)
    CALL_NEXT env_yield

yield_other:
    ENTER_OTHER s7, yield_enter, yield_entered
yield_enter:
    mv a0, s5
    CALL_NEXT hart_switch

/* wait and notify: C decides, and if there is a switch the registers are saved for it. */
    .macro DECIDE function
    csrw sepc, ra
    sd sp, HART_USER_SP(tp)
    CALL_C \function
    beqz a1, call_return
    csrr ra, sepc
    ld sp, HART_USER_SP(tp)
    SAVE_SWITCH
    .endm
wait:
    DECIDE env_wait
    CALL_NEXT wait_sleep
notify:
    DECIDE env_notify
    mv s7, a1
    CLEAR t1, t2, t3, t4, a1, a2, a3, a4, a5, a6
    LOCATE s7
    ld s3, HART_RUN(tp)
    j yield_gives

/* What pct_call and pct_reply leave to C. */
pct_call_until:
    SAVE_SWITCH
    j 1f
call_refused:
    amoadd.w.rl zero, s1, (s0)
    li t1, EXO_NEVER
1:  EACH sd, x, HART_KEPT(tp), 6, WORDS
    CALL_NEXT call_full
reply_slow:
    CALL_NEXT call_accept

call_other:
    ENTER_OTHER s7, words_enter, call_entered
reply_other:
    ENTER_OTHER a6, words_enter, reply_entered
words_enter:
    EACH sd, x, HART_KEPT(tp), WORDS
    mv a0, s5
    CALL_NEXT call_enter

/* ---- floating point: FS is Off or Dirty ---- */

    .option push
    .option arch, +d

/* Save the environment that runs here and switch FS off.  Returns to t3; uses t0 and t2. */
    .globl float_save
float_save:
    ld t0, HART_CTX(tp)
    EACH fsd, FLOATING(t0), FLOATS
    frcsr t2
    sd t2, CTX_REGISTER_FCSR(t0)
    li t2, SSTATUS_FS
    ld t0, HART_ENV(tp)
    csrc sstatus, t2
    sd t2, ENV_FLOAT_SAVED(t0)
    ld t2, HART_TRAP(tp)
    csrw stvec, t2
    addi t0, t0, ENV_LAST
    li t2, EXO_LAST_FLOAT
    amoor.d zero, t2, (t0)
    jr t3

/* Load from the CTX in t0 for the environment in s5.  Returns to t3; uses t2. */
float_load:
    li t2, SSTATUS_FS
    csrs sstatus, t2
    ld t2, HART_FLOAT_TRAP(tp)
    csrw stvec, t2
    EACH fld, FLOATING(t0), FLOATS
    ld t2, CTX_REGISTER_FCSR(t0)
    fscsr t2
    sd zero, ENV_FLOAT_SAVED(s5)
    li t2, 0
    jr t3

/* trap_entry while the program's floating point is in the registers: the fast paths do not look for it. */
    .balign 4
    .globl float_trap_entry
float_trap_entry:
    TRAP_BEGIN
    addi t0, a7, -EXO_CALL_yield
    sltiu t0, t0, EXO_CALL_pct_call - EXO_CALL_yield + 1
    beqz t0, is_call
    jal t3, float_save
    li t3, 0
    j is_call

/*
 * With FS off this may be the program's first use: its registers are what its CTX
 * has, 0.  It is interrupted and entered again with them.
 */
illegal:
    csrr t0, sstatus
    bltz t0, exception
    ld t0, HART_FLOAT_TRAP(tp)
    beqz t0, exception /* this hart has none */
    ld t1, HART_ENV(tp)
    li t0, 1
    sd t0, ENV_FLOAT_SAVED(t1)
    csrsi sip, SIP_SSIP
    j spilled
    .option pop

trap_in_kernel:
    ld sp, HART_STACK(tp)
/* The same on the boot hart before it has a struct hart. */
    .balign 4
    .globl boot_trap
boot_trap:
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    call kernel_trapped
