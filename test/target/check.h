/* SPDX-License-Identifier: MIT */
/*
 * How the programs of this folder tell what they found.
 *
 * Each check prints one line, `ok N - what: answer` or `not ok N - ...`; the
 * last lines are the plan `1..N` and a sentence.  The exit status is 0 when all
 * went well.  A refusal is only a good one if nothing changed: the slots of
 * this program, the two words of every frame of the machine, and the tables
 * that it watches must be as before.
 */
#pragma once
#include <exo/mem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECK_WATCHED_MAX 4

static const char *check_program;
static unsigned check_count, check_failures;
static const volatile uint64_t *check_words; /* the frame table */
static const struct exo_env *check_watched[CHECK_WATCHED_MAX];
static uint64_t check_va = 0x2000000000; /* next piece of address space for check_room */

static inline uint64_t check_mix(uint64_t hash, uint64_t word) {
    return (hash ^ word) * 0x9e3779b97f4a7c15 + (hash >> 29);
}

/* Of a slot all that has a meaning outside the kernel; what is left out is the progress of walks. */
static inline uint64_t check_slots(uint64_t hash, const struct exo_cap *slots, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const volatile struct exo_cap *cap = &slots[i];
        hash = check_mix(hash, cap->word);
        hash = check_mix(hash, cap->first);
        hash = check_mix(hash, cap->count ^ cap->tail << 32);
        hash = check_mix(hash, cap->keep);
        hash = check_mix(hash, cap->extra ^ cap->match << 1);
        hash = check_mix(hash, (uint64_t)cap->parent << 32 | cap->child);
        hash = check_mix(hash, (uint64_t)cap->prev << 32 | cap->next);
    }
    return hash;
}

/* A number that changes when anything does that a refused call must leave alone. */
static inline uint64_t check_state(void) {
    uint64_t hash = check_slots(1, sys_env()->slot, EXO_ENV_SLOTS);
    for (uint64_t table = 1; table <= EXO_CAPS_FRAMES; table++)
        if (sys_slot(table, 1)) hash = check_slots(hash, sys_slot(table, 1), EXO_CAPS_SLOTS - 1);
    for (int i = 0; i < CHECK_WATCHED_MAX; i++)
        if (check_watched[i]) hash = check_slots(hash, check_watched[i]->slot, EXO_ENV_SLOTS);
    for (uint64_t i = 0; i < 2 * sys_info()->ram_count; i++) hash = check_mix(hash, check_words[i]);
    return hash;
}

/*
 * A number for what is in use: the two words of every frame, and of how many
 * slots of this program hold something of which class.  Unlike check_state()
 * it is the same again when all that was taken was given back.
 */
static inline uint64_t check_use(void) {
    uint64_t held[16] = {0}, hash = 1;
    for (uint64_t table = 0; table <= EXO_CAPS_FRAMES; table++) {
        for (uint64_t index = 0; index < EXO_CAPS_SLOTS; index++) {
            const volatile struct exo_cap *cap = sys_slot(table, index);
            uint64_t word = cap ? cap->word : 0;
            if (EXO_CAP_STATE(word) != EXO_SLOT_EMPTY) held[EXO_CAP_CLASS(word)]++;
        }
    }
    for (int class = 0; class < 16; class ++) hash = check_mix(hash, held[class]);
    for (uint64_t i = 0; i < 2 * sys_info()->ram_count; i++) hash = check_mix(hash, check_words[i]);
    return hash;
}

/* Watch the slots of another environment, whose ENV frame is mapped here. */
static inline void check_watch(int number, const struct exo_env *env) {
    check_watched[number] = env;
}

/* Address space that nothing else uses, with all the TABLEs of `pages` pages linked. */
static inline uint64_t check_room(uint64_t slot, uint64_t frame, uint64_t pages) {
    uint64_t va = check_va, bytes = pages * EXO_FRAME_BYTES;
    check_va += (bytes + 0x3fffff) & ~0x1ffffful;
    for (uint64_t at = va; at < va + bytes; at += 0x200000)
        space_map(&space_self, at, slot, frame, 1, EXO_PAGE_R);
    space_unmap(&space_self, va, pages);
    return va;
}

static inline bool check(bool good, const char *format, ...) {
    va_list arguments;
    if (!good) check_failures++;
    printf("%sok %u - ", good ? "" : "not ", ++check_count);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    return good;
}

/* The answer of a call that was to be refused with `expected`; `before` is check_state() then. */
static inline void check_refused(int64_t expected, int64_t value, uint64_t before,
                                 const char *what) {
    bool same = check_state() == before;
    if (value >= 0)
        check(false, "%s: done (%ld), must be refused with %s", what, value,
              sys_error_name(expected));
    else if (value != expected)
        check(false, "%s: %s, expected %s", what, sys_error_name(value), sys_error_name(expected));
    else
        check(same, "%s: %s%s", what, sys_error_name(value), same ? "" : ", but something changed");
}

/* A call that must answer this error and change nothing. */
#define REFUSED(expected, what, call)                                \
    do {                                                             \
        uint64_t before_ = check_state();                            \
        check_refused(EXO_E##expected, (call).value, before_, what); \
    } while (0)

/* A call that must succeed; its result, which is 0 or more. */
static inline uint64_t check_done(struct exo_result result, const char *what) {
    if (result.value < 0) check(false, "%s: %s", what, sys_error_name(result.value));
    return result.value < 0 ? 0 : (uint64_t)result.value;
}
#define DONE(what, call) check_done(call, what)

static inline void check_begin(const char *name) {
    const struct exo_info *info = sys_info();
    uint64_t pages =
        (info->ram_count * sizeof(struct exo_frame) + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES;
    check_program = name;
    printf("%s: %u harts, %lu frames\n", name, info->hart_count, info->ram_count);
    check_words = mem_map_frames(EXO_NONE, info->frame_table, pages, EXO_PAGE_R);
    if (!check_words) {
        printf("Bail out! the frame table cannot be mapped\n");
        fflush(stdout);
        exo_exit();
    }
}

/* To end main with. */
static inline int check_end(void) {
    printf("1..%u\n%s: %u checks, %u wrong\n", check_count, check_program, check_count,
           check_failures);
    fflush(stdout);
    /* As the first program it is what ends the machine. */
    while (sys_is_init()) exo_shutdown(sys_start->console, check_failures != 0);
    return check_failures != 0;
}

/* Handles that name nothing, made from one that does, of a slot that was used before. */
#define CHECK_HANDLES 8
static inline uint64_t check_handle(uint64_t handle, int number) {
    switch (number) {
    case 0: return ~0ul;
    case 1: return handle + (1ul << EXO_HANDLE_GEN_SHIFT);
    case 2: return handle - (1ul << EXO_HANDLE_GEN_SHIFT);
    case 3: return handle ^ 1ul << 63;
    case 4: return handle ^ EXO_HANDLE(0, EXO_ENV_SLOTS); /* past the ENV frame's slots */
    case 5: return handle | EXO_HANDLE(EXO_CAPS_FRAMES, 0);
    case 6: return handle | EXO_HANDLE(EXO_CAPS_FRAMES + 1, 0);
    default: return handle | EXO_HANDLE(0xfffff, 0);
    }
}

/* `call` uses `bad` where a handle is expected; all those that name nothing must be refused. */
#define TRY_HANDLES(expected, handle, what, call)                                                 \
    do {                                                                                          \
        int wrong_ = 0;                                                                           \
        uint64_t before_ = check_state();                                                         \
        int64_t last_ = 0;                                                                        \
        for (int number_ = 0; number_ < CHECK_HANDLES; number_++) {                               \
            uint64_t bad = check_handle(handle, number_);                                         \
            last_ = (call).value;                                                                 \
            if (last_ != EXO_E##expected) wrong_++;                                               \
        }                                                                                         \
        check(!wrong_ && check_state() == before_, "%s, %d handles of nothing: %s, %d not", what, \
              CHECK_HANDLES, sys_error_name(last_), wrong_);                                      \
    } while (0)
