/* SPDX-License-Identifier: MIT */
/* The alarm of a schedule: see schedule.h. */
#include "schedule.h"

#define EVENT_DUE 1ul /* `due` is another; the alarm thread uses no other event */
#define DUE_END 0     /* and this one ends it */

static void *alarm_main(void *argument) {
    struct alarm *alarm = argument;

    for (;;) {
        uint64_t due = __atomic_load_n(&alarm->due, __ATOMIC_ACQUIRE);
        if (due == DUE_END) return NULL;
        /* Late is as good as done: that it woke is all that counts. */
        if (due <= sys_time()) due = EXO_NEVER;
        __atomic_store_n(&alarm->armed, due, __ATOMIC_RELEASE);
        exo_wait(EVENT_DUE, due);
    }
}

void alarm_begin(struct alarm *alarm, uint64_t hart) {
    const struct thread_options options = {
        .stack_bytes = EXO_FRAME_BYTES,
        .hart = hart + 1,
        .rights = EXO_SLICE_URGENT,
    };

    *alarm = (struct alarm){.due = EXO_NEVER, .armed = EXO_NEVER};
    if (hart == ROW_ANY_HART || thread_create(&alarm->thread, alarm_main, alarm, &options) < 0)
        alarm->thread = NULL;
}

void alarm_set(struct alarm *alarm, uint64_t due) {
    __atomic_store_n(&alarm->due, due, __ATOMIC_RELEASE);
    /* One that wakes too soon looks again: only a sooner time must be told. */
    if (alarm->thread && due < __atomic_load_n(&alarm->armed, __ATOMIC_ACQUIRE))
        exo_notify(thread_env(alarm->thread), EVENT_DUE);
}

void alarm_end(struct alarm *alarm) {
    if (!alarm->thread) return;
    __atomic_store_n(&alarm->due, DUE_END, __ATOMIC_RELEASE);
    exo_notify(thread_env(alarm->thread), EVENT_DUE);
    thread_join(alarm->thread);
}
