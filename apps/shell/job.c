/* SPDX-License-Identifier: MIT */
/*
 * Programs that the shell runs.
 *
 * Each gets an equal part of what the shell holds, whoever else runs: memory, a
 * row to run by, rows of its own on a few harts, a quarter of each disk's entries,
 * and a console.  The shell passes on what a program writes, and gives what is
 * typed to the one in front.
 */
#include <stdio.h>
#include <string.h>

#include "shell.h"

#define MEMORY_MAX (64 * EXO_GROUP_FRAMES) /* frames of a program: 128 MiB */
#define ROWS_LENT 12                       /* of a hart */
#define HARTS_LENT 4

struct job jobs[JOBS_MAX];
struct typed_back typed_back;
static uint64_t memory_frames;

int64_t jobs_make(void) {
    uint64_t longest = frame_longest(EXO_GROUP_FRAMES) / (JOBS_MAX + 1);

    memory_frames = longest < MEMORY_MAX ? longest : MEMORY_MAX;
    if (memory_frames > EXO_GROUP_FRAMES) memory_frames &= ~(uint64_t)(EXO_GROUP_FRAMES - 1);
    for (uint64_t i = 0; i < JOBS_MAX; i++) {
        uint64_t frame = frame_alloc();
        jobs[i].console_frame = frame;
        jobs[i].console = mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W);
        if (!jobs[i].console) return EXO_EFULL;
    }
    return 0;
}

struct job *job_front(void) {
    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++)
        if (job->runs && job->front) return job;
    return NULL;
}

/* ---- what it gets ---- */

/* The hart on which the fewest rows are bound. */
static uint64_t hart_choose(void) {
    const volatile struct exo_row *rows = row_table();
    uint64_t least = EXO_ROWS + 1, chosen = 0;

    for (uint64_t hart = 0; rows && hart < sys_info()->hart_count; hart++) {
        uint64_t bound = 0;
        for (uint64_t row = 0; row < EXO_ROWS; row++) bound += rows[hart * EXO_ROWS + row].env != 0;
        if (bound < least) {
            least = bound;
            chosen = hart;
        }
    }
    return chosen;
}

/* Rows for the program's own use, from its own hart on. */
static uint64_t rows_lend(uint64_t hart, struct task_lend *lend) {
    uint64_t harts = sys_info()->hart_count, count = 0;
    uint64_t rights = EXO_SLICE_BIND | EXO_SLICE_URGENT;
    struct row row;

    for (uint64_t i = 0; i < harts && count < HARTS_LENT; i++)
        if (row_find(&row, (hart + i) % harts, ROWS_LENT, rights))
            lend[count++] = (struct task_lend){
                .slot = row.slice, .first = row.number, .count = ROWS_LENT, .rights = rights};
    return count;
}

/* A part of the entries of each disk, and all of its sectors. */
static uint64_t disks_lend(uint64_t number, struct task_lend *lend, uint64_t room) {
    uint64_t count = 0;

    for (uint64_t i = 0; i < SYS_LENT_MAX && count < room; i++) {
        const struct exo_cap *cap = sys_start->lent[i] ? sys_slot_named(sys_start->lent[i]) : NULL;
        if (!cap || EXO_CAP_CLASS(cap->word) != EXO_CLASS_BLOCK) continue;
        uint64_t first = EXO_BLOCK_ENTRY(cap->extra);
        uint64_t part = (EXO_BLOCK_ENTRY_END(cap->extra) - first) / JOBS_MAX;
        lend[count++] = (struct task_lend){
            .slot = sys_start->lent[i],
            .first = cap->first,
            .count = cap->count,
            .rights = EXO_CAP_RIGHTS(cap->word),
            .extra = EXO_BLOCK_EXTRA(first + number * part, first + (number + 1) * part),
        };
    }
    return count;
}

/* A row that it runs by, which is not urgent, whatever the shell's are. */
static int64_t row_bind(struct job *job, uint64_t hart) {
    struct row row;

    if (!row_find(&row, hart, 1, EXO_SLICE_BIND)) return EXO_EFULL;
    int64_t slot = mem_slot();
    if (slot < 0) return slot;
    slot = exo_cap_derive(row.slice, (uint64_t)slot, row.number, 1, EXO_SLICE_BIND, 0, 0).value;
    if (slot < 0) return slot;
    job->row = (uint64_t)slot;
    return task_start_on(&job->task, job->row, row.number);
}

/* ---- start ---- */

static int64_t job_build(struct job *job, char **words, uint64_t count) {
    uint64_t number = (uint64_t)(job - jobs), hart = hart_choose();
    struct task_lend lend[SYS_LENT_MAX];
    uint64_t lend_count = rows_lend(hart, lend);

    lend_count += disks_lend(number, lend + lend_count, SYS_LENT_MAX - lend_count);
    const struct task_options options = {
        .arguments = (const char *const *)words,
        .argument_count = count,
        .frames = memory_frames,
        .lend = lend,
        .lend_count = lend_count,
        .rings = job->console_frame,
    };
    int64_t error = task_spawn(&job->task, words[0], &options);
    if (!error) {
        error = row_bind(job, hart);
        if (error) task_end(&job->task);
    }
    return error;
}

static void row_drop(struct job *job) {
    if (job->row) sys_cap_drop(job->row, sys_slot_named(job->row)->first);
    job->row = EXO_NONE;
}

int job_start(char **words, uint64_t count, bool front) {
    struct job *job = jobs;
    struct archive_file file;

    if (!archive_find(words[0], &file)) {
        printf("shell: %s: no command, and no program of the archive; try help or ls\n", words[0]);
        return STATUS_NOT_FOUND;
    }
    while (job < jobs + JOBS_MAX && job->runs) job++;
    if (job == jobs + JOBS_MAX) {
        printf("shell: %d programs run already; kill one\n", JOBS_MAX);
        return STATUS_NOT_FOUND;
    }
    console_begin(job->console, front);
    int64_t error = job_build(job, words, count);
    if (error) {
        row_drop(job);
        printf("shell: %s: %s\n", words[0], task_error_text(error));
        return STATUS_NOT_FOUND;
    }
    strncpy(job->name, words[0], sizeof(job->name) - 1);
    job->runs = true;
    job->front = front;
    if (!front) printf("[%d] %s\n", (int)(job - jobs) + 1, job->name);
    return 0;
}

/* ---- while it runs, and its end ---- */

bool job_pump(struct job *job) {
    const char *bytes;
    uint32_t count;
    bool any = false;

    while ((count = console_look(job->console, &bytes)) > 0) {
        sys_console_write(bytes, count);
        console_take(job->console, count);
        any = true;
    }
    return any;
}

/* Take everything back. */
static void job_end(struct job *job) {
    if (job->env) mem_unmap_frames((void *)job->env);
    job->env = NULL;
    task_end(&job->task);
    row_drop(job);
    job->runs = false;
}

void job_kill(struct job *job, int status) {
    job_pump(job);
    job_end(job);
    if (!job->front) printf("[%d] %s: killed\n", (int)(job - jobs) + 1, job->name);
    if (job->front) last_status = status;
}

static void job_ended(struct job *job, int *front_status) {
    int status = STATUS_FAULT;

    job_pump(job);
    switch (task_state(&job->task)) {
    case TASK_EXITED: status = task_status(&job->task); break;
    case TASK_FAULTED:
        task_show_fault(&job->task, job->name);
        status = STATUS_FAULT + (int)(job->task.ctx->stop_cause & 31);
        break;
    default: break;
    }
    job_end(job);
    if (job->front) {
        typed_back.at = 0;
        typed_back.count = console_get(job->console, typed_back.bytes, CONSOLE_IN_BYTES);
        *front_status = status;
    }
    if (!job->front) printf("[%d] ", (int)(job - jobs) + 1);
    if (status || !job->front) printf("%s: status %d\n", job->name, status);
}

void jobs_look(int *front_status) {
    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++)
        if (job->runs && task_has_ended(&job->task)) job_ended(job, front_status);
}
