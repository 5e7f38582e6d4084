/* SPDX-License-Identifier: MIT */
/* Events of a thread: see exo/event.h. */
#include <exo/event.h>

#define ALL_BITS 64

static _Thread_local uint64_t allocated;
static _Thread_local uint64_t handled; /* mask of the bits that have a handler */
static _Thread_local struct {
    event_handler *call;
    void *context;
} handlers[ALL_BITS];

int64_t event_alloc(void) {
    for (uint64_t bit = 0; bit < SYS_EVENTS_FREE; bit++) {
        if (allocated >> bit & 1) continue;
        allocated |= 1ul << bit;
        return (int64_t)bit;
    }
    return EXO_EFULL;
}

void event_free(uint64_t bit) {
    event_handle(bit, NULL, NULL);
    allocated &= ~(1ul << bit);
}

uint64_t event_wait(uint64_t mask, uint64_t deadline) {
    uint64_t events;

    /* The kernel may answer 0 before the deadline. */
    do events = (uint64_t)exo_wait(mask, deadline).value;
    while (!events && (deadline == EXO_NEVER || sys_time() < deadline));
    return events;
}

void event_handle(uint64_t bit, event_handler *handler, void *context) {
    handlers[bit].call = handler;
    handlers[bit].context = context;
    handled = handler ? handled | 1ul << bit : handled & ~(1ul << bit);
}

uint64_t event_dispatch(uint64_t deadline) {
    uint64_t calls = timer_run();

    for (;;) {
        uint64_t until = calls ? 0 : timer_next() < deadline ? timer_next() : deadline;
        uint64_t events = event_wait(handled, until);
        for (; events; events &= events - 1) {
            uint64_t bit = (uint64_t)__builtin_ctzl(events);
            if (!handlers[bit].call) continue; /* an earlier one took it away */
            handlers[bit].call(handlers[bit].context);
            calls++;
        }
        calls += timer_run();
        if (calls || (deadline != EXO_NEVER && sys_time() >= deadline)) return calls;
    }
}
