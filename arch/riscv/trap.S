/* SPDX-License-Identifier: MIT */
/*
 * The way into the kernel and out of it, and the calls that are all assembly:
 * null, yield, resume, and the exception that enters a program's handler.
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

#define CAUSE_ECALL 8
#define SSTATUS_SPP 0x100
#define SIP_SSIP 2
#define SLOT_OFFSET_MASK 0x780 /* of a handle: the slot's offset in an ENV frame */
#define ENV_CAP_MASK (6 | 15 << EXO_CAP_CLASS_SHIFT | EXO_ENV_CALL << EXO_CAP_RIGHTS_SHIFT)
#define ENV_CAP_WANT (EXO_SLOT_LIVE | EXO_CLASS_ENV << EXO_CAP_CLASS_SHIFT | \
                      EXO_ENV_CALL << EXO_CAP_RIGHTS_SHIFT)
#define X(n) (CTX_REGISTER_X + 8 * ((n) - 1))

/* Registers of the program that a call which switches keeps: s0 to s11. */
#define SAVED 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
/* All but tp, t0 and t1, which the kernel uses itself meanwhile. */
#define FULL 1, 2, 3, 7, SAVED, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31

/* These registers to or from the CTX in \ctx. */
    .macro EACH op, ctx, numbers:vararg
    .irp n, \numbers
    \op x\n, X(\n)(\ctx)
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

/* Back to the program. */
    .macro LEAVE
    csrrw tp, sscratch, tp
    sret
    .endm

/* Call C on the kernel's stack. */
    .macro CALL_C function
    ld sp, HART_STACK(tp)
    call \function
    .endm

/* A control register, or a word spilled in the hart, to the CTX in t1. */
    .macro STORE_CSR csr, offset
    csrr t0, \csr
    sd t0, \offset(t1)
    .endm
    .macro STORE_SPILL spill, offset
    ld t0, \spill(tp)
    sd t0, \offset(t1)
    .endm

    .text
    .balign 64
    .globl trap_entry
trap_entry:
    csrrw tp, sscratch, tp
    sd t0, HART_USER_T0(tp)
    csrr t0, scause
    addi t0, t0, -CAUSE_ECALL
    bnez t0, not_a_call
    li t0, EXO_CALL_COUNT
    bgeu a7, t0, special_call
    csrw sepc, ra
    sd sp, HART_USER_SP(tp)
    slli t0, a7, 3
    add t0, t0, tp
    ld sp, HART_STACK(tp)
    ld t0, HART_CALLS(t0)
    jalr t0
    ld sp, HART_USER_SP(tp)
    .irp register, ra, t0, t1, t2, t3, t4, a2, a3, a4, a5, a6
    li \register, 0
    .endr
    LEAVE

no_such_call:
    li a0, ERROR_CALL
    j 1f
null_call:
    li a0, 0
1:  csrw sepc, ra
    li t0, 0
    LEAVE

/* Numbers below zero, which may switch environments, and those that are no call's. */
special_call:
    addi t0, a7, -EXO_CALL_yield
    beqz t0, yield
    addi t0, a7, -EXO_CALL_null
    beqz t0, null_call
    addi t0, a7, -EXO_CALL_resume
    beqz t0, resume
    addi t0, a7, -EXO_CALL_exit
    bnez t0, no_such_call
    CALL_C env_exit
    j arch_enter

/*
 * resume(): back to the exception record.  Every word of it is the program's
 * to choose: it names registers of its own U-mode state and nothing else.
 */
resume:
    ld t1, HART_CTX(tp)
    sd zero, CTX_EXCEPTION_MASK(t1)
    ld t0, CTX_EXCEPTION_PC(t1)
    csrw sepc, t0
    RECORD ld
    ld t0, CTX_EXCEPTION_T0(t1)
    ld t1, CTX_EXCEPTION_T1(t1)
    LEAVE

/*
 * An exception of the program: save ten words in its CTX and enter its
 * handler, unless that runs already (the mask) or there is none.
 */
not_a_call:
    addi t0, t0, CAUSE_ECALL
    bltz t0, interrupt
    csrr t0, sstatus
    andi t0, t0, SSTATUS_SPP
    bnez t0, trap_in_kernel
    sd t1, HART_USER_T1(tp)
    ld t1, HART_CTX(tp)
    ld t0, CTX_EXCEPTION_MASK(t1)
    bnez t0, fault
    ld t0, CTX_EXCEPTION_ENTRY(t1)
    beqz t0, fault
    STORE_CSR sepc, CTX_EXCEPTION_PC
    STORE_CSR scause, CTX_EXCEPTION_CAUSE
    STORE_CSR stval, CTX_EXCEPTION_VALUE
    STORE_SPILL HART_USER_T0, CTX_EXCEPTION_T0
    STORE_SPILL HART_USER_T1, CTX_EXCEPTION_T1
    RECORD sd
    li t0, 1
    sd t0, CTX_EXCEPTION_MASK(t1)
    ld t0, CTX_EXCEPTION_ENTRY(t1)
    csrw sepc, t0
    ld sp, CTX_EXCEPTION_STACK(t1)
    li t0, 0
    li t1, 0
    LEAVE

/* The only interrupt is another hart's request to look again. */
interrupt:
    sd t1, HART_USER_T1(tp)
    ld t1, HART_CTX(tp)

/* All registers to the CTX, whose address is in t1; t0 and t1 were spilled. */
fault:
    EACH sd, t1, FULL
    STORE_CSR sepc, CTX_REGISTER_PC
    STORE_CSR sscratch, X(4)
    STORE_SPILL HART_USER_T0, X(5)
    STORE_SPILL HART_USER_T1, X(6)
    ld t0, HART_ENV(tp)
    li t1, EXO_SAVED_FULL
    sd t1, ENV_SAVED(t0)
    sd zero, ENV_LAST(t0)
    csrr a0, scause
    csrr a1, stval
    bltz a0, 1f
    CALL_C env_fault
    j arch_enter
1:  csrci sip, SIP_SSIP
    CALL_C hart_interrupt

/* Enter U-mode as the environment in a0, which hart_enter made this hart's. */
    .globl arch_enter
arch_enter:
    ld t1, HART_CTX(tp)
    ld t0, CTX_REGISTER_PC(t1)
    csrw sepc, t0
    ld t0, X(4)(t1)
    csrw sscratch, t0
    ld t0, ENV_SAVED(a0)
    bnez t0, enter_full
    EACH ld, t1, 2, SAVED
    ld a0, X(10)(t1)
    ld a1, X(11)(t1)
    sd zero, X(10)(t1) /* yield's fast path does not write them: its answer is 0 */
    sd zero, X(11)(t1)
    .irp register, ra, gp, t0, t1, t2, t3, t4, t5, t6, a2, a3, a4, a5, a6, a7
    li \register, 0
    .endr
    LEAVE

enter_full:
    sd zero, ENV_SAVED(a0) /* EXO_SAVED_SWITCH: what a call that switches saves */
    EACH ld, t1, FULL
    sd zero, X(10)(t1)
    sd zero, X(11)(t1)
    EACH ld, t1, 5, 6
    LEAVE

/*
 * yield(env): what goes well is here, everything else is env_yield's.  The
 * order is that of slice.c and shoot.c: save, look the slot up and claim the
 * target under SPACE, give the caller up, enter the target's space.
 */
yield:
    ld t0, HART_CTX(tp)
    sd ra, CTX_REGISTER_PC(t0)
    EACH sd, t0, 2, SAVED
    csrr s0, sscratch
    sd s0, X(4)(t0)

    ld s0, HART_SPACE_LOCK(tp)
    ld s4, HART_SPACE(tp)
    li s1, 1
    addi s2, s0, 4
    amoadd.w s2, s1, (s2)
1:  lw s3, 0(s0)
    bne s2, s3, 1b
    fence r, rw
    andi s5, a0, SLOT_OFFSET_MASK
    add s5, s5, s4
    ld s6, ENV_SLOT + CAP_WORD(s5)
    xor s7, s6, a0
    srli s7, s7, EXO_CAP_PLACE_SHIFT
    bnez s7, yield_refused
    andi s6, s6, ENV_CAP_MASK
    addi s6, s6, -ENV_CAP_WANT
    bnez s6, yield_refused
    ld s6, ENV_SLOT + CAP_MATCH(s5)
    ld s7, ENV_SLOT + CAP_FIRST(s5)
    ld s8, HART_WORDS(tp)
    ld s3, HART_RUN(tp)
    slli s9, s7, 4
    add s8, s8, s9
    add s10, s6, s3
2:  lr.d.aq s11, (s8)
    bne s11, s6, yield_refused
    sc.d s11, s10, (s8)
    bnez s11, 2b
    amoadd.w.rl zero, s1, (s0)

    /* READY and RUN here differ in the bits of HART_RUN, so this turns RUN into READY. */
    ld s0, HART_STATE(tp)
    ld s9, HART_MEMORY(tp)
    amoxor.d.aqrl s1, s3, (s0)
    slli s7, s7, EXO_FRAME_SHIFT
    andi s2, s1, EXO_FLAG_STOP
    add s7, s7, s9
    bnez s2, yield_obey
    ld s2, HART_OTHERS(tp)
    bnez s2, yield_wake
woken:

    /* ENV_LAST equals HART_RUN only for a leader that ran here and was saved by a yield. */
    ld t0, ENV_CTX(s7)
    ld s2, ENV_LAST(s7)
    add t0, t0, s9
    bne s2, s3, yield_enter
    beq s7, s4, 3f
    ld s11, ENV_ROOT(s7)
    sw s11, HART_ACTIVE + 4(tp)
    fence rw, rw
    ld s1, ENV_ASID(s7)
    ld s2, ENV_TLB_GEN(s7)
    slli s5, s1, 3
    add s5, s5, tp
    ld s6, HART_SEEN(s5)
    bne s6, s2, yield_enter /* stale, or the ASID is another space's too */
    ld s1, ENV_SATP(s7)
#ifdef EXO_COUNTERS
    ld s2, HART_FACTS(tp)
    ld s6, FACTS_SATP_WRITES(s2)
    addi s6, s6, 1
    sd s6, FACTS_SATP_WRITES(s2)
#endif
    csrw satp, s1
    fence rw, w
    sw s11, HART_ACTIVE(tp)
    sd s7, HART_SPACE(tp)
    andi s1, s11, SPACE_LOCKS - 1
    slli s1, s1, 3
    ld s2, HART_SPACE_LOCKS(tp)
    add s1, s1, s2
    sd s1, HART_SPACE_LOCK(tp)
3:  sd s7, HART_ENV(tp)
    sd s8, HART_STATE(tp)
    sd t0, HART_CTX(tp)
    ld s1, CTX_REGISTER_PC(t0)
    ld s2, X(4)(t0)
    csrw sepc, s1
    csrw sscratch, s2
    EACH ld, t0, 2, SAVED
    li a0, 0
    li t0, 0
    LEAVE

/* A hart that sleeps and has a row of the caller, who is READY now, must be told. */
yield_wake:
    ld s1, HART_ENV(tp)
    ld s1, ENV_ROWS(s1)
    and a0, s1, s2
    beqz a0, woken
    CALL_C slice_wake
    j yield_enter

yield_refused:
    amoadd.w.rl zero, s1, (s0)
yield_slow:
    CALL_C env_yield
    j arch_enter

/* The caller was to be stopped; s1 is its state word before, s7 the claimed target. */
yield_obey:
    mv a0, s0
    mv a1, s1
    CALL_C env_obey
yield_enter:
    mv a0, s7
    CALL_C hart_switch
    j arch_enter

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
