/* SPDX-License-Identifier: MIT */
/*
 * kills: environments killed in every state in which one can be, again and
 * again, and the machine is as it was.
 *
 * Run as the first program; the command tells how many are killed.  Most are
 * threads of this space, which are cheap; each eighth is a child with a space
 * of its own.  Who has called a victim must be told at once.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define KILLS 2000
#define HELPERS 4
#define CHECKED 500 /* kills between two looks at everything */

static uint64_t slice, harts;
static uint64_t first; /* frames of threads: ENV and CTX of the helpers, the server, the victim */

static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

/* ---- helpers: a thread on each hart that calls when it is asked to ---- */

static struct {
    uint64_t env, frame;
    volatile uint64_t callee; /* a handle: call it */
    volatile int64_t result;
    volatile uint64_t done;
    volatile uint64_t deadline;
} helpers[HELPERS], server;
static _Alignas(16) char stacks[HELPERS + 2][1024];

static void helps(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) {
        exo_wait(1, EXO_NEVER);
        if (!helpers[number].callee) continue;
        struct words words = {{0, 1, 2, 3, 4, 5}, 0};
        if (helpers[number].deadline == EXO_NEVER)
            words_call(&words, helpers[number].callee);
        else
            words_call_until(&words, helpers[number].callee, now() + helpers[number].deadline);
        helpers[number].result = words_result(&words);
        helpers[number].callee = 0;
        helpers[number].done = 1;
    }
}

/* Answers when it is notified. */
static void serves(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    struct words words = {{0}, 0};
    for (;;) {
        words_reply(&words);
        exo_wait(1, EXO_NEVER);
    }
}

static void helper_calls(uint64_t number, uint64_t callee, uint64_t deadline) {
    helpers[number].done = 0;
    helpers[number].deadline = deadline;
    helpers[number].callee = callee;
    exo_notify(helpers[number].env, 1);
}

/* ---- victims ---- */

static volatile uint64_t alive; /* counts while one runs */

static void float_dirty(void) {
    __asm__ volatile(
        ".option push\n.option arch, +d\nfmv.d.x f5, sp\nfadd.d f6, f5, f5\n.option pop");
}

/* A victim's life; `callee` is a handle of the server in its table. */
static void spins(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    for (;;) alive++;
}

static void spins_float(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    for (;; alive++) float_dirty();
}

static void yields_float(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    for (;; alive++) {
        float_dirty();
        exo_yield(EXO_NONE);
    }
}

static void waits(uint64_t callee, uint64_t deadline) {
    (void)callee;
    for (;; alive++) exo_wait(1, deadline);
}

static void naps(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    for (uint64_t i = 0;; i++, alive++) exo_wait(1, now() + i % 300);
}

static void accepts(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    struct words words = {{0}, 0};
    for (;; alive++) words_reply(&words);
}

static void calls(uint64_t callee, uint64_t deadline) {
    struct words words = {{0}, 0};
    for (;; alive++) {
        if (deadline == EXO_NEVER)
            words_call(&words, callee);
        else
            words_call_until(&words, callee, now() + deadline);
    }
}

static void accepts_and_spins(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    struct words words = {{0}, 0};
    words_reply(&words);
    for (;;) alive++;
}

static void accepts_and_yields(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    struct words words = {{0}, 0};
    words_reply(&words);
    for (;; alive++) {
        float_dirty();
        exo_yield(EXO_NONE);
    }
}

static void accepts_and_waits(uint64_t callee, uint64_t deadline) {
    (void)callee;
    struct words words = {{0}, 0};
    words_reply(&words);
    for (;; alive++) exo_wait(1, deadline);
}

static void accepts_and_calls(uint64_t callee, uint64_t unused) {
    (void)unused;
    struct words words = {{0}, 0};
    words_reply(&words);
    for (;; alive++) words_call(&words, callee);
}

static void faults(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    __asm__ volatile("ebreak");
}

static void exits(uint64_t callee, uint64_t unused) {
    (void)callee, (void)unused;
    exo_exit();
}

/* How a victim comes into its state. */
enum {
    STARTED = 1, /* it is started */
    ROW = 2,     /* it has rows */
    CALLED = 4,  /* a helper calls it */
    TURN = 8,    /* this program gives it its own time */
    ANY = 16,    /* no matter what state it is in */
    SERVED = 32  /* it calls the server */
};

#define READY EXO_STATE_READY
#define INCALL EXO_FLAG_INCALL
static const struct {
    const char *what;
    void (*entry)(uint64_t, uint64_t);
    uint64_t a1, how;
    int64_t state; /* and flags */
} kinds[] = {
    {"STOPPED, never started", spins, 0, 0, EXO_STATE_STOPPED},
    {"READY, never run", spins, 0, STARTED, READY},
    {"READY", yields_float, 0, STARTED | TURN, READY},
    {"RUN", spins, 0, STARTED | ROW, EXO_STATE_RUN},
    {"RUN, floating point", spins_float, 0, STARTED | ROW, EXO_STATE_RUN},
    {"yielding", yields_float, 0, STARTED | ROW | ANY, 0},
    {"WAIT", waits, EXO_NEVER, STARTED | TURN, EXO_STATE_WAIT},
    {"WAIT with rows", waits, EXO_NEVER, STARTED | ROW, EXO_STATE_WAIT},
    {"WAIT with a deadline", waits, EXO_NEVER - 1, STARTED | ROW, EXO_STATE_WAIT},
    {"waking by deadlines", naps, 0, STARTED | ROW | ANY, 0},
    {"ACCEPT", accepts, 0, STARTED | TURN, EXO_STATE_ACCEPT},
    {"called and answering", accepts, 0, STARTED | TURN | CALLED | ANY, 0},
    {"CALLING", calls, EXO_NEVER, STARTED | TURN | SERVED, EXO_STATE_CALLING},
    {"CALLING with rows", calls, EXO_NEVER, STARTED | ROW | SERVED, EXO_STATE_CALLING},
    {"CALLING with a deadline", calls, 1ul << 50, STARTED | ROW | SERVED, EXO_STATE_CALLING},
    {"calling until deadlines", calls, 200, STARTED | ROW | SERVED | ANY, 0},
    {"INCALL and RUN", accepts_and_spins, 0, STARTED | TURN | CALLED, INCALL | EXO_STATE_RUN},
    {"INCALL and READY", accepts_and_yields, 0, STARTED | TURN | CALLED | ANY, 0},
    {"INCALL and WAIT", accepts_and_waits, EXO_NEVER, STARTED | TURN | CALLED,
     INCALL | EXO_STATE_WAIT},
    {"INCALL and WAIT with rows", accepts_and_waits, EXO_NEVER - 1, STARTED | TURN | CALLED | ROW,
     INCALL | EXO_STATE_WAIT},
    {"INCALL and CALLING", accepts_and_calls, 0, STARTED | TURN | CALLED | SERVED,
     INCALL | EXO_STATE_CALLING},
    {"STOPPED by a fault", faults, 0, STARTED | TURN, EXO_FLAG_FAULT | EXO_STATE_STOPPED},
    {"exiting", exits, 0, STARTED | ROW | ANY, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static uint64_t wrong[KINDS], missed[KINDS];

struct victim {
    struct child child;
    uint64_t env, frame;
    bool thread;
};

/* Handle of the server in the victim's table. */
static uint64_t victim_make(struct victim *victim, bool thread) {
    *victim = (struct victim){.thread = thread};
    if (thread) {
        victim->frame = first + 2 * (HELPERS + 1);
        victim->env = (uint64_t)thread_make(victim->frame, spins, 0, 0, 0);
        return server.env;
    }
    child_make(&victim->child, 0);
    victim->frame = victim->child.frame;
    victim->env = victim->child.env;
    return (uint64_t)child_lend(victim->env, server.env, server.frame, 1, EXO_ENV_CALL, 0,
                                CHILD_SLOT_FREE);
}

static int64_t victim_end(struct victim *victim) {
    return victim->thread ? sys_env_destroy(victim->env, victim->frame) : child_end(&victim->child);
}

/* On this program's own hart, what runs otherwise is ready now. */
static bool is_there(uint64_t env, unsigned kind, uint64_t hart) {
    int64_t state = child_state(env), want = kinds[kind].state;
    bool runs = (want & EXO_STATE_MASK) == EXO_STATE_RUN;
    return state == want || (runs && hart == 0 && state == want - EXO_STATE_RUN + READY);
}

/* Bring a victim into its state; false if it does not get there. */
static bool victim_reach(const struct victim *victim, unsigned kind, uint64_t hart,
                         uint64_t callee) {
    uint64_t how = kinds[kind].how, env = victim->env;
    bool called = how & CALLED;
    child_set(env, kinds[kind].entry,
              victim->thread ? (uint64_t)(stacks[HELPERS + 1] + sizeof(stacks[0]))
                             : SYS_VA_STACK_TOP,
              callee, kinds[kind].a1);
    if (how & STARTED && exo_env_regs(env, EXO_REGS_START).value) return false;
    if (how & TURN && called && !run_until(env, EXO_STATE_ACCEPT)) return false;
    if (how & TURN && !called && kinds[kind].state != EXO_STATE_READY) {
        if (!WAIT(child_state(env) == kinds[kind].state || (exo_yield(env), false))) return false;
    } else if (how & TURN && !called) {
        exo_yield(env);
    }
    if (how & ROW) {
        WAIT(exo_slice_bind(slice, row_of(hart) - 1, env).value == 0);
        if (kind % 2) WAIT(exo_slice_bind(slice, row_of((hart + 1) % harts) - 2, env).value == 0);
    }
    if (called) helper_calls(hart, env, kind % 3 ? EXO_NEVER : 1ul << 50);
    if (how & ANY) return true;
    return WAIT(is_there(env, kind, hart));
}

/* The server that was called is ready for the next. */
static bool server_reset(void) {
    return WAIT(state_of(server.env) == EXO_STATE_ACCEPT ||
                (exo_notify(server.env, 1), exo_yield(server.env), false));
}

static void kill_one(uint64_t round) {
    unsigned kind = (unsigned)(round % KINDS);
    uint64_t hart = (round / KINDS) % harts % HELPERS;
    /* Some are killed a moment later. */
    uint64_t later = round / KINDS % 5;
    struct victim victim;
    uint64_t callee = victim_make(&victim, round % 8 != 0);
    if (!victim_reach(&victim, kind, hart, callee)) missed[kind]++;
    for (uint64_t begin = now(); now() - begin < later * 30;) {
    }
    bool good = victim_end(&victim) == 0;
    if (kinds[kind].how & CALLED) {
        /* Its caller is told that there will be no answer, or had one before. */
        good &= WAIT(helpers[hart].done);
        int64_t result = helpers[hart].result;
        good &=
            result == EXO_EBROKEN ||
            (kinds[kind].how & ANY && (result == 1 || result == EXO_EDYING || result == EXO_ESLOT ||
                                       result == EXO_ERANGE || result == EXO_ERIGHTS));
    }
    if (kinds[kind].how & SERVED) good &= server_reset();
    if (!good) wrong[kind]++;
}

static bool helpers_begin(void) {
    bool good = true;
    for (uint64_t i = 0; i < harts && i < HELPERS; i++) {
        helpers[i].frame = first + 2 * i;
        int64_t env =
            thread_make(helpers[i].frame, helps, (uint64_t)(stacks[i] + sizeof(stacks[i])), i, 0);
        helpers[i].env = (uint64_t)env;
        good &= env > 0 && exo_slice_bind(slice, row_of(i), helpers[i].env).value == 0;
        good &= exo_env_regs(helpers[i].env, EXO_REGS_START).value == 0;
    }
    server.frame = first + 2 * HELPERS;
    int64_t env = thread_make(server.frame, serves,
                              (uint64_t)(stacks[HELPERS] + sizeof(stacks[HELPERS])), 0, 0);
    server.env = (uint64_t)env;
    good &= env > 0 && exo_env_regs(server.env, EXO_REGS_START).value == 0;
    return good && run_until(server.env, EXO_STATE_ACCEPT);
}

static bool helpers_end(void) {
    bool good = sys_env_destroy(server.env, server.frame) == 0;
    for (uint64_t i = 0; i < harts && i < HELPERS; i++)
        good &= sys_env_destroy(helpers[i].env, helpers[i].frame) == 0;
    return good;
}

/* Helpers and server sleep, so that their state words are what they were. */
static bool all_quiet(void) {
    bool good = WAIT(state_of(server.env) == EXO_STATE_ACCEPT);
    for (uint64_t i = 0; i < harts && i < HELPERS; i++)
        good &= WAIT(state_of(helpers[i].env) == EXO_STATE_WAIT);
    return good;
}

int main(void) {
    check_begin("kills");
    uint64_t row, rows, kills = number_told(0, KILLS), round = 0, leaks = 0;
    if (!sys_env()->rows || (slice = child_rows(&row, &rows)) == EXO_NONE) {
        printf("# no row: nothing to try\n");
        return check_end();
    }
    harts = sys_info()->hart_count;
    first = frame_alloc_range(2 * (HELPERS + 2), 1, NULL);
    warm(40);
    uint64_t begin = check_use();
    check(helpers_begin(), "the helpers begin");
    all_quiet();
    for (; round < 2 * KINDS; round++) kill_one(round);
    all_quiet();
    uint64_t before = check_use(), time = now();
    for (round = 0; round < kills && !leaks; round++) {
        kill_one(round);
        if (round % CHECKED == CHECKED - 1 && (!all_quiet() || check_use() != before)) leaks++;
    }
    uint64_t each = (now() - time) * 1000000 / sys_info()->timebase_hz / (kills ? kills : 1);
    for (unsigned kind = 0; kind < KINDS; kind++)
        check(!wrong[kind] && !missed[kind], "%s: %lu wrong, %lu did not come so far",
              kinds[kind].what, wrong[kind], missed[kind]);
    check(!leaks && all_quiet() && check_use() == before,
          "%lu killed, %lu us each: nothing is lost", round, each);
    check(helpers_end() && check_use() == begin, "the helpers end, and nothing is lost");
    return check_end();
}
