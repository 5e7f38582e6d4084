/* SPDX-License-Identifier: MIT */
/*
 * The service: an environment of init's space that accepts calls.
 *
 * It runs in its callers' slices, and by a row of its own when a caller died in
 * the middle.  What comes with a call is a stranger's: numbers are looked at
 * before they are used, and a capability goes only into a slot that its holder
 * has opened for the service.
 */
#include <exo/thread.h>
#include <string.h>

#include "init.h"

static struct init_table *table;
static uint64_t table_frame, init_shown, table_shown;
static bool started;

/* ---- granting ---- */

/* Derive a range and grant it to the slot that the words name. */
static int64_t lend_to(const struct sys_words *words, const struct task_lend *range) {
    int64_t slot = mem_slot();

    if (slot < 0) return slot;
    int64_t derived = exo_cap_derive(range->slot, (uint64_t)slot, range->first, range->count,
                                     range->rights, 0, range->extra)
                          .value;
    if (derived < 0) return derived;
    int64_t granted =
        sys_cap_grant((uint64_t)derived, EXO_NONE, words->word[INIT_WORD_SLOT],
                      words->word[INIT_WORD_FRAME], words->word[INIT_WORD_GENERATION]);
    if (granted < 0) sys_cap_drop((uint64_t)derived, range->first);
    return granted < 0 ? granted : 0;
}

static int64_t bell_lend(const struct sys_words *words) {
    if (!driver || driver->state != INIT_RUNS) return EXO_ESTATE;
    const struct task_lend range =
        task_lend_task(&driver->task, EXO_ENV_NOTIFY, 1ul << SYS_EVENT_CONSOLE);
    return lend_to(words, &range);
}

/* Let a frame be read; *shown is init's own handle, by which all can be taken back. */
static int64_t frame_show(const struct sys_words *words, uint64_t frame, uint64_t *shown) {
    if (!*shown) {
        int64_t slot = mem_slot();
        if (slot < 0) return slot;
        int64_t derived =
            exo_cap_derive(frame_slot(frame), (uint64_t)slot, frame, 1, EXO_PAGE_R, 0, 0).value;
        if (derived < 0) return derived;
        *shown = (uint64_t)derived;
    }
    const struct task_lend range = {
        .slot = *shown, .first = frame, .count = 1, .rights = EXO_PAGE_R};
    return lend_to(words, &range);
}

/* The program with this number in the table, if it runs. */
static struct program *running(uint64_t number) {
    if (number == 0 || number > manifest.program_count) return NULL;
    struct program *program = &programs[number - 1];
    return program->state == INIT_RUNS ? program : NULL;
}

static int64_t show(const struct sys_words *words) {
    uint64_t number = words->word[INIT_WORD_PROGRAM];
    struct program *program = running(number);

    if (number == INIT_TABLE) return frame_show(words, table_frame, &table_shown);
    if (number == 0) return frame_show(words, sys_info()->init_env, &init_shown);
    return program ? frame_show(words, program->task.env_frame, &program->shown) : EXO_ESTATE;
}

static int64_t kill(const struct sys_words *words) {
    struct program *program = running(words->word[INIT_WORD_PROGRAM]);

    if (!program) return EXO_ESTATE;
    program_kill(program);
    return 0;
}

/* ---- the table ---- */

void table_update(void) {
    if (!table) return;
    table->count = manifest.program_count + 1;
    table->frames_free = frame_count_free();
    table->program[0] = (struct init_program){
        .name = "init", .env_frame = sys_info()->init_env, .state = INIT_RUNS, .starts = 1};
    for (uint32_t i = 0; i < manifest.program_count; i++) {
        const struct program *program = &programs[i];
        struct init_program *shown = &table->program[i + 1];
        strncpy(shown->name, program_name(program), sizeof(shown->name) - 1);
        shown->state = program->state;
        shown->env_frame = program->state == INIT_RUNS ? program->task.env_frame : 0;
        shown->frames = program->frames;
        shown->starts = program->starts;
    }
}

/* ---- serving ---- */

static bool may_control(uint64_t caller) {
    for (uint32_t i = 0; i < manifest.program_count; i++)
        if (programs[i].state == INIT_RUNS && programs[i].task.env_frame == caller)
            return programs[i].wanted->control;
    return false;
}

/* init's first thread was told that a program has ended, or begins. */
static int64_t look(void) {
    if (started) {
        programs_look();
    } else {
        started = true;
        if (!programs_start()) power_off(STATUS_NOT_STARTED);
    }
    return 0;
}

static int64_t serve(uint64_t caller, struct sys_words *words) {
    switch (words->word[0]) {
    case INIT_LOOK: return caller == sys_info()->init_env ? look() : EXO_ERIGHTS;
    case INIT_BELL: return bell_lend(words);
    case INIT_SHOW: return may_control(caller) ? show(words) : EXO_ERIGHTS;
    case INIT_KILL: return may_control(caller) ? kill(words) : EXO_ERIGHTS;
    default: return EXO_EARGUMENT;
    }
}

static void *service_main(void *argument) {
    struct sys_words words = {{0}};

    (void)argument;
    for (;;) {
        uint64_t caller = sys_reply(&words);
        if (!caller) continue;
        words.word[0] = (uint64_t)serve(caller, &words);
        sys_console_flush();
        if (started && programs_have_ended()) power_off(programs_status());
    }
}

int64_t service_make(void) {
    static const struct thread_options options = {.hart = 1};
    struct thread *thread;

    table_frame = frame_alloc();
    table = mem_map_frames(frame_slot(table_frame), table_frame, 1, EXO_PAGE_R | EXO_PAGE_W);
    if (!table) return EXO_EFULL;
    memset(table, 0, EXO_FRAME_BYTES);
    int64_t error = thread_create(&thread, service_main, NULL, &options);
    if (error) return error;
    struct exo_result state = exo_env_regs(thread_env(thread), EXO_REGS_STATE);
    sys_service_make(thread_env(thread), thread_frame(thread), state.detail);
    return 0;
}
