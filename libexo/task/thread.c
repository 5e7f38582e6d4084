/* SPDX-License-Identifier: MIT */
/*
 * Threads: see exo/thread.h.
 *
 * All that a thread needs beside ENV and CTX lies in one region: its stack at
 * the low end, so that an overflow meets the hole before the region; above it
 * the exception stack, struct thread and the thread-local variables, which page
 * faults need and which are therefore touched before the thread runs.
 */
#include <exo/thread.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define EXCEPTION_STACK_BYTES 8192
#define TLS_ALIGN 64
#define PAGE_MASK ((uint64_t)EXO_FRAME_BYTES - 1)

/* From the linker script. */
extern char tls_image[], tls_image_end[], tls_end[];

struct thread {
    struct sys_waiter *joiner; /* or one of the marks below */
    void *result;
    thread_main *main;
    void *argument;
    uint64_t env;
    uint64_t frame; /* its ENV frame; the next one is CTX */
    struct exo_ctx *ctx;
    void *memory;
    struct thread *next; /* in `dead` */
};

/* The thread has ended; nobody joins it. */
#define ENDED ((struct sys_waiter *)1)
#define DETACHED ((struct sys_waiter *)2)

static _Thread_local struct thread *self; /* NULL in the first one */
static struct thread *dead;               /* detached ones that have ended, and are to be freed */

uint64_t thread_env(const struct thread *thread) { return thread->env; }

uint64_t thread_frame(const struct thread *thread) { return thread->frame; }

/* End it wherever it is, and take everything back. */
static void thread_free(struct thread *thread) {
    void *memory = thread->memory;

    if (thread->ctx) mem_unmap_frames(thread->ctx);
    if (thread->env) sys_env_destroy(thread->env, thread->frame);
    if (thread->frame) frame_free(thread->frame, 2);
    mem_release(memory);
}

static void dead_free(void) {
    struct thread *thread = __atomic_exchange_n(&dead, NULL, __ATOMIC_ACQUIRE);

    while (thread) {
        struct thread *next = thread->next;
        thread_free(thread);
        thread = next;
    }
}

static void dead_add(struct thread *thread) {
    thread->next = __atomic_load_n(&dead, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&dead, &thread->next, thread, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
}

/* The region, with the parts that must be present. */
static struct thread *memory_make(uint64_t stack_bytes) {
    uint64_t after =
        EXCEPTION_STACK_BYTES + sizeof(struct thread) + TLS_ALIGN + (uint64_t)(tls_end - tls_image);

    stack_bytes = (stack_bytes + PAGE_MASK) & ~PAGE_MASK;
    char *memory = mem_reserve(stack_bytes + after);
    if (!memory) return NULL;
    memset(memory + stack_bytes, 0, after);
    struct thread *thread = (struct thread *)(memory + stack_bytes + EXCEPTION_STACK_BYTES);
    thread->memory = memory;
    return thread;
}

static uint64_t exception_stack_end(struct thread *thread) { return (uint64_t)thread; }

static uint64_t stack_end(struct thread *thread) {
    return (uint64_t)thread - EXCEPTION_STACK_BYTES;
}

static uint64_t tls_of(struct thread *thread) {
    return ((uint64_t)(thread + 1) + TLS_ALIGN - 1) & ~(uint64_t)(TLS_ALIGN - 1);
}

/* Where a thread has a thread-local variable of this one. */
static void *its(struct thread *thread, void *own) {
    uint64_t offset = (uint64_t)own - (uint64_t)__builtin_thread_pointer();
    return (void *)(tls_of(thread) + offset);
}

static int64_t env_make(struct thread *thread) {
    thread->frame = frame_alloc_range(2, 1, NULL);
    if (!thread->frame) return EXO_EFULL;
    mem_lock();
    int64_t slot = mem_slot();
    int64_t env = slot;
    if (slot >= 0)
        env = exo_env_create(frame_slot(thread->frame), thread->frame, thread->frame + 1, 0,
                             (uint64_t)slot)
                  .value;
    mem_unlock();
    if (env < 0) return env;
    thread->env = (uint64_t)env;
    thread->ctx =
        mem_map_frames(frame_slot(thread->frame), thread->frame + 1, 1, EXO_PAGE_R | EXO_PAGE_W);
    return thread->ctx ? 0 : EXO_EFULL;
}

static _Noreturn void thread_begin(struct thread *thread) {
    thread_exit(thread->main(thread->argument));
}

static int64_t registers_set(struct thread *thread) {
    uint64_t *registers = sys_ctx()->vector;

    for (uint64_t i = 0; i < 32; i++) registers[i] = 0;
    registers[0] = (uint64_t)thread_begin;
    registers[2] = stack_end(thread);
    registers[4] = tls_of(thread);
    registers[10] = (uint64_t)thread;
    return exo_env_regs(thread->env, EXO_REGS_SET).value;
}

static int64_t thread_make(struct thread *thread, const struct thread_options *options) {
    int64_t error = env_make(thread);

    if (error) return error;
    memcpy((void *)tls_of(thread), tls_image, (size_t)(tls_image_end - tls_image));
    *(struct sys_thread *)its(thread, &sys_thread) = (struct sys_thread){
        .ctx = thread->ctx,
        .env = thread->env,
        .env_frame = thread->frame,
    };
    *(struct thread **)its(thread, &self) = thread;
    sys_exception_begin(thread->ctx, exception_stack_end(thread));
    error = registers_set(thread);
    if (!error && !options->rowless) {
        struct row row;
        error = row_take(&row, options->hart ? options->hart - 1 : ROW_ANY_HART, options->rights,
                         thread->env);
    }
    return error ? error : exo_env_regs(thread->env, EXO_REGS_START).value;
}

int64_t thread_create(struct thread **thread, thread_main *main, void *argument,
                      const struct thread_options *options) {
    static const struct thread_options usual;

    mem_threads_begin();
    dead_free();
    if (!options) options = &usual;
    *thread = memory_make(options->stack_bytes ? options->stack_bytes : THREAD_STACK_BYTES);
    if (!*thread) return EXO_EFULL;
    (*thread)->main = main;
    (*thread)->argument = argument;
    int64_t error = thread_make(*thread, options);
    if (!error) return 0;
    thread_free(*thread);
    *thread = NULL;
    return error;
}

void thread_exit(void *result) {
    if (!self) exit((int)(intptr_t)result);
    self->result = result;
    sys_console_flush();
    struct sys_waiter *joiner = __atomic_exchange_n(&self->joiner, ENDED, __ATOMIC_ACQ_REL);
    /* Whoever learns of it now may free this stack, and with it this environment. */
    if (joiner == DETACHED)
        dead_add(self);
    else if (joiner)
        sys_waiter_grant(joiner);
    exo_exit();
}

/* Say that this waiter (or DETACHED) is to learn of the end; false when it has ended already. */
static bool joiner_set(struct thread *thread, struct sys_waiter *joiner) {
    struct sys_waiter *none = NULL;

    return __atomic_compare_exchange_n(&thread->joiner, &none, joiner, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

void *thread_join(struct thread *thread) {
    struct sys_waiter waiter;

    sys_waiter_begin(&waiter);
    if (joiner_set(thread, &waiter)) sys_waiter_wait(&waiter, EXO_NEVER);
    void *result = thread->result;
    thread_free(thread);
    return result;
}

void thread_detach(struct thread *thread) {
    if (!joiner_set(thread, DETACHED)) thread_free(thread);
}
