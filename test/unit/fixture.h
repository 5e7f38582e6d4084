/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of the kernel core share: a small machine for each test,
 * calls that are checked by the walker, and refusals that must change nothing.
 *
 * The machine has three harts and two ASIDs.  init runs on hart 0 with its
 * roots in slots 0 (PAGE), 1 (SLICE) and 2 (MACHINE).
 */
#pragma once
/* cmocka.h wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "env.h"
#include "host.h"
#include "slice.h"
#include "space.h"
#include "walker.h"

/* Frames that nobody uses: many in group 1, whole groups for large leaves in 2 and 3. */
#define FREE (HOST_RAM_FRAME + EXO_GROUP_FRAMES)
#define GROUP(n) (HOST_RAM_FRAME + (n)*EXO_GROUP_FRAMES)
#define NEVER (HOST_RAM_FRAME + 4 * EXO_GROUP_FRAMES) /* no frame of RAM */
/* Where no space has a table at the start. */
#define VA 0x40000000ul
#define ALL_RIGHTS 15

/*
 * The frames of the environments that `people` makes, on harts 1 and 2; init
 * has them in slots 4 and 5.  The two have the same ASID, which is not init's.
 */
#define A (FREE + 102)
#define B (FREE + 112)
#define A_SLOT 4
#define B_SLOT 5

/* Setup and teardown of a test: a fresh machine; at the end nothing may have leaked. */
int fixture_boot(void **state);
int fixture_end(void **state);
#define CORE_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_boot, fixture_end)
/* The same on a machine that takes the fast ways of pct_call, pct_reply and yield (host_fast). */
int fixture_boot_fast(void **state);
#define FAST_TEST(function) \
    { #function ", fast", function, fixture_boot_fast, fixture_end, NULL }
#define BOTH_TESTS(function) CORE_TEST(function), FAST_TEST(function)

/* Set by a test that does the same setup again and again: calls are not followed by the walker. */
extern bool fixture_hurries;

/* init's slot of A; B is in the next one. */
extern uint64_t fixture_slot;

/* The number by which a call fills a slot of the ENV frame, or of a table. */
uint64_t place(uint64_t index);

/* The handle of a slot of the space in which this hart is, as it is now. */
uint64_t handle(uint64_t hart, uint64_t index);

/* The slot itself. */
struct exo_cap *slot(uint64_t hart, uint64_t index);

/* One call of the environment on a hart; the walker is run after it. */
struct result call(uint64_t hart, int number, const uint64_t *arguments, uint64_t count);
#define CALL(hart, name, ...)                                    \
    call(hart, exo_call_##name, (const uint64_t[]){__VA_ARGS__}, \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* A call that succeeds; its value. */
int64_t good(struct result result, const char *file, int line);
#define GOOD(hart, name, ...) good(CALL(hart, name, __VA_ARGS__), __FILE__, __LINE__)

/* A call that is refused with this error and changes no state at all. */
void refused(int64_t error, uint64_t hart, int number, const uint64_t *arguments, uint64_t count,
             const char *file, int line);
#define REFUSED(error, hart, name, ...)                                           \
    refused(EXO_E##error, hart, exo_call_##name, (const uint64_t[]){__VA_ARGS__}, \
            sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), __FILE__, __LINE__)

/*
 * A call until it has an end: AGAIN is called again, for REAP the environment
 * is reaped first, other harts take their interrupts.  Returns the last answer.
 */
int64_t job(uint64_t hart, int number, const uint64_t *arguments, uint64_t count);
#define JOB(hart, name, ...)                                    \
    job(hart, exo_call_##name, (const uint64_t[]){__VA_ARGS__}, \
        sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* init makes the environments A and, if there are two, B, and lets them run. */
void people(unsigned count);

/* init derives frames from its root and grants them to A or B, by init's slot of it. */
void lend(uint64_t via, uint64_t index, uint64_t first, uint64_t count, uint64_t rights,
          uint64_t keep);

/* The environment on a hart makes the two TABLEs that it needs to map at VA. */
void tables(uint64_t hart, uint64_t index, uint64_t frame);

/* The environment on a hart, 0 if it is idle. */
uint64_t runs(uint64_t hart);

/* The state and flags of an environment. */
uint64_t state_of(uint64_t frame);

/* What the program on a hart has in a0 and the registers after it. */
uint64_t word(uint64_t hart, uint64_t index);

/*
 * init derives a capability with these ENV rights from what it has in slot
 * `named` and grants it to whom it has in slot `via`, there to slot `index`.
 */
void introduce(uint64_t via, uint64_t named, uint64_t index, uint64_t rights);

/*
 * init makes `count` environments, CROWD(0) to CROWD(count - 1), in its slots
 * CROWD_SLOT on.  They are READY and have no rows.  init's slot 3 has the rows
 * of hart 1 without URGENT but for the last 16, and slot 15 has those.
 */
void crowd(unsigned count);
#define CROWD(n) (FREE + 200 + 4 * (uint64_t)(n))
#define CROWD_SLOT 6
#define CALM 3
#define PRESSING 15
#define URGENT_ROW (2 * EXO_ROWS - 16)

/* The harts take all their interrupts (host_settle), or time passes as well; the walker is run. */
void settle(void);
void advance(uint64_t ticks);

/* The walker finds nothing wrong. */
void walk_is_good(void);
