/* SPDX-License-Identifier: MIT */
/*
 * latency [--count N] [--interval MICROSECONDS] [--load N] [--plain]: how late
 * a sleeper wakes.
 *
 * It asks to be woken at a time and looks at the clock when it is, N times
 * (1000), an interval apart (1000 microseconds), while as many programs as
 * asked for (2) never stop on the same hart.  An urgent row takes the hart from
 * them at once; with --plain it has none and waits for its turn.
 */
#include <exo/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 1000000
#define LOAD_MAX 8
#define LOAD_FRAMES 64
#define BUCKETS 24
#define BAR 50

static struct {
    uint64_t count;
    uint64_t interval; /* microseconds */
    uint64_t load;
    bool plain;
} options = {.count = 1000, .interval = 1000, .load = 2};

static struct task loads[LOAD_MAX];

static int64_t loads_start(uint64_t hart) {
    static const char *const arguments[] = {"latency", "load"};
    const struct task_options load = {
        .arguments = arguments, .argument_count = 2, .frames = LOAD_FRAMES};
    int64_t error = 0;

    for (uint64_t i = 0; i < options.load && !error; i++) {
        error = task_spawn(&loads[i], "latency", &load);
        if (!error) error = task_start_taking(&loads[i], hart, EXO_SLICE_BIND);
    }
    return error;
}

static void measure(uint32_t *late) {
    uint64_t interval = sys_ticks(options.interval * 1000);
    uint64_t due = sys_time() + interval;

    for (uint64_t i = 0; i < options.count; i++) {
        do exo_wait(0, due);
        while (sys_time() < due);
        uint64_t now = sys_time();
        late[i] = (uint32_t)(now - due);
        /* One that is later than an interval does not make the next ones late. */
        due += ((now - due) / interval + 1) * interval;
    }
}

static int compare(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static double microseconds(uint64_t ticks) { return (double)sys_nanoseconds(ticks) / 1000; }

/* Of `late`, sorted: how many lie in each of the ranges 0 to 1, 1 to 2, 2 to 4 ... microseconds. */
static void histogram_print(const uint32_t *late) {
    uint64_t counts[BUCKETS] = {0}, most = 1, last = 0;

    for (uint64_t i = 0; i < options.count; i++) {
        uint64_t bucket = 0;
        while (bucket < BUCKETS - 1 && microseconds(late[i]) >= (double)(1ul << bucket)) bucket++;
        if (++counts[bucket] > most) most = counts[bucket];
        last = bucket;
    }
    for (uint64_t bucket = 0; bucket <= last; bucket++) {
        printf("  below %7lu us %8lu ", 1ul << bucket, counts[bucket]);
        uint64_t bar = (counts[bucket] * BAR + most - 1) / most;
        for (uint64_t i = 0; i < bar; i++) putchar('#');
        putchar('\n');
    }
}

static void late_print(uint32_t *late, bool urgent) {
    uint64_t count = options.count;

    qsort(late, count, sizeof(late[0]), compare);
    printf("woken %lu times, every %lu us, %s row, %lu other programs on the hart\n", count,
           options.interval, urgent ? "an urgent" : "no urgent", options.load);
    printf("late by: median %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n",
           microseconds(late[count / 2]), microseconds(late[count * 99 / 100]),
           microseconds(late[count * 999 / 1000]), microseconds(late[count - 1]));
    histogram_print(late);
}

static bool options_read(int argument_count, char **arguments) {
    for (int i = 1; i < argument_count; i++) {
        uint64_t *number = strcmp(arguments[i], "--count") == 0      ? &options.count
                           : strcmp(arguments[i], "--interval") == 0 ? &options.interval
                           : strcmp(arguments[i], "--load") == 0     ? &options.load
                                                                     : NULL;
        if (strcmp(arguments[i], "--plain") == 0)
            options.plain = true;
        else if (number && i + 1 < argument_count)
            *number = strtoul(arguments[++i], NULL, 10);
        else
            return false;
    }
    return options.count > 0 && options.count <= COUNT_MAX && options.interval > 0 &&
           options.load <= LOAD_MAX;
}

int main(int argument_count, char **arguments) {
    if (argument_count == 2 && strcmp(arguments[1], "load") == 0)
        for (;;) __asm__ volatile("");
    if (!options_read(argument_count, arguments)) {
        printf("usage: latency [--count N] [--interval MICROSECONDS] [--load N] [--plain]\n");
        return 2;
    }
    uint64_t hart = row_hart(sys_env()->frame);
    struct row row;
    bool urgent = !options.plain && row_take(&row, hart, EXO_SLICE_URGENT, EXO_SELF) == 0;
    uint32_t *late = calloc(options.count, sizeof(late[0]));
    int64_t error = late ? loads_start(hart) : TASK_EMEMORY;
    if (error) {
        printf("latency: %s\n",
               error == EXO_EFULL ? "it holds too few free rows" : task_error_text(error));
        return 1;
    }
    memset(late, 1, options.count * sizeof(late[0])); /* no page faults later */
    measure(late);
    for (uint64_t i = 0; i < options.load; i++) task_end(&loads[i]);
    late_print(late, urgent);
    return 0;
}
