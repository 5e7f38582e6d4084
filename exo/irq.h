/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines: who hears them.
 *
 * A line that interrupts is masked by the claim and stays so until whoever
 * serves it says that it may come again: the program by irq_ack, the kernel
 * for a disk when its ring of used entries is empty.  So no device keeps a hart
 * in the kernel.  A line is enabled on one hart, that of the call that bound it.
 *
 * LINES covers the table and the interrupt controller; it comes after DEVICE,
 * and an event is posted under it, so that unbinding ends all posting.
 */
#pragma once
#include "cap.h"

/* Set at boot: the lines by number; line 0 is none. */
extern struct exo_line *lines;
extern struct lock lines_lock;

/* Enable a line of the kernel's own on this hart. */
void line_enable(const struct hart *hart, uint64_t number);

/* A masked line may interrupt again. */
void line_complete(uint64_t number);

/* Take what waits for this hart: tell programs, serve disks.  No lock is held. */
void hart_lines(struct hart *hart);

/* Unbind these lines. */
void lines_unbind(uint64_t first, uint64_t count);

/* Is one of these lines bound? */
bool lines_bound(uint64_t first, uint64_t count);

/* Calls: docs/abi.md. */
struct result irq_bind(uint64_t slot, uint64_t number, uint64_t events);
struct result irq_ack(uint64_t slot, uint64_t number);
