/* SPDX-License-Identifier: MIT */
/*
 * The part of exo/arch.h that concerns harts and is not inline: what one hart
 * asks of another, sleep, clearing a frame.
 */
#include "arch.h"
#include "sbi.h"

#define SIP_SSIP 2

/* Firmware names harts by a mask of 64 ids from a base. */
#define MASK_HARTS 64

void arch_tlb_flush_remote(uint64_t hart_mask, uint64_t asid) {
    for (uint32_t first = 0; hart_mask >> first != 0; first++) {
        uint64_t base = harts[first]->id & ~(uint64_t)(MASK_HARTS - 1);
        uint64_t ids = 0;
        for (uint32_t i = first; hart_mask >> i != 0; i++) {
            uint64_t place = harts[i]->id - base;
            if ((hart_mask >> i & 1) && place < MASK_HARTS) {
                ids |= 1ul << place;
                hart_mask &= ~(1ul << i);
            }
        }
        if (ids == 0) continue;
        struct sbi_result result =
            sbi_call(SBI_RFENCE, SBI_RFENCE_SFENCE_ASID, ids, base, 0, UINT64_MAX, asid);
        /* A translation that survived would be a hole: there is no going on. */
        kernel_assert(result.error == 0);
    }
}

void arch_ipi(const struct hart *hart) { sbi_call(SBI_IPI, SBI_IPI_SEND, 1, hart->id, 0, 0, 0); }

void arch_wait_for_interrupt(void) {
    asm volatile("wfi\n\t"
                 "csrc sip, %0"
                 :
                 : "r"(SIP_SSIP)
                 : "memory");
}

void arch_frame_clear(void *frame) {
    char *end = (char *)frame + EXO_FRAME_BYTES;
    for (char *at = frame; at < end; at += 256) {
        asm volatile(".set offset, 0\n\t"
                     ".rept 32\n\t"
                     "sd zero, offset(%0)\n\t"
                     ".set offset, offset + 8\n\t"
                     ".endr"
                     :
                     : "r"(at)
                     : "memory");
    }
}
