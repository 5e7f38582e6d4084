/* SPDX-License-Identifier: MIT */
/*
 * What the kernel keeps for a hart.
 *
 * Assembly reaches the members through tp, so those on the hot paths come
 * first and all must lie within 2,047 bytes, `seen` excepted.  Only the hart
 * itself writes its own structure, but for `recall` and `deadline`.
 * Others read `active`, to know what its TLB may hold, `idle`, `row` and
 * `running`.
 */
#pragma once
#include <exo/abi.h>
#include <stdint.h>

#include "lock.h"

#define HART_ASIDS 256 /* most identifiers given to spaces */

struct hart {
    /*
     * ENV frame of the leader whose space is being entered << 32 | of the one in satp; 0: the kernel's.
     * See shoot.h.  First, so that assembly has its address in tp.
     */
    uint64_t active;
    uint64_t user_t0, user_t1, user_sp; /* spilled at a trap */
    uint64_t stack;                     /* initial sp of the kernel on this hart */
    struct exo_env *env;                /* the environment that runs here, 0 if none */
    struct exo_env *space;              /* the leader of the space in satp, 0: the kernel's root */
    struct exo_ctx *ctx;                /* of `env` */
    uint64_t *state, *words;  /* state word of `env`; biased: of frame n at words + 2 * n */
    struct exo_frame *frames; /* biased: frames[frame number] */
    uint64_t run, accept; /* state READY plus this is RUN here; ACCEPT plus this RUN, in a call */
    struct lock *space_lock; /* SPACE lock of `space` */
    uint64_t idle;           /* not 0 while it sleeps or is about to */
    uint64_t index, id;      /* of this hart in exo_info.hart; hartid of the platform */
    /*
     * Slices, see slice.h: its slice vector; the current row, whose time it is; what gave it what
     * it runs or is about to run, NULL if it runs nothing; the row that the rest of another was
     * given to last.
     */
    struct exo_row *rows, *row, *running, *filled;
    /*
     * Times, in ticks: when `running` was last charged; the end of the current row's; when what
     * runs must stop, which is that or sooner for an urgent row; how long before that it is told,
     * 0 when it was; no sleeper of its rows is due before (another hart may lower it); what its
     * timer was set to last.  Then two lengths as in exo_info.
     */
    uint64_t since, end, until, notice, deadline, armed, row_ticks, grace_ticks;
    uint8_t borrows;             /* what runs is an urgent row's, before the current row goes on */
    uint8_t fills;               /* what runs has the rest of another's row */
    uint32_t recall;             /* set by any hart: one of its sleepers may take its row back */
    uint64_t memory, others;     /* where physical address 0 is seen; mask of the other harts */
    struct exo_hart_info *facts; /* of this hart in INFO */
    uint64_t generation;       /* the TLB generation it made last: its own in every EXO_HARTS_MAX */
    uint64_t trap, float_trap; /* the architecture's: where traps enter, with FS Off and Dirty */
    uint64_t entered;          /* kernel-counters: instret when the kernel was entered */
    uint64_t kept[32];         /* what C may destroy and is asked for later, registers by number */
    uint64_t ram_first;        /* the lowest frame of the frame table */
    void *calls[EXO_CALL_COUNT]; /* the kernel's functions by call number */
    uint64_t seen[HART_ASIDS];   /* by ASID: the TLB generation entered last */
    const struct lock *held[5];  /* with EXO_ASSERT: locks in the order of taking, then 0 */
};

/* All harts of the machine, by index. */
extern struct hart *harts[EXO_HARTS_MAX];
extern uint32_t hart_count;
