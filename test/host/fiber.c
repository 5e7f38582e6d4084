/* SPDX-License-Identifier: MIT */
/* Stacks for the kernels of the modelled harts: see fiber.h. */
#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#define FIBER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_SANITIZED 1
#endif
#endif
#ifdef FIBER_SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (64ul << 10)

struct fiber {
    ucontext_t context;
    void *stack;
    void (*body)(uint64_t hart);
};

static struct fiber fibers[EXO_HARTS_MAX];
static ucontext_t test_context;
static struct fiber *running; /* NULL: the test itself */
static uint64_t running_hart;
#ifdef FIBER_SANITIZED
static const void *test_stack;
static size_t test_stack_bytes;
#endif

/* The sanitizer must know of each change of stack. */
static void switch_announce(void **saved, const void *stack, size_t bytes) {
#ifdef FIBER_SANITIZED
    __sanitizer_start_switch_fiber(saved, stack, bytes);
#else
    (void)saved;
    (void)stack;
    (void)bytes;
#endif
}

static void switch_done(void *saved, const void **stack, size_t *bytes) {
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(saved, stack, bytes);
#else
    (void)saved;
    (void)stack;
    (void)bytes;
#endif
}

/* From a fiber to the test; `last`: the fiber is never continued. */
static void switch_to_test(bool last) {
    struct fiber *self = running;
    void *saved = NULL;
#ifdef FIBER_SANITIZED
    switch_announce(last ? NULL : &saved, test_stack, test_stack_bytes);
#else
    (void)last;
#endif
    swapcontext(&self->context, &test_context);
    switch_done(saved, NULL, NULL);
}

static void fiber_entry(void) {
#ifdef FIBER_SANITIZED
    switch_done(NULL, &test_stack, &test_stack_bytes);
#endif
    running->body(running_hart);
    host_models[running_hart].state = HOST_PROGRAM;
    switch_to_test(true);
    abort();
}

static enum host_state switch_to_fiber(uint64_t hart) {
    struct fiber *fiber = &fibers[hart];
    void *saved = NULL;
    if (running) {
        fprintf(stderr, "a fiber cannot run another\n");
        abort();
    }
    running = fiber;
    running_hart = hart;
    switch_announce(&saved, fiber->stack, STACK_BYTES);
    swapcontext(&test_context, &fiber->context);
    switch_done(saved, NULL, NULL);
    running = NULL;
    return host_models[hart].state;
}

enum host_state fiber_run(uint64_t hart, void (*body)(uint64_t hart)) {
    struct fiber *fiber = &fibers[hart];
    if (!fiber->stack) {
        fiber->stack =
            mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fiber->stack == MAP_FAILED) {
            perror("mmap of a stack");
            abort();
        }
    }
#ifdef FIBER_SANITIZED
    /* What an ended fiber left poisoned. */
    __asan_unpoison_memory_region(fiber->stack, STACK_BYTES);
#endif
    fiber->body = body;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, fiber_entry, 0);
    return switch_to_fiber(hart);
}

enum host_state fiber_continue(uint64_t hart) { return switch_to_fiber(hart); }

/* Is a lock held?  Only one fiber runs, so unless others are paused it would be held by this one. */
static bool lock_is_held(void) {
    if (tree_lock.next != tree_lock.serving) return true;
    for (unsigned i = 0; i < SPACE_LOCKS; i++)
        if (space_locks[i].next != space_locks[i].serving) return true;
    return false;
}

void fiber_pause(enum fiber_reason reason) {
    static const enum host_state states[] = {
        [FIBER_SPLIT] = HOST_PAUSED,
        [FIBER_POINT] = HOST_PAUSED,
        [FIBER_BLOCKED] = HOST_BLOCKED,
        [FIBER_SLEEP] = HOST_IDLE,
    };
    if (reason == FIBER_POINT && !running) return;
    if (reason == FIBER_SPLIT && (!running || !host_split || lock_is_held())) return;
    if (!running || (reason == FIBER_SLEEP && !host_at_point && lock_is_held())) {
        fprintf(stderr, "KERNEL BUG: a hart sleeps with a lock held or outside a call\n");
        abort();
    }
    struct hart *hart = arch_hart();
    host_models[running_hart].state = states[reason];
    switch_to_test(false);
    arch_hart_set(hart);
}

void host_lock_wait(const int32_t *serving, int32_t ticket) {
    while (*(const volatile int32_t *)serving != ticket) {
        if (!running || !host_at_point) {
            fprintf(stderr, "KERNEL BUG: a hart waits for a lock that it holds itself\n");
            abort();
        }
        fiber_pause(FIBER_BLOCKED);
    }
}

void fiber_leave(void) {
    if (!running) {
        fprintf(stderr, "KERNEL BUG: a hart enters a program outside a call\n");
        abort();
    }
    host_models[running_hart].state = HOST_PROGRAM;
    switch_to_test(true);
    abort();
}

void fiber_end(void) {
    if (!running) {
        fprintf(stderr, "the machine stopped outside a call: %s\n",
                host_stop_why ? host_stop_why : "power off");
        abort();
    }
    host_models[running_hart].state = HOST_OFF;
    switch_to_test(true);
    abort();
}

void fiber_backtrace(void) {
#ifdef FIBER_SANITIZED
    __sanitizer_print_stack_trace();
#endif
}
