/* SPDX-License-Identifier: MIT */
/*
 * shares: four programs with 4, 3, 2 and 1 rows of one hart get their shares of
 * it, and a hostile fifth with one row takes nothing away from them.
 *
 * Run as the first program where nothing else uses the host's time (-icount, one
 * hart).  The command tells for how many milliseconds the four run alone, and
 * for how many with the fifth in each of its ways.
 */
#include "calls.h"
#include "check.h"

#define PROGRAMS 4
#define FIFTH PROGRAMS
#define ROWS (4 + 3 + 2 + 1)
#define ALONE 10000 /* milliseconds */
#define TOGETHER 2000
#define PER_MILLE 10       /* by so much a share may differ from the right one */
#define PER_MILLE_FIFTH 20 /* ... and from what it was without a hostile fifth */

static uint64_t slice, at; /* the first row of these, which lie side by side */
static const volatile struct exo_row *rows;
static struct child programs[PROGRAMS + 1], accomplice, accepting;
static const uint64_t shares[PROGRAMS + 1] = {4, 3, 2, 1, 1};
static volatile uint64_t counts[PROGRAMS + 1];

static uint64_t own_slot(uint64_t index) { return EXO_CAP_HANDLE(sys_slot(0, index)->word, index); }

static void counts_on(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) counts[number]++;
}

/* ---- what the fifth does ---- */

static void never_answers(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    struct words words = {{0}, 0};
    words_reply(&words);
    for (;;) counts[FIFTH]++;
}

static void answers_at_once(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    struct words words = {{0}, 0};
    for (;;) words_reply(&words);
}

static void masks(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    volatile struct exo_ctx *ctx = sys_ctx();
    ctx->slice_entry = (uint64_t)counts_on;
    ctx->exception_mask = ~0ul;
    for (;;) {
        ctx->critical = ~0ul;
        ctx->slice_end = EXO_NEVER;
        counts[FIFTH]++;
    }
}

/* An upcall that begins upcalls for ever. */
static void upcalls_on(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    volatile struct exo_ctx *ctx = sys_ctx();
    ctx->slice_entry = (uint64_t)upcalls_on;
    ctx->exception_stack = SYS_VA_STACK_TOP;
    for (;;) {
        ctx->exception_mask = 0;
        ctx->slice_pending = 1;
        counts[FIFTH]++;
        exo_resume();
    }
}

static void waits_on_everything(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (uint64_t i = 0;; i++) {
        exo_notify(EXO_SELF, 1ul << i % 56);
        exo_wait(~0ul, EXO_NEVER);
        exo_wait(~0ul, now() + i % 64);
        exo_wait(0, now());
        counts[FIFTH]++;
    }
}

static void calls_with_tiny_deadlines(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (uint64_t i = 0;; i++) {
        struct words words = {{i, 1, 2, 3, 4, 5}, 0};
        words_call_until(&words, own_slot(CHILD_SLOT_FREE + i % 2), now() + i % 40);
        counts[FIFTH]++;
    }
}

static void notifies(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (uint64_t i = 0;; i++) {
        exo_notify(own_slot(CHILD_SLOT_FREE + 2 + i % PROGRAMS), 1ul << i % 56);
        counts[FIFTH]++;
    }
}

static void yields_round(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (uint64_t i = 0;; i++) {
        exo_yield(i % 5 == 4 ? (uint64_t)EXO_NONE : own_slot(CHILD_SLOT_FREE + 2 + i % 5));
        counts[FIFTH]++;
    }
}

/* Sleeps until its row is current again, to have all of it at once. */
static void sleeps_short(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (uint64_t i = 0;; i++) {
        exo_wait(0, now() + 100 + i % 9000);
        uint64_t begin = now();
        while (now() - begin < i % 7000) counts[FIFTH]++;
    }
}

static const struct {
    const char *what;
    void (*entry)(uint64_t, uint64_t);
    bool urgent;
} ways[] = {
    {"is like the others", NULL, false},
    {"masks its upcalls", masks, false},
    {"has upcalls without end", upcalls_on, false},
    {"waits on everything", waits_on_everything, false},
    {"waits on everything, urgent", waits_on_everything, true},
    {"calls with tiny deadlines", calls_with_tiny_deadlines, false},
    {"notifies all", notifies, false},
    {"yields to all", yields_round, false},
    {"sleeps and takes back, urgent", sleeps_short, true},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* ---- measuring ---- */

struct measure {
    uint64_t time[PROGRAMS + 1], all, counts[PROGRAMS + 1];
};

static void measure_read(struct measure *measure) {
    uint64_t row = at;
    measure->all = 0;
    for (int i = 0; i <= PROGRAMS; i++) {
        measure->time[i] = 0;
        for (uint64_t j = 0; j < shares[i]; j++) measure->time[i] += rows[row++].time;
        measure->counts[i] = counts[i];
        measure->all += measure->time[i];
    }
}

/* What each got in so many milliseconds, while this program sleeps. */
static struct measure measured(uint64_t milliseconds) {
    struct measure before, after;
    rest(microseconds(20000));
    measure_read(&before);
    rest(microseconds(1000 * milliseconds));
    measure_read(&after);
    for (int i = 0; i <= PROGRAMS; i++) {
        after.time[i] -= before.time[i];
        after.counts[i] -= before.counts[i];
    }
    after.all -= before.all;
    return after;
}

static bool near(uint64_t value, uint64_t right, uint64_t per_mille) {
    uint64_t difference = value > right ? value - right : right - value;
    return difference * 1000 <= right * per_mille;
}

static void program_begin(int number, void (*entry)(uint64_t, uint64_t), uint64_t by) {
    uint64_t row = at;
    for (int i = 0; i < number; i++) row += shares[i];
    child_start(&programs[number], entry, (uint64_t)number, 0);
    for (uint64_t i = 0; i < shares[number]; i++) exo_slice_bind(by, row + i, programs[number].env);
}

static void alone_checks(uint64_t milliseconds) {
    struct measure measure = measured(milliseconds);
    uint64_t counted = 0;
    for (int i = 0; i < PROGRAMS; i++) counted += measure.counts[i];
    for (int i = 0; i < PROGRAMS; i++)
        check(near(measure.time[i] * ROWS, measure.all * shares[i], PER_MILLE) &&
                  near(measure.counts[i] * ROWS, counted * shares[i], PER_MILLE),
              "%lu of %d rows, %lu ms: %lu per mille of the time, %lu of the work", shares[i], ROWS,
              milliseconds, measure.time[i] * 1000 / measure.all,
              measure.counts[i] * 1000 / counted);
    check(near(measure.all, microseconds(1000 * milliseconds), PER_MILLE),
          "no time is lost: %lu of %lu ticks", measure.all, microseconds(1000 * milliseconds));
}

/* The fifth lives in this way; how the four fare. */
static void fifth_checks(unsigned way, uint64_t milliseconds, struct measure *usual) {
    uint64_t rights = EXO_SLICE_BIND | (ways[way].urgent ? (uint64_t)EXO_SLICE_URGENT : 0);
    uint64_t by =
        DONE("derive", exo_cap_derive(slice, (uint64_t)mem_slot(), at + ROWS, 1, rights, 0, 0));
    child_make(&programs[FIFTH], 0);
    child_make(&accomplice, 0);
    child_make(&accepting, 0);
    child_start(&accomplice, never_answers, 0, 0);
    child_start(&accepting, answers_at_once, 0, 0);
    run_until(accomplice.env, EXO_STATE_ACCEPT);
    run_until(accepting.env, EXO_STATE_ACCEPT);
    const struct child *others[] = {&accomplice,  &accepting,   &programs[0],
                                    &programs[1], &programs[2], &programs[3]};
    for (uint64_t i = 0; i < 6; i++)
        child_lend(programs[FIFTH].env, others[i]->env, others[i]->frame, 1,
                   EXO_ENV_CALL | EXO_ENV_NOTIFY, ~0ul >> 8, CHILD_SLOT_FREE + i);
    program_begin(FIFTH, ways[way].entry ? ways[way].entry : counts_on, by);
    struct measure measure = measured(milliseconds);
    if (way == 0) *usual = measure;
    uint64_t worst = 0;
    bool good = true;
    for (int i = 0; i < PROGRAMS; i++) {
        /* Work done is what counts: time in its row that the kernel spent for another is lost. */
        uint64_t got = measure.counts[i] * 1000 / usual->counts[i];
        uint64_t lost = got < 1000 ? 1000 - got : 0;
        if (lost > worst) worst = lost;
        good &= measure.time[i] * (ROWS + 1) * 1000 >=
                microseconds(1000 * milliseconds) * shares[i] * (1000 - PER_MILLE_FIFTH);
    }
    /* What the fifth leaves is the others', by their rows. */
    uint64_t four = measure.all - measure.time[FIFTH];
    for (int i = 0; i < PROGRAMS; i++)
        good &= near(measure.time[i] * ROWS, four * shares[i], PER_MILLE_FIFTH);
    /* An urgent row may interrupt its neighbours as often as it likes, which costs them work. */
    check(good && (worst <= PER_MILLE_FIFTH || ways[way].urgent) && counts[FIFTH],
          "a fifth that %s: %lu %lu %lu %lu and %lu per mille; no work less by more than %lu",
          ways[way].what, measure.time[0] * 1000 / measure.all,
          measure.time[1] * 1000 / measure.all, measure.time[2] * 1000 / measure.all,
          measure.time[3] * 1000 / measure.all, measure.time[4] * 1000 / measure.all, worst);
    counts[FIFTH] = 0;
    check(child_end(&programs[FIFTH]) == 0 && child_end(&accomplice) == 0 &&
              child_end(&accepting) == 0 && sys_cap_drop(by, at + ROWS) == 0,
          "it is reaped");
}

int main(void) {
    check_begin("shares");
    uint64_t row, count;
    if (!sys_env()->rows || (slice = child_rows(&row, &count)) == EXO_NONE) {
        printf("# no row: nothing to try\n");
        return check_end();
    }
    at = row + 8;
    rows = rows_map();
    warm(64);
    uint64_t alone = number_told(0, ALONE), together = number_told(1, TOGETHER);
    uint64_t before = check_use();
    for (int i = 0; i < PROGRAMS; i++) {
        child_make(&programs[i], 0);
        program_begin(i, counts_on, slice);
    }
    alone_checks(alone);
    struct measure usual;
    for (unsigned way = 0; way < WAYS; way++) fifth_checks(way, together, &usual);
    bool good = true;
    for (int i = 0; i < PROGRAMS; i++) good &= child_end(&programs[i]) == 0;
    check(good && check_use() == before, "nothing is lost");
    return check_end();
}
