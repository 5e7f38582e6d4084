/* SPDX-License-Identifier: MIT */
/*
 * What a child holds from the start.
 *
 * All of it is lent: derived from what the parent holds, so it ends when the
 * parent takes it back or the child dies.
 */
#include "task.h"

int64_t task_lend_to(uint64_t env, const struct task_lend *range, uint64_t into) {
    int64_t slot = mem_slot();

    if (slot < 0) return slot;
    struct exo_result derived = exo_cap_derive(range->slot, (uint64_t)slot, range->first,
                                               range->count, range->rights, 0, 0);
    if (derived.value < 0) return derived.value;
    int64_t handle = sys_cap_grant((uint64_t)derived.value, env, EXO_HANDLE(0, into), 0, 0);
    if (handle < 0) sys_cap_drop((uint64_t)derived.value, range->first);
    return handle;
}

/* Lend a range if the parent has it; *handle is 0 if not. */
static int64_t lend_if_held(const struct build *build, const struct task_lend *range, uint64_t into,
                            uint64_t *handle) {
    *handle = 0;
    if (range->slot == EXO_NONE) return 0;
    int64_t value = task_lend_to(build->task->env, range, into);
    if (value < 0) return value;
    *handle = (uint64_t)value;
    return 0;
}

int64_t task_lend_all(struct build *build, struct sys_start *start) {
    const struct exo_info *info = sys_info();
    const struct task *task = build->task;
    const struct task_lend memory = {
        .slot = frame_slot(task->env_frame),
        .first = task->env_frame,
        .count = task->frame_count,
        .rights = EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X,
    };
    const struct task_lend archive = {
        .slot = archive_slot(),
        .first = info->archive,
        .count = (info->archive_bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES,
        .rights = EXO_PAGE_R,
    };
    const struct task_lend console = {
        .slot = sys_start->console,
        .first = 0,
        .count = 1,
        .rights = EXO_MACHINE_CONSOLE,
    };
    const struct task_lend lock = {
        .slot = sys_start->lock,
        .first = sys_start->lock_frame,
        .count = 1,
        .rights = EXO_PAGE_R | EXO_PAGE_W,
    };

    int64_t error = lend_if_held(build, &memory, SYS_SLOT_MEMORY, &start->memory);
    if (!error) error = lend_if_held(build, &archive, SYS_SLOT_ARCHIVE, &start->archive);
    if (!error) error = lend_if_held(build, &console, SYS_SLOT_CONSOLE, &start->console);
    if (!error) error = lend_if_held(build, &lock, SYS_SLOT_LOCK, &start->lock);
    for (uint64_t i = 0; i < build->options->lend_count && !error; i++)
        error = lend_if_held(build, &build->options->lend[i], SYS_SLOT_LENT + i, &start->lent[i]);
    start->lock_frame = sys_start->lock_frame;
    build->memory = start->memory;
    return error;
}
