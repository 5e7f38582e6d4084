/* SPDX-License-Identifier: MIT */
/*
 * Sv39 page-table entries (privileged specification, section "Sv39").
 *
 * Three kinds of entry the hardware knows: absent (V = 0), a pointer to a
 * table (V = 1, R = W = X = 0), a leaf.  A fourth exists only between the two
 * passes of an unmap, under SPACE: hidden, with V = 0 and U = 1.  The absent
 * entries of a program have U = 0, so no payload looks hidden.
 *
 * Leaves are made with A and D set, since some harts raise a page fault
 * instead of setting them.  No entry has G.
 */
#pragma once
#include <exo/abi.h>
#include <stdbool.h>
#include <stdint.h>

#define PTE_V 0x1
#define PTE_R 0x2
#define PTE_RIGHTS 0xe /* R, W, X */
#define PTE_RIGHTS_SHIFT 1
#define PTE_U 0x10
#define PTE_A 0x40
#define PTE_D 0x80
#define PTE_SOFT EXO_MAP_SOFT
#define PTE_FRAME_SHIFT 10
#define PTE_FRAME_ONE (1ul << PTE_FRAME_SHIFT)

#define PAGE_RIGHTS (EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X)

/* A leaf for a frame with these PAGE rights and soft bits; U, A and D set. */
static inline uint64_t pte_leaf(uint64_t frame, uint64_t flags) {
    return frame << PTE_FRAME_SHIFT | (flags & PTE_SOFT) |
           (flags & PAGE_RIGHTS) << PTE_RIGHTS_SHIFT | PTE_U | PTE_V | PTE_A | PTE_D;
}

static inline uint64_t pte_table(uint64_t frame) { return frame << PTE_FRAME_SHIFT | PTE_V; }

static inline bool pte_is_present(uint64_t pte) { return pte & PTE_V; }

static inline bool pte_is_table(uint64_t pte) { return (pte & (PTE_V | PTE_RIGHTS)) == PTE_V; }

static inline bool pte_is_leaf(uint64_t pte) { return (pte & PTE_V) && (pte & PTE_RIGHTS); }

static inline bool pte_is_hidden(uint64_t pte) { return (pte & (PTE_U | PTE_V)) == PTE_U; }

/* The reserved bits above the frame number are never set. */
static inline uint64_t pte_frame(uint64_t pte) { return pte >> PTE_FRAME_SHIFT; }

/* The physical address of the frame that a pointer to a table names. */
static inline uint64_t pte_address(uint64_t pte) { return pte_frame(pte) << EXO_FRAME_SHIFT; }

/* Write an entry whole, so that no table walker sees a part. */
static inline void pte_write(uint64_t *entry, uint64_t pte) { *(volatile uint64_t *)entry = pte; }

static inline uint64_t pte_rights(uint64_t pte) { return (pte & PTE_RIGHTS) >> PTE_RIGHTS_SHIFT; }

/* First pass of an unmap: the hardware sees the entry no more; it keeps frame, A and D. */
static inline uint64_t pte_hide(uint64_t *pte) {
    return __atomic_fetch_and(pte, ~(uint64_t)PTE_V, __ATOMIC_RELAXED);
}

/* Take away all rights but these. */
static inline uint64_t pte_lower(uint64_t *pte, uint64_t rights) {
    uint64_t mask = ~(uint64_t)PTE_RIGHTS | rights << PTE_RIGHTS_SHIFT;
    return __atomic_fetch_and(pte, mask, __ATOMIC_RELAXED);
}

/* Clear A and D and return what they were, as EXO_HARVEST_ bits. */
static inline uint64_t pte_harvest(uint64_t *pte) {
    uint64_t old = __atomic_fetch_and(pte, ~(uint64_t)(PTE_A | PTE_D), __ATOMIC_RELAXED);
    return (old & PTE_A ? EXO_HARVEST_ACCESSED : 0) | (old & PTE_D ? EXO_HARVEST_DIRTY : 0);
}
