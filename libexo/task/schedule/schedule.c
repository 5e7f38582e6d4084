/* SPDX-License-Identifier: MIT */
/*
 * What all schedulers share: jobs, who can run, time, and the yield itself.
 *
 * What the kernel exposes tells the rest without a call: the frame table in
 * which state a child is, the slice vectors how much time went through this
 * thread's rows.
 */
#include "schedule.h"

#define ROWS_MAX 16
#define RUN_LEAST 50000 /* nanoseconds: what is shorter is not worth an alarm */

struct run {
    struct schedule *schedule;
    struct alarm alarm;
    /* The rows of this thread; without one the clock must do. */
    const volatile struct exo_row *row[ROWS_MAX];
    uint64_t row_count;
};

void schedule_next_job(void) {
    while (exo_wait(1ul << SYS_EVENT_JOB, EXO_NEVER).value == 0) {
    }
}

/* ---- children ---- */

static void child_miss(struct schedule_child *child, uint64_t now) {
    if (!child->busy || child->late || now <= child->due) return;
    child->late = true;
    child->missed++;
}

/* Look whether it can run, and whether its job is done. */
static void child_look(struct schedule_child *child, uint64_t now) {
    uint64_t word = child->words->word1;

    child->ended =
        word >> EXO_TAG_SHIFT != EXO_TAG_ENV || (word & (EXO_FLAG_KILL | EXO_FLAG_FAULT)) != 0;
    /* In a call it may be somebody else who can run; the yield finds that out. */
    uint64_t state = word & EXO_STATE_MASK;
    child->ready = !child->ended && now >= child->retry &&
                   (state == EXO_STATE_READY || state == EXO_STATE_CALLING);
    if (!child->busy || !(child->ended || state == EXO_STATE_WAIT)) return;
    child_miss(child, now);
    child->busy = false;
    child->due = EXO_NEVER;
    child->done++;
}

/* Begin the job of a child whose time has come. */
static void child_release(struct schedule_child *child, uint64_t now) {
    if (!child->period || child->ended || now < child->release) return;
    child_miss(child, now);
    child->due = child->release + (child->deadline ? child->deadline : child->period);
    /* What this thread could not see for want of slices is left out. */
    child->release += child->period * ((now - child->release) / child->period + 1);
    child->left = child->budget ? child->budget : EXO_NEVER;
    child->late = false;
    child->busy = true;
    child->jobs++;
    exo_notify(child->env, 1ul << SYS_EVENT_JOB);
}

/* ---- running ---- */

static void rows_find(struct run *run) {
    const volatile struct exo_row *table = row_table();
    uint64_t end = (uint64_t)sys_info()->hart_count * EXO_ROWS;

    for (uint64_t i = 0; table && i < end && run->row_count < ROWS_MAX; i++)
        if (table[i].env == sys_thread.env_frame) run->row[run->row_count++] = &table[i];
}

static uint64_t time_had(const struct run *run) {
    uint64_t ticks = 0;

    for (uint64_t i = 0; i < run->row_count; i++) ticks += run->row[i]->time;
    return run->row_count ? ticks : sys_time();
}

static void child_run(struct run *run, struct schedule_child *child, uint64_t until) {
    struct schedule *schedule = run->schedule;

    uint64_t least = sys_time() + sys_ticks(RUN_LEAST);
    alarm_set(&run->alarm, until < least ? least : until);
    uint64_t had = time_had(run), begin = sys_time(), since = sys_ctx()->slice_begin;
    int64_t error = exo_yield(child->env).value;
    /* The rows were charged up to when this thread got the hart, before the yield and now. */
    uint64_t own = run->row_count && since < begin ? begin - since : 0;
    uint64_t ticks = time_had(run) - had;
    ticks -= own < ticks ? own : ticks;
    schedule->switches++;
    child->time += ticks;
    if (child->left != EXO_NEVER) child->left -= ticks < child->left ? ticks : child->left;
    if (error < 0) child->retry = begin + sys_info()->row_ticks;
    child_look(child, sys_time());
    if (schedule->scheduler->ran) schedule->scheduler->ran(schedule, child, ticks);
}

/* Nobody can run: sleep, but look now and then, for a child may wait for somebody else. */
static void nobody_runs(const struct run *run, uint64_t now, uint64_t until) {
    uint64_t look = now + sys_info()->row_ticks;

    if (run->row_count)
        task_wait(until < look ? until : look);
    else
        exo_yield(EXO_NONE);
}

/* One decision; false when all have ended. */
static bool schedule_step(struct run *run, uint64_t end) {
    struct schedule *schedule = run->schedule;
    uint64_t now = sys_time(), until = end;
    bool alive = false;

    for (uint64_t i = 0; i < schedule->count; i++) {
        struct schedule_child *child = &schedule->children[i];
        child_look(child, now);
        child_release(child, now);
        child_miss(child, now);
        child_look(child, now);
        alive |= !child->ended;
        if (child->period && child->release < until) until = child->release;
    }
    if (!alive) return false;
    struct schedule_child *child = schedule->scheduler->pick(schedule, now, &until);
    if (child)
        child_run(run, child, until);
    else
        nobody_runs(run, now, until);
    return true;
}

int64_t schedule_run(struct schedule *schedule, uint64_t end) {
    uint64_t hart = row_hart(sys_thread.env_frame), now = sys_time();
    struct run run = {.schedule = schedule};

    rows_find(&run);
    for (uint64_t i = 0; i < schedule->count; i++) {
        struct schedule_child *child = &schedule->children[i];
        /* Looked at here, so that no page fault, and no lock, comes later. */
        child->words = mem_frame_words(child->env_frame);
        if (!child->words) return EXO_EFULL;
        (void)child->words->word1;
        child->release = now;
        child->due = EXO_NEVER;
        child->left = EXO_NEVER;
    }
    alarm_begin(&run.alarm, hart);
    while (sys_time() < end && schedule_step(&run, end)) {
    }
    alarm_end(&run.alarm);
    return 0;
}
