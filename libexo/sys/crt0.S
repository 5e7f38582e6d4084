/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of a program.
 *
 * Registers hold nothing to rely on in init; another program gets the address
 * of its start block in a0.  The linker script says where the stack is and
 * whether there is a start block.  bss is zero already: the archive has it so
 * for init, the loader makes it so for an ELF.  gp is not set, for the kernel
 * does not switch it: the linker scripts make sure that no code uses it.
 *
 * The first thread gets its thread-local variables in a copy, as every other
 * one does, so that what they begin with stays what it is.
 */
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    rdinstret t0 /* first, so that the figure leaves nothing of the program out */
    la sp, __stack_top
    la tp, tls_first
    la t1, sys_start_instructions
    sd t0, 0(t1)
    la t1, tls_image
    la t2, tls_image_end /* multiples of 8, and not equal */
    mv t3, tp
1:  ld t0, 0(t1)
    addi t1, t1, 8
    sd t0, 0(t3)
    addi t3, t3, 8
    bltu t1, t2, 1b
    ld a0, start_block
    li s0, 0 /* the chain of frames ends here */
    li ra, 0
    tail sys_begin
    .size _start, . - _start

    .section .rodata.start_block, "a", @progbits
    .balign 8
start_block:
    .dword __start_block
