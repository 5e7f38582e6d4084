/* SPDX-License-Identifier: MIT */
/*
 * A disk's queue, driven by hand: what goes well, each way in which a chain can
 * be wrong, and calls with wrong arguments.  A refused chain is not taken,
 * leaves no pin behind and gives no request to the device.
 *
 * Runs with a disk as the first program; without one it says so and ends well.
 */
#include <string.h>

#include "calls.h"
#include "check.h"

#define EVENT 1
#define PATTERN 0x5aul
#define SECTORS_OF_A_FRAME (EXO_FRAME_BYTES / EXO_SECTOR_BYTES)

static volatile struct exo_ring *ring;
static const volatile struct exo_queue *queue;
static const volatile struct exo_disk *disk;
static uint64_t block, ring_frame, queue_frame, memory_frame, memory_frames, windows;
static volatile uint8_t *memory;
static uint16_t index_; /* of the available ring, as this driver counts it */

static uint64_t address_of(const volatile void *pointer) {
    return (memory_frame << EXO_FRAME_SHIFT) +
           (uint64_t)((const volatile uint8_t *)pointer - memory);
}

/* ---- a chain: header at memory, status behind it, data from the next frame on ---- */

static volatile struct exo_block_header *header(void) { return (void *)memory; }
static volatile struct exo_block_range *range(void) { return (void *)(memory + 64); }
static volatile uint8_t *status(void) { return memory + 16; }
static volatile uint8_t *data(void) { return memory + EXO_FRAME_BYTES; }

static void describe(uint16_t at, uint64_t address, uint32_t bytes, uint16_t flags, uint16_t next) {
    ring->descriptor[at].address = address;
    ring->descriptor[at].bytes = bytes;
    ring->descriptor[at].flags = flags;
    ring->descriptor[at].next = next;
}

/* A good chain of one segment, descriptors 0 to 2. */
static void chain(uint32_t type, uint64_t sector, uint32_t bytes) {
    header()->type = type;
    header()->name = EXO_BLOCK_NAME(block);
    header()->sector = sector;
    *status() = 0xff;
    uint16_t write = type == EXO_BLOCK_READ ? EXO_DESCRIPTOR_WRITE : 0;
    describe(0, address_of(header()), sizeof(*header()), EXO_DESCRIPTOR_NEXT, 1);
    describe(1, address_of(data()), bytes, EXO_DESCRIPTOR_NEXT | write, 2);
    describe(2, address_of(status()), 1, EXO_DESCRIPTOR_WRITE, 0);
}

static void offer(uint16_t head) {
    ring->available[index_ % EXO_RING_SIZE] = head;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring->available_index = ++index_;
}

static void take_back(void) { ring->available_index = --index_; }

/* The chain ends well within the patience. */
static bool ends(void) {
    uint64_t done = queue->done;
    offer(0);
    struct exo_result result = exo_queue_kick(queue_frame);
    if (result.value) {
        printf("# kick: %s\n", sys_error_name(result.value));
        return false;
    }
    return WAIT(queue->done != done) && *status() == EXO_BLOCK_OK;
}

/* ---- what goes well ---- */

static void goes_well(void) {
    for (uint64_t i = 0; i < EXO_FRAME_BYTES; i++) data()[i] = (uint8_t)(PATTERN ^ i);
    chain(EXO_BLOCK_WRITE, 8, EXO_FRAME_BYTES);
    check(ends(), "a frame is written");
    for (uint64_t i = 0; i < EXO_FRAME_BYTES; i++) data()[i] = 0;
    chain(EXO_BLOCK_READ, 8, EXO_FRAME_BYTES);
    check(ends(), "... and read");
    bool same = true;
    for (uint64_t i = 0; i < EXO_FRAME_BYTES; i++) same &= data()[i] == (uint8_t)(PATTERN ^ i);
    check(same, "it has what was written");
    check(ring->used_index == (uint16_t)queue->done && queue->errors == 0, "the used ring tells");
    check(exo_wait(1ul << EVENT, EXO_NEVER).value == 1 << EVENT, "the event was set");
    if (disk->features & EXO_DISK_FLUSH) {
        chain(EXO_BLOCK_FLUSH, 0, 1);
        describe(0, address_of(header()), sizeof(*header()), EXO_DESCRIPTOR_NEXT, 2);
        check(ends(), "a flush ends");
    }
    if (disk->features & EXO_DISK_ZEROES) {
        chain(EXO_BLOCK_ZEROES, 0, 16);
        *range() = (struct exo_block_range){8, SECTORS_OF_A_FRAME, 0};
        ring->descriptor[1].address = address_of(range());
        check(ends(), "zeroes are written");
        chain(EXO_BLOCK_READ, 8, EXO_FRAME_BYTES);
        bool zero = ends();
        for (uint64_t i = 0; i < EXO_FRAME_BYTES; i++) zero &= data()[i] == 0;
        check(zero, "... and read");
    }
}

/* Many in flight at once: as many chains as the ring has room for, each its own sector. */
static void many_at_once(void) {
    uint64_t done = queue->done, chains = EXO_RING_SIZE / 3, result = 0;
    for (uint64_t i = 0; i < chains; i++) {
        volatile struct exo_block_header *at = (void *)(memory + 1024 + 32 * i);
        at->type = EXO_BLOCK_READ;
        at->name = EXO_BLOCK_NAME(block);
        at->sector = i;
        uint16_t first = (uint16_t)(3 * i);
        describe(first, address_of(at), sizeof(*at), EXO_DESCRIPTOR_NEXT, first + 1);
        describe(first + 1, address_of(data()) + i * EXO_SECTOR_BYTES, EXO_SECTOR_BYTES,
                 EXO_DESCRIPTOR_NEXT | EXO_DESCRIPTOR_WRITE, first + 2);
        describe(first + 2, address_of((volatile uint8_t *)at + 16), 1, EXO_DESCRIPTOR_WRITE, 0);
        offer(first);
    }
    uint64_t kicks = 0;
    do result = (uint64_t)exo_queue_kick(queue_frame).value;
    while ((int64_t)result == EXO_EAGAIN && kicks++ < 100);
    check(result == 0 && queue->seen == done + chains, "%lu chains are taken by %lu kicks", chains,
          kicks + 1);
    check(WAIT(queue->done == done + chains), "all end");
}

/* ---- what is refused ---- */

static uint64_t pins(void) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < memory_frames; i++) {
        const volatile struct exo_frame *words = (const volatile void *)check_words;
        sum += words[memory_frame + i - sys_info()->ram_first].word0 & 0xffffff;
    }
    return sum;
}

/* The chain that head names is refused with this error, and nothing has changed. */
static void refused(int64_t error, const char *what, uint16_t head) {
    uint64_t seen = queue->seen, requests = disk->requests;
    offer(head);
    struct exo_result result = exo_queue_kick(queue_frame);
    bool same = queue->seen == seen && disk->requests == requests && pins() == 0;
    check(result.value == error && same && (result.detail == head || error == EXO_EINDEX),
          "%s: %s%s", what, sys_error_name(result.value), same ? "" : ", but something changed");
    take_back();
}

/* A chain that is good but for one change. */
#define BAD(error, what, change)        \
    do {                                \
        chain(EXO_BLOCK_READ, 0, 512);  \
        change;                         \
        refused(EXO_E##error, what, 0); \
    } while (0)

static void bad_chains(void) {
    refused(EXO_ECHAIN, "a head out of bounds", EXO_RING_SIZE);
    BAD(CHAIN, "a link out of bounds", ring->descriptor[1].next = EXO_RING_SIZE);
    BAD(CHAIN, "a loop", (ring->descriptor[1].next = 1));
    BAD(CHAIN, "a loop to itself", (ring->descriptor[0].next = 0));
    BAD(CHAIN, "one descriptor", ring->descriptor[0].flags = 0);
    BAD(CHAIN, "an indirect table", ring->descriptor[1].flags |= EXO_DESCRIPTOR_INDIRECT);
    BAD(HEADER, "a header of 15 bytes", ring->descriptor[0].bytes = 15);
    BAD(HEADER, "a header of no byte", ring->descriptor[0].bytes = 0);
    BAD(HEADER, "a header that the device writes", ring->descriptor[0].flags |= 2);
    BAD(HEADER, "a header over two frames", ring->descriptor[0].address += EXO_FRAME_BYTES - 8);
    BAD(HEADER, "a status of two bytes", ring->descriptor[2].bytes = 2);
    BAD(HEADER, "a status that the device reads", ring->descriptor[2].flags = 0);
    BAD(REQUEST, "data of no byte", ring->descriptor[1].bytes = 0);
    BAD(REQUEST, "data of 511 bytes", ring->descriptor[1].bytes = 511);
    BAD(REQUEST, "data in the wrong direction", ring->descriptor[1].flags = 1);
    BAD(REQUEST, "an unknown type", header()->type = 99);
    BAD(REQUEST, "GET_ID", header()->type = 8);
    BAD(REQUEST, "no data", ring->descriptor[0].next = 2);
    BAD(REQUEST, "2 MiB of data", ring->descriptor[1].bytes = 0x200000);
    BAD(WINDOW, "data at 0", ring->descriptor[1].address = 0);
    BAD(WINDOW, "data at the end of all addresses", ring->descriptor[1].address = -512ul);
    BAD(WINDOW, "data behind the end", ring->descriptor[1].address = -1ul);
    BAD(TYPE, "data in the kernel", ring->descriptor[1].address = 0x80200000);
    BAD(REQUEST, "data of 4 GiB", ring->descriptor[1].bytes = 0xfffffe00);
    BAD(TYPE, "data in the RING frame",
        ring->descriptor[1].address = ring_frame << EXO_FRAME_SHIFT);
    BAD(TYPE, "data in the QUEUE frame",
        ring->descriptor[1].address = queue_frame << EXO_FRAME_SHIFT);
    BAD(TYPE, "a status in the QUEUE frame",
        ring->descriptor[2].address = queue_frame << EXO_FRAME_SHIFT);
    BAD(TYPE, "a header in the ENV frame",
        ring->descriptor[0].address = sys_env()->frame << EXO_FRAME_SHIFT);
    BAD(RANGE, "a sector past the end", header()->sector = disk->sectors);
    BAD(RANGE, "a sector that wraps", header()->sector = -1ul);
    BAD(SLOT, "an old generation", header()->name += 1u << 10);
    BAD(SLOT, "an empty slot", header()->name = 0x3ff);
    BAD(CLASS, "a PAGE slot", header()->name = EXO_BLOCK_NAME(frame_slot(memory_frame)));
}

static void bad_ranges(void) {
    if (!(disk->features & EXO_DISK_DISCARD)) return;
    static const struct {
        const char *what;
        int64_t error;
        struct exo_block_range range;
    } bad[] = {
        {"no sector", EXO_EREQUEST, {0, 0, 0}},
        {"too many sectors", EXO_EREQUEST, {0, EXO_DISCARD_MAX + 1, 0}},
        {"sectors past the end", EXO_ERANGE, {1ul << 40, 8, 0}},
        {"an unknown flag", EXO_EREQUEST, {0, 8, 2}},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        chain(EXO_BLOCK_DISCARD, 0, sizeof(*range()));
        *range() = bad[i].range;
        ring->descriptor[1].address = address_of(range());
        refused(bad[i].error, bad[i].what, 0);
    }
    chain(EXO_BLOCK_DISCARD, 0, 8);
    refused(EXO_EREQUEST, "a range of 8 bytes", 0);
}

/* A rising number of descriptors: the last that fits is taken, the first that does not is not. */
static void long_chains(void) {
    uint64_t segments = disk->segments;
    for (uint64_t count = segments; count <= segments + 1; count++) {
        chain(EXO_BLOCK_READ, 0, 512);
        for (uint16_t i = 1; i <= count; i++)
            describe(i, address_of(data()) + i * 512ul, 512, 3, (uint16_t)(i + 1));
        describe((uint16_t)(count + 1), address_of(status()), 1, EXO_DESCRIPTOR_WRITE, 0);
        if (count == segments)
            check(ends(), "a chain of %lu segments", count);
        else
            refused(EXO_ECHAIN, "a chain of one segment more", 0);
    }
}

static void bad_index(void) {
    chain(EXO_BLOCK_READ, 0, 512);
    uint16_t good = index_;
    for (uint64_t i = 0; i < 3; i++) {
        static const uint16_t far[] = {EXO_RING_SIZE + 1, 0x8000, 0xffff};
        ring->available_index = (uint16_t)(good + far[i]);
        struct exo_result result = exo_queue_kick(queue_frame);
        check(result.value == EXO_EINDEX, "%u chains available: %s", far[i],
              sys_error_name(result.value));
    }
    ring->available_index = good;
}

static void bad_arguments(void) {
    uint64_t page = frame_slot(memory_frame), free[2] = {frame_alloc(), frame_alloc()};
    REFUSED(QUEUE, "kick of 0", exo_queue_kick(0));
    REFUSED(QUEUE, "kick of a frame outside memory", exo_queue_kick(-1ul));
    REFUSED(QUEUE, "kick of the RING frame", exo_queue_kick(ring_frame));
    REFUSED(QUEUE, "kick of the ENV frame", exo_queue_kick(sys_env()->frame));
    REFUSED(QUEUE, "close of a DATA frame", exo_queue_close(memory_frame));
    REFUSED(BUSY, "a second queue", exo_queue_open(block, page, free[0], free[1], 1, 0));
    REFUSED(SLOT, "open with no slot", exo_queue_open(EXO_NONE, page, free[0], free[1], 1, 0));
    REFUSED(CLASS, "open with a PAGE slot", exo_queue_open(page, page, free[0], free[1], 1, 0));
    REFUSED(CLASS, "open with frames of a BLOCK slot",
            exo_queue_open(block, block, free[0], free[1], 1, 0));
    REFUSED(RANGE, "open with frames outside", exo_queue_open(block, page, 0, free[1], 1, 0));
    REFUSED(ARGUMENT, "open with one frame", exo_queue_open(block, page, free[0], free[0], 1, 0));
    REFUSED(ARGUMENT, "open without an event", exo_queue_open(block, page, free[0], free[1], 0, 0));
    REFUSED(ARGUMENT, "open with a kernel's event",
            exo_queue_open(block, page, free[0], free[1], 1ul << 56, 0));
    REFUSED(ARGUMENT, "open with 9 windows", exo_queue_open(block, page, free[0], free[1], 1, 9));
    uint64_t into = (uint64_t)mem_slot();
    REFUSED(BUSY, "derive entries from under an open queue",
            exo_cap_derive(block, into, 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(0, 4)));
    REFUSED(RANGE, "derive entries that there are not",
            exo_cap_derive(block, into, 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(0, 4000)));
    REFUSED(RANGE, "derive entries backwards",
            exo_cap_derive(block, into, 0, 8, EXO_BLOCK_R, 0, EXO_BLOCK_EXTRA(4, 2)));
    uint64_t part = DONE("derive sectors", exo_cap_derive(block, into, 16, 8, EXO_BLOCK_R, 0, 0));
    REFUSED(RANGE, "open without entries", exo_queue_open(part, page, free[0], free[1], 1, 0));
    uint64_t whole = block;
    block = part;
    BAD(RANGE, "a sector before the part", header()->sector = 15);
    BAD(RANGE, "a sector behind the part", header()->sector = 24);
    chain(EXO_BLOCK_WRITE, 16, 512);
    refused(EXO_ERIGHTS, "a write to a part that is for reading", 0);
    chain(EXO_BLOCK_READ, 16, 512);
    check(ends(), "a read through the part");
    block = whole;
    DONE("drop the part", exo_cap_drop(part, 16));
    frame_free(free[0], 1);
    frame_free(free[1], 1);
}

/* ---- taking back with requests in flight ---- */

static void open_queue(uint64_t slot) {
    uint64_t page = frame_slot(memory_frame);
    sys_ctx()->vector[0] = windows;
    DONE("open", exo_queue_open(slot, page, ring_frame, queue_frame, 1ul << EVENT, 1));
    ring = mem_map_frames(page, ring_frame, 1, EXO_PAGE_R | EXO_PAGE_W);
    queue = mem_map_frames(page, queue_frame, 1, EXO_PAGE_R);
    index_ = 0;
}

static void close_queue(void) {
    int64_t value;
    while ((value = exo_queue_close(queue_frame).value) == EXO_EAGAIN) rest(microseconds(50));
    check(value == 0, "close");
    check(pins() == 0, "no frame stays pinned");
    mem_unmap_frames((void *)(uintptr_t)ring);
    mem_unmap_frames((void *)(uintptr_t)queue);
}

/* A window that is cut while a request uses it goes only when the request has ended. */
static void cut_in_flight(void) {
    uint64_t root = frame_slot(memory_frame), into = (uint64_t)mem_slot();
    windows =
        DONE("a window of its own", exo_cap_derive(root, into, memory_frame, memory_frames,
                                                   EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_DMA, 0, 0));
    open_queue(block);
    for (unsigned i = 0; i < 16; i++) {
        chain(EXO_BLOCK_READ, 0, 64 * EXO_FRAME_BYTES);
        offer(0);
        if (exo_queue_kick(queue_frame).value) break;
    }
    int64_t value;
    while ((value = exo_cap_drop(windows, memory_frame).value) == EXO_EAGAIN) {
    }
    check(value == 0, "the window is dropped");
    check(WAIT(queue->done == queue->seen), "what was in flight ends"); /* by the root's right */
    chain(EXO_BLOCK_READ, 0, 512);
    refused(EXO_EWINDOW, "a request through a dropped window", 0);
    close_queue();
    windows = root;
}

int main(void) {
    check_begin("hostile_queue");
    const struct exo_info *info = sys_info();
    if (!info->disk_count) {
        printf("# there is no disk\n");
        return check_end();
    }
    for (uint32_t i = 0; i < info->root_count; i++)
        if (info->root[i].class == EXO_CLASS_BLOCK) block = info->root[i].handle;
    disk = mem_map_frames(EXO_NONE, info->disk_table, 1, EXO_PAGE_R);
    check(disk->state == EXO_DISK_RUNS && disk->sectors, "a disk of %lu sectors, %lu segments",
          disk->sectors, disk->segments);
    memory_frames = 80;
    memory_frame = frame_alloc_range(memory_frames, 1, NULL);
    ring_frame = frame_alloc();
    queue_frame = frame_alloc();
    windows = frame_slot(memory_frame);
    memory = mem_map_frames(windows, memory_frame, memory_frames, EXO_PAGE_R | EXO_PAGE_W);
    open_queue(block);
    goes_well();
    many_at_once();
    bad_chains();
    bad_ranges();
    long_chains();
    bad_index();
    bad_arguments();
    close_queue();
    REFUSED(QUEUE, "kick of a closed queue", exo_queue_kick(queue_frame));
    cut_in_flight();
    return check_end();
}
