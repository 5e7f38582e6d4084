/* SPDX-License-Identifier: MIT */
/*
 * The service of init, and the bell: how a program reaches who serves its console.
 *
 * Who serves it may end and be started again as another environment.  The
 * capability to notify it is LOST then, so the program asks the service for a
 * new one the next time that it has something to say.  Nothing is recorded here:
 * the slot tells.
 */
#include <exo/init.h>

#include "sys.h"

#define PATIENCE SYS_SECOND /* somebody who gives the service time is done by then */

static uint64_t init_bell = EXO_NONE; /* init has no slots at fixed places */

void sys_console_bell_set(uint64_t env) { init_bell = env; }

void sys_service_make(uint64_t env, uint64_t frame, uint64_t generation) {
    sys_init_start.service = env;
    sys_init_start.service_frame = frame;
    sys_init_start.service_generation = generation;
}

int64_t sys_service(struct sys_words *words) {
    uint64_t begin = sys_time();

    for (;;) {
        int64_t error = sys_call(sys_start->service, words);
        if (error != EXO_EBUSY || sys_time() - begin > sys_ticks(PATIENCE)) return error;
        if (exo_yield(sys_start->service).value < 0) exo_yield(EXO_NONE);
    }
}

int64_t sys_service_open(uint64_t slot) {
    int64_t value = exo_cap_derive(EXO_NONE, slot, sys_start->service_frame,
                                   sys_start->service_generation, 0, 0, 0)
                        .value;
    return value < 0 ? value : 0;
}

uint64_t sys_bell(void) {
    if (sys_is_init()) return init_bell;
    uint64_t word = ((const volatile struct exo_cap *)sys_slot(0, SYS_SLOT_BELL))->word;
    return EXO_CAP_STATE(word) == EXO_SLOT_LIVE ? EXO_CAP_HANDLE(word, SYS_SLOT_BELL) : EXO_NONE;
}

static void bell_fetch(void) {
    const volatile struct exo_cap *slot = sys_slot(0, SYS_SLOT_BELL);
    struct sys_words words = {{
        [0] = INIT_BELL,
        [INIT_WORD_SLOT] = EXO_HANDLE(0, SYS_SLOT_BELL),
        [INIT_WORD_FRAME] = sys_env()->frame,
        [INIT_WORD_GENERATION] = sys_env()->gen,
    }};

    if (EXO_CAP_STATE(slot->word) == EXO_SLOT_LOST)
        exo_cap_drop(EXO_CAP_HANDLE(slot->word, SYS_SLOT_BELL), slot->first);
    /* It may be open from an earlier time, when nobody served the console. */
    sys_service_open(EXO_HANDLE(0, SYS_SLOT_BELL));
    sys_service(&words);
}

void sys_console_bell(void) {
    uint64_t bell = sys_bell();

    if (bell != EXO_NONE && exo_notify(bell, 1ul << SYS_EVENT_CONSOLE).value == 0) return;
    if (sys_is_init() || sys_start->service == EXO_NONE) return;
    bell_fetch();
    bell = sys_bell();
    if (bell != EXO_NONE) exo_notify(bell, 1ul << SYS_EVENT_CONSOLE);
}
