/* SPDX-License-Identifier: MIT */
/*
 * diskio: what the tests of disks have a program do.
 *
 *   diskio write|check FIRST COUNT SEED  a pattern that follows from sector and seed
 *   diskio rewrite FIRST COUNT           read, and write the same
 *   diskio zeroes|discard FIRST COUNT
 *   diskio errors FIRST COUNT            read each sector by itself; tell which fail
 *   diskio partition NAME
 *   diskio readonly                      a child that may only read tries to write
 *   diskio neighbours FIRST COUNT        two children read by turns of sectors, one the even ones
 *   diskio shares REQUESTS               two children with the same number of entries
 *
 * It keeps DEPTH requests under way and ends with status 0 when all went well.
 */
#include <exo/blk.h>
#include <exo/event.h>
#include <exo/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 40
#define PIECE_SECTORS 17 /* no power of two, so that pieces cross frames */
#define PIECE_FRAMES 3   /* ... and begin in the middle of one */
#define PIECE_OFFSET (EXO_FRAME_BYTES - EXO_SECTOR_BYTES)
#define CHILD_MEMORY 1024
#define SHARE_FRAMES 8 /* a request of `shares` reads so many sectors as a frame has */

static struct blk blk;
static uint64_t wrong; /* sectors or requests that were not as they must be */

static struct piece {
    struct blk_request request;
    struct blk_segment segments[2];
    uint8_t *bytes;
    uint64_t address;
    uint64_t sectors;
} pieces[DEPTH];

static int complain(const char *what, int64_t error) {
    printf("diskio: %s: %s\n", what, blk_error_text(error));
    return 1;
}

static bool pieces_alloc(void) {
    for (unsigned i = 0; i < DEPTH; i++) {
        pieces[i].bytes = blk_memory_alloc(PIECE_FRAMES + 1, &pieces[i].address);
        if (!pieces[i].bytes) return false;
        pieces[i].bytes += PIECE_OFFSET;
        pieces[i].address += PIECE_OFFSET;
    }
    return true;
}

/* The bytes of a sector: eight words that no other sector or seed has. */
static uint64_t pattern(uint64_t sector, uint64_t word, uint64_t seed) {
    uint64_t value = (sector << 6 | word) + seed * 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    return value ^ value >> 27;
}

#define WORDS (EXO_SECTOR_BYTES / 8)

static void pattern_fill(const struct piece *piece, uint64_t seed) {
    uint64_t *words = (uint64_t *)piece->bytes;
    for (uint64_t i = 0; i < piece->sectors * WORDS; i++)
        words[i] = pattern(piece->request.sector + i / WORDS, i % WORDS, seed);
}

static void pattern_check(const struct piece *piece, uint64_t seed) {
    const uint64_t *words = (const uint64_t *)piece->bytes;
    for (uint64_t i = 0; i < piece->sectors * WORDS; i++) {
        uint64_t sector = piece->request.sector + i / WORDS;
        if (words[i] == pattern(sector, i % WORDS, seed)) continue;
        if (!wrong++) printf("diskio: sector %lu is not as it was written\n", sector);
        i |= WORDS - 1;
    }
}

/* What is done with a range, piece by piece. */
static struct {
    uint64_t next, end;
    uint64_t seed;
    uint32_t type;
    bool rewrite;
} job;

static void piece_ended(struct blk_request *request);

static void piece_begin(struct piece *piece) {
    uint64_t left = job.end - job.next;

    if (!left) return;
    piece->sectors = left < PIECE_SECTORS ? left : PIECE_SECTORS;
    /* Two segments, so that one ends where no frame does. */
    uint32_t bytes = (uint32_t)(piece->sectors * EXO_SECTOR_BYTES), some = bytes / 3 | 1;
    piece->segments[0] = (struct blk_segment){piece->address, some};
    piece->segments[1] = (struct blk_segment){piece->address + some, bytes - some};
    piece->request = (struct blk_request){.type = job.type,
                                          .segments = piece->segments,
                                          .segment_count = 2,
                                          .sector = job.next,
                                          .done = piece_ended,
                                          .context = piece};
    job.next += piece->sectors;
    if (job.type == EXO_BLOCK_WRITE) pattern_fill(piece, job.seed);
    blk_submit(&blk, &piece->request);
}

static void piece_ended(struct blk_request *request) {
    struct piece *piece = request->context;

    if (request->result) {
        if (!wrong++)
            printf("diskio: sector %lu: %s\n", request->sector, blk_error_text(request->result));
    } else if (job.rewrite && request->type == EXO_BLOCK_READ) {
        request->type = EXO_BLOCK_WRITE;
        blk_submit(&blk, request);
        return;
    } else if (request->type == EXO_BLOCK_READ && !job.rewrite) {
        pattern_check(piece, job.seed);
    }
    piece_begin(piece);
}

static void flush(void) {
    struct blk_request request = {.type = EXO_BLOCK_FLUSH};
    if (blk_run(&blk, &request)) wrong++;
}

static void job_run(uint32_t type, bool rewrite, uint64_t first, uint64_t count, uint64_t seed) {
    job.next = first;
    job.end = first + count;
    job.seed = seed;
    job.type = type;
    job.rewrite = rewrite;
    for (unsigned i = 0; i < DEPTH; i++) piece_begin(&pieces[i]);
    while (blk.under_way) blk_wait(&blk, EXO_NEVER);
    if (type == EXO_BLOCK_WRITE || rewrite) flush();
}

static void ranges_run(uint32_t type, uint64_t first, uint64_t count) {
    for (uint64_t end = first + count; first < end;) {
        uint64_t sectors = end - first < EXO_DISCARD_MAX ? end - first : EXO_DISCARD_MAX;
        struct blk_request request = {.type = type, .sector = first, .sectors = sectors};
        int64_t error = blk_run(&blk, &request);
        if (error && !wrong++) printf("diskio: sector %lu: %s\n", first, blk_error_text(error));
        first += sectors;
    }
    flush();
}

static void errors_tell(uint64_t first, uint64_t count) {
    uint64_t failed = 0;
    for (uint64_t sector = first; sector < first + count; sector++) {
        struct blk_segment segment = {pieces[0].address, EXO_SECTOR_BYTES};
        struct blk_request request = {
            .type = EXO_BLOCK_READ, .segments = &segment, .segment_count = 1, .sector = sector};
        int64_t error = blk_run(&blk, &request);
        if (!error) continue;
        failed++;
        printf("sector %lu: %s\n", sector, blk_error_text(error));
    }
    printf("%lu of %lu sectors failed\n", failed, count);
}

/* Every second sector from `first` on. */
static void turns_read(uint64_t first, uint64_t count) {
    uint64_t failed = 0;
    for (uint64_t sector = first; sector < first + count; sector += 2) {
        struct blk_segment segment = {pieces[0].address, EXO_SECTOR_BYTES};
        struct blk_request request = {
            .type = EXO_BLOCK_READ, .segments = &segment, .segment_count = 1, .sector = sector};
        if (blk_run(&blk, &request)) failed++;
    }
    printf("from sector %lu on: %lu failed\n", first, failed);
}

/* ---- children */

#define CHILDREN 2

/* The disk's range and entries for one of the children. */
static struct task_lend part(unsigned number, uint64_t rights) {
    uint64_t slot = blk_slot(0);
    const struct exo_cap *cap = sys_slot_named(slot);
    uint64_t entry = EXO_BLOCK_ENTRY(cap->extra);
    uint64_t entries = (EXO_BLOCK_ENTRY_END(cap->extra) - entry) / CHILDREN;

    return (struct task_lend){
        slot, cap->first, cap->count, rights,
        EXO_BLOCK_EXTRA(entry + number * entries, entry + (number + 1) * entries)};
}

static int64_t child_start(struct task *task, const char *const *arguments, uint64_t count,
                           const struct task_lend *lend, uint64_t lend_count) {
    const struct task_options options = {
        .arguments = arguments,
        .argument_count = count,
        .frames = CHILD_MEMORY,
        .lend = lend,
        .lend_count = lend_count,
    };
    int64_t error = task_spawn(task, arguments[0], &options);
    return error ? error : task_start_taking(task, ROW_ANY_HART, EXO_SLICE_BIND);
}

/* Status 0 when all children ended with it. */
static int children_end(struct task *tasks, uint64_t count) {
    int status = 0;

    task_run(tasks, count);
    for (uint64_t i = 0; i < count; i++) {
        if (task_state(&tasks[i]) == TASK_FAULTED) task_show_fault(&tasks[i], "child");
        status |= task_state(&tasks[i]) != TASK_EXITED || task_status(&tasks[i]) != 0;
        task_end(&tasks[i]);
    }
    return status;
}

static int readonly_run(const char *file) {
    const char *arguments[] = {file, "write", "0", "100", "1"};
    const struct task_lend lend = part(0, EXO_BLOCK_R);
    struct task task;
    int64_t error = child_start(&task, arguments, 5, &lend, 1);

    if (error) return complain("child", error);
    int status = children_end(&task, 1);
    printf("the child %s\n", status ? "could not write" : "wrote");
    return !status;
}

static int neighbours_run(const char *file, const char *first_text, const char *count) {
    struct task tasks[CHILDREN];

    for (unsigned i = 0; i < CHILDREN; i++) {
        char first[24];
        const char *arguments[] = {file, "turns", first, count};
        const struct task_lend lend = part(i, EXO_BLOCK_R);
        snprintf(first, sizeof(first), "%lu", strtoul(first_text, NULL, 0) + i);
        int64_t error = child_start(&tasks[i], arguments, 4, &lend, 1);
        if (error) return complain("child", error);
    }
    return children_end(tasks, CHILDREN);
}

/* ---- equal shares of the device */

/* In a frame that both children see. */
struct shares {
    uint64_t wanted;
    uint64_t ready;
    uint64_t over; /* the number of the first that had all, plus 1 */
    uint64_t done[CHILDREN];
    uint64_t seen[CHILDREN]; /* what each had done by then */
};

static struct shares *shares;
static uint64_t me, sectors_read;

static void share_ended(struct blk_request *request) {
    struct piece *piece = request->context;
    uint64_t nobody = 0;

    if (request->result) wrong++;
    uint64_t done = ++shares->done[me];
    if (done == shares->wanted && __atomic_compare_exchange_n(&shares->over, &nobody, me + 1, false,
                                                              __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        for (unsigned i = 0; i < CHILDREN; i++)
            shares->seen[i] = __atomic_load_n(&shares->done[i], __ATOMIC_RELAXED);
    if (__atomic_load_n(&shares->over, __ATOMIC_RELAXED)) return;
    /* Sectors all over the disk, the same ones for both. */
    sectors_read = sectors_read * 6364136223846793005 + 1442695040888963407;
    piece->request.sector = blk.first + (sectors_read >> 33) % (blk.count - SHARE_FRAMES);
    blk_submit(&blk, request);
}

static int share_child(const char *number) {
    me = strtoul(number, NULL, 0);
    shares = mem_map_frames(sys_start->lent[1], sys_slot(0, SYS_SLOT_LENT + 1)->first, 1,
                            EXO_PAGE_R | EXO_PAGE_W);
    if (!shares) return 1;
    for (unsigned i = 0; i < DEPTH; i++) {
        struct piece *piece = &pieces[i];
        piece->segments[0] = (struct blk_segment){piece->address, SHARE_FRAMES * EXO_SECTOR_BYTES};
        piece->request = (struct blk_request){.type = EXO_BLOCK_READ,
                                              .segments = piece->segments,
                                              .segment_count = 1,
                                              .sector = blk.first + i,
                                              .done = share_ended,
                                              .context = piece};
        blk_submit(&blk, &piece->request);
    }
    __atomic_fetch_add(&shares->ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&shares->ready, __ATOMIC_SEQ_CST) < CHILDREN) exo_yield(EXO_NONE);
    while (blk.under_way) blk_wait(&blk, EXO_NEVER);
    return wrong != 0;
}

static int shares_run(const char *file, const char *wanted) {
    struct task tasks[CHILDREN];
    uint64_t frame = frame_alloc();

    shares = frame ? mem_map_frames(frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W) : NULL;
    if (!shares) return complain("shares", BLK_EMEMORY);
    memset(shares, 0, EXO_FRAME_BYTES);
    shares->wanted = strtoul(wanted, NULL, 0);
    for (unsigned i = 0; i < CHILDREN; i++) {
        const char *arguments[] = {file, "share", i ? "1" : "0"};
        const struct task_lend lend[] = {part(i, EXO_BLOCK_R),
                                         {frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W, 0}};
        int64_t error = child_start(&tasks[i], arguments, 3, lend, 2);
        if (error) return complain("child", error);
    }
    int status = children_end(tasks, CHILDREN);
    printf("requests done: %lu and %lu\n", shares->seen[0], shares->seen[1]);
    return status;
}

/* ---- the command */

static int partition_tell(const char *name) {
    uint64_t first, count;
    int64_t error = blk_partition_find(&blk, name, &first, &count);

    if (error) return complain(name, error);
    printf("partition %s: sectors %lu to %lu\n", name, first, first + count - 1);
    return 0;
}

static int command_run(int count, char **arguments) {
    const char *what = arguments[1];
    uint64_t number[3] = {0};

    if (strcmp(what, "partition") == 0) return partition_tell(arguments[2]);
    if (strcmp(what, "share") == 0) return share_child(arguments[2]);
    for (int i = 2; i < count && i < 5; i++) number[i - 2] = strtoul(arguments[i], NULL, 0);
    if (strcmp(what, "write") == 0)
        job_run(EXO_BLOCK_WRITE, false, number[0], number[1], number[2]);
    if (strcmp(what, "check") == 0) job_run(EXO_BLOCK_READ, false, number[0], number[1], number[2]);
    if (strcmp(what, "rewrite") == 0) job_run(EXO_BLOCK_READ, true, number[0], number[1], 0);
    if (strcmp(what, "zeroes") == 0) ranges_run(EXO_BLOCK_ZEROES, number[0], number[1]);
    if (strcmp(what, "discard") == 0) ranges_run(EXO_BLOCK_DISCARD, number[0], number[1]);
    if (strcmp(what, "errors") == 0) errors_tell(number[0], number[1]);
    if (strcmp(what, "turns") == 0) turns_read(number[0], number[1]);
    printf("diskio: %s: %lu wrong\n", what, wrong);
    return wrong != 0;
}

int main(int count, char **arguments) {
    if (count < 2 || !blk_slot(0)) return complain("disk", BLK_ENONE);
    if (strcmp(arguments[1], "readonly") == 0) return readonly_run(arguments[0]);
    if (strcmp(arguments[1], "shares") == 0) return shares_run(arguments[0], arguments[2]);
    if (strcmp(arguments[1], "neighbours") == 0)
        return neighbours_run(arguments[0], arguments[2], arguments[3]);
    int64_t error = blk_open(&blk, blk_slot(0), (uint64_t)event_alloc());
    if (error) return complain("open", error);
    if (!pieces_alloc()) return complain("memory", BLK_EMEMORY);
    int status = command_run(count, arguments);
    blk_close(&blk);
    return status;
}
