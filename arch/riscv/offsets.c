/* SPDX-License-Identifier: MIT */
/*
 * Offsets of C structures for assembly.
 *
 * This file is compiled to assembly text and never assembled: each line in it
 * of the form `->NAME value` becomes `#define NAME value` of the generated
 * header offsets.h.  So no offset is written down twice.
 */
#include <exo/abi.h>
#include <stddef.h>

#include "hart.h"
#include "pct.h"

#define VALUE(name, value) asm volatile("\n->" #name " %0" : : "i"(value));
#define SAME(name) VALUE(name, name)
#define HART(name, member) VALUE(HART_##name, offsetof(struct hart, member))
#define ENV(name, member) VALUE(ENV_##name, offsetof(struct exo_env, member))
#define CAP(name, member) VALUE(CAP_##name, offsetof(struct exo_cap, member))
#define CTX(name, member) VALUE(CTX_##name, offsetof(struct exo_ctx, member))

/* Never called and never linked. */
void offsets(void);
// clang-format off
void offsets(void) {
    VALUE(ERROR_CALL, EXO_ECALL) SAME(EXO_STATE_READY) SAME(EXO_STATE_ACCEPT)
    SAME(EXO_STATE_CALLING) SAME(EXO_FLAG_STOP) SAME(EXO_FLAG_KILL) SAME(EXO_ENV_HART_SHIFT)
    SAME(EXO_SLOT_LIVE) SAME(EXO_CLASS_ENV) SAME(EXO_ENV_CALL) SAME(EXO_CAP_CLASS_SHIFT)
    SAME(EXO_CAP_RIGHTS_SHIFT) SAME(EXO_CAP_PLACE_SHIFT) SAME(EXO_LAST_FULL)
    SAME(EXO_LAST_FLOAT) SAME(EXO_LAST_JOINED) VALUE(LOCK_SERVING, offsetof(struct lock, serving))
    HART(USER_T0, user_t0) HART(USER_T1, user_t1) HART(USER_SP, user_sp) HART(STACK, stack)
    HART(ENV, env) HART(SPACE, space) HART(CTX, ctx) HART(STATE, state) HART(RUN, run)
    HART(SPACE_LOCK, space_lock) HART(WORDS, words) HART(ACCEPT, accept) HART(UNTIL, until)
    HART(ACTIVE, active) HART(MEMORY, memory) HART(OTHERS, others) HART(FACTS, facts)
    HART(CALLS, calls) HART(ID, id) HART(KEPT, kept) HART(ENTERED, entered) HART(TRAP, trap)
    HART(FLOAT_TRAP, float_trap)
    VALUE(FACTS_SATP_WRITES, offsetof(struct exo_hart_info, satp_writes))
    VALUE(FACTS_LONGEST, offsetof(struct exo_hart_info, longest)) ENV(FRAME, frame) ENV(CTX, ctx)
    ENV(ROWS, rows) ENV(LAST, last) ENV(SATP, satp) ENV(LEADER, leader)
    ENV(LOCK, lock) ENV(SLOT, slot) ENV(FLOAT_SAVED, float_saved) ENV(DEPTH, depth) ENV(CALL, call)
    ENV(CALLER, caller) ENV(CALLER_WORD, caller_word) ENV(CALLER_READY, caller_ready)
    CAP(WORD, word) CAP(FIRST, first) CAP(MATCH, match) CTX(EXCEPTION_PC, exception_pc)
    CTX(EXCEPTION_SP, exception_sp) CTX(EXCEPTION_RA, exception_ra) CTX(EXCEPTION_T0, exception_t0)
    CTX(EXCEPTION_T1, exception_t1) CTX(EXCEPTION_A0, exception_a0) CTX(EXCEPTION_A1, exception_a1)
    CTX(EXCEPTION_A7, exception_a7) CTX(EXCEPTION_CAUSE, exception_cause)
    CTX(EXCEPTION_VALUE, exception_value) CTX(EXCEPTION_ENTRY, exception_entry)
    CTX(EXCEPTION_STACK, exception_stack) CTX(EXCEPTION_MASK, exception_mask)
    CTX(SLICE_ENTRY, slice_entry) CTX(SLICE_PENDING, slice_pending) CTX(SLICE_END, slice_end)
    CTX(REGISTER_PC, register_pc) CTX(REGISTER_X, register_x) CTX(REGISTER_F, register_f)
    CTX(REGISTER_FCSR, register_fcsr)
}
