/* SPDX-License-Identifier: MIT */
/*
 * exo::blk: a disk, through a queue that the kernel exports.
 *
 * The program holds a BLOCK capability: a range of a disk's sectors, and some
 * entries of the disk's ring.  It writes requests into a virtqueue of its own
 * and the kernel, which checks each, gives them to the device.  So any number
 * of requests can be under way and nothing here blocks but blk_wait and
 * blk_run:
 *
 *   blk_submit   a request is the library's until it is done
 *   blk_kick     one call of the kernel for all that were submitted
 *   blk_poll     calls `done` of those that have ended
 *   blk_wait     the same, and sleeps until there is one
 *
 * A request that finds no room waits in the library, in order.  The order in
 * which requests end is the device's: who needs one to come before another
 * waits for the first, and who needs data to survive a loss of power has
 * EXO_BLOCK_FLUSH end after the writes have ended.
 *
 * Addresses are physical, so memory for requests is what the program holds with
 * DMA.  While a request is under way the device reads or writes its memory:
 * the program must not use it otherwise, nor give its frames away.
 *
 * One thread at a time uses a queue; several need a lock of theirs around these
 * functions.  The kernel tells the program's first thread when a request has
 * ended, so only that one can sleep in blk_wait and blk_run; others poll.
 */
#pragma once
#include <exo/mem.h>

/* Errors beside enum exo_error. */
#define BLK_ERRORS(X)                                            \
    X(-300, IO, "the device reports an error")                   \
    X(-301, UNSUPPORTED, "the device does not do such requests") \
    X(-302, TABLE, "there is no valid partition table (GPT)")    \
    X(-303, NAME, "there is no partition of that name")          \
    X(-304, NONE, "the program holds no such part of any disk")  \
    X(-305, MEMORY, "there is no memory with DMA for the requests")

enum blk_error {
#define X(number, name, text) BLK_E##name = number,
    BLK_ERRORS(X)
#undef X
};

/* What an error of this header's functions says, for people. */
const char *blk_error_text(int64_t error);

/* ---- Requests (queue.c) */

/* Neighbouring bytes of memory. */
struct blk_segment {
    uint64_t address; /* physical */
    uint32_t bytes;
};

#define BLK_FRAMES_MAX 256 /* frames that the segments of one request touch, at most */

struct blk_request;

/* What is called when a request has ended.  It may submit requests, this one too. */
typedef void blk_done(struct blk_request *request);

#define BLK_UNDER_WAY 1

/* Zero what is not used.  Until it is done, nothing of it may be changed. */
struct blk_request {
    uint32_t type; /* EXO_BLOCK_READ, WRITE, FLUSH, DISCARD or ZEROES */
    uint32_t segment_count;
    const struct blk_segment *segments; /* READ, WRITE: whole sectors together */
    uint64_t sector;                    /* of the disk, not of the range */
    uint64_t sectors;                   /* DISCARD, ZEROES: at most EXO_DISCARD_MAX */
    blk_done *done;                     /* may be NULL */
    void *context;                      /* the program's own */
    int64_t result;                     /* BLK_UNDER_WAY, then 0 or an error */
    /* The library's own. */
    struct blk_request *next;
    int64_t refusal;
};

struct blk_area;

/* An open queue.  Programs read what is above the line. */
struct blk {
    uint64_t first; /* sectors of the capability, when it was opened */
    uint64_t count;
    uint64_t event;                       /* bit that the kernel sets when requests have ended */
    uint64_t under_way;                   /* requests that were submitted and are not done */
    const volatile struct exo_disk *disk; /* what the kernel tells about the device */
    /* ---- */
    volatile struct exo_ring *ring;
    const volatile struct exo_queue *state;
    struct blk_area *areas; /* headers and status bytes, by head of chain */
    uint64_t areas_address;
    uint64_t frame; /* first of BLK_FRAMES: RING, QUEUE, then the areas */
    uint64_t free;  /* chain of free descriptors: its first */
    uint64_t free_count;
    uint64_t offered; /* chains that were laid out, ever: the available index */
    uint64_t ended;   /* ... and have ended: the used index */
    uint32_t name;    /* of the capability, for headers */
    bool untaken;     /* the kernel has not taken all that was offered */
    int64_t lost;     /* 0, or why nothing can be done any more */
    struct blk_request *of_head[EXO_RING_SIZE]; /* requests in the ring */
    struct blk_request *waiting, **waiting_end; /* those that found no room */
    struct blk_request *refused, **refused_end; /* those that have ended without the device */
};

/*
 * Ask for something.  Returns 0, and `done` is called later, by blk_poll or
 * blk_wait; or EXO_EARGUMENT for a request that has no segments, too many, or
 * some where there must be none, and then it is forgotten.
 */
int64_t blk_submit(struct blk *blk, struct blk_request *request);

/* Tell the kernel of what was submitted.  blk_poll and blk_wait do it too. */
void blk_kick(struct blk *blk);

/* Call `done` of the requests that have ended, then kick.  Returns how many that were. */
uint64_t blk_poll(struct blk *blk);

/*
 * The same, but sleep until at least one has ended or the deadline (in ticks)
 * has come.  Returns 0 at once when nothing is under way.
 */
uint64_t blk_wait(struct blk *blk, uint64_t deadline);

/* Submit a request and wait until it has ended.  Others end meanwhile too.  Returns its result. */
int64_t blk_run(struct blk *blk, struct blk_request *request);

/* ---- Open and close (open.c) */

/* The handle of a BLOCK capability with ring entries that the program holds, by number from 0; or EXO_NONE. */
uint64_t blk_slot(uint64_t number);

/*
 * Open a queue on a BLOCK capability with entries.  `event` is a bit of the
 * first thread that nothing else uses (event_alloc).  Requests may use all
 * memory that the program holds with DMA in up to EXO_WINDOWS_MAX slots.
 * Returns 0, EXO_EBUSY when there is a queue on it already, or another error.
 */
int64_t blk_open(struct blk *blk, uint64_t slot, uint64_t event);

/* Give all back.  EXO_EBUSY, and nothing is done, while requests are under way. */
int64_t blk_close(struct blk *blk);

/* ---- Memory for requests (memory.c) */

/*
 * Neighbouring frames, mapped, so that any piece of it is one segment; content
 * undefined.  *address is its physical address.  NULL when there are no such frames.
 */
void *blk_memory_alloc(uint64_t frames, uint64_t *address);
void blk_memory_free(void *memory, uint64_t address, uint64_t frames);

/*
 * The segments of any memory of the program, as few as there can be.  Returns
 * how many, or EXO_EFULL when `max` are not enough, or EXO_EADDRESS when a page
 * is not there.  It costs some calls of the kernel for each 2 MiB.  The pages
 * must stay where they are until the request is done.
 */
int64_t blk_segments(const void *memory, uint64_t bytes, struct blk_segment *segments,
                     uint64_t max);

/* ---- Partitions (partition.c) */

/*
 * Look a name up in the disk's partition table (GPT): the first table, or the
 * one at the disk's end if that is damaged.  Names with other characters than
 * ASCII are not found.  The queue's capability must cover the tables.  Returns
 * 0 with the partition's sectors, BLK_ETABLE, BLK_ENAME or what reading said.
 */
int64_t blk_partition_find(struct blk *blk, const char *name, uint64_t *first, uint64_t *count);
