/* SPDX-License-Identifier: MIT */
/*
 * What a child holds from the start.
 *
 * All of it is lent: derived from what the parent holds, so it ends when the
 * parent takes it back or the child dies.
 */
#include "sys/sys.h"
#include "task.h"

#define ALL_EVENTS ((1ul << EXO_EVENT_CHILD) - 1) /* but those of the kernel */

int64_t task_lend_to(uint64_t env, const struct task_lend *range, uint64_t into) {
    mem_lock();
    int64_t slot = mem_slot();
    int64_t derived = slot;
    if (slot >= 0)
        derived = exo_cap_derive(range->slot, (uint64_t)slot, range->first, range->count,
                                 range->rights, 0, range->extra)
                      .value;
    mem_unlock();
    if (derived < 0) return derived;
    int64_t handle = sys_cap_grant((uint64_t)derived, env, EXO_HANDLE(0, into), 0, 0);
    if (handle < 0) sys_cap_drop((uint64_t)derived, range->first);
    return handle;
}

struct task_lend task_lend_task(const struct task *task, uint64_t rights, uint64_t events) {
    return (struct task_lend){
        .slot = task->env,
        .first = task->env_frame,
        .count = 1,
        .rights = rights,
        .extra = events,
    };
}

struct task_lend task_lend_self(uint64_t events) {
    return (struct task_lend){
        .slot = sys_start->self,
        .first = sys_env()->frame,
        .count = 1,
        .rights = EXO_ENV_NOTIFY,
        .extra = events,
    };
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

/*
 * The child's console, and how it reaches who serves that: this program, if it
 * made one for the child, else the same as its own.  What init makes its service
 * knows.
 */
static int64_t lend_rings(const struct build *build, struct sys_start *start) {
    uint64_t own = build->options->rings, bell_handle;
    bool serves = own && !sys_is_init();
    const struct task_lend rings = {
        .slot = own ? frame_slot(own) : sys_start->rings,
        .first = own ? own : sys_start->rings_frame,
        .count = 1,
        .rights = EXO_PAGE_R | EXO_PAGE_W,
    };
    const struct task_lend service = {
        .slot = serves ? EXO_NONE : sys_start->service,
        .first = sys_start->service_frame,
        .count = 1,
        .rights = EXO_ENV_CALL,
    };
    struct task_lend bell = task_lend_self(1ul << SYS_EVENT_CONSOLE);

    if (own == TASK_NO_RINGS) return 0;
    if (!serves) {
        bell.slot = sys_start->service ? EXO_NONE : sys_bell();
        bell.first = bell.slot ? sys_slot(0, SYS_SLOT_BELL)->first : 0;
    }
    int64_t error = lend_if_held(build, &rings, SYS_SLOT_RINGS, &start->rings);
    if (!error) error = lend_if_held(build, &service, SYS_SLOT_SERVICE, &start->service);
    if (!error) error = lend_if_held(build, &bell, SYS_SLOT_BELL, &bell_handle);
    start->rings_frame = rings.first;
    start->service_frame = sys_start->service_frame;
    start->service_generation = sys_start->service_generation;
    return error;
}

/* A child's devices may use its memory if the parent's may. */
static uint64_t memory_dma(const struct task *task) {
    const struct exo_cap *cap = sys_slot_named(frame_slot(task->env_frame));
    return cap ? EXO_CAP_RIGHTS(cap->word) & EXO_PAGE_DMA : 0;
}

int64_t task_lend_all(struct build *build, struct sys_start *start) {
    const struct exo_info *info = sys_info();
    const struct task *task = build->task;
    const struct task_lend memory = {
        .slot = frame_slot(task->env_frame),
        .first = task->env_frame,
        .count = task->frame_count,
        .rights = EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X | memory_dma(task),
    };
    const struct task_lend archive = {
        .slot = archive_slot(),
        .first = info->archive,
        .count = (info->archive_bytes + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES,
        .rights = EXO_PAGE_R,
    };
    const struct task_lend console = {
        .slot = build->options->silent ? EXO_NONE : sys_start->console,
        .first = 0,
        .count = 1,
        .rights = EXO_MACHINE_CONSOLE,
    };
    const struct task_lend self =
        task_lend_task(task, EXO_ENV_CALL | EXO_ENV_NOTIFY | EXO_ENV_CONTROL, ALL_EVENTS);

    int64_t error = lend_if_held(build, &memory, SYS_SLOT_MEMORY, &start->memory);
    if (!error) error = lend_if_held(build, &archive, SYS_SLOT_ARCHIVE, &start->archive);
    if (!error) error = lend_if_held(build, &console, SYS_SLOT_CONSOLE, &start->console);
    if (!error) error = lend_if_held(build, &self, SYS_SLOT_SELF, &start->self);
    if (!error) error = lend_rings(build, start);
    for (uint64_t i = 0; i < build->options->lend_count && !error; i++)
        error = lend_if_held(build, &build->options->lend[i], SYS_SLOT_LENT + i, &start->lent[i]);
    build->memory = start->memory;
    return error;
}
