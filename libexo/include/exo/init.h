/* SPDX-License-Identifier: MIT */
/*
 * The service of init (exo::sys): what the programs that the manifest names, and
 * theirs, can ask of it.
 *
 * Each has an ENV capability with CALL for the service's environment
 * (sys_start->service) and calls it with sys_service().  Word 0 of the answer is
 * 0 or an enum exo_error.  docs/init.md says who may ask for what.
 */
#pragma once
#include <exo/sys.h>

/*
 * Where the answer is a capability, these words say into which slot: the caller
 * has opened it for the service (sys_service_open).
 */
#define INIT_WORD_SLOT 1       /* a handle */
#define INIT_WORD_FRAME 2      /* ENV frame of the leader of the slot's space */
#define INIT_WORD_GENERATION 3 /* ... and its generation */
#define INIT_WORD_PROGRAM 4    /* number in struct init_table */

enum init_request {
    /* init's own: look what is to be done. */
    INIT_LOOK,
    /* Into the slot: ENV NOTIFY with SYS_EVENT_CONSOLE, for who serves the caller's console. */
    INIT_BELL,
    /*
     * Of a program with `control` only.  Into the slot: PAGE R of the ENV frame of
     * PROGRAM, as long as that one runs; with INIT_TABLE of the frame that holds
     * struct init_table.
     */
    INIT_SHOW,
    /* Of a program with `control` only: end PROGRAM; what its `restart` says then follows. */
    INIT_KILL,
};

#define INIT_TABLE (~0ul)
#define INIT_PROGRAMS_MAX 17 /* number 0 is init itself */
#define INIT_NAME_BYTES 32

enum init_state { INIT_WAITS, INIT_RUNS, INIT_ENDED };

/* What init shows of the programs of the manifest; written by init at any time. */
struct init_program {
    char name[INIT_NAME_BYTES];
    uint64_t env_frame; /* 0 unless it runs; its memory is [env_frame, env_frame + frames) */
    uint64_t frames;
    uint64_t state;
    uint64_t starts;
};

struct init_table {
    uint64_t count;
    uint64_t frames_free; /* that init has kept */
    struct init_program program[INIT_PROGRAMS_MAX];
};
_Static_assert(sizeof(struct init_table) <= EXO_FRAME_BYTES, "the table is one frame");
