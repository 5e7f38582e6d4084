/* SPDX-License-Identifier: MIT */
/*
 * The contract between the kernel core and what it runs on.
 *
 * exo/ names no control register, SBI call or page-table bit.  Two
 * implementations exist: arch/riscv/ and test/host/, where the whole core runs
 * as a host program on modelled memory, harts, TLBs and clock.  Each supplies
 * "arch_cpu.h" (inline: what is on a hot path) and the functions below.
 * "arch_pte.h" is the Sv39 entry format and is shared by both, since the host
 * models the same table walker.
 *
 * arch_cpu.h defines:
 *   struct hart *arch_hart(void)            the hart that executes this
 *   void arch_hart_set(struct hart *hart)   what arch_hart returns from now on
 *   void *arch_pointer(uint64_t address)    where the kernel sees a physical address of RAM
 *   uint64_t arch_address(const void *p)    the physical address of such a pointer
 *   bool arch_interrupt_pending(void)       an interrupt waits to be taken
 *   uint64_t arch_time(void)                the time counter, in ticks
 *   void arch_timer(struct hart *hart, uint64_t ticks)
 *                                           interrupt this hart's program, or its sleep, when the time
 *                                           counter reaches this; EXO_NEVER: not
 *   void arch_float_save(void)              save the floating point of the hart's environment, if it
 *                                           used any, to CTX; mark that in the ENV frame
 *   void arch_tlb_flush(uint64_t asid)      sfence.vma of one address-space identifier, this hart
 *   void arch_tlb_flush_all(void)           sfence.vma of everything, this hart
 *   void arch_instruction_fence(void)       fence.i, this hart
 *   void arch_root_write(uint64_t satp)     a change of the page-table root
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "hart.h"

/* Of a word that another hart may access at the same time; no order is implied. */
#define read_once(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define write_once(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/*
 * The result of a call: a0 and a1 of the program.  Aligned so that gcc takes it
 * for a pair of registers, else every function that returns one moves sp.
 */
struct result {
    int64_t value;   /* zero or more, or an enum exo_error */
    uint64_t detail; /* what docs/abi.md names for the call, else 0 */
} __attribute__((aligned(16)));

static inline struct result answer(int64_t value) { return (struct result){value, 0}; }

#include "arch_cpu.h"
#include "arch_pte.h"

/*
 * Flush one ASID's entries on the harts of the mask (bit = hart index) and
 * return when all have done so.  The acknowledgement orders the target's
 * earlier stores before it (docs/design.md, S6).  May be called with SPACE
 * held: firmware answers it, not the other hart's kernel.
 */
void arch_tlb_flush_remote(uint64_t hart_mask, uint64_t asid);

/* The satp value of a root table and ASID; asid_count itself is the kernel's. */
uint64_t arch_satp(uint64_t root_frame, uint64_t asid);
uint64_t arch_satp_kernel(void);

/* Write the kernel's half of a new root table, whose user half is zero. */
void arch_root_init(uint64_t *root);

/* Make the hart take a software interrupt; needs no lock. */
void arch_ipi(const struct hart *hart);

/*
 * Interrupt lines (RISC-V PLIC specification 1.0).  An enabled one interrupts
 * this hart; who claims it masks it until it is completed for the same hart.
 * arch_line_claim returns 0 when none waits.  Under LINES, but for
 * arch_line_pending: does one wait for this hart?  (arch_cpu.h)
 */
void arch_line_enable(const struct hart *hart, uint64_t line, bool enable);
uint64_t arch_line_claim(const struct hart *hart);
void arch_line_complete(const struct hart *hart, uint64_t line);

/*
 * A register of a virtio transport at this physical address, in order with all
 * accesses to memory before and after.
 */
uint32_t arch_register_read(uint64_t address);
void arch_register_write(uint64_t address, uint32_t value);

/* Sleep until an interrupt is pending; it is acknowledged, not taken. */
void arch_wait_for_interrupt(void);

/* Go on in U-mode as an environment that this hart has entered.  Never returns. */
_Noreturn void arch_enter(struct exo_env *env);

/*
 * Write to the console and return how many bytes it took, without waiting: 0
 * when the transmitter is full.
 */
uint64_t arch_console_write(const char *bytes, uint64_t length);

/* Power the machine off with this status (0 to 255).  Never returns. */
_Noreturn void arch_power_off(uint64_t status);

/* The machine cannot go on, which is no bug of the kernel: print "exo: " and this line, power off. */
_Noreturn void arch_stop(const char *why);

/* Fill the frame at this kernel address with zeroes. */
void arch_frame_clear(void *frame);

/* The kernel met a bug of its own: print one line and stop.  Never returns. */
_Noreturn void arch_panic(const char *what, const char *file, int line);

/*
 * Checks of the kernel's own invariants, in every build: a failure is a bug of
 * the kernel, never of a program.
 */
#define kernel_assert(condition)                                                \
    do {                                                                        \
        if (unlikely(!(condition))) arch_panic(#condition, __FILE__, __LINE__); \
    } while (0)
