/* SPDX-License-Identifier: MIT */
/*
 * top: who is there, who holds what, and what part of each hart everybody had.
 *
 * Once a second, from what the kernel exposes; what is read takes no call.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shell.h"

#define PERIOD SYS_SECOND
#define HARTS_SHOWN 8
#define SCREEN_BYTES 8192
#define LINES_MAX 40
#define CTRL_C 3
#define CTRL_D 4

static struct survey survey;
static char screen[SCREEN_BYTES];
static uint64_t screen_bytes;

static __attribute__((format(printf, 1, 2))) void put(const char *format, ...) {
    va_list arguments;
    uint64_t room = SCREEN_BYTES - screen_bytes;

    va_start(arguments, format);
    int bytes = vsnprintf(screen + screen_bytes, room, format, arguments);
    va_end(arguments);
    if (bytes > 0) screen_bytes += (uint64_t)bytes < room ? (uint64_t)bytes : room - 1;
}

static void line_end(void) { put("\033[K\n"); }

static uint64_t harts_shown(void) {
    uint64_t harts = sys_info()->hart_count;
    return harts < HARTS_SHOWN ? harts : HARTS_SHOWN;
}

static double percent(uint64_t ticks) {
    return survey.ticks ? 100.0 * (double)ticks / (double)survey.ticks : 0;
}

static uint64_t time_all(const struct who *who) {
    uint64_t ticks = 0;

    for (uint64_t hart = 0; hart < sys_info()->hart_count; hart++) ticks += who->time[hart];
    return ticks;
}

/* Those who had most first; a handful, so by insertion. */
static void survey_sort(void) {
    for (uint64_t i = 1; i < survey.count; i++) {
        struct who who = survey.who[i];
        uint64_t at = i;
        for (; at > 0 && time_all(&survey.who[at - 1]) < time_all(&who); at--)
            survey.who[at] = survey.who[at - 1];
        survey.who[at] = who;
    }
}

static void head_put(void) {
    const struct exo_info *info = sys_info();
    uint64_t harts = harts_shown();

    put("%u hart%s, up %.1f s; the shares are of the last %.1f s.  q leaves.",
        (unsigned)info->hart_count, info->hart_count == 1 ? "" : "s",
        (double)sys_nanoseconds(sys_time()) / 1e9, (double)sys_nanoseconds(survey.ticks) / 1e9);
    line_end();
    put("%-8s %-16s %-8s %8s %6s %6s %5s", "ENV", "NAME", "STATE", "FRAMES", "KERNEL", "SLOTS",
        "ROWS");
    for (uint64_t hart = 0; hart < harts; hart++) put("  HART%lu", hart);
    line_end();
}

static void who_put(const struct who *who) {
    char frames[24], slots[24];

    frames_text(who->slots, slots);
    put("%-8lx %-16.16s %-8s %8s %6lu %5s%c %5lu", who->frame, who->name, state_name(who->word),
        frames_text(who->frames, frames), who->kernel_frames, slots, who->more_slots ? '+' : ' ',
        who->rows);
    for (uint64_t hart = 0; hart < harts_shown(); hart++)
        if (who->time[hart])
            put(" %5.1f%%", percent(who->time[hart]));
        else
            put(" %6s", "");
    line_end();
}

static void idle_put(void) {
    put("%-8s %-16s %-8s %8s %6s %6s %5s", "", "(idle)", "", "", "", "", "");
    for (uint64_t hart = 0; hart < harts_shown(); hart++) {
        uint64_t used = 0;
        for (uint64_t i = 0; i < survey.count; i++) used += survey.who[i].time[hart];
        put(" %5.1f%%", percent(used < survey.ticks ? survey.ticks - used : 0));
    }
    line_end();
}

static void screen_show(void) {
    screen_bytes = 0;
    put("\033[H");
    survey_sort();
    head_put();
    for (uint64_t i = 0; i < survey.count && i < LINES_MAX; i++) who_put(&survey.who[i]);
    idle_put();
    put("\033[J");
    sys_console_write(screen, screen_bytes);
}

int top_run(void) {
    uint64_t due = sys_time();
    char key = 0;

    sys_console_flush();
    sys_console_write("\033[H\033[J", 6);
    /* The first shares are those since the boot. */
    while (key != 'q' && key != CTRL_C && key != CTRL_D) {
        if (!survey_take(&survey)) {
            printf("top: what the kernel shows cannot be mapped\n");
            return 1;
        }
        screen_show();
        due += sys_ticks(PERIOD);
        key = 0;
        sys_console_read(&key, 1, due);
    }
    return 0;
}
