/* SPDX-License-Identifier: MIT */
/*
 * libc: what a program expects of picolibc on libexo, with both memory
 * managers: output, numbers, memory, errno, non-local jumps.
 */
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

#define BLOCKS 200
#define ROUNDS 2000
#define LARGE_BYTES 0x600000

static void print_checks(void) {
    char text[80];

    snprintf(text, sizeof(text), "%5.2f|%-6d|%+d|%08x|%s|%c|%%", 3.14159, 42, 7, 0xbeef, "exo",
             'x');
    check(!strcmp(text, " 3.14|42    |+7|0000beef|exo|x|%"), "snprintf: %s", text);
    snprintf(text, sizeof(text), "%e %g %g", 12345.678, 1e-10, 0.5);
    check(!strcmp(text, "1.234568e+04 1e-10 0.5"), "floats: %s", text);
    snprintf(text, sizeof(text), "%lu %ld %lx", ~0ul, -1l, 1ul << 63);
    check(!strcmp(text, "18446744073709551615 -1 8000000000000000"), "64 bits: %s", text);
    const char *volatile word = "truncated";
    check(snprintf(text, 4, "%s", word) == 9 && !strcmp(text, "tru"), "snprintf cuts");
    snprintf(text, sizeof(text), "%f %f", (double)INFINITY, (double)-NAN);
    check(strstr(text, "inf") && strstr(text, "nan"), "no numbers: %s", text);
}

static void number_checks(void) {
    char *end;

    check(strtod("2.5e3xyz", &end) == 2500.0 && !strcmp(end, "xyz"), "strtod");
    check(strtol("-0x7f,", &end, 0) == -127 && *end == ',', "strtol");
    errno = 0;
    check(strtoul("99999999999999999999", NULL, 10) == ~0ul && errno == ERANGE,
          "strtoul and errno");
    check(fabs(sqrt(2.0) - 1.41421356237) < 1e-10, "sqrt");
    check(fabs(sin(1.0) - 0.8414709848) < 1e-9, "sin");
    check(fabs(pow(1.1, 10.0) - 2.5937424601) < 1e-9, "pow");
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return *state >> 33;
}

/* Random blocks, each full of its own byte; what is not so when it is freed was written by another. */
static void malloc_checks(void) {
    static unsigned char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    uint64_t state = 1, wrong = 0, failed = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t i = next_random(&state) % BLOCKS;
        unsigned char byte = (unsigned char)i;
        for (size_t at = 0; at < sizes[i]; at += 61) wrong += blocks[i][at] != byte;
        if (next_random(&state) % 3 == 0) {
            size_t size = next_random(&state) % 3000;
            unsigned char *grown = realloc(blocks[i], size + 1);
            failed += !grown;
            blocks[i] = grown;
            sizes[i] = size + 1;
        } else {
            free(blocks[i]);
            sizes[i] = 1 + next_random(&state) % (next_random(&state) % 16 ? 500 : 20000);
            blocks[i] = malloc(sizes[i]);
            failed += !blocks[i];
        }
        if (!blocks[i])
            sizes[i] = 0;
        else
            memset(blocks[i], byte, sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    check(!wrong && !failed, "%d random blocks: %lu bytes wrong, %lu failed", ROUNDS, wrong,
          failed);

    unsigned char *large = calloc(1, LARGE_BYTES);
    uint64_t sum = 0;
    for (size_t at = 0; large && at < LARGE_BYTES; at += 4093) sum += large[at]++;
    check(large && !sum, "calloc of 6 MiB reads as zeroes");
    free(large);
    errno = 0;
    void *volatile huge = malloc(1ul << 50);
    check(!huge && errno == ENOMEM, "malloc of 2^50 bytes: ENOMEM");
    check(malloc(100) != NULL, "and a small one goes on");
    uintptr_t aligned = (uintptr_t)memalign(4096, 100);
    check(aligned && aligned % 4096 == 0, "memalign");
}

static void memory_checks(void) {
    for (int turn = 0; turn < 3; turn++) {
        volatile char *memory = mem_reserve(LARGE_BYTES);
        uint64_t sum = 0;
        if (!check(memory != NULL, "mem_reserve of 6 MiB, %s", manager_name)) return;
        for (size_t at = 0; at < LARGE_BYTES; at += EXO_FRAME_BYTES) sum += (uint64_t)memory[at]++;
        check(sum == 0, "it reads as zeroes, though its frames were used before");
        uint64_t used = frame_count_free();
        mem_release((void *)memory);
        check(frame_count_free() > used, "and comes back");
    }
    check(!mem_reserve(1ul << 36), "more than there is: refused");
}

static jmp_buf place;

static int jump(int depth) {
    if (!depth) longjmp(place, 77);
    return depth > 0 ? jump(depth - 1) + depth : depth;
}

static void jump_checks(void) {
    volatile int kept = 5;
    int value = setjmp(place);
    if (value == 0) {
        kept = 6;
        kept = jump(20);
    }
    check(value == 77 && kept == 6, "longjmp over 20 functions");
}

/* Deeper than the page of the stack that is there from the start. */
static int deep(int depth) {
    volatile char room[512];
    room[0] = (char)depth;
    return depth ? deep(depth - 1) + room[0] - (char)depth : 0;
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void string_checks(void) {
    int numbers[50];
    char text[32];

    for (int i = 0; i < 50; i++) numbers[i] = i * 37 % 50;
    qsort(numbers, 50, sizeof(numbers[0]), compare);
    bool sorted = true;
    for (int i = 0; i < 50; i++) sorted &= numbers[i] == i;
    check(sorted, "qsort");
    strcpy(text, "a,b;c");
    check(!strcmp(strtok(text, ",;"), "a") && !strcmp(strtok(NULL, ",;"), "b"), "strtok");
    bool good = true;
    static _Alignas(8) char from[64], to[64];
    for (int i = 0; i < 64; i++) from[i] = (char)i;
    for (size_t shift = 0; shift < 16; shift++) {
        for (size_t bytes = 0; bytes < 40; bytes++) {
            memset(to, 99, sizeof(to));
            memcpy(to + shift, from + shift / 2, bytes);
            good &= !memcmp(to + shift, from + shift / 2, bytes) && to[shift + bytes] == 99;
        }
    }
    check(good, "memcpy and memset at any alignment");
}

int main(void) {
    check_begin("libc");
    print_checks();
    number_checks();
    malloc_checks();
    if (!sys_is_init()) check(deep(400) == 0, "a stack of 200 KiB");
    memory_checks();
    jump_checks();
    string_checks();
    return check_end();
}
