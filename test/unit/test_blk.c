/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of exo::blk's queue (libexo/blk/queue.c), against a stand-in for
 * the kernel's calls and the disk behind them.
 *
 * The stand-in takes chains as the kernel does: a dozen a call, one entry each,
 * the header copied when it is taken.  Nothing is read or written before a
 * request ends, which it does when the test says, in the order and with the
 * status that the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <exo/event.h>

#include "blk/blk.h"

#define FIRST 100 /* sectors that the capability covers */
#define COUNT 400
#define MEMORY_ADDRESS 0x80000000
#define MEMORY_FRAMES 64
#define KICK_CHAINS 12
#define EVENT 5
#define FRAME 77 /* of the queue: nothing lies there */
#define SLOT (EXO_HANDLE(2, 3) | 9ul << EXO_HANDLE_GEN_SHIFT)
#define SEGMENTS 6 /* of a request of this disk */
#define SECTOR EXO_SECTOR_BYTES

static struct taken {
    uint16_t head;
    struct exo_block_header header;
    struct exo_block_range range;
    uint64_t status;
    uint64_t count;
    struct blk_segment segments[SEGMENTS];
} taken[EXO_ENTRIES]; /* in the order in which they were taken */

static struct {
    struct exo_ring ring;
    struct exo_queue queue;
    struct exo_disk disk;
    uint8_t bytes[(FIRST + COUNT) * SECTOR]; /* of the disk */
    uint64_t entries;                        /* of the capability */
    uint64_t in_flight, most;
    uint16_t seen, done;
    uint64_t events;
    uint64_t kicks, yields, waits;
    int64_t refusal;      /* of every kick */
    uint64_t draining;    /* a close is answered AGAIN so often */
    void (*asleep)(void); /* what happens while the program waits */
    uint8_t status;       /* with which requests end */
} kernel;

static _Alignas(EXO_FRAME_BYTES) uint8_t memory[MEMORY_FRAMES * EXO_FRAME_BYTES];
static struct blk blk;

static void *at(uint64_t address, uint64_t bytes) {
    assert_true(address >= MEMORY_ADDRESS);
    assert_true(bytes > 0 && address + bytes <= MEMORY_ADDRESS + sizeof(memory));
    return memory + (address - MEMORY_ADDRESS);
}

static uint8_t *sector_at(uint64_t sector) { return kernel.bytes + sector * SECTOR; }

/* ---- the kernel's part */

/* Copy and check a chain as queue_kick does.  0 or an error. */
static int64_t chain_take(struct taken *request, uint16_t head) {
    const struct exo_descriptor *descriptor = &kernel.ring.descriptor[head];
    uint64_t bytes = 0;

    *request = (struct taken){.head = head};
    if (descriptor->bytes != 16 || descriptor->flags != EXO_DESCRIPTOR_NEXT) return EXO_EHEADER;
    memcpy(&request->header, at(descriptor->address, 16), 16);
    assert_int_equal(request->header.name, EXO_BLOCK_NAME(SLOT));
    for (;;) {
        assert_true(descriptor->next < EXO_RING_SIZE);
        descriptor = &kernel.ring.descriptor[descriptor->next];
        if (!(descriptor->flags & EXO_DESCRIPTOR_NEXT)) break;
        uint64_t device_writes = request->header.type == EXO_BLOCK_READ ? EXO_DESCRIPTOR_WRITE : 0;
        assert_int_equal(descriptor->flags, EXO_DESCRIPTOR_NEXT | device_writes);
        assert_true(request->count < SEGMENTS);
        request->segments[request->count++] =
            (struct blk_segment){descriptor->address, descriptor->bytes};
        bytes += descriptor->bytes;
    }
    if (descriptor->bytes != 1 || descriptor->flags != EXO_DESCRIPTOR_WRITE) return EXO_EHEADER;
    request->status = descriptor->address;
    uint64_t sector = request->header.sector, sectors = bytes / SECTOR;
    if (request->header.type == EXO_BLOCK_DISCARD || request->header.type == EXO_BLOCK_ZEROES) {
        assert_int_equal(bytes, sizeof(request->range));
        assert_int_equal(sector, 0);
        memcpy(&request->range, at(request->segments[0].address, bytes), bytes);
        sector = request->range.sector;
        sectors = request->range.sectors;
        if (!sectors || sectors > EXO_DISCARD_MAX) return EXO_EREQUEST;
    } else if (request->header.type == EXO_BLOCK_FLUSH) {
        if (request->count) return EXO_EREQUEST;
        return 0;
    } else if (!bytes || bytes % SECTOR) {
        return EXO_EREQUEST;
    }
    return sector >= FIRST && sector - FIRST + sectors <= COUNT ? 0 : EXO_ERANGE;
}

struct exo_result exo_queue_kick(uint64_t queue) {
    uint16_t index = kernel.ring.available_index;

    kernel.kicks++;
    assert_int_equal(queue, FRAME + BLK_QUEUE);
    if (kernel.refusal) return (struct exo_result){kernel.refusal, 0};
    if (kernel.queue.state != EXO_QUEUE_OPEN) return (struct exo_result){EXO_EQUEUE, 0};
    if (kernel.disk.state == EXO_DISK_GONE) return (struct exo_result){EXO_EDEVICE, 0};
    if (kernel.disk.state == EXO_DISK_RESETS) return (struct exo_result){EXO_EAGAIN, 1ul << EVENT};
    if ((uint16_t)(index - kernel.seen) > EXO_RING_SIZE) return (struct exo_result){EXO_EINDEX, 0};
    for (unsigned chains = 0; kernel.seen != index; chains++) {
        if (chains == KICK_CHAINS) return (struct exo_result){EXO_EAGAIN, 0};
        if (kernel.in_flight == kernel.entries)
            return (struct exo_result){EXO_EAGAIN, 1ul << EVENT};
        uint16_t head = kernel.ring.available[kernel.seen % EXO_RING_SIZE];
        int64_t error = chain_take(&taken[kernel.in_flight], head);
        if (error) return (struct exo_result){error, head};
        kernel.seen++;
        if (++kernel.in_flight > kernel.most) kernel.most = kernel.in_flight;
    }
    return (struct exo_result){0, 0};
}

static void data_move(const struct taken *request) {
    uint8_t *disk = sector_at(request->header.sector);

    if (request->header.type == EXO_BLOCK_DISCARD || request->header.type == EXO_BLOCK_ZEROES)
        memset(sector_at(request->range.sector), 0, request->range.sectors * SECTOR);
    if (request->header.type != EXO_BLOCK_READ && request->header.type != EXO_BLOCK_WRITE) return;
    for (uint64_t i = 0; i < request->count; i++) {
        uint8_t *bytes = at(request->segments[i].address, request->segments[i].bytes);
        if (request->header.type == EXO_BLOCK_READ)
            memcpy(bytes, disk, request->segments[i].bytes);
        else
            memcpy(disk, bytes, request->segments[i].bytes);
        disk += request->segments[i].bytes;
    }
}

/* The request that was taken as the number-th of those in flight ends. */
static void complete(uint64_t number, uint8_t status) {
    struct taken request = taken[number];

    assert_true(number < kernel.in_flight);
    kernel.in_flight--;
    memmove(&taken[number], &taken[number + 1], (kernel.in_flight - number) * sizeof(taken[0]));
    if (status == EXO_BLOCK_OK) data_move(&request);
    if (kernel.queue.state != EXO_QUEUE_OPEN) return;
    *(uint8_t *)at(request.status, 1) = status;
    kernel.ring.used[kernel.done % EXO_RING_SIZE] = (struct exo_used){request.head, 1};
    kernel.ring.used_index = ++kernel.done;
    kernel.events |= 1ul << EVENT;
}

static void complete_all(uint8_t status) {
    while (kernel.in_flight) complete(kernel.in_flight - 1, status);
}

struct exo_result exo_queue_close(uint64_t queue) {
    assert_int_equal(queue, FRAME + BLK_QUEUE);
    if (!kernel.queue.state) return (struct exo_result){EXO_EQUEUE, 0};
    kernel.queue.state = EXO_QUEUE_DEAD;
    if (kernel.draining) return kernel.draining--, (struct exo_result){EXO_EAGAIN, 0};
    complete_all(EXO_BLOCK_OK);
    kernel.queue.state = 0;
    return (struct exo_result){0, 0};
}

struct exo_result exo_yield(uint64_t env) {
    assert_int_equal(env, EXO_NONE);
    kernel.yields++;
    return (struct exo_result){0, 0};
}

uint64_t event_wait(uint64_t mask, uint64_t deadline) {
    kernel.waits++;
    assert_int_equal(mask, 1ul << EVENT);
    if (!kernel.events && kernel.asleep) kernel.asleep();
    uint64_t events = kernel.events & mask;
    /* Who sleeps for ever must be woken. */
    if (!events) assert_true(deadline != EXO_NEVER);
    kernel.events &= ~mask;
    return events;
}

/* ---- the program's part */

static void begin(uint64_t entries) {
    memset(&kernel, 0, sizeof(kernel));
    memset(memory, 0x5a, sizeof(memory));
    memset(&blk, 0, sizeof(blk));
    kernel.entries = entries;
    kernel.queue.state = EXO_QUEUE_OPEN;
    kernel.disk.state = EXO_DISK_RUNS;
    kernel.disk.segments = SEGMENTS;
    for (unsigned i = 0; i < sizeof(kernel.bytes); i++)
        kernel.bytes[i] = (uint8_t)(i * 7 + i / SECTOR);
    blk = (struct blk){
        .event = EVENT,
        .frame = FRAME,
        .name = EXO_BLOCK_NAME(SLOT),
        .ring = &kernel.ring,
        .state = &kernel.queue,
        .disk = &kernel.disk,
        .areas = (struct blk_area *)memory,
        .areas_address = MEMORY_ADDRESS,
    };
    blk_begin(&blk);
}

/* All is as at the begin: nothing has leaked. */
static void check_idle(void) {
    assert_int_equal(blk.under_way, 0);
    assert_int_equal(kernel.in_flight, 0);
    assert_int_equal(blk.free_count, EXO_RING_SIZE);
    assert_null(blk.waiting);
    assert_null(blk.refused);
    for (unsigned i = 0; i < EXO_RING_SIZE; i++) assert_null(blk.of_head[i]);
    bool seen[EXO_RING_SIZE] = {false};
    uint64_t next = blk.free;
    for (unsigned i = 0; i < EXO_RING_SIZE; i++) {
        assert_true(next < EXO_RING_SIZE && !seen[next]);
        seen[next] = true;
        next = kernel.ring.descriptor[next].next;
    }
}

#define TESTS_MAX 256
static struct test_request {
    struct blk_request request;
    struct blk_segment segments[SEGMENTS];
    unsigned done;
} requests[TESTS_MAX];
static unsigned done_count;
static struct test_request *done_order[TESTS_MAX];

static void note_done(struct blk_request *request) {
    struct test_request *test = request->context;
    assert_int_not_equal(request->result, BLK_UNDER_WAY);
    test->done++;
    done_order[done_count++ % TESTS_MAX] = test;
}

/* A frame of memory that is a request's own. */
static uint64_t page(unsigned number) { return MEMORY_ADDRESS + (4 + number) * EXO_FRAME_BYTES; }

static struct test_request *prepare(unsigned number, uint32_t type, uint64_t sector,
                                    unsigned segments, uint32_t bytes) {
    struct test_request *test = &requests[number];
    *test = (struct test_request){0};
    test->request = (struct blk_request){
        .type = type,
        .segments = test->segments,
        .segment_count = segments,
        .sector = sector,
        .done = note_done,
        .context = test,
    };
    for (unsigned i = 0; i < segments; i++)
        test->segments[i] = (struct blk_segment){page(number % 60) + i * bytes, bytes};
    return test;
}

static struct test_request *ask(unsigned number, uint32_t type, uint64_t sector, unsigned segments,
                                uint32_t bytes) {
    struct test_request *test = prepare(number, type, sector, segments, bytes);
    assert_int_equal(blk_submit(&blk, &test->request), 0);
    assert_int_equal(test->request.result, BLK_UNDER_WAY);
    return test;
}

static void begin_test(uint64_t entries) {
    begin(entries);
    memset(requests, 0, sizeof(requests));
    done_count = 0;
}

static void end_oldest(void) { complete(0, kernel.status); }
static void end_newest(void) { complete(kernel.in_flight - 1, kernel.status); }

/* ---- tests */

static void a_write_is_read_back(void **state) {
    (void)state;
    begin_test(1);
    kernel.asleep = end_oldest;
    struct test_request *write = prepare(0, EXO_BLOCK_WRITE, FIRST + 3, 2, 1024);
    memset(at(page(0), 2048), 0xc3, 2048);
    assert_int_equal(blk_run(&blk, &write->request), 0);
    for (unsigned i = 0; i < 2048; i++) assert_int_equal(sector_at(FIRST + 3)[i], 0xc3);
    assert_int_equal(sector_at(FIRST + 2)[511],
                     (uint8_t)((FIRST + 3) * SECTOR * 7 - 7 + FIRST + 2));
    struct test_request *read = prepare(1, EXO_BLOCK_READ, FIRST + 3, 4, 512);
    assert_int_equal(blk_run(&blk, &read->request), 0);
    assert_memory_equal(at(page(1), 2048), at(page(0), 2048), 2048);
    assert_int_equal(read->done, 1);
    check_idle();
}

static void nothing_is_asked_before_a_kick(void **state) {
    (void)state;
    begin_test(EXO_ENTRIES);
    for (unsigned i = 0; i < 30; i++) ask(i, EXO_BLOCK_READ, FIRST + i, 1, SECTOR);
    assert_int_equal(kernel.kicks, 0);
    blk_kick(&blk);
    assert_int_equal(kernel.kicks, 3); /* 12 + 12 + 6 */
    assert_int_equal(kernel.in_flight, 30);
    blk_kick(&blk);
    assert_int_equal(kernel.kicks, 3);
    assert_int_equal(blk_poll(&blk), 0);
    complete_all(EXO_BLOCK_OK);
    assert_int_equal(blk_poll(&blk), 30);
    /* In the order in which they ended. */
    for (unsigned i = 0; i < 30; i++) assert_ptr_equal(done_order[i], &requests[29 - i]);
    for (unsigned i = 0; i < 30; i++)
        assert_memory_equal(at(page(i), SECTOR), sector_at(FIRST + i), SECTOR);
    assert_int_equal(kernel.kicks, 3);
    check_idle();
}

/* More than there are entries, and more than there are descriptors. */
static void what_finds_no_room_waits(void **state) {
    (void)state;
    for (uint64_t entries = 1; entries <= 8; entries += 7) {
        begin_test(entries);
        for (unsigned i = 0; i < 200; i++)
            ask(i, EXO_BLOCK_READ, FIRST + i, 1 + i % SEGMENTS, SECTOR);
        kernel.asleep = entries == 1 ? end_oldest : end_newest;
        while (blk.under_way) assert_true(blk_wait(&blk, EXO_NEVER) > 0);
        for (unsigned i = 0; i < 200; i++) assert_int_equal(requests[i].done, 1);
        assert_int_equal(kernel.most, entries);
        check_idle();
    }
}

static void the_ring_is_used_whole(void **state) {
    (void)state;
    begin_test(EXO_ENTRIES);
    for (unsigned i = 0; i < 100; i++) ask(i, EXO_BLOCK_FLUSH, 0, 0, 0);
    blk_kick(&blk);
    assert_int_equal(kernel.in_flight, 64);
    assert_int_equal(blk.free_count, 0);
    complete(17, EXO_BLOCK_OK);
    assert_int_equal(blk_poll(&blk), 1);
    assert_int_equal(kernel.in_flight, 64);
    while (kernel.in_flight) {
        complete(0, EXO_BLOCK_OK);
        assert_int_equal(blk_poll(&blk), 1);
    }
    check_idle();
}

static void what_is_refused_does_not_stop_the_others(void **state) {
    (void)state;
    for (unsigned bad = 0; bad < 20; bad++) {
        begin_test(EXO_ENTRIES);
        for (unsigned i = 0; i < 20; i++)
            ask(i, EXO_BLOCK_READ, i == bad ? 0 : FIRST + i, 1, SECTOR);
        blk_kick(&blk);
        assert_int_equal(kernel.in_flight, 19);
        assert_int_equal(requests[bad].done, 0);
        assert_int_equal(blk_poll(&blk), 1);
        assert_int_equal(requests[bad].done, 1);
        assert_int_equal(requests[bad].request.result, EXO_ERANGE);
        complete_all(EXO_BLOCK_OK);
        assert_int_equal(blk_poll(&blk), 19);
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(requests[i].done, 1);
            if (i != bad) assert_int_equal(requests[i].request.result, 0);
        }
        check_idle();
    }
}

static void all_may_be_refused(void **state) {
    (void)state;
    begin_test(4);
    for (unsigned i = 0; i < 100; i++) ask(i, EXO_BLOCK_READ, FIRST, 1, SECTOR - 1);
    while (blk.under_way) assert_true(blk_wait(&blk, EXO_NEVER) > 0);
    assert_int_equal(kernel.waits, 0);
    for (unsigned i = 0; i < 100; i++) assert_int_equal(requests[i].request.result, EXO_EREQUEST);
    check_idle();
}

static void the_device_tells_of_errors(void **state) {
    (void)state;
    begin_test(8);
    for (unsigned i = 0; i < 3; i++) ask(i, EXO_BLOCK_READ, FIRST + i, 1, SECTOR);
    blk_kick(&blk);
    complete(1, EXO_BLOCK_IOERR);
    complete(1, EXO_BLOCK_UNSUPPORTED);
    complete(0, EXO_BLOCK_OK);
    assert_int_equal(blk_poll(&blk), 3);
    assert_int_equal(requests[0].request.result, 0);
    assert_int_equal(requests[1].request.result, BLK_EIO);
    assert_int_equal(requests[2].request.result, BLK_EUNSUPPORTED);
    check_idle();
}

static void reset_ends(void) {
    complete_all(EXO_BLOCK_IOERR);
    kernel.disk.state = EXO_DISK_RUNS;
    kernel.events |= 1ul << EVENT;
    kernel.asleep = end_oldest;
}

/* With nothing in flight only the end of the reset can wake it. */
static void a_reset_is_waited_for(void **state) {
    (void)state;
    for (int before = 0; before < 2; before++) {
        begin_test(8);
        if (before) {
            ask(0, EXO_BLOCK_READ, FIRST, 1, SECTOR);
            blk_kick(&blk);
        }
        kernel.disk.state = EXO_DISK_RESETS;
        kernel.asleep = reset_ends;
        ask(1, EXO_BLOCK_READ, FIRST, 1, SECTOR);
        while (blk.under_way) assert_true(blk_wait(&blk, EXO_NEVER) > 0);
        if (before) assert_int_equal(requests[0].request.result, BLK_EIO);
        assert_int_equal(requests[1].request.result, 0);
        check_idle();
    }
}

static void queue_goes(void) {
    kernel.queue.state = EXO_QUEUE_DEAD;
    kernel.events |= 1ul << EVENT;
}

static void a_lost_queue_ends_all(void **state) {
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        begin_test(8);
        for (unsigned i = 0; i < 20; i++) ask(i, EXO_BLOCK_READ, FIRST + i, 4, SECTOR);
        blk_kick(&blk);
        complete(3, EXO_BLOCK_OK); /* it does not know yet */
        if (gone)
            kernel.disk.state = EXO_DISK_GONE;
        else
            queue_goes();
        kernel.draining = 5;
        while (blk.under_way) assert_true(blk_wait(&blk, EXO_NEVER) > 0);
        int64_t error = gone ? EXO_EDEVICE : EXO_EQUEUE;
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(requests[i].done, 1);
            assert_int_equal(requests[i].request.result, i == 3 ? 0 : error);
        }
        assert_int_equal(kernel.yields, gone ? 0 : 5);
        ask(0, EXO_BLOCK_READ, FIRST, 1, SECTOR);
        assert_int_equal(blk_wait(&blk, EXO_NEVER), 1);
        assert_int_equal(requests[0].request.result, error);
        assert_int_equal(blk.under_way, 0);
    }
}

static void disk_goes(void) {
    kernel.disk.state = EXO_DISK_GONE;
    kernel.events |= 1ul << EVENT;
}

/* It sleeps while the queue or the disk goes, and when it wakes nothing has ended. */
static void a_queue_lost_in_sleep_is_seen(void **state) {
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        begin_test(8);
        kernel.asleep = gone ? disk_goes : queue_goes;
        ask(0, EXO_BLOCK_READ, FIRST, 1, SECTOR);
        assert_int_equal(blk_wait(&blk, EXO_NEVER), 1);
        assert_int_equal(requests[0].request.result, gone ? EXO_EDEVICE : EXO_EQUEUE);
    }
}

/* ... and not an error of the chain with head 0, which the kernel does not mean. */
static void an_error_of_the_queue_ends_all(void **state) {
    (void)state;
    const int64_t errors[] = {EXO_EQUEUE, EXO_EINDEX, EXO_EDEVICE};
    for (unsigned i = 0; i < 3; i++) {
        begin_test(8);
        ask(0, EXO_BLOCK_READ, FIRST, 1, SECTOR);
        ask(1, EXO_BLOCK_READ, FIRST, 1, SECTOR);
        kernel.refusal = errors[i];
        assert_int_equal(blk_wait(&blk, EXO_NEVER), 2);
        assert_int_equal(kernel.kicks, 1);
        assert_int_equal(requests[0].request.result, errors[i]);
        assert_int_equal(requests[1].request.result, errors[i]);
    }
}

/* A short request does not overtake a long one for which there is no room. */
static void who_waits_is_not_overtaken(void **state) {
    (void)state;
    begin_test(EXO_ENTRIES);
    for (unsigned i = 0; i < 63; i++) ask(i, EXO_BLOCK_FLUSH, 0, 0, 0);
    ask(63, EXO_BLOCK_READ, FIRST, 2, SECTOR);
    ask(64, EXO_BLOCK_FLUSH, 0, 0, 0);
    blk_kick(&blk);
    assert_int_equal(kernel.in_flight, 63);
    complete(0, EXO_BLOCK_OK);
    blk_poll(&blk);
    assert_int_equal(kernel.in_flight, 63);
    assert_int_equal(taken[62].header.type, EXO_BLOCK_READ);
    complete(0, EXO_BLOCK_OK);
    blk_poll(&blk);
    assert_int_equal(taken[62].header.type, EXO_BLOCK_FLUSH);
    complete_all(EXO_BLOCK_OK);
    blk_poll(&blk);
    check_idle();
}

static unsigned again;

static void submit_again(struct blk_request *request) {
    if (!again) return;
    again--;
    assert_int_equal(blk_submit(&blk, request), 0);
}

static void done_may_submit(void **state) {
    (void)state;
    begin_test(2);
    for (unsigned i = 0; i < 5; i++)
        ask(i, EXO_BLOCK_READ, FIRST, 1, SECTOR)->request.done = submit_again;
    again = 500;
    kernel.asleep = end_oldest;
    unsigned ended = 0;
    while (blk.under_way) ended += (unsigned)blk_wait(&blk, EXO_NEVER);
    assert_int_equal(ended, 505);
    check_idle();
    /* Refused each time it is submitted: a poll ends all the same. */
    again = 100;
    ask(0, EXO_BLOCK_READ, 0, 1, SECTOR)->request.done = submit_again;
    for (unsigned i = 0; i < 100; i++) assert_int_equal(blk_poll(&blk), 1);
    assert_int_equal(blk_poll(&blk), 1);
    check_idle();
}

static void a_wait_ends_at_its_deadline(void **state) {
    (void)state;
    begin_test(2);
    assert_int_equal(blk_wait(&blk, EXO_NEVER), 0);
    assert_int_equal(kernel.waits, 0);
    ask(0, EXO_BLOCK_READ, FIRST, 1, SECTOR);
    assert_int_equal(blk_wait(&blk, 1), 0);
    assert_int_equal(requests[0].done, 0);
    complete(0, EXO_BLOCK_OK);
    assert_int_equal(blk_wait(&blk, 1), 1);
    check_idle();
}

static void ranges_are_cleared(void **state) {
    (void)state;
    begin_test(2);
    kernel.asleep = end_oldest;
    struct blk_request request = {.type = EXO_BLOCK_ZEROES, .sector = FIRST + 5, .sectors = 7};
    assert_int_equal(blk_run(&blk, &request), 0);
    for (unsigned i = 0; i < 7 * SECTOR; i++) assert_int_equal(sector_at(FIRST + 5)[i], 0);
    assert_int_not_equal(sector_at(FIRST + 12)[0], 0);
    request = (struct blk_request){.type = EXO_BLOCK_DISCARD, .sector = FIRST, .sectors = 1};
    assert_int_equal(blk_run(&blk, &request), 0);
    request = (struct blk_request){.type = EXO_BLOCK_DISCARD, .sector = FIRST, .sectors = 0x2001};
    assert_int_equal(blk_run(&blk, &request), EXO_EREQUEST);
    request = (struct blk_request){.type = EXO_BLOCK_ZEROES, .sector = FIRST + COUNT, .sectors = 1};
    assert_int_equal(blk_run(&blk, &request), EXO_ERANGE);
    request = (struct blk_request){.type = EXO_BLOCK_FLUSH};
    assert_int_equal(blk_run(&blk, &request), 0);
    check_idle();
}

static void wrong_requests_are_not_taken(void **state) {
    (void)state;
    begin_test(2);
    const struct {
        uint32_t type;
        unsigned segments;
        uint64_t sectors;
    } wrong[] = {
        {EXO_BLOCK_READ, 0, 0},   {EXO_BLOCK_WRITE, 0, 0},   {EXO_BLOCK_READ, 7, 0},
        {EXO_BLOCK_FLUSH, 1, 0},  {EXO_BLOCK_DISCARD, 1, 1}, {EXO_BLOCK_ZEROES, 0, 1ul << 32},
        {EXO_BLOCK_READ, ~0u, 0},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct test_request *test = prepare(0, wrong[i].type, FIRST, 0, 0);
        test->request.segment_count = wrong[i].segments;
        test->request.sectors = wrong[i].sectors;
        assert_int_equal(blk_submit(&blk, &test->request), EXO_EARGUMENT);
    }
    check_idle();
    assert_int_equal(kernel.kicks, 0);
}

/* ---- everything at once */

static uint64_t random_state;

static uint64_t random_below(uint64_t limit) {
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (random_state >> 33) % limit;
}

static bool busy[TESTS_MAX];
static bool wrong_sector[TESTS_MAX];
static uint8_t ended_with[TESTS_MAX];

static void random_done(struct blk_request *request) {
    unsigned number = (unsigned)((struct test_request *)request->context - requests);
    uint8_t status = ended_with[number];
    int64_t expected = wrong_sector[number]     ? EXO_ERANGE
                       : status == EXO_BLOCK_OK ? 0
                       : status == 1            ? BLK_EIO
                                                : BLK_EUNSUPPORTED;
    assert_true(busy[number]);
    busy[number] = false;
    assert_int_equal(request->result, expected);
    if (!expected && request->type == EXO_BLOCK_READ)
        assert_memory_equal(at(requests[number].segments[0].address, SECTOR),
                            sector_at(request->sector), SECTOR);
}

/* Which request is it?  Each has a sector of its own. */
static void random_end(void) {
    if (!kernel.in_flight) return;
    uint64_t which = random_below(kernel.in_flight);
    unsigned number = (unsigned)(taken[which].header.sector - FIRST) / SEGMENTS;
    ended_with[number] = (uint8_t)(random_below(8) ? 0 : random_below(3));
    complete(which, ended_with[number]);
}

#define RANDOM_REQUESTS 60

static void anything_in_any_order(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        begin_test(1 + seed * seed);
        random_state = seed;
        kernel.asleep = random_end;
        memset(busy, 0, sizeof(busy));
        for (unsigned step = 0; step < 100000; step++) {
            unsigned number = (unsigned)random_below(RANDOM_REQUESTS);
            uint64_t choice = random_below(10);
            if (choice < 6 && !busy[number]) {
                uint32_t type = random_below(2) ? EXO_BLOCK_READ : EXO_BLOCK_WRITE;
                wrong_sector[number] = !random_below(10);
                uint64_t sector = wrong_sector[number] ? 1 : FIRST + number * SEGMENTS;
                busy[number] = true;
                unsigned segments = 1 + (unsigned)random_below(SEGMENTS);
                struct test_request *test = prepare(number, type, sector, segments, SECTOR);
                test->request.done = random_done;
                assert_int_equal(blk_submit(&blk, &test->request), 0);
            } else if (choice == 6) {
                blk_kick(&blk);
            } else if (choice == 7) {
                blk_poll(&blk);
            } else if (choice == 8) {
                blk_wait(&blk, random_below(2) && kernel.in_flight ? EXO_NEVER : 1);
            } else {
                random_end();
            }
        }
        while (blk.under_way) blk_wait(&blk, EXO_NEVER);
        for (unsigned i = 0; i < RANDOM_REQUESTS; i++) assert_false(busy[i]);
        check_idle();
        assert_true(seed == 1 || kernel.seen != kernel.kicks);
    }
}

/* The 16-bit indices of the ring begin again. */
static void indices_wrap(void **state) {
    (void)state;
    begin_test(16);
    kernel.asleep = end_newest;
    unsigned number = 0;
    for (uint64_t count = 0; count < 140000; count++) {
        if (blk.under_way == 20) blk_wait(&blk, EXO_NEVER);
        do number = (number + 1) % 32;
        while (requests[number].request.result == BLK_UNDER_WAY);
        ask(number, EXO_BLOCK_READ, count % 1000 ? FIRST : 0, 1, SECTOR);
    }
    while (blk.under_way) blk_wait(&blk, EXO_NEVER);
    check_idle();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_read_back),
        cmocka_unit_test(nothing_is_asked_before_a_kick),
        cmocka_unit_test(what_finds_no_room_waits),
        cmocka_unit_test(the_ring_is_used_whole),
        cmocka_unit_test(what_is_refused_does_not_stop_the_others),
        cmocka_unit_test(all_may_be_refused),
        cmocka_unit_test(the_device_tells_of_errors),
        cmocka_unit_test(a_reset_is_waited_for),
        cmocka_unit_test(a_lost_queue_ends_all),
        cmocka_unit_test(a_queue_lost_in_sleep_is_seen),
        cmocka_unit_test(an_error_of_the_queue_ends_all),
        cmocka_unit_test(who_waits_is_not_overtaken),
        cmocka_unit_test(done_may_submit),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(ranges_are_cleared),
        cmocka_unit_test(wrong_requests_are_not_taken),
        cmocka_unit_test(anything_in_any_order),
        cmocka_unit_test(indices_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
