/* SPDX-License-Identifier: MIT */
/*
 * Disks: virtio block devices (virtio 1.2, chapter 5.2) behind the modern
 * virtio-mmio transport (4.2), and the requests that are in flight on them.
 *
 * An entry of a disk's ring is one request, however many segments it has: each
 * entry has an indirect table of the kernel's own, with copies of the header
 * and the status byte.  Entries belong to BLOCK capabilities; queue.c checks
 * what programs ask for and fills them.
 *
 * What has ended is handled a few requests at a time (a batch), in the order in
 * which the device ended it, whoever it is for: by the interrupt, at each kick,
 * at each change of row, and by who waits for a request to end.  The line stays
 * masked until a batch leaves nothing over.
 *
 * DEVICE, the lock of a disk, comes after SPACE.  Without it entry[].queue and
 * the state may be read.
 */
#pragma once
#include "cap.h"

#define REQUEST_FRAMES 256 /* data of a request, at most */

/* A request in flight, or about to be; also what the device reads and writes of the kernel. */
struct request {
    struct exo_descriptor table[EXO_SEGMENTS_MAX + 2]; /* header, segments, status */
    struct exo_block_header header;
    struct exo_block_range range; /* of DISCARD and WRITE_ZEROES */
    uint64_t status_address;      /* physical, of the program's status byte */
    uint64_t sector;
    uint64_t sectors;
    uint64_t since;  /* when it was given to the device, in ticks */
    uint64_t leader; /* ENV frame of the leader of its space */
    uint32_t count;  /* descriptors in the table */
    uint32_t pinned; /* ... of which those from 1 on up to this one are segments with pins */
    uint32_t head;   /* of the program's chain */
    uint8_t status;
};

struct disk {
    struct lock lock;
    struct exo_disk *facts;   /* in INFO */
    struct exo_ring *ring;    /* the device's own */
    struct request *requests; /* by entry */
    uint64_t registers;       /* physical */
    uint64_t line;
    uint64_t bit;    /* of disks_masked */
    uint64_t queues; /* QUEUE frame of its first open queue, 0: none */
    uint64_t in_flight;
    uint64_t deadline;        /* when it must have ended or confirmed something; EXO_NEVER */
    uint16_t available_index; /* entries given to the device, ever */
    uint16_t used_index;      /* ... and taken back */
};

/* Frames that boot sets aside for each disk: its ring and its requests. */
#define DISK_FRAMES \
    (1 + (sizeof(struct request) * EXO_ENTRIES + EXO_FRAME_BYTES - 1) / EXO_FRAME_BYTES)

extern struct disk disks[EXO_DISKS_MAX];
extern uint64_t disk_count;

/* Find the disks among the machine's devices.  Before the kernel's memory is laid out. */
void disks_find(struct exo_info *facts);

/* Start a found disk with its INFO frame and its DISK_FRAMES frames. */
void disk_start(struct disk *disk, struct exo_disk *facts, void *frames);

/* What waiting for a request of this disk answers: AGAIN, or DEVICE when it is GONE. */
static inline int64_t disk_waits(const struct disk *disk) {
    return disk->facts->state == EXO_DISK_GONE ? EXO_EDEVICE : EXO_EAGAIN;
}

/* One batch of what has ended.  Under DEVICE. */
void disk_batch(struct disk *disk);

/*
 * A bit for each disk whose line waits for a batch.  It is set between the
 * line's claim and the look that follows, and cleared before the line may come
 * again: so no lock is needed.
 */
extern uint64_t disks_masked;

static inline bool disk_is_masked(const struct disk *disk) {
    return read_once(disks_masked) & disk->bit;
}

/* If this line, which was claimed, is a disk's, it waits for a batch. */
void disk_interrupt(uint64_t line);

/* A batch of each disk whose line is masked. */
void disks_batch(void);
static inline void disks_look(void) {
    if (unlikely(read_once(disks_masked))) disks_batch();
}

/* Give a filled request to the device, which is told by disk_ring.  Under DEVICE. */
void disk_give(struct disk *disk, uint64_t entry);
void disk_ring(struct disk *disk);

/* Pin the frames of a segment.  Returns whether all are DATA; else none is pinned. */
bool segment_pin(uint64_t address, uint64_t bytes);

/* Let go of the segments of a request. */
void request_unpin(const struct request *request);

/*
 * The I/O timeout: see to disks that are late.  Returns the next time at which
 * one could be.
 */
uint64_t disks_late(uint64_t now);

/*
 * One bounded step of a look for requests of this space that use what is cut
 * of a PAGE or BLOCK slot and began before its cut.  *progress is an entry's
 * number.  Returns 0 when there is none, AGAIN, or DEVICE when one never ends.
 */
int64_t requests_leave(const struct exo_env *space, const struct exo_cap *slot, uint64_t *progress);

/* Is a request of this space in flight in the BLOCK slot's entries, or (`sectors`) for its sectors? */
bool requests_use(const struct exo_env *space, const struct exo_cap *slot, bool sectors);
