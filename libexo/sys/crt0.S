/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of a program.
 *
 * Registers hold nothing to rely on in init; another program gets the address
 * of its start block in a0.  The linker script says where the stack is and
 * whether there is a start block.  bss is zero already: the archive has it so
 * for init, the loader makes it so for an ELF.  gp is not set, for the kernel
 * does not switch it: the linker scripts make sure that no code uses it.
 */
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    rdinstret t0 /* first, so that the figure leaves nothing of the program out */
    la sp, __stack_top
    la tp, __tls_base
    la t1, sys_start_instructions
    sd t0, 0(t1)
    ld a0, start_block
    li s0, 0 /* the chain of frames ends here */
    li ra, 0
    tail sys_begin
    .size _start, . - _start

    .section .rodata.start_block, "a", @progbits
    .balign 8
start_block:
    .dword __start_block
