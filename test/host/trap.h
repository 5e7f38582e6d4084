/* SPDX-License-Identifier: MIT */
/*
 * What trap.S is to the core, for the modelled harts: the ways into the kernel
 * and out of it.  Registers of programs go between host_model.registers and CTX
 * as trap.S moves them, and the ways of pct_call, pct_reply and yield when all
 * goes well are here too, in the same steps.
 */
#pragma once
#include "host.h"

/* The program on this hart calls; its a0 to a6 and t1 are in its registers.  Then it, or another, goes on. */
void trap_call(struct hart *hart, int number);

/* An interrupt is pending and is taken. */
void trap_interrupt(struct hart *hart);

/* The program meets an exception. */
void trap_exception(struct hart *hart, uint64_t cause, uint64_t value);

/* Go on as the program that the kernel has entered: what arch_enter does before U-mode. */
void trap_enter(struct hart *hart);
