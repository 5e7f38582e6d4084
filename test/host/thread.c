/* SPDX-License-Identifier: MIT */
/*
 * fiber.h with a thread for each hart: see thread.h.  Used one at a time they
 * are what fiber.c has.  This file replaces that one in builds for the thread
 * sanitizer.
 */
#include "thread.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_NANOSECONDS 20000 /* between two looks of a hart that sleeps */

struct thread {
    pthread_t thread;
    bool exists;
    bool goes;         /* it is to run, and says when it does not any more */
    jmp_buf beginning; /* where fiber_leave goes back to */
    void (*body)(uint64_t hart);
};

static struct thread threads[EXO_HARTS_MAX];
static pthread_mutex_t mutex =
    PTHREAD_MUTEX_INITIALIZER; /* of `goes`, and of all that waits for it */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static void (*free_life)(uint64_t hart); /* NULL: one hart at a time; changed under the mutex */
static bool halting;                     /* ... and read anywhere */
static _Thread_local uint64_t self;      /* hart + 1, 0 for the test */

/* The thread of this hart stops, with its hart in that state, until it is to go on. */
static void thread_stop(uint64_t hart, enum host_state state) {
    pthread_mutex_lock(&mutex);
    host_models[hart].state = state;
    threads[hart].goes = false;
    pthread_cond_broadcast(&changed);
    while (!threads[hart].goes) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static bool harts_are_free(void) { return !__atomic_load_n(&halting, __ATOMIC_ACQUIRE); }

static void *thread_run(void *argument) {
    uint64_t hart = (uint64_t)(uintptr_t)argument;
    struct thread *thread = &threads[hart];
    self = hart + 1;
    for (;;) {
        if (!setjmp(thread->beginning)) thread->body(hart);
        host_models[hart].state = HOST_PROGRAM;
        if (harts_are_free()) {
            thread->body = free_life;
            continue;
        }
        thread_stop(hart, HOST_PROGRAM);
    }
    return NULL;
}

/* Let a hart's thread go, and wait until it stops unless all are to run. */
static enum host_state thread_go(uint64_t hart, bool waits) {
    struct thread *thread = &threads[hart];
    pthread_mutex_lock(&mutex);
    thread->goes = true;
    if (!thread->exists) {
        thread->exists = true;
        if (pthread_create(&thread->thread, NULL, thread_run, (void *)(uintptr_t)hart)) abort();
    }
    pthread_cond_broadcast(&changed);
    while (waits && thread->goes) pthread_cond_wait(&changed, &mutex);
    enum host_state state = waits ? host_models[hart].state : HOST_PROGRAM;
    pthread_mutex_unlock(&mutex);
    return state;
}

enum host_state fiber_run(uint64_t hart, void (*body)(uint64_t hart)) {
    __atomic_store_n(&halting, true, __ATOMIC_RELEASE);
    threads[hart].body = body;
    return thread_go(hart, true);
}

enum host_state fiber_continue(uint64_t hart) { return thread_go(hart, true); }

void fiber_pause(enum fiber_reason reason) {
    uint64_t hart = self - 1;
    if (reason != FIBER_SLEEP) return;
    host_models[hart].state = HOST_IDLE;
    while (harts_are_free()) {
        struct timespec poll = {0, POLL_NANOSECONDS};
        if (host_interrupt_pending(hart)) {
            host_models[hart].state = HOST_PROGRAM;
            return;
        }
        nanosleep(&poll, NULL);
    }
    thread_stop(hart, HOST_IDLE);
    host_models[hart].state = HOST_PROGRAM;
}

void host_lock_wait(const int32_t *serving, int32_t ticket) {
    while (__atomic_load_n(serving, __ATOMIC_ACQUIRE) != ticket) sched_yield();
}

void fiber_leave(void) { longjmp(threads[self - 1].beginning, 1); }

void fiber_end(void) {
    fprintf(stderr, "the machine stops: %s\n", host_stop_why ? host_stop_why : "power off");
    if (!self) abort();
    for (;;) thread_stop(self - 1, HOST_OFF);
}

void fiber_backtrace(void) {}

/* ---- all at once ---- */

void threads_free(void (*life)(uint64_t hart)) {
    free_life = life;
    __atomic_store_n(&halting, false, __ATOMIC_RELEASE);
    for (uint64_t hart = 0; hart < hart_count; hart++) {
        if (host_models[hart].state == HOST_OFF) continue;
        if (host_models[hart].state == HOST_PROGRAM) threads[hart].body = life;
        thread_go(hart, false);
    }
}

void threads_halt(void) {
    __atomic_store_n(&halting, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&mutex);
    for (uint64_t hart = 0; hart < hart_count; hart++)
        while (threads[hart].goes) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* ---- what gcc calls for volatile accesses: these may race ---- */

#define VOLATILE(bytes)                                    \
    void __tsan_volatile_read##bytes(void *);              \
    void __tsan_volatile_write##bytes(void *);             \
    void __tsan_volatile_read##bytes(void *p) { (void)p; } \
    void __tsan_volatile_write##bytes(void *p) { (void)p; }
VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)
