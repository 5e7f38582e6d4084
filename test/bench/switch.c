/* SPDX-License-Identifier: MIT */
/*
 * The figures that two environments make together: yield, protected calls,
 * events, the end of a slice.
 *
 * The environments are children of the bench, each in a space of its own where
 * nothing else is said, and run functions of measure.S.  They share the
 * bench's globals, so what they count is found there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../target/calls.h"
#include "bench.h"

#define ROUNDS 20
#define ROUNDS_WOKEN 4000
#define PAUSE 10    /* microseconds between these, so that every row has its turns meanwhile */
#define TURNS 4     /* of rows, after which all had one */
#define PONG_LOOP 2 /* instructions of these children's loops around their call */
#define CALLEE_LOOP 1
#define CALLEE_LOOP_FLOAT 2
#define STAMP 1 /* ... of storing the stamp, and of what a waker does before it waits */
#define WAITS 3
#define SPINNER_LOOP 6 /* of a spinner between two reads */
#define ROW 8          /* the first of the rows that the children get */
#define ROWS 4
#define VA_OTHER 0x3000000000

/* measure.S */
struct exo_result exo_pct_call(void), exo_pct_call_until(void);
void caller(uint64_t probe, uint64_t unused);
void pong(uint64_t env, uint64_t unused);
void callee(uint64_t unused, uint64_t unused_too);
void callee_float(uint64_t unused, uint64_t unused_too);
void waker(uint64_t env, uint64_t wake);
void waker_waits(uint64_t env, uint64_t wake);
void sleeper(uint64_t wake, uint64_t env);
void spinner(uint64_t gaps, uint64_t number);
void slice_handler(void);

static struct probe {
    struct cost least;
    const volatile struct exo_hart_info *facts;
    uint64_t rounds;
    struct exo_result (*stub)(void);
    uint64_t float_used;
    uint64_t deadline;
    uint64_t arguments[7];
    uint64_t value;  /* of the last round: a0 */
    uint64_t served; /* ... and a6 */
} probe;

static struct wake {
    struct cost least;
    const volatile struct exo_hart_info *facts;
    uint64_t rounds;
    uint64_t stamp, satp_writes, sfences; /* before the notify */
    uint64_t valid, reset;
    uint64_t woken;
    uint64_t urgent, until;
    uint64_t start; /* a time, when the rows have had their turns */
    uint64_t pause; /* ticks between rounds */
} wake;

static struct gaps {
    uint64_t last, owner, count;
    uint64_t place; /* offset in CTX of where a spinner was interrupted */
    uint64_t entry, critical;
    uint64_t other;
    const volatile struct exo_hart_info *facts;
    struct gap {
        uint64_t instructions;
        uint64_t switched;             /* 0: the same spinner went on */
        uint64_t left, entered;        /* where the one was interrupted and the other goes on */
        uint64_t satp_writes, sfences; /* up to now */
        uint64_t unused[2];
    } log[64];
} gaps;

#define CALL_RIGHTS (EXO_ENV_CALL | EXO_ENV_NOTIFY)
#define EVENTS 0xff

/* ---- children ---- */

static uint64_t rows_urgent, rows_plain; /* SLICE capabilities of ROWS rows each */

static bool has_ended(uint64_t env) {
    int64_t state = child_state(env);
    need(state & EXO_FLAG_FAULT ? EXO_ESTATE : state, "a child faulted");
    return state & EXO_FLAG_KILL;
}

/* Run it until it ends.  This program goes on when it waits or its slice ends. */
static void run(const struct child *child) {
    while (!has_ended(child->env)) exo_yield(child->env);
}

/* Two children; each holds an ENV capability of the other, whose handle is here. */
struct pair {
    struct child child[2];
    uint64_t other[2];
};

static void pair_make(struct pair *pair) {
    for (int i = 0; i < 2; i++) need(child_make(&pair->child[i], 0), "child");
    for (int i = 0; i < 2; i++) {
        const struct child *other = &pair->child[!i];
        int64_t handle = child_lend(pair->child[i].env, other->env, other->frame, 1, CALL_RIGHTS,
                                    EVENTS, CHILD_SLOT_FREE);
        need(handle, "lend");
        pair->other[i] = (uint64_t)handle;
    }
}

static void pair_end(struct pair *pair) {
    for (int i = 0; i < 2; i++) need(child_end(&pair->child[i]), "end");
}

static void start_on(struct child *child, uint64_t rows, uint64_t row,
                     void (*entry)(uint64_t, uint64_t), uint64_t a0, uint64_t a1) {
    need(exo_slice_bind(rows, row, child->env).value, "bind");
    need(child_start(child, entry, a0, a1), "start");
}

/* ---- calls of one child, with another one's answer ---- */

static void probe_begin(struct exo_result (*stub)(void), uint64_t env) {
    probe = (struct probe){
        .least.instructions = ~0ul, .facts = &sys_info()->hart[0], .rounds = ROUNDS, .stub = stub};
    for (uint64_t i = 0; i < 6; i++) probe.arguments[i] = 100 + i;
    probe.arguments[6] = env;
}

static void probe_run(struct pair *pair, int64_t value, const char *name, uint64_t loop,
                      double units) {
    need(child_start(&pair->child[0], caller, (uint64_t)&probe, 0), "start");
    run(&pair->child[0]);
    if (probe.value != (uint64_t)value) need(EXO_ESTATE, name);
    probe.least.instructions -= nothing + loop;
    probe.least.satp_writes /= (uint64_t)units;
    probe.least.sfences /= (uint64_t)units;
    print(name, probe.least, units);
    pair_end(pair);
}

static void bench_yield(void) {
    struct pair pair;
    pair_make(&pair);
    need(child_start(&pair.child[1], pong, pair.other[1], 0), "start");
    probe_begin((struct exo_result(*)(void))(void (*)(void))exo_yield, 0);
    probe.arguments[0] = pair.other[0];
    probe_run(&pair, 0, "yield_one_way", PONG_LOOP, 2);
}

static void bench_call(const char *name, struct exo_result (*stub)(void),
                       void (*answer)(uint64_t, uint64_t), uint64_t loop, bool float_used) {
    struct pair pair;
    pair_make(&pair);
    need(child_start(&pair.child[1], answer, 0, 0), "start");
    exo_yield(pair.child[1].env); /* until it accepts */
    probe_begin(stub, pair.other[0]);
    probe.float_used = float_used;
    probe.deadline = now() + sys_info()->timebase_hz;
    probe_run(&pair, 100, name, loop, 1);
    if (!probe.served) need(EXO_ESTATE, name);
}

/* In a child: a call of a thread in its own space, which it makes first. */
static void thread_call(uint64_t memory, uint64_t frame) {
    uint64_t into = EXO_HANDLE(0, CHILD_SLOT_FREE);
    struct exo_result env = exo_env_create(memory, frame, frame + 1, 0, into);
    probe.arguments[6] = (uint64_t)env.value;
    child_set((uint64_t)env.value, callee, 0, 0, 0);
    exo_env_regs((uint64_t)env.value, EXO_REGS_START);
    exo_yield((uint64_t)env.value); /* until it accepts */
    caller((uint64_t)&probe, 0);
}

static void bench_call_same_space(void) {
    struct child child;
    need(child_make(&child, 0), "child");
    probe_begin(exo_pct_call, 0);
    need(child_start(&child, thread_call, child.memory, child.frame + CHILD_SPARE), "start");
    run(&child);
    if (probe.value != 100 || !probe.served) need(EXO_ESTATE, "pct_round_trip_same_space");
    probe.least.instructions -= nothing + CALLEE_LOOP;
    print("pct_round_trip_same_space", probe.least, 1);
    need(child_end(&child), "end");
}

/* Its callee is READY and has not run. */
static void bench_refused(void) {
    struct pair pair;
    pair_make(&pair);
    need(child_start(&pair.child[1], callee, 0, 0), "start");
    probe_begin(exo_pct_call, pair.other[0]);
    probe_run(&pair, EXO_EBUSY, "pct_refused", 0, 1);
}

static void bench_notify_quiet(void) {
    struct pair pair;
    pair_make(&pair);
    need(child_start(&pair.child[1], callee, 0, 0), "start");
    probe_begin((struct exo_result(*)(void))(void (*)(void))exo_notify, 0);
    probe.arguments[0] = pair.other[0];
    probe.arguments[1] = 1;
    probe_run(&pair, 0, "notify_no_wake", 0, 1);
}

/* ---- events that wake somebody ---- */

/* Sleep until the first of the pair has ended. */
static void sleep_until_end(const struct pair *pair) {
    while (!has_ended(pair->child[0].env)) exo_wait(1ul << EXO_EVENT_CHILD, EXO_NEVER);
}

static void bench_wake(const char *name, uint64_t rows, uint64_t row, bool waits) {
    struct pair pair;
    pair_make(&pair);
    wake = (struct wake){.least.instructions = ~0ul,
                         .facts = &sys_info()->hart[0],
                         .rounds = ROUNDS_WOKEN,
                         .valid = !waits,
                         .reset = !waits,
                         .urgent = rows == rows_urgent ? ~0ul : 0,
                         .pause = waits ? 0 : microseconds(PAUSE),
                         .start = now() + TURNS * sys_info()->row_ticks};
    start_on(&pair.child[1], rows, row, sleeper, (uint64_t)&wake, waits ? pair.other[1] : 0);
    start_on(&pair.child[0], rows_plain, ROW + 1, waits ? waker_waits : waker, pair.other[0],
             (uint64_t)&wake);
    sleep_until_end(&pair);
    if (wake.woken < ROUNDS_WOKEN) need(EXO_ESTATE, name);
    wake.least.instructions -= nothing + STAMP + (waits ? WAITS : 0);
    print(name, wake.least, 1);
    pair_end(&pair);
}

/* ---- the timer ---- */

/*
 * What one gap has of the kernel alone, 0 if that cannot be told.  Offsets are
 * in bytes from the loop's read, an instruction being 4: the second and third
 * come between a read and its store.
 */
static struct cost gap_of(const struct gap *gap) {
    struct cost cost = {0, gap->satp_writes - gap[-1].satp_writes, gap->sfences - gap[-1].sfences};
    uint64_t left = gap->left / 4, entered = gap->entered / 4, before = SPINNER_LOOP;
    if (gap->switched) {
        if (left >= SPINNER_LOOP || entered >= SPINNER_LOOP || entered == 1 || entered == 2)
            return cost;
        before = (left < 3 ? SPINNER_LOOP + left : left) + (SPINNER_LOOP - entered) % SPINNER_LOOP;
    }
    cost.instructions = gap->instructions - before;
    return cost;
}

static void gaps_run(uint64_t place, uint64_t entry, uint64_t critical, struct cost *same,
                     struct cost *other) {
    struct pair pair;
    pair_make(&pair);
    gaps = (struct gaps){.last = ~0ul,
                         .place = place,
                         .entry = entry,
                         .critical = critical,
                         .other = VA_OTHER,
                         .facts = &sys_info()->hart[0]};
    for (uint64_t i = 0; i < 2; i++) {
        struct child *child = &pair.child[i];
        uint64_t frame = pair.child[!i].frame + 1, rights = EXO_PAGE_R | EXO_PAGE_W;
        int64_t slot =
            child_lend(child->env, frame_slot(frame), frame, 1, rights, 0, CHILD_SLOT_FREE + 1);
        need(slot, "lend");
        child->next = child->frame + CHILD_SPARE; /* for the TABLEs that this needs */
        child->end = child->next + 2;
        need(space_map(&child->space, VA_OTHER, (uint64_t)slot, frame, 1, EXO_PAGE_R), "map");
        start_on(child, rows_plain, ROW + i, spinner, (uint64_t)&gaps, i);
    }
    while (!has_ended(pair.child[0].env) && !has_ended(pair.child[1].env))
        exo_wait(1ul << EXO_EVENT_CHILD, EXO_NEVER);
    *same = *other = (struct cost){~0ul, 0, 0};
    for (uint64_t at = 1; at < gaps.count; at++) {
        struct cost *least = gaps.log[at].switched ? other : same, cost = gap_of(&gaps.log[at]);
        if (cost.instructions && cost.instructions < least->instructions) *least = cost;
    }
    pair_end(&pair);
}

static void bench_slices(void) {
    struct cost same, other;
    gaps_run(offsetof(struct exo_ctx, register_pc), 0, 1, &same, &other);
    print("slice_switch", other, 1);
    print("timer_tick", same, 1);
    gaps_run(offsetof(struct exo_ctx, exception_pc), (uint64_t)slice_handler, 0, &same, &other);
    print("slice_switch_handler", other, 1);
}

/* ---- wake-up latency ---- */

#define WAKES 2000
#define SLEEP_LEAST 5 /* microseconds */
#define SLEEP_MOST 100

static int64_t latency[WAKES];

/* Instructions of counted time at tick 0: with counted instructions each takes a nanosecond. */
static int64_t time_origin(uint64_t tick_nanoseconds) {
    int64_t least = INT64_MAX;
    for (int turn = 0; turn < 5; turn++) {
        uint64_t before = now(), after;
        while ((after = now()) == before) {
        }
        int64_t origin = (int64_t)(sys_instructions() - after * tick_nanoseconds);
        if (origin < least) least = origin;
    }
    return least;
}

/* In a child: sleeps of random length, and how late each ended. */
static void sleeps(uint64_t unused, uint64_t unused_too) {
    (void)unused;
    (void)unused_too;
    uint64_t tick_nanoseconds = 1000000000 / sys_info()->timebase_hz, random = 1;
    uint64_t least = microseconds(SLEEP_LEAST), range = microseconds(SLEEP_MOST) - least;
    exo_wait(0, now() + TURNS * sys_info()->row_ticks);
    int64_t origin = time_origin(tick_nanoseconds);
    for (int wake_up = 0; wake_up < WAKES; wake_up++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        uint64_t deadline = now() + least + (random >> 33) % range;
        exo_wait(0, deadline);
        int64_t time = (int64_t)sys_instructions() - origin;
        latency[wake_up] = time - (int64_t)(deadline * tick_nanoseconds);
    }
    exo_exit();
}

/* In a child: load that computes, and load that makes the longest usual calls. */
static void spins(uint64_t unused, uint64_t unused_too) {
    (void)unused;
    (void)unused_too;
    for (;;) __asm__ volatile("");
}

static void maps(uint64_t memory, uint64_t first) {
    for (;;) {
        exo_page_map(EXO_SELF, VA_OTHER, memory, first, EXO_PAGES_MAX, EXO_PAGE_R);
        exo_page_unmap(EXO_SELF, VA_OTHER, EXO_PAGES_MAX, 0);
    }
}

static int latency_compare(const void *a, const void *b) {
    const int64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void latency_print(const char *load, const char *what, int64_t value) {
    char name[48];
    snprintf(name, sizeof(name), "wake_latency_%s%s", load, what);
    print(name, (struct cost){(uint64_t)value, 0, 0}, 1);
}

static void bench_latency(const char *name, void (*load)(uint64_t, uint64_t)) {
    struct child busy, child;
    need(child_make(&busy, EXO_PAGES_MAX + 2), "child");
    need(child_make(&child, 0), "child");
    uint64_t first = busy.frame + CHILD_SPARE + 2;
    busy.next = busy.frame + CHILD_SPARE; /* for the TABLEs of VA_OTHER */
    busy.end = first;
    need(space_map(&busy.space, VA_OTHER, busy.memory, first, 1, EXO_PAGE_R), "map");
    need(exo_page_unmap(busy.env, VA_OTHER, 1, 0).value, "unmap");
    start_on(&busy, rows_plain, ROW, load, busy.memory, first);
    start_on(&child, rows_urgent, ROW + ROWS, sleeps, 0, 0);
    while (!has_ended(child.env)) exo_wait(1ul << EXO_EVENT_CHILD, EXO_NEVER);
    need(child_end(&child), "end");
    need(child_end(&busy), "end");
    qsort(latency, WAKES, sizeof(latency[0]), latency_compare);
    need(latency[0], "woken too early");
    latency_print(name, "median", latency[WAKES / 2]);
    latency_print(name, "p999", latency[WAKES - WAKES / 1000 - 1]);
    latency_print(name, "max", latency[WAKES - 1]);
}

static uint64_t rows_lend(uint64_t slice, uint64_t first, uint64_t rights) {
    int64_t handle = exo_cap_derive(slice, (uint64_t)mem_slot(), first, ROWS, rights, 0, 0).value;
    need(handle, "derive");
    return (uint64_t)handle;
}

void bench_switches(void) {
    uint64_t first, count, slice = child_rows(&first, &count);
    rows_plain = rows_lend(slice, ROW, EXO_SLICE_BIND);
    rows_urgent = rows_lend(slice, ROW + ROWS, EXO_SLICE_BIND | EXO_SLICE_URGENT);
    bench_yield();
    bench_call("pct_round_trip", exo_pct_call, callee, CALLEE_LOOP, false);
    bench_call("pct_round_trip_fp", exo_pct_call, callee, CALLEE_LOOP, true);
    bench_call("pct_round_trip_fp_callee", exo_pct_call, callee_float, CALLEE_LOOP_FLOAT, false);
    bench_call("pct_until", exo_pct_call_until, callee, CALLEE_LOOP, false);
    bench_call_same_space();
    bench_refused();
    bench_notify_quiet();
    bench_wake("notify_wake", rows_plain, ROW, false);
    bench_wake("notify_wake_urgent", rows_urgent, ROW + ROWS, false);
    bench_wake("notify_wait", rows_plain, ROW, true);
    bench_slices();
    bench_latency("", spins);
    bench_latency("calls_", maps);
}
