/* SPDX-License-Identifier: MIT */
/*
 * Who is there and who holds what, as the kernel and init show it.
 *
 * What the kernel shows to everybody: for each group of frames how many of them it
 * has in use, for each frame its type and whose it is, for each row whose it is and
 * how much time went through it.  That is mapped once and then read without a call.
 *
 * What a program holds stands in its ENV frame, which only who holds that frame may
 * read: this program its own and those of the programs that it started; init shows
 * those of the programs of the manifest, as long as they run.
 */
#include <stdio.h>
#include <string.h>

#include "shell.h"

#define TABLES_ABOVE 3 /* from a TABLE up to ROOT */
#define FRAME_MASK ((1ul << EXO_FRAME_NUMBER_BITS) - 1)

static const volatile uint64_t *groups;
static const volatile struct exo_frame *frames; /* by number less ram_first */

/* ---- what init shows ---- */

/* A page that init lends, and takes away when the program ends: then it is all zeroes. */
struct shown {
    struct region *region;
    uint64_t frame; /* 0: nothing is mapped */
    uint64_t slot;  /* own handle for it */
};

static struct shown shown_table, shown_env[INIT_PROGRAMS_MAX];

static bool shown_fault(struct region *region, uint64_t va, uint64_t cause) {
    static _Alignas(EXO_FRAME_BYTES) const char zeroes[EXO_FRAME_BYTES];
    uint64_t frame;
    bool large;

    (void)va;
    (void)cause;
    space_frames((uint64_t)zeroes, 1, &frame, &large);
    return frame &&
           space_map(&space_self, region->first, frame_slot(frame), frame, 1, EXO_PAGE_R) == 0;
}

static void shown_drop(struct shown *shown) {
    if (shown->frame) space_unmap(&space_self, shown->region->first, 1);
    if (shown->slot) sys_cap_drop(shown->slot, shown->frame);
    shown->frame = shown->slot = 0;
}

/* Ask init for a frame that tells about a program, and map it. */
static bool shown_ask(struct shown *shown, uint64_t program) {
    struct sys_words words = {{
        [0] = INIT_SHOW,
        [INIT_WORD_FRAME] = sys_env()->frame,
        [INIT_WORD_GENERATION] = sys_env()->gen,
        [INIT_WORD_PROGRAM] = program,
    }};

    if (!shown->region)
        shown->region =
            region_reserve(EXO_FRAME_BYTES, EXO_FRAME_BYTES, EXO_PAGE_R, shown_fault, NULL);
    int64_t slot = mem_slot();
    if (!shown->region || slot < 0 || sys_service_open((uint64_t)slot) < 0) return false;
    words.word[INIT_WORD_SLOT] = (uint64_t)slot;
    if (sys_service(&words) < 0 || (int64_t)words.word[0] < 0) {
        exo_cap_derive(EXO_NONE, (uint64_t)slot, 0, 0, 0, 0, 0); /* closed again */
        return false;
    }
    uint64_t index = (uint64_t)slot >> EXO_HANDLE_INDEX_SHIFT & (EXO_CAPS_SLOTS - 1);
    uint64_t table = (uint64_t)slot >> EXO_HANDLE_TABLE_SHIFT & 0xfffff;
    const struct exo_cap *cap = sys_slot(table, index);
    shown->slot = (cap->word & ~(uint64_t)(EXO_HANDLE(1, 0) - 1)) | EXO_HANDLE(table, index);
    shown->frame = cap->first;
    if (space_map(&space_self, shown->region->first, shown->slot, shown->frame, 1, EXO_PAGE_R) == 0)
        return true;
    shown_drop(shown);
    return false;
}

const volatile struct init_table *init_table(void) {
    if (!shown_table.frame && (!sys_start->service || !shown_ask(&shown_table, INIT_TABLE)))
        return NULL;
    return (const volatile struct init_table *)shown_table.region->first;
}

uint64_t init_program_find(const char *name) {
    const volatile struct init_table *table = init_table();

    for (uint64_t i = 1; table && i < table->count; i++)
        if (strcmp((const char *)table->program[i].name, name) == 0) return i;
    return WHO_NONE;
}

/* The ENV frame of a program of init; NULL when it does not run. */
static const volatile struct exo_env *init_env(uint64_t number, uint64_t frame) {
    struct shown *shown = &shown_env[number];

    if (shown->frame) {
        const volatile struct exo_env *env = (const volatile struct exo_env *)shown->region->first;
        if (shown->frame == frame && env->frame == frame) return env;
        shown_drop(shown);
    }
    return shown_ask(shown, number) ? (const volatile struct exo_env *)shown->region->first : NULL;
}

/* ---- finding all ---- */

static bool tables_map(void) {
    const struct exo_info *info = sys_info();
    uint64_t bytes = (info->ram_count >> EXO_GROUP_SHIFT) * sizeof(uint64_t);

    if (!groups)
        groups = mem_map_frames(EXO_NONE, info->group_table,
                                (bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES, EXO_PAGE_R);
    if (!frames) frames = mem_frame_words(info->ram_first);
    return groups && frames && row_table();
}

static uint64_t type_of(uint64_t frame) {
    return frames[frame - sys_info()->ram_first].word0 >> EXO_TYPE_SHIFT;
}

/* Call `each` for every frame of this machine that the kernel has in use for a program. */
static void typed_frames(struct survey *survey,
                         void (*each)(struct survey *survey, uint64_t frame, uint64_t type)) {
    const struct exo_info *info = sys_info();

    for (uint64_t group = 0; group < info->ram_count >> EXO_GROUP_SHIFT; group++) {
        uint64_t typed = groups[group] >> 32, first = info->ram_first + group * EXO_GROUP_FRAMES;
        for (uint64_t i = 0; i < EXO_GROUP_FRAMES && typed > 0; i++) {
            uint64_t type = type_of(first + i);
            typed -= type != EXO_FRAME_DATA;
            if (type >= EXO_FRAME_CTX && type <= EXO_FRAME_QUEUE) each(survey, first + i, type);
        }
    }
}

static struct who *who_find(struct survey *survey, uint64_t frame) {
    for (uint64_t i = 0; i < survey->count; i++)
        if (survey->who[i].frame == frame) return &survey->who[i];
    return NULL;
}

static void env_add(struct survey *survey, uint64_t frame, uint64_t type) {
    if (type != EXO_FRAME_ENV || survey->count == WHO_MAX) return;
    struct who *who = &survey->who[survey->count++];
    *who = (struct who){
        .frame = frame,
        .word = frames[frame - sys_info()->ram_first].word1,
        .owner = WHO_NONE,
        .frames = WHO_NONE,
        .slots = WHO_NONE,
    };
}

/* Whose frame is this?  0: that does not stand there. */
static uint64_t env_of(uint64_t frame, uint64_t type) {
    uint64_t first = sys_info()->ram_first;

    for (unsigned i = 0; i < TABLES_ABOVE && type == EXO_FRAME_TABLE; i++) {
        frame = frames[frame - first].word1 >> EXO_TABLE_PARENT_SHIFT & FRAME_MASK;
        if (frame - first >= sys_info()->ram_count) return 0;
        type = type_of(frame);
    }
    if (type == EXO_FRAME_ENV) return frame;
    if (type == EXO_FRAME_ROOT || type == EXO_FRAME_CTX || type == EXO_FRAME_CAPS)
        return frames[frame - first].word1 & FRAME_MASK;
    return 0;
}

static void frame_count(struct survey *survey, uint64_t frame, uint64_t type) {
    struct who *who = who_find(survey, env_of(frame, type));
    if (who) who->kernel_frames++;
}

/* ---- names, and what each holds ---- */

static void who_name(struct who *who, const char *name) {
    strncpy(who->name, name, sizeof(who->name) - 1);
}

/* Give a name to an environment, and to those that lie in its memory. */
static struct who *names_give(struct survey *survey, const char *name, uint64_t first,
                              uint64_t count) {
    struct who *found = NULL;

    for (uint64_t i = 0; i < survey->count; i++) {
        struct who *who = &survey->who[i];
        if (who->frame == first) {
            who_name(who, name);
            found = who;
        } else if (who->frame - first < count) {
            /* The innermost owner is told last. */
            snprintf(who->name, sizeof(who->name), "of %s", name);
            who->owner = first;
        }
    }
    return found;
}

/* Count what stands in the slots of an ENV frame.  What was derived from another slot there counts once. */
static void slots_count(struct who *who) {
    const volatile struct exo_env *env = who->env;
    uint64_t base = (who->frame << EXO_FRAME_SHIFT) >> EXO_CAP_SHIFT;

    who->slots = who->frames = 0;
    for (uint64_t i = 0; i < EXO_ENV_SLOTS; i++) {
        uint64_t word = env->slot[i].word, state = EXO_CAP_STATE(word);
        if (state == EXO_SLOT_EMPTY) continue;
        who->slots++;
        bool own = env->slot[i].parent - base >= EXO_FRAME_BYTES >> EXO_CAP_SHIFT;
        if (state == EXO_SLOT_LIVE && EXO_CAP_CLASS(word) == EXO_CLASS_PAGE && own &&
            (EXO_CAP_RIGHTS(word) & EXO_PAGE_W))
            who->frames += env->slot[i].count;
    }
    who->more_slots = env->caps_count > 0;
}

static const volatile struct exo_env *job_env(struct job *job) {
    uint64_t frame = job->task.env_frame;

    if (!job->env) job->env = mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R);
    return job->env;
}

static void names_all(struct survey *survey) {
    const volatile struct init_table *table = init_table();

    for (uint64_t i = 0; table && i < table->count && i < INIT_PROGRAMS_MAX; i++) {
        const volatile struct init_program *program = &table->program[i];
        uint64_t frame = program->env_frame;
        if (program->state != INIT_RUNS || !frame) continue;
        struct who *who = names_give(survey, (const char *)program->name, frame, program->frames);
        if (!who) continue;
        who->starts = program->starts;
        who->env = frame == sys_env()->frame ? sys_env() : init_env(i, frame);
    }
    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++) {
        if (!job->runs) continue;
        struct who *who = names_give(survey, job->name, job->task.env_frame, job->task.frame_count);
        if (who) who->env = job_env(job);
    }
    /* init's service is an environment of its space: nothing else lies in nobody's memory. */
    for (uint64_t i = 0; i < survey->count; i++) {
        struct who *who = &survey->who[i];
        if (!who->name[0]) who_name(who, "of init");
        if (who->env) slots_count(who);
    }
}

/* ---- rows and time ---- */

static void rows_count(struct survey *survey) {
    static uint64_t time[EXO_HARTS_MAX * EXO_ROWS], before;
    const volatile struct exo_row *rows = row_table();
    uint64_t now = sys_time();

    survey->ticks = now - before;
    before = now;
    for (uint64_t i = 0; i < (uint64_t)sys_info()->hart_count * EXO_ROWS; i++) {
        struct who *who = rows[i].env ? who_find(survey, rows[i].env) : NULL;
        uint64_t ticks = rows[i].time - time[i];
        time[i] += ticks;
        if (!who) continue;
        who->rows++;
        who->time[i / EXO_ROWS] += ticks;
    }
}

bool survey_take(struct survey *survey) {
    if (!tables_map()) return false;
    survey->count = 0;
    typed_frames(survey, env_add);
    typed_frames(survey, frame_count);
    names_all(survey);
    rows_count(survey);
    return true;
}

/* ---- for people ---- */

const char *state_name(uint64_t word) {
    static const char *const names[] = {"-",     "stopped", "ready",  "runs",
                                        "waits", "accepts", "calling"};
    uint64_t state = word & EXO_STATE_MASK;

    if (word & EXO_FLAG_KILL) return "dying";
    if (word & EXO_FLAG_FAULT) return "faulted";
    return state < sizeof(names) / sizeof(names[0]) ? names[state] : names[0];
}

const char *frames_text(uint64_t count, char text[24]) {
    if (count == WHO_NONE)
        strcpy(text, "-");
    else
        snprintf(text, 24, "%lu", count);
    return text;
}
