/* SPDX-License-Identifier: MIT */
/*
 * Reader of the flattened device tree (DTSpec 0.4, chapter 5) that firmware
 * passes to the kernel.
 *
 * It finds what exo needs to start and nothing else.  Every length and offset
 * in the blob is checked before it is used, so a broken or hostile blob gives
 * an error text and never an access outside it.  It uses no memory but its
 * result and the stack, and builds for the host too, where the tests compare
 * it with libfdt.
 */
#pragma once
#include "machine.h"

/* RAM from here on does not fit in the kernel's direct map. */
#define DEVICETREE_RAM_LIMIT 0x3000000000 /* 192 GiB */

enum uart_kind {
    UART_NONE,    /* no stdout-path, or a device that uart.c does not know */
    UART_NS16550, /* and relatives that differ in stride and width */
    UART_SIFIVE,
};

struct uart {
    enum uart_kind kind;
    uint32_t shift;   /* registers are 1 << shift bytes apart */
    uint32_t width;   /* ... and 1 or 4 bytes wide */
    uint64_t address; /* of the first; all lie in one page */
};

struct devicetree {
    /*
     * Banks, harts, timebase, boot archive and firmware's ranges.  A bank is
     * rounded inwards to whole groups; of more than EXO_BANKS_MAX separate
     * banks or EXO_HARTS_MAX harts the later ones are left out.
     */
    struct machine machine;
    struct uart uart;     /* of /chosen/stdout-path; its address is physical */
    uint64_t test_device; /* physical address of a sifive,test0; 0: none */
};

/*
 * Read the blob at `fdt`, of which at most `limit` bytes may be touched, into
 * `tree`, which is all zero before.  `boot_hart` is the hart that firmware
 * started: it becomes hart 0, the others follow in the tree's order.  Returns
 * 0, or the text of what is wrong; `tree` is then incomplete.  The blob is not
 * needed afterwards.
 */
const char *devicetree_read(const void *fdt, uint64_t limit, uint64_t boot_hart,
                            struct devicetree *tree);
