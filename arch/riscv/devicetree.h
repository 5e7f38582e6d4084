/* SPDX-License-Identifier: MIT */
/*
 * Reader of the flattened device tree (DTSpec 0.4, chapter 5) that firmware
 * passes to the kernel.
 *
 * It finds what exo needs to start and nothing else.  Every length and offset
 * in the blob is checked before it is used, so a broken or hostile blob gives
 * an error text and never an access outside it.  It runs once, uses no
 * memory that it must be given, and builds for the host too, where the tests
 * compare it with libfdt.
 */
#pragma once
#include "machine.h"

/* RAM from here on does not fit in the kernel's direct map. */
#define DEVICETREE_RAM_LIMIT 0x3000000000 /* 192 GiB */
/* Physical addresses are below, or no page-table entry has room for them. */
#define DEVICETREE_ADDRESS_LIMIT 0x100000000000000 /* 2^56 */
#define DEVICETREE_CONTEXTS 512                    /* contexts of a PLIC that are looked at */

extern struct devicetree {
    /*
     * Banks, harts, timebase, boot archive, devices and firmware's ranges.  A
     * bank is rounded inwards to whole groups; of more than EXO_BANKS_MAX
     * separate banks, EXO_HARTS_MAX harts or EXO_DEVICES_MAX devices the later
     * ones are left out.
     */
    struct machine machine;
    uint64_t test_device; /* physical address of a sifive,test0; 0: none */
    /* Of the PLIC that serves all harts, else machine.lines is 1. */
    uint64_t plic;                   /* physical address */
    uint64_t context[EXO_HARTS_MAX]; /* of each hart's S-mode */
} devicetree;

/*
 * Read the blob at `fdt`, of which at most `limit` bytes may be touched, into
 * `devicetree`, which is all zero before.  `boot_hart` is the hart that firmware
 * started: it becomes hart 0, the others follow in the tree's order.  Returns 0,
 * or the text of what is wrong; the result is then incomplete.  The blob is not
 * needed afterwards.
 */
const char *devicetree_read(const void *fdt, uint64_t limit, uint64_t boot_hart);
