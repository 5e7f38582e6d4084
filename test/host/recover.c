/* SPDX-License-Identifier: MIT */
/*
 * Taking everything back: see recover.h.
 *
 * init does it with its own calls, as a library would: a dying environment is
 * reaped step by step, a slot is dropped step by step, and what answers AGAIN
 * is called again in the next round.
 */
#include "recover.h"

#include <stdio.h>
#include <stdlib.h>

#include "cap.h"
#include "env.h"
#include "host.h"
#include "slice.h"
#include "walker.h"

#define ROUNDS 400 /* each makes at least one step for everything that is left */

static char message[160];

static uint64_t init_hart(void) {
    for (uint64_t hart = 0; hart < hart_count; hart++)
        if (host_models[hart].state == HOST_PROGRAM && harts[hart]->env->frame == info->init_env)
            return hart;
    return hart_count;
}

/* Time passes until init runs; its hart. */
static uint64_t init_runs(void) {
    for (unsigned i = 0; i < 200 && init_hart() == hart_count; i++) host_advance(info->row_ticks);
    if (init_hart() < hart_count) return init_hart();
    fprintf(stderr, "KERNEL BUG: init does not run again\n");
    abort();
}

/* Let init run on hart 0, whatever became of its rows. */
static void init_find(void) {
    host_split = false;
    host_settle();
    if (init_hart() < hart_count) return;
    struct exo_env *init = env_at(info->init_env);
    arch_hart_set(harts[0]);
    slice_unbind(0);
    slice_fill(0, init, init, EXO_ROW_URGENT);
    uint64_t word = *frame_state(init->frame);
    bool sleeps = env_state(word) != EXO_STATE_RUN && env_state(word) != EXO_STATE_READY;
    if (sleeps && env_claim_word(harts[0], init->frame, word)) {
        env_answer(init, 0);
        env_put(harts[0], init, EXO_STATE_READY);
    }
    arch_ipi(harts[0]);
    init_runs();
}

static struct result init_call(int number, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t hart = init_runs();
    struct result result = host_result(hart, number, (uint64_t[7]){a, b, c});
    host_settle();
    return result;
}

/* One round over everything that init can take back.  Returns whether nothing was left to do. */
static bool recover_round(void) {
    struct exo_env *init = env_at(info->init_env);
    bool done = true;
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) {
        if (frame_type(frame) != EXO_FRAME_ENV || frame == info->init_env) continue;
        done = false;
        arch_hart_set(harts[init_runs()]);
        env_kill(env_at(frame));
        host_settle();
        init_call(exo_call_env_reap, frame, 0, 0);
    }
    for (uint64_t table = 0; table <= EXO_CAPS_FRAMES; table++) {
        if (table && !init->caps[table - 1]) continue;
        for (uint64_t index = 0; index < (table ? EXO_CAPS_SLOTS : EXO_ENV_SLOTS); index++) {
            struct exo_cap *cap = cap_place(init, EXO_HANDLE(table, index));
            if (!cap || EXO_CAP_STATE(cap->word) == EXO_SLOT_EMPTY ||
                (!table && !cap->parent && EXO_CAP_STATE(cap->word) == EXO_SLOT_LIVE))
                continue;
            done = false;
            if (EXO_CAP_STATE(cap->word) == EXO_SLOT_OPEN)
                init_call(exo_call_cap_derive, EXO_NONE, cap_handle(cap), 0);
            else
                init_call(exo_call_cap_drop, cap_handle(cap), cap->first, 0);
        }
    }
    for (uint64_t i = 0; i < EXO_CAPS_FRAMES; i++) {
        if (!init->caps[i]) continue;
        done = false;
        init_call(exo_call_caps_del, init->caps[i], 0, 0);
    }
    return done;
}

/* What is init's for good: its own frames and tables. */
static bool frame_stays(uint64_t frame) {
    const struct exo_env *init = env_at(info->init_env);
    switch (frame_type(frame)) {
    case EXO_FRAME_DATA:
    case EXO_FRAME_KERNEL:
    case EXO_FRAME_INFO:
    case EXO_FRAME_TABLE: /* the walker has found it below a root, and there is only one */
        return true;
    default:
        return frame == init->frame || frame == init->root || frame == init->ctx >> EXO_FRAME_SHIFT;
    }
}

const char *recover(void) {
    init_find();
    unsigned rounds = 0;
    while (!recover_round()) {
        const char *wrong = walk();
        if (wrong) return wrong;
        if (++rounds > ROUNDS) {
            snprintf(message, sizeof(message), "stuck: the environments do not go");
            return message;
        }
    }
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) {
        if (!frame_stays(frame)) {
            snprintf(message, sizeof(message), "lost: frame 0x%lx of type %lu", frame,
                     frame_type(frame));
            return message;
        }
    }
    struct exo_env *init = env_at(info->init_env);
    for (uint64_t index = 0; index < info->root_count; index++) {
        const struct exo_cap *cap = &init->slot[index];
        for (uint32_t link = cap->child; link; link = cap_next(cap_at(link)))
            if (EXO_CAP_CLASS(cap_at(link)->word) != EXO_CLASS_DONATION)
                return "lost: a root has a child";
    }
    for (uint64_t row = 0; row < hart_count * EXO_ROWS; row++)
        if (slice_row(row)->env && slice_row(row)->env != init->frame)
            return "lost: a row names the dead";
    return walk();
}
