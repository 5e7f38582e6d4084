/* SPDX-License-Identifier: MIT */
/*
 * Time, events and calls between environments, as tests want them: all words
 * and registers in view, nothing kept from them.
 */
#pragma once
#include <string.h>

#include "child.h"

/* The time counter. */
static inline uint64_t now(void) {
    uint64_t time;
    __asm__ volatile("rdtime %0" : "=r"(time));
    return time;
}

/* Ticks of so many microseconds. */
static inline uint64_t microseconds(uint64_t count) {
    return count * sys_info()->timebase_hz / 1000000;
}

/*
 * Let time pass without a spinning hart.  An environment without a row has no
 * timed wake-up: it gives its turn up instead.
 */
static inline void rest(uint64_t ticks) {
    if (sys_env()->rows)
        exo_wait(0, now() + ticks);
    else
        exo_yield(EXO_NONE);
}

/* Wait for a condition; false if it does not come. */
#define PATIENCE 30 /* seconds: for a host that has other things to do */
#define WAIT(condition)                                                        \
    ({                                                                         \
        uint64_t end_ = now() + PATIENCE * sys_info()->timebase_hz;            \
        bool came_;                                                            \
        while (!(came_ = (condition)) && now() < end_) rest(microseconds(50)); \
        came_;                                                                 \
    })

/* Six words, and what came with them. */
struct words {
    uint64_t word[6];
    uint64_t
        from; /* caller's ENV frame; after a call not 0 if it was answered, else word[0] is the error */
};

static inline void words_done(struct words *words, const struct sys_words *got, int64_t error) {
    memcpy(words->word, got->word, sizeof(words->word));
    words->from = !error;
    if (error) words->word[0] = (uint64_t)error;
}

/* The three calls of transfer: the words go, and those that come are in their place. */
static inline void words_call(struct words *words, uint64_t env) {
    struct sys_words sent;
    memcpy(sent.word, words->word, sizeof(sent.word));
    words_done(words, &sent, sys_call(env, &sent));
}

static inline void words_call_until(struct words *words, uint64_t env, uint64_t deadline) {
    struct sys_words sent;
    memcpy(sent.word, words->word, sizeof(sent.word));
    words_done(words, &sent, sys_call_until(env, &sent, deadline));
}

/* `from` is 0 when it was stopped and started without a call. */
static inline void words_reply(struct words *words) {
    struct sys_words sent;
    memcpy(sent.word, words->word, sizeof(sent.word));
    words->from = sys_reply(&sent);
    memcpy(words->word, sent.word, sizeof(sent.word));
}

/* A call's error, below 0; 1 if it was answered. */
static inline int64_t words_result(const struct words *words) {
    return words->from ? 1 : (int64_t)words->word[0];
}

/* State of an environment, without its flags, or an error. */
static inline int64_t state_of(uint64_t env) {
    int64_t state = child_state(env);
    return state < 0 ? state : state & EXO_STATE_MASK;
}

/*
 * Yield to an environment until it is in this state: the slice may end at any
 * moment, so once may not be enough.
 */
static inline bool run_until(uint64_t env, int64_t state) {
    return WAIT(state_of(env) == state || (exo_yield(env), false));
}

/* ... until it is DYING. */
static inline bool run_to_end(uint64_t env) {
    return WAIT((child_state(env) & EXO_FLAG_KILL) || (exo_yield(env), false));
}

/*
 * Have libexo add the CAPS frames for so many slots (at most 256) and link the TABLEs of
 * children now, so that nothing of that is new when frames are counted.
 */
static inline void warm(uint64_t slots) {
    static uint64_t held[256];
    uint64_t frame = frame_alloc();
    for (uint64_t i = 0; i < slots; i++)
        held[i] = (uint64_t)exo_cap_derive(frame_slot(frame), (uint64_t)mem_slot(), frame, 1,
                                           EXO_PAGE_R, 0, 0)
                      .value;
    for (uint64_t i = 0; i < slots; i++) sys_cap_drop(held[i], frame);
    frame_free(frame, 1);
    for (int turn = 0; turn < 2; turn++) {
        struct child child;
        child_make(&child, 0);
        mem_unmap_frames(mem_map_frames(frame_slot(child.frame), child.frame, 1, EXO_PAGE_R));
        child_end(&child);
    }
}

/* The slice vectors, mapped here; row by EXO_ROWS * hart + row. */
static inline const volatile struct exo_row *rows_map(void) {
    return mem_map_frames(EXO_NONE, sys_info()->slice_table, sys_info()->hart_count, EXO_PAGE_R);
}

/* The number that init's command tells at this place, or `usual` if there is none. */
static inline uint64_t number_told(unsigned place, uint64_t usual) {
    struct archive_file file;
    const char *words = archive_find("command", &file) ? archive_map(&file) : NULL;
    if (!words || !sys_is_init()) return usual;
    const char *end = words + file.bytes, *at = words;
    while (place-- && at < end) at += strlen(at) + 1;
    uint64_t number = at < end && *at >= '0' && *at <= '9' ? 0 : usual;
    for (; at < end && *at >= '0' && *at <= '9'; at++) number = 10 * number + (uint64_t)(*at - '0');
    mem_unmap_frames((void *)words);
    return number;
}
