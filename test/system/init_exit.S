/* SPDX-License-Identifier: MIT */
/*
 * A first program that exits at once, though no other program is left then.
 *
 * The machine must stop with one line.
 */
#include <exo/abi.h>

    .section .text.start, "ax"
    .globl  _start
_start:
    li      a7, EXO_CALL_exit
    ecall
1:  j       1b
