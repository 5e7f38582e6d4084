/* SPDX-License-Identifier: MIT */
/*
 * The inline half of exo/arch.h for the host: memory, harts and clock are a
 * model that host.h controls.  A physical address outside modelled RAM becomes
 * a pointer whose use stops the program; a pointer outside it does at once.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "hart.h"

/* First byte and size of modelled RAM, and where the host keeps it. */
#define HOST_RAM_ADDRESS 0x80000000ul
#define HOST_RAM_FRAME (HOST_RAM_ADDRESS >> EXO_FRAME_SHIFT)
#define HOST_TIME_START 1000 /* the time counter at boot */

#ifdef HOST_THREADS
#define HOST_LOCAL _Thread_local /* harts are threads, which run at once */
#else
#define HOST_LOCAL
#endif

extern HOST_LOCAL struct hart *host_hart; /* the hart whose kernel runs */
extern uint8_t *host_ram;
extern uint64_t host_ram_bytes;
extern uint64_t host_time; /* the time counter */

extern uint8_t *host_nowhere; /* a frame that cannot be read or written */

/* The kernel asks for the physical address of what is not in RAM: a bug; print it and abort. */
_Noreturn void host_wild(const void *pointer);

/* The parts of the interface that the model must see. */
bool host_interrupt_look(void);
void host_float_save(void);
void host_timer_set(const struct hart *hart, uint64_t ticks);
void host_tlb_flush(uint64_t asid, bool all);
void host_root_write(uint64_t satp);

static inline struct hart *arch_hart(void) { return host_hart; }

static inline void arch_hart_set(struct hart *hart) { host_hart = hart; }

static inline void *arch_pointer(uint64_t address) {
    uint64_t offset = address - HOST_RAM_ADDRESS;
    return offset < host_ram_bytes ? host_ram + offset : host_nowhere + address % EXO_FRAME_BYTES;
}

static inline uint64_t arch_address(const void *p) {
    uint64_t offset = (uint64_t)p - (uint64_t)host_ram;
    if (offset >= host_ram_bytes) host_wild(p);
    return HOST_RAM_ADDRESS + offset;
}

static inline bool arch_interrupt_pending(void) { return host_interrupt_look(); }

bool host_line_pending(uint64_t hart);
static inline bool arch_line_pending(void) { return host_line_pending(host_hart->index); }

static inline uint64_t arch_time(void) { return __atomic_load_n(&host_time, __ATOMIC_RELAXED); }

static inline void arch_timer(const struct hart *hart, uint64_t ticks) {
    host_timer_set(hart, ticks);
}

static inline void arch_float_save(void) { host_float_save(); }

static inline void arch_tlb_flush(uint64_t asid) { host_tlb_flush(asid, false); }

static inline void arch_tlb_flush_all(void) { host_tlb_flush(0, true); }

static inline void arch_instruction_fence(void) {}

static inline void arch_root_write(uint64_t satp) { host_root_write(satp); }
