/* SPDX-License-Identifier: MIT */
/*
 * One stub for each call of the kernel, made from the table in abi.h.
 *
 * The kernel returns to ra, so nothing follows the ecall.
 */
#include <exo/abi.h>

#define X(number, name, arguments)                                                       \
    .pushsection .text.exo_##name, "ax", @progbits; .globl exo_##name;                   \
    .type exo_##name, @function; exo_##name: li a7, number; ecall;                       \
    .size exo_##name, . - exo_##name; .popsection;

EXO_CALLS(X)
