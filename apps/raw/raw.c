/* SPDX-License-Identifier: MIT */
/*
 * raw: a program without libexo and without a C library.
 *
 * Nothing but the ABI stands between it and the kernel.  Its parent has mapped
 * its text, its ENV and CTX frames at the places of abi.h, and filled slots of
 * its table: 0 with its memory (PAGE), 2 with the console (MACHINE).  It maps a
 * frame of its own, uses it, and writes a line.
 */
#include <exo/abi.h>

#define SLOT_MEMORY 0
#define SLOT_CONSOLE 2
#define PAGE 0x3f9000 /* free, and in the same TABLE as the pages of abi.h */

/* A stub for each call: raw_null, raw_page_map and so on.  The kernel returns to ra. */
#define X(number, name, arguments) __asm__("raw_" #name ": li a7, " #number "\n ecall");
EXO_CALLS(X)
#undef X

__asm__(".section .text.start, \"ax\"\n"
        ".globl _start\n"
        "_start: la sp, raw_stack + 1024\n"
        "call raw_main\n"
        ".text");

char raw_stack[1024] __attribute__((aligned(16)));
void raw_main(void);
long raw_debug_write(uint64_t slot, uint64_t length, uint64_t low, uint64_t high);
long raw_page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                  uint64_t flags);
_Noreturn void raw_exit(void);

static uint64_t handle(uint64_t index) {
    const struct exo_env *env = (const struct exo_env *)EXO_VA_ENV;
    return EXO_CAP_HANDLE(env->slot[index].word, index);
}

static void write(const char *text) {
    while (*text) {
        uint64_t piece[2] = {0};
        uint64_t length = 0;
        for (; length < EXO_WRITE_MAX && text[length]; length++)
            piece[length / 8] |= (uint64_t)(unsigned char)text[length] << length % 8 * 8;
        long written = raw_debug_write(handle(SLOT_CONSOLE), length, piece[0], piece[1]);
        if (written < 0) return;
        text += written;
    }
}

static void write_number(uint64_t number) {
    char digits[21];
    char *at = digits + sizeof(digits) - 1;

    *at = 0;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    write(at);
}

void raw_main(void) {
    const struct exo_cap *memory = &((const struct exo_env *)EXO_VA_ENV)->slot[SLOT_MEMORY];
    uint64_t frame = memory->first + memory->count - 1;
    volatile uint64_t *page = (volatile uint64_t *)PAGE;
    uint64_t status = 1;

    write("raw: no library, ");
    write_number(memory->count);
    write(" frames of memory; frame ");
    write_number(frame);
    if (raw_page_map(EXO_SELF, PAGE, handle(SLOT_MEMORY), frame, 1, EXO_PAGE_R | EXO_PAGE_W) == 1) {
        *page = frame;
        status = *page != frame;
    }
    write(status ? " cannot be used\n" : " is mapped and used\n");
    ((struct exo_ctx *)EXO_VA_CTX)->program[0] = status;
    raw_exit();
}
