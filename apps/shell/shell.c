/* SPDX-License-Identifier: MIT */
/*
 * shell: what a person meets.
 *
 * It sleeps until something was typed, a program has written or one has ended, and
 * looks at all of it then.  What is typed goes to the program in front, if there is
 * one, and else to the line.
 */
#include "shell.h"

#include <exo/line.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENTS (1ul << SYS_EVENT_CONSOLE | 1ul << EXO_EVENT_CHILD)
#define CTRL_C 3

static struct line line = {.write = sys_console_write, .prompt = "exo> "};
static bool line_shown;

static void prompt(void) {
    sys_console_flush();
    line_begin(&line);
    line_shown = true;
}

/* ---- what programs write, and their ends ---- */

static bool job_has_news(const struct job *job) {
    const char *bytes;
    return job->runs && (console_look(job->console, &bytes) > 0 || task_has_ended(&job->task));
}

static void programs_look(void) {
    bool news = false;

    for (struct job *job = jobs; job < jobs + JOBS_MAX && !news; job++) news = job_has_news(job);
    if (!news) return;
    if (line_shown) line_hide(&line);
    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++) {
        /* They had to wait if the console was full. */
        if (job->runs && job_pump(job)) exo_notify(job->task.env, 1ul << SYS_EVENT_CONSOLE);
    }
    jobs_look(&last_status);
    sys_console_flush();
    if (line_shown)
        line_show(&line);
    else if (!job_front())
        prompt();
}

/* ---- what is typed ---- */

static void line_type(char byte) {
    switch (line_key(&line, byte)) {
    case LINE_MORE: return;
    case LINE_DONE:
        line_shown = false;
        command_run(line.text);
        break;
    case LINE_END: exit(last_status);
    case LINE_BREAK: line_shown = false; break;
    }
    if (!job_front()) prompt();
}

/* Ctrl-C: end the program in front, and forget what was typed before. */
static void front_interrupt(struct job *job) {
    char byte = 0;

    while (byte != CTRL_C && sys_console_read(&byte, 1, 0)) continue;
    job_kill(job, STATUS_INTERRUPTED);
    printf("^C\n");
    prompt();
}

/* The next byte that was typed: first those that a program left. */
static bool typed_next(char *byte) {
    if (typed_back.at < typed_back.count) {
        *byte = typed_back.bytes[typed_back.at++];
        return true;
    }
    return sys_console_read(byte, 1, 0) > 0;
}

/* Pass on to the program in front what was typed, as far as there is room. */
static void front_type(struct job *job) {
    char byte;

    while (console_room(job->console) > 0 && typed_next(&byte))
        console_type(job->console, &byte, 1);
    exo_notify(job->task.env, 1ul << SYS_EVENT_CONSOLE);
}

static void typed_take(void) {
    char byte;

    for (;;) {
        struct job *job = job_front();
        if (job && console_has(sys_console(), CTRL_C)) {
            front_interrupt(job);
        } else if (job) {
            front_type(job);
            return;
        } else if (typed_next(&byte)) {
            line_type(byte);
        } else {
            return;
        }
    }
}

static void greet(void) {
    const struct exo_info *info = sys_info();
    uint64_t frames = 0;

    for (uint32_t i = 0; i < info->bank_count; i++) frames += info->bank[i].count;
    printf("exo: %u hart%s, %lu MiB.  help lists the commands; exit or Ctrl-D leaves.\n",
           (unsigned)info->hart_count, info->hart_count == 1 ? "" : "s", frames / 256);
}

int main(void) {
    if (!sys_console_is_typed()) {
        printf("shell: nothing that is typed comes here\n");
        return 1;
    }
    int64_t error = jobs_make();
    if (error) {
        printf("shell: %s\n", task_error_text(error));
        return 1;
    }
    greet();
    prompt();
    prompt_instructions = sys_instructions() - sys_info()->boot_instructions;
    for (;;) {
        programs_look();
        typed_take();
        exo_wait(EVENTS, EXO_NEVER);
    }
}
