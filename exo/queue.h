/* SPDX-License-Identifier: MIT */
/*
 * Queues: the virtqueues that programs drive, one for a BLOCK capability with
 * entries.
 *
 * A program lays its requests out in a RING frame.  At a kick the kernel copies
 * each chain of descriptors and its header once, checks the copies, pins the
 * frames and gives the copies to the device (disk.h).  The RING frame is
 * hostile at every moment; nothing that was read from it is read again.
 *
 * A QUEUE frame changes under the DEVICE lock of its disk, its donations and
 * its place in the tree under TREE and SPACE.
 */
#pragma once
#include "cap.h"

/*
 * One step of closing a queue whose frame this is: it is DEAD at once, and when
 * its requests have ended its frames are DATA.  Returns 0, AGAIN or DEVICE.
 * Under TREE; SPACE of its space is not held.
 */
int64_t queue_shut(uint64_t frame);

/* Calls: docs/abi.md. */
struct result queue_open(uint64_t slot, uint64_t page_slot, uint64_t ring, uint64_t queue,
                         uint64_t events, uint64_t windows);
struct result queue_kick(uint64_t frame);
struct result queue_close(uint64_t frame);
