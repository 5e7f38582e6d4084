/* SPDX-License-Identifier: MIT */
/*
 * Modelled devices: an interrupt controller, and disks behind virtio-mmio
 * transports (virtio 1.2, 4.2 and 5.2) that do nothing by themselves.  A test
 * decides which of the requests that a disk was given ends next, or that none
 * does, or that the disk lies.
 */
#pragma once
#include "arch.h"
#include "machine.h"

#define HOST_DEVICE_ADDRESS 0x10001000ul /* of disk 0's registers; a frame each */
#define HOST_LINES 16                    /* disk n has line 1 + n, the others are for programs */

struct host_disk {
    uint8_t *image;
    uint64_t sectors;
    uint32_t offered;  /* features in the low word */
    uint32_t version;  /* of the transport: 2, or 1 for a legacy one */
    uint32_t segments; /* seg_max */
    bool hung;         /* it ends nothing and does not confirm a reset */
    uint32_t status, select, accepted[2], accepted_select, queue_size, ready, interrupt;
    uint64_t address[3]; /* of descriptors, available and used ring */
    uint16_t seen;       /* entries taken from the available ring */
    uint16_t ended;      /* ... and put into the used ring */
    uint64_t given_count;
    uint16_t given[EXO_ENTRIES]; /* heads of what it works on, in the order of asking */
    uint64_t resets;
};

extern struct host_disk host_disks[EXO_DISKS_MAX];

/*
 * So many disks of this size from the next boot on (0: none), with their
 * images zero.  What is special about one is set before the boot.
 */
void host_disks_make(uint32_t count, uint64_t sectors);

/* Tell the machine's description of them. */
void host_disks_describe(struct machine *machine);

/*
 * A disk does the request that was asked for as the n-th of those that it has
 * not ended, ends it with this status, and interrupts.
 */
void host_disk_end(uint64_t disk, uint64_t n, uint8_t status);

/* A disk that lies: its used ring names an entry of this number. */
void host_disk_lie(uint64_t disk, uint32_t id);

/* The line of a device that no disk has: its level. */
void host_line_level(uint64_t line, bool level);

/* Is the line enabled on this hart?  Is it masked by a claim? */
bool host_line_enabled(uint64_t hart, uint64_t line);
bool host_line_masked(uint64_t line);
