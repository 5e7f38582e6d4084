/* SPDX-License-Identifier: MIT */
/*
 * The modelled machine under the host tests: what a test can do to it.
 *
 * RAM is one array.  A hart is a structure with a satp, a TLB that keeps
 * everything it ever walked until it is flushed, and a pending interrupt.  A
 * hart's kernel runs on a stack of its own, so a call can stop half-way (see
 * host_split) or sleep, while other harts go on; only one of them runs at any
 * moment.  There are no registers of programs: a program on a hart is the
 * environment in hart->env, and the test decides what it calls.
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
    bool ipi;             /* a software interrupt is pending */
    struct result result; /* of the last call that ended */
    uint64_t tlb_count;
    uint64_t tlb_next; /* the entry that is replaced when all are in use */
    struct host_translation tlb[HOST_TLB_ENTRIES];
};

extern struct host_model host_models[EXO_HARTS_MAX];

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
 * The environment on this hart, which is in state HOST_PROGRAM, makes a call.
 * Returns the hart's state; its result is in host_models[hart].result when the
 * state is HOST_PROGRAM (after a call that switched, that of the environment
 * which called is in its CTX).
 */
enum host_state host_call(uint64_t hart, int number, const uint64_t arguments[7]);

/* host_call for a hart that does not switch: its result. */
struct result host_result(uint64_t hart, int number, const uint64_t arguments[7]);

/* Go on with a hart that is HOST_PAUSED, or wake one that is HOST_IDLE. */
enum host_state host_continue(uint64_t hart);

/* A program on a hart that is HOST_PROGRAM takes the interrupt that is pending. */
enum host_state host_interrupt(uint64_t hart);

/* ... meets an exception whose upcall is masked. */
enum host_state host_fault(uint64_t hart, uint64_t cause, uint64_t value);

/* Take all pending interrupts of all harts and finish what is paused, until nothing changes. */
void host_settle(void);

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
