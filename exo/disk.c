/* SPDX-License-Identifier: MIT */
/* Disks and their requests: see disk.h. */
#include "disk.h"

#include "env.h"
#include "event.h"
#include "irq.h"
#include "queue.h"
#include "slice.h"

#define BATCH 8       /* requests that one batch ends */
#define LEAVE_STEP 16 /* entries that one step of requests_leave looks at */
/* Row times until a request is late, and until a reset that was asked for is: 8 s. */
#define LATE_ROWS 8000

/* Registers of the transport (4.2.2). */
enum { MAGIC = 0x000, VERSION = 0x004, DEVICE_ID = 0x008, STATUS = 0x070 };
enum { DEVICE_FEATURES = 0x010, DEVICE_FEATURES_SELECT = 0x014 };
enum { DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SELECT = 0x024 };
enum { QUEUE_SELECT = 0x030, QUEUE_SIZE_MAX = 0x034, QUEUE_SIZE = 0x038, QUEUE_READY = 0x044 };
enum { QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060, INTERRUPT_ACK = 0x064 };
enum { QUEUE_DESCRIPTORS = 0x080, QUEUE_AVAILABLE = 0x090, QUEUE_USED = 0x0a0 };
enum { CONFIG_CAPACITY = 0x100, CONFIG_SEGMENTS = 0x10c };

#define MAGIC_VALUE 0x74726976
enum { MODERN = 2, DEVICE_BLOCK = 2 };
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };
/* FEATURE_MODERN is VERSION_1, in the high word. */
enum { FEATURE_SEGMENTS = 1 << 2, FEATURE_INDIRECT = 1 << 28, FEATURE_MODERN = 1 };
#define FEATURES_TOLD (EXO_DISK_READ_ONLY | EXO_DISK_FLUSH | EXO_DISK_DISCARD | EXO_DISK_ZEROES)

struct disk disks[EXO_DISKS_MAX];
uint64_t disk_count;
uint64_t disks_masked;

static uint32_t disk_read(const struct disk *disk, uint64_t offset) {
    return arch_register_read(disk->registers + offset);
}

static void disk_write(const struct disk *disk, uint64_t offset, uint32_t value) {
    arch_register_write(disk->registers + offset, value);
}

/* ---- finding and starting ---- */

/* Tell on the console why a block device is not used.  Returns false. */
static bool left_out(const char *why) {
    const char *texts[] = {"exo: a disk is left out: it ", why, "\n"};
    for (unsigned i = 0; i < 3; i++)
        while (*texts[i]) texts[i] += arch_console_write(texts[i], 1);
    return false;
}

/* Can the kernel drive this block device? */
static bool disk_suits(const struct disk *disk) {
    if (!disk->line) return left_out("has no interrupt line");
    if (disk_read(disk, VERSION) < MODERN)
        return left_out("is legacy (QEMU: -global virtio-mmio.force-legacy=false)");
    disk_write(disk, DEVICE_FEATURES_SELECT, 0);
    if (!(disk_read(disk, DEVICE_FEATURES) & FEATURE_INDIRECT))
        return left_out("has no indirect descriptors");
    disk_write(disk, QUEUE_SELECT, 0);
    if (disk_read(disk, QUEUE_SIZE_MAX) < EXO_ENTRIES) return left_out("has too small a queue");
    return true;
}

void disks_find(struct exo_info *facts) {
    disk_count = 0;
    for (uint32_t i = 0; i < facts->device_count && disk_count < EXO_DISKS_MAX; i++) {
        const struct exo_device *device = &facts->device[i];
        struct disk *disk = &disks[disk_count];
        *disk = (struct disk){
            .registers = device->address, .line = device->line, .bit = 1ul << disk_count};
        disk_count += device->kind == EXO_DEVICE_VIRTIO && disk_read(disk, MAGIC) == MAGIC_VALUE &&
                      disk_read(disk, DEVICE_ID) == DEVICE_BLOCK && disk_suits(disk);
    }
    facts->disk_count = (uint32_t)disk_count;
}

static void address_write(const struct disk *disk, uint64_t offset, const void *pointer) {
    disk_write(disk, offset, (uint32_t)arch_address(pointer));
    disk_write(disk, offset + 4, (uint32_t)(arch_address(pointer) >> 32));
}

/* Set up a device that was reset (3.1.1).  Returns whether it agrees. */
static bool disk_setup(struct disk *disk) {
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    arch_frame_clear(disk->ring);
    disk->available_index = disk->used_index = 0;
    disk->deadline = EXO_NEVER;
    disk_write(disk, STATUS, status);
    disk_write(disk, DEVICE_FEATURES_SELECT, 0);
    uint32_t features =
        disk_read(disk, DEVICE_FEATURES) & (FEATURE_SEGMENTS | FEATURE_INDIRECT | FEATURES_TOLD);
    disk_write(disk, DRIVER_FEATURES_SELECT, 0);
    disk_write(disk, DRIVER_FEATURES, features);
    disk_write(disk, DRIVER_FEATURES_SELECT, 1);
    disk_write(disk, DRIVER_FEATURES, FEATURE_MODERN);
    disk_write(disk, STATUS, status |= STATUS_FEATURES_OK);
    if (!(disk_read(disk, STATUS) & STATUS_FEATURES_OK)) return false;
    struct exo_disk *facts = disk->facts;
    facts->features = features & FEATURES_TOLD;
    facts->sectors =
        disk_read(disk, CONFIG_CAPACITY) | (uint64_t)disk_read(disk, CONFIG_CAPACITY + 4) << 32;
    facts->segments = features & FEATURE_SEGMENTS ? disk_read(disk, CONFIG_SEGMENTS) : 1;
    if (facts->segments > EXO_SEGMENTS_MAX) facts->segments = EXO_SEGMENTS_MAX;
    disk_write(disk, QUEUE_SELECT, 0);
    disk_write(disk, QUEUE_SIZE, EXO_ENTRIES);
    address_write(disk, QUEUE_DESCRIPTORS, disk->ring->descriptor);
    address_write(disk, QUEUE_AVAILABLE, &disk->ring->available_flags);
    address_write(disk, QUEUE_USED, &disk->ring->used_flags);
    disk_write(disk, QUEUE_READY, 1);
    disk_write(disk, STATUS, status | STATUS_DRIVER_OK);
    write_once(facts->state, EXO_DISK_RUNS);
    return true;
}

void disk_start(struct disk *disk, struct exo_disk *facts, void *frames) {
    disk->facts = facts;
    disk->ring = frames;
    disk->requests = (struct request *)((char *)frames + EXO_FRAME_BYTES);
    facts->line = disk->line;
    disk_write(disk, STATUS, 0);
    if (!disk_setup(disk)) write_once(facts->state, EXO_DISK_GONE);
    line_enable(arch_hart(), facts->line);
}

/* ---- pins ---- */

static uint64_t segment_end(uint64_t address, uint64_t bytes) {
    return ((address + bytes - 1) >> EXO_FRAME_SHIFT) + 1;
}

static void segment_unpin(uint64_t address, uint64_t bytes) {
    for (uint64_t frame = address >> EXO_FRAME_SHIFT; frame < segment_end(address, bytes); frame++)
        __atomic_fetch_sub(frame_word(frame), EXO_PIN_ONE, __ATOMIC_RELEASE);
}

bool segment_pin(uint64_t address, uint64_t bytes) {
    for (uint64_t frame = address >> EXO_FRAME_SHIFT; frame < segment_end(address, bytes);
         frame++) {
        uint64_t old = __atomic_fetch_add(frame_word(frame), EXO_PIN_ONE, __ATOMIC_ACQUIRE);
        if (likely(old >> EXO_TYPE_SHIFT == EXO_FRAME_DATA)) continue;
        segment_unpin(address, ((frame + 1) << EXO_FRAME_SHIFT) - address);
        return false;
    }
    return true;
}

void request_unpin(const struct request *request) {
    for (uint32_t i = 1; i <= request->pinned; i++)
        segment_unpin(request->table[i].address, request->table[i].bytes);
}

/* ---- requests ---- */

void disk_give(struct disk *disk, uint64_t entry) {
    struct request *request = &disk->requests[entry];
    struct exo_ring *ring = disk->ring;
    ring->descriptor[entry] = (struct exo_descriptor){
        arch_address(request->table), request->count * (uint32_t)sizeof(*request->table),
        EXO_DESCRIPTOR_INDIRECT, 0};
    ring->available[disk->available_index++ % EXO_RING_SIZE] = (uint16_t)entry;
    request->since = arch_time();
    disk->facts->requests++;
    write_once(disk->in_flight, disk->in_flight + 1);
    if (disk->in_flight > 1) return;
    disk->deadline = request->since + LATE_ROWS * arch_hart()->row_ticks;
    deadline_lower(arch_hart(), disk->deadline);
}

void disk_ring(struct disk *disk) {
    __atomic_store_n(&disk->ring->available_index, disk->available_index, __ATOMIC_RELEASE);
    disk_write(disk, QUEUE_NOTIFY, 0);
}

/* A request has ended, or never will: let go of its frames and tell its program. */
static void request_end(struct disk *disk, uint64_t entry, uint8_t status, uint32_t bytes) {
    struct request *request = &disk->requests[entry];
    struct exo_queue *queue = frame_pointer(disk->facts->entry[entry].queue);
    if (queue->state == EXO_QUEUE_OPEN) {
        struct exo_ring *ring = frame_pointer(queue->ring);
        *(volatile uint8_t *)arch_pointer(request->status_address) = status;
        ring->used[queue->done % EXO_RING_SIZE] = (struct exo_used){request->head, bytes};
        __atomic_store_n(&ring->used_index, (uint16_t)(queue->done + 1), __ATOMIC_RELEASE);
        event_post(env_at(queue->leader), queue->events);
    }
    queue->done++;
    queue->errors += status != EXO_BLOCK_OK;
    disk->facts->errors += status != EXO_BLOCK_OK;
    request_unpin(request);
    segment_unpin(request->status_address, 1);
    write_once(disk->in_flight, disk->in_flight - 1);
    write_once(disk->facts->entry[entry].queue, 0);
}

/* Ask for a reset (2.1, 4.2.2): until the device confirms it may still write. */
static void disk_reset(struct disk *disk) {
    if (disk->facts->state != EXO_DISK_RUNS) return;
    write_once(disk->facts->state, EXO_DISK_RESETS);
    disk->facts->resets++;
    disk->deadline = arch_time() + LATE_ROWS * arch_hart()->row_ticks;
    deadline_lower(arch_hart(), arch_time() + arch_hart()->row_ticks); /* then it is looked at */
    disk_write(disk, STATUS, 0);
}

/*
 * A step of a reset: once the device confirms, its requests fail and it starts
 * anew.  One that does not in time, or disagrees then, is GONE.
 */
static void reset_step(struct disk *disk) {
    bool confirmed = !disk_read(disk, STATUS);
    unsigned left = confirmed ? BATCH : 0;
    for (uint64_t entry = 0; entry < EXO_ENTRIES && left; entry++)
        if (disk->facts->entry[entry].queue) {
            request_end(disk, entry, EXO_BLOCK_IOERR, 0);
            left--;
        }
    if (confirmed ? disk->in_flight : arch_time() < disk->deadline) return;
    if (!confirmed || !disk_setup(disk)) {
        write_once(disk->facts->state, EXO_DISK_GONE);
        disk->deadline = EXO_NEVER;
    }
    const struct exo_queue *queue; /* may have been told to wait for the end of the reset */
    for (uint64_t frame = disk->queues; frame; frame = queue->next) {
        queue = frame_pointer(frame);
        event_post(env_at(queue->leader), queue->events);
    }
}

/* Has the device, which runs, ended something that was not handled? */
static bool disk_ended(const struct disk *disk) {
    return disk->facts->state == EXO_DISK_RUNS &&
           disk->used_index != __atomic_load_n(&disk->ring->used_index, __ATOMIC_ACQUIRE);
}

void disk_batch(struct disk *disk) {
    disk_write(disk, INTERRUPT_ACK, disk_read(disk, INTERRUPT_STATUS));
    if (disk->facts->state == EXO_DISK_RESETS) reset_step(disk);
    for (unsigned i = 0; i < BATCH && disk_ended(disk); i++) {
        struct exo_used used = disk->ring->used[disk->used_index++ % EXO_RING_SIZE];
        if (used.id < EXO_ENTRIES && disk->facts->entry[used.id].queue)
            request_end(disk, used.id, disk->requests[used.id].status, used.bytes);
        else
            disk_reset(disk); /* it lies */
    }
    if (!disk_is_masked(disk) || disk_ended(disk)) return;
    __atomic_fetch_and(&disks_masked, ~disk->bit, __ATOMIC_RELAXED);
    line_complete(disk->line);
}

void disk_interrupt(uint64_t line) {
    for (const struct disk *disk = disks; disk < disks + disk_count; disk++)
        if (disk->line == line) __atomic_fetch_or(&disks_masked, disk->bit, __ATOMIC_RELAXED);
}

void disks_batch(void) {
    for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
        if (!disk_is_masked(disk)) continue;
        lock_take(&disk->lock);
        disk_batch(disk);
        lock_release(&disk->lock);
    }
}

/* ---- the I/O timeout ---- */

/* A deadline of the disk has passed, or it resets.  What has ended is not late. */
static void disk_late(struct disk *disk, uint64_t now) {
    uint64_t limit = LATE_ROWS * arch_hart()->row_ticks, oldest = EXO_NEVER;
    disk_batch(disk);
    if (disk->facts->state != EXO_DISK_RUNS || disk_ended(disk)) return;
    for (uint64_t entry = 0; entry < EXO_ENTRIES; entry++)
        if (disk->facts->entry[entry].queue && disk->requests[entry].since + limit < oldest)
            oldest = disk->requests[entry].since + limit;
    disk->deadline = oldest;
    if (now >= oldest) disk_reset(disk);
}

uint64_t disks_late(uint64_t now) {
    uint64_t first = EXO_NEVER, soon = now + arch_hart()->row_ticks;
    for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
        if (!read_once(disk->in_flight) && read_once(disk->facts->state) != EXO_DISK_RESETS)
            continue;
        lock_take(&disk->lock);
        if (now >= disk->deadline || disk->facts->state == EXO_DISK_RESETS) disk_late(disk, now);
        bool more = disk->facts->state == EXO_DISK_RESETS || disk->deadline <= now;
        uint64_t next = more ? soon : disk->deadline;
        lock_release(&disk->lock);
        if (next < first) first = next;
    }
    return first;
}

/* ---- cuts ---- */

/* Does the request use frames [first, end)? */
static bool request_pins(const struct request *request, uint64_t first, uint64_t end) {
    uint64_t status = request->status_address >> EXO_FRAME_SHIFT;
    bool pins = first <= status && status < end;
    for (uint32_t i = 1; i <= request->pinned; i++) {
        const struct exo_descriptor *segment = &request->table[i];
        pins |= segment->address >> EXO_FRAME_SHIFT < end &&
                segment_end(segment->address, segment->bytes) > first;
    }
    return pins;
}

/* Does a request of this space in this entry use names [first, end) of the slot, or (all) its entries? */
static bool entry_uses(const struct disk *disk, uint64_t entry, const struct exo_env *space,
                       const struct exo_cap *slot, uint64_t first, uint64_t end) {
    const struct request *request = &disk->requests[entry];
    if (!disk->facts->entry[entry].queue || request->leader != space->frame) return false;
    if (EXO_CAP_CLASS(slot->word) == EXO_CLASS_PAGE) return request_pins(request, first, end);
    if (disk != &disks[EXO_BLOCK_DISK(slot->extra)]) return false;
    struct names own = names_of(EXO_CLASS_BLOCK, 0, 0, slot->extra);
    bool sectors = request->sector < end && request->sector + request->sectors > first;
    return sectors || (first == slot->first && own.first <= entry && entry < own.end);
}

int64_t requests_leave(const struct exo_env *space, const struct exo_cap *slot,
                       uint64_t *progress) {
    uint64_t first = slot->first + slot->count;
    for (unsigned i = 0; i < LEAVE_STEP; i++, ++*progress) {
        if (*progress == disk_count * EXO_ENTRIES) return 0;
        struct disk *disk = &disks[*progress / EXO_ENTRIES];
        uint64_t entry = *progress % EXO_ENTRIES;
        lock_take(&disk->lock);
        bool uses = disk->requests[entry].since <= slot->began &&
                    entry_uses(disk, entry, space, slot, first, first + slot->tail);
        if (uses) disk_batch(disk);
        lock_release(&disk->lock);
        if (uses) return disk_waits(disk);
    }
    return EXO_EAGAIN;
}

bool requests_use(const struct exo_env *space, const struct exo_cap *slot, bool sectors) {
    struct disk *disk = &disks[EXO_BLOCK_DISK(slot->extra)];
    uint64_t end = sectors ? cap_end(slot) : 0;
    bool uses = false;
    lock_take(&disk->lock);
    for (uint64_t entry = 0; entry < EXO_ENTRIES && !uses; entry++)
        uses = entry_uses(disk, entry, space, slot, slot->first, end);
    lock_release(&disk->lock);
    return uses;
}
