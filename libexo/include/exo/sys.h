/* SPDX-License-Identifier: MIT */
/*
 * exo::sys: what every program needs and nothing that a program might want
 * otherwise.
 *
 * Call stubs, the program's own pages that the kernel or its parent placed
 * (INFO, ENV, CTX, the start block), its capability slots, the console, the
 * way from an exception or the end of a slice to a C function, and what several
 * threads need to share all that: a structure a thread, and locks.  It
 * allocates no memory and sets no policy.  It needs nothing of the libraries
 * above it.
 *
 * A program begins in crt0.S, which calls sys_begin(): memory hook,
 * constructors, main, exit.
 */
#pragma once
#include <exo/abi.h>
#include <stdbool.h>

/*
 * Where libexo keeps what in the 2 MiB that the kernel's three pages share,
 * so that a small program needs one leaf TABLE for all of it.  init's image
 * ends below SYS_VA_BITMAP; the other programs have nothing there.
 */
#define SYS_VA_BITMAP 0x300000  /* bitmaps of the frame allocator */
#define SYS_VA_SCRATCH 0x360000 /* short-lived mappings of exo::mem */
#define SYS_VA_CAPS 0x380000    /* the CAPS frames of the program, read-only, in order */
#define SYS_VA_STACK 0x3a0000   /* lowest byte of the stack; a hole lies below and above */
#define SYS_VA_STACK_TOP 0x3f8000
#define SYS_VA_CONSOLE 0x3fb000 /* its console (exo/console.h), shared with who serves it */
#define SYS_VA_START 0x3fc000   /* the start block; init has none */
#define SYS_VA_PROGRAM 0x400000 /* lowest byte of a program's image */

/*
 * Slots that a parent fills in the child's ENV frame.  A program without
 * libexo finds its capabilities there; EXO_CAP_HANDLE makes the handle from
 * the slot's word.
 */
#define SYS_SLOT_MEMORY 0  /* PAGE R W X: its memory, the frames of its own objects included */
#define SYS_SLOT_ARCHIVE 1 /* PAGE R: the boot archive */
#define SYS_SLOT_CONSOLE 2 /* MACHINE CONSOLE */
#define SYS_SLOT_RINGS 3   /* PAGE R W: one frame, its console */
#define SYS_SLOT_LENT 4    /* what else the parent lends, in its order */
#define SYS_LENT_MAX 6
#define SYS_SLOT_SELF 10    /* ENV CALL NOTIFY CONTROL: the program's first thread itself */
#define SYS_SLOT_SERVICE 11 /* ENV CALL: the service of init (exo/init.h) */
#define SYS_SLOT_BELL 12    /* ENV NOTIFY: who serves the console; filled when it is needed */

/* Words of exo_ctx.program that parent and child agree on. */
#define SYS_WORD_STATUS 0 /* exit status, 0 to 255 */

#define SYS_ARGUMENTS_MAX 32
#define SYS_START_MAGIC 0x545241545f4f5845 /* "EXO_START" without its S */

/*
 * The start block: one frame that the parent fills and maps read-write at
 * SYS_VA_START; its address is in a0 at the program's first instruction.
 * Handles are of the child's own table, 0 for what was not lent.
 */
struct sys_start {
    uint64_t magic;
    uint64_t instructions; /* instret when the parent began to build the child */
    uint64_t memory;
    uint64_t frame_first; /* memory is [frame_first, frame_first + frame_count) */
    uint64_t frame_count;
    uint64_t frame_used; /* of these, from the first on, in use when the program starts */
    uint64_t archive;
    uint64_t console;
    uint64_t rings;
    uint64_t lent[SYS_LENT_MAX];
    uint64_t rings_frame; /* what `rings` is for */
    uint64_t argument_count;
    uint64_t self; /* of SYS_SLOT_SELF */
    uint64_t service;
    uint64_t service_frame;      /* ENV frame of the service's environment */
    uint64_t service_generation; /* ... and its generation */
};
_Static_assert(sizeof(struct sys_start) == 168, "parent and child agree on the start block");

/* Behind it, in the same frame, lie argument_count strings, one after the other. */
#define SYS_ARGUMENT_BYTES (EXO_FRAME_BYTES - sizeof(struct sys_start))

static inline char *sys_argument_bytes(struct sys_start *start) { return (char *)(start + 1); }

/* a0 and a1 of a call: value below 0 is an enum exo_error. */
struct exo_result {
    int64_t value;
    uint64_t detail;
};

/*
 * The calls, one stub each; docs/abi.md has their rules.  exo_pct_call,
 * exo_pct_call_until and exo_pct_reply are there too, for assembly only: their
 * registers are not those of a C function.
 */
_Noreturn void exo_resume(void);
struct exo_result exo_wait(uint64_t mask, uint64_t deadline);
struct exo_result exo_notify(uint64_t env, uint64_t bits);
struct exo_result exo_yield(uint64_t env);
struct exo_result exo_null(void);
struct exo_result exo_cap_derive(uint64_t slot, uint64_t into, uint64_t first, uint64_t count,
                                 uint64_t rights, uint64_t keep, uint64_t extra);
struct exo_result exo_cap_grant(uint64_t slot, uint64_t env, uint64_t into, uint64_t frame,
                                uint64_t generation);
struct exo_result exo_cap_revoke(uint64_t slot, uint64_t from, uint64_t due);
struct exo_result exo_cap_drop(uint64_t slot, uint64_t from);
struct exo_result exo_caps_add(uint64_t slot, uint64_t frame);
struct exo_result exo_caps_del(uint64_t frame);
struct exo_result exo_table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot,
                                 uint64_t frame);
struct exo_result exo_table_unlink(uint64_t env, uint64_t va, uint64_t level);
struct exo_result exo_page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame,
                               uint64_t count, uint64_t flags);
struct exo_result exo_page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload);
struct exo_result exo_page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights);
struct exo_result exo_page_harvest(uint64_t env, uint64_t va, uint64_t count);
struct exo_result exo_env_create(uint64_t slot, uint64_t env_frame, uint64_t ctx_frame,
                                 uint64_t root_frame, uint64_t into);
struct exo_result exo_env_regs(uint64_t env, uint64_t operation);
_Noreturn void exo_exit(void);
struct exo_result exo_env_reap(uint64_t frame);
struct exo_result exo_slice_bind(uint64_t slot, uint64_t row, uint64_t env);
struct exo_result exo_debug_write(uint64_t slot, uint64_t length, uint64_t low, uint64_t high);
struct exo_result exo_shutdown(uint64_t slot, uint64_t status);
struct exo_result exo_irq_bind(uint64_t slot, uint64_t line, uint64_t events);
struct exo_result exo_irq_ack(uint64_t slot, uint64_t line);
struct exo_result exo_queue_open(uint64_t slot, uint64_t page_slot, uint64_t ring, uint64_t queue,
                                 uint64_t events, uint64_t windows);
struct exo_result exo_queue_kick(uint64_t queue);
struct exo_result exo_queue_close(uint64_t queue);

/* ---- Protected control transfer (transfer.S) */

/* The six words that go with a call, and those that come with its answer. */
struct sys_words {
    uint64_t word[6];
};

/*
 * Call an environment that accepts calls, through an ENV handle with CALL.  It
 * runs in this slice.  Returns 0 with the answer in *words, or an enum
 * exo_error, and then *words is as before.  The registers that are no words
 * hold nothing of the caller when it is entered.
 */
int64_t sys_call(uint64_t env, struct sys_words *words);

/* The same, but it ends with TIMEOUT when the time counter reaches the deadline. */
int64_t sys_call_until(uint64_t env, struct sys_words *words, uint64_t deadline);

/*
 * Answer the call that is being served, if there is one, and wait for the
 * next.  Returns the caller's ENV frame with its words in *words; or 0, when
 * this environment was stopped and started meanwhile.
 */
uint64_t sys_reply(struct sys_words *words);

/* ---- Threads, as this library sees them */

/*
 * What an exception calls.  It runs on the exception stack with the upcall
 * masked, so it must not fault; `ctx` has the record, and what it changes
 * there (exception_pc, say) holds when the program goes on.  It returns true to
 * go on, false when the exception is not its.
 */
typedef bool sys_handler(struct exo_ctx *ctx, uint64_t cause, uint64_t value);

/*
 * What is each thread's own.  A program begins with one thread, whose
 * environment leads the space and whose CTX lies at EXO_VA_CTX; the others
 * (exo/thread.h) are environments that joined, each with its copy of the
 * thread-local variables, of which this is one.  tp points at that copy, so a
 * program must not change tp.
 */
struct sys_thread {
    struct exo_ctx *ctx;    /* its CTX frame; first, for exception.S */
    uint64_t env;           /* ENV handle by which others notify it; EXO_NONE: they cannot */
    uint64_t env_frame;     /* its name; 0 in the first thread of a space without libexo */
    sys_handler *slice_end; /* of sys_slice_handler_set */
};
extern _Thread_local struct sys_thread sys_thread;

/* Whether this is the thread that the program began with. */
static inline bool sys_is_first(void) { return sys_thread.ctx == (struct exo_ctx *)EXO_VA_CTX; }

/* The CTX frame of this thread. */
static inline struct exo_ctx *sys_ctx(void) { return sys_thread.ctx; }

/* The ENV frame of the first thread, which has the slots of all. */
static inline const struct exo_env *sys_env(void) { return (const struct exo_env *)EXO_VA_ENV; }

static inline const struct exo_info *sys_info(void) { return (const struct exo_info *)EXO_VA_INFO; }

/*
 * The program's start block.  For init, which no program started, it holds no
 * memory and no archive (exo::mem finds both by exo_info) but the console.
 */
extern const struct sys_start *sys_start;

/* instret at the program's first instruction. */
extern uint64_t sys_start_instructions;

/* Whether this is init, which holds the root capabilities. */
bool sys_is_init(void);

/* instret now. */
static inline uint64_t sys_instructions(void) {
    uint64_t value;
    __asm__ volatile("rdinstret %0" : "=r"(value));
    return value;
}

/* ---- Time */

/* The time counter now, in ticks. */
static inline uint64_t sys_time(void) {
    uint64_t value;
    __asm__ volatile("rdtime %0" : "=r"(value));
    return value;
}

#define SYS_SECOND 1000000000ul /* nanoseconds */

/* Ticks of so many nanoseconds (up to hours), rounded up. */
static inline uint64_t sys_ticks(uint64_t nanoseconds) {
    uint64_t hz = sys_info()->timebase_hz, rest = nanoseconds % SYS_SECOND;
    return nanoseconds / SYS_SECOND * hz + (rest * hz + SYS_SECOND - 1) / SYS_SECOND;
}

/* Nanoseconds of so many ticks. */
static inline uint64_t sys_nanoseconds(uint64_t ticks) {
    uint64_t hz = sys_info()->timebase_hz;
    return ticks / hz * SYS_SECOND + ticks % hz * SYS_SECOND / hz;
}

/*
 * The same calls until they are done: AGAIN is answered by another call, REAP
 * by reaping the environment that is named first.  They return 0 (cap_grant:
 * the receiver's new handle) or an enum exo_error other than these two.
 */
int64_t sys_cap_grant(uint64_t slot, uint64_t env, uint64_t into, uint64_t frame,
                      uint64_t generation);
int64_t sys_cap_revoke(uint64_t slot, uint64_t from); /* at once, without notice */
int64_t sys_cap_drop(uint64_t slot, uint64_t from);
int64_t sys_env_reap(uint64_t frame);

/*
 * End an environment and everything it holds: drop its first ENV capability
 * `env`, whose ENV frame is `frame`, and reap it.  Fine for one that has
 * exited.  Returns 0 or an enum exo_error.
 */
int64_t sys_env_destroy(uint64_t env, uint64_t frame);

/* The name and the text of a number of enum exo_error; "unknown" for another. */
const char *sys_error_name(int64_t error);
const char *sys_error_text(int64_t error);

/* The slot with this number of this program's table (0: ENV frame), or NULL when there is none. */
const struct exo_cap *sys_slot(uint64_t table, uint64_t index);

/* The slot that a handle names, whatever it holds by now; NULL as above. */
const struct exo_cap *sys_slot_named(uint64_t handle);

/*
 * The handle of an EMPTY slot to name as `into`, or EXO_EFULL: then
 * sys_slots_add() first.  The slot stays EMPTY until a call fills it, and
 * until then the next search finds it again.
 */
int64_t sys_slot_find(void);

/*
 * Add 31 slots: donate a frame of the PAGE capability `slot` and map it at
 * SYS_VA_CAPS for sys_slot().  Returns 0 or an enum exo_error.
 */
int64_t sys_slots_add(uint64_t slot, uint64_t frame);

/* RISC-V's causes (privileged specification, scause). */
#define SYS_CAUSE_FETCH_ACCESS 1
#define SYS_CAUSE_ILLEGAL 2
#define SYS_CAUSE_BREAKPOINT 3
#define SYS_CAUSE_LOAD_ACCESS 5
#define SYS_CAUSE_STORE_ACCESS 7
#define SYS_CAUSE_FETCH_PAGE 12
#define SYS_CAUSE_LOAD_PAGE 13
#define SYS_CAUSE_STORE_PAGE 15
#define SYS_CAUSES 16

/* Name a cause, for people. */
const char *sys_cause_text(uint64_t cause);

/*
 * Set the handler of a cause below SYS_CAUSES, NULL for none; returns the one
 * it replaces.  An exception without a handler, or which its handler refuses,
 * stops the program with its record kept, for its parent to show.
 */
sys_handler *sys_handler_set(uint64_t cause, sys_handler *handler);

/*
 * From now on the end of this thread's slices calls `handler`,
 * EXO_GRACE_NANOSECONDS before, as an exception with cause EXO_CAUSE_SLICE
 * does; its answer means nothing.  NULL: no longer.  What it does not finish
 * in time it finishes in the next slice.
 */
void sys_slice_handler_set(sys_handler *handler);

/*
 * Between these two, which nest, the end of a slice is only noted.  The last
 * sys_critical_end gives up what is left of a slice that was to end, so who
 * keeps the section short is not stopped in it.  It is a courtesy: at the end
 * of the slice the kernel stops the program anyway.
 */
static inline void sys_critical_begin(void) {
    sys_ctx()->critical++;
    __asm__ volatile("" ::: "memory");
}

static inline void sys_critical_end(void) {
    struct exo_ctx *ctx = sys_ctx();

    __asm__ volatile("" ::: "memory");
    if (--ctx->critical || !ctx->slice_pending) return;
    ctx->slice_pending = 0;
    exo_yield(EXO_NONE);
}

/* ---- Waiting for another thread (waiter.c, lock.c) */

/* Event bits of each thread that libexo uses itself; a program has those below. */
#define SYS_EVENT_GRANT 55   /* a waiter was granted */
#define SYS_EVENT_HANDLER 54 /* ... one that waits in an exception handler */
#define SYS_EVENT_JOB 53     /* a job begins (exo/schedule.h) */
#define SYS_EVENT_CONSOLE 52 /* something was typed; of who serves a console: or written */
#define SYS_EVENTS_FREE 52   /* the program's own: so many, from bit 0 on */

/*
 * A thread that waits for another to grant it something.  It is made on the
 * waiter's stack, shown to others, and granted once: after that it is gone.
 */
struct sys_waiter {
    struct sys_waiter *next; /* the queue's own */
    uint64_t env;
    uint64_t event;
    uint32_t granted;
};

void sys_waiter_begin(struct sys_waiter *waiter);

/* Sleep until it is granted or the deadline comes; whether it was granted. */
bool sys_waiter_wait(struct sys_waiter *waiter, uint64_t deadline);

/* Let it go on.  The grantor must hold nothing that the waiter may destroy. */
void sys_waiter_grant(struct sys_waiter *waiter);

/*
 * A lock between threads: the first to ask is the first to get it, and who must
 * wait sleeps.  Zero is free.  Without a second thread that wants it each of
 * the two functions is one atomic instruction.
 */
struct sys_lock {
    uint64_t word; /* 0: free; 1: taken; else taken, and 1 + the address of the last waiter */
};

void sys_lock_take(struct sys_lock *lock);
void sys_lock_give(struct sys_lock *lock);

/* The same for who may have it already: given back as often as it was taken. */
struct sys_nested_lock {
    struct sys_lock lock;
    uint64_t depth;
    const struct sys_thread *owner;
};

void sys_nested_take(struct sys_nested_lock *lock);
void sys_nested_give(struct sys_nested_lock *lock);

/* ---- The console (console.c, input.c, bell.c) */

/* Write out what this thread's stdout still holds. */
void sys_console_flush(void);

/*
 * Write to the console, as one piece when all programs keep to the lock: to its
 * rings while somebody serves them, else by debug_write.  Without either the bytes
 * are lost.
 */
void sys_console_write(const char *bytes, uint64_t length);

/* Its console (exo/console.h), or NULL when it has none. */
struct console;
struct console *sys_console(void);

/* Whether what is typed comes to this program (to its first thread). */
bool sys_console_is_typed(void);

/*
 * Read up to `count` bytes as they were typed; how many there were.  Sleeps until
 * there is one or the deadline comes.
 */
uint64_t sys_console_read(char *bytes, uint64_t count, uint64_t deadline);

/* Tell who serves the console that there is something to do. */
void sys_console_bell(void);

/*
 * init's: have a console in a DATA frame of the PAGE capability `slot`, for its
 * own output.  Returns 0 or an enum exo_error.
 */
int64_t sys_console_make(uint64_t slot, uint64_t frame);

/* init's: who serves its console from now on; a handle of class ENV, or EXO_NONE. */
void sys_console_bell_set(uint64_t env);

/* ---- The service of init (exo/init.h) */

/* Call it, giving it time when it is busy.  Returns 0 and its answer, or an enum exo_error. */
int64_t sys_service(struct sys_words *words);

/* Open an EMPTY slot so that it may grant into it.  Returns 0 or an enum exo_error. */
int64_t sys_service_open(uint64_t slot);

/* init's: lend this to all children as its service. */
void sys_service_make(uint64_t env, uint64_t frame, uint64_t generation);

/*
 * Hook of exo::mem, called before constructors and main on the first page of
 * the stack.  exo::sys has an empty one of its own, which a program gets that
 * does not link exo::mem.
 */
void sys_memory_begin(void);

/* Called by crt0.S only. */
_Noreturn void sys_begin(struct sys_start *start);
