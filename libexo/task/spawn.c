/* SPDX-License-Identifier: MIT */
/*
 * Building a task.
 *
 * The order matters: the frames that become ENV, CTX, ROOT and TABLE must not
 * be mapped by anybody when the kernel takes them, and the child must hold its
 * memory before anything can be mapped in its space.
 */
#include <string.h>

#include "task.h"

#define CLEAR_FRAMES 256 /* mapped at once to be cleared */

/* Frames of the task's memory that the kernel takes before the first TABLE. */
#define KERNEL_FRAMES 3

/* TABLEs of the child come from its own memory. */
static uint64_t build_take(struct space *space, uint64_t *slot) {
    struct build *build = space->context;

    if (build->next == build->task->env_frame + build->task->frame_count) return 0;
    *slot = build->memory;
    return build->next++;
}

/* Clear what others may have left in the memory, so that nothing is shown by lending it. */
static int64_t memory_clear(uint64_t first, uint64_t count) {
    while (count > 0) {
        uint64_t step = count < CLEAR_FRAMES ? count : CLEAR_FRAMES;
        void *frames = mem_map_frames(frame_slot(first), first, step, EXO_PAGE_R | EXO_PAGE_W);
        if (!frames) return TASK_EMEMORY;
        memset(frames, 0, step * EXO_FRAME_BYTES);
        mem_unmap_frames(frames);
        first += step;
        count -= step;
    }
    return 0;
}

static int64_t memory_alloc(struct build *build) {
    struct task *task = build->task;
    uint64_t count = build->options->frames ? build->options->frames : TASK_FRAMES_DEFAULT;
    uint64_t align = count >= 2 * EXO_GROUP_FRAMES ? EXO_GROUP_FRAMES : 1;
    uint64_t stale = 0;

    if (count < KERNEL_FRAMES + image_frames(&build->image)) return TASK_EMEMORY;
    task->env_frame = frame_alloc_range(count, align, &stale);
    if (task->env_frame == 0) return TASK_EMEMORY;
    task->frame_count = count;
    build->next = task->env_frame + KERNEL_FRAMES;
    return memory_clear(task->env_frame, stale);
}

static int64_t env_make(struct task *task) {
    uint64_t frame = task->env_frame;

    mem_lock();
    int64_t slot = mem_slot();
    int64_t env = slot;
    if (slot >= 0)
        env = exo_env_create(frame_slot(frame), frame, frame + 1, frame + 2, (uint64_t)slot).value;
    mem_unlock();
    if (env < 0) return env;
    task->env = (uint64_t)env;
    task->ctx = mem_map_frames(frame_slot(frame), frame + 1, 1, EXO_PAGE_R | EXO_PAGE_W);
    return task->ctx ? 0 : TASK_EMEMORY;
}

static int64_t arguments_fill(const struct task_options *options, struct sys_start *start) {
    char *at = sys_argument_bytes(start);
    char *end = at + SYS_ARGUMENT_BYTES;

    if (options->argument_count > SYS_ARGUMENTS_MAX || options->lend_count > SYS_LENT_MAX)
        return TASK_EARGUMENT;
    for (uint64_t i = 0; i < options->argument_count; i++) {
        size_t bytes = strlen(options->arguments[i]) + 1;
        if (bytes > (size_t)(end - at)) return TASK_EARGUMENT;
        memcpy(at, options->arguments[i], bytes);
        at += bytes;
    }
    start->argument_count = options->argument_count;
    return 0;
}

/* Start block, stack page and image, in frames that are mapped here while they are filled. */
static int64_t content_fill(struct build *build, uint64_t instructions) {
    build->content_frame = build->next;
    build->content_count = image_frames(&build->image);
    build->content = mem_map_frames(frame_slot(build->next), build->next, build->content_count,
                                    EXO_PAGE_R | EXO_PAGE_W);
    if (!build->content) return TASK_EMEMORY;
    build->next += build->content_count;

    struct sys_start *start = (struct sys_start *)build->content;
    memset(start, 0, EXO_FRAME_BYTES);
    start->magic = SYS_START_MAGIC;
    start->instructions = instructions;
    start->frame_first = build->task->env_frame;
    start->frame_count = build->task->frame_count;
    image_fill(build);
    return arguments_fill(build->options, start);
}

/* The pages that every program of libexo finds at fixed places. */
static int64_t fixed_map(struct build *build, const struct sys_start *start) {
    uint64_t frame = build->task->env_frame;
    const struct {
        uint64_t va, slot, frame, rights;
    } pages[] = {
        {EXO_VA_INFO, EXO_NONE, sys_info()->info_frame, EXO_PAGE_R},
        {EXO_VA_ENV, build->memory, frame, EXO_PAGE_R},
        {EXO_VA_CTX, build->memory, frame + 1, EXO_PAGE_R | EXO_PAGE_W},
        {SYS_VA_START, build->memory, build->content_frame, EXO_PAGE_R | EXO_PAGE_W},
        {SYS_VA_CONSOLE, start->rings, start->rings_frame, EXO_PAGE_R | EXO_PAGE_W},
    };
    int64_t error = 0;

    for (uint64_t i = 0; i < sizeof(pages) / sizeof(pages[0]) && !error; i++)
        if (pages[i].va != SYS_VA_CONSOLE || start->rings)
            error = space_map(&build->space, pages[i].va, pages[i].slot, pages[i].frame, 1,
                              pages[i].rights);
    return error;
}

static int64_t registers_set(const struct build *build) {
    uint64_t *registers = sys_ctx()->vector;

    for (uint64_t i = 0; i < 32; i++) registers[i] = 0;
    registers[0] = build->image.entry;
    registers[2] = SYS_VA_STACK_TOP;
    registers[10] = SYS_VA_START;
    return exo_env_regs(build->task->env, EXO_REGS_SET).value;
}

static int64_t task_build(struct build *build, uint64_t instructions) {
    int64_t error = memory_alloc(build);
    if (!error) error = env_make(build->task);
    if (!error) error = content_fill(build, instructions);
    if (error) return error;

    struct sys_start *start = (struct sys_start *)build->content;
    error = task_lend_all(build, start);
    build->space = (struct space){
        .env = build->task->env,
        .frame_take = build_take,
        .context = build,
    };
    if (!error) error = fixed_map(build, start);
    if (!error) error = image_map(build);
    if (!error) error = registers_set(build);
    start->frame_used = build->next - build->task->env_frame;
    return error;
}

int64_t task_spawn(struct task *task, const char *name, const struct task_options *options) {
    uint64_t instructions = sys_instructions();
    struct build build = {.task = task, .options = options};
    struct archive_file file;

    *task = (struct task){.row = TASK_NO_ROW};
    if (!archive_find(name, &file)) return TASK_EFILE;
    strncpy(task->file, name, sizeof(task->file) - 1);
    build.file = archive_map(&file);
    if (!build.file) return file.bytes ? TASK_EMEMORY : TASK_EELF + ELF_SHORT;
    int64_t error = elf_read(build.file, file.bytes, &build.image);
    if (error)
        error += TASK_EELF;
    else
        error = task_build(&build, instructions);
    if (build.content) mem_unmap_frames(build.content);
    mem_unmap_frames((void *)build.file);
    if (error) task_end(task);
    /* This hart's fetches must see the image; another hart's are the kernel's care. */
    __asm__ volatile("fence.i" ::: "memory");
    return error;
}
