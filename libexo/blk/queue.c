/* SPDX-License-Identifier: MIT */
/*
 * Requests and the virtqueue: see exo/blk.h.
 *
 * A chain is laid out once and stays as it is until the kernel has taken it and
 * its request has ended.  What the kernel refuses is taken out of the available
 * ring again, where it is the first that the kernel has not taken.
 *
 * The kernel writes the used ring from any hart, so its index is read with
 * acquire order before anything that a request brought.
 *
 * `done` is called from blk_poll only, when all here is as it should be: it may
 * call any of these functions.
 */
#include <exo/event.h>

#include "blk.h"

#define NONE EXO_RING_SIZE /* end of the chain of free descriptors */

static void list_add(struct blk_request ***end, struct blk_request *request) {
    request->next = NULL;
    **end = request;
    *end = &request->next;
}

static struct blk_request *list_take(struct blk_request **first, struct blk_request ***end) {
    struct blk_request *request = *first;

    if (!request) return NULL;
    *first = request->next;
    if (!*first) *end = first;
    return request;
}

/* ---- chains */

void blk_begin(struct blk *blk) {
    for (unsigned i = 0; i < EXO_RING_SIZE; i++)
        blk->ring->descriptor[i].next = (uint16_t)(i + 1); /* the last: NONE */
    blk->free = 0;
    blk->free_count = EXO_RING_SIZE;
    blk->waiting_end = &blk->waiting;
    blk->refused_end = &blk->refused;
}

/* Put the chain that begins with `head` back. */
static void chain_free(struct blk *blk, uint64_t head) {
    volatile struct exo_descriptor *last = &blk->ring->descriptor[head];
    uint64_t count = 1;

    for (; last->flags & EXO_DESCRIPTOR_NEXT; count++) last = &blk->ring->descriptor[last->next];
    last->next = (uint16_t)blk->free;
    blk->free = head;
    blk->free_count += count;
}

/* Fill a descriptor of a chain that is being laid out.  Returns the next free one. */
static uint64_t chain_add(const struct blk *blk, uint64_t place, uint64_t address, uint32_t bytes,
                          uint16_t flags) {
    volatile struct exo_descriptor *descriptor = &blk->ring->descriptor[place];

    descriptor->address = address;
    descriptor->bytes = bytes;
    descriptor->flags = flags;
    return descriptor->next;
}

static bool has_range(const struct blk_request *request) {
    return request->type == EXO_BLOCK_DISCARD || request->type == EXO_BLOCK_ZEROES;
}

/* Descriptors of a request: header, segments or range, status. */
static uint64_t chain_length(const struct blk_request *request) {
    return 2ul + (has_range(request) ? 1 : request->segment_count);
}

/* Lay a request out.  There are enough free descriptors. */
static void chain_lay(struct blk *blk, struct blk_request *request) {
    uint64_t head = blk->free, next;
    struct blk_area *area = &blk->areas[head];
    uint64_t address = blk->areas_address + head * sizeof(*area);
    uint16_t flags = EXO_DESCRIPTOR_NEXT;

    area->header = (struct exo_block_header){request->type, blk->name, request->sector};
    next = chain_add(blk, head, address, sizeof(area->header), flags);
    if (has_range(request)) {
        area->header.sector = 0;
        area->range = (struct exo_block_range){request->sector, (uint32_t)request->sectors, 0};
        next = chain_add(blk, next, address + offsetof(struct blk_area, range), sizeof(area->range),
                         flags);
    }
    if (request->type == EXO_BLOCK_READ) flags |= EXO_DESCRIPTOR_WRITE;
    for (uint32_t i = 0; i < request->segment_count; i++)
        next =
            chain_add(blk, next, request->segments[i].address, request->segments[i].bytes, flags);
    blk->free =
        chain_add(blk, next, address + offsetof(struct blk_area, status), 1, EXO_DESCRIPTOR_WRITE);
    blk->free_count -= chain_length(request);
    blk->of_head[head] = request;
    blk->ring->available[blk->offered++ % EXO_RING_SIZE] = (uint16_t)head;
    blk->untaken = true;
}

/* ---- what ends without the device */

static void refuse(struct blk *blk, struct blk_request *request, int64_t error) {
    request->refusal = error;
    list_add(&blk->refused_end, request);
}

/* Has the queue or its disk gone? */
static void look(struct blk *blk) {
    if (blk->state->state != EXO_QUEUE_OPEN) blk->lost = EXO_EQUEUE;
    if (blk->disk->state == EXO_DISK_GONE) blk->lost = EXO_EDEVICE;
}

/* What the device still works on must have left the requests' memory, if it ever does. */
static void lost_close(struct blk *blk) {
    while (blk->disk->state != EXO_DISK_GONE &&
           exo_queue_close(blk->frame + BLK_QUEUE).value == EXO_EAGAIN)
        exo_yield(EXO_NONE);
}

/* Nothing is done any more: all requests that have not ended by now end so. */
static void lost_refuse(struct blk *blk) {
    struct blk_request *request;

    for (unsigned head = 0; head < EXO_RING_SIZE; head++) {
        if (!blk->of_head[head]) continue;
        refuse(blk, blk->of_head[head], blk->lost);
        blk->of_head[head] = NULL;
    }
    while ((request = list_take(&blk->waiting, &blk->waiting_end))) refuse(blk, request, blk->lost);
}

/* Whether queue_kick's error is about one chain and not about the queue. */
static bool is_of_chain(int64_t error) {
    return error != EXO_EQUEUE && error != EXO_EINDEX && error != EXO_EDEVICE;
}

/* The kernel refuses this chain, the first that it has not taken: take it out of the ring. */
static bool chain_refused(struct blk *blk, uint64_t head, int64_t error) {
    uint64_t place = blk->offered, oldest = place < EXO_RING_SIZE ? 0 : place - EXO_RING_SIZE;
    volatile uint16_t *available = blk->ring->available;

    if (head >= EXO_RING_SIZE || !blk->of_head[head]) return false;
    do {
        if (place == oldest) return false;
        place--;
    } while (available[place % EXO_RING_SIZE] != head);
    blk->offered--;
    for (blk->untaken = place != blk->offered; place != blk->offered; place++)
        available[place % EXO_RING_SIZE] = available[(place + 1) % EXO_RING_SIZE];
    refuse(blk, blk->of_head[head], error);
    blk->of_head[head] = NULL;
    chain_free(blk, head);
    return true;
}

/* ---- what programs call */

int64_t blk_submit(struct blk *blk, struct blk_request *request) {
    bool moves = request->type == EXO_BLOCK_READ || request->type == EXO_BLOCK_WRITE;

    if (request->segment_count > blk->disk->segments || moves != (request->segment_count > 0) ||
        request->sectors > UINT32_MAX)
        return EXO_EARGUMENT;
    request->result = BLK_UNDER_WAY;
    blk->under_way++;
    if (blk->waiting || blk->lost || chain_length(request) > blk->free_count)
        list_add(&blk->waiting_end, request);
    else
        chain_lay(blk, request);
    return 0;
}

void blk_kick(struct blk *blk) {
    while (!blk->lost) {
        while (blk->waiting && chain_length(blk->waiting) <= blk->free_count)
            chain_lay(blk, list_take(&blk->waiting, &blk->waiting_end));
        if (!blk->untaken) return;
        __atomic_store_n(&blk->ring->available_index, (uint16_t)blk->offered, __ATOMIC_RELEASE);
        struct exo_result answer = exo_queue_kick(blk->frame + BLK_QUEUE);
        if (answer.value >= 0) {
            blk->untaken = false;
        } else if (answer.value == EXO_EAGAIN) {
            if (answer.detail) return; /* the event comes, and after it the next kick */
        } else if (!is_of_chain(answer.value) || !chain_refused(blk, answer.detail, answer.value)) {
            blk->lost = answer.value;
        }
    }
}

/* The same where there is often nothing to tell. */
static inline void kick_if_new(struct blk *blk) {
    if (blk->untaken || blk->waiting) blk_kick(blk);
}

static void end(struct blk *blk, struct blk_request *request, int64_t result) {
    blk->under_way--;
    request->result = result;
    if (request->done) request->done(request);
}

static int64_t status_result(uint8_t status) {
    if (status == EXO_BLOCK_OK) return 0;
    return status == EXO_BLOCK_UNSUPPORTED ? BLK_EUNSUPPORTED : BLK_EIO;
}

/* End those that the kernel says have ended. */
static uint64_t used_end(struct blk *blk) {
    uint64_t count = 0;

    while ((uint16_t)blk->ended != __atomic_load_n(&blk->ring->used_index, __ATOMIC_ACQUIRE)) {
        uint64_t head = blk->ring->used[blk->ended++ % EXO_RING_SIZE].id % EXO_RING_SIZE;
        struct blk_request *request = blk->of_head[head];
        int64_t result = status_result(blk->areas[head].status);
        if (!request) continue; /* it was given up */
        blk->of_head[head] = NULL;
        chain_free(blk, head);
        end(blk, request, result);
        count++;
    }
    return count;
}

/* End those that were refused up to now; what is refused meanwhile has its turn later. */
static uint64_t refused_end(struct blk *blk) {
    struct blk_request *request, *next = blk->refused;
    uint64_t count = 0;

    blk->refused = NULL;
    blk->refused_end = &blk->refused;
    while ((request = next)) {
        next = request->next;
        end(blk, request, request->refusal);
        count++;
    }
    return count;
}

uint64_t blk_poll(struct blk *blk) {
    if (!blk->under_way) return 0;
    look(blk);
    kick_if_new(blk);
    if (blk->lost) lost_close(blk);
    uint64_t count = used_end(blk);
    if (blk->lost) lost_refuse(blk);
    if (blk->refused) count += refused_end(blk);
    if (count) kick_if_new(blk); /* what `done` submitted, and what waited for the room */
    return count;
}

uint64_t blk_wait(struct blk *blk, uint64_t deadline) {
    for (;;) {
        uint64_t count = blk_poll(blk);
        if (count || !blk->under_way) return count;
        if (!event_wait(1ul << blk->event, deadline)) return blk_poll(blk);
    }
}

int64_t blk_run(struct blk *blk, struct blk_request *request) {
    int64_t error = blk_submit(blk, request);

    if (error) return error;
    while (request->result == BLK_UNDER_WAY) blk_wait(blk, EXO_NEVER);
    return request->result;
}
