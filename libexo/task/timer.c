/* SPDX-License-Identifier: MIT */
/*
 * Timers of a thread: a pairing heap, so that setting one takes a few
 * instructions however many there are, and no memory is needed.
 */
#include <exo/event.h>

static _Thread_local struct timer *first;

/* Put two heaps together. */
static struct timer *merge(struct timer *a, struct timer *b) {
    if (!a || !b) return a ? a : b;
    if (b->due < a->due) return merge(b, a);
    b->next = a->child;
    if (b->next) b->next->link = &b->next;
    b->link = &a->child;
    a->child = b;
    return a;
}

/* Make one heap of a list of siblings: pairs first, then those from the last on. */
static struct timer *merge_list(struct timer *list) {
    struct timer *pairs = NULL, *heap = NULL;

    while (list) {
        struct timer *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = NULL;
        if (b) b->next = NULL;
        a = merge(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *rest = pairs->next;
        pairs->next = NULL;
        heap = merge(heap, pairs);
        pairs = rest;
    }
    return heap;
}

void timer_cancel(struct timer *timer) {
    if (!timer->set) return;
    struct timer *below = merge_list(timer->child);
    if (timer == first) {
        first = below;
    } else {
        *timer->link = timer->next;
        if (timer->next) timer->next->link = timer->link;
        first = merge(first, below);
    }
    timer->set = false;
    timer->child = timer->next = NULL;
}

void timer_set(struct timer *timer, uint64_t due) {
    timer_cancel(timer);
    timer->due = due;
    timer->set = true;
    timer->child = timer->next = NULL;
    first = merge(first, timer);
}

uint64_t timer_next(void) { return first ? first->due : EXO_NEVER; }

uint64_t timer_run(void) {
    uint64_t now = sys_time(), fired = 0;

    for (; first && first->due <= now; fired++) {
        struct timer *timer = first;
        timer_cancel(timer);
        timer->fire(timer);
    }
    return fired;
}
