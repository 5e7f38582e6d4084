/* SPDX-License-Identifier: MIT */
/*
 * What the files of exo::sys know of each other and nobody else does.
 */
#pragma once
#include <exo/sys.h>
#include <stdio.h>

/* begin.c: init's start block, which nobody wrote for it. */
extern struct sys_start sys_init_start;

/* input.c: the next byte of stdin, or EOF. */
int sys_input_byte(FILE *file);

/* bell.c: handle of class ENV by which who serves the console is notified, or EXO_NONE. */
uint64_t sys_bell(void);

/* exception.S: where the kernel enters; jumps to nothing a C caller may call. */
void sys_exception_entry(void);

/*
 * exception.c: called by exception.S, on the exception stack.  Whether this
 * thread cannot go on: then sys_crash follows, with its registers in the vector
 * of its CTX.
 */
bool sys_exception(void);
_Noreturn void sys_crash(void);

/* exception.c: from now on exceptions of the thread with this CTX reach handlers, on this stack. */
void sys_exception_begin(struct exo_ctx *ctx, uint64_t stack_end);

/* exception.c: the first thread's exception stack. */
#define SYS_EXCEPTION_STACK_BYTES 8192
extern char sys_exception_stack[];
