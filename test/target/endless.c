/* SPDX-License-Identifier: MIT */
/*
 * endless: Xok's endless slice.  Programs that hand their slice round among
 * themselves, by yield and by calls, have it no longer than the row of the one
 * that has a row; a neighbour gets its own row in time.
 *
 * Run as the first program.  When the command is `1`, nothing else uses the
 * host's time (-icount), and how long the neighbour waits is exact.
 */
#include "calls.h"
#include "check.h"

#define MEMBERS 4
#define TURN 60000 /* microseconds */

static uint64_t slice, at; /* the row of the first member; the neighbour's is the next */
static bool exact;
static struct child members[MEMBERS], neighbour;
static volatile uint64_t rounds[MEMBERS], gap, looks;

static uint64_t own_slot(uint64_t index) { return EXO_CAP_HANDLE(sys_slot(0, index)->word, index); }

/* The longest time for which it did not run. */
static void looks_at_the_clock(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    uint64_t last = now();
    for (;;) {
        uint64_t time = now();
        if (time - last > gap) gap = time - last;
        last = time;
        looks++;
    }
}

/* ---- ways to hand a slice round; each member can reach the next one by its first free slot ---- */

static void yields_on(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) {
        rounds[number]++;
        exo_yield(own_slot(CHILD_SLOT_FREE));
    }
}

/* The first calls the second, which calls the third, and so on; all answer at once. */
static void calls_on(uint64_t number, uint64_t unused) {
    (void)unused;
    struct words words = {{0}, 0};
    for (;;) {
        if (number) words_reply(&words);
        rounds[number]++;
        if (number < MEMBERS - 1) words_call(&words, own_slot(CHILD_SLOT_FREE));
    }
}

/* The last of the chain never answers, and yields to the first, which gives it its time again. */
static void calls_and_yields(uint64_t number, uint64_t unused) {
    (void)unused;
    struct words words = {{0}, 0};
    if (number) words_reply(&words);
    while (number < MEMBERS - 1) {
        rounds[number]++;
        words_call(&words, own_slot(CHILD_SLOT_FREE));
    }
    for (;;) {
        rounds[number]++;
        exo_yield(own_slot(CHILD_SLOT_FREE));
        exo_yield(EXO_NONE);
    }
}

/*
 * Each wakes the next, gives it its time, and sleeps until the one before does
 * the same.  Only the first has a row, so it asks again when the slice of
 * another has ended.
 */
static void wakes_on(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) {
        if (number || rounds[0]) exo_wait(1, number ? EXO_NEVER : now() + microseconds(5));
        rounds[number]++;
        exo_notify(own_slot(CHILD_SLOT_FREE), 1);
        exo_yield(own_slot(CHILD_SLOT_FREE));
    }
}

/* Calls with a deadline that comes before the answer, so that the callee is donated to again and again. */
static void calls_until(uint64_t number, uint64_t unused) {
    (void)unused;
    struct words words = {{0}, 0};
    if (number) {
        for (;;) {
            words_reply(&words);
            uint64_t begin = now();
            while (now() - begin < 300) rounds[number]++;
        }
    }
    for (uint64_t i = 0;; i++) {
        words_call_until(&words, own_slot(CHILD_SLOT_FREE), now() + i % 400);
        rounds[0]++;
        exo_yield(own_slot(CHILD_SLOT_FREE));
    }
}

static const struct {
    const char *what;
    void (*entry)(uint64_t, uint64_t);
} ways[] = {
    {"yield in a circle", yields_on},
    {"call in a chain", calls_on},
    {"yield to who waits for them", calls_and_yields},
    {"wake each other", wakes_on},
    {"call until a deadline", calls_until},
};

static void way_checks(unsigned way, bool urgent) {
    const volatile struct exo_row *rows = rows_map();
    uint64_t rights = EXO_SLICE_BIND | (urgent ? (uint64_t)EXO_SLICE_URGENT : 0);
    uint64_t by = DONE("derive", exo_cap_derive(slice, (uint64_t)mem_slot(), at, 1, rights, 0, 0));
    for (uint64_t i = 0; i < MEMBERS; i++) {
        rounds[i] = 0;
        child_make(&members[i], 0);
    }
    for (uint64_t i = 0; i < MEMBERS; i++) {
        const struct child *next = &members[(i + 1) % MEMBERS];
        child_lend(members[i].env, next->env, next->frame, 1, EXO_ENV_CALL | EXO_ENV_NOTIFY, 0xff,
                   CHILD_SLOT_FREE);
    }
    for (uint64_t i = MEMBERS; i-- > 0;) child_start(&members[i], ways[way].entry, i, 0);
    child_make(&neighbour, 0);
    child_start(&neighbour, looks_at_the_clock, 0, 0);
    exo_slice_bind(slice, at + 1, neighbour.env);
    /* Those without a row begin in this program's time: so that callees accept. */
    for (uint64_t i = MEMBERS - 1; i > 0; i--) exo_yield(members[i].env);
    exo_slice_bind(by, at, members[0].env);
    rest(microseconds(10000));
    gap = looks = 0;
    uint64_t times[2] = {rows[at].time, rows[at + 1].time};
    rest(microseconds(TURN));
    for (int i = 0; i < 2; i++) times[i] = rows[at + (uint64_t)i].time - times[i];
    uint64_t longest = gap, row = sys_info()->row_ticks;
    check(rounds[0] && rounds[1] && looks,
          "%d programs %s%s: %lu rounds, the neighbour looks %lu times", MEMBERS, ways[way].what,
          urgent ? ", urgent" : "", rounds[0], looks);
    if (exact)
        check(longest <= row + row / 50 && times[1] * 106 >= times[0] * 100,
              "its time %lu and theirs %lu; it waits %lu ticks at most, a row has %lu", times[1],
              times[0], longest, row);
    bool good = child_end(&neighbour) == 0;
    for (uint64_t i = 0; i < MEMBERS; i++) good &= child_end(&members[i]) == 0;
    check(good && sys_cap_drop(by, at) == 0, "they are reaped");
    mem_unmap_frames((void *)rows);
}

int main(void) {
    check_begin("endless");
    uint64_t row, count;
    if (!sys_env()->rows || (slice = child_rows(&row, &count)) == EXO_NONE) {
        printf("# no row: nothing to try\n");
        return check_end();
    }
    exact = number_told(0, 0);
    at = row + 8;
    mem_unmap_frames((void *)rows_map());
    warm(40);
    uint64_t before = check_use();
    for (unsigned way = 0; way < 2 * sizeof(ways) / sizeof(ways[0]); way++)
        way_checks(way / 2, way % 2);
    check(check_use() == before, "nothing is lost");
    return check_end();
}
