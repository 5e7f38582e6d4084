/* SPDX-License-Identifier: MIT */
/*
 * slice: what a program sees of time.  The upcall before the end of a slice
 * and what holds it back; registers that are saved behind a program's back;
 * directed yield; rows that are taken back.
 *
 * Run as the first program.  When its command is `1`, nothing else uses the
 * host's time (-icount), and times are exact; else only that they are not too
 * short can be asked.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define FRAMES 16
#define SPINNERS 3
#define TURN 300000 /* microseconds of a test in which nothing is waited for */
#define NAPS 100
#define NAPS_FIRST 10
#define WORDS 4 /* children with values in all registers at once */

static uint64_t memory, first, slice, harts;
static bool exact;
static struct child a, b;

static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

static volatile uint64_t counts[8];

static void spins(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) counts[number]++;
}

/* Bind a row; it may take a moment until the hart has left what the row gave it before. */
static bool bind(uint64_t by, uint64_t row, uint64_t env) {
    return WAIT(exo_slice_bind(by, row, env).value == 0);
}

/* ---- the upcall before the end ---- */

/*
 * Where the kernel enters at the end of a slice: keeps all registers that C
 * may destroy and calls slice_handler(CTX).
 */
void slice_upcall(void);
__asm__(".pushsection .text.slice_upcall, \"ax\"\n.balign 4\n"
        "slice_upcall:\n"
        "addi sp, sp, -96\n"
        "sd x7, 0(sp)\n"
        "sd x12, 8(sp)\n"
        "sd x13, 16(sp)\n"
        "sd x14, 24(sp)\n"
        "sd x15, 32(sp)\n"
        "sd x16, 40(sp)\n"
        "sd x28, 48(sp)\n"
        "sd x29, 56(sp)\n"
        "sd x30, 64(sp)\n"
        "sd x31, 72(sp)\n"
        "li a0, 0x3ff000\n"
        "jal slice_handler\n"
        "ld x7, 0(sp)\n"
        "ld x12, 8(sp)\n"
        "ld x13, 16(sp)\n"
        "ld x14, 24(sp)\n"
        "ld x15, 32(sp)\n"
        "ld x16, 40(sp)\n"
        "ld x28, 48(sp)\n"
        "ld x29, 56(sp)\n"
        "ld x30, 64(sp)\n"
        "ld x31, 72(sp)\n"
        "li a7, -5\n" /* resume */
        "ecall\n"
        ".popsection\n");

enum { GO_ON, GIVE_UP, OVERRUN };
static volatile uint64_t handler_does, upcalls, upcall_wrong, pending_seen;
static volatile int64_t left_most, left_least; /* ticks until the end of the slice */
static _Alignas(16) char upcall_stack[1024];

void slice_handler(struct exo_ctx *ctx);
void slice_handler(struct exo_ctx *ctx) {
    int64_t left = (int64_t)(ctx->slice_end - now());
    upcalls++;
    upcall_wrong += ctx->exception_cause != EXO_CAUSE_SLICE || !ctx->exception_mask;
    upcall_wrong += ctx->exception_pc - (uint64_t)_start > (uint64_t)(__image_end - _start);
    if (left > left_most) left_most = left;
    if (left < left_least) left_least = left;
    if (handler_does == GIVE_UP) exo_yield(EXO_NONE);
    uint64_t end = ctx->slice_end;
    while (handler_does == OVERRUN && now() < end) {
    }
}

static void upcall_begin(void) {
    volatile struct exo_ctx *ctx = sys_ctx(); /* whose reader no compiler knows */
    ctx->slice_entry = (uint64_t)slice_upcall;
    ctx->exception_stack = (uint64_t)(upcall_stack + sizeof(upcall_stack));
}

/* Runs on, with registers that the handler must not change. */
static void told(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    upcall_begin();
    spins(0, 0);
}

/* Is in a critical section of so many ticks, again and again. */
static void critical(uint64_t ticks, uint64_t masks) {
    volatile struct exo_ctx *ctx = sys_ctx();
    upcall_begin();
    for (;;) {
        if (masks)
            ctx->exception_mask = 1;
        else
            ctx->critical = 1;
        uint64_t before = upcalls, begin = now();
        while (now() - begin < ticks) {
        }
        upcall_wrong += upcalls != before;
        if (ctx->slice_pending) pending_seen++;
        if (masks) ctx->exception_mask = 0;
        ctx->critical = 0;
        if (ctx->slice_pending) {
            ctx->slice_pending = 0;
            exo_yield(EXO_NONE);
        }
        counts[0]++;
    }
}

/* In a handler of its own when the end comes: resume finds it pending. */
void breakpoint_upcall(void);
__asm__(".pushsection .text.breakpoint_upcall, \"ax\"\n.balign 4\n"
        "breakpoint_upcall:\n"
        "li a0, 0x3ff000\n"
        "ld a1, 0(a0)\n" /* exception_pc: behind the ebreak */
        "addi a1, a1, 4\n"
        "sd a1, 0(a0)\n"
        "rdtime t0\n"
        "li t1, 8000\n" /* most of a slice */
        "add t0, t0, t1\n"
        "1: rdtime t1\n"
        "bltu t1, t0, 1b\n"
        "li a7, -5\n" /* resume */
        "ecall\n"
        ".popsection\n");

static void breaks(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    upcall_begin();
    volatile struct exo_ctx *ctx = sys_ctx();
    ctx->exception_entry = (uint64_t)breakpoint_upcall;
    for (;;) {
        __asm__ volatile(".option push\n.option norvc\nebreak\n.option pop" ::: "memory");
        counts[0]++;
        if (ctx->exception_mask) upcall_wrong++;
    }
}

/* Two children on one hart, the first with upcalls, the other a neighbour. */
static void upcalls_begin(uint64_t hart, void (*entry)(uint64_t, uint64_t), uint64_t a0,
                          uint64_t a1, uint64_t does) {
    handler_does = does;
    upcalls = upcall_wrong = pending_seen = 0;
    left_most = INT64_MIN;
    left_least = INT64_MAX;
    counts[0] = counts[1] = 0;
    child_make(&a, 0);
    child_make(&b, 0);
    child_start(&a, entry, a0, a1);
    child_start(&b, spins, 1, 0);
    bind(slice, row_of(hart), a.env);
    bind(slice, row_of(hart) - 1, b.env);
}

static void upcalls_end(const char *what) {
    check(child_end(&a) == 0 && child_end(&b) == 0, "%s: reaped", what);
}

/*
 * When the timer of a busy host is late there is no upcall, since the slice is
 * over; and the program may get no further than the first instruction of its
 * handler.  So times and how many are asked for when they are exact only.
 */
static void upcall_checks(uint64_t hart) {
    int64_t grace = (int64_t)sys_info()->grace_ticks;
    static const char *const names[] = {"goes on", "gives up", "overruns"};
    for (uint64_t does = GO_ON; does <= OVERRUN; does++) {
        upcalls_begin(hart, told, 0, 0, does);
        rest(microseconds(TURN));
        check(!upcall_wrong && counts[0] && counts[1],
              "hart %lu: %lu upcalls, the handler %s: %lu wrong", hart, upcalls, names[does],
              upcall_wrong);
        if (exact && does != OVERRUN) /* then some come late, by resume */
            check(upcalls > TURN / 2500 && left_most <= grace && left_least > grace / 2,
                  "%ld ticks before the end, which is %ld to %ld", grace, left_least, left_most);
        upcalls_end(names[does]);
    }
    for (uint64_t masks = 0; masks < 2; masks++) {
        upcalls_begin(hart, critical, microseconds(600), masks, GO_ON);
        rest(microseconds(TURN));
        check(!upcall_wrong && counts[0] && counts[1] && (!exact || pending_seen > 50),
              "%s: %lu times only pending, %lu upcalls in it", masks ? "masked" : "critical",
              pending_seen, upcall_wrong);
        upcalls_end(masks ? "masked" : "critical");
    }
    upcalls_begin(hart, breaks, 0, 0, GO_ON);
    rest(microseconds(TURN));
    check(!upcall_wrong && counts[0] && counts[1] && (!exact || upcalls > 50),
          "%lu upcalls, most by resume: %lu wrong", upcalls, upcall_wrong);
    upcalls_end("resume");
}

/* ---- registers, saved at any instruction ---- */

/*
 * registers_hold(seed): all registers but t6 (x31) get a value of their own, t5
 * is a sum over the others, and for ever the sum is made again in t6.  When it
 * differs registers_wrong is counted, else registers_good grows by x5.
 */
void registers_hold(uint64_t seed, uint64_t number);
static volatile uint64_t registers_wrong;
static volatile uint64_t registers_good[WORDS];
__asm__(".pushsection .text.registers_hold, \"ax\"\n"
        ".macro SUM\n"
        "mv x31, x1\n"
        ".irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23\n"
        "slli x31, x31, 1\n"
        "add x31, x31, x\\n\n"
        ".endr\n"
        ".irp n, 24, 25, 26, 27, 28, 29\n"
        "slli x31, x31, 1\n"
        "add x31, x31, x\\n\n"
        ".endr\n"
        ".endm\n"
        "registers_hold:\n"
        "mv x31, a0\n"
        "slli x29, a1, 3\n"
        "la x30, registers_good\n"
        "add x29, x29, x30\n" /* x29 is the address to count at */
        "mv x5, x31\n"
        ".irp n, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23\n"
        "slli x30, x31, 5\n"
        "add x31, x31, x30\n"
        "addi x31, x31, \\n\n"
        "mv x\\n, x31\n"
        ".endr\n"
        ".irp n, 24, 25, 26, 27, 28\n"
        "slli x30, x31, 5\n"
        "add x31, x31, x30\n"
        "addi x31, x31, \\n\n"
        "mv x\\n, x31\n"
        ".endr\n"
        "SUM\n"
        "mv x30, x31\n"
        "1: SUM\n"
        "bne x31, x30, 2f\n"
        "amoadd.d zero, x5, (x29)\n"
        "j 1b\n"
        "2: la x30, registers_wrong\n"
        "li x5, 1\n"
        "amoadd.d zero, x5, (x30)\n"
        "3: j 3b\n"
        ".popsection\n");

/* Children that hold values on each hart, two a row each, while rows end and other harts ask. */
static void register_checks(void) {
    struct child holders[WORDS];
    const volatile struct exo_row *rows = rows_map();
    uint64_t stops = 0, ready = 0, time = 0;
    registers_wrong = 0;
    for (uint64_t i = 0; i < WORDS; i++) {
        registers_good[i] = 0;
        child_make(&holders[i], 0);
        child_start(&holders[i], registers_hold, 0x1234567 * (i + 1) | 1, i);
        /* Several rows each: some on two harts, so that they move between them. */
        for (uint64_t j = 0; j < 2; j++)
            bind(slice, row_of((i + j) % harts) - 2 - i * 2 - j, holders[i].env);
    }
    uint64_t end = now() + microseconds(exact ? TURN : 5 * TURN);
    while (now() < end) {
        rest(microseconds(700));
        struct child *one = &holders[stops % WORDS];
        if (WAIT(exo_env_regs(one->env, EXO_REGS_STOP).value == 0)) stops++;
        exo_env_regs(one->env, EXO_REGS_GET);
        exo_env_regs(one->env, EXO_REGS_SET);
        ready += exo_env_regs(one->env, EXO_REGS_START).value == 0;
    }
    bool good = ready == stops;
    for (uint64_t i = 0; i < WORDS; i++) {
        good &= registers_good[i] != 0;
        for (uint64_t j = 0; j < 2; j++) time += rows[row_of((i + j) % harts) - 2 - i * 2 - j].time;
    }
    check(good && !registers_wrong,
          "all registers of %d programs, about %lu slices and %lu stops: %lu wrong", WORDS,
          time / sys_info()->row_ticks, stops, registers_wrong);
    for (uint64_t i = 0; i < WORDS; i++) good &= child_end(&holders[i]) == 0;
    check(good, "they are reaped");
    mem_unmap_frames((void *)rows);
}

/* ---- directed yield ---- */

static volatile uint64_t helped, helped_end;

static void is_helped(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (;;) {
        helped++;
        helped_end = sys_ctx()->slice_end;
        exo_yield(EXO_NONE);
    }
}

/* The target runs in the rest of this slice, and that is charged to this one's row. */
static void yield_checks(void) {
    uint64_t same = 0, times = 0, refused = 0;
    const volatile struct exo_row *rows = rows_map();
    child_make(&a, 0);
    child_start(&a, is_helped, 0, 0);
    while (times < 200) {
        uint64_t before = helped, end = sys_ctx()->slice_end;
        if (exo_yield(a.env).value) refused++;
        if (helped != before) times++, same += helped_end == end;
    }
    check(!refused && same * 10 >= times * 9,
          "%lu yields to one without a row: %lu times its slice ended with this one's", times,
          same);
    check(rows[0].time > 0, "all of it is this row's time");
    exo_env_regs(a.env, EXO_REGS_STOP);
    REFUSED(STATE, "yield to what is stopped", exo_yield(a.env));
    exo_env_regs(a.env, EXO_REGS_START);
    child_end(&a);
    mem_unmap_frames((void *)rows);
}

/* ---- rows that are taken back ---- */

static volatile uint64_t late_most, late_sum, naps, greedy;

/* Sleeps until a time, again and again, and tells how late it woke. */
static void naps_on(uint64_t ticks, uint64_t then_spins) {
    for (;;) {
        uint64_t deadline = now() + ticks;
        exo_wait(0, deadline);
        uint64_t late = now() - deadline;
        if ((int64_t)late < 0) greedy++;
        if (late > late_most) late_most = late;
        late_sum += late;
        /* At first the row has not had its turn in this round. */
        if (++naps == NAPS_FIRST) late_most = late_sum = 0;
        if (then_spins) {
            uint64_t end = now() + then_spins;
            while (now() < end) {
            }
        }
    }
}

/* SPINNERS rows are busy; how late is one that sleeps, by a row with these rights? */
static uint64_t nap_test(uint64_t hart, uint64_t rights, uint64_t spin) {
    struct child spinners[SPINNERS];
    uint64_t at = row_of(hart) - SPINNERS;
    uint64_t own =
        DONE("derive", exo_cap_derive(slice, (uint64_t)mem_slot(), at - 1, 1, rights, 0, 0));
    late_most = late_sum = naps = greedy = 0;
    for (uint64_t i = 0; i < SPINNERS; i++) {
        child_make(&spinners[i], 0);
        child_start(&spinners[i], spins, i, 0);
        bind(slice, at + i, spinners[i].env);
    }
    child_make(&a, 0);
    child_start(&a, naps_on, microseconds(1370), spin);
    bind(own, at - 1, a.env);
    bool came = WAIT(naps >= NAPS + NAPS_FIRST);
    uint64_t average = late_sum / (naps > NAPS_FIRST ? naps - NAPS_FIRST : 1);
    check(came && !greedy, "%s row: %lu naps, %lu ticks late on average, %lu at most",
          rights & EXO_SLICE_URGENT ? "an urgent" : "a usual", naps, average, late_most);
    child_end(&a);
    for (uint64_t i = 0; i < SPINNERS; i++) child_end(&spinners[i]);
    sys_cap_drop(own, at - 1);
    return late_most;
}

static void urgent_checks(uint64_t hart) {
    uint64_t usual = nap_test(hart, EXO_SLICE_BIND, 0);
    uint64_t urgent = nap_test(hart, EXO_SLICE_BIND | EXO_SLICE_URGENT, 0);
    if (!exact) return;
    check(usual > sys_info()->row_ticks, "a usual one waits for its turn");
    check(urgent < microseconds(100), "an urgent one takes its row back at once");
}

/* An urgent row takes no more than a row's time in a round, however it sleeps. */
static void urgent_share_checks(void) {
    const volatile struct exo_row *rows = rows_map();
    struct child spinners[SPINNERS];
    uint64_t at = row_of(0) - SPINNERS, before[SPINNERS + 1], least = ~0ul, urgent;
    uint64_t own = DONE("derive", exo_cap_derive(slice, (uint64_t)mem_slot(), at - 1, 1,
                                                 EXO_SLICE_BIND | EXO_SLICE_URGENT, 0, 0));
    for (uint64_t i = 0; i < SPINNERS; i++) {
        child_make(&spinners[i], 0);
        child_start(&spinners[i], spins, i, 0);
        bind(slice, at + i, spinners[i].env);
    }
    child_make(&a, 0);
    child_start(&a, naps_on, microseconds(10), microseconds(230));
    bind(own, at - 1, a.env);
    rest(microseconds(20000));
    for (uint64_t i = 0; i <= SPINNERS; i++) before[i] = rows[at - 1 + i].time;
    uint64_t begin = now();
    rest(microseconds(TURN));
    uint64_t all = now() - begin;
    urgent = rows[at - 1].time - before[0];
    for (uint64_t i = 1; i <= SPINNERS; i++) {
        uint64_t time = rows[at - 1 + i].time - before[i];
        if (time < least) least = time;
    }
    /* A row's time in a round, and the most that may still be left of the round before. */
    check(urgent <= all / (SPINNERS + 1) * 102 / 100, "an urgent row got %lu of %lu ticks", urgent,
          all);
    check(least >= all / (SPINNERS + 1) * 98 / 100, "its neighbours %lu at least", least);
    child_end(&a);
    for (uint64_t i = 0; i < SPINNERS; i++) child_end(&spinners[i]);
    sys_cap_drop(own, at - 1);
    mem_unmap_frames((void *)rows);
}

/* Who wakes while its row is current takes the rest of it from whoever fills it. */
static void rest_checks(void) {
    const volatile struct exo_row *rows = rows_map();
    child_make(&a, 0);
    child_make(&b, 0);
    late_most = late_sum = naps = greedy = 0;
    child_start(&a, naps_on, microseconds(100), microseconds(20));
    child_start(&b, spins, 0, 0);
    bind(slice, row_of(0), a.env);
    bind(slice, row_of(0) - 1, b.env);
    uint64_t before[2], time[2];
    rest(microseconds(10000));
    for (uint64_t i = 0; i < 2; i++) before[i] = rows[row_of(0) - i].time;
    uint64_t count = naps;
    rest(microseconds(TURN));
    count = naps - count;
    for (uint64_t i = 0; i < 2; i++) time[i] = rows[row_of(0) - i].time - before[i];
    check(count > TURN / 500, "one that sleeps 100 us of 120 wakes %lu times", count);
    check(time[1] > 4 * time[0] && time[0] > 0, "its time %lu, what fills its row has %lu", time[0],
          time[1]);
    child_end(&a);
    child_end(&b);
    mem_unmap_frames((void *)rows);
}

int main(void) {
    check_begin("slice");
    uint64_t row, rows;
    if (!sys_env()->rows || (slice = child_rows(&row, &rows)) == EXO_NONE) {
        printf("# no row: nothing to try\n");
        return check_end();
    }
    exact = number_told(0, 0);
    harts = sys_info()->hart_count;
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    mem_unmap_frames((void *)rows_map());
    warm(64);
    uint64_t before = check_use();
    for (uint64_t hart = 0; hart < harts && hart < 2; hart++) {
        upcall_checks(hart);
        urgent_checks(hart);
    }
    register_checks();
    yield_checks();
    if (exact) {
        urgent_share_checks();
        rest_checks();
    }
    check(check_use() == before, "nothing is lost");
    return check_end();
}
