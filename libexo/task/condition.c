/* SPDX-License-Identifier: MIT */
/*
 * Conditions: a queue of waiters, under a lock of its own.
 *
 * A waiter is in the queue before the mutex is given.  Who takes it from the
 * queue owes it the grant, so one whose deadline comes meanwhile waits for that.
 */
#include <exo/thread.h>

static void queue_add(struct condition *condition, struct sys_waiter *waiter) {
    if (condition->last)
        condition->last->next = waiter;
    else
        condition->first = waiter;
    condition->last = waiter;
}

/* Take a waiter out of the queue; whether it was there. */
static bool queue_remove(struct condition *condition, const struct sys_waiter *waiter) {
    struct sys_waiter *before = NULL, *at = condition->first;

    for (; at && at != waiter; at = at->next) before = at;
    if (!at) return false;
    if (before)
        before->next = at->next;
    else
        condition->first = at->next;
    if (condition->last == at) condition->last = before;
    return true;
}

bool condition_wait(struct condition *condition, struct mutex *mutex, uint64_t deadline) {
    struct sys_waiter waiter;

    sys_waiter_begin(&waiter);
    sys_lock_take(&condition->lock);
    queue_add(condition, &waiter);
    sys_lock_give(&condition->lock);
    mutex_give(mutex);

    bool signalled = sys_waiter_wait(&waiter, deadline);
    if (!signalled) {
        sys_lock_take(&condition->lock);
        signalled = !queue_remove(condition, &waiter);
        sys_lock_give(&condition->lock);
        if (signalled) sys_waiter_wait(&waiter, EXO_NEVER);
    }
    mutex_take(mutex);
    return signalled;
}

void condition_signal(struct condition *condition) {
    sys_lock_take(&condition->lock);
    struct sys_waiter *waiter = condition->first;
    if (waiter) queue_remove(condition, waiter);
    sys_lock_give(&condition->lock);
    if (waiter) sys_waiter_grant(waiter);
}

void condition_broadcast(struct condition *condition) {
    sys_lock_take(&condition->lock);
    struct sys_waiter *waiter = condition->first;
    condition->first = condition->last = NULL;
    sys_lock_give(&condition->lock);
    while (waiter) {
        struct sys_waiter *next = waiter->next;
        sys_waiter_grant(waiter);
        waiter = next;
    }
}
