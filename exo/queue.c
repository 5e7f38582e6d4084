/* SPDX-License-Identifier: MIT */
/* Virtqueues of programs: see queue.h. */
#include "queue.h"

#include "disk.h"
#include "env.h"
#include "event.h"
#include "space.h"

#define KICK_CHAINS 8   /* chains that one kick takes */
#define KICK_FRAMES 128 /* ... and no further one after so many frames */
#define HEADER_BYTES (sizeof(struct exo_block_header))
#define NAME_PLACE_BITS 10 /* of a header's name: index and table of the slot */

/* Word 1 of the QUEUE frame of an open or closing queue of this space. */
static uint64_t queue_word(const struct exo_env *leader) {
    return (uint64_t)EXO_TAG_QUEUE << EXO_TAG_SHIFT | leader->frame;
}

/* ---- open and close ---- */

/* An entry of the slot that is not lent and has no request, from this one on; EXO_ENTRIES: none. */
static uint64_t entry_find(const struct exo_cap *block, uint64_t entry) {
    const struct exo_entry *entries = disks[EXO_BLOCK_DISK(block->extra)].facts->entry;
    uint64_t first = EXO_BLOCK_ENTRY(block->extra), end = EXO_BLOCK_ENTRY_END(block->extra);
    for (uint64_t i = first; i < end; i++, entry++) {
        if (entry < first || entry >= end) entry = first;
        const struct exo_entry *at = &entries[entry];
        if (!read_once(at->queue) && read_once(at->holder) == cap_link(block)) return entry;
    }
    return EXO_ENTRIES;
}

static int64_t open_check(const struct exo_cap *block, const struct exo_cap *page, uint64_t ring,
                          uint64_t queue, uint64_t events, uint64_t windows) {
    int64_t error = cap_check(block, EXO_CLASS_BLOCK, 0);
    if (!error) error = cap_check(page, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return error;
    if (!cap_covers(page, ring, 1) || !cap_covers(page, queue, 1)) return EXO_ERANGE;
    if (ring == queue || !events || events & ~ENV_EVENTS || windows > EXO_WINDOWS_MAX)
        return EXO_EARGUMENT;
    if (!block->count || !cap_has_entries(block)) return EXO_ERANGE;
    if (page->depth >= EXO_DEPTH_MAX) return EXO_EDEPTH;
    if (block->match) return EXO_EBUSY;
    if (entry_find(block, 0) == EXO_ENTRIES) return EXO_EOVERLAP;
    if (!frame_claim(ring, EXO_FRAME_RING)) return EXO_EBUSY;
    if (frame_claim(queue, EXO_FRAME_QUEUE)) return 0;
    frame_unclaim(ring);
    return EXO_EBUSY;
}

struct result queue_open(uint64_t slot, uint64_t page_slot, uint64_t ring, uint64_t frame,
                         uint64_t events, uint64_t windows) {
    struct exo_env *space = tree_take();
    struct exo_cap *block = cap_find(space, slot), *page = cap_find(space, page_slot);
    int64_t error = open_check(block, page, ring, frame, events, windows);
    if (error) return tree_give(error);
    struct exo_queue *queue = frame_pointer(frame);
    arch_frame_clear(frame_pointer(ring));
    arch_frame_clear(queue);
    cap_donate(page, &queue->donation[0], frame);
    cap_donate(page, &queue->donation[1], ring);
    queue->state = EXO_QUEUE_OPEN;
    queue->disk = EXO_BLOCK_DISK(block->extra);
    queue->slot = cap_link(block);
    queue->ring = ring;
    queue->leader = space->frame;
    queue->events = events;
    queue->window_count = windows;
    const volatile uint64_t *vector = arch_hart()->ctx->vector;
    for (uint64_t i = 0; i < windows; i++) queue->window[i] = vector[i];
    block->match = frame;
    write_once(*frame_state(frame), queue_word(space));
    struct disk *disk = &disks[queue->disk];
    lock_take(&disk->lock);
    queue->next = disk->queues;
    disk->queues = frame;
    lock_release(&disk->lock);
    return tree_give(0);
}

int64_t queue_shut(uint64_t frame) {
    struct exo_queue *queue = frame_pointer(frame);
    struct disk *disk = &disks[queue->disk];
    struct lock *lock = space_lock(env_at(queue->leader));
    lock_take(lock);
    lock_take(&disk->lock);
    if (queue->state == EXO_QUEUE_OPEN) {
        uint64_t *link = &disk->queues;
        while (*link != frame) link = &((struct exo_queue *)frame_pointer(*link))->next;
        *link = queue->next;
        event_post(env_at(queue->leader), queue->events); /* no request tells any more */
    }
    queue->state = EXO_QUEUE_DEAD;
    if (queue->done != queue->seen) disk_batch(disk);
    int64_t value = queue->done == queue->seen ? 0 : disk_waits(disk);
    lock_release(&disk->lock);
    if (!value) {
        uint64_t ring = queue->ring;
        cap_at((uint32_t)queue->slot)->match = 0;
        cap_orphan(&queue->donation[0]);
        cap_orphan(&queue->donation[1]);
        frame_release(ring);
        frame_release(frame);
    }
    lock_release(lock);
    return value;
}

struct result queue_close(uint64_t frame) {
    int64_t value = EXO_EQUEUE;
    lock_take(&tree_lock);
    if (frame_exists(frame) && read_once(*frame_state(frame)) == queue_word(arch_hart()->space))
        value = queue_shut(frame);
    lock_release(&tree_lock);
    return answer(value);
}

/* ---- a chain ---- */

/* What a kick works on, all of it the caller's space's.  Under SPACE and DEVICE. */
struct kick {
    struct exo_env *space;
    struct exo_queue *queue;
    struct disk *disk;
    uint64_t frames;              /* pinned so far */
    const struct exo_cap *window; /* that covered a segment last, or NULL */
};

/* Copy a chain of descriptors into the request's table, the links by place.  0 or CHAIN. */
static int64_t chain_copy(const struct kick *kick, struct request *request) {
    const volatile struct exo_ring *ring = frame_pointer(kick->queue->ring);
    uint64_t limit = kick->disk->facts->segments + 2, next = request->head;
    for (uint32_t i = 0; i < limit && next < EXO_RING_SIZE; i++) {
        struct exo_descriptor *to = &request->table[i];
        *to = ring->descriptor[next];
        bool last = !(to->flags & EXO_DESCRIPTOR_NEXT);
        if (to->flags & EXO_DESCRIPTOR_INDIRECT) break;
        to->flags &= EXO_DESCRIPTOR_NEXT | EXO_DESCRIPTOR_WRITE;
        next = to->next;
        request->count = to->next = (uint16_t)(i + 1);
        if (last) return i ? 0 : EXO_ECHAIN;
    }
    return EXO_ECHAIN;
}

/* Does a window of the queue with this right, and DMA, cover a segment of at least a byte? */
static bool window_covers(struct kick *kick, const struct exo_descriptor *segment, uint64_t right) {
    uint64_t first = segment->address >> EXO_FRAME_SHIFT;
    uint64_t count = ((segment->address + segment->bytes - 1) >> EXO_FRAME_SHIFT) - first + 1;
    for (uint64_t i = 0;; i++) {
        const struct exo_cap *cap = kick->window;
        if (!cap_check(cap, EXO_CLASS_PAGE, right | EXO_PAGE_DMA) && cap_covers(cap, first, count))
            return true;
        if (i == kick->queue->window_count) return false;
        kick->window = cap_find(kick->space, kick->queue->window[i]);
    }
}

/*
 * Copy what the device must not see changed: HEADER_BYTES that one descriptor
 * names, aligned to 8 bytes.  0 or an error.
 */
static int64_t segment_copy(struct kick *kick, const struct exo_descriptor *segment, uint64_t *to) {
    uint64_t offset = segment->address % EXO_FRAME_BYTES;
    if (segment->bytes != HEADER_BYTES || segment->flags & EXO_DESCRIPTOR_WRITE || offset % 8 ||
        offset + HEADER_BYTES > EXO_FRAME_BYTES)
        return EXO_EHEADER;
    if (!window_covers(kick, segment, EXO_PAGE_R)) return EXO_EWINDOW;
    if (frame_type(segment->address >> EXO_FRAME_SHIFT) != EXO_FRAME_DATA) return EXO_ETYPE;
    const volatile uint64_t *from = arch_pointer(segment->address);
    to[0] = from[0];
    to[1] = from[1];
    return 0;
}

/* May the BLOCK capability that the header names be used for the request's sectors?  0 or an error. */
static int64_t block_check(const struct kick *kick, const struct request *request) {
    uint32_t name = request->header.name, type = request->header.type;
    bool reads = type == EXO_BLOCK_READ || type == EXO_BLOCK_FLUSH;
    uint64_t place = (uint64_t)(name & ((1u << NAME_PLACE_BITS) - 1)) << EXO_HANDLE_INDEX_SHIFT;
    const struct exo_cap *cap = cap_place(kick->space, place);
    uint32_t generation = cap ? (uint32_t)(cap->word >> EXO_HANDLE_GEN_SHIFT) : 0;
    if (!cap || ((generation ^ name >> NAME_PLACE_BITS) << NAME_PLACE_BITS)) return EXO_ESLOT;
    int64_t error = cap_check(cap, EXO_CLASS_BLOCK, reads ? EXO_BLOCK_R : EXO_BLOCK_W);
    if (error) return error;
    bool covers = !request->sectors || cap_covers(cap, request->sector, request->sectors);
    return covers && EXO_BLOCK_DISK(cap->extra) == kick->queue->disk ? 0 : EXO_ERANGE;
}

/* Check and pin the data of READ and WRITE.  With an error, pinned ones are in the table. */
static int64_t data_pin(struct kick *kick, struct request *request, bool reads) {
    uint64_t bytes = 0;
    for (uint32_t i = 1; i + 1 < request->count; i++) {
        const struct exo_descriptor *segment = &request->table[i];
        if (!segment->bytes || !(segment->flags & EXO_DESCRIPTOR_WRITE) == reads)
            return EXO_EREQUEST;
        bytes += segment->bytes;
        if (bytes > REQUEST_FRAMES * EXO_FRAME_BYTES) return EXO_EREQUEST;
        if (!window_covers(kick, segment, reads ? EXO_PAGE_W : EXO_PAGE_R)) return EXO_EWINDOW;
        if (!segment_pin(segment->address, segment->bytes)) return EXO_ETYPE;
        request->pinned = i;
        kick->frames += 1 + segment->bytes / EXO_FRAME_BYTES;
    }
    request->sectors = bytes / EXO_SECTOR_BYTES;
    return bytes && bytes % EXO_SECTOR_BYTES == 0 ? 0 : EXO_EREQUEST;
}

/* Check and copy the range of DISCARD and WRITE_ZEROES, which may have these flags. */
static int64_t range_take(struct kick *kick, struct request *request, uint32_t flags) {
    struct exo_descriptor *segment = &request->table[1];
    if (request->count != 3) return EXO_EREQUEST;
    int64_t error = segment_copy(kick, segment, (uint64_t *)&request->range);
    if (error) return error == EXO_EHEADER ? EXO_EREQUEST : error;
    request->sector = request->range.sector;
    request->sectors = request->range.sectors;
    segment->address = arch_address(&request->range);
    request->header.sector = 0;
    bool good = request->sectors && request->sectors <= EXO_DISCARD_MAX;
    return good && !(request->range.flags & ~flags) ? 0 : EXO_EREQUEST;
}

/* Check by type; from here on the table has the segments that the device will see. */
static int64_t body_take(struct kick *kick, struct request *request) {
    uint64_t features = kick->disk->facts->features;
    request->sector = request->header.sector;
    request->sectors = 0;
    switch (request->header.type) {
    case EXO_BLOCK_READ: return data_pin(kick, request, true);
    case EXO_BLOCK_WRITE: return data_pin(kick, request, false);
    case EXO_BLOCK_FLUSH:
        request->sector = request->header.sector = 0;
        return features & EXO_DISK_FLUSH && request->count == 2 ? 0 : EXO_EREQUEST;
    case EXO_BLOCK_DISCARD:
        return features & EXO_DISK_DISCARD ? range_take(kick, request, 0) : EXO_EREQUEST;
    case EXO_BLOCK_ZEROES:
        return features & EXO_DISK_ZEROES ? range_take(kick, request, 1) : EXO_EREQUEST;
    default: return EXO_EREQUEST;
    }
}

/* Copy and check a chain, and pin its frames.  With an error, what is pinned is in the table. */
static int64_t request_take(struct kick *kick, struct request *request) {
    int64_t error = chain_copy(kick, request);
    if (!error) error = segment_copy(kick, &request->table[0], (uint64_t *)&request->header);
    if (error) return error;
    struct exo_descriptor *status = &request->table[request->count - 1];
    if (status->bytes != 1 || !(status->flags & EXO_DESCRIPTOR_WRITE)) return EXO_EHEADER;
    if (!window_covers(kick, status, EXO_PAGE_W)) return EXO_EWINDOW;
    error = body_take(kick, request);
    if (!error) error = block_check(kick, request);
    if (error) return error;
    if (!segment_pin(status->address, 1)) return EXO_ETYPE;
    request->status_address = status->address;
    request->table[0].address = arch_address(&request->header);
    status->address = arch_address(&request->status);
    request->header.name = 0;
    request->leader = kick->space->frame;
    return 0;
}

/* ---- queue_kick ---- */

/* Take one chain.  0, AGAIN when no entry is free, or why the chain is refused. */
static int64_t chain_take(struct kick *kick, uint32_t head) {
    uint64_t entry = entry_find(cap_at((uint32_t)kick->queue->slot), kick->queue->entry);
    if (entry == EXO_ENTRIES) return EXO_EAGAIN;
    struct request *request = &kick->disk->requests[entry];
    request->head = head;
    request->pinned = 0;
    int64_t error = request_take(kick, request);
    if (error) {
        request_unpin(request);
        return error;
    }
    kick->disk->facts->entry[entry].queue = (uint32_t)frame_of(kick->queue);
    kick->queue->entry = entry + 1;
    kick->queue->seen++;
    disk_give(kick->disk, entry);
    return 0;
}

/* Take what the available ring has, in a bounded step. */
static struct result chains_take(struct kick *kick) {
    const struct exo_queue *queue = kick->queue;
    const volatile struct exo_ring *ring = frame_pointer(queue->ring);
    if (kick->disk->facts->state == EXO_DISK_RESETS)
        return (struct result){EXO_EAGAIN, queue->events};
    if (kick->disk->facts->state == EXO_DISK_GONE) return answer(EXO_EDEVICE);
    uint16_t index = __atomic_load_n(&ring->available_index, __ATOMIC_ACQUIRE);
    uint64_t count = (uint16_t)(index - (uint16_t)queue->seen), done = 0;
    struct result result = answer(count > EXO_RING_SIZE ? EXO_EINDEX : 0);
    while (!result.value && done < count) {
        bool full = done == KICK_CHAINS || kick->frames >= KICK_FRAMES;
        if (done && (full || arch_interrupt_pending())) {
            result.value = EXO_EAGAIN;
            break;
        }
        uint32_t head = ring->available[queue->seen % EXO_RING_SIZE];
        result.value = chain_take(kick, head);
        if (result.value) result.detail = result.value == EXO_EAGAIN ? queue->events : head;
        done += !result.value;
    }
    if (done) disk_ring(kick->disk);
    return result;
}

struct result queue_kick(uint64_t frame) {
    struct hart *hart = arch_hart();
    struct result result = {EXO_EQUEUE, 0};
    lock_take(hart->space_lock);
    /* The word names the space, so the frame stays its queue while SPACE is held. */
    bool own = frame_exists(frame) && read_once(*frame_state(frame)) == queue_word(hart->space);
    struct kick kick = {.space = hart->space, .queue = own ? frame_pointer(frame) : NULL};
    if (own && kick.queue->state == EXO_QUEUE_OPEN) {
        struct disk *disk = kick.disk = &disks[kick.queue->disk];
        lock_take(&disk->lock);
        if (disk_is_masked(disk) || disk->facts->state == EXO_DISK_RESETS) disk_batch(disk);
        result = chains_take(&kick);
        lock_release(&disk->lock);
    }
    lock_release(hart->space_lock);
    return result;
}
