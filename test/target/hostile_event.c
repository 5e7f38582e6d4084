/* SPDX-License-Identifier: MIT */
/*
 * hostile_event: wait, notify, deadlines, and the events of the kernel.  Every
 * wrong argument; who may set which bits; and that no wake-up is ever lost,
 * whichever harts the two are on.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define FRAMES 64
#define SLEEPERS 20 /* more than the kernel wakes at one look */
#define CHILD_BIT (1ul << EXO_EVENT_CHILD)
#define REVOKE_BIT (1ul << EXO_EVENT_REVOKE)
#define ROUNDS 5000 /* of a ping-pong, when the command tells no other number */

static uint64_t memory, first;
static bool exact;                       /* nothing else has the host: -icount */
static uint64_t slice = EXO_NONE, harts; /* EXO_NONE: no row is to be had */
static struct child a, b;
static volatile uint64_t got[2], done[SLEEPERS + 4], woken; /* what the children tell */

static uint64_t own_slot(uint64_t index) { return EXO_CAP_HANDLE(sys_slot(0, index)->word, index); }

/* The row of a hart that these tests use first; there are some before it. */
static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

/* Take one event after the other of a mask. */
static void takes(uint64_t mask, uint64_t deadline) {
    for (;;) {
        uint64_t events = (uint64_t)exo_wait(mask, deadline).value;
        got[0] |= events;
        got[1]++;
    }
}

static void exits(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    exo_exit();
}

static void faults(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    __asm__ volatile("ebreak");
}

static void sleeps(uint64_t mask, uint64_t deadline) {
    exo_wait(mask, deadline);
    exo_exit();
}

/* Runs the child that was given to it until it gets the event of its end. */
static void adopts(uint64_t index, uint64_t unused) {
    (void)unused;
    while (!got[0]) {
        exo_yield(own_slot(index));
        got[0] = (uint64_t)exo_wait(CHILD_BIT, 0).value;
    }
    exo_wait(1, EXO_NEVER);
}

/* Events of a child, taken back by reading its ENV frame. */
static const volatile struct exo_env *env_map(const struct child *child) {
    return mem_map_frames(memory, child->frame, 1, R);
}

/* ---- notify ---- */

static void refusal_checks(void) {
    child_make(&a, 0);
    const volatile struct exo_env *env = env_map(&a);
    uint64_t bits = 0xf0;
    uint64_t some = DONE(
        "derive", exo_cap_derive(a.env, (uint64_t)mem_slot(), a.frame, 1, EXO_ENV_NOTIFY, 0, bits));
    uint64_t none = DONE("derive", exo_cap_derive(a.env, (uint64_t)mem_slot(), a.frame, 1,
                                                  EXO_ENV_CALL | EXO_ENV_CONTROL, 0, ~0ul >> 8));
    check_watch(0, (const struct exo_env *)env);
    TRY_HANDLES(SLOT, some, "notify", exo_notify(bad, 0x10));
    REFUSED(CLASS, "notify a PAGE", exo_notify(memory, 1));
    REFUSED(RIGHTS, "notify without NOTIFY", exo_notify(none, 1));
    REFUSED(RIGHTS, "notify nothing without NOTIFY", exo_notify(none, 0));
    for (uint64_t bit = 0; bit < 64; bit++)
        if (!(bits >> bit & 1))
            if (exo_notify(some, 1ul << bit | 0x10).value != EXO_ERIGHTS)
                check(false, "bit %lu, which the capability has not", bit);
    REFUSED(RIGHTS, "notify with all bits", exo_notify(some, ~0ul));
    REFUSED(RIGHTS, "notify CHILD", exo_notify(a.env, CHILD_BIT));
    REFUSED(RIGHTS, "notify REVOKE", exo_notify(a.env, REVOKE_BIT));
    REFUSED(RIGHTS, "notify itself of CHILD", exo_notify(EXO_SELF, CHILD_BIT));
    REFUSED(RIGHTS, "notify itself with bit 63", exo_notify(EXO_SELF, 1ul << 63));
    check(env->events == 0, "nothing arrived");
    check(exo_notify(some, bits).value == 0 && env->events == bits, "what is allowed arrives");
    check(exo_notify(some, 0).value == 0 && env->events == bits, "nothing more by no bits");
    check(exo_notify(a.env, ~0ul >> 8).value == 0 && env->events == ~0ul >> 8,
          "the first capability has bits 0 to 55");
    check_watch(0, NULL);

    /* What was set before it ran is there when it looks; what it does not ask for stays. */
    got[0] = got[1] = 0;
    child_start(&a, takes, 0xff00, EXO_NEVER);
    run_until(a.env, EXO_STATE_WAIT);
    check(got[0] == 0xff00 && env->events == (~0ul >> 8 & ~0xff00ul),
          "a wait takes its mask and no more: %#lx", got[0]);
    got[0] = 0;
    exo_notify(a.env, 0xff);
    check(state_of(a.env) == EXO_STATE_WAIT, "other events do not wake it");
    exo_notify(a.env, 0x0100);
    WAIT(got[0] != 0 || (exo_yield(a.env), false));
    check(got[0] == 0x0100, "one of its mask does: %#lx", got[0]);
    run_until(a.env, EXO_STATE_WAIT);
    got[0] = got[1] = 0;
    exo_env_regs(a.env, EXO_REGS_STOP);
    exo_notify(a.env, 0x200);
    check(state_of(a.env) == EXO_STATE_STOPPED, "a stopped one is notified, and stays so");
    exo_env_regs(a.env, EXO_REGS_START);
    run_until(a.env, EXO_STATE_WAIT);
    check(got[0] == 0x200 && got[1] == 2, "its wait ends with 0, the next has the event");
    mem_unmap_frames((void *)env);
    sys_cap_drop(some, a.frame);
    sys_cap_drop(none, a.frame);
    check(child_end(&a) == 0, "it is reaped as it waits");

    child_make(&a, 0);
    child_start(&a, exits, 0, 0);
    run_to_end(a.env);
    int64_t value = exo_notify(a.env, 1).value;
    check(value == 0 || value == EXO_EDYING, "a dead one is notified: %s", sys_error_name(value));
    uint64_t dead = a.env;
    child_end(&a);
    REFUSED(SLOT, "notify what is no more", exo_notify(dead, 1));
}

/* Waits of this program itself that do not sleep. */
static void wait_checks(void) {
    exo_wait(~0ul, 0);
    check(exo_wait(0, 0).value == 0 && exo_wait(~0ul, 0).value == 0 &&
              exo_wait(1, now()).value == 0,
          "a deadline that has passed: 0 at once");
    exo_notify(EXO_SELF, 7);
    check(exo_wait(0, 0).value == 0, "no mask, no event");
    check(exo_wait(2, EXO_NEVER).value == 2, "one of three events");
    check(exo_wait(2, 0).value == 0, "is cleared then");
    check(exo_wait(~0ul, EXO_NEVER).value == 5, "the others are there");
    exo_notify(EXO_SELF, ~0ul >> 8);
    check(exo_wait(~0ul, ~0ul).value == (int64_t)(~0ul >> 8), "all that programs may set");
    check(exo_wait(~0ul, 0).value == 0, "none is left");
}

/* ---- events of the kernel ---- */

static bool child_event(void) {
    uint64_t begin = now();
    if (sys_env()->rows)
        return exo_wait(CHILD_BIT, begin + PATIENCE * sys_info()->timebase_hz).value;
    return WAIT(exo_wait(CHILD_BIT, 0).value);
}

static void child_checks(void) {
    exo_wait(CHILD_BIT, 0);
    child_make(&a, 0);
    child_start(&a, exits, 0, 0);
    run_to_end(a.env);
    check(child_event(), "a child that exits: the event");
    check(exo_wait(CHILD_BIT, 0).value == 0, "once");
    child_end(&a);
    check(exo_wait(CHILD_BIT, 0).value == 0, "no event for what it did itself");

    child_make(&a, 0);
    child_start(&a, faults, 0, 0);
    run_until(a.env, EXO_STATE_STOPPED);
    check(child_event(), "a child that faults: the event");
    child_end(&a);
    check(exo_wait(CHILD_BIT, 0).value == 0, "no second one when it is ended");
    child_make(&a, 0);
    child_start(&a, exits, 0, 0);
    child_end(&a);
    check(exo_wait(CHILD_BIT, 0).value == 0, "none for a child that is killed by its parent");

    /* The first capability is another's: so is the event. */
    child_make(&a, 0);
    child_make(&b, 0);
    child_start(&a, exits, 0, 0);
    check(sys_cap_grant(a.env, b.env, EXO_HANDLE(0, CHILD_SLOT_FREE), 0, 0) > 0,
          "a first capability is given away");
    got[0] = 0;
    child_start(&b, adopts, CHILD_SLOT_FREE, 0);
    check(run_until(b.env, EXO_STATE_WAIT) && got[0] == CHILD_BIT,
          "and who holds it gets the event");
    check(exo_wait(CHILD_BIT, 0).value == 0, "the parent does not");
    uint64_t frame = a.frame, frames = a.frames;
    a = (struct child){0};
    check(child_end(&b) == 0 && sys_env_reap(frame) == 0, "both are reaped");
    frame_free(frame, frames);
}

/* ---- revocation with notice ---- */

static volatile uint64_t told_due, told_from, told_result;

/* Gives up what it is asked for, or not. */
static void surrenders(uint64_t index, uint64_t willing) {
    exo_wait(REVOKE_BIT, EXO_NEVER);
    const volatile struct exo_cap *cap = sys_slot(0, index);
    told_due = cap->due;
    told_from = cap->from;
    if (willing) {
        struct exo_result result;
        do result = exo_cap_drop(EXO_CAP_HANDLE(cap->word, index), cap->from);
        while (result.value == EXO_EAGAIN);
        told_result = (uint64_t)result.value;
    }
    done[0] = 1;
    exo_wait(1, EXO_NEVER);
    exo_exit();
}

/* Ask until all are told: AGAIN with the time in a1. */
static bool ask(uint64_t slot, uint64_t from, uint64_t due) {
    struct exo_result result;
    int steps = 0;
    do result = exo_cap_revoke(slot, from, due);
    while (result.value == EXO_EAGAIN && !result.detail && ++steps < 1000);
    return result.value == EXO_EAGAIN && result.detail == due;
}

static void revoke_checks(bool willing) {
    uint64_t due = now() + 1000 * sys_info()->timebase_hz, before = check_use();
    child_make(&a, 0);
    uint64_t own =
        DONE("derive", exo_cap_derive(memory, (uint64_t)mem_slot(), first, FRAMES, R | W, 0, 0));
    child_lend(a.env, own, first, FRAMES, R | W, 0, CHILD_SLOT_FREE);
    done[0] = told_due = 0;
    told_result = 77;
    child_start(&a, surrenders, CHILD_SLOT_FREE, willing);
    run_until(a.env, EXO_STATE_WAIT);
    REFUSED(RANGE, "ask from before its names", exo_cap_revoke(own, first - 1, due));
    REFUSED(RANGE, "ask from behind its names", exo_cap_revoke(own, first + FRAMES + 1, due));
    REFUSED(SLOT, "ask by nothing", exo_cap_revoke(EXO_NONE, first, due));
    check(ask(own, first + FRAMES, due) && state_of(a.env) == EXO_STATE_WAIT,
          "asked for nothing, nobody is told");
    check(ask(own, first + FRAMES / 2, due), "asked for half of it by then");
    WAIT(done[0] || (exo_yield(a.env), false));
    check(told_due == due && told_from == first + FRAMES / 2, "the holder is told when and what");
    if (willing) {
        check(told_result == 0, "and gives it up: %s", sys_error_name((int64_t)told_result));
        uint64_t count = 0;
        const volatile struct exo_env *env = env_map(&a);
        count = env->slot[CHILD_SLOT_FREE].count;
        check(count == FRAMES / 2 && env->slot[CHILD_SLOT_FREE].due == 0,
              "half is left to it, and no notice");
        mem_unmap_frames((void *)env);
    }
    check(sys_cap_revoke(own, first + FRAMES / 2) == 0, "the rest is taken at once when it is due");
    const volatile struct exo_env *env = env_map(&a);
    check(env->slot[CHILD_SLOT_FREE].count == FRAMES / 2, "the other half is still lent");
    mem_unmap_frames((void *)env);
    check(child_end(&a) == 0 && sys_cap_drop(own, first) == 0 && check_use() == before,
          "all of it comes back");
}

/* A promised prefix is not even asked for. */
static void promise_checks(void) {
    child_make(&a, 0);
    uint64_t own =
        DONE("derive", exo_cap_derive(memory, (uint64_t)mem_slot(), first, FRAMES, R | W, 16, 0));
    uint64_t lent =
        DONE("derive", exo_cap_derive(own, (uint64_t)mem_slot(), first, FRAMES, R | W, 16, 0));
    sys_cap_grant(lent, a.env, EXO_HANDLE(0, CHILD_SLOT_FREE), 0, 0);
    uint64_t due = now() + 1000 * sys_info()->timebase_hz;
    struct exo_result result;
    do result = exo_cap_revoke(own, first + 8, due);
    while (result.value == EXO_EAGAIN && !result.detail);
    check(result.value == EXO_EKEEP, "ask for what is promised: %s", sys_error_name(result.value));
    check(ask(own, first + 16, due), "ask for what is not");
    check(child_end(&a) == 0 && sys_cap_drop(own, first) == 0, "all of it comes back");
}

/* ---- deadlines ---- */

/* Threads of this space, which sleep until a time of their own. */
static struct { uint64_t env, frame; } threads[SLEEPERS];
static _Alignas(16) char stacks[SLEEPERS][512];
static volatile uint64_t order[SLEEPERS], early, deadlines[SLEEPERS];

static void dozes(uint64_t number, uint64_t unused) {
    (void)unused;
    exo_wait(0, deadlines[number]);
    if (now() < deadlines[number]) __atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
    order[__atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED)] = number;
    exo_exit();
}

/* SLEEPERS on one hart; with `apart` ticks between their deadlines they wake in their order. */
static void sleeper_checks(uint64_t hart, uint64_t apart) {
    woken = early = 0;
    bool good = true;
    uint64_t begin = now() + microseconds(20000);
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        /* Not in the order of their rows. */
        uint64_t number = i * 7 % SLEEPERS;
        deadlines[i] = begin + number * apart;
        threads[i].frame = first + 2 * i;
        int64_t env =
            thread_make(threads[i].frame, dozes, (uint64_t)(stacks[i] + sizeof(stacks[i])), i, 0);
        if (env < 0) return (void)check(false, "no thread");
        threads[i].env = (uint64_t)env;
        good &= exo_slice_bind(slice, row_of(hart) - i, threads[i].env).value == 0;
        exo_env_regs(threads[i].env, EXO_REGS_START);
    }
    good &= WAIT(woken == SLEEPERS);
    uint64_t wrong = 0;
    for (uint64_t i = 1; i < SLEEPERS; i++) wrong += deadlines[order[i - 1]] > deadlines[order[i]];
    for (uint64_t i = 0; i < SLEEPERS; i++)
        good &= sys_env_destroy(threads[i].env, threads[i].frame) == 0;
    check(good && woken == SLEEPERS && !early, "%lu of %d sleepers of hart %lu wake, %lu too early",
          woken, SLEEPERS, hart, early);
    if (apart && exact) check(!wrong, "in the order of their deadlines: %lu not", wrong);
}

static void deadline_checks(void) {
    uint64_t too_early = 0, events = 0;
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t deadline = now() + i * microseconds(10);
        events += exo_wait(1, deadline).value != 0;
        too_early += now() < deadline;
    }
    check(!too_early && !events, "200 sleeps until a deadline: %lu too early, %lu with an event",
          too_early, events);
    for (uint64_t hart = 0; hart < harts && hart < 2; hart++) {
        sleeper_checks(hart, 0);
        sleeper_checks(hart, microseconds(5000));
    }
    /* A deadline is kept when the row it was watched by goes to another hart. */
    if (harts < 2) return;
    child_make(&a, 0);
    exo_slice_bind(slice, row_of(1), a.env);
    child_start(&a, sleeps, 0, now() + microseconds(30000));
    WAIT(state_of(a.env) == EXO_STATE_WAIT);
    WAIT(exo_slice_bind(slice, row_of(1), EXO_UNBIND).value == 0);
    exo_slice_bind(slice, row_of(0), a.env);
    check(WAIT(child_state(a.env) & EXO_FLAG_KILL),
          "a sleeper whose row moved to another hart wakes");
    child_end(&a);
    /* ... and it has none without a row, until it gets one. */
    child_make(&a, 0);
    child_start(&a, sleeps, 0, now() + microseconds(1000));
    run_until(a.env, EXO_STATE_WAIT);
    rest(microseconds(5000));
    check(state_of(a.env) == EXO_STATE_WAIT, "a sleeper without a row has no timed wake-up");
    exo_slice_bind(slice, row_of(1), a.env);
    check(WAIT(child_state(a.env) & EXO_FLAG_KILL), "with one it has, at once");
    child_end(&a);
}

/* ---- no wake-up is lost ---- */

static void pings(uint64_t number, uint64_t rounds) {
    uint64_t peer = own_slot(CHILD_SLOT_FREE);
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t bit = 1ul << round % 56;
        if (number == 0) exo_notify(peer, bit);
        while (exo_wait(bit, EXO_NEVER).value != (int64_t)bit) {
        }
        if (number == 1) exo_notify(peer, bit);
        got[number] = round + 1;
    }
    exo_wait(1ul << 55, EXO_NEVER);
}

static void ping_checks(uint64_t from, uint64_t to, uint64_t rounds) {
    uint64_t before = check_use();
    child_make(&a, 0);
    child_make(&b, 0);
    child_lend(a.env, b.env, b.frame, 1, EXO_ENV_NOTIFY, ~0ul >> 8, CHILD_SLOT_FREE);
    child_lend(b.env, a.env, a.frame, 1, EXO_ENV_NOTIFY, ~0ul >> 8, CHILD_SLOT_FREE);
    got[0] = got[1] = 0;
    child_start(&a, pings, 0, rounds);
    child_start(&b, pings, 1, rounds);
    uint64_t begin = now();
    exo_slice_bind(slice, row_of(from), a.env);
    exo_slice_bind(slice, row_of(to) - 1, b.env);
    uint64_t last = 0, quiet = 0;
    while (got[0] < rounds || got[1] < rounds) {
        rest(microseconds(10000));
        quiet = got[0] + got[1] == last ? quiet + 1 : 0;
        last = got[0] + got[1];
        if (quiet > 100 * PATIENCE) break;
    }
    uint64_t each = (now() - begin) * 1000000 / sys_info()->timebase_hz * 1000 / rounds;
    check(got[0] == rounds && got[1] == rounds,
          "ping and pong, harts %lu and %lu: %lu of %lu rounds (%lu ns each)", from, to, got[1],
          rounds, each);
    check(child_end(&a) == 0 && child_end(&b) == 0 && check_use() == before, "nothing is lost");
}

/* Several harts notify one: whenever it sleeps it has seen all that they had counted. */
static volatile uint64_t counted[4], seen[4], flood_wrong;

static void floods(uint64_t number, uint64_t rounds) {
    for (uint64_t round = 1; round <= rounds; round++) {
        counted[number] = round;
        exo_notify(own_slot(CHILD_SLOT_FREE), 1ul << number);
        uint64_t end = now() + PATIENCE * sys_info()->timebase_hz;
        while (seen[number] != round) {
            if (now() > end) {
                flood_wrong++;
                break;
            }
            if (round % 4 == 0) exo_yield(EXO_NONE);
        }
    }
    done[number] = 1;
    exo_wait(1, EXO_NEVER);
}

static void collects(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (;;) {
        uint64_t events = (uint64_t)exo_wait(0xf, EXO_NEVER).value;
        for (int i = 0; i < 4; i++)
            if (events >> i & 1) seen[i] = counted[i];
    }
}

static void flood_checks(uint64_t rounds) {
    struct child from[4];
    uint64_t count = harts < 4 ? harts : 4, ended = 0;
    flood_wrong = 0;
    child_make(&a, 0);
    child_start(&a, collects, 0, 0);
    exo_slice_bind(slice, row_of(harts - 1) - 1, a.env);
    for (uint64_t i = 0; i < count; i++) {
        counted[i] = seen[i] = done[i] = 0;
        child_make(&from[i], 0);
        child_lend(from[i].env, a.env, a.frame, 1, EXO_ENV_NOTIFY, 0xf, CHILD_SLOT_FREE);
        child_start(&from[i], floods, i, rounds);
        exo_slice_bind(slice, row_of(i), from[i].env);
    }
    uint64_t end = now() + 4 * PATIENCE * sys_info()->timebase_hz;
    while (ended < count && now() < end) {
        rest(microseconds(1000));
        for (ended = 0; ended < count && done[ended];) ended++;
    }
    check(ended == count && !flood_wrong, "%lu harts notify one, %lu times each: %lu not seen",
          count, rounds, flood_wrong);
    for (uint64_t i = 0; i < count; i++) child_end(&from[i]);
    child_end(&a);
}

int main(void) {
    check_begin("hostile_event");
    uint64_t row, rows, rounds = number_told(0, ROUNDS);
    exact = number_told(1, 0);
    harts = sys_info()->hart_count;
    if (sys_env()->rows) slice = child_rows(&row, &rows);
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    warm(2 * SLEEPERS);
    uint64_t before = check_use();
    refusal_checks();
    wait_checks();
    child_checks();
    revoke_checks(false);
    revoke_checks(true);
    if (sys_is_init()) promise_checks(); /* others hold nothing that was promised to them */
    if (slice == EXO_NONE) {
        printf("# no row: what sleeps until a time or on another hart is not tried\n");
    } else {
        deadline_checks();
        ping_checks(0, 0, rounds / 10);
        if (harts > 1) {
            ping_checks(0, 1, rounds / 10);
            ping_checks(1, harts - 1, rounds);
        }
        flood_checks(harts > 1 ? rounds / 20 : 20);
    }
    check(check_use() == before, "nothing is lost");
    return check_end();
}
