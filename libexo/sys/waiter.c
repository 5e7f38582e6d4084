/* SPDX-License-Identifier: MIT */
/*
 * Sleeping until another thread grants something.
 *
 * `granted` is what counts and the event only ends the sleep, so an event that
 * comes early, late or for an earlier wait does no harm.  A handler has an
 * event of its own: the code that it interrupted may be about to sleep.
 */
#include <exo/sys.h>

void sys_waiter_begin(struct sys_waiter *waiter) {
    bool handler = sys_ctx()->exception_mask != 0;

    *waiter = (struct sys_waiter){
        .env = sys_thread.env,
        .event = 1ul << (handler ? SYS_EVENT_HANDLER : SYS_EVENT_GRANT),
    };
}

bool sys_waiter_wait(struct sys_waiter *waiter, uint64_t deadline) {
    while (!__atomic_load_n(&waiter->granted, __ATOMIC_ACQUIRE)) {
        if (deadline != EXO_NEVER && sys_time() >= deadline) return false;
        /* Who cannot be notified can only look again later. */
        if (waiter->env == EXO_NONE)
            exo_yield(EXO_NONE);
        else
            exo_wait(waiter->event, deadline);
    }
    return true;
}

void sys_waiter_grant(struct sys_waiter *waiter) {
    uint64_t env = waiter->env, event = waiter->event;

    __atomic_store_n(&waiter->granted, 1, __ATOMIC_RELEASE);
    /* From here on it may be gone. */
    if (env != EXO_NONE) exo_notify(env, event);
}
