/* SPDX-License-Identifier: MIT */
/*
 * hostile_regs: the words that a program shares with the kernel, its CTX, full
 * of anything; and all that an instruction of U-mode can try.
 *
 * A child that goes wrong must end as a fault with its record, or in a
 * program's own endless loop; never may this program lose a register, nor the
 * kernel more than the child.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define KERNEL_ADDRESS 0xffffffc080000000
#define RANDOM_ROUNDS 400
#define TURNS 1000      /* most yields until a child has faulted */
#define RECORD_WORDS 96 /* of struct exo_ctx, before the program's own */

static uint64_t memory;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Its CTX, mapped here too. */
static struct exo_ctx *ctx_of(const struct child *child) {
    return mem_map_frames(memory, child->frame + 1, 1, R | W);
}

/*
 * yield_kept(env): yield, and tell whether s0 to s11, tp and sp are as they were: 0
 * if so.  gp is not the kernel's to switch, and no code here uses it.
 */
uint64_t yield_kept(uint64_t env);
__asm__(".pushsection .text.yield_kept, \"ax\"\n"
        "yield_kept:\n"
        "addi sp, sp, -224\n"
        ".irp n, 1, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "sd x\\n, 8 * \\n(sp)\n"
        ".endr\n"
        ".irp n, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "li x\\n, 0x7e5700 + \\n\n"
        ".endr\n"
        "jal exo_yield\n"
        "li a0, 0\n"
        ".irp n, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "li t0, 0x7e5700 + \\n\n"
        "sub t0, t0, x\\n\n"
        "or a0, a0, t0\n"
        ".endr\n"
        ".irp n, 1, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "ld x\\n, 8 * \\n(sp)\n"
        ".endr\n"
        "addi sp, sp, 224\n"
        "ret\n"
        ".popsection\n");

/*
 * Yield until it has faulted or ended, since the slice may end before it comes to
 * that; 0 if no register was lost.
 */
static uint64_t runs_to_fault(uint64_t env) {
    uint64_t lost = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        if (child_state(env) & (EXO_FLAG_FAULT | EXO_FLAG_KILL)) break;
        lost |= yield_kept(env);
    }
    return lost;
}

/* ---- registers to start with ---- */

static void start_at(const char *what, uint64_t pc, uint64_t sp) {
    struct child child;
    child_make(&child, 0);
    uint64_t *registers = sys_ctx()->vector;
    for (int i = 0; i < 32; i++) registers[i] = ~0ul;
    registers[0] = pc;
    registers[2] = sp;
    DONE("set", exo_env_regs(child.env, EXO_REGS_SET));
    DONE("start", exo_env_regs(child.env, EXO_REGS_START));
    uint64_t lost = runs_to_fault(child.env);
    int64_t state = child_state(child.env);
    struct exo_ctx *ctx = ctx_of(&child);
    check(lost == 0 && (state & EXO_FLAG_FAULT), "a start at %s: %s at %#lx", what,
          sys_cause_text(ctx->stop_cause), ctx->stop_value);
    mem_unmap_frames(ctx);
    check(child_end(&child) == 0, "it is reaped");
}

static void start_checks(void) {
    start_at("0", 0, 0);
    start_at("a kernel address", KERNEL_ADDRESS, KERNEL_ADDRESS);
    start_at("an odd kernel address", KERNEL_ADDRESS + 1, ~0ul);
    start_at("the direct map of its own ROOT", 0xffffffc000000000 + (sys_env()->root << 12), 1);
    start_at("2^64 - 1", ~0ul, ~0ul);
    start_at("2^38", EXO_VA_LIMIT, 0);
    start_at("an address that is none", 1ul << 62, 0);
    start_at("the UART", 0x10000000, 0);
    start_at("its own CTX", EXO_VA_CTX, 0);
    start_at("its own ENV", EXO_VA_ENV + 1, 0);
}

/* ---- what a child does with its own CTX ---- */

static void fault_now(void) { __asm__ volatile("sd zero, 8(zero)"); }

static void entry_bad(uint64_t entry, uint64_t stack) {
    sys_ctx()->exception_entry = entry;
    sys_ctx()->exception_stack = stack;
    fault_now();
}

static void resume_bad(uint64_t pc, uint64_t sp) {
    sys_ctx()->exception_pc = pc;
    sys_ctx()->exception_sp = sp;
    sys_ctx()->exception_mask = ~0ul;
    exo_resume();
}

static void context_fill(uint64_t word, uint64_t resume) {
    uint64_t *words = (uint64_t *)sys_ctx();
    for (int i = 0; i < RECORD_WORDS; i++) words[i] = word;
    if (resume) exo_resume();
    fault_now();
}

static void yield_then_fault(uint64_t word, uint64_t unused) {
    (void)unused;
    uint64_t *words = (uint64_t *)sys_ctx();
    for (int i = 0; i < RECORD_WORDS; i++) words[i] = word;
    exo_yield(EXO_NONE);
    fault_now();
}

/* Run a child to its end: it must fault, or be killed after some turns. */
static void child_runs(const char *what, void (*entry)(uint64_t, uint64_t), uint64_t a0,
                       uint64_t a1) {
    struct child child;
    child_make(&child, 0);
    child_start(&child, entry, a0, a1);
    uint64_t lost = runs_to_fault(child.env);
    bool faulted = child_state(child.env) & EXO_FLAG_FAULT;
    struct exo_ctx *ctx = ctx_of(&child);
    uint64_t cause = ctx->stop_cause, value = ctx->stop_value;
    mem_unmap_frames(ctx);
    bool reaped = child_end(&child) == 0;
    check(faulted && !lost && reaped, "%s %#lx: %s at %#lx", what, a0, sys_cause_text(cause),
          value);
}

static void context_checks(void) {
    static const uint64_t words[] = {1,    2,         KERNEL_ADDRESS, KERNEL_ADDRESS + 1,
                                     ~0ul, 1ul << 63, EXO_VA_LIMIT,   EXO_VA_CTX + 1};
    for (int i = 0; i < 8; i++) {
        child_runs("an exception entered at", entry_bad, words[i], words[i]);
        child_runs("a resume to", resume_bad, words[i], words[i]);
        child_runs("a CTX full of", context_fill, words[i], 0);
        child_runs("a resume by a CTX full of", context_fill, words[i], 1);
        child_runs("registers kept as", yield_then_fault, words[i], 0);
    }
}

/* ---- instructions that U-mode must not have ---- */

#define FORBIDDEN(X)                       \
    X(sret, "sret")                        \
    X(mret, ".word 0x30200073")            \
    X(fence_of_translations, "sfence.vma") \
    X(read_sstatus, "csrr t0, 0x100")      \
    X(write_sstatus, "csrw 0x100, zero")   \
    X(write_sum, "csrs 0x100, a0")         \
    X(write_stvec, "csrw 0x105, zero")     \
    X(read_sscratch, "csrr t0, 0x140")     \
    X(write_sepc, "csrw 0x141, zero")      \
    X(write_satp, "csrw 0x180, zero")      \
    X(read_satp, "csrr t0, 0x180")         \
    X(write_sie, "csrw 0x104, zero")       \
    X(read_mstatus, "csrr t0, 0x300")      \
    X(write_pmp, "csrw 0x3a0, zero")       \
    X(no_instruction, ".word 0")           \
    X(write_time, "csrw 0xc01, zero")

#define X(name, text)                                                                           \
    static void try_##name(uint64_t a0, uint64_t a1) {                                          \
        (void)a0, (void)a1;                                                                     \
        __asm__ volatile(".option push\n.option arch, +zicsr\n" text "\n.option pop" ::: "t0"); \
        exo_exit();                                                                             \
    }
FORBIDDEN(X)
#undef X

static void try_stack_in_kernel(uint64_t a0, uint64_t a1) {
    (void)a1;
    __asm__ volatile("mv sp, %0\nli a7, -4\njal ra, 1f\nsd zero, 0(sp)\n1: ecall" ::"r"(a0));
    exo_exit();
}

static void try_store(uint64_t a0, uint64_t a1) {
    *(volatile uint64_t *)a0 = a1;
    exo_exit();
}

static void instruction_checks(void) {
#define X(name, text) child_runs("try " #name, try_##name, 0, 0);
    FORBIDDEN(X)
#undef X
    child_runs("a call with its stack at", try_stack_in_kernel, KERNEL_ADDRESS, 0);
    child_runs("a store to", try_store, KERNEL_ADDRESS, 0);
    child_runs("a store to", try_store, 0xffffffc000000000, 0);
    child_runs("a store to the ENV frame at", try_store, EXO_VA_ENV, 0);
    child_runs("a store to INFO at", try_store, EXO_VA_INFO, 0);
    child_runs("a store to", try_store, ~7ul, 0);
}

/* ---- the parent fills the child's CTX ---- */

static void random_checks(void) {
    uint64_t seed = 4711, lost = 0, faults = 0, dead = 0;
    struct child child;
    child_make(&child, 0);
    struct exo_ctx *ctx = ctx_of(&child);
    uint64_t *words = (uint64_t *)ctx;
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        for (unsigned i = 0; i < EXO_FRAME_BYTES / 8; i++) {
            uint64_t random = next_random(&seed);
            words[i] = random & 1 ? random >> (random >> 1 & 63) : random;
        }
        /* A random place of this program would run it, which is no matter of the kernel. */
        if (ctx->register_pc - EXO_VA_INIT < 0x400000) ctx->register_pc += 1ul << 40;
        if (ctx->exception_entry - EXO_VA_INIT < 0x400000) ctx->exception_entry = 0;
        if (exo_env_regs(child.env, EXO_REGS_START).value < 0) dead++;
        lost |= runs_to_fault(child.env);
        if (child_state(child.env) & EXO_FLAG_FAULT) faults++;
    }
    check(!lost && !dead && faults == RANDOM_ROUNDS, "%d starts with a random CTX: %lu faults",
          RANDOM_ROUNDS, faults);
    mem_unmap_frames(ctx);
    check(child_end(&child) == 0, "it is reaped");
}

/* ---- what comes back from a call that switches ---- */

static volatile uint64_t seen[3];

static void see(uint64_t a0, uint64_t a1) {
    seen[0] = a0;
    seen[1] = a1;
    seen[2]++;
    exo_yield(EXO_NONE);
    exo_exit();
}

static void switch_checks(void) {
    struct child child;
    child_make(&child, 0);
    check(exo_yield(child.env).value == EXO_ESTATE, "a yield to what is stopped is refused");
    child_start(&child, see, 5, 6);
    WAIT(seen[2] == 1 || (exo_yield(child.env), false));
    check(seen[0] == 5 && seen[1] == 6, "a start has its arguments");
    /* Stopped within a call, it gets other registers, and all of them. */
    DONE("stop", exo_env_regs(child.env, EXO_REGS_STOP));
    child_start(&child, see, 7, 8);
    WAIT(seen[2] == 2 || (exo_yield(child.env), false));
    check(seen[0] == 7 && seen[1] == 8 && seen[2] == 2, "and a second start too (%lu, %lu, %lu)",
          seen[0], seen[1], seen[2]);
    check(run_to_end(child.env), "then it exits");
    check(child_end(&child) == 0, "it is reaped");
}

int main(void) {
    check_begin("hostile_regs");
    uint64_t frame = frame_alloc();
    memory = frame_slot(frame);
    frame_free(frame, 1);
    switch_checks();
    start_checks();
    context_checks();
    instruction_checks();
    uint64_t before = check_use();
    random_checks();
    check(check_use() == before, "nothing is lost");
    return check_end();
}
