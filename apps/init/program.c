/* SPDX-License-Identifier: MIT */
/*
 * The life of the programs: start, end, start again.
 *
 * The console's driver comes last, since it notifies who reads what is typed: when
 * that one is started again, so is the driver.
 */
#include <stdio.h>
#include <string.h>

#include "init.h"

struct manifest manifest;
struct program programs[MANIFEST_PROGRAMS_MAX];
struct program *driver;
struct program *reader;

static uint64_t program_number(const struct program *program) {
    return (uint64_t)(program - programs);
}

static void say(const struct program *program, const char *text) {
    printf("init: %s: %s\n", program_name(program), text);
}

/* ---- start ---- */

/* What only the driver gets: all consoles, and the right to notify the reader. */
static void driver_lend(struct task_lend *lend, uint64_t *lend_count) {
    lend[(*lend_count)++] = (struct task_lend){.slot = frame_slot(consoles_frame),
                                               .first = consoles_frame,
                                               .count = CONSOLES,
                                               .rights = EXO_PAGE_R | EXO_PAGE_W};
    if (reader && reader->state == INIT_RUNS)
        lend[(*lend_count)++] =
            task_lend_task(&reader->task, EXO_ENV_NOTIFY, 1ul << SYS_EVENT_CONSOLE);
}

static int64_t program_spawn(struct program *program) {
    const struct manifest_program *wanted = program->wanted;
    const char *arguments[MANIFEST_ARGUMENTS_MAX + 1];
    struct task_lend lend[SYS_LENT_MAX + 2];
    char number[24];
    struct task_options options = {
        .arguments = arguments,
        .argument_count = wanted->argument_count,
        .frames = program->frames,
        .lend = lend,
        .lend_count = program->lend_count,
        .rings = program->console ? program->console_frame : TASK_NO_RINGS,
        .silent = wanted->console == MANIFEST_SILENT,
    };

    memcpy(arguments, wanted->argument, sizeof(wanted->argument));
    memcpy(lend, program->lend, sizeof(program->lend));
    if (program == driver) {
        driver_lend(lend, &options.lend_count);
        snprintf(number, sizeof(number), "%lu", reader ? program_number(reader) + 1 : CONSOLES);
        arguments[options.argument_count++] = number;
    }
    return task_spawn(&program->task, wanted->argument[0], &options);
}

static int64_t rows_bind(const struct program *program) {
    int64_t error = 0;

    for (uint64_t i = 0; i < program->wanted->run.count && error == 0; i++) {
        do error = exo_slice_bind(program->slice, program->row + i, program->task.env).value;
        while (error == EXO_EAGAIN);
    }
    return error;
}

/* Start it; what was typed or written before is left in its console. */
static int64_t program_start(struct program *program) {
    int64_t error = program_spawn(program);

    if (error) return error;
    error = rows_bind(program);
    program->task.row = program->row;
    if (!error) error = task_start(&program->task);
    if (error) {
        task_end(&program->task);
        return error;
    }
    program->state = INIT_RUNS;
    program->starts++;
    if (program == driver) sys_console_bell_set(program->task.env);
    return 0;
}

static bool program_begin(struct program *program) {
    int64_t error = program_start(program);

    if (!error) return true;
    say(program, task_error_text(error));
    program->state = INIT_ENDED;
    program->status = program->wanted->optional ? 0 : STATUS_NOT_STARTED;
    if (program == driver) consoles_leave();
    return program->wanted->optional;
}

bool programs_start(void) {
    bool good = true;

    for (uint32_t i = 0; i < manifest.program_count; i++) {
        struct program *program = &programs[i];
        enum manifest_console kind = program->wanted->console;
        if (kind == MANIFEST_SILENT || kind == MANIFEST_DRIVER) continue;
        program->console = console_at(i + 1);
        program->console_frame = consoles_frame + i + 1;
        console_begin(program->console, kind == MANIFEST_INPUT && driver);
    }
    if (!driver) consoles_leave();
    for (uint32_t i = 0; i < manifest.program_count && good; i++)
        if (&programs[i] != driver && programs[i].state == INIT_WAITS)
            good = program_begin(&programs[i]);
    if (good && driver) good = program_begin(driver);
    table_update();
    return good;
}

/* ---- end ---- */

/* Take everything back, and what others see of its ENV frame before somebody gets that frame. */
static void program_end(struct program *program) {
    if (program->shown) sys_cap_drop(program->shown, program->task.env_frame);
    program->shown = EXO_NONE;
    if (program == driver) sys_console_bell_set(EXO_NONE);
    task_end(&program->task);
    program->state = INIT_WAITS;
}

/* Is it to be started again?  Too many restarts in the time that the manifest says are too many. */
static bool program_restarts(struct program *program, bool fault) {
    const struct manifest_program *wanted = program->wanted;
    uint64_t now = sys_time();

    if (wanted->restart == MANIFEST_NEVER || (wanted->restart == MANIFEST_FAULT && !fault))
        return false;
    if (now - program->begin > sys_ticks(wanted->restart_seconds * SYS_SECOND)) {
        program->begin = now;
        program->restarts = 0;
    }
    if (program->restarts++ < wanted->restarts_max) return true;
    printf("init: %s: ended more than %lu times in %lu s, and stays so\n", program_name(program),
           wanted->restarts_max, wanted->restart_seconds);
    return false;
}

/* The status of a program that has ended; tells why when it did not end by itself. */
static int status_of(const struct program *program) {
    const struct task *task = &program->task;

    switch (task_state(task)) {
    case TASK_EXITED: return task_status(task);
    case TASK_FAULTED:
        /* So that this comes after what it wrote itself. */
        if (program->console) console_drain(program->console);
        task_show_fault(task, program_name(program));
        return STATUS_FAULT + (int)(task->ctx->stop_cause & 31);
    default: say(program, "has gone"); return STATUS_FAULT;
    }
}

static void program_ended(struct program *program, int status, bool fault) {
    program->status = status;
    program_end(program);
    if (!program_restarts(program, fault)) {
        program->state = INIT_ENDED;
        if (program == driver) consoles_leave();
        return;
    }
    say(program, "is started again");
    program_begin(program);
    if (program == reader && driver && driver->state == INIT_RUNS) {
        program_end(driver);
        program_begin(driver);
    }
}

void programs_look(void) {
    for (uint32_t i = 0; i < manifest.program_count; i++) {
        struct program *program = &programs[i];
        if (program->state != INIT_RUNS || !task_has_ended(&program->task)) continue;
        bool fault = task_state(&program->task) != TASK_EXITED;
        program_ended(program, status_of(program), fault);
    }
    table_update();
}

void program_kill(struct program *program) {
    say(program, "is killed");
    program_ended(program, STATUS_KILLED, true);
    table_update();
}

bool programs_have_ended(void) {
    for (uint32_t i = 0; i < manifest.program_count; i++)
        if (programs[i].state != INIT_ENDED && programs[i].wanted->restart != MANIFEST_ALWAYS)
            return false;
    return true;
}

int programs_status(void) {
    for (uint32_t i = 0; i < manifest.program_count; i++)
        if (programs[i].status && programs[i].wanted->restart != MANIFEST_ALWAYS)
            return programs[i].status;
    return 0;
}
