/* SPDX-License-Identifier: MIT */
/* What the unit tests of the kernel core share: see fixture.h. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover.h"

#define JOB_STEPS 5000
#define RAM_GROUPS 4

bool fixture_hurries;
uint64_t fixture_slot = A_SLOT;

static struct exo_frame *frames_at_boot;
static uint64_t *groups_at_boot;
static uint8_t *ram_before;

static int boot(uint64_t asids, bool fast) {
    host_boot(&(struct host_plan){.groups = RAM_GROUPS, .harts = 3, .asids = asids});
    if (!frames_at_boot) {
        frames_at_boot = malloc(ram_count * sizeof(*frames_at_boot));
        groups_at_boot = malloc(RAM_GROUPS * sizeof(*groups_at_boot));
        ram_before = malloc(host_ram_bytes);
    }
    memcpy(frames_at_boot, frame_word(ram_first), ram_count * sizeof(*frames_at_boot));
    memcpy(groups_at_boot, &group_words[ram_first >> EXO_GROUP_SHIFT],
           RAM_GROUPS * sizeof(*groups_at_boot));
    walk_is_good();
    host_fast = fast;
    return 0;
}

/* All spaces but init's share an ASID, or each has its own. */
int fixture_boot(void **state) {
    (void)state;
    return boot(2, false);
}

int fixture_boot_fast(void **state) {
    (void)state;
    return boot(16, true);
}

/* Take what init's own tables have beyond what they had at boot. */
static void init_unmap(void) {
    uint64_t hart = 0;
    while (runs(hart) != info->init_env) hart++;
    for (uint64_t group = 0; group < 512; group++) {
        uint64_t va = VA + (group << (EXO_FRAME_SHIFT + EXO_GROUP_SHIFT));
        for (uint64_t half = 0; half < 2; half++)
            call(hart, exo_call_page_unmap,
                 (const uint64_t[]){0, va + half * EXO_PAGES_MAX * EXO_FRAME_BYTES, EXO_PAGES_MAX,
                                    0},
                 4);
        call(hart, exo_call_page_unmap, (const uint64_t[]){0, va, 1 | EXO_COUNT_LARGE, 0}, 4);
        call(hart, exo_call_table_unlink, (const uint64_t[]){0, va, 1}, 3);
    }
    call(hart, exo_call_table_unlink, (const uint64_t[]){0, VA, 2}, 3);
}

int fixture_end(void **state) {
    (void)state;
    host_interrupt_after = 0;
    const char *wrong = recover();
    if (wrong) fail_msg("nothing may be lost: %s", wrong);
    if (*(uint64_t *)frame_pointer(env_at(info->init_env)->root) &&
        ((uint64_t *)frame_pointer(env_at(info->init_env)->root))[VA >> 30])
        init_unmap();
    walk_is_good();
    for (uint64_t i = 0; i < ram_count; i++) {
        struct exo_frame now = {*frame_word(ram_first + i), *frame_state(ram_first + i)};
        bool init = ram_first + i == info->init_env; /* its word 1 tells the hart */
        if (now.word0 != frames_at_boot[i].word0 || (!init && now.word1 != frames_at_boot[i].word1))
            fail_msg("frame 0x%lx has leaked: 0x%lx 0x%lx", ram_first + i, now.word0, now.word1);
    }
    assert_memory_equal(groups_at_boot, &group_words[ram_first >> EXO_GROUP_SHIFT],
                        RAM_GROUPS * sizeof(*groups_at_boot));
    for (uint64_t i = info->root_count; i < EXO_ENV_SLOTS; i++)
        assert_int_equal(EXO_CAP_STATE(env_at(info->init_env)->slot[i].word), EXO_SLOT_EMPTY);
    return 0;
}

void walk_is_good(void) {
    const char *wrong = walk();
    if (wrong) fail_msg("the walker: %s", wrong);
}

uint64_t place(uint64_t index) {
    return EXO_HANDLE(index / EXO_CAPS_SLOTS, index % EXO_CAPS_SLOTS);
}

struct exo_cap *slot(uint64_t hart, uint64_t index) {
    struct exo_cap *cap = cap_place(harts[hart]->space, place(index));
    assert_non_null(cap);
    return cap;
}

uint64_t handle(uint64_t hart, uint64_t index) {
    return (slot(hart, index)->word >> EXO_HANDLE_GEN_SHIFT << EXO_HANDLE_GEN_SHIFT) | place(index);
}

struct result call(uint64_t hart, int number, const uint64_t *arguments, uint64_t count) {
    uint64_t all[7] = {0};
    memcpy(all, arguments, count * sizeof(*arguments));
    assert_int_equal(host_models[hart].state, HOST_PROGRAM);
    host_call(hart, number, all);
    struct result result = host_models[hart].result;
    if (!fixture_hurries) walk_is_good();
    return result;
}

int64_t good(struct result result, const char *file, int line) {
    if (result.value < 0) fail_msg("%s:%d: the call answers %ld", file, line, result.value);
    return result.value;
}

/*
 * May this word of RAM change although a call was refused?  A hart's scratch,
 * the tickets of locks and the progress of long jobs may.
 */
static bool word_may_change(uint64_t offset) {
    uint64_t locks = arch_address(space_locks) - HOST_RAM_ADDRESS;
    if (offset >= locks && offset < locks + SPACE_LOCKS * sizeof(*space_locks)) return true;
    for (uint64_t hart = 0; hart < hart_count; hart++) {
        uint64_t kept = arch_address(harts[hart]->kept) - HOST_RAM_ADDRESS;
        if (offset >= kept && offset < kept + sizeof(harts[hart]->kept)) return true;
    }
    uint64_t frame = ram_first + (offset >> EXO_FRAME_SHIFT);
    uint64_t type = frame_type(frame);
    if (type != EXO_FRAME_ENV && type != EXO_FRAME_CAPS) return false;
    uint64_t in_slot = offset % sizeof(struct exo_cap);
    return in_slot == offsetof(struct exo_cap, cursor) ||
           in_slot == offsetof(struct exo_cap, reach) ||
           in_slot == offsetof(struct exo_cap, walk) || in_slot == offsetof(struct exo_cap, sweep);
}

void refused(int64_t error, uint64_t hart, int number, const uint64_t *arguments, uint64_t count,
             const char *file, int line) {
    static struct host_model models[EXO_HARTS_MAX];
    memcpy(ram_before, host_ram, host_ram_bytes);
    memcpy(models, host_models, sizeof(models));
    struct result result = call(hart, number, arguments, count);
    if (result.value != error)
        fail_msg("%s:%d: the call answers %ld, not %ld", file, line, result.value, error);
    models[hart].result = host_models[hart].result;
    memcpy(models[hart].registers, host_models[hart].registers, sizeof(models[hart].registers));
    assert_memory_equal(models, host_models, sizeof(models));
    if (memcmp(ram_before, host_ram, host_ram_bytes) == 0) return;
    for (uint64_t offset = 0; offset < host_ram_bytes; offset += sizeof(uint64_t))
        if (memcmp(ram_before + offset, host_ram + offset, sizeof(uint64_t)) != 0 &&
            !word_may_change(offset))
            fail_msg("%s:%d: the refused call changed physical address 0x%lx", file, line,
                     HOST_RAM_ADDRESS + offset);
}

int64_t job(uint64_t hart, int number, const uint64_t *arguments, uint64_t count) {
    uint64_t reaped[64], depth = 0;
    for (unsigned step = 0; step < JOB_STEPS; step++) {
        struct result result =
            depth ? CALL(hart, env_reap, reaped[depth - 1]) : call(hart, number, arguments, count);
        host_settle();
        if (!fixture_hurries) walk_is_good();
        if (result.value == EXO_EREAP) {
            assert_true(depth < 64);
            reaped[depth++] = result.detail;
        } else if (result.value != EXO_EAGAIN) {
            if (!depth) return result.value;
            depth--;
        }
    }
    fail_msg("call %d never ends", number);
    return 0;
}

void people(unsigned count) {
    const uint64_t frame[] = {A, B};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = fixture_slot + i;
        GOOD(0, env_create, handle(0, 0), frame[i], frame[i] + 1, frame[i] + 2, place(index));
        GOOD(0, slice_bind, handle(0, 1), (i + 1) * EXO_ROWS, handle(0, index));
        GOOD(0, env_regs, handle(0, index), EXO_REGS_START);
        host_settle();
        assert_int_equal(runs(i + 1), frame[i]);
    }
}

void introduce(uint64_t via, uint64_t named, uint64_t index, uint64_t rights) {
    uint64_t frame = slot(0, named)->first;
    GOOD(0, cap_derive, handle(0, named), place(14), frame, 1, rights, 0, slot(0, named)->extra);
    assert_true(JOB(0, cap_grant, handle(0, 14), handle(0, via), place(index), 0, 0) >= 0);
}

void crowd(unsigned count) {
    uint64_t rows = handle(0, 1);
    GOOD(0, cap_derive, rows, place(CALM), EXO_ROWS, EXO_ROWS - 16, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_derive, rows, place(PRESSING), URGENT_ROW, 16, EXO_SLICE_BIND | EXO_SLICE_URGENT, 0,
         0);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = CROWD_SLOT + i, frame = CROWD(i);
        GOOD(0, env_create, handle(0, 0), frame, frame + 1, frame + 2, place(index));
        GOOD(0, env_regs, handle(0, index), EXO_REGS_START);
    }
}

void lend(uint64_t via, uint64_t index, uint64_t first, uint64_t count, uint64_t rights,
          uint64_t keep) {
    GOOD(0, cap_derive, handle(0, 0), place(15), first, count, rights, keep, 0);
    assert_true(JOB(0, cap_grant, handle(0, 15), handle(0, via), place(index), 0, 0) >= 0);
}

void tables(uint64_t hart, uint64_t index, uint64_t frame) {
    GOOD(hart, table_link, EXO_SELF, VA, 2, handle(hart, index), frame);
    GOOD(hart, table_link, EXO_SELF, VA, 1, handle(hart, index), frame + 1);
}

uint64_t state_of(uint64_t frame) { return *frame_state(frame) & (EXO_STATE_MASK | ENV_FLAGS); }

uint64_t word(uint64_t hart, uint64_t index) {
    assert_int_equal(host_models[hart].state, HOST_PROGRAM);
    return host_models[hart].registers[HOST_A0 + index];
}

void settle(void) {
    host_settle();
    if (!fixture_hurries) walk_is_good();
}

void advance(uint64_t ticks) {
    host_advance(ticks);
    if (!fixture_hurries) walk_is_good();
}

uint64_t runs(uint64_t hart) { return harts[hart]->env ? harts[hart]->env->frame : 0; }
