/* SPDX-License-Identifier: MIT */
/*
 * The life of a task: running, how it ended, taking everything back.
 */
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

int64_t task_start_taking(struct task *task, uint64_t hart, uint64_t rights) {
    struct row row;
    int64_t error = row_take(&row, hart, rights, task->env);

    if (error < 0) return error;
    task->row = row.number;
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

void task_wait(uint64_t deadline) {
    uint64_t now = sys_time();

    /* The kernel's event goes to the first thread. */
    if (!sys_is_first() && deadline - now > sys_info()->row_ticks)
        deadline = now + sys_info()->row_ticks;
    exo_wait(1ul << EXO_EVENT_CHILD, deadline);
}

void task_run(struct task *tasks, uint64_t count) {
    uint64_t left, rowless;

    do {
        left = rowless = 0;
        for (uint64_t i = 0; i < count; i++) {
            if (task_has_ended(&tasks[i])) continue;
            left++;
            if (tasks[i].row != TASK_NO_ROW) continue;
            rowless++;
            exo_yield(tasks[i].env);
        }
        if (rowless)
            exo_yield(EXO_NONE); /* others of this hart have a turn too */
        else if (left)
            task_wait(EXO_NEVER);
    } while (left);
}

int task_status(const struct task *task) {
    return (int)(task->ctx->program[SYS_WORD_STATUS] & 0xff);
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
