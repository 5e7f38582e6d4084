/* SPDX-License-Identifier: MIT */
/*
 * From the manifest to what each program gets of this machine.
 *
 * It is decided once, before anything runs, so a program that is started again
 * finds the same rows and ranges.  Rows are taken from the low end of each hart;
 * what is left for `rows rest` comes last.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "init.h"

#define MEMORY_MAX (256 * EXO_GROUP_FRAMES) /* frames of an equal share: 512 MiB */
#define SLICE_ROWS_MAX 256                  /* the kernel derives no more at once */

static uint64_t rows_taken[EXO_HARTS_MAX]; /* mask of rows */
static uint64_t entries_taken[EXO_DISKS_MAX];
static uint64_t entries_shares[EXO_DISKS_MAX]; /* `disk` lines without a number */

bool plan_wrong(uint32_t line, const char *format, ...) {
    va_list arguments;

    printf("init: manifest, line %u: ", (unsigned)line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    return false;
}

const struct exo_root_info *root_find(uint32_t class, uint64_t number) {
    const struct exo_info *info = sys_info();

    for (uint32_t i = 0; i < info->root_count; i++)
        if (info->root[i].class == class && number-- == 0) return &info->root[i];
    return NULL;
}

/* Lend a range of a root capability. */
static bool lend_add(struct program *program, uint32_t line, const struct task_lend *lend) {
    if (program->lend_count == SYS_LENT_MAX)
        return plan_wrong(line,
                          "%s would get more than %d capabilities for rows, disks, devices "
                          "and lines",
                          program_name(program), SYS_LENT_MAX);
    program->lend[program->lend_count++] = *lend;
    return true;
}

/* ---- rows ---- */

static uint64_t row_mask(uint64_t first, uint64_t count) {
    return (count == EXO_ROWS ? ~0ul : (1ul << count) - 1) << first;
}

/* Take neighbouring free rows of a hart: the number of the first, or -1. */
static int64_t rows_take(uint64_t hart, uint64_t count) {
    for (uint64_t first = 0; first + count <= EXO_ROWS; first++) {
        uint64_t mask = row_mask(first, count);
        if (rows_taken[hart] & mask) continue;
        rows_taken[hart] |= mask;
        return (int64_t)(hart * EXO_ROWS + first);
    }
    return -1;
}

static bool hart_check(const struct manifest_rows *rows) {
    uint64_t harts = sys_info()->hart_count;

    return rows->hart == MANIFEST_ANY || rows->hart < harts ||
           plan_wrong(rows->line, "there is no hart %lu; there are %lu", rows->hart, harts);
}

static uint64_t rows_rights(const struct manifest_rows *rows) {
    return EXO_SLICE_BIND | (rows->urgent ? EXO_SLICE_URGENT : 0);
}

/* The rows that it runs by; on which harts, if that was not said, goes by turns. */
static bool run_plan(struct program *program) {
    static uint64_t turn;
    const struct manifest_rows *rows = &program->wanted->run;
    uint64_t hart = rows->hart == MANIFEST_ANY ? turn++ % sys_info()->hart_count : rows->hart;

    if (!hart_check(rows)) return false;
    int64_t first = rows_take(hart, rows->count);
    if (first < 0)
        return plan_wrong(rows->line, "hart %lu has not as many as %lu free rows in a row", hart,
                          rows->count);
    int64_t slot = mem_slot();
    if (slot >= 0)
        slot = exo_cap_derive(root_find(EXO_CLASS_SLICE, 0)->handle, (uint64_t)slot,
                              (uint64_t)first, rows->count, rows_rights(rows), 0, 0)
                   .value;
    if (slot < 0) return plan_wrong(rows->line, "%s", sys_error_text(slot));
    program->slice = (uint64_t)slot;
    program->row = (uint64_t)first;
    return true;
}

static bool rows_lend(struct program *program, const struct manifest_rows *rows, uint64_t first,
                      uint64_t count) {
    const struct task_lend lend = {.slot = root_find(EXO_CLASS_SLICE, 0)->handle,
                                   .first = first,
                                   .count = count,
                                   .rights = rows_rights(rows)};
    return lend_add(program, rows->line, &lend);
}

/* Rows that it may bind itself, so many of each hart or of one. */
static bool rows_plan(struct program *program, const struct manifest_rows *rows) {
    if (!hart_check(rows)) return false;
    for (uint64_t hart = 0; hart < sys_info()->hart_count; hart++) {
        if (rows->hart != MANIFEST_ANY && rows->hart != hart) continue;
        int64_t first = rows_take(hart, rows->count);
        if (first < 0)
            return plan_wrong(rows->line, "hart %lu has not as many as %lu free rows in a row",
                              hart, rows->count);
        if (!rows_lend(program, rows, (uint64_t)first, rows->count)) return false;
    }
    return true;
}

static bool row_is_taken(uint64_t number) {
    return rows_taken[number / EXO_ROWS] >> number % EXO_ROWS & 1;
}

/* All that nobody has, in runs that may go over several harts. */
static bool rest_plan(struct program *program, const struct manifest_rows *rows) {
    bool one = rows->hart != MANIFEST_ANY;
    uint64_t at = one ? rows->hart * EXO_ROWS : 0;
    uint64_t end = one ? at + EXO_ROWS : (uint64_t)sys_info()->hart_count * EXO_ROWS;

    if (!hart_check(rows)) return false;
    while (at < end && program->lend_count < SYS_LENT_MAX) {
        uint64_t first = at;
        while (at < end && at - first < SLICE_ROWS_MAX && !row_is_taken(at))
            rows_taken[at / EXO_ROWS] |= 1ul << at % EXO_ROWS, at++;
        if (at > first && !rows_lend(program, rows, first, at - first)) return false;
        if (at < end && row_is_taken(at)) at++;
    }
    return true;
}

/* ---- disks, devices, interrupt lines ---- */

static bool disk_extent(const struct manifest_disk *wanted, uint64_t sectors, uint64_t *first,
                        uint64_t *count) {
    *first = 0;
    *count = sectors;
    if (wanted->extent == MANIFEST_PARTITION) return partition_find(wanted, first, count);
    if (wanted->extent == MANIFEST_SECTORS) {
        *first = wanted->first;
        *count = wanted->count;
    }
    return (*first < sectors && *count <= sectors - *first) ||
           plan_wrong(wanted->line, "disk %lu has %lu sectors, less than that", wanted->disk,
                      sectors);
}

static bool disk_plan(struct program *program, const struct manifest_disk *wanted) {
    const struct exo_root_info *root = root_find(EXO_CLASS_BLOCK, wanted->disk);
    uint64_t *taken = &entries_taken[wanted->disk], entries = wanted->entries;
    struct task_lend lend = {.rights = EXO_BLOCK_R | (wanted->write ? EXO_BLOCK_W : 0)};

    if (!root)
        return plan_wrong(wanted->line, "there is no disk %lu; there are %u", wanted->disk,
                          (unsigned)sys_info()->disk_count);
    if (lend.rights & ~(uint64_t)root->rights)
        return plan_wrong(wanted->line, "disk %lu can only be read", wanted->disk);
    if (entries == MANIFEST_ANY) entries = (EXO_ENTRIES - *taken) / entries_shares[wanted->disk]--;
    if (entries == 0 || entries > EXO_ENTRIES - *taken)
        return plan_wrong(wanted->line, "disk %lu has %lu entries left, too few", wanted->disk,
                          EXO_ENTRIES - *taken);
    lend.slot = root->handle;
    lend.extra = EXO_BLOCK_EXTRA(*taken, *taken + entries);
    *taken += entries;
    return disk_extent(wanted, root->count, &lend.first, &lend.count) &&
           lend_add(program, wanted->line, &lend);
}

static bool kind_is(uint32_t kind, uint32_t wanted) {
    return kind == wanted || (wanted == EXO_DEVICE_NS16550 && kind == EXO_DEVICE_SIFIVE_UART);
}

/* The first device of a kind, or with kind 0 the one with these registers; NULL if there is none. */
static const struct exo_device *device_find(const struct manifest_device *wanted) {
    const struct exo_info *info = sys_info();

    for (uint32_t i = 0; i < info->device_count; i++) {
        const struct exo_device *device = &info->device[i];
        if (wanted->kind ? kind_is(device->kind, wanted->kind) : device->address == wanted->number)
            return device;
    }
    plan_wrong(wanted->line, "this machine has no such device");
    return NULL;
}

static bool device_plan(struct program *program, const struct manifest_device *wanted) {
    const struct exo_device *device = device_find(wanted);
    const struct exo_root_info *root = root_find(EXO_CLASS_DEVICE, 0);

    if (!device) return false;
    if (!root) return plan_wrong(wanted->line, "the kernel gives no devices to programs");
    const struct task_lend lend = {.slot = root->handle,
                                   .first = device->address >> EXO_FRAME_SHIFT,
                                   .count = 1,
                                   .rights = EXO_DEVICE_R | EXO_DEVICE_W};
    return lend_add(program, wanted->line, &lend);
}

static bool line_plan(struct program *program, const struct manifest_device *wanted) {
    const struct exo_root_info *root = root_find(EXO_CLASS_IRQ, 0);
    struct task_lend lend = {.first = wanted->number, .count = 1, .rights = EXO_IRQ_BIND};

    if (wanted->kind) {
        const struct exo_device *device = device_find(wanted);
        if (!device) return false;
        lend.first = device->line;
    }
    if (!root || lend.first < root->first || lend.first - root->first >= root->count)
        return plan_wrong(wanted->line, "there is no such interrupt line");
    lend.slot = root->handle;
    return lend_add(program, wanted->line, &lend);
}

/* ---- memory ---- */

/* Frames of an equal share: whole groups where there are any, and some are left for init. */
static uint64_t memory_share(void) {
    uint64_t longest = frame_longest(EXO_GROUP_FRAMES), shares = 0;
    uint64_t kept = longest / 8 < EXO_GROUP_FRAMES ? longest / 8 : EXO_GROUP_FRAMES;

    for (uint32_t i = 0; i < manifest.program_count; i++) {
        uint64_t frames = manifest.program[i].frames;
        kept += (frames + EXO_GROUP_FRAMES - 1) & ~(uint64_t)(EXO_GROUP_FRAMES - 1);
        shares += frames == 0;
    }
    if (!shares || kept >= longest) return 0;
    uint64_t share = (longest - kept) / shares;
    if (share > MEMORY_MAX) share = MEMORY_MAX;
    return share > EXO_GROUP_FRAMES ? share & ~(uint64_t)(EXO_GROUP_FRAMES - 1) : share;
}

/* ---- all of it ---- */

static void program_begin(struct program *program, uint64_t share) {
    const struct manifest_program *wanted = program->wanted;

    program->frames = wanted->frames ? wanted->frames : share;
    if (wanted->console == MANIFEST_DRIVER) driver = program;
    if (wanted->console == MANIFEST_INPUT) reader = program;
    for (uint32_t i = 0; i < wanted->disk_count; i++)
        entries_shares[wanted->disk[i].disk] += wanted->disk[i].entries == MANIFEST_ANY;
}

static bool program_plan(struct program *program) {
    const struct manifest_program *wanted = program->wanted;
    bool good = program->frames > 0 || plan_wrong(wanted->line, "no memory is left for a share");

    for (uint32_t i = 0; good && i < wanted->device_count; i++)
        good = device_plan(program, &wanted->device[i]);
    for (uint32_t i = 0; good && i < wanted->line_count; i++)
        good = line_plan(program, &wanted->irq[i]);
    for (uint32_t i = 0; good && i < wanted->disk_count; i++)
        if (wanted->disk[i].entries != MANIFEST_ANY) good = disk_plan(program, &wanted->disk[i]);
    for (uint32_t i = 0; good && i < wanted->rows_count; i++)
        if (wanted->rows[i].count != MANIFEST_ANY) good = rows_plan(program, &wanted->rows[i]);
    return good && run_plan(program);
}

/* What takes whatever is left by the others. */
static bool program_rest(struct program *program) {
    const struct manifest_program *wanted = program->wanted;
    bool good = true;

    for (uint32_t i = 0; good && i < wanted->disk_count; i++)
        if (wanted->disk[i].entries == MANIFEST_ANY) good = disk_plan(program, &wanted->disk[i]);
    for (uint32_t i = 0; good && i < wanted->rows_count; i++)
        if (wanted->rows[i].count == MANIFEST_ANY) good = rest_plan(program, &wanted->rows[i]);
    return good;
}

/* A step for every program; one that is optional is left out when it fails. */
static bool programs_each(bool (*step)(struct program *program)) {
    for (uint32_t i = 0; i < manifest.program_count; i++) {
        struct program *program = &programs[i];
        if (program->state == INIT_ENDED || step(program)) continue;
        if (!program->wanted->optional) return false;
        program->state = INIT_ENDED;
        if (program == driver) driver = NULL;
    }
    return true;
}

bool plan_make(void) {
    const volatile struct exo_row *rows = row_table();
    uint64_t share = memory_share();

    for (uint64_t i = 0; rows && i < (uint64_t)sys_info()->hart_count * EXO_ROWS; i++)
        if (rows[i].env) rows_taken[i / EXO_ROWS] |= 1ul << i % EXO_ROWS;
    for (uint32_t i = 0; i < manifest.program_count; i++) {
        programs[i].wanted = &manifest.program[i];
        program_begin(&programs[i], share);
    }
    return programs_each(program_plan) && programs_each(program_rest);
}
