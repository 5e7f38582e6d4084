/* SPDX-License-Identifier: MIT */
/*
 * hostile_env: every wrong argument to the calls on environments and rows, and
 * every state in which an environment can be found.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define FRAMES 16
#define KERNEL_FRAME (0xffffffc080000000 >> 12)

static uint64_t memory, first;
static struct child child; /* STOPPED, and stays so */

static uint64_t slot(void) { return (uint64_t)mem_slot(); }

static struct exo_result create(uint64_t by, uint64_t env, uint64_t ctx, uint64_t root) {
    return exo_env_create(by, env, ctx, root, slot());
}

static void create_checks(void) {
    uint64_t a = first, b = first + 1, c = first + 2;
    uint64_t weak = DONE("derive", exo_cap_derive(memory, slot(), first, 3, R, 0, 0));
    uint64_t va = check_room(memory, first, 1);

    TRY_HANDLES(SLOT, weak, "create by", create(bad, a, b, c));
    REFUSED(RIGHTS, "create without W", create(weak, a, b, c));
    REFUSED(CLASS, "create by an ENV capability", create(child.env, child.frame, b, c));
    REFUSED(SLOT, "create into a slot in use", exo_env_create(memory, a, b, c, weak));
    REFUSED(SLOT, "create into no slot",
            exo_env_create(memory, a, b, c, EXO_HANDLE(EXO_CAPS_FRAMES, 1)));
    REFUSED(ARGUMENT, "create ENV and CTX in one frame", create(memory, a, a, c));
    REFUSED(ARGUMENT, "create ENV and ROOT in one frame", create(memory, a, b, a));
    REFUSED(ARGUMENT, "create CTX and ROOT in one frame", create(memory, a, b, b));
    REFUSED(ARGUMENT, "join with ENV and CTX in one frame", create(memory, a, a, 0));
    REFUSED(RANGE, "create with ENV frame 0", create(memory, 0, b, c));
    REFUSED(RANGE, "create with CTX frame 2^64 - 1", create(memory, a, ~0ul, c));
    REFUSED(RANGE, "create with a kernel address", create(memory, a, b, KERNEL_FRAME));
    REFUSED(RANGE, "create with a frame that wraps", create(memory, a + (1ul << 52), b, c));
    REFUSED(BUSY, "create with its own ENV frame", create(memory, sys_env()->frame, b, c));
    REFUSED(BUSY, "create with its own CTX frame",
            create(memory, a, sys_env()->ctx >> EXO_FRAME_SHIFT, c));
    REFUSED(BUSY, "create with its own ROOT frame", create(memory, a, b, sys_env()->root));
    REFUSED(BUSY, "create with the child's ROOT frame", create(memory, a, b, child.frame + 2));
    REFUSED(BUSY, "create with the child's TABLE", create(memory, child.frame + 3, b, c));
    space_map(&space_self, va, memory, c, 1, R);
    REFUSED(BUSY, "create with a mapped ROOT frame", create(memory, a, b, c));
    REFUSED(BUSY, "create with a mapped CTX frame", create(memory, a, c, b));
    space_unmap(&space_self, va, 1);
    sys_cap_drop(weak, first);
}

static void regs_checks(void) {
    static const uint64_t operations[] = {5, 6, 255, 1ul << 32, 1ul << 63, ~0ul};
    uint64_t weak = DONE("derive", exo_cap_derive(child.env, slot(), child.frame, 1,
                                                  EXO_ENV_CALL | EXO_ENV_NOTIFY, 0, 0));
    for (int i = 0; i < 6; i++)
        REFUSED(ARGUMENT, "a wrong operation", exo_env_regs(child.env, operations[i]));
    for (uint64_t operation = 0; operation <= EXO_REGS_STATE; operation++) {
        TRY_HANDLES(SLOT, weak, "registers of", exo_env_regs(bad, operation));
        REFUSED(CLASS, "registers of a PAGE", exo_env_regs(memory, operation));
        if (operation != EXO_REGS_STATE)
            REFUSED(RIGHTS, "registers without CONTROL", exo_env_regs(weak, operation));
    }
    REFUSED(STATE, "yield to what is stopped", exo_yield(child.env));
    DONE("start", exo_env_regs(child.env, EXO_REGS_START));
    REFUSED(STATE, "start twice", exo_env_regs(child.env, EXO_REGS_START));
    REFUSED(STATE, "get registers of what is ready", exo_env_regs(child.env, EXO_REGS_GET));
    REFUSED(STATE, "set registers of what is ready", exo_env_regs(child.env, EXO_REGS_SET));
    DONE("stop", exo_env_regs(child.env, EXO_REGS_STOP));
    DONE("stop again", exo_env_regs(child.env, EXO_REGS_STOP));
    check(child_state(child.env) == EXO_STATE_STOPPED, "it is stopped");
    TRY_HANDLES(SLOT, weak, "yield to", exo_yield(bad));
    REFUSED(CLASS, "yield to a PAGE", exo_yield(memory));
    sys_cap_drop(weak, child.frame);
    weak = DONE("derive", exo_cap_derive(child.env, slot(), child.frame, 1, EXO_ENV_CONTROL, 0, 0));
    REFUSED(RIGHTS, "yield without CALL", exo_yield(weak));
    sys_cap_drop(weak, child.frame);
}

static void reap_checks(void) {
    REFUSED(STATE, "reap the living", exo_env_reap(child.frame));
    REFUSED(STATE, "reap oneself", exo_env_reap(sys_env()->frame));
    REFUSED(ENV, "reap a DATA frame", exo_env_reap(first));
    REFUSED(ENV, "reap a CTX frame", exo_env_reap(child.frame + 1));
    REFUSED(ENV, "reap a ROOT frame", exo_env_reap(child.frame + 2));
    REFUSED(ENV, "reap a TABLE", exo_env_reap(child.frame + 3));
    REFUSED(ENV, "reap an INFO frame", exo_env_reap(sys_info()->info_frame));
    REFUSED(ENV, "reap a frame of the kernel", exo_env_reap(sys_info()->ram_first));
    REFUSED(ENV, "reap frame 0", exo_env_reap(0));
    REFUSED(ENV, "reap frame 2^64 - 1", exo_env_reap(~0ul));
    REFUSED(ENV, "reap the frame before RAM", exo_env_reap(sys_info()->ram_first - 1));
    REFUSED(ENV, "reap the frame after RAM",
            exo_env_reap(sys_info()->ram_first + sys_info()->ram_count));
    REFUSED(ENV, "reap a frame that wraps", exo_env_reap(child.frame + (1ul << 60)));
}

static void run_on(uint64_t turns, uint64_t unused) {
    (void)unused;
    while (turns--) exo_yield(EXO_NONE);
    exo_exit();
}

/* An environment that has ended, from the first moment to the last. */
static void dying_checks(void) {
    struct child dead;
    child_make(&dead, 0);
    uint64_t spare = dead.frame + CHILD_SPARE, env = dead.env;
    uint64_t own = DONE("derive", exo_cap_derive(memory, slot(), first, 1, R, 0, 0));
    child_start(&dead, run_on, 0, 0);
    run_to_end(env);
    REFUSED(STATE, "start the dead", exo_env_regs(env, EXO_REGS_START));
    REFUSED(DYING, "stop the dead", exo_env_regs(env, EXO_REGS_STOP));
    REFUSED(STATE, "get registers of the dead", exo_env_regs(env, EXO_REGS_GET));
    REFUSED(STATE, "yield to the dead", exo_yield(env));
    REFUSED(DYING, "map into the dead", exo_page_map(env, SYS_VA_START, dead.memory, spare, 1, R));
    REFUSED(DYING, "unmap in the dead", exo_page_unmap(env, EXO_VA_CTX, 1, 0));
    REFUSED(DYING, "link in the dead", exo_table_link(env, 0x80000000, 1, dead.memory, spare));
    REFUSED(DYING, "grant to the dead", exo_cap_grant(own, env, EXO_HANDLE(0, 9), 0, 0));
    uint64_t frame = dead.frame;
    check(child_end(&dead) == 0, "the dead is reaped");
    REFUSED(SLOT, "start what is no more", exo_env_regs(env, EXO_REGS_START));
    REFUSED(SLOT, "yield to what is no more", exo_yield(env));
    REFUSED(ENV, "reap what is no more", exo_env_reap(frame));
    REFUSED(SLOT, "grant to what is no more", exo_cap_grant(own, env, EXO_HANDLE(0, 9), 0, 0));
    sys_cap_drop(own, first);
}

/* In a thread: what would kill the caller itself. */
static volatile int64_t thread_answers[3];
static void thread_drop(uint64_t slice, uint64_t frame) {
    struct exo_result result;
    do result = exo_cap_drop(slice, frame);
    while (result.value == EXO_EAGAIN);
    thread_answers[0] = result.value;
    do result = exo_cap_revoke(slice, frame, 0);
    while (result.value == EXO_EAGAIN);
    thread_answers[1] = result.value;
    thread_answers[2] = exo_env_reap(sys_env()->frame).value;
    exo_exit();
}

static void thread_checks(void) {
    static _Alignas(16) char stack[2048];
    uint64_t own = DONE("derive", exo_cap_derive(memory, slot(), first, 4, R | W, 0, 0));
    uint64_t env = DONE("create", exo_env_create(own, first, first + 1, 0, slot()));

    child_set(env, thread_drop, (uint64_t)(stack + sizeof(stack)), own, first);
    DONE("start", exo_env_regs(env, EXO_REGS_START));
    run_to_end(env);
    check(thread_answers[0] == EXO_ESELF, "a thread that drops what it is made of: %s",
          sys_error_name(thread_answers[0]));
    check(thread_answers[2] == EXO_ESTATE, "a thread that reaps its leader: %s",
          sys_error_name(thread_answers[2]));
    check(sys_env_destroy(env, first) == 0, "the thread is reaped");
    check(sys_cap_drop(own, first) == 0, "the drop is finished by another");
}

static void row_checks(void) {
    uint64_t row, rows, slice = child_rows(&row, &rows);

    REFUSED(CLASS, "bind by a PAGE", exo_slice_bind(memory, 0, child.env));
    TRY_HANDLES(SLOT, memory, "bind by", exo_slice_bind(bad, 0, child.env));
    if (slice == EXO_NONE) {
        printf("# no rows were lent: what concerns them is not tried\n");
        return;
    }
    uint64_t own =
        DONE("derive", exo_cap_derive(slice, slot(), row + rows - 4, 4, EXO_SLICE_BIND, 0, 0));
    row += rows - 4;
    REFUSED(OVERLAP, "derive a row twice",
            exo_cap_derive(slice, slot(), row, 1, EXO_SLICE_BIND, 0, 0));
    REFUSED(OVERLAP, "bind a row that is lent", exo_slice_bind(slice, row, child.env));
    REFUSED(RANGE, "bind the row before", exo_slice_bind(own, row - 1, child.env));
    REFUSED(RANGE, "bind the row after", exo_slice_bind(own, row + 4, child.env));
    REFUSED(RANGE, "bind row 2^64 - 1", exo_slice_bind(own, ~0ul, child.env));
    REFUSED(RANGE, "bind row 2^58", exo_slice_bind(own, row + (1ul << 58), child.env));
    TRY_HANDLES(SLOT, child.env, "bind", exo_slice_bind(own, row, bad));
    REFUSED(CLASS, "bind a PAGE", exo_slice_bind(own, row, memory));
    DONE("bind", exo_slice_bind(own, row, child.env));
    REFUSED(BUSY, "bind a row twice", exo_slice_bind(own, row, child.env));
    if (sys_info()->hart_count > 1) {
        struct child runner;
        child_make(&runner, 0);
        child_start(&runner, run_on, ~0ul, 0);
        DONE("bind", exo_slice_bind(own, row + 1, runner.env));
        while ((child_state(runner.env) & EXO_STATE_MASK) != EXO_STATE_RUN) {
        }
        check(exo_yield(runner.env).value <= 0, "what runs on another hart is not claimed");
        check(sys_cap_revoke(own, row + 1) == 0, "its row is revoked while it runs");
        check(child_end(&runner) == 0, "and it is reaped");
    }
    check(sys_cap_drop(own, row) == 0, "the rows are dropped, bound as they are");
}

int main(void) {
    check_begin("hostile_env");
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    if (child_make(&child, 0)) check(false, "no child");
    child_set(child.env, run_on, SYS_VA_STACK_TOP, 1, 0);
    create_checks();
    regs_checks();
    reap_checks();
    dying_checks();
    thread_checks();
    row_checks();
    check(child_end(&child) == 0, "the child is reaped");
    return check_end();
}
