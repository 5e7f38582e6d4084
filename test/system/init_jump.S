/* SPDX-License-Identifier: MIT */
/*
 * A first program that at once jumps into the kernel.
 *
 * The machine must stop with one line.
 */
#include <exo/abi.h>

    .section .text.start, "ax"
    .globl  _start
_start:
    li      t0, -0x80000000
    jr      t0
1:  j       1b
