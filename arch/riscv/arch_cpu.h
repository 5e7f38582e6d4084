/* SPDX-License-Identifier: MIT */
/*
 * The inline half of exo/arch.h for RISC-V: what the core's hot paths ask of
 * the hart they run on.
 *
 * tp holds the hart's structure whenever C runs.  Physical RAM is seen through
 * a direct map at a fixed distance (boot.c builds it), so converting an
 * address is one addition.  A pointer into the kernel's image is not a pointer
 * of the direct map: arch_address does not know it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "hart.h"

#define DIRECT_MAP 0xffffffc000000000ul

#ifdef EXO_COUNTERS
#define ARCH_COUNT(member) (arch_hart_register ? arch_hart_register->facts->member++ : 0)
#else
#define ARCH_COUNT(member) ((void)0)
#endif

register struct hart *arch_hart_register asm("tp");

static inline struct hart *arch_hart(void) { return arch_hart_register; }

static inline void arch_hart_set(struct hart *hart) { arch_hart_register = hart; }

static inline void *arch_pointer(uint64_t address) { return (void *)(address + DIRECT_MAP); }

static inline uint64_t arch_address(const void *p) { return (uint64_t)p - DIRECT_MAP; }

/* Volatile, since a loop over units must look at its interrupts anew each time. */
#define CSR_READ(name)                                \
    ({                                                \
        uint64_t read;                                \
        asm volatile("csrr %0, " #name : "=r"(read)); \
        read;                                         \
    })

/* sip.SEIP; a machine without an interrupt controller never has it. */
static inline bool arch_line_pending(void) { return (CSR_READ(sip) & 0x200) != 0; }

static inline bool arch_interrupt_pending(void) { return (CSR_READ(sip) & CSR_READ(sie)) != 0; }

/* In platform.c: the same through the firmware. */
void firmware_timer(uint64_t ticks);

static inline void arch_timer(const struct hart *hart, uint64_t ticks) {
    if (hart->facts->flags & EXO_HART_SSTC)
        asm volatile("csrw 0x14d, %0" : : "r"(ticks)); /* stimecmp */
    else
        firmware_timer(ticks);
}

/* In trap.S: save the floating point of the environment that runs here; returns to t3. */
void float_save(void);

static inline void arch_float_save(void) {
    /* The sign of sstatus is SD: with FS Off or Dirty it tells which. */
    if (unlikely((int64_t)CSR_READ(sstatus) < 0))
        asm volatile("jal t3, float_save" : : : "t0", "t2", "t3", "memory");
}

static inline uint64_t arch_time(void) { return CSR_READ(time); }

/*
 * sfence.vma orders this hart's earlier stores to page tables before its later
 * walks, and the memory clobber keeps the compiler from moving them across.
 */
static inline void arch_tlb_flush(uint64_t asid) {
    ARCH_COUNT(sfences);
    asm volatile("sfence.vma zero, %0" : : "r"(asid) : "memory");
}

static inline void arch_tlb_flush_all(void) {
    ARCH_COUNT(sfences);
    asm volatile("sfence.vma" : : : "memory");
}

static inline void arch_instruction_fence(void) { asm volatile("fence.i" : : : "memory"); }

static inline void arch_root_write(uint64_t satp) {
    ARCH_COUNT(satp_writes);
    asm volatile("csrw satp, %0" : : "r"(satp) : "memory");
}
