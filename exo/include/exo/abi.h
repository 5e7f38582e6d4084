/* SPDX-License-Identifier: MIT */
/*
 * The whole ABI of exo: what the kernel and the programs both know.
 *
 * A call is made by `li a7, NUMBER; ecall` with its arguments in a0 to a6.
 * The kernel returns to the address in ra, so a stub is two instructions
 * reached by `jal`.  a0 holds the result: zero or more is success, a negative
 * number is an `enum exo_error`; for some of either a1 holds a detail, which
 * docs/abi.md names.  Registers s0 to s11, sp and tp survive a call; t0 to t6, ra
 * and the other argument registers do not.  pct_reply keeps sp and tp only: it
 * returns with s0 to s11 zero.  gp is never switched: after a call that lets
 * another program run it holds anything, and programs do not use it.
 *
 * Frames are named by physical frame number, memory is counted in frames of
 * 4,096 bytes, and every name in these structures is a number, never a kernel
 * address.
 */
#pragma once

#define EXO_ABI_VERSION 1

#define EXO_FRAME_SHIFT 12
#define EXO_FRAME_BYTES 4096
#define EXO_VA_LIMIT 0x4000000000 /* user addresses are below 2^38 */

/* Where init finds its image and the kernel's frames; libexo keeps the same places in every program. */
#define EXO_VA_INIT 0x200000 /* first byte of init's image, and its entry */
#define EXO_VA_INFO 0x3fd000 /* INFO, read-only */
#define EXO_VA_ENV 0x3fe000  /* its own ENV frame, read-only */
#define EXO_VA_CTX 0x3ff000  /* its own CTX frame */

/* Time is counted in ticks of the time counter, exo_info.timebase_hz a second. */
#define EXO_ROW_NANOSECONDS 1000000  /* a row's time in each round */
#define EXO_GRACE_NANOSECONDS 20000  /* the end-of-slice upcall comes so long before the end */
#define EXO_NEVER 0xffffffffffffffff /* a deadline that does not come */

/*
 * An environment argument is a handle of class ENV with CONTROL, or EXO_SELF.
 * slice_bind takes EXO_UNBIND too; notify takes EXO_SELF or a handle with NOTIFY.
 */
#define EXO_SELF 0
#define EXO_UNBIND 1
#define EXO_NONE 0 /* never a handle of anything */

/* Rights of PAGE. */
#define EXO_PAGE_R 1
#define EXO_PAGE_W 2
#define EXO_PAGE_X 4
#define EXO_PAGE_DMA 8

/* The cause in the exception record of an end-of-slice upcall: the timer's scause. */
#define EXO_CAUSE_SLICE 0x8000000000000005

/*
 * The table of calls: number, name, how many arguments.  Everything that needs
 * the list (the kernel's dispatch, libexo's stubs, gdb's and the fuzzer's
 * names) expands this table.
 * docs/abi.md says for each call what it does, its rights, errors and cost.
 *
 *   pct_call(w0 to w5, env)  six words to an environment that accepts calls
 *                            (CALL), and this hart with it.  Returns its six
 *                            words in a0 to a5 and in a6 the caller's own ENV
 *                            frame; or with a6 = 0 an error in a0
 *   pct_reply(w0 to w5)      answer the call that is being served, if there is
 *                            one, and wait for the next.  Returns its words in
 *                            a0 to a5 and the caller's ENV frame in a6; or
 *                            NOCALL in a0 with a6 = 0 after a stop and a start
 *   yield(env)               the rest of the slice to a READY environment
 *                            (CALL) or to the end of its call chain; with
 *                            EXO_NONE, to the next row of this hart
 *   resume()                 back to where the exception record says
 *   null()
 *   wait(mask, deadline)     events of the mask, cleared; sleeps until there is
 *                            one or the time counter reaches the deadline, then
 *                            0 (also now and then without a cause)
 *   notify(env, bits)        set events
 *   pct_call_until(w0 to w5, env)
 *                            pct_call with a deadline in t1
 *   cap_derive(slot, into, first, count, rights, keep, extra)
 *                            with EXO_NONE as slot: open `into` for the
 *                            environment with ENV frame `first` and generation
 *                            `count`; with first 0: close it
 *   cap_grant(slot, env, into, frame, generation)
 *                            env: a handle of class ENV, or EXO_NONE: the
 *                            receiver is named by its ENV frame and generation
 *                            (frame 0: the caller)
 *   cap_revoke(slot, from, due)
 *   cap_drop(slot, from)
 *   caps_add(slot, frame)    returns the number of the new table
 *   caps_del(frame)
 *   table_link(env, va, level, slot, frame)
 *                            level of the entry that will point to the TABLE:
 *                            2 or 1
 *   table_unlink(env, va, level)
 *   page_map(env, va, slot, frame, count, flags)
 *   page_unmap(env, va, count, payload)
 *   page_protect(env, va, count, rights)
 *   page_harvest(env, va, count)
 *                            the four return how many entries were done
 *   env_create(slot, env_frame, ctx_frame, root_frame, into)
 *                            root_frame 0: join the caller's space
 *   env_regs(env, operation)
 *   exit()
 *   env_reap(frame)
 *   slice_bind(slot, row, env)
 *                            env: EXO_SELF, a handle of class ENV, EXO_UNBIND
 *   debug_write(slot, length, bytes 0 to 7, bytes 8 to 15)
 *                            returns how many bytes were written
 *   shutdown(slot, status)
 *   irq_bind(slot, line, events)
 *                            the line's interrupts set these events of the
 *                            space's leader; 0: unbind.  The line stays masked
 *                            from an interrupt on
 *   irq_ack(slot, line)      until here
 *   queue_open(slot, page_slot, ring, queue, events, windows)
 *                            slot: a BLOCK capability with entries; ring and
 *                            queue: frames donated through page_slot; windows:
 *                            how many handles of PAGE slots with DMA are in the
 *                            CTX vector.  A request that ends sets the events of
 *                            the space's leader
 *   queue_kick(queue)        take the chains that the available ring has.  AGAIN
 *                            with a1 = 0: there are more, call again; with a1 =
 *                            the queue's events: they will be set.  An error with
 *                            a1 = the refused chain's head; those before it were
 *                            taken
 *   queue_close(queue)       AGAIN until its requests have ended
 */
#define EXO_CALLS(X)         \
    X(-9, pct_call_until, 7) \
    X(-8, notify, 2)         \
    X(-7, wait, 2)           \
    X(-6, exit, 0)           \
    X(-5, resume, 0)         \
    X(-4, null, 0)           \
    X(-3, yield, 1)          \
    X(-2, pct_reply, 6)      \
    X(-1, pct_call, 7)       \
    X(0, cap_derive, 7)      \
    X(1, cap_grant, 5)       \
    X(2, cap_revoke, 3)      \
    X(3, cap_drop, 2)        \
    X(4, caps_add, 2)        \
    X(5, caps_del, 1)        \
    X(6, table_link, 5)      \
    X(7, table_unlink, 3)    \
    X(8, page_map, 6)        \
    X(9, page_unmap, 4)      \
    X(10, page_protect, 4)   \
    X(11, page_harvest, 3)   \
    X(12, env_create, 5)     \
    X(13, env_regs, 2)       \
    X(14, env_reap, 1)       \
    X(15, slice_bind, 3)     \
    X(16, debug_write, 4)    \
    X(17, shutdown, 2)       \
    X(18, irq_bind, 3)       \
    X(19, irq_ack, 2)        \
    X(20, queue_open, 6)     \
    X(21, queue_kick, 1)     \
    X(22, queue_close, 1)
#define EXO_CALL_COUNT 23 /* numbers 0 to 22; those below zero are assembly's */

#define EXO_CALL_pct_call_until -9
#define EXO_CALL_notify -8
#define EXO_CALL_wait -7
#define EXO_CALL_exit -6
#define EXO_CALL_resume -5
#define EXO_CALL_null -4
#define EXO_CALL_yield -3
#define EXO_CALL_pct_reply -2
#define EXO_CALL_pct_call -1

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* A group of frames: what one large leaf maps, 2 MiB. */
enum { EXO_GROUP_SHIFT = 9, EXO_GROUP_FRAMES = 512 };

/*
 * Largest amounts: pages of a range call, bytes of a debug_write, depth of the
 * capability tree, rows of a hart's slice vector, calls of a chain that have not ended.
 */
enum { EXO_PAGES_MAX = 256, EXO_WRITE_MAX = 16, EXO_DEPTH_MAX = 32, EXO_HARTS_MAX = 32 };
enum { EXO_ROWS = 64, EXO_CHAIN_MAX = 8, EXO_SECTOR_BYTES = 512 };
/*
 * Interrupt lines, with line 0, which is none; entries of a disk's ring
 * (requests in flight); descriptors of a program's virtqueue; PAGE slots that a
 * queue's requests may use; data segments of a request; sectors of a DISCARD or
 * WRITE_ZEROES request.
 */
enum { EXO_LINES_MAX = 128, EXO_DEVICES_MAX = 16, EXO_DISKS_MAX = 4, EXO_ENTRIES = 128 };
enum { EXO_RING_SIZE = 128, EXO_WINDOWS_MAX = 8, EXO_SEGMENTS_MAX = 64, EXO_DISCARD_MAX = 0x2000 };

/* Errors: number, name, text. */
#define EXO_ERRORS(X)                                                                     \
    X(-1, AGAIN, "a bounded step was done; call again")                                   \
    X(-2, REAP, "an environment must be reaped first; a1 is its ENV frame")               \
    X(-3, SELF, "the call would kill its own caller")                                     \
    X(-4, CALL, "there is no such call")                                                  \
    X(-5, SLOT, "no such slot, or its state or generation is another")                    \
    X(-6, CLASS, "the capability is of another class")                                    \
    X(-7, RANGE, "the names are not in the range of the capability")                      \
    X(-8, RIGHTS, "the capability lacks a right")                                         \
    X(-9, DEPTH, "the capability tree would be too deep")                                 \
    X(-10, KEEP, "a promised prefix is in the way")                                       \
    X(-11, OVERLAP, "names of an exclusive class are lent already")                       \
    X(-12, ROOT, "a root capability cannot do this")                                      \
    X(-13, CHILDREN, "the capability has children or donations")                          \
    X(-14, BUSY, "something is still bound to the name")                                  \
    X(-15, NOTOPEN, "the receiver's slot is not open for the caller")                     \
    X(-16, ENV, "there is no such environment")                                           \
    X(-17, DYING, "the environment is dying")                                             \
    X(-18, STATE, "the environment is in another state")                                  \
    X(-19, ARGUMENT, "an argument is out of bounds")                                      \
    X(-20, ADDRESS, "the virtual address is unaligned or out of bounds")                  \
    X(-21, NOTABLE, "a TABLE is missing on the way to the entry")                         \
    X(-22, PRESENT, "the entry is present")                                               \
    X(-23, ABSENT, "the entry is absent")                                                 \
    X(-24, CLOSING, "the TABLE is being emptied")                                         \
    X(-25, TYPE, "the frame is of another type")                                          \
    X(-26, FULL, "there is no room for another")                                          \
    X(-27, LOOP, "the environment is in the caller's own chain of calls")                 \
    X(-28, BROKEN, "the call was ended without an answer")                                \
    X(-29, TIMEOUT, "the deadline of the call has passed")                                \
    X(-30, NOCALL, "it was started again without a call")                                 \
    X(-31, QUEUE, "the frame is no open queue of the space")                              \
    X(-32, INDEX, "the available ring has more chains than descriptors")                  \
    X(-33, CHAIN, "the chain is broken, a loop, indirect or too long")                    \
    X(-34, HEADER, "the header is not 16 bytes of one frame, or the status not one byte") \
    X(-35, REQUEST, "the type of request, a direction or a length is not allowed")        \
    X(-36, WINDOW, "a segment lies in no window of the queue")                            \
    X(-37, DEVICE, "the device does not answer any more")

/*
 * Event bits of the kernel; programs notify each other with bits 0 to 55.  CHILD:
 * an environment whose first ENV capability the space holds ended or faulted.
 * REVOKE: a slot of the space has a revocation's `due` and `from`.
 */
enum { EXO_EVENT_CHILD = 56, EXO_EVENT_REVOKE = 57 };

/*
 * Classes of capability, and what their names are:
 *   PAGE      frames of RAM
 *   SLICE     rows: hart index * EXO_ROWS + row
 *   DEVICE    frames of device registers, which can only be mapped
 *   BLOCK     sectors of a disk; beside them a range of its ring's entries
 *   IRQ       interrupt lines
 *   ENV       an environment's ENV frame
 *   MACHINE   one name, 0
 *   DONATION  kernel's own: a donated frame
 */
enum { EXO_CLASS_PAGE = 1, EXO_CLASS_SLICE = 2, EXO_CLASS_DEVICE = 3, EXO_CLASS_BLOCK = 4 };
enum { EXO_CLASS_IRQ = 5, EXO_CLASS_ENV = 6, EXO_CLASS_MACHINE = 7, EXO_CLASS_DONATION = 8 };

/* Rights of the other classes. */
enum { EXO_SLICE_BIND = 1, EXO_SLICE_URGENT = 2, EXO_DEVICE_R = 1, EXO_DEVICE_W = 2 };
enum { EXO_BLOCK_R = 1, EXO_BLOCK_W = 2, EXO_IRQ_BIND = 1 };
enum { EXO_ENV_CALL = 1, EXO_ENV_NOTIFY = 2, EXO_ENV_CONTROL = 4 };
enum { EXO_MACHINE_CONSOLE = 1, EXO_MACHINE_POWER = 2, EXO_MACHINE_TRACE = 4 };

/* `extra` of a BLOCK capability: ring entries [first, end), which derive takes; and its disk's index. */
#define EXO_BLOCK_EXTRA(first, end) ((uint64_t)(first) | (uint64_t)(end) << 16)
#define EXO_BLOCK_ENTRY(extra) ((extra)&0xffff)
#define EXO_BLOCK_ENTRY_END(extra) ((extra) >> 16 & 0xffff)
#define EXO_BLOCK_DISK(extra) ((extra) >> 32)

/*
 * A request's header is virtio's struct virtio_blk_req (1.2, 5.2.6) with the
 * BLOCK slot in its reserved word: the handle's index and table in bits 0 to 9,
 * the low 22 bits of its generation above.
 */
#define EXO_BLOCK_NAME(handle)                                \
    ((uint32_t)((handle) >> EXO_HANDLE_INDEX_SHIFT & 0x3ff) | \
     (uint32_t)((handle) >> EXO_HANDLE_GEN_SHIFT) << 10)

/*
 * States of a slot.  OPEN: a named environment's space may grant into it.
 * CUTTING: its tail is being taken.  LOST: revoked, its handle unchanged;
 * cap_drop makes it EMPTY.
 */
enum { EXO_SLOT_EMPTY, EXO_SLOT_OPEN, EXO_SLOT_LIVE, EXO_SLOT_CUTTING, EXO_SLOT_LOST };

/*
 * A handle names a slot: bits 7 to 11 index within a frame, bits 12 to 31 the
 * table (0 is the leader's ENV frame, k the frame in its caps[k - 1]), bits 32
 * to 62 the generation.  The ENV frame has the slots 0 to 15; a CAPS frame has
 * the slots 1 to 31.  EXO_NONE is never a handle of anything.  A call that
 * fills a slot ignores the generation of the handle that names it, and returns
 * the new handle.  A slot gets a new generation when it is filled and when it
 * is emptied; one whose generations are used up cannot be filled again.
 */
enum { EXO_HANDLE_INDEX_SHIFT = 7, EXO_HANDLE_TABLE_SHIFT = 12, EXO_HANDLE_GEN_SHIFT = 32 };
enum { EXO_HANDLE_GEN_MAX = 0x7fffffff, EXO_ENV_SLOTS = 16 };
/* Index 0 of a CAPS frame is its own donation; a space has so many CAPS frames at most. */
enum { EXO_CAPS_SLOTS = 32, EXO_CAPS_FRAMES = 31 };
#define EXO_HANDLE(table, index) \
    ((uint64_t)(table) << EXO_HANDLE_TABLE_SHIFT | (uint64_t)(index) << EXO_HANDLE_INDEX_SHIFT)

/*
 * Flags of page_map, beside the PAGE rights in bits 0 to 2.  LARGE: 2 MiB leaves;
 * count and frame numbers in groups' first frames.  REPLACE: present leaves are
 * replaced.  VECTOR: frame numbers are read from the CTX vector.  SOFT: two bits
 * that the program may use, kept in the entry.
 */
enum { EXO_MAP_LARGE = 0x10, EXO_MAP_REPLACE = 0x20, EXO_MAP_VECTOR = 0x40, EXO_MAP_SOFT = 0x300 };
/* Flag of page_unmap, page_protect, page_harvest: the entries are large leaves. */
/* It is bit 63 of the count. */
#define EXO_COUNT_LARGE 0x8000000000000000

/* Bits of an absent entry that must be zero; the others are the program's. */
#define EXO_PAYLOAD_ZERO 0x11
/* What page_harvest writes for a page. */
enum { EXO_HARVEST_PRESENT = 1, EXO_HARVEST_ACCESSED = 2, EXO_HARVEST_DIRTY = 4 };

/*
 * Operations of env_regs.  GET copies a stopped environment's registers to the
 * caller's vector, SET back from it, and the environment starts with all of them.
 * STATE answers the EXO_STATE_ number.
 */
enum { EXO_REGS_GET, EXO_REGS_SET, EXO_REGS_START, EXO_REGS_STOP, EXO_REGS_STATE };

/* Types of frame: bits 56 to 63 of word 0. */
enum { EXO_FRAME_DATA = 0, EXO_FRAME_CTX = 2, EXO_FRAME_RING = 3, EXO_FRAME_TABLE = 4 };
enum { EXO_FRAME_ROOT = 5, EXO_FRAME_ENV = 6, EXO_FRAME_CAPS = 7, EXO_FRAME_QUEUE = 8 };
enum { EXO_FRAME_INFO = 9, EXO_FRAME_KERNEL = 10 };

/* Word 0: pins in bits 0 to 23, maps from bit 24, type in bits 56 to 63. */
enum { EXO_PIN_ONE = 1, EXO_MAP_SHIFT = 24, EXO_MAP_BITS = 23, EXO_TYPE_SHIFT = 56 };

/*
 * Word 1 by type.  Bits 61 to 63 are its tag, so that no word of another type
 * equals the state of an environment.
 * ENV    state in bits 0 to 3, flags in 4 to 10, hart (or callee's ENV frame)
 *        in 11 to 36, low bits of the generation in 37 to 60
 * TABLE  live entries in bits 0 to 9, CLOSING in 63, index in its parent in
 *        11 to 19, parent's frame in 20 to 45, its level in 46 to 47
 * ROOT, CTX, CAPS: the ENV frame of the environment that donated it
 * QUEUE, RING: the ENV frame of the leader of the space, and 0
 */
#define EXO_TABLE_CLOSING 0x8000000000000000
enum { EXO_TAG_SHIFT = 61, EXO_TAG_ENV = 1, EXO_TAG_TABLE = 2, EXO_TAG_ROOT = 3, EXO_TAG_CTX = 4 };
enum { EXO_TAG_CAPS = 5, EXO_TAG_QUEUE = 7 }; /* 6 is a CLOSING TABLE's */
/*
 * RUN: on the hart in the word.  WAIT: for events.  ACCEPT: for a call.  CALLING:
 * for the answer of the environment whose ENV frame is in the word.
 */
enum { EXO_STATE_STOPPED = 1, EXO_STATE_READY = 2, EXO_STATE_RUN = 3, EXO_STATE_WAIT = 4 };
enum { EXO_STATE_ACCEPT = 5, EXO_STATE_CALLING = 6, EXO_STATE_MASK = 15 };
/*
 * STOP: claimed by nobody but who stops it.  KILL: DYING, never scheduled again.
 * FAULT: stopped by a fault while its upcall was masked.  INCALL: serves a call.
 */
enum { EXO_FLAG_STOP = 16, EXO_FLAG_KILL = 32, EXO_FLAG_FAULT = 64, EXO_FLAG_INCALL = 128 };
enum { EXO_ENV_HART_SHIFT = 11, EXO_ENV_GEN_SHIFT = 37, EXO_ENV_GEN_BITS = 24 };
enum { EXO_TABLE_LIVE_MASK = 0x3ff, EXO_TABLE_INDEX_SHIFT = 11, EXO_TABLE_PARENT_SHIFT = 20 };
enum { EXO_TABLE_LEVEL_SHIFT = 46, EXO_FRAME_NUMBER_BITS = 26 };

/*
 * Of struct exo_cap, below.  KEEP: looking for promises in the way.  CUT: for
 * children to cut.  MARK: told, and telling its own children, that they are to go.
 * TELL: telling of who wants them back.
 */
enum { EXO_PASS_NONE, EXO_PASS_KEEP, EXO_PASS_CUT, EXO_PASS_MARK, EXO_PASS_TELL };

/* A link shifted left by CAP_SHIFT is a physical address; the others are of a slot's word. */
enum { EXO_CAP_SHIFT = 7, EXO_CAP_CLASS_SHIFT = 3, EXO_CAP_RIGHTS_SHIFT = 7 };
enum { EXO_CAP_PLACE_SHIFT = 11 };
#define EXO_CAP_STATE(word) ((word)&7)
#define EXO_CAP_CLASS(word) ((word) >> 3 & 15)
#define EXO_CAP_RIGHTS(word) ((word) >> 7 & 15)

/* The handle of the slot with this word and index: 0 to 15 of an ENV frame, 1 to 31 of a CAPS frame. */
#define EXO_CAP_HANDLE(word, index) \
    (((word) & ~(uint64_t)0x7ff) | ((uint64_t)((index)&15) << EXO_HANDLE_INDEX_SHIFT))

/*
 * Bits of exo_env.last beside a hart's mark.  FLOAT: it has floating point to be
 * loaded.  FULL: all its registers are in CTX.  JOINED: not alone in its space.
 */
enum { EXO_LAST_FLOAT = 2, EXO_LAST_FULL = 4, EXO_LAST_JOINED = 8 };

/* Flags of exo_hart_info.  FLOAT: double precision. */
enum { EXO_HART_STARTED = 1, EXO_HART_SSTC = 2, EXO_HART_FLOAT = 4 };

/*
 * Kinds of device in exo_info.device.  NS16550: a UART; also snps,dw-apb-uart.
 * RTC: google,goldfish-rtc.  VIRTIO: a virtio,mmio transport, the kernel's own.
 */
enum { EXO_DEVICE_NS16550 = 1, EXO_DEVICE_SIFIVE_UART, EXO_DEVICE_RTC, EXO_DEVICE_VIRTIO };

/*
 * States of a queue and of a disk.  DEAD: closing, its requests end first.
 * RESETS: asked to reset; nothing is believed to have ended before it confirms.
 * GONE: it does not confirm; what it was given stays pinned.
 */
enum { EXO_QUEUE_OPEN = 1, EXO_QUEUE_DEAD = 2 };
enum { EXO_DISK_RUNS = 1, EXO_DISK_RESETS = 2, EXO_DISK_GONE = 3 };
/* Bits of exo_disk.features, as virtio numbers them (1.2, 5.2.3). */
enum { EXO_DISK_READ_ONLY = 0x20, EXO_DISK_FLUSH = 0x200, EXO_DISK_DISCARD = 0x2000 };
enum { EXO_DISK_ZEROES = 0x4000 };

#define EXO_INFO_MAGIC 0x4f464e494f5845      /* "EXOINFO" */
#define EXO_ARCHIVE_MAGIC 0x31484352414f5845 /* "EXOARCH1" */

/* C callers take all numbers from these enums; assembly from EXO_CALL_ above. */
enum exo_call {
#define X(number, name, arguments) exo_call_##name = number,
    EXO_CALLS(X)
#undef X
};

enum exo_error {
#define X(number, name, text) EXO_E##name = number,
    EXO_ERRORS(X)
#undef X
};

/* Two words for each frame, exposed in INFO frames. */
struct exo_frame {
    uint64_t word0, word1;
};

/*
 * A slot of a capability table.  The program may map its tables read-only:
 * they tell it what it holds and what it lost.
 *
 * word: state in bits 0 to 2, class in 3 to 6, rights in 7 to 10, the place
 * of the slot (as in its handle) in 11 to 31, generation in 32 to 62.
 *
 * A link is the physical address of a slot divided by its size, 0 for none.
 * The children of a slot are a ring that begins at `child`.
 */
struct exo_cap {
    uint64_t word;
    uint64_t first; /* usable names: [first, first + count) */
    uint64_t count;
    uint64_t tail;   /* names after those that are being cut */
    uint64_t keep;   /* promised prefix, in names */
    uint64_t extra;  /* ENV: mask of event bits; OPEN: the ENV frame it is open for */
    uint64_t match;  /* ENV: its state word when READY; OPEN: generation of `extra` */
    uint64_t due;    /* revocation asked for: by when, in time-counter ticks */
    uint64_t from;   /* ... and the first name that is to go */
    uint64_t cursor; /* progress of a grant's look at the names; a new binding sets it to 0 */
    uint64_t reach;  /* `from` of the walk over the children */
    uint32_t walk;   /* the next child of that walk (link) */
    uint8_t pass;    /* EXO_PASS_ of that walk */
    uint8_t depth;   /* 0 for a root */
    uint16_t reserved0;
    uint32_t parent, child, prev, next;
    uint64_t sweep; /* progress of a cut's sweep: page number */
    uint64_t began; /* when its cut began, in ticks */
};

/*
 * The ENV frame: kernel-written, mapped read-only if at all.  No register is
 * kept here, so it can be shown.
 */
struct exo_env {
    uint64_t gen;       /* generation, all 64 bits */
    uint64_t frame;     /* its own frame number */
    uint64_t leader;    /* physical address of the ENV frame of the leader of its space */
    uint64_t ctx;       /* physical address of its CTX frame */
    uint64_t root;      /* ROOT frame of its space */
    uint64_t first_cap; /* its first ENV capability (link), 0 when dropped */
    uint64_t reserved2;
    uint64_t rows;   /* mask of harts that have a row bound to it */
    uint64_t last;   /* kernel's own: a mark of the hart that it ran on last, 0 if saved whole */
    uint64_t urgent; /* mask of harts on which one of these rows is URGENT */
    uint64_t events;
    uint64_t mask;         /* of wait: the events that end it */
    uint64_t deadline;     /* of wait or pct_call_until, in ticks; EXO_NEVER when none */
    uint64_t float_saved;  /* its floating-point registers are in CTX, else it has none or runs */
    uint64_t depth;        /* how many more calls its chain may get */
    uint64_t call;         /* the handle through which it called last */
    uint64_t caller;       /* ENV frame of whom it serves, 0: nobody */
    uint64_t caller_word;  /* that one's state word while it waits for the answer */
    uint64_t caller_ready; /* ... and when it has it, READY */
    /* Of the space; only the leader's count. */
    uint64_t tlb_gen; /* the TLB generation, unique in the machine */
    uint64_t satp;    /* kernel's own: the value that enters it */
    uint64_t asid;
    uint64_t shared;                /* another space has or had its asid */
    uint64_t joined;                /* it has had further environments */
    uint64_t lock;                  /* kernel's own: physical address of its SPACE lock */
    uint64_t sweep;                 /* progress of its reaping: page number */
    uint64_t caps_count;            /* entries of caps[] in use, holes included */
    uint64_t caps_gen;              /* generation with which the slots of a new CAPS frame begin */
    uint64_t caps_donated;          /* CAPS frames ever donated: the stamp of the newest */
    uint64_t caps[EXO_CAPS_FRAMES]; /* CAPS frames, 0 for a hole */
    uint8_t row_count[EXO_HARTS_MAX]; /* rows bound to it, by hart */
    uint64_t reserved0[64];
    struct exo_cap slot[EXO_ENV_SLOTS];
    struct exo_cap donation[3]; /* of ENV, CTX and ROOT */
    uint64_t reserved1[80];
};

struct exo_caps {
    struct exo_cap slot[EXO_CAPS_SLOTS]; /* slot[0] is the donation */
};

/*
 * The CTX frame: shared by kernel and program, and every word of it hostile
 * to the kernel, which keeps only registers of the program here.
 */
struct exo_ctx {
    /* Exception record: written at an exception, loaded by resume. */
    uint64_t exception_pc, exception_sp, exception_ra, exception_t0, exception_t1;
    uint64_t exception_a0, exception_a1, exception_a7;
    uint64_t exception_cause; /* scause */
    uint64_t exception_value; /* stval */
    uint64_t exception_entry; /* where the handler begins; 0 stops the program */
    uint64_t exception_stack; /* its sp */
    uint64_t exception_mask;  /* not 0 while the handler runs: another fault stops the program */
    uint64_t stop_cause;      /* the exception that stopped the environment: scause */
    uint64_t stop_value;      /* ... and its stval; the registers are at register_pc */
    /*
     * End of slice.  With an entry set, the kernel enters it EXO_GRACE_NANOSECONDS
     * before the end as it enters the exception handler: same record, stack and
     * mask, cause EXO_CAUSE_SLICE.  While `critical` or the mask is set it only
     * sets `slice_pending`; resume looks at that, and so must a program that
     * leaves a critical section.  At the end the kernel saves all registers
     * itself.
     */
    uint64_t slice_entry;
    uint64_t slice_pending;
    uint64_t critical;
    uint64_t slice_begin; /* ticks; written when the hart's time passes to it, but not by a call */
    uint64_t slice_end;
    uint64_t reserved0[44];
    /*
     * The registers while it does not run: pc, then x1 to x31.  A call that
     * switches writes only pc, sp, tp, s0 to s11, a0 and a1, and only those
     * come back; a start, a stop or an interruption uses all.
     */
    uint64_t register_pc;
    uint64_t register_x[31];
    uint64_t register_f[32]; /* floating point, when exo_env.float_saved says so */
    uint64_t register_fcsr;
    uint64_t reserved1[63];
    uint64_t program[64];           /* never read or written by the kernel */
    uint64_t vector[EXO_PAGES_MAX]; /* frame numbers, registers or harvest of a call */
};

/* One row of a hart's slice vector, exposed in INFO frames. */
struct exo_row {
    uint64_t env;    /* ENV frame bound to it, 0 for none */
    uint64_t match;  /* ... and its state word when READY */
    uint64_t binder; /* ENV frame of the leader of the space that bound it */
    uint32_t holder; /* link of the slot that may bind it: the last to which it was lent */
    uint32_t reserved0;
    uint64_t flags; /* EXO_ROW_ */
    uint64_t left;  /* ticks of this round that its environment has not used */
    uint64_t time;  /* ticks that were handed out through it since boot */
    uint32_t next;  /* kernel's own: the next bound row of the hart */
    uint32_t reserved1;
};
#define EXO_ROW_URGENT 1 /* bound through a slot with URGENT */

struct exo_hart_info {
    uint64_t id;                   /* hartid of the platform */
    uint64_t flags;                /* EXO_HART_ */
    uint64_t satp_writes, sfences; /* counted only by a kernel built with EXO_COUNTERS */
    uint64_t longest; /* the most instructions of a stay in the kernel, counted likewise */
};

/*
 * A RING frame: a split virtqueue of EXO_RING_SIZE entries (virtio 1.2, 2.7),
 * which the program drives as a driver would.  Every word is hostile to the
 * kernel.  Addresses are physical.  INDIRECT and EVENT_IDX are not offered.
 */
struct exo_descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next; /* EXO_DESCRIPTOR_ */
};
enum { EXO_DESCRIPTOR_NEXT = 1, EXO_DESCRIPTOR_WRITE = 2, EXO_DESCRIPTOR_INDIRECT = 4 };

struct exo_used {
    uint32_t id; /* head of the chain */
    uint32_t bytes;
};

struct exo_ring {
    struct exo_descriptor descriptor[EXO_RING_SIZE];
    uint16_t available_flags, available_index;
    uint16_t available[EXO_RING_SIZE];
    uint16_t available_event, reserved0, used_flags, used_index;
    struct exo_used used[EXO_RING_SIZE];
    uint64_t reserved1[94];
};

/* The header of a request. */
struct exo_block_header {
    uint32_t type; /* EXO_BLOCK_READ and so on: virtio's numbers */
    uint32_t name; /* EXO_BLOCK_NAME of the capability */
    uint64_t sector;
};
enum { EXO_BLOCK_READ = 0, EXO_BLOCK_WRITE = 1, EXO_BLOCK_FLUSH = 4, EXO_BLOCK_DISCARD = 11 };
enum { EXO_BLOCK_ZEROES = 13 };
/* The status byte. */
enum { EXO_BLOCK_OK = 0, EXO_BLOCK_IOERR = 1, EXO_BLOCK_UNSUPPORTED = 2 };

/* The data of DISCARD and WRITE_ZEROES: one range. */
struct exo_block_range {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags; /* 1: WRITE_ZEROES may unmap */
};

/* A QUEUE frame: kernel-written, mapped read-only if at all. */
struct exo_queue {
    struct exo_cap donation[2]; /* of this frame and of RING */
    uint64_t state;             /* EXO_QUEUE_ */
    uint64_t disk;              /* index */
    uint64_t slot;              /* link of the BLOCK slot that it was opened with */
    uint64_t ring;              /* RING frame */
    uint64_t leader;            /* ENV frame of the leader of its space */
    uint64_t events;
    uint64_t seen;   /* chains taken since it was opened */
    uint64_t done;   /* ... and ended */
    uint64_t errors; /* ended with another status than OK */
    uint64_t next;   /* QUEUE frame of another open queue of the disk, 0: the last */
    uint64_t entry;  /* where the look for a free entry begins */
    uint64_t window_count;
    uint64_t window[EXO_WINDOWS_MAX]; /* handles */
    uint64_t reserved0[460];
};

/* An entry of a disk's ring. */
struct exo_entry {
    uint32_t holder; /* link of the slot whose it is: the last to which it was lent */
    uint32_t queue;  /* QUEUE frame of the request that is in flight in it, 0: none */
};

/* One INFO frame a disk, from exo_info.disk_table on. */
struct exo_disk {
    uint64_t state; /* EXO_DISK_ */
    uint64_t sectors;
    uint64_t features; /* those of EXO_DISK_ that it has */
    uint64_t segments; /* data segments of a request, at most */
    uint64_t line;     /* its interrupt line */
    uint64_t requests, errors,
        resets; /* since boot: given to it, ended with another status than OK */
    struct exo_entry entry[EXO_ENTRIES];
    uint64_t reserved0[376];
};

/* An interrupt line, in the INFO frame exo_info.line_table. */
struct exo_line {
    uint32_t holder; /* link of the slot that may bind it */
    uint32_t leader; /* ENV frame of the leader that it is bound to, 0: none */
    uint64_t events;
    uint32_t hart;   /* index of the hart that it interrupts */
    uint32_t masked; /* it has interrupted and waits for irq_ack */
    uint64_t raised; /* interrupts since boot */
};

/* A device that the device tree names. */
struct exo_device {
    uint64_t address; /* physical, of its registers */
    uint32_t kind;    /* EXO_DEVICE_ */
    uint32_t line;    /* interrupt line, 0: none */
    uint32_t shift;   /* of a UART: registers are 1 << shift bytes apart */
    uint32_t width;   /* ... and 1 or 4 bytes wide */
};

/* A root capability of init. */
struct exo_root_info {
    uint64_t handle, first, count;
    uint32_t class, rights;
};

enum { EXO_ROOTS_MAX = 16, EXO_BANKS_MAX = 8 };

struct exo_bank {
    uint64_t first; /* frame number */
    uint64_t count; /* frames */
};

/* INFO: the facts of the machine, at EXO_VA_INFO in init. */
struct exo_info {
    uint64_t magic;
    uint32_t version;    /* EXO_ABI_VERSION */
    uint32_t bytes;      /* of this structure */
    uint64_t info_frame; /* of this structure; all INFO frames map read-only with no slot */
    uint64_t timebase_hz;
    uint64_t frame_table; /* first INFO frame of the frame table */
    uint64_t ram_first;   /* the frame that its entry 0 tells of */
    uint64_t ram_count;   /* entries; holes are of type KERNEL */
    uint64_t
        group_table; /* first INFO frame of the group words: leaves in the low, typed frames in the high half */
    uint64_t slice_table; /* first INFO frame of the slice vectors, one frame a hart */
    uint64_t init_env;    /* init's ENV frame */
    uint64_t archive;     /* first frame of the boot archive */
    uint64_t archive_bytes;
    uint64_t asid_count; /* address-space identifiers in use */
    uint32_t hart_count, root_count, bank_count;
    uint32_t sbi_version;       /* as SBI BASE tells it */
    uint64_t boot_instructions; /* instret at the kernel's first instruction */
    struct exo_root_info root[EXO_ROOTS_MAX];
    struct exo_bank bank[EXO_BANKS_MAX];
    struct exo_hart_info hart[EXO_HARTS_MAX];
    uint64_t row_ticks, grace_ticks; /* EXO_ROW_NANOSECONDS and EXO_GRACE_NANOSECONDS in ticks */
    uint64_t disk_table;             /* first INFO frame of the disks */
    uint64_t line_table;             /* INFO frame of the interrupt lines */
    uint32_t disk_count, device_count;
    struct exo_device device[EXO_DEVICES_MAX]; /* ascending by address */
};

/*
 * The boot archive: this header, `count` entries, then the files, each at a
 * multiple of 4,096 bytes from the start.  The kernel reads the header only.
 * init is a flat image: text (mapped R X), then data with bss (R W).
 */
struct exo_archive {
    uint64_t magic;
    uint64_t bytes;           /* of the whole archive */
    uint64_t count;           /* entries */
    uint64_t init_offset;     /* bytes from the start, a multiple of 4,096 */
    uint64_t init_text_bytes; /* a multiple of 4,096 */
    uint64_t init_bytes;      /* text, data and bss; a multiple of 4,096 */
    uint64_t reserved[2];
};

struct exo_archive_entry {
    char name[48]; /* ends with a zero byte */
    uint64_t offset;
    uint64_t bytes;
};

#define EXO_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " is ABI")
#define EXO_AT(type, member, offset) (offsetof(struct type, member) == (offset))
#define EXO_LAYOUT(type, members) _Static_assert(members, "the layout of " #type " is ABI")
/* Members of 8 bytes follow each other: the offset of each one checked here fixes those before. */
EXO_SIZE(struct exo_frame, 16);
EXO_SIZE(struct exo_cap, 128);
EXO_LAYOUT(exo_cap, EXO_AT(exo_cap, reach, 80) && EXO_AT(exo_cap, walk, 88) &&
                        EXO_AT(exo_cap, pass, 92) && EXO_AT(exo_cap, depth, 93) &&
                        EXO_AT(exo_cap, parent, 96) && EXO_AT(exo_cap, sweep, 112));
EXO_SIZE(struct exo_env, 4096);
EXO_LAYOUT(exo_env, EXO_AT(exo_env, tlb_gen, 152) && EXO_AT(exo_env, caps, 232) &&
                        EXO_AT(exo_env, row_count, 480) && EXO_AT(exo_env, slot, 1024) &&
                        EXO_AT(exo_env, donation, 3072));
EXO_SIZE(struct exo_ctx, 4096);
EXO_LAYOUT(exo_ctx, EXO_AT(exo_ctx, slice_end, 152) && EXO_AT(exo_ctx, register_pc, 512) &&
                        EXO_AT(exo_ctx, register_f, 768) && EXO_AT(exo_ctx, program, 1536) &&
                        EXO_AT(exo_ctx, vector, 2048));
EXO_SIZE(struct exo_row, 64);
EXO_SIZE(struct exo_hart_info, 40);
EXO_SIZE(struct exo_root_info, 32);
EXO_LAYOUT(exo_info, EXO_AT(exo_info, timebase_hz, 24) && EXO_AT(exo_info, archive, 80) &&
                         EXO_AT(exo_info, hart_count, 104) && EXO_AT(exo_info, root, 128));
EXO_SIZE(struct exo_ring, 4096);
EXO_LAYOUT(exo_ring, EXO_AT(exo_ring, available_flags, 2048) && EXO_AT(exo_ring, used_flags, 2312));
EXO_SIZE(struct exo_queue, 4096);
EXO_SIZE(struct exo_disk, 4096);
EXO_SIZE(struct exo_line, 32);
EXO_SIZE(struct exo_device, 24);
EXO_SIZE(struct exo_info, 128 + 32 * EXO_ROOTS_MAX + 16 * EXO_BANKS_MAX + 40 * EXO_HARTS_MAX + 40 +
                              24 * EXO_DEVICES_MAX);
EXO_SIZE(struct exo_archive, 64);
EXO_SIZE(struct exo_archive_entry, 64);
#endif
