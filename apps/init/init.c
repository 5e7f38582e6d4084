/* SPDX-License-Identifier: MIT */
/*
 * init: the first program.  Runs what the archive's file `command` says and
 * powers the machine off with the result.
 *
 * `command` is a sequence of words, each ending in a NUL: a program of the
 * archive and its arguments; a word "+" begins another program, which runs at
 * the same time.  Each gets an equal share of the free memory and a row of its
 * own; the rows are spread over the harts.  A program that is alone gets the
 * rows that nobody else uses too, with the right to bind them as urgent ones.
 * init itself sleeps until a program ends, so harts with nothing to do sleep.
 *
 * The status is the first that is not 0: a program's own, 128 and the cause
 * for one that was stopped by an exception, 127 for one that cannot be started.
 */
#include <exo/task.h>
#include <stdio.h>
#include <string.h>

#define PROGRAMS_MAX 8
#define ROWS_LENT 256                       /* the kernel derives no more at once */
#define ROW_FIRST 1                         /* of each hart; init's own is row 0 of hart 0 */
#define MEMORY_MAX (256 * EXO_GROUP_FRAMES) /* frames of a program: 512 MiB */
#define STATUS_NOT_STARTED 127
#define STATUS_FAULT 128

struct program {
    const char *arguments[SYS_ARGUMENTS_MAX];
    uint64_t argument_count;
};

static struct program programs[PROGRAMS_MAX];
static struct task tasks[PROGRAMS_MAX]; /* of the same numbers; those not started have ended */
static uint64_t program_count;

static _Noreturn void power_off(int status) {
    fflush(stdout);
    for (;;) exo_shutdown(sys_start->console, (uint64_t)status);
}

/* Split the command into programs; NULL, or what is wrong with it. */
static const char *command_read(const char *words, uint64_t bytes) {
    const char *end = words + bytes;

    if (bytes == 0 || end[-1] != 0)
        return "the archive's file command is missing or does not end in a NUL";
    for (program_count = 1; words < end; words += strlen(words) + 1) {
        struct program *program = &programs[program_count - 1];
        if (strcmp(words, "+") == 0) {
            if (program_count++ == PROGRAMS_MAX) return "too many programs";
        } else if (program->argument_count == SYS_ARGUMENTS_MAX) {
            return "too many arguments";
        } else {
            program->arguments[program->argument_count++] = words;
        }
    }
    for (uint64_t i = 0; i < program_count; i++)
        if (programs[i].argument_count == 0) return "a program's name is missing";
    return NULL;
}

/* Frames for each program: whole groups where there are any, and some are left for init. */
static uint64_t memory_share(void) {
    uint64_t longest = frame_longest(EXO_GROUP_FRAMES);
    uint64_t kept = longest / 8 < EXO_GROUP_FRAMES ? longest / 8 : EXO_GROUP_FRAMES;
    uint64_t share = (longest - kept) / program_count;

    if (share > MEMORY_MAX) share = MEMORY_MAX;
    return share > EXO_GROUP_FRAMES ? share & ~(uint64_t)(EXO_GROUP_FRAMES - 1) : share;
}

static uint64_t slice_root(void) {
    const struct exo_info *info = sys_info();

    for (uint32_t i = 0; i < info->root_count; i++)
        if (info->root[i].class == EXO_CLASS_SLICE) return info->root[i].handle;
    return EXO_NONE;
}

/* Start a program on a row of its own, which is not urgent: no program disturbs another. */
static int64_t program_place(uint64_t number) {
    uint64_t harts = sys_info()->hart_count;
    uint64_t row = number % harts * EXO_ROWS + ROW_FIRST + number / harts;
    int64_t slot = mem_slot();

    if (slot < 0) return slot;
    int64_t plain =
        exo_cap_derive(slice_root(), (uint64_t)slot, row, 1, EXO_SLICE_BIND, 0, 0).value;
    return plain < 0 ? plain : task_start_on(&tasks[number], (uint64_t)plain, row);
}

static int program_start(uint64_t number, uint64_t frames) {
    const struct program *program = &programs[number];
    uint64_t rows = sys_info()->hart_count * (uint64_t)EXO_ROWS - ROW_FIRST - 1;
    const struct task_lend harts = {.slot = slice_root(),
                                    .first = ROW_FIRST + 1,
                                    .count = rows < ROWS_LENT ? rows : ROWS_LENT,
                                    .rights = EXO_SLICE_BIND | EXO_SLICE_URGENT};
    const struct task_options options = {
        .arguments = program->arguments,
        .argument_count = program->argument_count,
        .frames = frames,
        .lend = &harts,
        .lend_count = program_count == 1 ? 1 : 0,
    };
    int64_t error = task_spawn(&tasks[number], program->arguments[0], &options);

    if (!error) {
        error = program_place(number);
        if (error) task_end(&tasks[number]);
    }
    if (error) {
        printf("init: %s: %s\n", program->arguments[0], task_error_text(error));
        return STATUS_NOT_STARTED;
    }
    return 0;
}

/* The status of a program that has ended; says why when it did not end by itself. */
static int program_status(uint64_t number) {
    const struct task *task = &tasks[number];
    const char *name = programs[number].arguments[0];

    switch (task_state(task)) {
    case TASK_EXITED: return task_status(task);
    case TASK_FAULTED:
        task_show_fault(task, name);
        return STATUS_FAULT + (int)(task->ctx->stop_cause & 31);
    default: printf("init: %s: has gone\n", name); return STATUS_FAULT;
    }
}

int main(void) {
    struct archive_file file;
    uint64_t lock = frame_alloc();
    int status = 0;

    if (lock) sys_console_lock_make(frame_slot(lock), lock);
    const char *command = archive_find("command", &file) ? archive_map(&file) : NULL;
    const char *wrong = command_read(command, command ? file.bytes : 0);
    if (wrong) {
        printf("init: %s\n", wrong);
        power_off(STATUS_NOT_STARTED);
    }

    uint64_t frames = memory_share();
    for (uint64_t i = 0; i < program_count && !status; i++) status = program_start(i, frames);
    task_run(tasks, program_count);
    for (uint64_t i = 0; i < program_count; i++) {
        if (!tasks[i].env) continue;
        int ended = program_status(i);
        if (!status) status = ended;
        task_end(&tasks[i]);
    }
    power_off(status);
}
