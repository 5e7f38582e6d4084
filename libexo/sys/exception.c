/* SPDX-License-Identifier: MIT */
/*
 * From an exception to the C function that handles it.
 *
 * An exception that nobody handles must stop the program in a way that its
 * parent sees: the entry is set to 0 and the program goes back to the faulting
 * instruction, which faults again, and the kernel stops it with the record of
 * the real place.  The parent is told of the first thread only, so when another
 * one has the exception the first is given its registers and faults in its
 * stead.
 */
#include <exo/sys.h>

#include "sys.h"

/* exception.S knows these by their place. */
_Static_assert(offsetof(struct exo_ctx, exception_pc) == 0 &&
                   offsetof(struct exo_ctx, exception_sp) == 8 &&
                   offsetof(struct exo_ctx, exception_ra) == 16,
               "the record begins with pc, sp and ra");
_Static_assert(offsetof(struct exo_ctx, exception_t0) == 24 &&
                   offsetof(struct exo_ctx, exception_a7) == 56 &&
                   offsetof(struct exo_ctx, vector) == 2048,
               "so it finds the registers, and where to put them");
_Static_assert(offsetof(struct sys_thread, ctx) == 0, "exception.S finds the CTX there");

static sys_handler *handlers[SYS_CAUSES];
_Alignas(16) char sys_exception_stack[SYS_EXCEPTION_STACK_BYTES];

static const char *const cause_texts[SYS_CAUSES] = {
    [0] = "misaligned fetch",
    [SYS_CAUSE_FETCH_ACCESS] = "fetch access fault",
    [SYS_CAUSE_ILLEGAL] = "illegal instruction",
    [SYS_CAUSE_BREAKPOINT] = "breakpoint",
    [4] = "misaligned load",
    [SYS_CAUSE_LOAD_ACCESS] = "load access fault",
    [6] = "misaligned store",
    [SYS_CAUSE_STORE_ACCESS] = "store access fault",
    [SYS_CAUSE_FETCH_PAGE] = "fetch page fault",
    [SYS_CAUSE_LOAD_PAGE] = "load page fault",
    [SYS_CAUSE_STORE_PAGE] = "store page fault",
};

const char *sys_cause_text(uint64_t cause) {
    const char *text = cause < SYS_CAUSES ? cause_texts[cause] : NULL;
    return text ? text : "unknown exception";
}

sys_handler *sys_handler_set(uint64_t cause, sys_handler *handler) {
    if (cause >= SYS_CAUSES) return NULL;
    sys_handler *old = handlers[cause];
    handlers[cause] = handler;
    return old;
}

bool sys_exception(void) {
    struct exo_ctx *ctx = sys_ctx();
    uint64_t cause = ctx->exception_cause;
    sys_handler *handler = cause < SYS_CAUSES ? handlers[cause] : NULL;

    if (cause == EXO_CAUSE_SLICE) {
        if (sys_thread.slice_end) sys_thread.slice_end(ctx, cause, ctx->exception_value);
        return false;
    }
    if (!handler || !handler(ctx, cause, ctx->exception_value)) {
        if (!sys_is_first() && sys_start->self != EXO_NONE) return true;
        ctx->exception_entry = 0;
    }
    return false;
}

void sys_crash(void) {
    while (exo_env_regs(sys_start->self, EXO_REGS_STOP).value == EXO_EAGAIN) {
    }
    ((struct exo_ctx *)EXO_VA_CTX)->exception_entry = 0;
    exo_env_regs(sys_start->self, EXO_REGS_SET);
    exo_env_regs(sys_start->self, EXO_REGS_START);
    for (;;) exo_wait(0, EXO_NEVER);
}

void sys_slice_handler_set(sys_handler *handler) {
    if (handler) sys_thread.slice_end = handler;
    sys_ctx()->slice_entry = handler ? (uint64_t)sys_exception_entry : 0;
    if (!handler) sys_thread.slice_end = NULL;
}

void sys_exception_begin(struct exo_ctx *ctx, uint64_t stack_end) {
    ctx->exception_stack = stack_end;
    ctx->exception_mask = 0;
    ctx->exception_entry = (uint64_t)sys_exception_entry;
}
