/* SPDX-License-Identifier: MIT */
/*
 * smp: one hart takes away what another uses at the same moment.
 *
 * Needs a row of another hart; without one it says so and ends well.  Each
 * test runs ROUNDS rounds, or as many as fit in SECONDS on a slow machine, and
 * at the end the words of all frames must be what they were.
 */
#include "check.h"
#include "child.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define ROUNDS 3000
#define SECONDS 2
#define FRAMES 64
#define THREADS_MAX 3
#define OWN 0x0e11                      /* what the other hart may see in the frame */
#define OTHERS 0xbad                    /* what is written after it was taken away */
#define SHARED (EXO_VA_INIT + 0x100000) /* address in the child: its TABLE is there */

static uint64_t memory, first;
static uint64_t slice, harts;
static uint64_t begin; /* of the test under way, in ticks */

static uint64_t now(void) {
    uint64_t time;
    __asm__ volatile("rdtime %0" : "=r"(time));
    return time;
}

static bool late(uint64_t seconds) { return now() - begin > seconds * sys_info()->timebase_hz; }

/* Wait for a condition; false if it does not come. */
#define WAIT(condition)                                               \
    ({                                                                \
        uint64_t begin_ = now();                                      \
        bool came_;                                                   \
        while (!(came_ = (condition)))                                \
            if (now() - begin_ > 10 * sys_info()->timebase_hz) break; \
        came_;                                                        \
    })

/* The row of hart `hart` that these tests use, which no program that init starts gets. */
static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

static struct exo_ctx *ctx_of(uint64_t env_frame) {
    return mem_map_frames(memory, env_frame + 1, 1, R | W);
}

/* Threads of this space, one on each other hart. */
static struct {
    uint64_t env;
    uint64_t frame;
} threads[THREADS_MAX];
static _Alignas(16) char stacks[THREADS_MAX][2048];

static bool threads_start(void (*entry)(uint64_t, uint64_t), uint64_t a1) {
    for (uint64_t i = 0; i < harts - 1; i++) {
        uint64_t frame = threads[i].frame = first + 32 + 2 * i;
        int64_t env = thread_make(frame, entry, (uint64_t)(stacks[i] + sizeof(stacks[i])), i, a1);
        if (env < 0) return false;
        threads[i].env = (uint64_t)env;
        if (exo_slice_bind(slice, row_of(i + 1), threads[i].env).value < 0) return false;
    }
    for (uint64_t i = 0; i < harts - 1; i++) exo_env_regs(threads[i].env, EXO_REGS_START);
    return true;
}

static bool threads_end(void) {
    bool good = true;
    for (uint64_t i = 0; i < harts - 1; i++)
        good &= sys_env_destroy(threads[i].env, threads[i].frame) == 0;
    return good;
}

/* ---- a page is taken away from a hart that reads or writes it ---- */

volatile uint64_t smp_round, smp_fault_round; /* of the assembly below */
static volatile uint64_t seen_round, wrong;

/*
 * Two handlers of the reader.  One says that it has faulted, waits for the next
 * round and tries again.  The other tries again at once: while an entry is
 * replaced it is absent for a moment.
 */
void smp_handler(void);
void smp_retry(void);
__asm__(".pushsection .text.smp_handler, \"ax\"\n.balign 4\n"
        "smp_handler:\n"
        "la t0, smp_round\n"
        "ld t1, 0(t0)\n"
        "la a0, smp_fault_round\n"
        "sd t1, 0(a0)\n"
        "1: ld a1, 0(t0)\n"
        "beq a1, t1, 1b\n"
        "smp_retry:\n"
        "li a7, -5\n" /* resume */
        "ecall\n"
        ".popsection\n");

static void reads(uint64_t address, uint64_t unused) {
    (void)unused;
    for (;;) {
        uint64_t round = smp_round;
        if (*(volatile uint64_t *)address != OWN) wrong++;
        seen_round = round;
    }
}

static void writes(uint64_t address, uint64_t unused) {
    (void)unused;
    for (;;) {
        uint64_t round = smp_round;
        *(volatile uint64_t *)address = OWN;
        seen_round = round;
    }
}

enum taking { UNMAP, PROTECT, REPLACE, REVOKE };

/* Take the page at SHARED away from the child; 0 or an error. */
static int64_t take(enum taking how, struct child *child, uint64_t lender, uint64_t lent) {
    switch (how) {
    case UNMAP: return exo_page_unmap(child->env, SHARED, 1, 0).value;
    case PROTECT: return exo_page_protect(child->env, SHARED, 1, R).value;
    case REPLACE:
        return exo_page_map(child->env, SHARED, lent, first + 1, 1, R | EXO_MAP_REPLACE).value;
    default: return sys_cap_revoke(lender, first);
    }
}

static void taking_test(const char *what, enum taking how, void (*user)(uint64_t, uint64_t)) {
    volatile uint64_t *own = mem_map_frames(memory, first, 2, R | W);
    struct child child;
    uint64_t rounds = 0;
    int64_t error = child_make(&child, 0), lent = 0;
    uint64_t lender =
        (uint64_t)exo_cap_derive(memory, (uint64_t)mem_slot(), first, 2, R | W, 0, 0).value;

    struct exo_ctx *ctx = ctx_of(child.frame);
    ctx->exception_entry = (uint64_t)(how == REPLACE ? smp_retry : smp_handler);
    wrong = smp_round = smp_fault_round = seen_round = 0;
    if (!error) error = child_start(&child, user, SHARED, 0);
    own[0] = own[EXO_FRAME_BYTES / 8] = OWN;
    begin = now();
    /* What is revoked leaves a tombstone, which only the child could clear. */
    uint64_t most = how == REVOKE ? EXO_ENV_SLOTS - CHILD_SLOT_FREE : ROUNDS;
    for (; rounds < most && !late(SECONDS) && error >= 0 && !wrong; rounds++) {
        uint64_t into = CHILD_SLOT_FREE + (how == REVOKE ? rounds : 0);
        if (!rounds || how == REVOKE)
            lent = child_lend(child.env, lender, first, 2, R | W, 0, into);
        uint64_t flags = R | W | EXO_MAP_REPLACE;
        error = lent < 0 ? lent
                         : exo_page_map(child.env, SHARED, (uint64_t)lent, first, 1, flags).value;
        if (!rounds) error = exo_slice_bind(slice, row_of(1), child.env).value;
        if (error < 0) break;
        smp_round++;
        if (!WAIT(seen_round == smp_round || wrong)) error = EXO_EBUSY;
        if (error >= 0) error = take(how, &child, lender, (uint64_t)lent);
        own[0] = OTHERS; /* as who gets the frame next would */
        for (volatile int i = 0; i < 20; i++) {
        }
        if (user == writes && own[0] != OTHERS) wrong++;
        if (error >= 0 && how != REPLACE && !WAIT(smp_fault_round == smp_round)) error = EXO_EBUSY;
        own[0] = OWN;
    }
    check(error >= 0 && !wrong, "%s, %lu rounds: %lu times the other hart went on%s%s", what,
          rounds, wrong, error < 0 ? ", " : "", error < 0 ? sys_error_name(error) : "");
    mem_unmap_frames(ctx);
    mem_unmap_frames((void *)own);
    check(child_end(&child) == 0 && sys_cap_drop(lender, first) == 0, "all of it comes back");
}

/* ---- an environment is stopped and killed while another hart runs it ---- */

static volatile uint64_t ticks;

static void counts(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) ticks++;
}

static void stop_test(void) {
    struct child child;
    uint64_t rounds = 0, failed = 0;
    child_make(&child, 0);
    child_start(&child, counts, 0, 0);
    exo_slice_bind(slice, row_of(1), child.env);
    begin = now();
    for (; rounds < ROUNDS && !late(SECONDS) && !failed; rounds++) {
        uint64_t before = ticks;
        if (!WAIT(ticks != before)) failed++;
        if (!WAIT(exo_env_regs(child.env, EXO_REGS_STOP).value == 0)) failed++;
        before = ticks;
        if (child_state(child.env) != EXO_STATE_STOPPED) failed++;
        for (volatile int i = 0; i < 50; i++) {
        }
        if (ticks != before || exo_env_regs(child.env, EXO_REGS_GET).value) failed++;
        exo_env_regs(child.env, EXO_REGS_START);
    }
    check(!failed, "stopped and started, %lu rounds: %lu times it went on or stood", rounds,
          failed);
    check(child_end(&child) == 0, "it is killed while it runs");
}

static void kill_test(void) {
    uint64_t rounds = 0, failed = 0;
    begin = now();
    for (; rounds < ROUNDS / 10 && !late(SECONDS) && !failed; rounds++) {
        struct child child;
        uint64_t before = ticks;
        if (child_make(&child, 0) || child_start(&child, counts, 0, 0)) failed++;
        if (exo_slice_bind(slice, row_of(1 + rounds % (harts - 1)), child.env).value) failed++;
        if (rounds % 4 && !WAIT(ticks != before)) failed++; /* now and then before it has begun */
        if (child_end(&child)) failed++;
        before = ticks;
        for (volatile int i = 0; i < 50; i++) {
        }
        if (ticks != before) failed++;
    }
    check(!failed, "killed while they run, %lu children: %lu failed", rounds, failed);
}

/* ---- all harts change one space, one tree, one dying environment ---- */

static volatile uint64_t made[THREADS_MAX + 1], made_wrong, ended;

/* Pages and TABLEs of one piece of address space: some calls must fail, and none may be half done. */
static void maps(uint64_t number, uint64_t va) {
    for (uint64_t round = 0; round < ROUNDS / 2 && !late(SECONDS); round++) {
        uint64_t at = va + (round + number) % 4 * 4 * EXO_FRAME_BYTES;
        int64_t value = exo_page_map(EXO_SELF, at, memory, first, 8, R | W).value;
        if (value < 0 && value != EXO_EPRESENT) made_wrong++;
        exo_page_protect(EXO_SELF, at, 4, R);
        exo_page_harvest(EXO_SELF, va, 16);
        /* A range call stops where an interrupt is pending. */
        for (int64_t left = 8; left > 0;) {
            int64_t done = exo_page_unmap(EXO_SELF, at + (uint64_t)(8 - left) * EXO_FRAME_BYTES,
                                          (uint64_t)left, 0)
                               .value;
            if (done < 0) made_wrong++;
            left = done < 0 ? 0 : left - done;
        }
        made[number]++;
    }
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    if (number < THREADS_MAX) exo_exit();
}

/* Each thread works on slots of its own, all of them below one capability. */
static void derives(uint64_t number, uint64_t from) {
    uint64_t into = EXO_HANDLE(2, 1 + 3 * number);
    for (uint64_t round = 0; round < ROUNDS / 2 && !late(SECONDS); round++) {
        struct exo_result own = exo_cap_derive(from, into, first + number, 4, R | W, 0, 0);
        if (own.value < 0) {
            made_wrong++;
            break;
        }
        uint64_t slot = (uint64_t)own.value;
        exo_cap_derive(slot, into + EXO_HANDLE(0, 1), first + number, 2, R, 0, 0);
        struct exo_result moved = exo_cap_grant(slot, 0, into + EXO_HANDLE(0, 2), 0, 0);
        if (moved.value != EXO_ECHILDREN) made_wrong++;
        if (sys_cap_drop(slot, first + number) < 0) made_wrong++;
        /* What was below it is a tombstone, which its number names for ever. */
        const volatile struct exo_cap *below = sys_slot(2, 2 + 3 * number);
        if (exo_cap_drop(EXO_CAP_HANDLE(below->word, 2 + 3 * number) |
                             EXO_HANDLE(0, (2 + 3 * number) & 16),
                         0)
                .value < 0)
            made_wrong++;
        made[number]++;
    }
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    if (number < THREADS_MAX) exo_exit();
}

static void all_harts(const char *what, void (*entry)(uint64_t, uint64_t), uint64_t a1) {
    made_wrong = ended = 0;
    begin = now();
    bool good = threads_start(entry, a1);
    entry(THREADS_MAX, a1);
    good &= WAIT(ended == harts);
    good &= threads_end();
    uint64_t all = made[THREADS_MAX];
    for (int i = 0; i < THREADS_MAX; i++) all += made[i];
    check(good && !made_wrong, "%s by %lu harts, %lu rounds: %lu wrong", what, harts, all,
          made_wrong);
    memset((void *)made, 0, sizeof(made));
}

/* ---- who yields to one environment from all harts gets it one at a time ---- */

static volatile uint64_t inside, entered;

static void enters(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) {
        if (__atomic_fetch_add(&inside, 1, __ATOMIC_ACQUIRE)) made_wrong++;
        entered++;
        __atomic_fetch_sub(&inside, 1, __ATOMIC_RELEASE);
        exo_yield(EXO_NONE);
    }
}

static void yields(uint64_t number, uint64_t env) {
    for (uint64_t round = 0; round < ROUNDS / 2 && !late(SECONDS); round++) {
        int64_t value = exo_yield(env).value;
        if (value && value != EXO_ESTATE) made_wrong++;
        made[number]++;
    }
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    if (number < THREADS_MAX) exo_exit();
}

static void yield_test(void) {
    struct child child;
    child_make(&child, 0);
    child_start(&child, enters, 0, 0);
    all_harts("yields to one child", yields, child.env);
    /* On a busy host its time may be over each time before its first instruction. */
    WAIT(entered || (exo_yield(child.env), false));
    check(entered > 0, "it ran %lu times", entered);
    check(child_end(&child) == 0, "it is reaped");
}

static volatile uint64_t dead_frame;

static void reaps(uint64_t number, uint64_t unused) {
    (void)unused;
    while (dead_frame)
        if (exo_env_reap(dead_frame).value == EXO_EAGAIN) made[number]++;
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    exo_exit();
}

/* All harts reap what has died: the steps of each are the steps of all. */
static void reap_test(void) {
    uint64_t failed = 0, rounds = 0;
    made_wrong = ended = 0;
    begin = now();
    struct child child;
    child_make(&child, 0);
    dead_frame = child.frame;
    threads_start(reaps, 0);
    child_end(&child);
    for (; rounds < ROUNDS / 30 && !late(SECONDS) && !failed; rounds++) {
        if (child_make(&child, 0)) failed++;
        dead_frame = child.frame;
        if (child_end(&child)) failed++;
    }
    dead_frame = 0;
    bool good = WAIT(ended == harts - 1) && threads_end();
    check(good && !failed, "%lu children reaped by %lu harts at once: %lu failed", rounds, harts,
          failed);
    memset((void *)made, 0, sizeof(made));
}

int main(void) {
    check_begin("smp");
    uint64_t row, rows, room;
    slice = child_rows(&row, &rows);
    harts = sys_info()->hart_count;
    if (harts < 2 || slice == EXO_NONE || row + rows < row_of(1)) {
        printf("# there is no other hart, or no row of it was lent: nothing to try\n");
        return check_end();
    }
    if (harts > THREADS_MAX + 1) harts = THREADS_MAX + 1;
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    room = check_room(memory, first, 64);
    while (!sys_env()->caps[1]) sys_slots_add(memory, frame_alloc());
    for (int turn = 0; turn < 2; turn++) { /* libexo links its TABLEs */
        struct child child;
        child_make(&child, 0);
        mem_unmap_frames(ctx_of(child.frame));
        child_end(&child);
    }
    uint64_t before = check_use();
    taking_test("a page unmapped under a reader", UNMAP, reads);
    taking_test("a page unmapped under a writer", UNMAP, writes);
    taking_test("a page protected under a writer", PROTECT, writes);
    taking_test("a page replaced under a reader", REPLACE, reads);
    taking_test("a page revoked under a reader", REVOKE, reads);
    stop_test();
    kill_test();
    all_harts("pages of one space", maps, room);
    all_harts("slots of one tree", derives, memory);
    yield_test();
    reap_test();
    check(check_use() == before, "nothing is lost");
    return check_end();
}
