/* SPDX-License-Identifier: MIT */
/*
 * Children for tests: environments that run a function of this very program.
 *
 * A child has a space of its own, in which the image of this program is mapped
 * at the same place, from the same frames: so a function that is compiled here
 * runs there, and both see the same globals.  Its stack, ENV and CTX are its
 * own.  libexo's state is shared too, and made for one thread: a child's
 * function calls the stubs of exo/sys.h and nothing that allocates or prints.
 *
 * What a child holds: slot 0 its own frames, slot 1 the image (both PAGE R W
 * X), slot 2 the console.  It handles no exception, so a fault stops it.
 *
 * A thread is the lesser form: an environment that joins this program's own
 * space, with nothing but registers, CTX and a stack of its own.
 */
#pragma once
#include <exo/task.h>

#define CHILD_FRAMES 16 /* of a child without spare ones */
#define CHILD_KERNEL_FRAMES 3
#define CHILD_TABLES 3
#define CHILD_STACK 6 /* first of two frames; those from CHILD_SPARE on are free */
#define CHILD_SPARE 8
#define CHILD_STACK_FRAMES 2
#define CHILD_SLOT_MEMORY 0
#define CHILD_SLOT_IMAGE 1
#define CHILD_SLOT_CONSOLE 2
#define CHILD_SLOT_FREE 3 /* the first that holds nothing */

struct child {
    uint64_t env;   /* first ENV capability, 0 when there is none */
    uint64_t frame; /* its first frame: ENV, then CTX and ROOT */
    uint64_t frames;
    uint64_t memory; /* the child's handle of its frames */
    uint64_t next;   /* frame for its next TABLE */
    uint64_t end;    /* ... and where those end */
    struct space space;
};

extern char _start[], __image_end[]; /* crt0.S and the linker script: the image begins and ends */

static inline uint64_t child_frame_take(struct space *space, uint64_t *slot) {
    struct child *child = space->context;
    if (child->next == child->end) return 0;
    *slot = child->memory;
    return child->next++;
}

/* Lend a range to the slot `into` of another environment's ENV frame.  Its handle there, or an error. */
static inline int64_t child_lend(uint64_t env, uint64_t slot, uint64_t first, uint64_t count,
                                 uint64_t rights, uint64_t extra, uint64_t into) {
    int64_t free = mem_slot();
    if (free < 0) return free;
    int64_t derived = exo_cap_derive(slot, (uint64_t)free, first, count, rights, 0, extra).value;
    if (derived < 0) return derived;
    int64_t value = sys_cap_grant((uint64_t)derived, env, EXO_HANDLE(0, into), 0, 0);
    if (value < 0) sys_cap_drop((uint64_t)derived, first);
    return value;
}

/* The first frame of this program's image, which is a run of frames; *pages tells how many. */
static inline uint64_t child_image(uint64_t *pages) {
    uint64_t first;
    bool large;
    *pages = ((uint64_t)(__image_end - _start) + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES;
    space_frames((uint64_t)_start, 1, &first, &large);
    return first;
}

/*
 * Make a child of CHILD_FRAMES and `spare` frames, STOPPED and without
 * registers.  Returns 0 or an error; child_end() either way.
 */
static inline int64_t child_make(struct child *child, uint64_t spare) {
    uint64_t pages, image = child_image(&pages), rights = EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X;
    *child = (struct child){.frames = CHILD_FRAMES + spare};
    int64_t slot = mem_slot();
    if (slot < 0) return slot;
    uint64_t frame = child->frame = frame_alloc_range(child->frames, 1, NULL);
    if (!frame) return EXO_EFULL;
    int64_t value =
        exo_env_create(frame_slot(frame), frame, frame + 1, frame + 2, (uint64_t)slot).value;
    if (value < 0) return value;
    child->env = (uint64_t)value;
    value = child_lend(child->env, frame_slot(frame), frame, child->frames, rights, 0,
                       CHILD_SLOT_MEMORY);
    if (value < 0) return value;
    child->memory = (uint64_t)value;
    child->next = frame + CHILD_KERNEL_FRAMES;
    child->end = child->next + CHILD_TABLES;
    child->space = (struct space){child->env, child_frame_take, child};
    value = child_lend(child->env, frame_slot(image), image, pages, rights, 0, CHILD_SLOT_IMAGE);
    if (value < 0) return value;
    int64_t error =
        space_map(&child->space, (uint64_t)_start, (uint64_t)value, image, pages, rights);
    if (!error)
        error =
            space_map(&child->space, EXO_VA_INFO, EXO_NONE, sys_info()->info_frame, 1, EXO_PAGE_R);
    if (!error) error = space_map(&child->space, EXO_VA_ENV, child->memory, frame, 1, EXO_PAGE_R);
    if (!error)
        error = space_map(&child->space, EXO_VA_CTX, child->memory, frame + 1, 1,
                          EXO_PAGE_R | EXO_PAGE_W);
    if (!error)
        error = space_map(&child->space, SYS_VA_STACK_TOP - CHILD_STACK_FRAMES * EXO_FRAME_BYTES,
                          child->memory, frame + CHILD_STACK, CHILD_STACK_FRAMES,
                          EXO_PAGE_R | EXO_PAGE_W);
    if (!error && sys_start->console)
        error = child_lend(child->env, sys_start->console, 0, 1, EXO_MACHINE_CONSOLE, 0,
                           CHILD_SLOT_CONSOLE);
    return error < 0 ? error : 0;
}

/* Registers of a STOPPED environment: to call `entry` with two arguments.  A return faults at 0. */
static inline int64_t child_set(uint64_t env, void (*entry)(uint64_t, uint64_t), uint64_t stack,
                                uint64_t a0, uint64_t a1) {
    extern char __tls_base[];
    uint64_t *registers = sys_ctx()->vector;
    for (uint64_t i = 0; i < 32; i++) registers[i] = 0;
    registers[0] = (uint64_t)entry;
    registers[2] = stack;
    registers[4] = (uint64_t)__tls_base;
    registers[10] = a0;
    registers[11] = a1;
    return exo_env_regs(env, EXO_REGS_SET).value;
}

/* Make it READY to call `entry`.  Returns 0 or an error. */
static inline int64_t child_start(struct child *child, void (*entry)(uint64_t, uint64_t),
                                  uint64_t a0, uint64_t a1) {
    int64_t error = child_set(child->env, entry, SYS_VA_STACK_TOP, a0, a1);
    return error ? error : exo_env_regs(child->env, EXO_REGS_START).value;
}

/* End it in whatever state and take its frames back.  Returns 0 or an error. */
static inline int64_t child_end(struct child *child) {
    int64_t error = child->env ? sys_env_destroy(child->env, child->frame) : 0;
    if (!error && child->frame) frame_free(child->frame, child->frames);
    *child = (struct child){0};
    return error;
}

/* State and flags of an environment, as env_regs tells them, or an error. */
static inline int64_t child_state(uint64_t env) { return exo_env_regs(env, EXO_REGS_STATE).value; }

/*
 * A thread on the frames `frame` (ENV) and `frame + 1` (CTX): STOPPED, to call
 * `entry` with its stack's end in `stack`.  Returns its ENV handle or an error.
 */
static inline int64_t thread_make(uint64_t frame, void (*entry)(uint64_t, uint64_t), uint64_t stack,
                                  uint64_t a0, uint64_t a1) {
    int64_t slot = mem_slot();
    if (slot < 0) return slot;
    int64_t env = exo_env_create(frame_slot(frame), frame, frame + 1, 0, (uint64_t)slot).value;
    if (env < 0) return env;
    int64_t error = child_set((uint64_t)env, entry, stack, a0, a1);
    return error ? error : env;
}

/* A SLICE capability of this program, or EXO_NONE; *first and *count tell its rows. */
static inline uint64_t child_rows(uint64_t *first, uint64_t *count) {
    *first = *count = 0;
    for (uint64_t index = 0; index < EXO_ENV_SLOTS; index++) {
        const struct exo_cap *cap = sys_slot(0, index);
        if (EXO_CAP_STATE(cap->word) != EXO_SLOT_LIVE) continue;
        if (EXO_CAP_CLASS(cap->word) != EXO_CLASS_SLICE) continue;
        *first = cap->first;
        *count = cap->count;
        return EXO_CAP_HANDLE(cap->word, index);
    }
    return EXO_NONE;
}
