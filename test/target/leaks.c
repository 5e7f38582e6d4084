/* SPDX-License-Identifier: MIT */
/*
 * leaks: does everything again and again, and finds the machine as it was.
 *
 * Each operation is done twice, so that libexo has what it keeps, for memory
 * that is used again too; then some times more, after each of which the words of all frames and the slots in use
 * must be what they were before.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define TIMES 6
#define FRAMES 64

static uint64_t memory, first;
static uint64_t slice = EXO_NONE, row; /* a row of another hart, if there is one */
static int64_t error;                  /* of the operation under way */

static void need(int64_t value) {
    if (value < 0 && error >= 0) error = value;
}

static uint64_t derive(uint64_t from, uint64_t count) {
    int64_t own = exo_cap_derive(from, (uint64_t)mem_slot(), first, count, R | W, 0, 0).value;
    need(own);
    return (uint64_t)own;
}

/* ---- what children do ---- */

static void exits(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    exo_exit();
}

static void spins(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) __asm__ volatile("");
}

static void yields(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) exo_yield(EXO_NONE);
}

static void faults(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    __asm__ volatile("ebreak");
}

static void waits(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) exo_wait(1, EXO_NEVER);
}

static void naps(uint64_t a0, uint64_t a1) {
    (void)a0, (void)a1;
    for (;;) exo_wait(1, now() + 100);
}

static void floats(uint64_t a0, uint64_t a1) {
    (void)a1;
    for (;;) {
        __asm__ volatile(".option push\n.option arch, +d\nfmv.d.x f5, %0\n.option pop" ::"r"(a0));
        exo_yield(EXO_NONE);
    }
}

static void accepts(uint64_t a0, uint64_t sleeps) {
    (void)a0;
    struct words words = {{0}, 0};
    for (;;) {
        words_reply(&words);
        if (sleeps) exo_wait(1, EXO_NEVER);
    }
}

static uint64_t child_slot(uint64_t index) {
    return EXO_CAP_HANDLE(sys_slot(0, index)->word, index);
}

static void calls(uint64_t a0, uint64_t deadline) {
    (void)a0;
    struct words words = {{0}, 0};
    for (;;) words_call_until(&words, child_slot(CHILD_SLOT_FREE), deadline);
}

/* Has CAPS frames, capabilities of all depths, a thread and a child, and ends as it is. */
static void hoards(uint64_t spare, uint64_t dies) {
    uint64_t own = child_slot(CHILD_SLOT_MEMORY), from = own;
    for (uint64_t i = 0; i < 3; i++) exo_caps_add(own, spare + i);
    exo_caps_del(spare + 1);
    for (uint64_t i = 1; i < EXO_CAPS_SLOTS - 1; i++)
        from = (uint64_t)exo_cap_derive(from, EXO_HANDLE(1, i), spare, 12, R | W, 0, 0).value;
    exo_cap_derive(from, EXO_HANDLE(3, 1), spare, 12, R | W, 0, 0);
    exo_env_create(own, spare + 4, spare + 5, 0, EXO_HANDLE(3, 2));
    exo_env_create(own, spare + 6, spare + 7, spare + 8, EXO_HANDLE(3, 3));
    exo_cap_derive(EXO_NONE, EXO_HANDLE(3, 4), sys_env()->frame, sys_env()->gen, 0, 0, 0);
    exo_table_link(EXO_SELF, 0x40000000, 2, own, spare + 9);
    exo_table_link(EXO_SELF, 0x40000000, 1, own, spare + 10);
    for (uint64_t i = 0; i < 64; i++)
        exo_page_map(EXO_SELF, 0x40000000 + i * EXO_FRAME_BYTES, own, spare + 11, 1, R | W);
    if (dies) exo_exit();
    for (;;) exo_yield(EXO_NONE);
}

/* ---- operations ---- */

static void derive_and_drop(void) {
    uint64_t a = derive(memory, 8), b = derive(a, 4), c = derive(b, 2);
    (void)c;
    need(sys_cap_drop(a, first));
    need(exo_cap_drop(b, 0).value); /* what is lost is a tombstone until its owner drops it */
    need(exo_cap_drop(c, 0).value);
}

static void map_and_unmap(void) {
    void *pages = mem_map_frames(memory, first, FRAMES, R | W);
    need(pages ? 0 : EXO_EFULL);
    mem_unmap_frames(pages);
}

static void map_and_revoke(void) {
    static uint64_t va;
    if (!va) va = check_room(memory, first, 2 * FRAMES);
    struct child child;
    need(child_make(&child, 0));
    uint64_t own = derive(memory, FRAMES);
    int64_t lent = child_lend(child.env, own, first, FRAMES, R | W, 0, CHILD_SLOT_FREE);
    need(lent);
    uint64_t at = EXO_VA_INIT + 0x100000; /* in a TABLE that the child has */
    need(space_map(&child.space, at, (uint64_t)lent, first, FRAMES, R | W));
    need(space_map(&child.space, at + FRAMES * EXO_FRAME_BYTES, (uint64_t)lent, first, FRAMES, R));
    need(sys_cap_revoke(own, first + FRAMES / 2));
    need(sys_cap_drop(own, first));
    need(child_end(&child));
}

/* A range call stops where an interrupt is pending: go on there. */
static void unmap_all(uint64_t va, uint64_t count, uint64_t payload) {
    for (uint64_t done = 0; done < count && error >= 0;) {
        int64_t value =
            exo_page_unmap(EXO_SELF, va + done * EXO_FRAME_BYTES, count - done, payload).value;
        need(value);
        done += (uint64_t)value;
    }
}

static void tables(void) {
    uint64_t va = 0x3800000000;
    need(exo_table_link(EXO_SELF, va, 2, memory, first).value);
    need(exo_table_link(EXO_SELF, va, 1, memory, first + 1).value);
    need(exo_page_map(EXO_SELF, va, memory, first + 2, 8, R).value);
    unmap_all(va, 8, 0xff00);
    need(exo_table_unlink(EXO_SELF, va, 1).value);
    need(exo_table_unlink(EXO_SELF, va, 2).value);
}

/* TABLEs full of pages, taken back through the capability that they were donated by. */
static void tables_revoked(void) {
    uint64_t va = 0x3800000000, own = derive(memory, FRAMES);
    need(exo_table_link(EXO_SELF, va, 2, own, first).value);
    need(exo_table_link(EXO_SELF, va, 1, own, first + 1).value);
    need(exo_page_map(EXO_SELF, va, own, first + 2, 8, R).value);
    /* They stay, since memory covers them as well: the same names, the same space. */
    need(sys_cap_drop(own, first));
    unmap_all(va, 8, 0);
    need(exo_table_unlink(EXO_SELF, va, 1).value);
    need(exo_table_unlink(EXO_SELF, va, 2).value);
}

static void caps_frames(void) {
    need(exo_caps_add(memory, first).value);
    need(exo_caps_add(memory, first + 1).value);
    need(exo_caps_del(first).value);
    need(exo_caps_del(first + 1).value);
}

static void open_and_close(void) {
    int64_t open =
        exo_cap_derive(EXO_NONE, (uint64_t)mem_slot(), sys_env()->frame, sys_env()->gen, 0, 0, 0)
            .value;
    need(open);
    need(exo_cap_derive(EXO_NONE, (uint64_t)open, 0, 0, 0, 0, 0).value);
}

static void refused(void) {
    exo_env_create(memory, first, first + 1, sys_env()->root, (uint64_t)mem_slot());
    exo_env_create(memory, first, first, first, (uint64_t)mem_slot());
    exo_caps_add(memory, sys_env()->frame);
    exo_page_map(EXO_SELF, EXO_VA_CTX, memory, first, 2, R);
    exo_page_map(EXO_SELF, 0x3900000000, memory, first, 2, R);
}

static void heap(void) {
    void *memory_of_heap = mem_reserve(0x100000);
    need(memory_of_heap ? 0 : EXO_EFULL);
    mem_release(memory_of_heap);
}

static void only_created(void) {
    int64_t env = exo_env_create(memory, first, first + 1, first + 2, (uint64_t)mem_slot()).value;
    need(env);
    need(sys_env_destroy((uint64_t)env, first));
}

/* A child that runs `entry` for some turns, here or on another hart, and is ended as it is. */
static void child_life(void (*entry)(uint64_t, uint64_t), uint64_t a1, int turns, bool other) {
    struct child child;
    need(child_make(&child, 16));
    if (entry) need(child_start(&child, entry, child.frame + CHILD_SPARE, a1));
    if (other && slice != EXO_NONE) {
        need(exo_slice_bind(slice, row, child.env).value);
        for (int i = 0; i < 1000 && child_state(child.env) == EXO_STATE_READY; i++) {
        }
    } else {
        while (turns-- > 0) exo_yield(child.env);
    }
    need(child_end(&child));
}

static void never_started(void) { child_life(NULL, 0, 0, false); }
static void never_run(void) { child_life(exits, 0, 0, false); }
static void exited(void) { child_life(exits, 0, 1, false); }
static void ready(void) { child_life(yields, 0, 3, false); }
static void faulted(void) { child_life(faults, 0, 1, false); }
static void hoard_killed(void) { child_life(hoards, 0, 2, false); }
static void hoard_exited(void) { child_life(hoards, 1, 1, false); }
static void waiting(void) { child_life(waits, 0, 2, false); }
static void with_floats(void) { child_life(floats, 0, 3, false); }
static void accepting(void) { child_life(accepts, 0, 2, false); }

/* A call, of which the one or the other side is killed first; by rows of another hart, or here. */
static void call_life(bool sleeps, uint64_t deadline, bool caller_first, bool other) {
    struct child server, client;
    need(child_make(&server, 0));
    need(child_make(&client, 0));
    need(child_lend(client.env, server.env, server.frame, 1, EXO_ENV_CALL, 0, CHILD_SLOT_FREE));
    need(child_start(&server, accepts, 0, sleeps));
    need(run_until(server.env, EXO_STATE_ACCEPT) ? 0 : EXO_ESTATE);
    need(child_start(&client, calls, 0, deadline));
    if (other && slice != EXO_NONE) {
        need(exo_slice_bind(slice, row, client.env).value);
        for (int i = 0; i < 1000 && child_state(client.env) == EXO_STATE_READY; i++) {
        }
    } else {
        for (int turn = 0; turn < 3; turn++) exo_yield(client.env);
    }
    need(child_end(caller_first ? &client : &server));
    need(child_end(caller_first ? &server : &client));
}

static void calls_server_killed(void) { call_life(true, EXO_NEVER, false, false); }
static void calls_client_killed(void) { call_life(true, EXO_NEVER, true, false); }
static void calls_until_killed(void) { call_life(true, 1ul << 60, true, false); }
static void calls_answered(void) { call_life(false, EXO_NEVER, false, false); }
static void calls_elsewhere(void) { call_life(false, EXO_NEVER, false, true); }
static void calls_stuck_elsewhere(void) { call_life(true, 1ul << 60, true, true); }
static void naps_elsewhere(void) { child_life(naps, 0, 1, true); }
static void floats_elsewhere(void) { child_life(floats, 0, 1, true); }

static void notified(void) {
    struct child child;
    need(child_make(&child, 0));
    int64_t own =
        exo_cap_derive(child.env, (uint64_t)mem_slot(), child.frame, 1, EXO_ENV_NOTIFY, 0, 0xff)
            .value;
    need(own);
    need(child_start(&child, waits, 0, 0));
    for (int i = 0; i < 3; i++) {
        exo_yield(child.env);
        need(exo_notify((uint64_t)own, 3).value);
    }
    need(sys_cap_drop((uint64_t)own, child.frame));
    need(child_end(&child));
}

/* Asked for with notice, and taken when nobody answers. */
static void revoked_with_notice(void) {
    struct child child;
    need(child_make(&child, 0));
    uint64_t own = derive(memory, 8), due = now() + 1000 * sys_info()->timebase_hz;
    need(child_lend(child.env, own, first, 8, R, 0, CHILD_SLOT_FREE));
    struct exo_result result;
    do result = exo_cap_revoke(own, first + 4, due);
    while (result.value == EXO_EAGAIN && !result.detail);
    need(result.value == EXO_EAGAIN ? 0 : EXO_EARGUMENT);
    need(sys_cap_revoke(own, first + 4));
    need(child_end(&child));
    need(sys_cap_drop(own, first));
}

/* Rows bound, unbound and taken while they are bound. */
static void rows_bound(void) {
    struct child child;
    need(child_make(&child, 0));
    int64_t own =
        exo_cap_derive(slice, (uint64_t)mem_slot(), row - 3, 4, EXO_SLICE_BIND, 0, 0).value;
    need(own);
    for (uint64_t i = 0; i < 4; i++) need(exo_slice_bind((uint64_t)own, row - i, child.env).value);
    need(exo_slice_bind((uint64_t)own, row, EXO_UNBIND).value);
    need(child_start(&child, naps, 0, 0));
    need(sys_cap_drop((uint64_t)own, row - 3));
    need(child_end(&child));
}

static void spins_elsewhere(void) { child_life(spins, 0, 1, true); }
static void yields_elsewhere(void) { child_life(yields, 0, 1, true); }
static void exits_elsewhere(void) { child_life(exits, 0, 1, true); }
static void hoards_elsewhere(void) { child_life(hoards, 0, 1, true); }

/* Killed by taking its memory away instead of its capability. */
static void memory_taken(void) {
    uint64_t frame = first, own = derive(memory, 8);
    int64_t env = exo_env_create(own, frame, frame + 1, frame + 2, (uint64_t)mem_slot()).value;
    need(env);
    need(sys_cap_drop(own, frame));
    need(exo_cap_drop((uint64_t)env, frame).value); /* a tombstone */
}

/* Its lender dies, and what that one lent dies with it. */
static void stopped_and_changed(void) {
    struct child child;
    need(child_make(&child, 0));
    need(child_start(&child, yields, 0, 0));
    exo_yield(child.env);
    need(exo_env_regs(child.env, EXO_REGS_STOP).value);
    need(exo_env_regs(child.env, EXO_REGS_GET).value);
    need(exo_env_regs(child.env, EXO_REGS_SET).value);
    need(exo_env_regs(child.env, EXO_REGS_START).value);
    exo_yield(child.env);
    need(child_end(&child));
}

static void threads(void) {
    static _Alignas(16) char stack[1024];
    int64_t env = thread_make(first, exits, (uint64_t)(stack + sizeof(stack)), 0, 0);
    need(env);
    need(exo_env_regs((uint64_t)env, EXO_REGS_START).value);
    need(run_to_end((uint64_t)env) ? 0 : EXO_ESTATE);
    need(sys_env_destroy((uint64_t)env, first));
}

static void spawned(void) {
    struct task task;
    const char *arguments[] = {"leaks", "child"};
    const struct task_options options = {.arguments = arguments, .argument_count = 2};
    need(task_spawn(&task, "leaks", &options));
    need(task_start(&task));
    task_run(&task, 1);
    if (task_state(&task) != TASK_EXITED || task_status(&task) != 7) need(EXO_ESTATE);
    need(task_end(&task));
}

static const struct {
    const char *what;
    void (*operation)(void);
    bool other; /* needs another hart */
} operations[] = {
    {"derive and drop", derive_and_drop, false},
    {"map and unmap", map_and_unmap, false},
    {"lend, map and revoke", map_and_revoke, false},
    {"TABLEs", tables, false},
    {"TABLEs by a capability that is dropped", tables_revoked, false},
    {"CAPS frames", caps_frames, false},
    {"open and close", open_and_close, false},
    {"refused calls", refused, false},
    {"memory reserved and released", heap, false},
    {"an environment that is only created", only_created, false},
    {"a child that never starts", never_started, false},
    {"a child that never runs", never_run, false},
    {"a child that exits", exited, false},
    {"a child killed when ready", ready, false},
    {"a child that faults", faulted, false},
    {"a child with much of its own, killed", hoard_killed, false},
    {"a child with much of its own, that exits", hoard_exited, false},
    {"a child whose memory is taken", memory_taken, false},
    {"a child that is stopped and changed", stopped_and_changed, false},
    {"a thread", threads, false},
    {"a program", spawned, false},
    {"a child killed as it waits", waiting, false},
    {"a child killed as it accepts calls", accepting, false},
    {"a child killed with floating point", with_floats, false},
    {"a child that is notified", notified, false},
    {"a call whose server is killed", calls_server_killed, false},
    {"a call whose client is killed", calls_client_killed, false},
    {"a call with a deadline whose client is killed", calls_until_killed, false},
    {"calls that are answered", calls_answered, false},
    {"a revocation with notice", revoked_with_notice, false},
    {"rows bound and taken", rows_bound, true},
    {"calls on another hart", calls_elsewhere, true},
    {"a call without an answer on another hart", calls_stuck_elsewhere, true},
    {"a child killed while it naps on another hart", naps_elsewhere, true},
    {"a child killed with floating point on another hart", floats_elsewhere, true},
    {"a child killed while it runs on another hart", spins_elsewhere, true},
    {"a child killed while it yields on another hart", yields_elsewhere, true},
    {"a child that exits on another hart", exits_elsewhere, true},
    {"a child with much of its own on another hart", hoards_elsewhere, true},
};

int main(int argument_count, char **arguments) {
    (void)arguments;
    if (argument_count > 1 && strcmp(arguments[1], "child") == 0) return 7;
    check_begin("leaks");
    uint64_t rows = 0;
    if (sys_info()->hart_count > 1) slice = child_rows(&row, &rows);
    if (slice != EXO_NONE)
        row += rows - 1;
    else
        printf("# no rows of another hart: what needs one is not tried\n");
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (operations[i].other && slice == EXO_NONE) continue;
        error = 0;
        for (int warm = 0; warm < 2; warm++) operations[i].operation();
        int times = 0;
        uint64_t before = check_use();
        while (times < TIMES && error >= 0) {
            operations[i].operation();
            if (check_use() != before) break;
            times++;
        }
        check(times == TIMES && error >= 0, "%s, %d times: %s", operations[i].what, times,
              error < 0        ? sys_error_name(error)
              : times == TIMES ? "nothing is lost"
                               : "something is lost");
    }
    return check_end();
}
