/* SPDX-License-Identifier: MIT */
/*
 * A scheduler: round robin.
 *
 * Without a quantum a turn ends with the slice, for which no alarm is needed.
 *
 * `schedule->policy` is the number of the child whose turn it is, and the
 * child's `policy` what it has used of its quantum.
 */
#include <exo/schedule.h>

#define REST_WORTH 16 /* less of the quantum than this part is not worth another switch */

static uint64_t quantum(const struct schedule *schedule) {
    return schedule->quantum ? schedule->quantum : sys_info()->row_ticks;
}

static void turn_end(struct schedule *schedule) {
    schedule->children[schedule->policy].policy = 0;
    schedule->policy = (schedule->policy + 1) % schedule->count;
}

static struct schedule_child *pick(struct schedule *schedule, uint64_t now, uint64_t *until) {
    for (uint64_t turns = 0; turns < schedule->count; turns++) {
        struct schedule_child *child = &schedule->children[schedule->policy];
        if (child->ready && child->policy < quantum(schedule)) {
            uint64_t end = now + quantum(schedule) - child->policy;
            if (schedule->quantum && end < *until) *until = end;
            return child;
        }
        turn_end(schedule);
    }
    return NULL;
}

static void ran(struct schedule *schedule, struct schedule_child *child, uint64_t ticks) {
    uint64_t rest = quantum(schedule) / REST_WORTH;

    child->policy += ticks;
    if (child->policy + rest >= quantum(schedule) || !child->ready) turn_end(schedule);
}

const struct scheduler schedule_round_robin = {"round robin", pick, ran};
