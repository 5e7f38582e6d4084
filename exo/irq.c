/* SPDX-License-Identifier: MIT */
/* Interrupt lines: see irq.h. */
#include "irq.h"

#include "disk.h"
#include "env.h"
#include "event.h"

#define LINES_STEP 4 /* lines that one look takes; more interrupt again at once */

struct exo_line *lines;
struct lock lines_lock;

void line_enable(const struct hart *hart, uint64_t number) {
    lines[number].hart = (uint32_t)hart->index;
    arch_line_enable(hart, number, true);
}

/* Under LINES. */
static void line_unmask(struct exo_line *line) {
    if (!line->masked) return;
    line->masked = 0;
    arch_line_complete(harts[line->hart], (uint64_t)(line - lines));
}

void line_complete(uint64_t number) {
    lock_take(&lines_lock);
    line_unmask(&lines[number]);
    lock_release(&lines_lock);
}

void hart_lines(struct hart *hart) {
    if (!arch_line_pending()) return;
    lock_take(&lines_lock);
    for (unsigned i = 0; i < LINES_STEP && arch_line_pending(); i++) {
        uint64_t number = arch_line_claim(hart);
        if (!number) break;
        struct exo_line *line = &lines[number];
        line->masked = 1;
        line->raised++;
        if (line->leader) event_post(env_at(line->leader), line->events);
        disk_interrupt(number);
    }
    lock_release(&lines_lock);
    disks_look();
}

void lines_unbind(uint64_t first, uint64_t count) {
    lock_take(&lines_lock);
    for (struct exo_line *line = &lines[first]; line < &lines[first + count]; line++) {
        if (!line->leader) continue;
        line->leader = 0;
        line_unmask(line);
        arch_line_enable(harts[line->hart], (uint64_t)(line - lines), false);
    }
    lock_release(&lines_lock);
}

bool lines_bound(uint64_t first, uint64_t count) {
    for (uint64_t number = first; number < first + count; number++)
        if (read_once(lines[number].leader)) return true;
    return false;
}

/* May the caller use this line through this slot?  Under SPACE. */
static int64_t line_check(struct hart *hart, uint64_t slot, uint64_t number) {
    const struct exo_cap *cap = cap_find(hart->space, slot);
    int64_t error = cap_check(cap, EXO_CLASS_IRQ, EXO_IRQ_BIND);
    if (error) return error;
    if (!cap_covers(cap, number, 1)) return EXO_ERANGE;
    return read_once(lines[number].holder) == cap_link(cap) ? 0 : EXO_EOVERLAP;
}

struct result irq_bind(uint64_t slot, uint64_t number, uint64_t events) {
    struct hart *hart = arch_hart();
    lock_take(hart->space_lock);
    int64_t error = line_check(hart, slot, number);
    if (!error && events & ~ENV_EVENTS) error = EXO_EARGUMENT;
    if (!error && events && lines[number].leader) error = EXO_EBUSY;
    if (!error && !events) lines_unbind(number, 1);
    if (!error && events) {
        lock_take(&lines_lock);
        lines[number].events = events;
        lines[number].leader = (uint32_t)hart->space->frame;
        line_enable(hart, number);
        lock_release(&lines_lock);
    }
    lock_release(hart->space_lock);
    return answer(error);
}

struct result irq_ack(uint64_t slot, uint64_t number) {
    struct hart *hart = arch_hart();
    lock_take(hart->space_lock);
    int64_t error = line_check(hart, slot, number);
    if (!error) line_complete(number);
    lock_release(hart->space_lock);
    return answer(error);
}
