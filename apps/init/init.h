/* SPDX-License-Identifier: MIT */
/*
 * What the files of init know of each other.
 *
 * Two environments share all of this: the leader of the space, which the kernel
 * tells when a program ends, and the service, which does all the work.  Only who
 * is in a call of the service touches it, so one at a time does.
 */
#pragma once
#include <exo/console.h>
#include <exo/init.h>
#include <exo/task.h>

#include "manifest.h"

#define STATUS_NOT_STARTED 127
#define STATUS_FAULT 128
#define STATUS_KILLED 137

/* A program of the manifest. */
struct program {
    const struct manifest_program *wanted;
    enum init_state state;
    int status; /* of the last time that it ended */
    struct task task;

    /* What it gets each time (plan.c). */
    uint64_t frames;
    uint64_t slice; /* init's own handle of the rows that it runs by ... */
    uint64_t row;   /* ... which are these */
    struct task_lend lend[SYS_LENT_MAX];
    uint64_t lend_count;
    struct console *console; /* mapped here; NULL: it has none */
    uint64_t console_frame;

    uint64_t starts;
    uint64_t begin;    /* of the time for which restarts are counted */
    uint64_t restarts; /* since then */

    uint64_t shown; /* handle from which was derived what others see of its ENV frame */
};

extern struct manifest manifest;
extern struct program programs[MANIFEST_PROGRAMS_MAX]; /* by their number in the manifest */
extern struct program *driver;                         /* of the console; NULL: there is none */
extern struct program *reader;                         /* of what is typed; NULL: nobody is */

/* All consoles lie in a row: init's own, then those of the programs. */
#define CONSOLES (1 + MANIFEST_PROGRAMS_MAX)
extern struct console *consoles;
extern uint64_t consoles_frame;

static inline struct console *console_at(uint64_t number) {
    return (struct console *)((char *)consoles + number * EXO_FRAME_BYTES);
}

static inline const char *program_name(const struct program *program) {
    return program->wanted->argument[0];
}

/* console.c: make the consoles, that of init first. */
int64_t consoles_make(void);

/* console.c: return when all that was written to a console is taken, or nobody takes it. */
void console_drain(const struct console *console);

/* console.c: nobody serves the consoles any more: write by debug_write, and what is left too. */
void consoles_leave(void);

/* console.c: end the machine, when all that was written is out. */
_Noreturn void power_off(int status);

/* plan.c: decide what each program gets; false, and it was told why, when that is not possible. */
bool plan_make(void);

/* plan.c: the root capability with this number of a class, or NULL. */
const struct exo_root_info *root_find(uint32_t class, uint64_t number);

/* plan.c: say what is wrong in a line of the manifest; false. */
__attribute__((format(printf, 2, 3))) bool plan_wrong(uint32_t line, const char *format, ...);

/* disk.c: find a partition by its name in the GPT of a disk; false, and it was told, when there is none. */
bool partition_find(const struct manifest_disk *wanted, uint64_t *first, uint64_t *count);

/* program.c: start all of them; false when one that is not optional cannot be started. */
bool programs_start(void);

/* program.c: see who has ended, and start again who is to be. */
void programs_look(void);

/* program.c: have all ended but those that are always started again? */
bool programs_have_ended(void);

/* program.c: the first status that is not 0. */
int programs_status(void);

/* program.c: end a program that runs; what its `restart` says then follows. */
void program_kill(struct program *program);

/* service.c: the environment that serves; returns 0 or an enum exo_error. */
int64_t service_make(void);

/* service.c: bring what is shown of the programs up to date. */
void table_update(void);
