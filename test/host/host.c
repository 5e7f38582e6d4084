/* SPDX-License-Identifier: MIT */
/* Boot of the modelled machine and the calls of its programs: see host.h. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "fiber.h"
#include "slice.h"

#define KERNEL_FRAMES 16   /* what the kernel's image takes of the first group */
#define ARCHIVE_FRAME 0x40 /* where the boot archive lies in the first group */

/* What the fiber of a hart is to do. */
static struct {
    struct hart *hart;
    int number;
    uint64_t arguments[7];
} job;

/* Numbers of jobs beside those of the calls. */
enum { JOB_START = 1000, JOB_INTERRUPT, JOB_FAULT };

static struct machine *boot_machine;

/* ---- calls ---- */

/* How many arguments a call has. */
static int call_arguments(int number) {
    switch (number) {
#define X(its_number, name, arguments) \
    case its_number: return arguments;
        EXO_CALLS(X)
#undef X
    default: return 0;
    }
}

static struct result call_by_number(void) {
    const uint64_t *a = job.arguments;
    void *function = job.hart->calls[job.number];
    switch (call_arguments(job.number)) {
    case 0: return ((struct result(*)(void))function)();
    case 1: return ((struct result(*)(uint64_t))function)(a[0]);
    case 2: return ((struct result(*)(uint64_t, uint64_t))function)(a[0], a[1]);
    case 3: return ((struct result(*)(uint64_t, uint64_t, uint64_t))function)(a[0], a[1], a[2]);
    case 4:
        return ((struct result(*)(uint64_t, uint64_t, uint64_t, uint64_t))function)(a[0], a[1],
                                                                                    a[2], a[3]);
    case 5:
        return ((struct result(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))function)(
            a[0], a[1], a[2], a[3], a[4]);
    case 6:
        return ((struct result(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                  uint64_t))function)(a[0], a[1], a[2], a[3], a[4], a[5]);
    default:
        return ((struct result(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                  uint64_t))function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    }
}

/* The fiber's work; `job` may be another hart's as soon as it pauses. */
static void job_run(void) {
    struct hart *hart = job.hart;
    struct host_model *model = &host_models[hart->index];
    struct exo_env *next = NULL;
    arch_hart_set(hart);
    switch (job.number) {
    case JOB_START: hart_schedule();
    case JOB_INTERRUPT:
        model->ipi = false;
        next = hart_interrupt();
        break;
    case JOB_FAULT: next = env_fault(job.arguments[0], job.arguments[1]); break;
    case EXO_CALL_exit: next = env_exit(); break;
    case EXO_CALL_yield: next = env_yield(job.arguments[0]); break;
    default:
        model->result = call_by_number();
        next = hart->env;
        break;
    }
    if (!next || next != hart->env) {
        fprintf(stderr, "KERNEL BUG: hart %lu returns to no environment\n", hart->index);
        abort();
    }
}

static enum host_state hart_run(uint64_t index, int number, const uint64_t *arguments,
                                unsigned count) {
    job.hart = harts[index];
    job.number = number;
    memset(job.arguments, 0, sizeof(job.arguments));
    if (count) memcpy(job.arguments, arguments, count * sizeof(*arguments));
    return fiber_run(index, job_run);
}

enum host_state host_call(uint64_t hart, int number, const uint64_t arguments[7]) {
    struct host_model *model = &host_models[hart];
    if (model->state != HOST_PROGRAM || number < EXO_CALL_null || number >= EXO_CALL_COUNT) {
        fprintf(stderr, "host_call: hart %lu cannot call %d\n", hart, number);
        abort();
    }
    model->result = (struct result){0, 0};
    if (number == EXO_CALL_resume || number == EXO_CALL_null)
        return HOST_PROGRAM; /* assembly alone: no register is here to be changed */
    struct exo_ctx *ctx = harts[hart]->ctx;
    enum host_state state = hart_run(hart, number, arguments, 7);
    if (number == EXO_CALL_yield) /* its answer waits in a0 and a1, x10 and x11 */
        model->result = (struct result){(int64_t)ctx->register_x[9], ctx->register_x[10]};
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

enum host_state host_interrupt(uint64_t hart) { return hart_run(hart, JOB_INTERRUPT, NULL, 0); }

enum host_state host_fault(uint64_t hart, uint64_t cause, uint64_t value) {
    return hart_run(hart, JOB_FAULT, (uint64_t[]){cause, value}, 2);
}

void host_settle(void) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint64_t hart = 0; hart < hart_count; hart++) {
            struct host_model *model = &host_models[hart];
            if (model->state == HOST_PAUSED || (model->state == HOST_IDLE && model->ipi))
                host_continue(hart);
            else if (model->state == HOST_PROGRAM && model->ipi)
                host_interrupt(hart);
            else
                continue;
            changed = true;
        }
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

static void boot_run(void) {
    kernel_boot(boot_machine);
    hart_schedule();
}

bool host_boot_machine(struct machine *machine) {
    boot_machine = machine;
    if (fiber_run(0, boot_run) == HOST_OFF) return false;
    for (uint64_t hart = 1; hart < hart_count; hart++) hart_run(hart, JOB_START, NULL, 0);
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
    for (uint32_t i = 0; i < plan->harts; i++)
        machine.facts.hart[i] = (struct exo_hart_info){.id = i, .flags = EXO_HART_STARTED};
    machine.facts.archive_bytes = host_archive_make(machine.archive_address);
    if (!host_boot_machine(&machine)) {
        fprintf(stderr, "the modelled machine did not boot: %s\n",
                host_stop_why ? host_stop_why : "power off");
        abort();
    }
}
