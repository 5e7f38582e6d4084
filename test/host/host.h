/* SPDX-License-Identifier: MIT */
/*
 * The modelled machine under the host tests: what a test can do to it.
 *
 * RAM is one array.  A hart is a structure with a satp, a TLB that keeps
 * everything it ever walked until it is flushed, a pending interrupt, a timer,
 * and the registers of the program that it runs.  A hart's kernel runs on a
 * stack of its own, so a call can stop half-way (see host_split and
 * host_atomic.h) or sleep, while other harts go on; only one of them runs at
 * any moment.  A program on a hart is the environment in hart->env, and the
 * test decides what it calls.  Time stands still until the test lets it pass.
 *
 * Not here: the walker of the invariants (walker.h).
 */
#pragma once
#include "arch.h"
#include "machine.h"

#define HOST_TLB_ENTRIES 64

/* Entries of a root that are programs', and the one that stands for the kernel's half. */
#define HOST_USER_ENTRIES 256
#define HOST_KERNEL_ENTRY 256

/* Where a hart is. */
enum host_state {
    HOST_PROGRAM, /* in the program hart->env, ready for its next call */
    HOST_PAUSED,  /* half-way through a call, at a place where other harts may go on */
    HOST_IDLE,    /* asleep in the kernel */
    HOST_OFF,     /* it powered the machine off, or stopped it */
    HOST_BLOCKED, /* waits for a lock that a paused hart holds */
};

/* What a hart cached of one table entry: level 2, 1 or 0. */
struct host_translation {
    uint64_t asid;
    uint64_t page; /* virtual address >> (12 + 9 * level) */
    uint64_t level;
    uint64_t pte;
};

struct host_model {
    enum host_state state;
    uint64_t satp;
    bool ipi;                /* a software interrupt is pending */
    uint64_t timer;          /* an interrupt is pending from this time on */
    uint64_t registers[32];  /* of the program: pc, then x1 to x31 */
    bool float_live;         /* the program uses floating point since it was entered */
    uint64_t float_register; /* ... of which this stands for all */
    struct result result;    /* of the last call that ended */
    bool tlb_locked;         /* harts that are threads */
    uint64_t tlb_count;
    uint64_t tlb_next; /* the entry that is replaced when all are in use */
    struct host_translation tlb[HOST_TLB_ENTRIES];
};

extern struct host_model host_models[EXO_HARTS_MAX];

/* Registers of a program: a0 to a7 and t1. */
#define HOST_A0 10
#define HOST_T1 6

/* The machine has booted, and its RAM is as its core left it. */
extern bool host_booted;

/*
 * Set by a test: pct_call, pct_reply and yield take the ways that trap.S has for
 * what goes well; else all of them take the core's full form.
 */
extern bool host_fast;
/* Set by a test: pause in each ENTER before it flushes and before it writes satp. */
extern bool host_split;
/*
 * Set by a test: after so many looks an interrupt seems to be pending; 0 for
 * never.  Counted down by the looks.
 */
extern uint64_t host_interrupt_after;

/* What the machine did to the world outside. */
extern char host_console[4096];
extern uint64_t host_console_length;
extern uint64_t host_console_room; /* bytes that the transmitter takes before it is full */
extern uint64_t host_power_status; /* of the power-off */
extern const char *host_stop_why;  /* of arch_stop, NULL if it was not called */

/* Sizes of a machine that host_boot builds. */
struct host_plan {
    uint64_t groups; /* groups of 512 frames of RAM */
    uint32_t harts;
    uint64_t asids;
};

/*
 * Build RAM of `plan` with a boot archive, boot the kernel core in it, and let
 * hart 0 run init; the other harts sleep.  Everything from an earlier machine
 * is gone.
 */
void host_boot(const struct host_plan *plan);

/* Give new, zeroed RAM of this many groups to the model; everything from an earlier machine is gone. */
void host_ram_make(uint64_t groups);

/*
 * Boot with a description of the test's own, after host_ram_make.  Returns
 * whether the core booted; if not, host_stop_why tells what it missed.
 */
bool host_boot_machine(struct machine *machine);

/* Write a boot archive with an init of one page of text and one of data; returns its bytes. */
uint64_t host_archive_make(uint64_t address);

/*
 * The environment on this hart, which is in state HOST_PROGRAM, makes a call
 * with these a0 to a6; pct_call_until's deadline is in the hart's register t1.
 * Returns the hart's state.  If the same environment runs there afterwards,
 * its result is in host_models[hart].result and in its registers; if the call
 * switched, `result` is what is in its CTX for now, and its registers get the
 * result when it is entered again.
 */
enum host_state host_call(uint64_t hart, int number, const uint64_t arguments[7]);

/* host_call for a hart that does not switch: its result. */
struct result host_result(uint64_t hart, int number, const uint64_t arguments[7]);

/* Go on with a hart that is HOST_PAUSED, or wake one that is HOST_IDLE. */
enum host_state host_continue(uint64_t hart);

/* Is an interrupt of this hart pending: a software one, or its timer's? */
bool host_interrupt_pending(uint64_t hart);

/* A program on a hart that is HOST_PROGRAM takes the interrupt that is pending. */
enum host_state host_interrupt(uint64_t hart);

/* ... meets an exception: its handler is entered or, without one or while it is masked, it stops. */
enum host_state host_fault(uint64_t hart, uint64_t cause, uint64_t value);

/* Take all pending interrupts of all harts and finish what is paused, until nothing changes. */
void host_settle(void);

/* Let so many ticks pass; every timer on the way goes off in time and is obeyed (host_settle). */
void host_advance(uint64_t ticks);

/*
 * The program on a hart, or whatever walks its tables while it is in the
 * kernel, reads or writes a virtual address: walk satp's tables through the
 * TLB and cache every level.  A leaf's A and D are set as hardware does.
 * Returns whether the access was allowed; *frame gets the frame reached.
 */
bool host_touch(uint64_t hart, uint64_t va, bool write, uint64_t *frame);

/* Is the kernel's half of a root table as arch_root_init left it? */
bool host_root_is_whole(const uint64_t *root);

/* The root frame in a satp value, 0 for the kernel's; and its ASID. */
uint64_t host_satp_root(uint64_t satp);
uint64_t host_satp_asid(uint64_t satp);
