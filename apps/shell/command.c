/* SPDX-License-Identifier: MIT */
/* The shell's own commands. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

#define MIB_FRAMES 256
#define COLUMNS 4

int last_status;
uint64_t prompt_instructions;

static double mib(uint64_t frames) { return (double)frames / MIB_FRAMES; }

/* ---- ls ---- */

static bool is_program(const struct archive_file *file) {
    static const char magic[4] = {0x7f, 'E', 'L', 'F'};
    const char *head = file->bytes < sizeof(magic)
                           ? NULL
                           : mem_map_frames(archive_slot(), file->frame, 1, EXO_PAGE_R);
    bool same = head && memcmp(head, magic, sizeof(magic)) == 0;

    if (head) mem_unmap_frames((void *)head);
    return same;
}

static int list_files(bool programs) {
    struct archive_file file;
    int count = 0;

    for (uint64_t i = 0; archive_at(i, &file); i++) {
        if (is_program(&file) != programs) continue;
        printf("%8lu  %-14s%s", file.bytes, file.name, ++count % COLUMNS ? "" : "\n");
    }
    if (count % COLUMNS) printf("\n");
    return count;
}

static int ls(int count, char **words) {
    (void)count;
    (void)words;
    list_files(true);
    printf("and files that are no programs:\n");
    list_files(false);
    return 0;
}

/* ---- ps, free ---- */

static int ps(int count, char **words) {
    static struct survey survey;
    char frames[24];

    (void)count;
    (void)words;
    if (!survey_take(&survey)) return 1;
    printf("%-8s %-16s %-8s %8s %6s %5s  %s\n", "ENV", "NAME", "STATE", "FRAMES", "KERNEL", "ROWS",
           "STARTS");
    for (uint64_t i = 0; i < survey.count; i++) {
        const struct who *who = &survey.who[i];
        printf("%-8lx %-16.16s %-8s %8s %6lu %5lu", who->frame, who->name, state_name(who->word),
               frames_text(who->frames, frames), who->kernel_frames, who->rows);
        if (who->starts) printf("  %lu", who->starts);
        printf("\n");
    }
    return 0;
}

static int free_show(int count, char **words) {
    const struct exo_info *info = sys_info();
    const volatile struct init_table *table = init_table();
    const volatile struct exo_frame *frame = mem_frame_words(info->ram_first);
    uint64_t kernel = 0, programs = 0, mapped = 0, machine = 0;

    (void)count;
    (void)words;
    if (!frame) return 1;
    for (uint32_t i = 0; i < info->bank_count; i++) machine += info->bank[i].count;
    for (uint64_t i = 0; i < info->ram_count; i++) {
        uint64_t word = frame[i].word0, type = word >> EXO_TYPE_SHIFT;
        if (type == EXO_FRAME_KERNEL || type == EXO_FRAME_INFO)
            kernel++;
        else if (type != EXO_FRAME_DATA)
            programs++;
        else
            mapped += word != 0;
    }
    /* Holes between banks count as the kernel's. */
    kernel -= info->ram_count - machine;
    printf("%10s %9s\n", "FRAMES", "MIB");
    printf("%10lu %9.1f  in this machine\n", machine, mib(machine));
    printf("%10lu %9.1f  the kernel's own\n", kernel, mib(kernel));
    printf("%10lu %9.1f  donated by programs: environments, page tables, slots\n", programs,
           mib(programs));
    printf("%10lu %9.1f  mapped by somebody\n", mapped, mib(mapped));
    if (table) printf("%10lu %9.1f  free with init\n", table->frames_free, mib(table->frames_free));
    printf("%10lu %9.1f  held by the shell, for programs that it starts\n", sys_start->frame_count,
           mib(sys_start->frame_count));
    printf("%10lu %9.1f  free of these\n", frame_count_free(), mib(frame_count_free()));
    return 0;
}

/* ---- kill ---- */

static struct job *job_find(const char *word) {
    char *end;
    uint64_t number = strtoul(word, &end, 10);

    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++) {
        if (!job->runs) continue;
        if (*end ? strcmp(job->name, word) == 0 : number == (uint64_t)(job - jobs) + 1) return job;
    }
    return NULL;
}

static int kill_one(const char *word) {
    struct job *job = job_find(word);

    if (job) {
        job_kill(job, STATUS_KILLED);
        return 0;
    }
    uint64_t number = init_program_find(word);
    if (number == WHO_NONE) {
        printf("kill: %s: no such program; ps has their names\n", word);
        return 1;
    }
    struct sys_words words = {{[0] = INIT_KILL, [INIT_WORD_PROGRAM] = number}};
    int64_t error = sys_service(&words);
    if (!error) error = (int64_t)words.word[0];
    if (error) printf("kill: %s: %s\n", word, sys_error_text(error));
    return error != 0;
}

static int kill_each(int count, char **words) {
    int status = 0;

    for (int i = 1; i < count; i++) status |= kill_one(words[i]);
    return status;
}

/* ---- the others ---- */

static int top(int count, char **words) {
    (void)count;
    (void)words;
    return top_run();
}

static int uptime(int count, char **words) {
    (void)count;
    (void)words;
    printf("up %.3f s; the prompt came %lu instructions after the kernel's first\n",
           (double)sys_nanoseconds(sys_time()) / 1e9, prompt_instructions);
    return 0;
}

static int leave(int count, char **words) {
    char *end = "";
    long status = count > 1 ? strtol(words[1], &end, 10) : last_status;

    if (*end || status < 0 || status > 255) {
        printf("exit: %s: no status; 0 to 255 would be one\n", words[1]);
        return STATUS_USAGE;
    }
    exit((int)status);
}

static int help(int count, char **words);

static const struct command {
    const char *name;
    const char *arguments; /* as help shows them */
    int least, most;       /* how many */
    int (*run)(int count, char **words);
    const char *help;
} commands[] = {
    {"help", "", 0, 0, help, "this list"},
    {"ls", "", 0, 0, ls, "the files of the boot archive, with their sizes"},
    {"ps", "", 0, 0, ps, "environments: who they are and what they hold"},
    {"top", "", 0, 0, top, "the same every second, with their shares of each hart; q leaves"},
    {"free", "", 0, 0, free_show, "memory"},
    {"kill", "NAME|NUMBER...", 1, WORDS_MAX, kill_each, "end programs"},
    {"uptime", "", 0, 0, uptime, "how long the machine runs"},
    {"exit", "[STATUS]", 0, 1, leave, "leave, and power the machine off"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(int count, char **words) {
    (void)count;
    (void)words;
    for (uint64_t i = 0; i < COMMANDS; i++)
        printf("  %-6s %-15s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    printf("Any other word is a program of the archive, with its arguments.  With & at the end it\n"
           "runs on while you type.  Ctrl-C ends the program in front, Ctrl-D on an empty line\n"
           "leaves; arrows, Ctrl-A Ctrl-E Ctrl-K Ctrl-U Ctrl-W edit, up and down are history.\n");
    return 0;
}

static int command_call(const struct command *command, int count, char **words) {
    if (count - 1 >= command->least && count - 1 <= command->most)
        return command->run(count, words);
    printf("usage: %s %s\n", command->name, command->arguments);
    return STATUS_USAGE;
}

/* Does the line end in an & of its own or behind a word?  Then it is taken away. */
static bool background_take(int *count, char **words) {
    char *last = words[*count - 1];
    size_t length = strlen(last);

    if (last[length - 1] != '&') return false;
    last[length - 1] = 0;
    if (length == 1) *count -= 1;
    return true;
}

void command_run(char *text) {
    char *words[WORDS_MAX + 1];
    int count = words_split(text, words, WORDS_MAX + 1);

    if (count == 0) return;
    if (count < 0 || count > WORDS_MAX) {
        printf(count < 0 ? "shell: a quote is not closed\n" : "shell: there are too many words\n");
        last_status = STATUS_USAGE;
        return;
    }
    for (uint64_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, words[0]) != 0) continue;
        last_status = command_call(&commands[i], count, words);
        return;
    }
    bool background = *words[count - 1] && background_take(&count, words);
    if (count == 0) return;
    last_status = job_start(words, (uint64_t)count, !background);
}
