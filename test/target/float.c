/* SPDX-License-Identifier: MIT */
/*
 * float: the floating-point registers of a program are its own.  Patterns in
 * all 32 and in fcsr, over yields, calls, preemption, stops and other harts;
 * at first use they are zero, whoever used them before and however that ended.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define USERS 3
#define LIVES 60
#define TURN 400000 /* microseconds of a test in which nothing is waited for */

static uint64_t slice = EXO_NONE, harts;
static struct child users[USERS], server, quiet;
static volatile uint64_t wrong, rounds[USERS + 1], not_zero, looked;

/*
 * float_set(seed): a value of its own in each register, and rounding mode and
 * flags by the seed.  float_wrong(seed): how many are not what float_set made.
 * float_zero(): how many are not zero.
 */
void float_set(uint64_t seed);
uint64_t float_wrong(uint64_t seed);
uint64_t float_zero(void);
__asm__(".pushsection .text.float_set, \"ax\"\n"
        ".option push\n.option arch, +d, +zicsr\n"
        ".macro FLOATS op\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "\\op \\n\n.endr\n"
        ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
        "\\op \\n\n.endr\n"
        ".endm\n"
        ".macro FLOAT_SET n\n"
        "addi t0, a0, \\n\nfmv.d.x f\\n, t0\n"
        ".endm\n"
        ".macro FLOAT_WRONG n\n"
        "addi t0, a0, \\n\nfmv.x.d t1, f\\n\nsub t0, t0, t1\nsnez t0, t0\nadd a1, a1, t0\n"
        ".endm\n"
        ".macro FLOAT_ZERO n\n"
        "fmv.x.d t1, f\\n\nsnez t0, t1\nadd a0, a0, t0\n"
        ".endm\n"
        "float_set:\n"
        "FLOATS FLOAT_SET\n"
        "andi t0, a0, 0x7f\n"
        "fscsr t0\n"
        "ret\n"
        "float_wrong:\n"
        "li a1, 0\n"
        "FLOATS FLOAT_WRONG\n"
        "andi t0, a0, 0x7f\n"
        "frcsr t1\n"
        "sub t0, t0, t1\n"
        "snez t0, t0\n"
        "add a0, a1, t0\n"
        "ret\n"
        "float_zero:\n"
        "li a0, 0\n"
        "FLOATS FLOAT_ZERO\n"
        "frcsr t1\n"
        "snez t0, t1\n"
        "add a0, a0, t0\n"
        "ret\n"
        ".option pop\n"
        ".popsection\n");

static uint64_t own_slot(uint64_t index) { return EXO_CAP_HANDLE(sys_slot(0, index)->word, index); }

static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

/* Sees zeros, and then only what it wrote itself: bits 32 and up tell whose they are. */
static void uses(uint64_t number, uint64_t ways) {
    uint64_t found = float_zero(), seed = (number + 1) << 40 | 7 * number;
    not_zero += found;
    looked++;
    for (uint64_t round = 0;; round++, seed += 1ul << 32 | 33) {
        struct words words = {{round, 1, 2, 3, 4, 5}, 0};
        float_set(seed);
        if (ways & 1 && round % 2) exo_yield(EXO_NONE);
        if (ways & 2 && round % 3 == 0) words_call(&words, own_slot(CHILD_SLOT_FREE));
        if (ways & 2 && round % 3 == 1)
            words_call_until(&words, own_slot(CHILD_SLOT_FREE), now() + microseconds(5000));
        if (ways & 4 && round % 4 == 0) exo_wait(1, now() + microseconds(20));
        uint64_t spin = ways & 8 ? 3000 : 10;
        for (uint64_t i = 0; i < spin; i++) wrong += float_wrong(seed);
        rounds[number]++;
    }
}

/* A server keeps its own too, in and between calls. */
static void serves(uint64_t seed, uint64_t unused) {
    (void)unused;
    struct words words = {{0}, 0};
    float_set(seed);
    for (;;) {
        words_reply(&words);
        wrong += float_wrong(seed);
        if (words.word[0] % 2) exo_yield(EXO_NONE);
        wrong += float_wrong(seed);
        float_set(++seed);
    }
}

/* Uses none: nothing of it may be saved or loaded. */
static void uses_none(uint64_t number, uint64_t unused) {
    (void)unused;
    for (;;) {
        rounds[number]++;
        exo_yield(EXO_NONE);
    }
}

static void look_once(uint64_t seed, uint64_t exits) {
    not_zero += float_zero();
    looked++;
    float_set(seed);
    if (exits) exo_exit();
    exo_wait(1, EXO_NEVER);
    wrong += float_wrong(seed);
    looked++;
    exo_exit();
}

static void users_begin(uint64_t ways, uint64_t count) {
    wrong = not_zero = looked = 0;
    child_make(&server, 0);
    child_start(&server, serves, 0x5e5eul << 20, 0);
    run_until(server.env, EXO_STATE_ACCEPT);
    for (uint64_t i = 0; i < count; i++) {
        rounds[i] = 0;
        child_make(&users[i], 0);
        child_lend(users[i].env, server.env, server.frame, 1, EXO_ENV_CALL, 0, CHILD_SLOT_FREE);
        child_start(&users[i], uses, i, ways);
    }
    rounds[USERS] = 0;
    child_make(&quiet, 0);
    child_start(&quiet, uses_none, USERS, 0);
}

static void users_end(const char *what, uint64_t count) {
    bool good = true;
    uint64_t least = rounds[USERS];
    for (uint64_t i = 0; i < count; i++) least = rounds[i] < least ? rounds[i] : least;
    good &= child_end(&server) == 0 && child_end(&quiet) == 0;
    for (uint64_t i = 0; i < count; i++) good &= child_end(&users[i]) == 0;
    check(good && !wrong && !not_zero && looked == count && least > 0,
          "%s: %lu programs, %lu rounds at least: %lu registers wrong, %lu not zero at first", what,
          count, least, wrong, not_zero);
}

/* This program gives them time itself, and uses the registers between. */
static void yield_checks(void) {
    users_begin(3, USERS);
    for (uint64_t i = 0; i < 2000 || !rounds[0]; i++) {
        float_set(i << 33 | i);
        exo_yield(i % 4 < USERS ? users[i % 4].env : quiet.env);
        if (i % 5 == 0) exo_notify(EXO_SELF, 1);
        wrong += float_wrong(i << 33 | i);
    }
    users_end("yields and calls", USERS);
}

static void row_checks(const char *what, uint64_t ways, uint64_t from, bool wander) {
    users_begin(ways, USERS);
    for (uint64_t i = 0; i < USERS; i++) {
        exo_slice_bind(slice, row_of(from) - i, users[i].env);
        if (wander) exo_slice_bind(slice, row_of((from + i + 1) % harts) - USERS - i, users[i].env);
    }
    exo_slice_bind(slice, row_of(from) - 2 * USERS, quiet.env);
    uint64_t end = now() + microseconds(TURN);
    for (uint64_t i = 0; now() < end || !(rounds[0] && rounds[1] && rounds[2] && rounds[3]); i++) {
        float_set(i << 34 | i);
        rest(microseconds(1000));
        wrong += float_wrong(i << 34 | i);
        if (i % 3) continue;
        /* Stopped and started, they have what they had. */
        uint64_t env = users[i / 3 % USERS].env;
        WAIT(exo_env_regs(env, EXO_REGS_STOP).value == 0);
        exo_env_regs(env, EXO_REGS_START);
        if (now() > end + PATIENCE * sys_info()->timebase_hz) break;
    }
    users_end(what, USERS);
}

/* One after the other on the same frames and the same hart: the next never sees the last one's. */
static void life_checks(void) {
    uint64_t reaped = 0;
    wrong = not_zero = looked = 0;
    for (uint64_t i = 0; i < LIVES; i++) {
        struct child child;
        child_make(&child, 0);
        child_start(&child, look_once, (i + 1) << 40 | 0x1234567, i % 2);
        float_set(~i);
        if (i % 2)
            run_to_end(child.env);
        else
            run_until(child.env, EXO_STATE_WAIT);
        if (i % 4 == 2) {
            struct exo_ctx *ctx = mem_map_frames(frame_slot(child.frame), child.frame + 1, 1, R);
            not_zero += ctx->register_f[3] != ((i + 1) << 40 | 0x1234567) + 3;
            mem_unmap_frames(ctx);
            exo_notify(child.env, 1);
            run_to_end(child.env);
        }
        wrong += float_wrong(~i);
        reaped += child_end(&child) == 0;
    }
    check(!wrong && !not_zero && reaped == LIVES && looked == LIVES + LIVES / 4,
          "%d lives on the same frames: %lu wrong, %lu not zero", LIVES, wrong, not_zero);
}

int main(void) {
    check_begin("float");
    uint64_t row, rows;
    harts = sys_info()->hart_count;
    if (sys_env()->rows) slice = child_rows(&row, &rows);
    not_zero = float_zero();
    check(!not_zero, "the first use finds zeros: %lu not", not_zero);
    warm(60);
    uint64_t before = check_use();
    life_checks();
    yield_checks();
    if (slice == EXO_NONE) {
        printf("# no row: nothing is preempted\n");
    } else {
        row_checks("preempted", 8, 0, false);
        row_checks("preempted, calls, sleeps", 15, harts - 1, false);
        if (harts > 1) row_checks("on several harts", 15, 1, true);
    }
    check(check_use() == before, "nothing is lost");
    return check_end();
}
