/* SPDX-License-Identifier: MIT */
/*
 * A scheduler: earliest deadline first, with a budget for each job.
 *
 * If the budgets are what the jobs need, and budget / period summed up over the
 * children is at most this thread's share of the hart, no deadline is missed.
 * If one needs more, only that one is late.
 */
#include <exo/schedule.h>

static bool may_run(const struct schedule_child *child) {
    return child->ready && (!child->busy || child->left > 0);
}

static struct schedule_child *pick(struct schedule *schedule, uint64_t now, uint64_t *until) {
    struct schedule_child *first = NULL;

    for (uint64_t i = 0; i < schedule->count; i++) {
        struct schedule_child *child = &schedule->children[i];
        if (!may_run(child)) continue;
        /* Those without a deadline by turns: the one that had least. */
        if (!first || child->due < first->due ||
            (child->due == first->due && child->time < first->time))
            first = child;
    }
    if (first && first->busy && first->left < *until - now) *until = now + first->left;
    return first;
}

const struct scheduler schedule_earliest_deadline = {"earliest deadline first", pick, NULL};
