/* SPDX-License-Identifier: MIT */
/*
 * init_disk: what requests of a disk and interrupts of a device cost a program.
 *
 * What the hart does while the device works is not the request's cost.  So a
 * child spins all the time and counts its turns, whose instructions are taken
 * off: what remains is all that this program and the kernel executed, from
 * before the first submit until the last request was done, the sleep, the
 * interrupt and the wake-up included.  Figures are the least of some rounds, as
 * elsewhere in the bench.
 *
 * There are two disks.  The first has often ended a request before the call of
 * the kernel that asks for it returns.  The second one takes its time: there only
 * those rounds count in which this program slept, and the figure is their median,
 * since what the hart does when the interrupt comes is not the same each time.
 */
#include <exo/blk.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "disk.h"

#define EVENT 0
#define ROUNDS 1001
#define DEPTH 32
#define DEEP_ROUNDS 41
#define DEEP_REQUESTS (32 * DEPTH) /* of a round */
#define BATCH 8                    /* requests that one kick takes */
#define SMALL_FRAMES 1
#define LARGE_FRAMES 64
#define SPIN_LOOP 5 /* instructions */
#define ROW 8

uint64_t measure_nothing(void);
uint64_t measure_call(struct exo_result (*stub)(void), const uint64_t *arguments,
                      struct exo_result *result);

/* ---- what the hart does meanwhile */

struct spin spin;

static void spin_run(uint64_t unused, uint64_t unused_too) {
    (void)unused, (void)unused_too;
    __asm__ volatile(
        "1: rdinstret t0; sd t0, 0(%0); addi t1, t1, 1; sd t1, 8(%0); j 1b" ::"r"(&spin)
        : "t0", "t1", "memory");
}

static struct child spinner;

static void spin_begin(void) {
    uint64_t first, count, rows = child_rows(&first, &count);

    need(child_make(&spinner, 0), "child");
    need(exo_slice_bind(rows, ROW, spinner.env).value, "bind");
    need(child_start(&spinner, spin_run, 0, 0), "start");
}

static uint64_t turns(void) { return __atomic_load_n(&spin.turns, __ATOMIC_RELAXED); }

/* ---- requests */

static struct blk blk;
static struct request {
    struct blk_request request;
    struct blk_segment segment;
} requests[DEPTH];
static uint64_t memory; /* physical address of LARGE_FRAMES frames */
static uint64_t left;   /* requests of a round that were not submitted yet */
static uint64_t random_state = 1;

static uint64_t sector_choose(uint64_t frames) {
    uint64_t sectors = frames * EXO_FRAME_BYTES / EXO_SECTOR_BYTES;
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return blk.first + (random_state >> 33) % (blk.count / sectors) * sectors;
}

/* A request whose memory is at frame `place` of the bench's. */
static void prepare(struct request *request, uint32_t type, uint64_t place, uint64_t frames,
                    blk_done *done) {
    request->segment = (struct blk_segment){memory + place * EXO_FRAME_BYTES,
                                            (uint32_t)(frames * EXO_FRAME_BYTES)};
    request->request = (struct blk_request){
        .type = type, .segments = &request->segment, .segment_count = 1, .done = done};
}

static void ask(struct request *request, uint64_t frames) {
    request->request.sector = sector_choose(frames);
    need(blk_submit(&blk, &request->request), "submit");
}

/* Since `before` and `turns_before`, without what the spinning child did. */
static uint64_t spent_since(uint64_t before, uint64_t turns_before) {
    uint64_t spent = sys_instructions() - before;
    return spent - nothing - SPIN_LOOP * (turns() - turns_before);
}

static void least(uint64_t *best, uint64_t value) {
    if (value < *best) *best = value;
}

static int value_compare(const void *a, const void *b) {
    const uint64_t *first = a, *second = b;
    return *first < *second ? -1 : *first > *second;
}

/* One request after the other; `sleeps`: those for which this program slept. */
static void bench_single(const char *name, uint32_t type, uint64_t frames, bool sleeps,
                         double units) {
    static uint64_t values[ROUNDS];
    struct request *request = &requests[0];
    uint64_t count = 0;

    prepare(request, type, 0, frames, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        request->request.sector = sector_choose(frames);
        uint64_t turns_before = turns(), before = sys_instructions();
        int64_t error = blk_run(&blk, &request->request);
        uint64_t spent = spent_since(before, turns_before);
        need(error, name);
        if (!sleeps || turns() != turns_before) values[count++] = spent;
    }
    if (!count) need(EXO_ESTATE, "it never slept");
    qsort(values, count, sizeof(values[0]), value_compare);
    print(name, (struct cost){values[sleeps ? count / 2 : 0], 0, 0}, units);
}

static void ask_again(struct blk_request *request) {
    need(request->result, "a request");
    if (!left) return;
    left--;
    ask((struct request *)request, SMALL_FRAMES);
}

/* DEPTH under way, each asked for again as it ends. */
static void bench_deep(const char *name, uint32_t type) {
    uint64_t best = ~0ul;

    for (int i = 0; i < DEPTH; i++)
        prepare(&requests[i], type, (uint64_t)i, SMALL_FRAMES, ask_again);
    for (int round = 0; round < DEEP_ROUNDS; round++) {
        left = DEEP_REQUESTS - DEPTH;
        uint64_t turns_before = turns(), before = sys_instructions();
        for (int i = 0; i < DEPTH; i++) ask(&requests[i], SMALL_FRAMES);
        while (blk.under_way) blk_wait(&blk, EXO_NEVER);
        least(&best, spent_since(before, turns_before));
    }
    print(name, (struct cost){best, 0, 0}, DEEP_REQUESTS);
}

/* The call of the kernel alone, for requests of three descriptors each. */
static void bench_kick(void) {
    const uint64_t arguments[7] = {blk.frame + 1}; /* its QUEUE frame */
    struct exo_result result;
    uint64_t best = ~0ul;

    for (int i = 0; i < BATCH; i++)
        prepare(&requests[i], EXO_BLOCK_READ, (uint64_t)i, SMALL_FRAMES, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BATCH; i++) ask(&requests[i], SMALL_FRAMES);
        __atomic_store_n(&blk.ring->available_index, (uint16_t)blk.offered, __ATOMIC_RELEASE);
        uint64_t spent = measure_call((struct exo_result(*)(void))(void (*)(void))exo_queue_kick,
                                      arguments, &result);
        /* An interrupt that waits ends a kick early. */
        if (result.value == 0) least(&best, spent - nothing);
        while (blk.under_way) blk_wait(&blk, EXO_NEVER);
    }
    print("disk_kick_batch", (struct cost){best, 0, 0}, 3 * BATCH);
}

static void disk_open(uint64_t number) {
    if (!blk_slot(number)) need(EXO_ERANGE, "the machine has no such disk");
    need(blk_open(&blk, blk_slot(number), EVENT), "open");
}

int main(void) {
    nothing = measure_nothing();
    if (!blk_memory_alloc(LARGE_FRAMES, &memory)) need(EXO_EFULL, "memory");
    bench_alarm("irq_to_program_idle");
    spin_begin();
    bench_alarm("irq_to_program_busy");
    disk_open(0);
    bench_single("disk_read_4k_quick", EXO_BLOCK_READ, SMALL_FRAMES, false, 1);
    bench_single("disk_write_4k_quick", EXO_BLOCK_WRITE, SMALL_FRAMES, false, 1);
    need(blk_close(&blk), "close");
    disk_open(1);
    bench_single("disk_read_4k", EXO_BLOCK_READ, SMALL_FRAMES, true, 1);
    bench_single("disk_write_4k", EXO_BLOCK_WRITE, SMALL_FRAMES, true, 1);
    bench_single("disk_read_256k_byte", EXO_BLOCK_READ, LARGE_FRAMES, true,
                 LARGE_FRAMES * EXO_FRAME_BYTES);
    bench_deep("disk_read_4k_deep", EXO_BLOCK_READ);
    bench_deep("disk_write_4k_deep", EXO_BLOCK_WRITE);
    bench_kick();
    need(blk_close(&blk), "close");
    need(child_end(&spinner), "end");
    stop(0);
}
