/* SPDX-License-Identifier: MIT */
/*
 * Threads, mutexes and conditions (exo::task).
 *
 * A thread is an environment that joined this program's space: it shares all
 * memory and capabilities, has thread-local variables, a stack and an exception
 * stack of its own, and runs where a row that the program holds is bound to it,
 * so several run at once on several harts.  When the first thread ends, all do.
 *
 * What waits here sleeps in the kernel.  In a program whose first thread holds
 * no ENV capability of itself (init, or one with a parent without libexo) that
 * thread cannot be notified: it gives up its slices instead while it waits.
 */
#pragma once
#include <exo/row.h>

/* ---- Threads (thread.c) */

struct thread;

typedef void *thread_main(void *argument);

struct thread_options {
    uint64_t stack_bytes; /* 0: THREAD_STACK_BYTES */
    uint64_t hart;        /* plus 1, where a row is to be taken; 0: any */
    uint64_t rights;      /* EXO_SLICE rights that the row must have */
    bool rowless;         /* no row: it runs when somebody yields to thread_env() */
};

#define THREAD_STACK_BYTES 65536

/*
 * Start a thread that calls main(argument).  `options` may be NULL.  Returns 0
 * and the thread in *thread, EXO_EFULL when there is no memory or no free row,
 * or another enum exo_error.
 */
int64_t thread_create(struct thread **thread, thread_main *main, void *argument,
                      const struct thread_options *options);

/* Sleep until a thread ends; what its main returned.  It is gone then. */
void *thread_join(struct thread *thread);

/* Nobody will join it: it is gone when it ends. */
void thread_detach(struct thread *thread);

/* End this thread, as a return from its main does.  Of the first one: the program. */
_Noreturn void thread_exit(void *result);

/* The handle of a thread's environment: for exo_notify, exo_yield, slice_bind. */
uint64_t thread_env(const struct thread *thread);

/* The thread's ENV frame, by which the slice vectors and the frame table know it. */
uint64_t thread_frame(const struct thread *thread);

/* ---- Mutexes */

/* Zeroed it is free.  The first to wait is the first to get it. */
struct mutex {
    struct sys_lock lock;
};

static inline void mutex_take(struct mutex *mutex) { sys_lock_take(&mutex->lock); }
static inline void mutex_give(struct mutex *mutex) { sys_lock_give(&mutex->lock); }

/* ---- Conditions (condition.c) */

/* Zeroed nobody waits for it. */
struct condition {
    struct sys_lock lock;
    struct sys_waiter *first;
    struct sys_waiter *last;
};

/*
 * Give the mutex and sleep until the condition is signalled or the deadline
 * comes, then take the mutex again.  Whether it was signalled.  A signal after
 * the mutex was given is never lost.
 */
bool condition_wait(struct condition *condition, struct mutex *mutex, uint64_t deadline);

/* Wake the one that waits longest, or all.  With the mutex taken or not. */
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);
