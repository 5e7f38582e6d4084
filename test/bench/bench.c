/* SPDX-License-Identifier: MIT */
/*
 * bench: what operations of the kernel cost in instructions.
 *
 * It is linked as the first program, so that nothing else runs and a hart that
 * has nothing to do comes back here.  scripts/bench boots it with counted
 * instructions, where a figure is exact and the same in every run.  A figure
 * is the least of a few repetitions, from before the jump to the stub until
 * after its return: jump, stub and kernel; the loading of arguments and the
 * reading of the counter are left out (measure.S).  Range calls are told for
 * one page of PAGES.
 *
 * Every line is `bench NAME INSTRUCTIONS SATP_WRITES SFENCES`; the last two are
 * of the whole operation, and 0 but on a kernel that counts them.  `step CALL N`
 * tells the longest single call of each kind, which call_max sums up.
 */
#include <exo/task.h>
#include <stdio.h>
#include <string.h>

#include "../target/calls.h"
#include "bench.h"
#include "touch.h"

#define REPEAT 5
#define PAGES EXO_PAGES_MAX
#define VA 0x3000000000 /* a piece of address space that nobody else uses */
#define PATTERN 0x5a00000000
#define SWEPT_TABLES 4 /* leaf TABLEs full of pages that are swept */
#define SIBLINGS 100   /* capabilities derived from one */

/* measure.S */
typedef struct exo_result stub(void);
uint64_t measure_nothing(void);
uint64_t measure_call(stub *stub, const uint64_t *arguments, struct exo_result *result);
uint64_t measure_fault(void);
uint64_t measure_store(volatile uint64_t *address);
uint64_t registers_check(uint64_t *dump, uint64_t pattern);
void step_handler(void);
void map_handler(void);

static struct {
    const char *name;
    uint64_t instructions; /* most of any single one */
} longest[EXO_CALL_COUNT + 4];
static uint64_t slot;   /* PAGE capability of the frames */
static uint64_t frames; /* first of PAGES neighbouring ones */
static uint64_t scattered[PAGES];

static struct cost facts(void) {
    const volatile struct exo_hart_info *hart = &sys_info()->hart[0];
    return (struct cost){0, hart->satp_writes, hart->sfences};
}

static void facts_since(struct cost *cost, struct cost before) {
    struct cost now = facts();
    cost->satp_writes += now.satp_writes - before.satp_writes;
    cost->sfences += now.sfences - before.sfences;
}

/* ---- single calls ---- */

static struct exo_result result; /* of the last call */

/* One call, added to *cost. */
#define CALL(cost, name, ...) \
    call_add(cost, #name, (stub *)(void (*)(void))exo_##name, (const uint64_t[7]){__VA_ARGS__})

static int64_t call_add(struct cost *cost, const char *name, stub *call,
                        const uint64_t *arguments) {
    struct cost before = facts();
    uint64_t instructions = measure_call(call, arguments, &result) - nothing;
    facts_since(cost, before);
    cost->instructions += instructions;
    int at = 0;
    while (longest[at].name && strcmp(longest[at].name, name) != 0) at++;
    longest[at].name = name;
    if (longest[at].instructions < instructions) longest[at].instructions = instructions;
    return result.value;
}

/* The same until it is complete, with what must be reaped first. */
#define CALL_WHOLE(cost, name, ...)                           \
    do {                                                      \
        while (CALL(cost, name, __VA_ARGS__) == EXO_EAGAIN) { \
        }                                                     \
    } while (result.value == EXO_EREAP && reap(cost, result.detail))

static bool reap(struct cost *cost, uint64_t frame) {
    uint64_t target = frame;
    for (;;) {
        while (CALL(cost, env_reap, target) == EXO_EAGAIN) {
        }
        if (result.value == EXO_EREAP) {
            target = result.detail;
            continue;
        }
        need(result.value, "env_reap");
        if (target == frame) return true;
        target = frame;
    }
}

static void least(struct cost *best, struct cost cost) {
    if (best->instructions == 0 || cost.instructions < best->instructions) *best = cost;
}

/* The cheapest of some measurements of `call`, between `before` and `after`. */
#define FIGURE(name, units, before, call, after)    \
    do {                                            \
        struct cost best = {0};                     \
        for (int turn = 0; turn < REPEAT; turn++) { \
            struct cost cost = {0};                 \
            before;                                 \
            call;                                   \
            need(result.value, name);               \
            after;                                  \
            least(&best, cost);                     \
        }                                           \
        print(name, best, units);                   \
    } while (0)

#define NOTHING ((void)0)
#define RIGHTS (EXO_PAGE_R | EXO_PAGE_W)
#define CLEAR need(space_unmap(&space_self, VA, PAGES), "unmap")
#define FILL need(space_map(&space_self, VA, slot, frames, PAGES, RIGHTS), "map")

static void vector_fill(void) {
    for (uint64_t i = 0; i < PAGES; i++) sys_ctx()->vector[i] = scattered[i];
}

static void bench_pages(void) {
    FILL; /* links the TABLEs */
    FIGURE("page_map_one", 1, CLEAR, CALL(&cost, page_map, 0, VA, slot, frames, 1, RIGHTS),
           NOTHING);
    FIGURE("page_map_range", PAGES, CLEAR,
           CALL(&cost, page_map, 0, VA, slot, frames, PAGES, RIGHTS), NOTHING);
    FIGURE("page_map_vector", PAGES, (CLEAR, vector_fill()),
           CALL(&cost, page_map, 0, VA, slot, 0, PAGES, RIGHTS | EXO_MAP_VECTOR), NOTHING);
    FIGURE("page_unmap_one", 1, (CLEAR, FILL), CALL(&cost, page_unmap, 0, VA, 1, 0), NOTHING);
    FIGURE("page_unmap_range", PAGES, (CLEAR, FILL), CALL(&cost, page_unmap, 0, VA, PAGES, 0),
           NOTHING);
    FIGURE("page_protect_one", 1, (CLEAR, FILL), CALL(&cost, page_protect, 0, VA, 1, EXO_PAGE_R),
           NOTHING);
    /* Raising rights is mapping anew. */
    FIGURE("page_replace_range", PAGES,
           (CLEAR, FILL, need(space_protect(&space_self, VA, PAGES, EXO_PAGE_R), "protect")),
           CALL(&cost, page_map, 0, VA, slot, frames, PAGES, RIGHTS | EXO_MAP_REPLACE), NOTHING);
    FIGURE("page_protect_range", PAGES, (CLEAR, FILL),
           CALL(&cost, page_protect, 0, VA, PAGES, EXO_PAGE_R), NOTHING);
    CLEAR;
}

/* ---- exceptions ---- */

static void bench_fault(void) {
    static _Alignas(16) uint64_t stack[64];
    struct exo_ctx *ctx = sys_ctx();
    const struct exo_ctx kept = *ctx;
    struct cost best = {0};
    uint64_t dump[32];

    ctx->exception_entry = (uint64_t)step_handler;
    ctx->exception_stack = (uint64_t)(stack + 64);
    for (int turn = 0; turn < REPEAT; turn++) {
        struct cost cost = {0}, before = facts();
        cost.instructions = measure_fault() - nothing;
        facts_since(&cost, before);
        least(&best, cost);
    }
    registers_check(dump, PATTERN);
    ctx->exception_entry = kept.exception_entry;
    for (uint64_t n = 1; n < 32; n++)
        if (n != 2 && dump[n] != PATTERN + n)
            need(EXO_ESTATE, "a register changed in an exception");
    print("fault_round_trip", best, 1);

    best = (struct cost){0};
    FILL; /* links the TABLEs */
    for (int turn = 0; turn < REPEAT; turn++) {
        CLEAR;
        stack[0] = slot;
        stack[1] = frames;
        ctx->exception_entry = (uint64_t)map_handler;
        ctx->exception_stack = (uint64_t)stack;
        struct cost cost = {0}, before = facts();
        cost.instructions = measure_store((volatile uint64_t *)VA) - nothing;
        facts_since(&cost, before);
        ctx->exception_entry = kept.exception_entry;
        least(&best, cost);
    }
    ctx->exception_stack = kept.exception_stack;
    print("fault_map_round_trip", best, 1);
    CLEAR;
}

/* ---- environments ---- */

static struct cost env_life(uint64_t frame) {
    struct cost cost = {0};
    uint64_t page = (uint64_t)exo_exit & ~(uint64_t)(EXO_FRAME_BYTES - 1), code;
    uint64_t rights = EXO_PAGE_R | EXO_PAGE_X;
    bool large;

    space_frames(page, 1, &code, &large);
    /* Every call is counted, and nothing between them. */
    int64_t env = CALL(&cost, env_create, slot, frame, frame + 1, frame + 2, (uint64_t)mem_slot());
    need(env, "env_create");
    /* One page of text and its two TABLEs: the least that can run. */
    int64_t own = CALL(&cost, cap_derive, slot, (uint64_t)mem_slot(), frame, 8,
                       EXO_PAGE_R | EXO_PAGE_W, 0, 0);
    need(own, "derive");
    CALL_WHOLE(&cost, cap_grant, (uint64_t)own, (uint64_t)env, EXO_HANDLE(0, 0), 0, 0);
    need(result.value, "grant");
    uint64_t memory = (uint64_t)result.value;
    own = CALL(&cost, cap_derive, slot, (uint64_t)mem_slot(), code, 1, rights, 0, 0);
    need(own, "derive");
    CALL_WHOLE(&cost, cap_grant, (uint64_t)own, (uint64_t)env, EXO_HANDLE(0, 1), 0, 0);
    need(result.value, "grant");
    uint64_t text = (uint64_t)result.value;
    need(CALL(&cost, table_link, (uint64_t)env, 0, 2, memory, frame + 3), "link");
    need(CALL(&cost, table_link, (uint64_t)env, page & ~0x1ffffful, 1, memory, frame + 4), "link");
    need(CALL(&cost, page_map, (uint64_t)env, page, text, code, 1, rights), "map");
    sys_ctx()->vector[0] = (uint64_t)exo_exit;
    need(CALL(&cost, env_regs, (uint64_t)env, EXO_REGS_SET), "set");
    need(CALL(&cost, env_regs, (uint64_t)env, EXO_REGS_START), "start");
    /* The call returns when the child has ended, since this hart has nothing else to run. */
    need(CALL(&cost, yield, (uint64_t)env), "yield");
    while (CALL(&cost, cap_drop, (uint64_t)env, frame) == EXO_EAGAIN) {
    }
    reap(&cost, frame);
    return cost;
}

/* ---- capabilities ---- */

/* The capability of one frame, derived from another. */
static uint64_t derive(uint64_t from) {
    int64_t own = exo_cap_derive(from, (uint64_t)mem_slot(), frames, 1, RIGHTS, 0, 0).value;
    need(own, "derive");
    return (uint64_t)own;
}

static void lend(uint64_t from, uint64_t env, uint64_t into) {
    need(child_lend(env, from, frames, 1, RIGHTS, 0, into), "lend");
}

#define CALL_DERIVE(cost, from) \
    (uint64_t) CALL(cost, cap_derive, from, (uint64_t)mem_slot(), frames, 1, RIGHTS, 0, 0)

static void bench_capabilities(uint64_t console) {
    struct child child;
    uint64_t own = 0;

    need(child_make(&child, 0), "child");
    FIGURE("null_call", 1, NOTHING, CALL(&cost, null), NOTHING);
    /* The cheapest call that checks a capability: a slot under its lock, and nothing to do. */
    FIGURE("cap_call", 1, NOTHING, CALL(&cost, debug_write, console, 0), NOTHING);
    FIGURE("wait_ready", 1, exo_notify(EXO_SELF, 1), CALL(&cost, wait, 1, EXO_NEVER), NOTHING);
    FIGURE("env_state", 1, NOTHING, CALL(&cost, env_regs, child.env, EXO_REGS_STATE), NOTHING);
    FIGURE("cap_derive", 1, NOTHING, own = CALL_DERIVE(&cost, slot),
           need(sys_cap_drop(own, frames), "drop"));
    FIGURE("cap_drop", 1, own = derive(slot), CALL_WHOLE(&cost, cap_drop, own, frames), NOTHING);
    /* Lent to another space, and taken back by revoking what it was derived from. */
    uint64_t lender = derive(slot);
    FIGURE("cap_grant", 1, own = derive(lender),
           CALL_WHOLE(&cost, cap_grant, own, child.env, EXO_HANDLE(0, CHILD_SLOT_FREE + turn)),
           NOTHING);
    need(sys_cap_revoke(lender, frames), "revoke");
    FIGURE("cap_revoke", 1, lend(lender, child.env, CHILD_SLOT_FREE + REPEAT + (uint64_t)turn),
           CALL_WHOLE(&cost, cap_revoke, lender, frames, 0), NOTHING);
    need(sys_cap_drop(lender, frames), "drop");
    need(child_end(&child), "end");
}

/* ---- the longest step of any call ---- */

/* In a child: what only the holder of a range can do. */
static void child_calls(uint64_t memory, uint64_t first) {
    struct cost cost = {0};
    for (uint64_t i = 0; i < EXO_CAPS_FRAMES; i++) CALL(&cost, caps_add, memory, first + i);
    CALL(&cost, caps_del, first + EXO_CAPS_FRAMES - 1);
    /* A range whose parent is another's: before it moves, its frames are looked at. */
    uint64_t lent = EXO_CAP_HANDLE(sys_slot(0, CHILD_SLOT_FREE)->word, CHILD_SLOT_FREE);
    CALL_WHOLE(&cost, cap_grant, lent, 0, EXO_HANDLE(0, CHILD_SLOT_FREE + 1), 0, 0);
    need(result.value, "grant");
    exo_exit();
}

/* A child whose space is full of pages and whose table is large. */
static void steps_of_death(void) {
    struct child child;
    struct cost cost = {0};
    uint64_t spare = EXO_CAPS_FRAMES + SWEPT_TABLES + 2;

    need(child_make(&child, spare), "child");
    child.next = child.frame + CHILD_SPARE + EXO_CAPS_FRAMES;
    child.end = child.frame + child.frames;
    need(child_lend(child.env, slot, frames, PAGES, RIGHTS, 0, CHILD_SLOT_FREE), "lend");
    need(child_start(&child, child_calls, child.memory, child.frame + CHILD_SPARE), "start");
    need(exo_yield(child.env).value, "yield");
    if (!(child_state(child.env) & EXO_FLAG_KILL)) need(EXO_ESTATE, "a child has not ended");
    CALL_WHOLE(&cost, cap_drop, child.env, child.frame);
    reap(&cost, child.frame);
    frame_free(child.frame, child.frames);

    need(child_make(&child, spare), "child");
    child.next = child.frame + CHILD_SPARE;
    child.end = child.frame + child.frames;
    int64_t lent = child_lend(child.env, slot, frames, PAGES, RIGHTS, 0, CHILD_SLOT_FREE);
    need(lent, "lend");
    for (uint64_t page = 0; page < SWEPT_TABLES * EXO_GROUP_FRAMES; page += PAGES) {
        uint64_t va = VA + page * EXO_FRAME_BYTES;
        need(space_map(&child.space, va, (uint64_t)lent, frames, PAGES, RIGHTS), "map");
    }
    /* Its pages are swept for one frame, then all of it goes. */
    CALL_WHOLE(&cost, cap_revoke, slot, frames + PAGES - 1, 0);
    CALL_WHOLE(&cost, cap_drop, child.env, child.frame);
    reap(&cost, child.frame);
    frame_free(child.frame, child.frames);
}

/* Long walks over siblings: to look for promises, and to cut. */
static void steps_of_siblings(void) {
    struct cost cost = {0};
    uint64_t into = (uint64_t)mem_slot(), child[SIBLINGS];
    uint64_t parent = (uint64_t)exo_cap_derive(slot, into, frames, 4, RIGHTS, 4, 0).value;
    for (uint64_t i = 0; i < SIBLINGS; i++) {
        into = (uint64_t)mem_slot();
        need(CALL(&cost, cap_derive, parent, into, frames, 1, RIGHTS, 1, 0), "derive");
        child[i] = (uint64_t)result.value;
    }
    CALL_WHOLE(&cost, cap_revoke, parent, frames + 2, 0);
    need(result.value, "revoke");
    for (uint64_t i = 0; i < SIBLINGS; i++) need(sys_cap_drop(child[i], frames), "drop");
    need(sys_cap_drop(parent, frames), "drop");
}

static void steps_of_pages(void) {
    struct cost cost = {0};
    FILL;
    vector_fill();
    CALL(&cost, page_map, 0, VA, slot, frames, PAGES, RIGHTS | EXO_MAP_REPLACE);
    CALL(&cost, page_map, 0, VA, slot, 0, PAGES, RIGHTS | EXO_MAP_REPLACE | EXO_MAP_VECTOR);
    CALL(&cost, page_harvest, 0, VA, PAGES);
    CALL(&cost, debug_write, sys_start->console, 1, '\n', 0);
    CLEAR;
}

/* ---- the same program with two memory managers ---- */

static void bench_touch(const char *name, const char *file) {
    const struct task_options options = {.frames = TOUCH_FRAMES};
    struct task task;
    char line[48];

    int64_t error = task_spawn(&task, file, &options);
    if (!error) error = task_start(&task);
    if (error) {
        printf("bench: %s: %s\n", file, task_error_text(error));
        stop(1);
    }
    task_run(&task, 1);
    if (task_state(&task) != TASK_EXITED || task_status(&task) != 0) {
        printf("bench: %s failed\n", file);
        stop(1);
    }
    for (int step = 0; step < TOUCH_STEPS; step++) {
        const uint64_t *words = &task.ctx->program[TOUCH_WORD + 3 * step];
        snprintf(line, sizeof(line), "page_%s_%s", touch_steps[step], name);
        print(line, (struct cost){words[0], words[1], words[2]}, TOUCH_PAGES);
    }
    task_end(&task);
}

int main(void) {
    uint64_t boot = sys_start_instructions - sys_info()->boot_instructions;

    nothing = measure_nothing();
    uint64_t first = frame_alloc_range(2 * PAGES, 1, NULL);
    frames = first;
    slot = frame_slot(first);
    /* Frames of an even distance, in no order that a range call could use. */
    for (uint64_t i = 0; i < PAGES; i++) scattered[i] = first + i * 37 % PAGES * 2;
    /* CAPS frames now, so that none is added while something is measured. */
    uint64_t kept[4 * EXO_CAPS_SLOTS];
    for (uint64_t i = 0; i < 4 * EXO_CAPS_SLOTS; i++)
        kept[i] =
            (uint64_t)exo_cap_derive(slot, (uint64_t)mem_slot(), first, 1, RIGHTS, 0, 0).value;
    for (uint64_t i = 0; i < 4 * EXO_CAPS_SLOTS; i++) sys_cap_drop(kept[i], first);

    bench_capabilities(sys_start->console);
    bench_fault();
    bench_pages();
    bench_switches();
    uint64_t frame = frame_alloc_range(8, 1, NULL);
    struct cost best = {0};
    for (int turn = 0; turn < REPEAT; turn++) least(&best, env_life(frame));
    print("env_lifecycle", best, 1);
    frame_free(frame, 8);
    bench_touch("demand", "touch_demand");
    bench_touch("large", "touch_large");
    print("boot_to_first_program", (struct cost){boot, 0, 0}, 1);
    steps_of_pages();
    steps_of_siblings();
    steps_of_death();
    uint64_t most = 0;
    for (int at = 0; longest[at].name; at++) {
        printf("step %s %lu\n", longest[at].name, longest[at].instructions);
        if (most < longest[at].instructions) most = longest[at].instructions;
    }
    print("call_max", (struct cost){most, 0, 0}, 1);
    print("irq_off_max", (struct cost){sys_info()->hart[0].longest, 0, 0}, 1);
    stop(0);
}
