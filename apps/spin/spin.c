/* SPDX-License-Identifier: MIT */
/*
 * spin [SECONDS [ROWS...]]: programs that never stop, and what each gets.
 *
 * One child for each number of ROWS (4 3 2 1), all on one hart, with so many
 * rows of its slice vector.  While they count, this program sleeps; then it
 * tells the shares twice: as the slice vector has them, which the kernel shows
 * to everybody, and by how far each child has counted.
 */
#include <exo/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX 8
#define CHILD_FRAMES 64
#define OFF_MAX 5.0 /* percent of the hart that a share may differ by */

/* In the shared frame, one for each child and in a cache line of its own. */
struct counter {
    volatile uint64_t value;
    uint64_t unused[7];
};

struct spinner {
    struct task task;
    uint64_t rows;
    uint64_t time;  /* ticks through its rows ... */
    uint64_t count; /* and its counter, at the begin; then what was added */
};

static struct spinner spinners[CHILDREN_MAX];
static uint64_t spinner_count;
static struct counter *counters;

static _Noreturn void child_main(uint64_t number) {
    struct counter *mine =
        (struct counter *)mem_map_frames(sys_start->lent[0], sys_slot(0, SYS_SLOT_LENT)->first, 1,
                                         EXO_PAGE_R | EXO_PAGE_W) +
        number;

    for (;;) mine->value++;
}

static int64_t spinner_start(uint64_t number, uint64_t frame, uint64_t hart) {
    struct spinner *spinner = &spinners[number];
    char name[8];
    const char *const arguments[] = {"spin", "child", name};
    const struct task_lend shared = {
        .slot = frame_slot(frame), .first = frame, .count = 1, .rights = EXO_PAGE_R | EXO_PAGE_W};
    const struct task_options options = {.arguments = arguments,
                                         .argument_count = 3,
                                         .frames = CHILD_FRAMES,
                                         .lend = &shared,
                                         .lend_count = 1};

    snprintf(name, sizeof(name), "%lu", number);
    int64_t error = task_spawn(&spinner->task, "spin", &options);
    for (uint64_t i = 0; i < spinner->rows && !error; i++) {
        struct row row;
        error = row_take(&row, hart, EXO_SLICE_BIND, spinner->task.env);
    }
    return error;
}

static void look(struct spinner *spinner, struct counter *counter) {
    spinner->time = row_time(spinner->task.env_frame) - spinner->time;
    spinner->count = counter->value - spinner->count;
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static int shares_print(uint64_t hart) {
    uint64_t rows = 0, time = 0, count = 0;
    int off = 0;

    for (uint64_t i = 0; i < spinner_count; i++) {
        rows += spinners[i].rows;
        time += spinners[i].time;
        count += spinners[i].count;
    }
    printf("hart %lu, %.1f ms handed out\n", hart, (double)sys_nanoseconds(time) / 1e6);
    printf("rows   due   time   count\n");
    for (uint64_t i = 0; i < spinner_count; i++) {
        const struct spinner *spinner = &spinners[i];
        double due = percent(spinner->rows, rows), got = percent(spinner->time, time);
        printf("%4lu %4.1f%% %5.2f%% %6.2f%%  ", spinner->rows, due, got,
               percent(spinner->count, count));
        for (int bar = 0; bar < (int)(got / 2 + 0.5); bar++) putchar('#');
        putchar('\n');
        if (got - due > OFF_MAX || due - got > OFF_MAX) off = 1;
    }
    return off;
}

static int spin(double seconds, uint64_t hart) {
    uint64_t frame = frame_alloc();
    int64_t error = 0;

    counters = mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W);
    if (!counters) return 1;
    memset(counters, 0, EXO_FRAME_BYTES);
    for (uint64_t i = 0; i < spinner_count && !error; i++) error = spinner_start(i, frame, hart);
    for (uint64_t i = 0; i < spinner_count && !error; i++) error = task_start(&spinners[i].task);
    if (error) {
        printf("spin: %s\n", error == EXO_EFULL ? "it holds too few free rows, or too little memory"
                                                : task_error_text(error));
        return 1;
    }
    /* Not from the first moment on: they begin one after the other. */
    task_wait(sys_time() + sys_ticks(SYS_SECOND / 10));
    for (uint64_t i = 0; i < spinner_count; i++) look(&spinners[i], &counters[i]);
    task_wait(sys_time() + sys_ticks((uint64_t)(seconds * (double)SYS_SECOND)));
    for (uint64_t i = 0; i < spinner_count; i++) look(&spinners[i], &counters[i]);
    for (uint64_t i = 0; i < spinner_count; i++) task_end(&spinners[i].task);
    return shares_print(hart);
}

int main(int argument_count, char **arguments) {
    static const uint64_t usual[] = {4, 3, 2, 1};

    if (argument_count == 3 && strcmp(arguments[1], "child") == 0)
        child_main(strtoul(arguments[2], NULL, 10));
    double seconds = argument_count > 1 ? strtod(arguments[1], NULL) : 2;
    for (int i = 2; i < argument_count && spinner_count < CHILDREN_MAX; i++)
        spinners[spinner_count++].rows = strtoul(arguments[i], NULL, 10);
    for (uint64_t i = 0; argument_count <= 2 && i < sizeof(usual) / sizeof(usual[0]); i++)
        spinners[spinner_count++].rows = usual[i];
    if (seconds <= 0) {
        printf("usage: spin [SECONDS [ROWS...]]\n");
        return 2;
    }
    return spin(seconds, sys_info()->hart_count - 1);
}
