/* SPDX-License-Identifier: MIT */
/*
 * A first program that at once reads an address where nothing is mapped.
 *
 * The machine must stop with one line.
 */
#include <exo/abi.h>

    .section .text.start, "ax"
    .globl  _start
_start:
    ld      zero, 0(zero)
1:  j       1b
