/* SPDX-License-Identifier: MIT */
/*
 * exo/arch.h for the host: RAM, TLBs, interrupts, console and power of the
 * modelled machine (host.h).  Not here: the stacks on which the kernels of the
 * harts run (fiber.c), boot and calls (host.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "device.h"
#include "env.h"
#include "fiber.h"
#include "host.h"
#include "shoot.h"
#include "trap.h"

#define SATP_SV39 (8ul << 60)
#define SATP_ASID_SHIFT 44
#define SATP_ROOT_MASK ((1ul << SATP_ASID_SHIFT) - 1)
#define KERNEL_ASID 0xffff
/* Marks the kernel's half of a root table; no program's entry looks like it. */
#define KERNEL_PTE (PTE_V | PTE_R | PTE_RIGHTS | PTE_A | PTE_D)

HOST_LOCAL struct hart *host_hart;
uint8_t *host_ram;
uint8_t *host_nowhere;
uint64_t host_ram_bytes;
uint64_t host_time;

struct host_model host_models[EXO_HARTS_MAX];
bool host_booted;
bool host_split;
bool host_fast;
void (*host_at_point)(void);
bool host_points_after;
uint64_t host_interrupt_after;
char host_console[4096];
uint64_t host_console_length;
uint64_t host_console_room;
uint64_t host_power_status;
const char *host_stop_why;

/* A bug of the kernel: end the program, with the way there if the sanitizer can tell it. */
static _Noreturn void kernel_bug(void) {
    fflush(stderr);
    fiber_backtrace();
    abort();
}

static struct host_model *model_here(void) { return &host_models[host_hart->index]; }

void host_wild(const void *pointer) {
    fprintf(stderr, "KERNEL BUG: %p is not in RAM\n", pointer);
    kernel_bug();
}

void arch_panic(const char *what, const char *file, int line) {
    fprintf(stderr, "KERNEL PANIC: %s at %s:%d\n", what, file, line);
    kernel_bug();
}

/* The core's variables are as after a start of the machine, but for counters that never restart. */
static void core_forget(void) {
    if (!host_booted) return;
    arch_hart_set(harts[0]);
    for (uint64_t frame = ram_first; frame < ram_first + ram_count; frame++)
        if (frame_type(frame) == EXO_FRAME_ENV && env_leader(env_at(frame)) == env_at(frame))
            asid_give(env_at(frame));
    memset(&tree_lock, 0, sizeof(tree_lock)); /* a machine that stopped may have held it */
    host_booted = false;
}

void host_ram_make(uint64_t groups) {
    core_forget();
    uint64_t bytes = groups << (EXO_GROUP_SHIFT + EXO_FRAME_SHIFT);
    if (bytes == host_ram_bytes) {
        memset(host_ram, 0, bytes);
    } else {
        if (host_ram) munmap(host_ram, host_ram_bytes);
        host_ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    host_ram_bytes = bytes;
    if (!host_nowhere)
        host_nowhere = mmap(NULL, EXO_FRAME_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_ram == MAP_FAILED || host_nowhere == MAP_FAILED) {
        perror("mmap of modelled RAM");
        abort();
    }
    memset(host_models, 0, sizeof(host_models));
    for (uint64_t hart = 0; hart < EXO_HARTS_MAX; hart++) host_models[hart].timer = EXO_NEVER;
    host_hart = NULL;
    host_split = host_fast = false;
    host_at_point = NULL;
    host_interrupt_after = 0;
    host_time = HOST_TIME_START;
    host_console_length = 0;
    host_console_room = sizeof(host_console);
    host_power_status = 0;
    host_stop_why = NULL;
}

/* ---- roots and TLBs ---- */

uint64_t arch_satp(uint64_t root_frame, uint64_t asid) {
    return SATP_SV39 | asid << SATP_ASID_SHIFT | root_frame;
}

uint64_t arch_satp_kernel(void) { return SATP_SV39 | (uint64_t)KERNEL_ASID << SATP_ASID_SHIFT; }

uint64_t host_satp_root(uint64_t satp) { return satp & SATP_ROOT_MASK; }

uint64_t host_satp_asid(uint64_t satp) { return satp >> SATP_ASID_SHIFT & 0xffff; }

void arch_root_init(uint64_t *root) { root[HOST_KERNEL_ENTRY] = KERNEL_PTE; }

bool host_root_is_whole(const uint64_t *root) {
    for (unsigned i = HOST_USER_ENTRIES; i < 512; i++)
        if (root[i] != (i == HOST_KERNEL_ENTRY ? KERNEL_PTE : 0)) return false;
    return true;
}

#ifdef HOST_THREADS
/* A hart's TLB is walked by it and flushed by others; its walks see entries while these change. */
#define HOST_RACES __attribute__((no_sanitize("thread")))
static void tlb_lock(struct host_model *model) {
    while (__atomic_exchange_n(&model->tlb_locked, true, __ATOMIC_ACQUIRE)) {
    }
}
static void tlb_unlock(struct host_model *model) {
    __atomic_store_n(&model->tlb_locked, false, __ATOMIC_RELEASE);
}
#else
#define HOST_RACES
#define tlb_lock(model) ((void)0)
#define tlb_unlock(model) ((void)0)
#endif

static void tlb_drop(struct host_model *model, uint64_t asid, bool all) {
    uint64_t kept = 0;
    tlb_lock(model);
    for (uint64_t i = 0; i < model->tlb_count; i++)
        if (!all && model->tlb[i].asid != asid) model->tlb[kept++] = model->tlb[i];
    model->tlb_count = kept;
    model->tlb_next = 0;
    tlb_unlock(model);
}

void host_tlb_flush(uint64_t asid, bool all) {
    fiber_pause(FIBER_SPLIT);
    tlb_drop(model_here(), asid, all);
}

void host_root_write(uint64_t satp) {
    fiber_pause(FIBER_SPLIT);
    model_here()->satp = satp;
}

void arch_tlb_flush_remote(uint64_t hart_mask, uint64_t asid) {
    for (uint64_t hart = 0; hart < hart_count; hart++)
        if (hart_mask >> hart & 1) tlb_drop(&host_models[hart], asid, false);
}

static struct host_translation *tlb_find(struct host_model *model, uint64_t asid, uint64_t page,
                                         uint64_t level) {
    for (uint64_t i = 0; i < model->tlb_count; i++) {
        struct host_translation *entry = &model->tlb[i];
        if (entry->page == page && entry->level == level && entry->asid == asid) return entry;
    }
    return NULL;
}

static struct host_translation *tlb_add(struct host_model *model, uint64_t asid, uint64_t page,
                                        uint64_t level, uint64_t pte) {
    struct host_translation *entry;
    if (model->tlb_count < HOST_TLB_ENTRIES) {
        entry = &model->tlb[model->tlb_count++];
    } else {
        entry = &model->tlb[model->tlb_next];
        model->tlb_next = (model->tlb_next + 1) % HOST_TLB_ENTRIES;
    }
    *entry = (struct host_translation){asid, page, level, pte};
    return entry;
}

HOST_RACES static bool walk_tables(struct host_model *model, uint64_t va, bool write,
                                   uint64_t *frame) {
    uint64_t table = host_satp_root(model->satp);
    uint64_t asid = host_satp_asid(model->satp);
    if (!table || va >= EXO_VA_LIMIT) return false;
    for (uint64_t level = 2;; level--) {
        uint64_t page = va >> (EXO_FRAME_SHIFT + 9 * level);
        uint64_t *entry = (uint64_t *)arch_pointer(table << EXO_FRAME_SHIFT) + page % 512;
        struct host_translation *cached = tlb_find(model, asid, page, level);
        uint64_t pte = cached ? cached->pte : *entry;
        if (!pte_is_present(pte)) return false;
        if (!cached) cached = tlb_add(model, asid, page, level, pte);
        if (pte_is_table(pte)) {
            if (level == 0) return false;
            table = pte_frame(pte);
            continue;
        }
        uint64_t right = write ? EXO_PAGE_W : EXO_PAGE_R;
        if (!(pte_rights(pte) & right) || !(pte & PTE_U)) return false;
        /* The hardware writes A and D to memory only when its cached entry lacks them. */
        uint64_t marks = (uint64_t)PTE_A | (write ? PTE_D : 0);
        if ((pte & marks) != marks) {
            cached->pte |= marks;
            __atomic_fetch_or(entry, marks, __ATOMIC_RELAXED);
        }
        uint64_t offset = va >> EXO_FRAME_SHIFT & ((1ul << 9 * level) - 1);
        *frame = pte_frame(pte) + offset;
        return true;
    }
}

bool host_touch(uint64_t hart, uint64_t va, bool write, uint64_t *frame) {
    struct host_model *model = &host_models[hart];
    tlb_lock(model);
    bool allowed = walk_tables(model, va, write, frame);
    tlb_unlock(model);
    return allowed;
}

/* ---- interrupts ---- */

bool host_interrupt_pending(uint64_t hart) {
    const struct host_model *model = &host_models[hart];
    return __atomic_load_n(&model->ipi, __ATOMIC_ACQUIRE) || model->timer <= arch_time() ||
           host_line_pending(hart);
}

bool host_interrupt_look(void) {
    if (host_interrupt_after && --host_interrupt_after == 0) return true;
    return host_interrupt_pending(host_hart->index);
}

void host_timer_set(const struct hart *hart, uint64_t ticks) {
    kernel_assert(hart == host_hart); /* no hart can set another's */
    model_here()->timer = ticks;
}

void arch_ipi(const struct hart *hart) {
    __atomic_store_n(&host_models[hart->index].ipi, true, __ATOMIC_RELEASE);
}

void arch_wait_for_interrupt(void) {
    if (!host_interrupt_pending(host_hart->index)) fiber_pause(FIBER_SLEEP);
    __atomic_store_n(&model_here()->ipi, false, __ATOMIC_SEQ_CST);
}

void arch_enter(struct exo_env *env) {
    kernel_assert(env == host_hart->env);
    trap_enter(host_hart);
    fiber_leave();
}

/* ---- the world outside ---- */

uint64_t arch_console_write(const char *bytes, uint64_t length) {
    uint64_t taken = length < host_console_room ? length : host_console_room;
    memcpy(host_console + host_console_length, bytes, taken);
    host_console_length += taken;
    host_console_room -= taken;
    return taken;
}

void arch_power_off(uint64_t status) {
    host_power_status = status;
    fiber_end();
}

void arch_stop(const char *why) {
    host_stop_why = why;
    fiber_end();
}

/* Word by word: another hart may read a hint in the frame just now. */
void arch_frame_clear(void *frame) {
    uint64_t zero = 0;
    uint64_t *word = frame;
    for (uint64_t i = 0; i < EXO_FRAME_BYTES / sizeof(*word); i++)
        __atomic_store(&word[i], &zero, __ATOMIC_RELAXED);
}
