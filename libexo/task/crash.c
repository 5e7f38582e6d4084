/* SPDX-License-Identifier: MIT */
/*
 * The crash record: what a parent can tell of a task that has faulted.
 *
 * The registers come from the kernel.  The stack is the child's memory, which
 * the parent lent: it reads it through the child's own page table.  Frame
 * pointers are followed upwards, but for a few changes of the stack, and only as
 * long as they lead to executable pages.
 */
#include <stdio.h>
#include <string.h>

#include "task.h"

#define REGISTER_RA 1
#define REGISTER_SP 2
#define REGISTER_S0 8
#define REGISTERS 32
#define STACKS_MAX 3 /* a handler's stack may lie above the one of what it interrupted */

uint64_t task_read(const struct task *task, uint64_t va, void *to, uint64_t bytes) {
    struct frame_range own = {task->env_frame, task->frame_count};
    uint64_t root = task->env_frame + 2, done = 0, rights;

    while (done < bytes) {
        uint64_t at = (va + done) % EXO_FRAME_BYTES;
        uint64_t step = EXO_FRAME_BYTES - at < bytes - done ? EXO_FRAME_BYTES - at : bytes - done;
        uint64_t frame = space_frame_of(root, va + done, own, &rights);
        const char *page = frame ? mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R) : NULL;
        if (!page) break;
        memcpy((char *)to + done, page + at, step);
        mem_unmap_frames((void *)page);
        done += step;
    }
    return done;
}

/* What a function keeps below its frame pointer. */
struct link {
    uint64_t pointer; /* of its caller */
    uint64_t place;   /* where it returns to */
};

static bool is_code(const struct task *task, uint64_t place) {
    struct frame_range own = {task->env_frame, task->frame_count};
    uint64_t rights;

    return place % 2 == 0 && space_frame_of(task->env_frame + 2, place, own, &rights) &&
           (rights & EXO_PAGE_X);
}

static bool link_read(const struct task *task, uint64_t pointer, struct link *link) {
    return pointer % sizeof(uint64_t) == 0 && pointer > sizeof(*link) &&
           task_read(task, pointer - sizeof(*link), link, sizeof(*link)) == sizeof(*link);
}

static uint64_t calls_follow(const struct task *task, const uint64_t *registers, uint64_t *places) {
    uint64_t count = 0, pointer = registers[REGISTER_S0], below = registers[REGISTER_SP];
    unsigned stacks = STACKS_MAX;
    struct link link;

    places[count++] = registers[0];
    while (count < TASK_CALLS_MAX && (pointer > below || --stacks) &&
           link_read(task, pointer, &link)) {
        /* A function that calls none keeps its caller's frame pointer only, at the upper place. */
        if (count == 1 && !is_code(task, link.place))
            link = (struct link){link.place, registers[REGISTER_RA]};
        if (!is_code(task, link.place)) break;
        places[count++] = link.place;
        below = pointer;
        pointer = link.pointer;
    }
    return count;
}

uint64_t task_calls(const struct task *task, uint64_t *places) {
    uint64_t registers[REGISTERS];

    if (exo_env_regs(task->env, EXO_REGS_GET).value < 0) return 0;
    memcpy(registers, sys_ctx()->vector, sizeof(registers));
    return calls_follow(task, registers, places);
}

void task_show_fault(const struct task *task, const char *name) {
    static const char *const names[REGISTERS] = {
        "pc", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
        "a1", "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
        "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    };
    uint64_t registers[REGISTERS], places[TASK_CALLS_MAX];

    printf("%s: %s at pc %#lx, address %#lx%s\n", name, sys_cause_text(task->ctx->stop_cause),
           task->ctx->register_pc, task->ctx->stop_value,
           task->ctx->exception_mask ? ", in a handler" : "");
    if (exo_env_regs(task->env, EXO_REGS_GET).value < 0) return;
    memcpy(registers, sys_ctx()->vector, sizeof(registers));
    for (uint64_t i = 1; i < REGISTERS; i++)
        printf("%s%-3s %16lx%s", i % 4 == 1 ? "  " : "", names[i], registers[i],
               i % 4 == 0 || i == REGISTERS - 1 ? "\n" : "  ");
    uint64_t count = calls_follow(task, registers, places);
    printf("backtrace: %s", task->file);
    for (uint64_t i = 0; i < count; i++) printf(" %#lx", places[i]);
    printf("\n");
}
