/* SPDX-License-Identifier: MIT */
/*
 * Any call with a known value in every register, and all of them after it.
 */
#pragma once
#include <exo/sys.h>

#define PATTERN 0x7e57000000

/*
 * call_number(number, arguments[7], registers[32]): make any call, with a value
 * of its own in each register that is no argument; registers[n] is what xn held
 * after it.
 */
struct exo_result call_number(uint64_t number, const uint64_t *arguments, uint64_t *registers);
__asm__(".pushsection .text.call_number, \"ax\"\n"
        "call_number:\n"
        "addi sp, sp, -400\n"
        ".irp n, 1, 3, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "sd x\\n, 8 * \\n(sp)\n"
        ".endr\n"
        "sd a2, 256(sp)\n"
        "mv a7, a0\n"
        "li x31, 0x7e57\n"
        "slli x31, x31, 24\n"
        ".irp n, 3, 4, 5, 6, 7, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
        "addi x\\n, x31, \\n\n"
        ".endr\n"
        "ld a0, 0(a1)\n"
        "ld a2, 16(a1)\n"
        "ld a3, 24(a1)\n"
        "ld a4, 32(a1)\n"
        "ld a5, 40(a1)\n"
        "ld a6, 48(a1)\n"
        "ld a1, 8(a1)\n"
        "jal 1f\n"
        "sd x1, 264(sp)\n"
        "ld ra, 256(sp)\n"
        "sd x2, 16(ra)\n"
        "ld x2, 264(x2)\n"
        "sd x2, 8(ra)\n"
        "ld x2, 16(ra)\n"
        ".irp n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24\n"
        "sd x\\n, 8 * \\n(ra)\n"
        ".endr\n"
        ".irp n, 25, 26, 27, 28, 29, 30, 31\n"
        "sd x\\n, 8 * \\n(ra)\n"
        ".endr\n"
        ".irp n, 1, 3, 4, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
        "ld x\\n, 8 * \\n(sp)\n"
        ".endr\n"
        "addi sp, sp, 400\n"
        "ret\n"
        "1: ecall\n"
        ".popsection\n");
