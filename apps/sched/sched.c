/* SPDX-License-Identifier: MIT */
/*
 * sched [SECONDS]: the two schedulers side by side, on the same tasks.
 *
 * Three tasks have a job each period, a fourth takes more than its budget, and
 * a fifth wants all the time there is.  They are programs of their own without
 * any row: what they get is what this program's scheduler gives them of its
 * slices.  Printed are their shares and how many of their jobs came too late.
 */
#include <exo/schedule.h>
#include <exo/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHILD_FRAMES 64
#define MILLISECOND (SYS_SECOND / 1000)
#define GAP 50000 /* nanoseconds between two looks at the clock: it did not run meanwhile */

/* All times in milliseconds; `work` is what a job really takes. */
static const struct kind {
    const char *name;
    uint64_t period, budget, work;
} kinds[] = {
    {"control", 10, 3, 2},  {"video", 20, 7, 5},      {"audio", 40, 10, 7},
    {"greedy", 30, 4, 100}, {"batch", 0, 0, 1000000},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct scheduler *const schedulers[] = {&schedule_round_robin,
                                                     &schedule_earliest_deadline};
#define SCHEDULERS (sizeof(schedulers) / sizeof(schedulers[0]))

struct outcome {
    struct schedule_child children[KINDS];
    uint64_t time; /* of all */
    uint64_t switches;
};
static struct outcome outcomes[SCHEDULERS];
static struct task tasks[KINDS];

/* ---- a task ---- */

/* Use the hart for so many ticks of its own time. */
static void work(uint64_t ticks) {
    uint64_t gap = sys_ticks(GAP), last = sys_time();

    for (uint64_t used = 0; used < ticks;) {
        uint64_t now = sys_time();
        if (now - last < gap) used += now - last;
        last = now;
    }
}

static _Noreturn void task_main(const struct kind *kind) {
    for (;;) {
        if (kind->period) schedule_next_job();
        work(sys_ticks(kind->work * MILLISECOND));
    }
}

/* ---- this program ---- */

static int64_t tasks_make(struct outcome *outcome) {
    int64_t error = 0;

    for (uint64_t i = 0; i < KINDS && !error; i++) {
        char number[8];
        const char *const arguments[] = {"sched", "task", number};
        const struct task_options options = {
            .arguments = arguments, .argument_count = 3, .frames = CHILD_FRAMES};
        snprintf(number, sizeof(number), "%lu", i);
        error = task_spawn(&tasks[i], "sched", &options);
        if (!error) error = task_start(&tasks[i]);
        outcome->children[i] = (struct schedule_child){
            .env = tasks[i].env,
            .env_frame = tasks[i].env_frame,
            .period = sys_ticks(kinds[i].period * MILLISECOND),
            .budget = sys_ticks(kinds[i].budget * MILLISECOND),
        };
    }
    return error;
}

static int64_t scheduler_run(const struct scheduler *scheduler, struct outcome *outcome,
                             uint64_t ticks) {
    int64_t error = tasks_make(outcome);
    struct schedule schedule = {
        .scheduler = scheduler,
        .children = outcome->children,
        .count = KINDS,
    };

    if (!error) error = schedule_run(&schedule, sys_time() + ticks);
    outcome->switches = schedule.switches;
    for (uint64_t i = 0; i < KINDS; i++) {
        outcome->time += outcome->children[i].time;
        task_end(&tasks[i]);
    }
    return error;
}

static void outcomes_print(double seconds) {
    printf("%24s", "");
    for (uint64_t i = 0; i < SCHEDULERS; i++) printf(" | %-28s", schedulers[i]->name);
    printf("\n%-8s %5s %4s %4s", "task", "each", "may", "does");
    for (uint64_t i = 0; i < SCHEDULERS; i++)
        printf(" | %6s %5s %5s %6s  ", "share", "jobs", "done", "missed");
    printf("\n");
    for (uint64_t task = 0; task < KINDS; task++) {
        const struct kind *kind = &kinds[task];
        if (kind->period)
            printf("%-8s %2lu ms %4lu %4lu", kind->name, kind->period, kind->budget, kind->work);
        else
            printf("%-8s %15s", kind->name, "always");
        for (uint64_t i = 0; i < SCHEDULERS; i++) {
            const struct schedule_child *child = &outcomes[i].children[task];
            printf(" | %5.1f%% %5lu %5lu %6lu  ",
                   100.0 * (double)child->time / (double)(outcomes[i].time + !outcomes[i].time),
                   child->jobs, child->done, child->missed);
        }
        printf("\n");
    }
    printf("%24s", "switches a second");
    for (uint64_t i = 0; i < SCHEDULERS; i++)
        printf(" | %-28.0f", (double)outcomes[i].switches / seconds);
    printf("\n");
}

int main(int argument_count, char **arguments) {
    if (argument_count == 3 && strcmp(arguments[1], "task") == 0)
        task_main(&kinds[strtoul(arguments[2], NULL, 10) % KINDS]);
    double seconds = argument_count > 1 ? strtod(arguments[1], NULL) : 2;
    if (seconds <= 0) {
        printf("usage: sched [SECONDS]\n");
        return 2;
    }
    uint64_t ticks = sys_ticks((uint64_t)(seconds * (double)SYS_SECOND));
    for (uint64_t i = 0; i < SCHEDULERS; i++) {
        int64_t error = scheduler_run(schedulers[i], &outcomes[i], ticks);
        if (error) {
            printf("sched: %s: %s\n", schedulers[i]->name, task_error_text(error));
            return 1;
        }
    }
    outcomes_print(seconds);
    return 0;
}
