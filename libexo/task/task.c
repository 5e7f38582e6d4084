/* SPDX-License-Identifier: MIT */
/*
 * The life of a task: running, how it ended, taking everything back.
 */
#include <stdio.h>

#include "task.h"

const char *task_error_text(int64_t error) {
    if (error <= TASK_EELF) return elf_error_text((enum elf_error)(error - TASK_EELF));
    switch (error) {
    case TASK_EFILE: return "the boot archive has no such file";
    case TASK_EMEMORY: return "there is not enough memory";
    case TASK_EARGUMENT: return "too many or too long arguments";
    default: return sys_error_text(error);
    }
}

int64_t task_start(struct task *task) { return exo_env_regs(task->env, EXO_REGS_START).value; }

int64_t task_start_on(struct task *task, uint64_t slice, uint64_t row) {
    int64_t error = exo_slice_bind(slice, row, task->env).value;

    if (error < 0) return error;
    task->row = row;
    return task_start(task);
}

enum task_state task_state(const struct task *task) {
    int64_t word = exo_env_regs(task->env, EXO_REGS_STATE).value;

    if (word < 0) return TASK_GONE;
    if (word & EXO_FLAG_KILL) return TASK_EXITED;
    switch (word & EXO_STATE_MASK) {
    case EXO_STATE_READY: return TASK_READY;
    case EXO_STATE_STOPPED: return word & EXO_FLAG_FAULT ? TASK_FAULTED : TASK_STOPPED;
    default: return TASK_RUNNING;
    }
}

bool task_has_ended(const struct task *task) { return task_state(task) >= TASK_FAULTED; }

void task_run(struct task *tasks, uint64_t count) {
    uint64_t left;

    do {
        left = 0;
        for (uint64_t i = 0; i < count; i++) {
            if (task_has_ended(&tasks[i])) continue;
            left++;
            if (tasks[i].row == TASK_NO_ROW) exo_yield(tasks[i].env);
        }
        if (left) exo_yield(EXO_NONE); /* others of this hart have a turn too */
    } while (left);
}

int task_status(const struct task *task) {
    return (int)(task->ctx->program[SYS_WORD_STATUS] & 0xff);
}

void task_show_fault(const struct task *task, const char *name) {
    static const char *const names[] = {
        "pc", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
        "a1", "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
        "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    };
    const uint64_t *registers = sys_ctx()->vector;

    printf("%s: %s at pc %#lx, address %#lx;", name, sys_cause_text(task->ctx->stop_cause),
           task->ctx->register_pc, task->ctx->stop_value);
    if (exo_env_regs(task->env, EXO_REGS_GET).value == 0)
        for (uint64_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
            printf(" %s %lx", names[i], registers[i]);
    printf("\n");
}

int64_t task_end(struct task *task) {
    if (task->ctx) mem_unmap_frames(task->ctx);
    task->ctx = NULL;
    if (task->env) {
        int64_t error = sys_env_destroy(task->env, task->env_frame);
        if (error < 0) return error;
    }
    task->env = 0;
    if (task->env_frame) frame_free(task->env_frame, task->frame_count);
    task->env_frame = 0;
    return 0;
}
