/* SPDX-License-Identifier: MIT */
/*
 * pingpong [ROUNDS]: two programs that call and notify each other.
 *
 * First by protected control transfer: the callee needs no time of its own, it
 * runs in the caller's slice.  Then by events: the other program has an urgent
 * row on this hart, so that it runs as soon as it is notified, or a row of
 * another hart.  Instructions are exact only on a machine that counts them
 * (scripts/run --count); elsewhere they are the host's clock.
 */
#include <exo/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHILD_FRAMES 64
#define PING 1ul /* event bits of child ... */
#define PONG 2ul /* ... and parent */
#define WARM 16

static struct task child;

/* ---- the other program ---- */

/* Answers each call with its first word plus one. */
static _Noreturn void callee_main(void) {
    struct sys_words words = {0};

    for (;;) {
        sys_reply(&words);
        words.word[0]++;
    }
}

static _Noreturn void echo_main(void) {
    for (;;) {
        if (exo_wait(PING, EXO_NEVER).value) exo_notify(sys_start->lent[0], PONG);
    }
}

/* ---- this one ---- */

static int64_t child_spawn(const char *role) {
    const char *const arguments[] = {"pingpong", role};
    const struct task_lend self = task_lend_self(PONG);
    const struct task_options options = {.arguments = arguments,
                                         .argument_count = 2,
                                         .frames = CHILD_FRAMES,
                                         .lend = &self,
                                         .lend_count = 1};

    return task_spawn(&child, "pingpong", &options);
}

/* One round trip; false if it went wrong. */
typedef bool round_trip(uint64_t number);

static bool call_round(uint64_t number) {
    struct sys_words words = {{number, 1, 2, 3, 4, 5}};

    return sys_call(child.env, &words) == 0 && words.word[0] == number + 1 && words.word[5] == 5;
}

static bool event_round(uint64_t number) {
    (void)number;
    if (exo_notify(child.env, PING).value < 0) return false;
    while (!exo_wait(PONG, sys_time() + sys_ticks(SYS_SECOND)).value)
        if (task_has_ended(&child)) return false;
    return true;
}

static int rounds_run(const char *name, round_trip *round, uint64_t rounds) {
    bool good = true;

    for (uint64_t i = 0; i < WARM; i++) good &= round(i);
    uint64_t instructions = sys_instructions(), ticks = sys_time();
    for (uint64_t i = 0; i < rounds && good; i++) good = round(i);
    ticks = sys_time() - ticks;
    instructions = sys_instructions() - instructions;
    if (!good) {
        printf("pingpong: %s: a round trip failed\n", name);
        return 1;
    }
    printf("%-28s %8.1f instructions %8.2f ticks %8.0f ns a round trip\n", name,
           (double)instructions / (double)rounds, (double)ticks / (double)rounds,
           (double)sys_nanoseconds(ticks) / (double)rounds);
    return 0;
}

static int calls(uint64_t rounds) {
    int64_t error = child_spawn("callee");

    if (!error) error = task_start(&child);
    if (error) {
        printf("pingpong: %s\n", task_error_text(error));
        return 1;
    }
    /* It has no row: it comes to its first wait for a call in this one's time. */
    while (task_state(&child) == TASK_READY) exo_yield(child.env);
    int status = rounds_run("calls", call_round, rounds);
    task_end(&child);
    return status;
}

static int events(const char *name, uint64_t hart, uint64_t rights, uint64_t rounds) {
    if (sys_start->self == EXO_NONE || row_count_free(hart, rights) == 0) return 0;
    int64_t error = child_spawn("echo");
    if (!error) error = task_start_taking(&child, hart, rights);
    if (error) {
        printf("pingpong: %s: %s\n", name, task_error_text(error));
        return 1;
    }
    int status = rounds_run(name, event_round, rounds);
    task_end(&child);
    return status;
}

int main(int argument_count, char **arguments) {
    if (argument_count > 1 && strcmp(arguments[1], "callee") == 0) callee_main();
    if (argument_count > 1 && strcmp(arguments[1], "echo") == 0) echo_main();
    uint64_t rounds = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : 10000;
    if (rounds == 0) {
        printf("usage: pingpong [ROUNDS]\n");
        return 2;
    }
    uint64_t hart = row_hart(sys_env()->frame), harts = sys_info()->hart_count;
    int status = calls(rounds);
    if (hart != ROW_ANY_HART)
        status |= events("events, on one hart", hart, EXO_SLICE_URGENT, rounds);
    if (hart != ROW_ANY_HART && harts > 1)
        status |= events("events, from hart to hart", (hart + 1) % harts, EXO_SLICE_BIND, rounds);
    return status;
}
