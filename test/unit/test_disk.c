/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of disks, queues and interrupt lines (exo/disk.c, queue.c, irq.c)
 * against modelled devices that end what the test says, when it says so.
 *
 * init runs on hart 0 with DEVICE in slot 3, IRQ in 4, the two disks in 5 and 6;
 * A and B run on harts 1 and 2 and have init's slots 8 and 9.
 */
#include <string.h>

#include "device.h"
#include "disk.h"
#include "fixture.h"
#include "irq.h"

#define IRQ_ROOT 4
#define DISK_ROOT 5
#define A_NAME 8
#define B_NAME 9
#define SECTORS 4096ul
#define LINE 7 /* of no disk */

/* Slots of A and B. */
enum { MEMORY, BLOCK, OTHER };
/* Frames of A (and 64 further on of B): ring and queue, then data. */
#define RING(n) (FREE + 256 + 64 * (uint64_t)(n))
#define QUEUE(n) (RING(n) + 1)
#define DATA(n) (RING(n) + 2)
#define FRAMES 32
#define EVENT 2ul

static uint64_t ring_index[2]; /* of the available rings */

static int disks_boot(void **state) {
    host_disks_make(2, SECTORS);
    fixture_slot = A_NAME;
    memset(ring_index, 0, sizeof(ring_index));
    return fixture_boot(state);
}

static int disks_end(void **state) {
    for (uint64_t disk = 0; disk < disk_count; disk++)
        while (host_disks[disk].given_count && !host_disks[disk].hung)
            host_disk_end(disk, 0, EXO_BLOCK_OK);
    host_settle();
    int error = fixture_end(state);
    host_disks_make(0, 0);
    return error;
}
#define DISK_TEST(function) cmocka_unit_test_setup_teardown(function, disks_boot, disks_end)

/* ---- a program with a queue: n is 0 for A on hart 1, 1 for B on hart 2 ---- */

static struct exo_ring *ring_of(unsigned n) { return frame_pointer(RING(n)); }
static const struct exo_queue *queue_of(unsigned n) { return frame_pointer(QUEUE(n)); }

static uint64_t address_of(unsigned n, uint64_t offset) {
    return (DATA(n) << EXO_FRAME_SHIFT) + offset;
}

static void lend_disk(unsigned n, uint64_t first, uint64_t count, uint64_t rights, uint64_t entry,
                      uint64_t end) {
    GOOD(0, cap_derive, handle(0, DISK_ROOT), place(14), first, count, rights, 0,
         EXO_BLOCK_EXTRA(entry, end));
    assert_true(JOB(0, cap_grant, handle(0, 14), handle(0, A_NAME + n), place(BLOCK), 0, 0) >= 0);
}

static void open_queue(unsigned n) {
    struct exo_ctx *ctx = harts[n + 1]->ctx;
    ctx->vector[0] = handle(n + 1, MEMORY);
    GOOD(n + 1, queue_open, handle(n + 1, BLOCK), handle(n + 1, MEMORY), RING(n), QUEUE(n), EVENT,
         1);
    ring_index[n] = 0;
}

/* A and B, each with memory, a half of the disk, and `entries` of its entries. */
static void drivers(uint64_t entries) {
    people(2);
    for (unsigned n = 0; n < 2; n++) {
        lend(A_NAME + n, MEMORY, RING(n), FRAMES, ALL_RIGHTS, 0);
        lend_disk(n, n * SECTORS / 2, SECTORS / 2, EXO_BLOCK_R | EXO_BLOCK_W, n * entries,
                  (n + 1) * entries);
        open_queue(n);
    }
}

static void describe(unsigned n, uint16_t at, uint64_t offset, uint32_t bytes, uint16_t flags) {
    ring_of(n)->descriptor[at] =
        (struct exo_descriptor){address_of(n, offset), bytes, flags, (uint16_t)(at + 1)};
}

/* Chain c of three descriptors: header and status in the first frame, data in frame 1 + c. */
static void chain(unsigned n, uint16_t c, uint32_t type, uint64_t sector, uint32_t bytes) {
    uint16_t first = 3 * c, writes = type == EXO_BLOCK_READ ? EXO_DESCRIPTOR_WRITE : 0;
    struct exo_block_header *header = arch_pointer(address_of(n, 64ul * c));
    *header = (struct exo_block_header){type, EXO_BLOCK_NAME(handle(n + 1, BLOCK)), sector};
    describe(n, first, 64ul * c, sizeof(*header), EXO_DESCRIPTOR_NEXT);
    describe(n, first + 1, EXO_FRAME_BYTES * (1ul + c), bytes, EXO_DESCRIPTOR_NEXT | writes);
    describe(n, first + 2, 64ul * c + 32, 1, EXO_DESCRIPTOR_WRITE);
    *(uint8_t *)arch_pointer(address_of(n, 64ul * c + 32)) = 0xff;
}

static void offer(unsigned n, uint16_t head) {
    ring_of(n)->available[ring_index[n]++ % EXO_RING_SIZE] = head;
    ring_of(n)->available_index = (uint16_t)ring_index[n];
}

static struct result kick(unsigned n) { return CALL(n + 1, queue_kick, QUEUE(n)); }

/* The usual request, taken. */
static void ask(unsigned n, uint16_t c, uint32_t type, uint64_t sector) {
    chain(n, c, type, sector, EXO_FRAME_BYTES);
    offer(n, 3 * c);
    assert_int_equal(kick(n).value, 0);
}

static uint8_t status_of(unsigned n, uint16_t c) {
    return *(uint8_t *)arch_pointer(address_of(n, 64ul * c + 32));
}

static uint64_t pins_of(unsigned n) {
    uint64_t pins = 0;
    for (uint64_t i = 0; i < FRAMES; i++) pins += *frame_word(RING(n) + i) & 0xffffff;
    return pins;
}

static uint64_t events_of(unsigned n) { return env_at(n ? B : A)->events; }

/* ---- what goes well ---- */

static void a_request_is_done(void **state) {
    (void)state;
    drivers(8);
    memset(frame_pointer(DATA(0) + 1), 0x5a, EXO_FRAME_BYTES);
    ask(0, 0, EXO_BLOCK_WRITE, 16);
    assert_int_equal(pins_of(0), 2);
    assert_int_equal(events_of(0) & EVENT, 0);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(host_disks[0].image[16 * EXO_SECTOR_BYTES], 0x5a);
    assert_int_equal(status_of(0, 0), EXO_BLOCK_OK);
    assert_int_equal(pins_of(0), 0);
    assert_int_equal(ring_of(0)->used_index, 1);
    assert_int_equal(events_of(0) & EVENT, EVENT);
    ask(0, 1, EXO_BLOCK_READ, 16);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(*(uint8_t *)frame_pointer(DATA(0) + 2), 0x5a);
    assert_int_equal(ring_of(0)->used[1].id, 3);
    assert_int_equal(ring_of(0)->used[1].bytes, EXO_FRAME_BYTES + 1);
}

static void an_error_goes_to_who_asked(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    ask(1, 0, EXO_BLOCK_READ, SECTORS / 2);
    host_disk_end(0, 0, EXO_BLOCK_IOERR);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(status_of(0, 0), EXO_BLOCK_IOERR);
    assert_int_equal(queue_of(0)->errors, 1);
    assert_int_equal(status_of(1, 0), EXO_BLOCK_OK);
    assert_int_equal(queue_of(1)->errors, 0);
}

static void requests_end_in_any_order(void **state) {
    (void)state;
    drivers(8);
    for (uint16_t c = 0; c < 4; c++) ask(0, c, EXO_BLOCK_READ, c);
    host_disk_end(0, 2, EXO_BLOCK_OK);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(ring_of(0)->used[0].id, 6);
    assert_int_equal(ring_of(0)->used[1].id, 0);
    assert_int_equal(pins_of(0), 4);
}

/* Entries are a limit: the next request is told to wait, and the event comes. */
static void entries_limit_what_is_in_flight(void **state) {
    (void)state;
    drivers(2);
    for (uint16_t c = 0; c < 3; c++) {
        chain(0, c, EXO_BLOCK_READ, c, EXO_FRAME_BYTES);
        offer(0, 3 * c);
    }
    struct result result = kick(0);
    assert_int_equal(result.value, EXO_EAGAIN);
    assert_int_equal(result.detail, EVENT);
    assert_int_equal(host_disks[0].given_count, 2);
    ask(1, 0, EXO_BLOCK_READ, SECTORS / 2); /* B's entries are its own */
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(kick(0).value, 0);
    assert_int_equal(queue_of(0)->seen, 3);
}

/* A kick takes a bounded number of chains, and each once. */
static void a_long_ring_takes_several_kicks(void **state) {
    (void)state;
    drivers(40);
    for (uint16_t c = 0; c < 29; c++) {
        chain(0, c, EXO_BLOCK_READ, c, 512);
        offer(0, 3 * c);
    }
    unsigned kicks = 1;
    while (kick(0).value == EXO_EAGAIN) kicks++;
    assert_int_equal(kicks, 4);
    assert_int_equal(host_disks[0].given_count, 29);
    assert_int_equal(queue_of(0)->seen, 29);
}

/* ---- traces: interrupts ---- */

/* rowdrain: what a batch leaves over is handled at the next change of row, whoever sleeps. */
static void what_a_batch_leaves_is_handled(void **state) {
    (void)state;
    drivers(20);
    for (uint16_t c = 0; c < 12; c++) ask(0, c, EXO_BLOCK_READ, c);
    ask(1, 0, EXO_BLOCK_READ, SECTORS / 2);
    for (unsigned i = 0; i < 13; i++) host_disk_end(0, 0, EXO_BLOCK_OK);
    CALL(2, wait, EVENT, EXO_NEVER);
    advance(2 * info->row_ticks);
    assert_int_equal(queue_of(0)->done, 12);
    assert_int_equal(queue_of(1)->done, 1);
    assert_int_equal(status_of(1, 0), EXO_BLOCK_OK);
    assert_false(host_line_masked(1));
}

/* polldrain: a kick handles a batch itself. */
static void a_kick_handles_what_has_ended(void **state) {
    (void)state;
    drivers(20);
    for (uint16_t c = 0; c < 12; c++) ask(0, c, EXO_BLOCK_READ, c);
    for (unsigned i = 0; i < 12; i++) host_disk_end(0, 0, EXO_BLOCK_OK);
    host_interrupt(0); /* the line's hart */
    assert_int_equal(queue_of(0)->done, 8);
    assert_true(host_line_masked(1));
    assert_int_equal(kick(0).value, 0);
    assert_int_equal(queue_of(0)->done, 12);
    assert_false(host_line_masked(1));
}

/* ---- traces: chains ---- */

static void refused_chain(int64_t error, unsigned n, uint16_t head) {
    uint64_t seen = queue_of(n)->seen, given = host_disks[0].given_count, pins = pins_of(n);
    struct result result = kick(n);
    assert_int_equal(result.value, error);
    assert_int_equal(result.detail, head);
    assert_int_equal(queue_of(n)->seen, seen);
    assert_int_equal(host_disks[0].given_count, given);
    assert_int_equal(pins_of(n), pins);
    ring_of(n)->available_index = (uint16_t)--ring_index[n];
}

#define BAD_CHAIN(error, change)                         \
    do {                                                 \
        chain(0, 0, EXO_BLOCK_READ, 0, EXO_FRAME_BYTES); \
        change;                                          \
        offer(0, 0);                                     \
        refused_chain(EXO_E##error, 0, 0);               \
    } while (0)

static void bad_chains_are_refused(void **state) {
    (void)state;
    drivers(8);
    struct exo_descriptor *at = ring_of(0)->descriptor;
    struct exo_block_header *header = arch_pointer(address_of(0, 0));
    BAD_CHAIN(CHAIN, at[0].next = EXO_RING_SIZE);
    BAD_CHAIN(CHAIN, at[1].next = 0); /* loop */
    BAD_CHAIN(CHAIN, at[1].flags |= EXO_DESCRIPTOR_INDIRECT);
    BAD_CHAIN(REQUEST, at[1].bytes = 0); /* zerolen: the device would stop */
    BAD_CHAIN(HEADER, at[0].bytes = 17);
    BAD_CHAIN(HEADER, at[0].address += 4);
    BAD_CHAIN(HEADER, at[0].address += EXO_FRAME_BYTES - 8);
    BAD_CHAIN(HEADER, at[2].bytes = 0);
    BAD_CHAIN(HEADER, at[2].flags = 0);
    BAD_CHAIN(REQUEST, at[1].flags = EXO_DESCRIPTOR_NEXT); /* direction */
    BAD_CHAIN(WINDOW, at[1].address = RING(1) << EXO_FRAME_SHIFT);
    BAD_CHAIN(WINDOW, at[1].address += (FRAMES - 3) * EXO_FRAME_BYTES);
    BAD_CHAIN(WINDOW, at[2].address = RING(1) << EXO_FRAME_SHIFT);
    BAD_CHAIN(WINDOW, at[0].address = RING(1) << EXO_FRAME_SHIFT);
    BAD_CHAIN(TYPE, at[1].address = QUEUE(0) << EXO_FRAME_SHIFT); /* pintype */
    BAD_CHAIN(TYPE, at[2].address = RING(0) << EXO_FRAME_SHIFT);
    BAD_CHAIN(RANGE, header->sector = SECTORS / 2);
    BAD_CHAIN(RANGE, header->sector = SECTORS / 2 - 7);
    BAD_CHAIN(SLOT, header->name ^= 1u << 31); /* stale */
    BAD_CHAIN(CLASS, header->name = EXO_BLOCK_NAME(handle(1, MEMORY)));
}

/* resume, undo: a refused chain stays where it is, with those before it taken and its pins undone. */
static void a_refused_chain_stops_only_itself(void **state) {
    (void)state;
    drivers(8);
    chain(0, 0, EXO_BLOCK_READ, 0, 512);
    chain(0, 1, EXO_BLOCK_READ, SECTORS, 512);
    chain(0, 2, EXO_BLOCK_READ, 2, 512);
    for (uint16_t c = 0; c < 3; c++) offer(0, 3 * c);
    struct result result = kick(0);
    assert_int_equal(result.value, EXO_ERANGE);
    assert_int_equal(result.detail, 3);
    assert_int_equal(host_disks[0].given_count, 1);
    assert_int_equal(pins_of(0), 2);
    ((struct exo_block_header *)arch_pointer(address_of(0, 64)))->sector = 1;
    assert_int_equal(kick(0).value, 0);
    assert_int_equal(host_disks[0].given_count, 3);
}

/* samedev: the capability that the header names is of another disk. */
static void the_disk_is_the_queues(void **state) {
    (void)state;
    drivers(8);
    GOOD(0, cap_derive, handle(0, DISK_ROOT + 1), place(14), 0, 64, EXO_BLOCK_R, 0, 0);
    assert_true(JOB(0, cap_grant, handle(0, 14), handle(0, A_NAME), place(OTHER), 0, 0) >= 0);
    struct exo_block_header *header = arch_pointer(address_of(0, 0));
    BAD_CHAIN(RANGE, header->name = EXO_BLOCK_NAME(handle(1, OTHER)));
}

/* copyonce: what the program changes after the kick changes nothing. */
static void the_device_sees_the_copy(void **state) {
    (void)state;
    drivers(8);
    memset(frame_pointer(DATA(0) + 1), 0x77, EXO_FRAME_BYTES);
    ask(0, 0, EXO_BLOCK_WRITE, 8);
    ((struct exo_block_header *)arch_pointer(address_of(0, 0)))->sector = SECTORS / 2;
    ring_of(0)->descriptor[1].address = RING(1) << EXO_FRAME_SHIFT;
    ring_of(0)->descriptor[2].address = RING(1) << EXO_FRAME_SHIFT;
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(host_disks[0].image[8 * EXO_SECTOR_BYTES], 0x77);
    assert_int_equal(host_disks[0].image[SECTORS / 2 * EXO_SECTOR_BYTES], 0);
}

/* payload, bounded: a range is checked and sent from the copy. */
static void ranges_are_bounded(void **state) {
    (void)state;
    drivers(8);
    struct exo_block_range *range = frame_pointer(DATA(0) + 1);
    static const struct {
        int64_t error;
        struct exo_block_range range;
    } bad[] = {{EXO_EREQUEST, {0, 0, 0}},
               {EXO_EREQUEST, {0, EXO_DISCARD_MAX + 1, 0}},
               {EXO_EREQUEST, {0, 8, 1}},
               {EXO_ERANGE, {SECTORS / 2, 8, 0}},
               {EXO_ERANGE, {SECTORS / 2 - 4, 8, 0}},
               {EXO_ERANGE, {~0ul, 8, 0}}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        chain(0, 0, EXO_BLOCK_DISCARD, 0, sizeof(*range));
        *range = bad[i].range;
        offer(0, 0);
        refused_chain(bad[i].error, 0, 0);
    }
    memset(host_disks[0].image, 1, SECTORS * EXO_SECTOR_BYTES);
    chain(0, 0, EXO_BLOCK_ZEROES, 0, sizeof(*range));
    *range = (struct exo_block_range){8, 8, 1};
    offer(0, 0);
    assert_int_equal(kick(0).value, 0);
    range->sector = SECTORS / 2;
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(host_disks[0].image[8 * EXO_SECTOR_BYTES], 0);
    assert_int_equal(host_disks[0].image[SECTORS / 2 * EXO_SECTOR_BYTES], 1);
}

/* ---- traces: capabilities ---- */

/* entryquiet: entries under an open queue or in flight are not lent. */
static void entries_in_use_are_not_lent(void **state) {
    (void)state;
    drivers(8);
    uint64_t from = handle(1, BLOCK), extra = EXO_BLOCK_EXTRA(0, 4);
    REFUSED(BUSY, 1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, extra);
    assert_int_equal(JOB(1, queue_close, QUEUE(0)), 0);
    REFUSED(RANGE, 1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(0, 9));
    REFUSED(RANGE, 1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(4, 3));
    REFUSED(RANGE, 1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, extra | 1ul << 32);
    GOOD(1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, extra);
    REFUSED(OVERLAP, 1, cap_derive, from, place(6), 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(3, 5));
    assert_int_equal(JOB(1, cap_drop, handle(1, 5), 0), 0);
    GOOD(1, cap_derive, from, place(5), 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(0, 8));
    harts[1]->ctx->vector[0] = handle(1, MEMORY);
    REFUSED(OVERLAP, 1, queue_open, from, handle(1, MEMORY), RING(0), QUEUE(0), EVENT, 1);
    assert_int_equal(JOB(1, cap_drop, handle(1, 5), 0), 0);
    GOOD(1, cap_derive, from, place(6), 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(3, 5));
}

/* givequiet: what a queue or a request hangs on is not given away. */
static void what_is_in_use_is_not_given(void **state) {
    (void)state;
    drivers(8);
    CALL(2, cap_derive, EXO_NONE, place(5), A, env_at(A)->gen, 0, 0, 0);
    REFUSED(BUSY, 1, cap_grant, handle(1, BLOCK), EXO_NONE, place(5), B, env_at(B)->gen);
    ask(0, 0, EXO_BLOCK_READ, 0);
    CALL(1, queue_close, QUEUE(0));
    REFUSED(BUSY, 1, cap_grant, handle(1, BLOCK), EXO_NONE, place(5), B, env_at(B)->gen);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(JOB(1, queue_close, QUEUE(0)), 0);
    GOOD(1, cap_grant, handle(1, BLOCK), EXO_NONE, place(5), B, env_at(B)->gen);
}

/* shortcut: a slot with entries that goes takes its queue with it, also when its parent is beside it. */
static void a_queue_goes_with_its_capability(void **state) {
    (void)state;
    people(1);
    lend(A_NAME, MEMORY, RING(0), FRAMES, ALL_RIGHTS, 0);
    lend_disk(0, 0, 64, EXO_BLOCK_R, 0, 8);
    GOOD(1, cap_derive, handle(1, BLOCK), place(OTHER), 0, 64, EXO_BLOCK_R, 0,
         EXO_BLOCK_EXTRA(0, 8));
    harts[1]->ctx->vector[0] = handle(1, MEMORY);
    GOOD(1, queue_open, handle(1, OTHER), handle(1, MEMORY), RING(0), QUEUE(0), EVENT, 1);
    ask(0, 0, EXO_BLOCK_READ, 0);
    assert_int_equal(CALL(1, cap_drop, handle(1, OTHER), 0).value, EXO_EAGAIN);
    assert_int_equal(queue_of(0)->state, EXO_QUEUE_DEAD);
    assert_int_equal(CALL(1, cap_drop, handle(1, OTHER), 0).value, EXO_EAGAIN);
    assert_int_equal(kick(0).value, EXO_EQUEUE);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(status_of(0, 0), 0xff); /* a dead queue is told nothing */
    assert_int_equal(JOB(1, cap_drop, handle(1, OTHER), 0), 0);
    assert_int_equal(frame_type(QUEUE(0)), EXO_FRAME_DATA);
}

/* cutwait: a window, and sectors, go only when no request of their holder names them. */
static void a_cut_waits_for_requests(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 100);
    ask(1, 0, EXO_BLOCK_READ, SECTORS / 2 + 100);
    assert_int_equal(CALL(0, cap_revoke, handle(0, DISK_ROOT), 64, 0).value, EXO_EAGAIN);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(CALL(0, cap_revoke, handle(0, DISK_ROOT), 64, 0).value, EXO_EAGAIN);
    struct exo_block_header *header = arch_pointer(address_of(0, 64));
    chain(0, 1, EXO_BLOCK_READ, 100, 512);
    offer(0, 3);
    refused_chain(EXO_ERANGE, 0, 3); /* no new one */
    (void)header;
    host_disk_end(0, 0, EXO_BLOCK_OK);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(JOB(0, cap_revoke, handle(0, DISK_ROOT), 64, 0), 0);
    assert_int_equal(slot(1, BLOCK)->count, 64);
    assert_int_equal(EXO_CAP_STATE(slot(2, BLOCK)->word), EXO_SLOT_LOST);
    assert_int_equal(frame_type(QUEUE(1)), EXO_FRAME_DATA); /* B's queue is gone with its sectors */
    ask(0, 2, EXO_BLOCK_READ, 0);                           /* A's goes on with what is left */
}

static void memory_in_flight_is_waited_for(void **state) {
    (void)state;
    drivers(8);
    ask(0, 20, EXO_BLOCK_READ, 0); /* frame 21 of its data */
    uint64_t from = DATA(0) + 21;
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(CALL(0, cap_revoke, handle(0, 0), from, 0).value, EXO_EAGAIN);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), from, 0), 0);
    assert_int_equal(slot(1, MEMORY)->count, 23);
    assert_int_equal(queue_of(0)->state, EXO_QUEUE_OPEN);
}

/* closewait, statuspin: a queue that closes keeps its frames until its requests have ended. */
static void a_close_waits_for_requests(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(CALL(1, queue_close, QUEUE(0)).value, EXO_EAGAIN);
    REFUSED(BUSY, 1, queue_open, handle(1, BLOCK), handle(1, MEMORY), DATA(0) + 9, DATA(0) + 10, 1,
            0);
    assert_int_equal(frame_type(RING(0)), EXO_FRAME_RING);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(CALL(1, queue_close, QUEUE(0)).value, 0);
    REFUSED(QUEUE, 1, queue_close, QUEUE(0));
    open_queue(0);
    ask(0, 1, EXO_BLOCK_READ, 0);
}

static void a_dead_programs_requests_end(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    CALL(1, exit, 0);
    for (unsigned i = 0; i < 300; i++) {
        int64_t value = CALL(0, env_reap, A).value;
        assert_int_equal(value, EXO_EAGAIN);
    }
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(JOB(0, env_reap, A), 0);
    assert_int_equal(pins_of(0), 0);
    assert_int_equal(frame_type(QUEUE(0)), EXO_FRAME_DATA);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    drivers(8);
    uint64_t block = handle(2, BLOCK), memory = handle(2, MEMORY), r = DATA(1), q = DATA(1) + 1;
    assert_int_equal(JOB(2, queue_close, QUEUE(1)), 0);
    REFUSED(SLOT, 2, queue_open, 0, memory, r, q, 1, 0);
    REFUSED(SLOT, 2, queue_open, block, memory + (1ul << 32), r, q, 1, 0);
    REFUSED(CLASS, 2, queue_open, memory, memory, r, q, 1, 0);
    REFUSED(CLASS, 2, queue_open, block, block, r, q, 1, 0);
    REFUSED(RANGE, 2, queue_open, block, memory, RING(0) + 9, q, 1, 0);
    REFUSED(RANGE, 2, queue_open, block, memory, r, NEVER, 1, 0);
    REFUSED(ARGUMENT, 2, queue_open, block, memory, r, r, 1, 0);
    REFUSED(ARGUMENT, 2, queue_open, block, memory, r, q, 0, 0);
    REFUSED(ARGUMENT, 2, queue_open, block, memory, r, q, 1ul << 60, 0);
    REFUSED(ARGUMENT, 2, queue_open, block, memory, r, q, 1, EXO_WINDOWS_MAX + 1);
    REFUSED(QUEUE, 2, queue_kick, QUEUE(0)); /* another's */
    REFUSED(QUEUE, 2, queue_close, QUEUE(0));
    REFUSED(QUEUE, 2, queue_kick, NEVER);
    REFUSED(QUEUE, 2, queue_kick, B);
    REFUSED(QUEUE, 2, queue_kick, 0);
    ring_of(0)->available_index = EXO_RING_SIZE + 1;
    REFUSED(INDEX, 1, queue_kick, QUEUE(0));
}

/* ---- traces: a device that hangs or lies ---- */

#define TIMEOUT (8001 * info->row_ticks)

/* drainfirst: what has ended is not late. */
static void what_has_ended_is_not_late(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    fixture_hurries = true;
    advance(TIMEOUT - 10 * info->row_ticks);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    advance(20 * info->row_ticks);
    fixture_hurries = false;
    assert_int_equal(status_of(0, 0), EXO_BLOCK_OK);
    assert_int_equal(disks[0].facts->resets, 0);
}

/* A reset fails what was in flight, and everything goes on. */
static void a_late_request_resets_the_device(void **state) {
    (void)state;
    drivers(8);
    for (uint16_t c = 0; c < 8; c++) ask(0, c, EXO_BLOCK_READ, c);
    ask(1, 0, EXO_BLOCK_READ, SECTORS / 2);
    fixture_hurries = true;
    advance(TIMEOUT + 20 * info->row_ticks);
    fixture_hurries = false;
    settle();
    assert_int_equal(disks[0].facts->resets, 1);
    assert_int_equal(disks[0].facts->state, EXO_DISK_RUNS);
    for (uint16_t c = 0; c < 8; c++) assert_int_equal(status_of(0, c), EXO_BLOCK_IOERR);
    assert_int_equal(status_of(1, 0), EXO_BLOCK_IOERR);
    assert_int_equal(pins_of(0) + pins_of(1), 0);
    ask(0, 1, EXO_BLOCK_READ, 0);
    host_disk_end(0, 0, EXO_BLOCK_OK);
    settle();
    assert_int_equal(status_of(0, 1), EXO_BLOCK_OK);
}

/* resetack, resetwake: before the device confirms nothing is unpinned; at the end all are woken. */
static void a_reset_is_believed_when_confirmed(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    host_disks[0].hung = true;
    fixture_hurries = true;
    advance(TIMEOUT);
    fixture_hurries = false;
    assert_int_equal(disks[0].facts->state, EXO_DISK_RESETS);
    assert_int_equal(pins_of(0), 2);
    chain(1, 0, EXO_BLOCK_READ, SECTORS / 2, 512);
    offer(1, 0);
    struct result result = kick(1);
    assert_int_equal(result.value, EXO_EAGAIN);
    assert_int_equal(result.detail, EVENT);
    host_disks[0].hung = false;
    host_disks[0].status = 0;
    host_disks[0].seen = host_disks[0].ended = 0;
    host_disks[0].given_count = 0;
    advance(20 * info->row_ticks);
    assert_int_equal(pins_of(0), 0);
    assert_int_equal(events_of(1) & EVENT, EVENT);
    assert_int_equal(kick(1).value, 0);
}

/* A device that never confirms keeps what it was given: it may still write there. */
static void a_device_that_is_gone_keeps_its_pins(void **state) {
    (void)state;
    drivers(8);
    ask(0, 0, EXO_BLOCK_READ, 0);
    host_disks[0].hung = true;
    fixture_hurries = true;
    advance(2 * TIMEOUT + 20 * info->row_ticks);
    fixture_hurries = false;
    assert_int_equal(disks[0].facts->state, EXO_DISK_GONE);
    assert_int_equal(pins_of(0), 2);
    assert_int_equal(kick(0).value, EXO_EDEVICE);
    assert_int_equal(events_of(1) & EVENT, EVENT);
    assert_int_equal(CALL(1, queue_close, QUEUE(0)).value, EXO_EDEVICE);
    assert_int_equal(JOB(0, cap_revoke, handle(0, 0), DATA(0), 0), EXO_EDEVICE);
    assert_int_equal(pins_of(0), 2);
    /* Only for the end of this test: such a device lets go of nothing. */
    host_disks[0].hung = false;
    host_disks[0].status = 0;
    disks[0].facts->state = EXO_DISK_RESETS;
    settle();
}

/* usedid: an entry that has no request, or none at all. */
static void a_device_that_lies_is_reset(void **state) {
    (void)state;
    static const uint32_t lies[] = {5, EXO_ENTRIES, ~0u};
    drivers(8);
    for (unsigned i = 0; i < 3; i++) {
        ask(0, 0, EXO_BLOCK_READ, 0);
        host_disk_lie(0, lies[i]);
        settle();
        advance(4 * info->row_ticks);
        assert_int_equal(disks[0].facts->resets, i + 1);
        assert_int_equal(disks[0].facts->state, EXO_DISK_RUNS);
        assert_int_equal(status_of(0, 0), EXO_BLOCK_IOERR);
        assert_int_equal(pins_of(0), 0);
    }
}

/* ---- lines ---- */

static void lend_line(unsigned n) {
    GOOD(0, cap_derive, handle(0, IRQ_ROOT), place(14), LINE, 1, EXO_IRQ_BIND, 0, 0);
    assert_true(JOB(0, cap_grant, handle(0, 14), handle(0, A_NAME + n), place(0), 0, 0) >= 0);
}

static void a_line_is_told_once_until_it_is_acked(void **state) {
    (void)state;
    people(2);
    lend_line(0);
    GOOD(1, irq_bind, handle(1, 0), LINE, 4);
    assert_true(host_line_enabled(1, LINE));
    host_line_level(LINE, true);
    CALL(1, wait, 4, EXO_NEVER);
    settle();
    assert_int_equal(runs(1), A);
    assert_int_equal(word(1, 0), 4);
    assert_int_equal(lines[LINE].raised, 1);
    assert_false(host_interrupt_pending(1));
    GOOD(1, irq_ack, handle(1, 0), LINE); /* it is up still */
    settle();
    assert_int_equal(lines[LINE].raised, 2);
    host_line_level(LINE, false);
    GOOD(1, irq_ack, handle(1, 0), LINE);
    GOOD(1, irq_ack, handle(1, 0), LINE); /* nothing to do */
    settle();
    assert_int_equal(lines[LINE].raised, 2);
    assert_int_equal(events_of(0) & 4, 4);
}

static void lines_are_exclusive(void **state) {
    (void)state;
    people(2);
    REFUSED(OVERLAP, 0, irq_bind, handle(0, IRQ_ROOT), 1, 4); /* a disk's */
    REFUSED(OVERLAP, 0, irq_ack, handle(0, IRQ_ROOT), 2);
    REFUSED(OVERLAP, 0, cap_derive, handle(0, IRQ_ROOT), place(14), 1, 2, EXO_IRQ_BIND, 0, 0);
    lend_line(0);
    REFUSED(OVERLAP, 0, irq_bind, handle(0, IRQ_ROOT), LINE, 4);
    REFUSED(RANGE, 1, irq_bind, handle(1, 0), LINE + 1, 4);
    REFUSED(SLOT, 1, irq_bind, 0, LINE, 4);
    REFUSED(CLASS, 0, irq_bind, handle(0, 0), LINE, 4);
    REFUSED(ARGUMENT, 1, irq_bind, handle(1, 0), LINE, 1ul << 56);
    GOOD(1, irq_bind, handle(1, 0), LINE, 4);
    REFUSED(BUSY, 1, irq_bind, handle(1, 0), LINE, 8);
    CALL(2, cap_derive, EXO_NONE, place(5), A, env_at(A)->gen, 0, 0, 0);
    REFUSED(BUSY, 1, cap_grant, handle(1, 0), EXO_NONE, place(5), B, env_at(B)->gen);
    GOOD(1, irq_bind, handle(1, 0), LINE, 0);
    assert_false(host_line_enabled(1, LINE));
    GOOD(1, cap_grant, handle(1, 0), EXO_NONE, place(5), B, env_at(B)->gen);
    GOOD(2, irq_bind, handle(2, 5), LINE, 4);
}

/* Cut or dead, masked or not: afterwards the line is nobody's and unmasked. */
static void a_line_is_taken_back(void **state) {
    (void)state;
    for (unsigned dies = 0; dies < 2; dies++) {
        people(1);
        lend_line(0);
        GOOD(1, irq_bind, handle(1, 0), LINE, 4);
        host_line_level(LINE, true);
        settle();
        assert_true(host_line_masked(LINE));
        if (dies) {
            CALL(1, exit, 0);
        } else {
            assert_int_equal(JOB(0, cap_revoke, handle(0, IRQ_ROOT), 1, 0), 0);
            assert_int_equal(EXO_CAP_STATE(slot(1, 0)->word), EXO_SLOT_LOST);
            GOOD(0, cap_drop, handle(0, A_NAME), A);
        }
        assert_int_equal(JOB(0, env_reap, A), 0);
        CALL(0, cap_drop, handle(0, A_NAME), 0);
        assert_false(host_line_enabled(1, LINE) || host_line_masked(LINE));
        assert_int_equal(lines[LINE].leader, 0);
        host_line_level(LINE, false);
    }
}

static void a_lacking_disk_is_left_out(void **state) {
    (void)state;
    for (unsigned lack = 0; lack < 2; lack++) {
        host_disks_make(2, SECTORS);
        if (lack)
            host_disks[0].version = 1;
        else
            host_disks[0].offered = 0;
        fixture_boot(state);
        assert_int_equal(disk_count, 1);
        assert_non_null(strstr(host_console, "exo: a disk is left out: it "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        DISK_TEST(a_request_is_done),
        DISK_TEST(an_error_goes_to_who_asked),
        DISK_TEST(requests_end_in_any_order),
        DISK_TEST(entries_limit_what_is_in_flight),
        DISK_TEST(a_long_ring_takes_several_kicks),
        DISK_TEST(what_a_batch_leaves_is_handled),
        DISK_TEST(a_kick_handles_what_has_ended),
        DISK_TEST(bad_chains_are_refused),
        DISK_TEST(a_refused_chain_stops_only_itself),
        DISK_TEST(the_disk_is_the_queues),
        DISK_TEST(the_device_sees_the_copy),
        DISK_TEST(ranges_are_bounded),
        DISK_TEST(entries_in_use_are_not_lent),
        DISK_TEST(what_is_in_use_is_not_given),
        DISK_TEST(a_queue_goes_with_its_capability),
        DISK_TEST(a_cut_waits_for_requests),
        DISK_TEST(memory_in_flight_is_waited_for),
        DISK_TEST(a_close_waits_for_requests),
        DISK_TEST(a_dead_programs_requests_end),
        DISK_TEST(wrong_arguments_are_refused),
        DISK_TEST(what_has_ended_is_not_late),
        DISK_TEST(a_late_request_resets_the_device),
        DISK_TEST(a_reset_is_believed_when_confirmed),
        DISK_TEST(a_device_that_is_gone_keeps_its_pins),
        DISK_TEST(a_device_that_lies_is_reset),
        DISK_TEST(a_line_is_told_once_until_it_is_acked),
        DISK_TEST(lines_are_exclusive),
        DISK_TEST(a_line_is_taken_back),
        DISK_TEST(a_lacking_disk_is_left_out),
    };
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
