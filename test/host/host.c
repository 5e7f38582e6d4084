/* SPDX-License-Identifier: MIT */
/* Boot of the modelled machine and the calls of its programs: see host.h. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "env.h"
#include "fiber.h"
#include "slice.h"
#include "trap.h"

#define KERNEL_FRAMES 16   /* what the kernel's image takes of the first group */
#define ARCHIVE_FRAME 0x40 /* where the boot archive lies in the first group */
#define SETTLE_STEPS 10000 /* more than any machine takes until nothing changes */

/* Numbers of jobs beside those of the calls. */
enum { JOB_START = 1000, JOB_INTERRUPT, JOB_FAULT };

/* What the fiber of a hart is to do. */
static struct {
    int number;
    uint64_t arguments[2];
} jobs[EXO_HARTS_MAX];

static struct machine *boot_machine;

/* ---- calls ---- */

/* The fiber's work. */
static void job_run(uint64_t index) {
    struct hart *hart = harts[index];
    const struct exo_env *env = hart->env;
    const uint64_t *a = jobs[index].arguments;
    arch_hart_set(hart);
    switch (jobs[index].number) {
    case JOB_START: hart_schedule();
    case JOB_INTERRUPT: trap_interrupt(hart); break;
    case JOB_FAULT: trap_exception(hart, a[0], a[1]); break;
    default: trap_call(hart, jobs[index].number); break;
    }
    struct host_model *model = &host_models[index];
    if (hart->env == env)
        model->result =
            (struct result){(int64_t)model->registers[HOST_A0], model->registers[HOST_A0 + 1]};
}

static enum host_state hart_run(uint64_t hart, int number, uint64_t a0, uint64_t a1) {
    jobs[hart].number = number;
    jobs[hart].arguments[0] = a0;
    jobs[hart].arguments[1] = a1;
    return fiber_run(hart, job_run);
}

enum host_state host_call(uint64_t hart, int number, const uint64_t arguments[7]) {
    struct host_model *model = &host_models[hart];
    if (model->state != HOST_PROGRAM || number < EXO_CALL_pct_call_until ||
        number >= EXO_CALL_COUNT) {
        fprintf(stderr, "host_call: hart %lu cannot call %d\n", hart, number);
        abort();
    }
    const struct exo_env *env = harts[hart]->env;
    const struct exo_ctx *ctx = harts[hart]->ctx;
    model->result = (struct result){0, 0};
    memcpy(&model->registers[HOST_A0], arguments, 7 * sizeof(*arguments));
    enum host_state state = hart_run(hart, number, 0, 0);
    if (state != HOST_OFF && harts[hart]->env != env) /* it waits in x10 and x11 */
        model->result =
            (struct result){(int64_t)ctx->register_x[HOST_A0 - 1], ctx->register_x[HOST_A0]};
    return state;
}

struct result host_result(uint64_t hart, int number, const uint64_t arguments[7]) {
    if (host_call(hart, number, arguments) != HOST_PROGRAM) {
        fprintf(stderr, "host_result: call %d of hart %lu did not come back\n", number, hart);
        abort();
    }
    return host_models[hart].result;
}

enum host_state host_continue(uint64_t hart) { return fiber_continue(hart); }

enum host_state host_interrupt(uint64_t hart) { return hart_run(hart, JOB_INTERRUPT, 0, 0); }

enum host_state host_fault(uint64_t hart, uint64_t cause, uint64_t value) {
    return hart_run(hart, JOB_FAULT, cause, value);
}

/* Let the hart do what it must, if there is anything. */
static bool hart_settle(uint64_t hart) {
    switch (host_models[hart].state) {
    case HOST_PAUSED: break;
    case HOST_IDLE:
        if (!host_interrupt_pending(hart)) return false;
        break;
    case HOST_PROGRAM:
        if (host_interrupt_pending(hart))
            host_interrupt(hart);
        else
            return false;
        return true;
    default: return false;
    }
    host_continue(hart);
    return true;
}

void host_settle(void) {
    uint64_t steps = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint64_t hart = 0; hart < hart_count; hart++) changed |= hart_settle(hart);
        if (++steps > SETTLE_STEPS) {
            fprintf(stderr, "KERNEL BUG: the harts interrupt each other for ever\n");
            abort();
        }
    }
}

void host_advance(uint64_t ticks) {
    uint64_t end = host_time + ticks;
    host_settle();
    while (host_time < end) {
        uint64_t next = end;
        for (uint64_t hart = 0; hart < hart_count; hart++) {
            uint64_t timer = host_models[hart].timer;
            if (timer > host_time && timer < next) next = timer;
        }
        host_time = next;
        host_settle();
    }
}

/* ---- boot ---- */

uint64_t host_archive_make(uint64_t address) {
    struct exo_archive *archive = arch_pointer(address);
    *archive = (struct exo_archive){
        .magic = EXO_ARCHIVE_MAGIC,
        .bytes = 3 * EXO_FRAME_BYTES,
        .init_offset = EXO_FRAME_BYTES,
        .init_text_bytes = EXO_FRAME_BYTES,
        .init_bytes = 2 * EXO_FRAME_BYTES,
    };
    return archive->bytes;
}

static void boot_run(uint64_t hart) {
    (void)hart;
    kernel_boot(boot_machine);
    hart_schedule();
}

bool host_boot_machine(struct machine *machine) {
    boot_machine = machine;
    if (fiber_run(0, boot_run) == HOST_OFF) return false;
    host_booted = true;
    for (uint64_t hart = 1; hart < hart_count; hart++) hart_run(hart, JOB_START, 0, 0);
    return true;
}

void host_boot(const struct host_plan *plan) {
    struct machine machine = {
        .facts = {.bank_count = 1,
                  .bank = {{HOST_RAM_FRAME, plan->groups << EXO_GROUP_SHIFT}},
                  .hart_count = plan->harts,
                  .timebase_hz = 10000000,
                  .asid_count = plan->asids},
        .archive_address = HOST_RAM_ADDRESS + (ARCHIVE_FRAME << EXO_FRAME_SHIFT),
        .used_count = MACHINE_OTHER,
        .used[MACHINE_KERNEL] = {HOST_RAM_FRAME, KERNEL_FRAMES},
    };
    host_ram_make(plan->groups);
    host_disks_describe(&machine);
    for (uint32_t i = 0; i < plan->harts; i++)
        machine.facts.hart[i] = (struct exo_hart_info){.id = i, .flags = EXO_HART_STARTED};
    machine.facts.archive_bytes = host_archive_make(machine.archive_address);
    if (!host_boot_machine(&machine)) {
        fprintf(stderr, "the modelled machine did not boot: %s\n",
                host_stop_why ? host_stop_why : "power off");
        abort();
    }
}
