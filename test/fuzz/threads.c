/* SPDX-License-Identifier: MIT */
/*
 * The kernel core with harts as threads, under the thread sanitizer: every hart
 * makes random calls of the program it runs, on objects that all share, takes
 * interrupts and its timer's, while time passes.  From time to time all stop
 * and the walker looks; at the end all but init die and init must get
 * everything back.
 *
 *     threads [SECONDS [SEED]]
 *
 * A seed chooses the calls of each hart, but not how the harts meet.  Nothing
 * that is checked depends on how fast they are.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cap.h"
#include "env.h"
#include "recover.h"
#include "slice.h"
#include "thread.h"
#include "trap.h"
#include "walker.h"

#define HARTS 4
#define CAST 5 /* environments that init makes and makes again */
#define GROUPS 2
#define ROUND_STEPS 300         /* of the time counter between two looks of the walker */
#define STEP_NANOSECONDS 100000 /* between two such steps, or more on a busy machine */
#define STEP_TICKS 4000         /* 2.5 of them make a slice */
#define FIRST (HOST_RAM_FRAME + EXO_GROUP_FRAMES)
#define MEMBER(n) (FIRST + 16 * (uint64_t)(n)) /* ENV, CTX, ROOT, and 13 frames that it holds */
#define VA 0x40000000ul
#define RIGHTS 15

/*
 * Slots.  init has member n's first capability in FRIEND + n.  Each member has
 * its frames in 0, rows in 1, the shared frames in 2, and FRIEND + n as well, but
 * derived.  From FREE_SLOT on all is play, and its children are in the first two.
 */
enum { FRAMES, ROWS, SHARED, FRIEND = 4, FREE_SLOT = FRIEND + CAST, SLOTS = EXO_ENV_SLOTS };

static _Thread_local uint64_t random_state;
static uint64_t seed;
static uint64_t calls[HARTS], good[HARTS]; /* made by each hart, and how many had their will */

static uint64_t random_below(uint64_t end) {
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (random_state >> 33) % end;
}

static bool one_in(uint64_t n) { return random_below(n) == 0; }

/* Before an atomic of the kernel: sometimes the other threads get the processor. */
static void at_point(void) {
    if (one_in(128)) sched_yield();
}

/* ---- names ---- */

/* Of a slot, which others may change: programs read their tables without a lock. */
static uint64_t slot_word(const struct exo_env *space, uint64_t index) {
    return *(const volatile uint64_t *)&space->slot[index].word;
}

static uint64_t slot_first(const struct exo_env *space, uint64_t index) {
    return *(const volatile uint64_t *)&space->slot[index].first;
}

static uint64_t place(uint64_t index) { return EXO_HANDLE(0, index); }

static uint64_t handle(const struct hart *hart, uint64_t index) {
    return (slot_word(hart->space, index) >> EXO_HANDLE_GEN_SHIFT << EXO_HANDLE_GEN_SHIFT) |
           place(index);
}

static uint64_t any_slot(const struct hart *hart) {
    if (one_in(50)) return random_below(2) ? ~0ul : random_below(100000);
    return handle(hart, random_below(SLOTS));
}

static uint64_t friend_of(const struct hart *hart) {
    if (one_in(4)) return handle(hart, FREE_SLOT + random_below(2)); /* a child of its own */
    return one_in(20) ? any_slot(hart) : handle(hart, FRIEND + random_below(CAST));
}

static uint64_t any_frame(void) { return FIRST + random_below(16 * (CAST + 2)); }

static uint64_t own_frame(const struct hart *hart) {
    uint64_t first = hart->space->frame;
    return one_in(4) ? MEMBER(CAST) + random_below(16) : first + 3 + random_below(12);
}

/* A row that this space holds, perhaps. */
static uint64_t any_row(const struct hart *hart) {
    if (one_in(4)) return random_below(HARTS) * EXO_ROWS + 1 + random_below(12);
    uint64_t n = (hart->space->frame - FIRST) / 16 % CAST;
    return n % HARTS * EXO_ROWS + 2 + 2 * n + random_below(2);
}

static uint64_t any_address(void) { return VA + EXO_FRAME_BYTES * random_below(6); }

static uint64_t whose(const struct hart *hart) { return one_in(4) ? friend_of(hart) : EXO_SELF; }

/* ---- a call ---- */

static int64_t call(struct hart *hart, int number, uint64_t a0, uint64_t a1, uint64_t a2,
                    uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6) {
    struct host_model *model = &host_models[hart->index];
    const struct exo_env *env = hart->env;
    const uint64_t arguments[] = {a0, a1, a2, a3, a4, a5, a6};
    memcpy(&model->registers[HOST_A0], arguments, sizeof(arguments));
    trap_call(hart, number);
    calls[hart->index]++;
    /* Of a call that switched the answer is another program's. */
    int64_t value = hart->env == env ? (int64_t)model->registers[HOST_A0] : EXO_EAGAIN;
    good[hart->index] += value >= 0;
    return value;
}

#define CALL_(hart, name, a, b, c, d, e, f, g, ...) call(hart, exo_call_##name, a, b, c, d, e, f, g)
#define CALL(hart, ...) CALL_(hart, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0)

static uint64_t soon(void) { return arch_time() + random_below(10000); }

static void memory_call(struct hart *hart) {
    uint64_t va = any_address(), frame = own_frame(hart), who = whose(hart);
    uint64_t slot = handle(hart, one_in(3) ? SHARED : FRAMES), rights = one_in(2) ? 1 : 3;
    uint64_t level = 1 + random_below(2), base = level == 2 ? VA >> 30 << 30 : VA, frame_touched;
    switch (random_below(9)) {
    case 0:
    case 1: CALL(hart, table_link, who, base, level, slot, frame); break;
    case 2: CALL(hart, table_unlink, who, base, level); break;
    case 3:
    case 4: CALL(hart, page_map, who, va, slot, frame, 1, rights); break;
    case 5: CALL(hart, page_map, who, va, slot, frame, 3, rights | EXO_MAP_REPLACE); break;
    case 6: CALL(hart, page_unmap, who, va, 1 + random_below(2), 0); break;
    case 7: CALL(hart, page_protect, who, va, 2, EXO_PAGE_R); break;
    default: CALL(hart, page_harvest, who, va, 4); break;
    }
    host_touch(hart->index, va, one_in(2), &frame_touched);
}

static void tree_call(struct hart *hart) {
    uint64_t from = any_slot(hart), into = place(FREE_SLOT + random_below(SLOTS - FREE_SLOT));
    uint64_t frame = own_frame(hart), free = FREE_SLOT + random_below(SLOTS - FREE_SLOT),
             play = handle(hart, free);
    switch (random_below(8)) {
    case 0:
        CALL(hart, cap_derive, handle(hart, FRAMES), into, frame, 1 + random_below(2), RIGHTS);
        break;
    case 1:
        CALL(hart, cap_derive, handle(hart, ROWS), into, random_below(HARTS) * EXO_ROWS + 8, 1, 3);
        break;
    case 2: {
        uint64_t n = random_below(CAST);
        CALL(hart, cap_derive, handle(hart, FRIEND + n), into, MEMBER(n), 1, 7, 0, 0xff);
        break;
    }
    case 3: CALL(hart, cap_grant, play, friend_of(hart), into); break;
    case 4: CALL(hart, cap_drop, play, one_in(2) ? frame : any_frame()); break;
    case 5: CALL(hart, cap_drop, play, slot_first(hart->space, free)); break;
    case 6: CALL(hart, cap_revoke, from, any_frame(), one_in(2) ? soon() : 0); break;
    default: CALL(hart, env_reap, any_frame()); break;
    }
}

/* A child with its own space, or a thread of this one, which is to run. */
static void child_make(struct hart *hart, uint64_t frame) {
    uint64_t root = one_in(2) ? 0 : frame + 2, into = place(FREE_SLOT + random_below(2));
    int64_t name = CALL(hart, env_create, handle(hart, FRAMES), frame, frame + 1, root, into);
    if (name < 0) return;
    CALL(hart, env_regs, (uint64_t)name, EXO_REGS_START);
    CALL(hart, slice_bind, handle(hart, ROWS), any_row(hart), (uint64_t)name);
}

static void life_call(struct hart *hart, bool init) {
    uint64_t other = friend_of(hart), frame = own_frame(hart);
    switch (random_below(10)) {
    case 0: CALL(hart, env_regs, other, EXO_REGS_STOP); break;
    case 1:
    case 2:
    case 3: CALL(hart, env_regs, other, EXO_REGS_START); break;
    case 4: CALL(hart, env_regs, other, one_in(2) ? EXO_REGS_GET : EXO_REGS_SET); break;
    case 5:
        CALL(hart, slice_bind, handle(hart, ROWS), any_row(hart), one_in(3) ? EXO_SELF : other);
        break;
    case 6: CALL(hart, slice_bind, handle(hart, ROWS), any_row(hart), EXO_UNBIND); break;
    case 7: child_make(hart, frame); break;
    case 8:
        if (!init && one_in(20)) CALL(hart, exit, 0);
        break;
    default:
        if (!init && one_in(10)) trap_exception(hart, 13, 0);
        break;
    }
}

static void switch_call(struct hart *hart, bool init) {
    uint64_t other = friend_of(hart);
    bool serves = __atomic_load_n(hart->state, __ATOMIC_RELAXED) & EXO_FLAG_INCALL;
    switch (random_below(9)) {
    case 0:
    case 1: CALL(hart, notify, other, 1ul << random_below(4)); break;
    case 2: CALL(hart, wait, random_below(16), one_in(10) && !init ? EXO_NEVER : soon()); break;
    case 3: CALL(hart, yield, EXO_NONE); break;
    case 4: CALL(hart, yield, other); break;
    case 5:
        if (!init) CALL(hart, pct_call, 1, 2, 3, 4, 5, 6, other);
        break;
    case 6:
        host_models[hart->index].registers[HOST_T1] = soon();
        CALL(hart, pct_call_until, 1, 2, 3, 4, 5, 6, other);
        break;
    default:
        if (!init && (serves || one_in(10))) CALL(hart, pct_reply, 1, 2, 3, 4, 5, 6);
        break;
    }
}

/* ---- init's work: a member that has died comes to life again ---- */

/* Of init alone, whichever hart it runs on. */
static struct {
    uint64_t member;
    uint64_t step;
    uint64_t reaps; /* another environment that must go first; 0: none */
    uint64_t tries;
} plan;

static bool is_done(int64_t value) {
    if (value == EXO_EAGAIN && ++plan.tries < 200) return false;
    plan.tries = 0;
    return true;
}

/* Lend a capability that init derives to a member. */
static void lend(struct hart *hart, uint64_t from, uint64_t first, uint64_t count, uint64_t rights,
                 uint64_t via, uint64_t index) {
    CALL(hart, cap_drop, handle(hart, SLOTS - 1), slot_first(hart->space, SLOTS - 1));
    CALL(hart, cap_derive, handle(hart, from), place(SLOTS - 1), first, count, rights, 0, 0xff);
    CALL(hart, cap_grant, handle(hart, SLOTS - 1), handle(hart, FRIEND + via), place(index));
}

static void plan_next(struct hart *hart) {
    uint64_t n = plan.member, frame = MEMBER(n), name = handle(hart, FRIEND + n);
    bool done = true;
    if (plan.reaps) {
        int64_t value = CALL(hart, env_reap, plan.reaps);
        if (value == EXO_EREAP)
            plan.reaps = host_models[hart->index].registers[HOST_A0 + 1];
        else if (is_done(value))
            plan.reaps = 0;
        return;
    }
    switch (plan.step) {
    case 0: done = is_done(CALL(hart, cap_drop, name, frame)); break;
    case 1: {
        int64_t value = CALL(hart, env_reap, frame);
        if (value == EXO_EREAP) plan.reaps = host_models[hart->index].registers[HOST_A0 + 1];
        done = value != EXO_EREAP && is_done(value);
        break;
    }
    case 2: CALL(hart, cap_drop, name, 0); break;
    case 3:
        CALL(hart, env_create, handle(hart, 0), frame, frame + 1, frame + 2, place(FRIEND + n));
        break;
    case 4: lend(hart, 0, frame + 3, 13, RIGHTS, n, FRAMES); break;
    case 5: lend(hart, 1, n % HARTS * EXO_ROWS + 2 + 2 * n, 2, n & 1 ? 3 : 1, n, ROWS); break;
    case 6: lend(hart, 0, MEMBER(CAST), 16, RIGHTS, n, SHARED); break;
    case 7:
        CALL(hart, slice_bind, handle(hart, 1), n % HARTS * EXO_ROWS + 20 + n, name);
        CALL(hart, slice_bind, handle(hart, 1), (n + 1) % HARTS * EXO_ROWS + 20 + n, name);
        break;
    case 8:
        for (uint64_t other = 0; other < CAST; other++) {
            lend(hart, FRIEND + other, MEMBER(other), 1, 7, n, FRIEND + other);
            if (other != n) lend(hart, FRIEND + n, frame, 1, 7, other, FRIEND + n);
        }
        break;
    default: CALL(hart, env_regs, name, EXO_REGS_START); break;
    }
    if (!done) return;
    if (++plan.step < 10) return;
    plan.step = 0;
    plan.member = (plan.member + 1) % CAST;
}

/* ---- the life of a hart ---- */

/* One step of it, so that a hart which slept when all halted makes no further call when it wakes. */
static void live(uint64_t index) {
    struct hart *hart = harts[index];
    if (!random_state) random_state = seed * 1000 + index;
    arch_hart_set(hart);
    bool init = hart->env->frame == info->init_env;
    if (host_interrupt_pending(index)) {
        trap_interrupt(hart);
        return;
    }
    /* init goes on with its plan, and rests between two. */
    if (init && one_in(2) && (plan.step || plan.reaps || one_in(8))) {
        plan_next(hart);
        return;
    }
    switch (random_below(4)) {
    case 0: memory_call(hart); break;
    case 1: tree_call(hart); break;
    case 2: life_call(hart, init); break;
    default: switch_call(hart, init); break;
    }
}

/* ---- the test ---- */

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "history_size=4"; }

static void step_sleep(void) {
    struct timespec time = {0, STEP_NANOSECONDS};
    while (nanosleep(&time, &time) && errno == EINTR) {
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int fail(const char *wrong) {
    fprintf(stderr, "WRONG (seed %lu): %s\n", seed, wrong);
    return 1;
}

int main(int count, char **arguments) {
    double seconds = count > 1 ? atof(arguments[1]) : 20, end = now() + seconds;
    seed = count > 2 ? strtoul(arguments[2], NULL, 0) : 1;
    host_boot(&(struct host_plan){.groups = GROUPS, .harts = HARTS, .asids = 4});
    host_at_point = at_point;
    unsigned rounds = 0;
    for (; now() < end; rounds++) {
        host_fast = rounds & 1;
        threads_free(live);
        for (unsigned step = 0; step < ROUND_STEPS && now() < end; step++) {
            step_sleep();
            __atomic_fetch_add(&host_time, STEP_TICKS, __ATOMIC_RELAXED);
        }
        threads_halt();
        const char *wrong = walk();
        if (wrong) return fail(wrong);
    }
    host_at_point = NULL; /* one hart at a time from here on */
    const char *wrong = recover();
    if (wrong) return fail(wrong);
    uint64_t all = 0, had = 0;
    for (unsigned i = 0; i < HARTS; i++) {
        all += calls[i];
        had += good[i];
    }
    printf("%lu calls (%lu of them good) on %d harts, %u looks of the walker, nothing is wrong\n",
           all, had, HARTS, rounds);
    exit(0); /* the threads wait for ever; the sanitizer has the last word on the status */
}
