/* SPDX-License-Identifier: MIT */
/*
 * What the files of the schedulers know of each other and nobody else does.
 */
#pragma once
#include <exo/schedule.h>
#include <exo/task.h>
#include <exo/thread.h>

/*
 * An alarm: what ends a child's run in the middle of a slice.  It is a thread
 * on an urgent row, so when its deadline comes it takes the hart from whoever
 * has it; and since it only goes to sleep again, the owner of the slice, which
 * is READY while a child runs in its place, has the rest.
 */
struct alarm {
    struct thread *thread; /* NULL: there is none */
    uint64_t due;          /* what it is to wait for */
    uint64_t armed;        /* what it waits for, or sooner */
};

/* A thread on this hart, if there is an urgent row for it. */
void alarm_begin(struct alarm *alarm, uint64_t hart);

/* From now on this is when a run ends. */
void alarm_set(struct alarm *alarm, uint64_t due);

void alarm_end(struct alarm *alarm);
