/* SPDX-License-Identifier: MIT */
/*
 * The kernel core as a server for the sequence fuzzer (sequence.py): holds a
 * modelled machine, does one operation for each request on standard input and
 * answers on standard output with the result and all state that changed.
 *
 * After every operation the invariants are walked, and after a refused call
 * the state must be as before.  Requests and answers are in the byte order of
 * the host; sequence.py knows the same structures.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cap.h"
#include "env.h"
#include "host.h"
#include "recover.h"
#include "slice.h"
#include "space.h"
#include "walker.h"

#define SLOTS_A_FRAME 32
#define ENV_FIRST_SLOT (offsetof(struct exo_env, slot) / sizeof(struct exo_cap))
#define ENV_END_SLOT (offsetof(struct exo_env, donation) / sizeof(struct exo_cap) + 3)
#define HANG_SECONDS 20 /* an operation that takes longer hangs */
#define DELTA_WORDS (1u << 20)
#define ENV_WORDS 16  /* of struct exo_env that are sent, beside caps[] */
#define ROW_WORDS 7   /* of struct exo_row: all but the ring's */
#define SLOT_WORDS 14 /* of struct exo_cap that are sent: all but the reserved ones */

enum operation {
    OPERATION_BOOT = 1,  /* groups, harts, ASIDs, split, fast */
    OPERATION_CALL,      /* of `hart`: number and arguments */
    OPERATION_CONTINUE,  /* a paused or sleeping hart */
    OPERATION_INTERRUPT, /* a hart takes its pending interrupt */
    OPERATION_FAULT,     /* a hart's program meets an exception */
    OPERATION_TOUCH,     /* address, write */
    OPERATION_VECTOR,    /* number: first index; arguments: words of the vector of the hart's CTX */
    OPERATION_RECOVER,   /* all but init die, and init gets every name back; ends the machine */
    OPERATION_TIME,      /* ticks that pass; nobody looks yet */
};

struct request {
    uint32_t operation;
    uint32_t hart;
    int64_t number;
    uint64_t extra; /* of page calls: host_interrupt_after; of pct_call_until: the deadline */
    uint64_t arguments[7];
};

enum status {
    STATUS_GOOD,
    STATUS_BROKEN, /* an invariant does not hold; the message says which */
};

struct reply {
    int64_t value;
    uint64_t detail;
    uint32_t status;
    uint32_t delta_words;
    uint32_t message_bytes;
    uint32_t harts;
};

struct reply_hart {
    uint32_t state;
    uint32_t ipi;
    uint64_t env;
    uint64_t timer;
    uint64_t words[7]; /* a0 to a6 of the program */
};

/* Kinds of record in a delta: kind << 32 | words, key, words. */
enum { KIND_FRAME = 1, KIND_GROUP, KIND_ENTRY, KIND_SLOT, KIND_ROW, KIND_ENV, KIND_GONE };

static uint64_t delta[DELTA_WORDS];
static uint64_t delta_count;
static bool delta_matters; /* something changed that a refused call must not change */
static char message[512];

/* What was sent last. */
static struct exo_frame *shadow_frames;
static uint64_t *shadow_groups;
static uint8_t *shadow_contents;
static struct exo_row *shadow_rows;
static uint64_t *shadow_states;
static uint64_t shadow_count;

static void delta_add(uint64_t kind, uint64_t key, const uint64_t *words, uint64_t count) {
    if (delta_count + count + 2 > DELTA_WORDS) abort();
    delta[delta_count++] = kind << 32 | count;
    delta[delta_count++] = key;
    if (count) memcpy(&delta[delta_count], words, count * sizeof(*words));
    delta_count += count;
}

/* The state word that the environment had when it was sent last. */
static uint64_t *shadow_state(uint64_t frame) { return &shadow_states[frame - ram_first]; }

static void *shadow_content(uint64_t frame) {
    return shadow_contents + (frame - ram_first) * EXO_FRAME_BYTES;
}

/* Does a slot differ in more than the progress of a long job? */
static bool slot_matters(const struct exo_cap *now, const struct exo_cap *before) {
    struct exo_cap old = *before;
    old.cursor = now->cursor;
    old.sweep = now->sweep;
    old.reach = now->reach;
    old.walk = now->walk;
    old.pass = now->pass;
    return memcmp(now, &old, sizeof(old)) != 0;
}

static void slots_compare(uint64_t frame, uint64_t first, uint64_t end) {
    const struct exo_cap *now = frame_pointer(frame);
    struct exo_cap *before = shadow_content(frame);
    for (uint64_t i = first; i < end; i++) {
        if (memcmp(&now[i], &before[i], sizeof(now[i])) == 0) continue;
        delta_matters |= slot_matters(&now[i], &before[i]);
        delta_add(KIND_SLOT, frame * SLOTS_A_FRAME + i, (const uint64_t *)&now[i], SLOT_WORDS);
    }
}

/* What is sent of an environment: of a sleeper also what it sleeps for. */
static void env_words(const struct exo_env *env, uint64_t word, uint64_t *words) {
    uint64_t state = env_state(word);
    bool sleeps = state == EXO_STATE_WAIT, calls = state == EXO_STATE_CALLING;
    bool deep = sleeps || calls || state == EXO_STATE_READY || state == EXO_STATE_RUN;
    const uint64_t all[ENV_WORDS] = {
        env->gen,
        env->leader >> EXO_FRAME_SHIFT,
        env->ctx >> EXO_FRAME_SHIFT,
        env->root,
        env->first_cap,
        env->rows,
        env->asid,
        env->caps_count,
        env->caps_gen,
        env->caps_donated,
        env->urgent,
        env->events,
        sleeps ? env->mask : 0,
        sleeps || calls ? env->deadline : 0,
        deep ? env->depth : 0,
        word & EXO_FLAG_KILL ? 0 : env->caller, /* the link of one that dies is without meaning */
    };
    memcpy(words, all, sizeof(all));
}

static void env_compare(uint64_t frame) {
    const struct exo_env *now = env_at(frame);
    const struct exo_env *before = shadow_content(frame);
    uint64_t words[ENV_WORDS + EXO_CAPS_FRAMES], old[ENV_WORDS];
    env_words(now, *frame_state(frame), words);
    env_words(before, *shadow_state(frame), old);
    if (memcmp(words, old, sizeof(old)) == 0 &&
        memcmp(now->caps, before->caps, sizeof(now->caps)) == 0)
        return;
    delta_matters = true;
    memcpy(&words[ENV_WORDS], now->caps, sizeof(now->caps));
    delta_add(KIND_ENV, frame, words, sizeof(words) / sizeof(words[0]));
}

static void entries_compare(uint64_t frame) {
    const uint64_t *now = frame_pointer(frame);
    const uint64_t *before = shadow_content(frame);
    for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
        if (now[i] == before[i]) continue;
        delta_matters = true;
        delta_add(KIND_ENTRY, frame * TABLE_ENTRIES + i, &now[i], 1);
    }
}

static void frame_compare(uint64_t frame) {
    uint64_t type = frame_type(frame);
    struct exo_frame *before = &shadow_frames[frame - ram_first];
    struct exo_frame now = {*frame_word(frame), *frame_state(frame)};
    if (memcmp(&now, before, sizeof(now)) != 0) {
        delta_matters = true;
        if (before->word0 >> EXO_TYPE_SHIFT != type) {
            memset(shadow_content(frame), 0, EXO_FRAME_BYTES);
            *shadow_state(frame) = 0;
            delta_add(KIND_GONE, frame, NULL, 0);
        }
        *before = now;
        delta_add(KIND_FRAME, frame, &now.word0, 2);
    }
    switch (type) {
    case EXO_FRAME_TABLE:
    case EXO_FRAME_ROOT:
    case EXO_FRAME_ENV:
    case EXO_FRAME_CAPS: break;
    default: return;
    }
    bool slept = type == EXO_FRAME_ENV && *shadow_state(frame) != *frame_state(frame);
    if (!slept && memcmp(frame_pointer(frame), shadow_content(frame), EXO_FRAME_BYTES) == 0) return;
    if (type == EXO_FRAME_ENV) {
        env_compare(frame);
        *shadow_state(frame) = *frame_state(frame);
        slots_compare(frame, ENV_FIRST_SLOT, ENV_END_SLOT);
    } else if (type == EXO_FRAME_CAPS) {
        slots_compare(frame, 0, SLOTS_A_FRAME);
    } else {
        entries_compare(frame);
    }
    memcpy(shadow_content(frame), frame_pointer(frame), EXO_FRAME_BYTES);
}

static void state_compare(void) {
    delta_count = 0;
    delta_matters = false;
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++) frame_compare(frame);
    for (uint64_t group = 0; group < ram_count >> EXO_GROUP_SHIFT; group++) {
        uint64_t word = group_words[(ram_first >> EXO_GROUP_SHIFT) + group];
        if (word == shadow_groups[group]) continue;
        shadow_groups[group] = word;
        delta_matters = true;
        delta_add(KIND_GROUP, (ram_first >> EXO_GROUP_SHIFT) + group, &word, 1);
    }
    for (uint64_t row = 0; row < hart_count * EXO_ROWS; row++) {
        if (memcmp(slice_row(row), &shadow_rows[row], sizeof(shadow_rows[row])) == 0) continue;
        shadow_rows[row] = *slice_row(row);
        delta_matters = true;
        delta_add(KIND_ROW, row, &shadow_rows[row].env, ROW_WORDS);
    }
}

static void boot(const struct request *request) {
    struct host_plan plan = {.groups = request->arguments[0],
                             .harts = (uint32_t)request->arguments[1],
                             .asids = request->arguments[2]};
    host_boot(&plan);
    host_split = request->arguments[3];
    host_fast = request->arguments[4];
    if (shadow_count != ram_count) {
        free(shadow_frames);
        free(shadow_groups);
        free(shadow_contents);
        free(shadow_rows);
        free(shadow_states);
        shadow_frames = malloc(ram_count * sizeof(*shadow_frames));
        shadow_groups = malloc((ram_count >> EXO_GROUP_SHIFT) * sizeof(*shadow_groups));
        shadow_contents = malloc(ram_count * EXO_FRAME_BYTES);
        shadow_rows = malloc((uint64_t)EXO_HARTS_MAX * EXO_ROWS * sizeof(*shadow_rows));
        shadow_states = malloc(ram_count * sizeof(*shadow_states));
        shadow_count = ram_count;
    }
    memset(shadow_frames, 0, ram_count * sizeof(*shadow_frames));
    memset(shadow_states, 0, ram_count * sizeof(*shadow_states));
    memset(shadow_groups, 0, (ram_count >> EXO_GROUP_SHIFT) * sizeof(*shadow_groups));
    memset(shadow_contents, 0, ram_count * EXO_FRAME_BYTES);
    memset(shadow_rows, 0, (uint64_t)EXO_HARTS_MAX * EXO_ROWS * sizeof(*shadow_rows));
}

/* ---- requests ---- */

static bool answer_is_progress(int64_t value) {
    return value >= 0 || value == EXO_EAGAIN || value == EXO_EREAP || value == EXO_ESELF;
}

static const char *serve(const struct request *request, struct reply *reply) {
    struct host_model *model = &host_models[request->hart];
    uint64_t frame = 0;
    const struct exo_env *env =
        request->operation == OPERATION_BOOT ? NULL : harts[request->hart]->env;
    delta_count = 0;
    switch (request->operation) {
    case OPERATION_BOOT: boot(request); break;
    case OPERATION_CALL:
        if (request->number == EXO_CALL_pct_call_until)
            model->registers[HOST_T1] = request->extra;
        else
            host_interrupt_after = request->extra;
        host_call(request->hart, (int)request->number, request->arguments);
        host_interrupt_after = 0;
        reply->value = model->result.value;
        reply->detail = model->result.detail;
        break;
    case OPERATION_CONTINUE: host_continue(request->hart); break;
    case OPERATION_INTERRUPT: host_interrupt(request->hart); break;
    case OPERATION_FAULT:
        host_fault(request->hart, request->arguments[0], request->arguments[1]);
        break;
    case OPERATION_TOUCH:
        reply->value =
            host_touch(request->hart, request->arguments[0], request->arguments[1], &frame);
        reply->detail = reply->value ? frame : 0;
        break;
    case OPERATION_VECTOR:
        memcpy(&harts[request->hart]->ctx->vector[request->number], request->arguments,
               sizeof(request->arguments));
        break;
    case OPERATION_TIME: host_time += request->arguments[0]; break;
    case OPERATION_RECOVER: {
        const char *wrong = recover();
        if (wrong) return wrong;
        break;
    }
    default: return "no such operation";
    }
    /* A machine that was powered off stays as it is, perhaps with locks held. */
    for (uint64_t hart = 0; hart < hart_count; hart++)
        if (host_models[hart].state == HOST_OFF) return NULL;
    state_compare();
    bool stays = env && harts[request->hart]->env == env;
    if (request->operation == OPERATION_CALL && stays && !answer_is_progress(reply->value) &&
        delta_matters) {
        snprintf(message, sizeof(message), "call %ld was refused (%ld) and changed the state",
                 request->number, reply->value);
        return message;
    }
    return walk();
}

static bool read_all(void *buffer, size_t bytes) {
    char *at = buffer;
    while (bytes) {
        ssize_t got = read(STDIN_FILENO, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

static void write_part(const void *buffer, size_t bytes) {
    if (fwrite(buffer, 1, bytes, stdout) != bytes) exit(1);
}

static void reply_send(struct reply *reply, const char *wrong) {
    reply->status = wrong ? STATUS_BROKEN : STATUS_GOOD;
    reply->message_bytes = wrong ? (uint32_t)strlen(wrong) : 0;
    reply->delta_words = (uint32_t)delta_count;
    reply->harts = hart_count;
    write_part(reply, sizeof(*reply));
    for (uint64_t hart = 0; hart < hart_count; hart++) {
        const struct exo_env *env = harts[hart]->env;
        struct reply_hart at = {.state = host_models[hart].state,
                                .ipi = host_models[hart].ipi,
                                .env = env ? env->frame : 0,
                                .timer = host_models[hart].timer};
        memcpy(at.words, &host_models[hart].registers[HOST_A0], sizeof(at.words));
        write_part(&at, sizeof(at));
    }
    write_part(delta, delta_count * sizeof(*delta));
    if (wrong) write_part(wrong, strlen(wrong));
    fflush(stdout);
}

int main(void) {
    struct request request;
    while (read_all(&request, sizeof(request))) {
        struct reply reply = {0};
        alarm(HANG_SECONDS);
        reply_send(&reply, serve(&request, &reply));
    }
    return 0;
}
