/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 of a disk, read through a queue of this program's own.
 *
 * DEPTH pieces are under way while one is added, so the device never waits for
 * the sum nor the sum for more than the device.  A piece's memory is asked to
 * be filled again as soon as it was added.
 */
#include <exo/blk.h>
#include <exo/event.h>
#include <exo/task.h>
#include <stdio.h>

#include "sum.h"

#define DEPTH 32
#define PIECE_FRAMES 16
#define PIECE_BYTES (PIECE_FRAMES * EXO_FRAME_BYTES)
#define PIECE_SECTORS (PIECE_BYTES / EXO_SECTOR_BYTES)
#define HALF_FRAMES 2048 /* memory of a program that sums a half */

static struct reading {
    struct blk blk;
    uint8_t *memory; /* DEPTH pieces */
    uint64_t address;
    uint64_t next; /* sectors [next, end) were not asked for yet */
    uint64_t end;
    struct {
        struct blk_request request;
        struct blk_segment segment;
    } piece[DEPTH];
} reading;

/* Ask for the next piece, into the memory with this number. */
static void piece_ask(unsigned number) {
    struct blk_request *request = &reading.piece[number].request;
    struct blk_segment *segment = &reading.piece[number].segment;
    uint64_t left = reading.end - reading.next;
    uint64_t sectors = left < PIECE_SECTORS ? left : PIECE_SECTORS;

    *segment = (struct blk_segment){reading.address + number * PIECE_BYTES,
                                    (uint32_t)(sectors * EXO_SECTOR_BYTES)};
    *request = (struct blk_request){
        .type = EXO_BLOCK_READ,
        .segments = segment,
        .segment_count = 1,
        .sector = reading.next,
    };
    if (!sectors) return; /* no bytes, and done at once */
    reading.next += sectors;
    blk_submit(&reading.blk, request);
}

/* Add all pieces in their order.  0 or an error, with *sector where it was. */
static int64_t pieces_add(struct sha256 *sum, uint64_t *sector) {
    for (unsigned i = 0; i < DEPTH; i++) piece_ask(i);
    blk_kick(&reading.blk);
    for (unsigned i = 0;; i = (i + 1) % DEPTH) {
        const struct blk_request *request = &reading.piece[i].request;
        while (request->result == BLK_UNDER_WAY) blk_wait(&reading.blk, EXO_NEVER);
        *sector = request->sector;
        if (request->result || !request->segments->bytes) return request->result;
        sha256_add(sum, reading.memory + i * PIECE_BYTES, request->segments->bytes);
        piece_ask(i);
        blk_kick(&reading.blk);
    }
}

static int64_t disk_add(struct sha256 *sum, uint64_t *sector) {
    int64_t error = pieces_add(sum, sector);

    while (reading.blk.under_way) blk_wait(&reading.blk, EXO_NEVER);
    return error;
}

/* Print why there is no sum. */
static int complain(int64_t error) {
    printf("sum: disk: %s\n", blk_error_text(error));
    return 1;
}

static int sum_range(const char *name) {
    struct sha256 sum;
    uint64_t sector;

    reading.memory = blk_memory_alloc(DEPTH * PIECE_FRAMES, &reading.address);
    if (!reading.memory) return complain(BLK_EMEMORY);
    sha256_begin(&sum);
    int64_t error = disk_add(&sum, &sector);
    if (error)
        printf("sum: disk, from sector %lu on: %s\n", sector, blk_error_text(error));
    else
        sum_print(&sum, name);
    blk_memory_free(reading.memory, reading.address, DEPTH * PIECE_FRAMES);
    return error != 0;
}

int sum_disk(const char *name, uint64_t first, uint64_t count) {
    uint64_t slot = blk_slot(0);
    int64_t event = event_alloc();

    if (!slot) return complain(BLK_ENONE);
    int64_t error = blk_open(&reading.blk, slot, (uint64_t)event);
    if (error) return complain(error);
    if (!name) {
        name = "disk";
        first = reading.blk.first;
        count = reading.blk.count;
    }
    reading.next = first;
    reading.end = first + count;
    int status = sum_range(name);
    blk_close(&reading.blk);
    return status;
}

/* ---- two programs */

/* A program that holds half of the disk. */
static int64_t half_start(struct task *task, const char *file, const struct task_lend *half) {
    char first[24], count[24];
    const char *arguments[] = {file, "--disk", first, count};
    const struct task_options options = {
        .arguments = arguments,
        .argument_count = 4,
        .frames = HALF_FRAMES,
        .lend = half,
        .lend_count = 1,
    };

    snprintf(first, sizeof(first), "%lu", half->first);
    snprintf(count, sizeof(count), "%lu", half->count);
    int64_t error = task_spawn(task, file, &options);
    if (error) return error;
    error = task_start_taking(task, ROW_ANY_HART, EXO_SLICE_BIND);
    return error == EXO_EFULL ? task_start(task) : error;
}

int sum_halves(const char *file) {
    uint64_t slot = blk_slot(0);
    const struct exo_cap *cap = slot ? sys_slot_named(slot) : NULL;
    struct task tasks[2];
    int status = 0;

    if (!cap) return complain(BLK_ENONE);
    uint64_t entry = EXO_BLOCK_ENTRY(cap->extra), entry_end = EXO_BLOCK_ENTRY_END(cap->extra);
    uint64_t entry_middle = entry + (entry_end - entry) / 2, middle = cap->count / 2;
    const struct task_lend halves[] = {
        {slot, cap->first, middle, EXO_BLOCK_R, EXO_BLOCK_EXTRA(entry, entry_middle)},
        {slot, cap->first + middle, cap->count - middle, EXO_BLOCK_R,
         EXO_BLOCK_EXTRA(entry_middle, entry_end)},
    };
    for (unsigned i = 0; i < 2; i++) {
        int64_t error = half_start(&tasks[i], file, &halves[i]);
        if (error) {
            printf("sum: %s: %s\n", file, task_error_text(error));
            return 1;
        }
    }
    task_run(tasks, 2);
    for (unsigned i = 0; i < 2; i++) {
        if (task_state(&tasks[i]) == TASK_FAULTED) task_show_fault(&tasks[i], file);
        status |= task_state(&tasks[i]) != TASK_EXITED || task_status(&tasks[i]) != 0;
        task_end(&tasks[i]);
    }
    return status;
}
