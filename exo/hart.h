/* SPDX-License-Identifier: MIT */
/*
 * What the kernel keeps for a hart.
 *
 * Assembly reaches the members through tp, so those on the hot paths come
 * first and all must lie within 2,047 bytes, `seen` excepted.  Only the hart
 * itself writes its own structure, but for `idle`, which others read, and
 * `active`, which others read to know what its TLB may hold.
 */
#pragma once
#include <exo/abi.h>
#include <stdint.h>

#include "lock.h"

#define HART_ASIDS 256 /* most identifiers given to spaces */

struct hart {
    uint64_t user_t0; /* spilled at a trap */
    uint64_t user_t1;
    uint64_t user_sp;
    uint64_t stack;           /* initial sp of the kernel on this hart */
    struct exo_env *env;      /* the environment that runs here, 0 if none */
    struct exo_env *space;    /* the leader of the space in satp, 0: the kernel's root */
    struct exo_ctx *ctx;      /* of `env` */
    uint64_t *state;          /* state word of `env` */
    struct exo_frame *frames; /* biased: frames[frame number] */
    uint64_t run;             /* state READY plus this is RUN on this hart */
    struct lock *space_lock;  /* SPACE lock of `space` */
    uint64_t *words;          /* biased: state word of frame n at words + 2 * n */
    /*
     * Root frame being entered << 32 | root frame in satp, 0 for the kernel's.
     * See shoot.h.
     */
    uint64_t active;
    uint64_t idle;    /* not 0 while it sleeps or is about to */
    uint64_t index;   /* of this hart in exo_info.hart */
    uint64_t id;      /* hartid of the platform */
    uint64_t row;     /* where in its slice vector it is */
    uint64_t running; /* the row that gave it what it runs or is about to run, plus 1; 0: none */
    uint64_t memory;  /* where the kernel sees physical address 0 */
    uint64_t others;  /* mask of the machine's harts but this one, by index */
    struct exo_hart_info *facts; /* of this hart in INFO */
    uint64_t generation;      /* the TLB generation it made last: its own in every EXO_HARTS_MAX */
    struct lock *space_locks; /* all of them, by root frame modulo SPACE_LOCKS */
    uint64_t kept[4];         /* arguments of a call whose hot half may give up */
    void *calls[EXO_CALL_COUNT]; /* the kernel's functions by call number */
    uint64_t seen[HART_ASIDS];   /* by ASID: the TLB generation entered last */
};

/* All harts of the machine, by index. */
extern struct hart *harts[EXO_HARTS_MAX];
extern uint32_t hart_count;
