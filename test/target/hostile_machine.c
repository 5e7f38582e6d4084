/* SPDX-License-Identifier: MIT */
/*
 * hostile_machine: calls that do not exist, the calls of the machine, what is
 * left in the registers after a call, and children that make random calls.
 */
#include "calls.h"
#include "check.h"
#include "registers.h"

#define R EXO_PAGE_R
#define ROUNDS 40
#define CALLS 3000 /* random calls of one child, at most */
#define KERNEL_ADDRESS 0xffffffc080000000
static uint64_t memory, first;

static void number_checks(void) {
    static const uint64_t numbers[] = {
        -10ul, -11ul, -64ul,     EXO_CALL_COUNT, 30,        31,        32,        63,
        255,   256,   1ul << 31, 1ul << 32,      1ul << 60, 1ul << 61, 1ul << 63, KERNEL_ADDRESS};
    uint64_t arguments[7] = {0}, registers[32];
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        REFUSED(CALL, "a call that does not exist", call_number(numbers[i], arguments, registers));
}

static void machine_checks(void) {
    static const uint64_t lengths[] = {17, 18, 255, 1ul << 32, 1ul << 63, ~0ul};
    uint64_t console = sys_start->console;

    REFUSED(CLASS, "write by a PAGE", exo_debug_write(memory, 1, 'x', 0));
    REFUSED(CLASS, "shutdown by a PAGE", exo_shutdown(memory, 0));
    REFUSED(SLOT, "shutdown by nothing", exo_shutdown(EXO_NONE, 0));
    if (console == EXO_NONE) return;
    uint64_t own = DONE(
        "derive", exo_cap_derive(console, (uint64_t)mem_slot(), 0, 1, EXO_MACHINE_CONSOLE, 0, 0));
    TRY_HANDLES(SLOT, own, "write by", exo_debug_write(bad, 1, 'x', 0));
    TRY_HANDLES(SLOT, own, "shutdown by", exo_shutdown(bad, 1));
    for (int i = 0; i < 6; i++)
        REFUSED(ARGUMENT, "write too much", exo_debug_write(own, lengths[i], 0, 0));
    REFUSED(RIGHTS, "shutdown without POWER", exo_shutdown(own, 0));
    sys_cap_drop(own, 0);
    REFUSED(SLOT, "write by what was dropped", exo_debug_write(own, 1, 'x', 0));
}

/*
 * Registers that survive a call must, and in the others nothing of the kernel
 * may be left: 0, or the 1 that its locks add, or what was there.
 */
static bool registers_good(const uint64_t *arguments, const uint64_t *registers) {
    static const int kept[] = {4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27};
    static const int scratch[] = {5, 6, 7, 28, 29, 30, 31};
    bool good = true;
    for (int i = 0; i < 13; i++) good &= registers[kept[i]] == PATTERN + (uint64_t)kept[i];
    for (int i = 0; i < 7; i++)
        good &=
            registers[scratch[i]] <= 1 || registers[scratch[i]] == PATTERN + (uint64_t)scratch[i];
    good &= registers[3] == 0 || registers[3] == PATTERN + 3; /* gp is nobody's */
    good &= registers[1] < EXO_VA_LIMIT;                      /* no address of the kernel's text */
    for (int n = 12; n <= 16; n++) good &= registers[n] == 0 || registers[n] == arguments[n - 10];
    return good;
}

static void register_checks(void) {
    uint64_t registers[32], bad = 0;
    for (int64_t number = EXO_CALL_pct_call_until; number < exo_call_shutdown; number++) {
        if (number == EXO_CALL_exit || number == EXO_CALL_resume) continue;
        if (number == EXO_CALL_yield || number == EXO_CALL_pct_reply) continue;
        for (uint64_t seed = 0; seed < 8; seed++) {
            uint64_t arguments[7];
            for (uint64_t i = 0; i < 7; i++) arguments[i] = (seed >> i % 3 & 1 ? memory : 77) + i;
            if (number == exo_call_cap_drop) arguments[1] = ~0ul;
            if (number == EXO_CALL_wait) arguments[1] = seed;
            call_number((uint64_t)number, arguments, registers);
            if (!registers_good(arguments, registers)) bad++;
        }
    }
    check(bad == 0, "registers after any call: %lu times something is lost or left", bad);
    uint64_t va = check_room(memory, first, 16);
    uint64_t arguments[7] = {EXO_SELF, va, memory, first, 16, R, PATTERN};
    struct exo_result result = call_number(exo_call_page_map, arguments, registers);
    /* An interrupt may end it sooner. */
    check(result.value > 0 && registers_good(arguments, registers), "registers after page_map");
    uint64_t unmap[7] = {EXO_SELF, va, 16, 0, PATTERN, PATTERN, PATTERN};
    result = call_number(exo_call_page_unmap, unmap, registers);
    check(result.value > 0 && registers_good(unmap, registers), "registers after page_unmap");
    space_unmap(&space_self, va, 16);
}

/* ---- random calls ---- */

static volatile uint64_t calls_made;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A value that some call could find interesting. */
static uint64_t interesting(uint64_t *state) {
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      8,
                                      256,
                                      257,
                                      0x11,
                                      1ul << 63,
                                      ~0ul,
                                      EXO_VA_CTX,
                                      EXO_VA_INFO,
                                      0x40000000,
                                      0x40200000,
                                      0x3000,
                                      KERNEL_ADDRESS,
                                      EXO_COUNT_LARGE | 1,
                                      EXO_MAP_LARGE | 3,
                                      EXO_MAP_REPLACE | 3,
                                      EXO_MAP_VECTOR | 1};
    uint64_t random = next_random(state), pick = random >> 32;
    const struct exo_env *env = sys_env();
    switch (random % 8) {
    case 0: return EXO_CAP_HANDLE(env->slot[pick % 16].word, pick % 16);
    case 1: return EXO_HANDLE(pick >> 8 & 1, pick % 32);
    case 2: return env->frame + pick % 24;
    case 3: return env->slot[pick % 16].first;
    case 4: return 0x40000000 + pick % 1024 * EXO_FRAME_BYTES;
    case 5: return pick % 16;
    default: return values[pick % (sizeof(values) / sizeof(values[0]))];
    }
}

static void calls_random(uint64_t seed, uint64_t count) {
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1, arguments[7], registers[32];
    while (count--) {
        static const int64_t others[] = {EXO_CALL_notify, EXO_CALL_wait, EXO_CALL_pct_call,
                                         EXO_CALL_pct_call_until, EXO_CALL_null};
        uint64_t number = next_random(&state) % (EXO_CALL_COUNT - 1 + 5);
        if (number >= EXO_CALL_COUNT - 1) number = (uint64_t)others[number - (EXO_CALL_COUNT - 1)];
        /* What ends the child soon comes seldom: to give its own memory up. */
        bool cut = number == exo_call_cap_drop || number == exo_call_cap_revoke;
        if ((cut || number == exo_call_page_unmap) && next_random(&state) % 16) continue;
        for (int i = 0; i < 7; i++) arguments[i] = interesting(&state);
        if (number == exo_call_debug_write) arguments[1] = 0;
        if (number == (uint64_t)EXO_CALL_wait && sys_env()->rows) arguments[1] = now() + 50;
        if (number == (uint64_t)EXO_CALL_wait && !sys_env()->rows) arguments[1] = 0;
        call_number(number, arguments, registers);
        calls_made++;
        if (count % 64 == 0) exo_yield(interesting(&state));
    }
    /* The last call may be one that nobody answers. */
    if (seed % 4 == 0) call_number((uint64_t)EXO_CALL_pct_reply, arguments, registers);
    exo_exit();
}

static bool round_run(uint64_t seed, uint64_t slice, uint64_t row, unsigned *ended) {
    struct child child;
    if (child_make(&child, 16)) return false;
    child_start(&child, calls_random, seed, CALLS);
    if (slice != EXO_NONE) exo_slice_bind(slice, row, child.env);
    /* Long enough for most to end; the others are killed as they are. */
    for (int turn = 0; turn < (slice == EXO_NONE ? 2 * CALLS / 64 : 20 * CALLS); turn++) {
        int64_t state = child_state(child.env);
        if (state & (EXO_FLAG_KILL | EXO_FLAG_FAULT)) break;
        if (slice == EXO_NONE) exo_yield(child.env);
    }
    if (child_state(child.env) & EXO_FLAG_KILL) ++*ended;
    return child_end(&child) == 0;
}

static void random_checks(void) {
    uint64_t row, rows, slice = child_rows(&row, &rows), good = 0;
    unsigned ended = 0;
    if (sys_info()->hart_count == 1) slice = EXO_NONE;
    if (slice != EXO_NONE) row += rows - 1;
    round_run(1, slice, row, &ended);
    uint64_t before = check_use();
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        if (round_run(seed, slice, row, &ended) && check_use() == before) good++;
    check(good == ROUNDS, "%lu random calls of %u children, %u of which ended by themselves%s: %s",
          calls_made, ROUNDS, ended, slice == EXO_NONE ? "" : ", on another hart",
          good == ROUNDS ? "all comes back" : "something is lost");
}

int main(void) {
    check_begin("hostile_machine");
    first = frame_alloc_range(16, 1, NULL);
    memory = frame_slot(first);
    number_checks();
    machine_checks();
    register_checks();
    random_checks();
    return check_end();
}
