/* SPDX-License-Identifier: MIT */
/*
 * From a bare machine to init: the frame table, the slice vectors, the harts,
 * and the first environment, which holds everything.
 *
 * All memory that the kernel will ever use besides its image is one block of
 * frames, taken here.
 */
#include "call.h"
#include "disk.h"
#include "env.h"
#include "irq.h"
#include "machine.h"
#include "slice.h"
#include "space.h"

#define STACK_FRAMES 2
#define HART_FRAMES (STACK_FRAMES + 1)
#define LINE_FRAMES 1
#define LOCK_FRAMES 1 /* SPACE locks: beside the tables, so that their addresses are physical too */

_Static_assert(EXO_VA_INIT % (EXO_GROUP_FRAMES * EXO_FRAME_BYTES) == 0,
               "a leaf table begins there");
_Static_assert(sizeof(struct hart) <= EXO_FRAME_BYTES, "a hart's structure fits a frame");
_Static_assert(sizeof(struct lock) * SPACE_LOCKS <= LOCK_FRAMES * EXO_FRAME_BYTES, "locks fit");
_Static_assert(sizeof(struct exo_line) * EXO_LINES_MAX == EXO_FRAME_BYTES, "lines are a frame");
_Static_assert(sizeof(struct exo_row) * EXO_ROWS == EXO_FRAME_BYTES, "a slice vector is a frame");

#define NANOSECONDS 1000000000 /* of a second */

/* Parts of init, from info->init_env; one leaf table holds all that init is given. */
enum { INIT_ENV, INIT_CTX, INIT_ROOT, INIT_TABLE, INIT_LEAF, INIT_FRAMES };

static uint64_t frames_for(uint64_t bytes) {
    return (bytes + EXO_FRAME_BYTES - 1) >> EXO_FRAME_SHIFT;
}

/* ---- the kernel's block of frames ---- */

/* The first place in a bank where `count` frames overlap nothing that is in use. */
static uint64_t block_place(const struct machine *machine, uint64_t count) {
    for (uint32_t b = 0; b < machine->facts.bank_count; b++) {
        const struct exo_bank *bank = &machine->facts.bank[b];
        uint64_t first = bank->first;
        for (uint32_t i = 0; i < machine->used_count;) {
            const struct exo_bank *used = &machine->used[i++];
            if (first >= used->first + used->count || used->first >= first + count) continue;
            first = used->first + used->count;
            i = 0;
        }
        if (first + count <= bank->first + bank->count) return first;
    }
    arch_stop("there is not enough memory for the kernel's tables");
}

/* Take the block, and name its parts in the facts; the harts' frames are before init's. */
static void block_take(struct machine *machine) {
    struct exo_info *facts = &machine->facts;
    uint64_t tables = frames_for(facts->ram_count * sizeof(struct exo_frame));
    uint64_t groups = frames_for((facts->ram_count >> EXO_GROUP_SHIFT) * sizeof(uint64_t));
    uint64_t harts_frames = (uint64_t)facts->hart_count * (1 + HART_FRAMES);
    uint64_t fixed = 1 + LINE_FRAMES + disk_count * (1 + DISK_FRAMES) + LOCK_FRAMES + INIT_FRAMES;
    uint64_t count = tables + groups + harts_frames + fixed;
    uint64_t first = block_place(machine, count);
    for (uint64_t i = 0; i < count; i++) arch_frame_clear(frame_pointer(first + i));
    facts->info_frame = first;
    facts->frame_table = first + 1;
    facts->group_table = facts->frame_table + tables;
    facts->slice_table = facts->group_table + groups;
    facts->line_table = facts->slice_table + facts->hart_count;
    facts->disk_table = facts->line_table + LINE_FRAMES;
    facts->init_env = first + count - INIT_FRAMES;
}

/* Give DATA frames that are in the table a type; others keep theirs. */
static void frames_type(struct exo_bank range, uint64_t type) {
    uint64_t end = range.first + range.count;
    if (range.first < ram_first) range.first = ram_first;
    if (end > ram_first + ram_count) end = ram_first + ram_count;
    for (uint64_t frame = range.first; frame < end; frame++) frame_claim(frame, type);
}

static void frame_table_fill(const struct machine *machine) {
    uint64_t private = info->disk_table + disk_count, end = ram_first;
    for (uint32_t i = 0; i < info->bank_count; i++) {
        frames_type((struct exo_bank){end, info->bank[i].first - end}, EXO_FRAME_KERNEL);
        end = info->bank[i].first + info->bank[i].count;
    }
    for (uint32_t i = MACHINE_KERNEL; i < machine->used_count; i++)
        frames_type(machine->used[i], EXO_FRAME_KERNEL);
    frames_type((struct exo_bank){info->info_frame, private - info->info_frame}, EXO_FRAME_INFO);
    frames_type((struct exo_bank){private, info->init_env - private}, EXO_FRAME_KERNEL);
}

/* ---- harts ---- */

static void harts_init(const struct exo_info *facts) {
    struct exo_frame *frames = frame_pointer(facts->frame_table);
    hart_count = facts->hart_count;
    for (uint64_t i = 0; i < hart_count; i++) {
        uint64_t stack = facts->disk_table + disk_count + i * HART_FRAMES;
        struct hart *hart = frame_pointer(stack + STACK_FRAMES);
        harts[i] = hart;
        hart->stack = (uint64_t)(uintptr_t)hart;
        hart->index = hart->generation = i;
        hart->id = facts->hart[i].id;
        hart->facts = &info->hart[i];
        hart->rows = slice_rows + i * EXO_ROWS;
        hart->row = hart->filled = hart->rows + EXO_ROWS - 1; /* row 0 comes next */
        hart->row_ticks = facts->row_ticks;
        hart->grace_ticks = facts->grace_ticks;
        hart->ram_first = ram_first;
        hart->frames = frames - ram_first;
        hart->words = &hart->frames->word1;
        hart->memory = (uint64_t)(uintptr_t)arch_pointer(0);
        hart->others = ((1ul << hart_count) - 1) & ~(1ul << i);
        hart->run = (EXO_STATE_RUN - EXO_STATE_READY) | i << EXO_ENV_HART_SHIFT;
        hart->accept = hart->run + EXO_FLAG_INCALL - (EXO_STATE_ACCEPT - EXO_STATE_READY);
        hart->deadline = EXO_NEVER;
        call_table(hart->calls);
    }
    arch_hart_set(harts[0]);
}

/* The disks' frames lie between the harts' and the locks. */
static void disks_start(const struct exo_info *facts) {
    struct exo_disk *table = frame_pointer(facts->disk_table);
    uint64_t frame = facts->init_env - LOCK_FRAMES - disk_count * DISK_FRAMES;
    for (uint64_t i = 0; i < disk_count; i++)
        disk_start(&disks[i], &table[i], frame_pointer(frame + i * DISK_FRAMES));
}

/* ---- init ---- */

/* A root capability: no parent, everything promised. */
static void root_add(struct exo_env *env, uint64_t class, uint64_t rights, uint64_t first,
                     uint64_t count, uint64_t extra) {
    uint32_t index = info->root_count++;
    struct exo_cap *cap = &env->slot[index];
    cap_reset(cap, EXO_SLOT_LIVE);
    cap->word |= class << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    cap->first = first;
    cap->count = cap->keep = count;
    cap->extra = extra;
    cap_index(cap, names_of(class, first, first + count, extra), cap_link(cap));
    info->root[index] =
        (struct exo_root_info){cap_handle(cap), first, count, (uint32_t) class, (uint32_t)rights};
}

/* The archive must be memory that programs may hold: its frames are init's to map. */
static const struct exo_archive *archive_check(void) {
    const struct exo_archive *archive = frame_pointer(info->archive);
    uint64_t bytes = info->archive_bytes;
    for (uint64_t i = 0; i < frames_for(bytes); i++)
        if (!frame_exists(info->archive + i) || *frame_word(info->archive + i))
            arch_stop("the boot archive lies in memory that is not for programs");
    if (bytes < sizeof(*archive) || archive->magic != EXO_ARCHIVE_MAGIC)
        arch_stop("the boot archive is none (make it with scripts/pack)");
    if (archive->bytes > bytes) arch_stop("the boot archive is truncated");
    uint64_t offset = archive->init_offset, text = archive->init_text_bytes;
    uint64_t init = archive->init_bytes;
    if ((offset | text | init) % EXO_FRAME_BYTES || text == 0 || text > init ||
        offset > archive->bytes || init > archive->bytes - offset ||
        init > EXO_VA_INFO - EXO_VA_INIT)
        arch_stop("the boot archive's init is damaged");
    return archive;
}

/* init's root capability for this frame: the first slots are those of the banks. */
static struct exo_cap *bank_root(struct exo_env *env, uint64_t frame) {
    struct exo_cap *cap = env->slot;
    while (!cap_covers(cap, frame, 1)) cap++;
    return cap;
}

/* Map one frame of init. */
static void init_map(uint64_t va, uint64_t frame, uint64_t rights) {
    uint64_t slot = cap_handle(bank_root(arch_hart()->space, frame));
    kernel_assert(page_map(EXO_SELF, va, slot, frame, 1, rights).value == 1);
}

/* init's space, by the calls that a program would make: this hart acts as init meanwhile. */
static void init_space(struct exo_env *env, const struct exo_archive *archive) {
    struct hart *hart = arch_hart();
    uint64_t image = info->archive + (archive->init_offset >> EXO_FRAME_SHIFT);
    uint64_t first = env->frame, slot = cap_handle(bank_root(env, first));
    hart->space = env;
    hart->space_lock = space_lock(env);
    kernel_assert(!table_link(EXO_SELF, 0, 2, slot, first + INIT_TABLE).value);
    kernel_assert(!table_link(EXO_SELF, EXO_VA_INIT, 1, slot, first + INIT_LEAF).value);
    for (uint64_t offset = 0; offset < archive->init_bytes; offset += EXO_FRAME_BYTES) {
        bool text = offset < archive->init_text_bytes;
        init_map(EXO_VA_INIT + offset, image + (offset >> EXO_FRAME_SHIFT),
                 EXO_PAGE_R | (text ? EXO_PAGE_X : EXO_PAGE_W));
    }
    init_map(EXO_VA_INFO, info->info_frame, EXO_PAGE_R);
    init_map(EXO_VA_ENV, first + INIT_ENV, EXO_PAGE_R);
    init_map(EXO_VA_CTX, first + INIT_CTX, EXO_PAGE_R | EXO_PAGE_W);
    hart->space = NULL;
}

/* Registers, lines and disks.  What the kernel keeps of them is refused when it is asked for. */
static void device_roots(struct exo_env *env, uint64_t lines_end) {
    uint64_t first = info->device[0].address >> EXO_FRAME_SHIFT;
    if (info->device_count) {
        uint64_t last = info->device[info->device_count - 1].address >> EXO_FRAME_SHIFT;
        root_add(env, EXO_CLASS_DEVICE, EXO_DEVICE_R | EXO_DEVICE_W, first, last - first + 1, 0);
    }
    if (lines_end > 1) root_add(env, EXO_CLASS_IRQ, EXO_IRQ_BIND, 1, lines_end - 1, 0);
    for (uint64_t i = 0; i < disk_count; i++) {
        const struct exo_disk *disk = disks[i].facts;
        bool reads = disk->features & EXO_DISK_READ_ONLY;
        lines[disk->line].holder = 0; /* the kernel's own */
        root_add(env, EXO_CLASS_BLOCK, reads ? EXO_BLOCK_R : EXO_BLOCK_R | EXO_BLOCK_W, 0,
                 disk->sectors, EXO_BLOCK_EXTRA(0, EXO_ENTRIES) | i << 32);
    }
}

static struct exo_env *init_create(uint64_t first, uint64_t lines_end) {
    static const uint8_t types[] = {EXO_FRAME_ENV, EXO_FRAME_CTX, EXO_FRAME_ROOT};
    uint64_t frames[] = {first + INIT_ENV, first + INIT_CTX, first + INIT_ROOT};
    struct exo_env *env = env_at(first);
    const struct exo_archive *archive = archive_check();
    for (uint32_t i = 0; i < 3; i++) frame_claim(frames[i], types[i]);
    env_init(env, frames[1], frames[2], env);
    for (uint32_t i = 0; i < info->bank_count; i++)
        root_add(env, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X | EXO_PAGE_DMA,
                 info->bank[i].first, info->bank[i].count, 0);
    root_add(env, EXO_CLASS_SLICE, EXO_SLICE_BIND | EXO_SLICE_URGENT, 0,
             (uint64_t)hart_count * EXO_ROWS, 0);
    root_add(env, EXO_CLASS_MACHINE, EXO_MACHINE_CONSOLE | EXO_MACHINE_POWER | EXO_MACHINE_TRACE, 0,
             1, 0);
    device_roots(env, lines_end);
    env_donate(bank_root(env, first), env, frames, 3);
    init_space(env, archive);
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    ctx->register_pc = EXO_VA_INIT;
    *frame_state(first) = env_word(env->gen, EXO_STATE_READY);
    slice_fill(0, env, env, EXO_ROW_URGENT);
    return env;
}

/* At least one tick, whatever the time counter's rate. */
static uint64_t ticks_for(uint64_t hz, uint64_t nanoseconds) {
    uint64_t ticks = hz * nanoseconds / NANOSECONDS;
    return ticks > 0 ? ticks : 1;
}

struct exo_env *kernel_boot(struct machine *machine) {
    struct exo_info *facts = &machine->facts;
    if (!facts->archive_bytes) arch_stop("there is no boot archive (-initrd)");
    if (machine->archive_address % EXO_FRAME_BYTES)
        arch_stop("the boot archive does not begin at a frame");
    const struct exo_bank *last = &facts->bank[facts->bank_count - 1];
    ram_first = facts->ram_first = facts->bank[0].first;
    ram_count = facts->ram_count = last->first + last->count - ram_first;
    facts->magic = EXO_INFO_MAGIC;
    facts->version = EXO_ABI_VERSION;
    facts->bytes = sizeof(*facts);
    facts->row_ticks = ticks_for(facts->timebase_hz, EXO_ROW_NANOSECONDS);
    facts->grace_ticks = ticks_for(facts->timebase_hz, EXO_GRACE_NANOSECONDS);
    facts->archive = machine->archive_address >> EXO_FRAME_SHIFT;
    machine->used[MACHINE_ARCHIVE] =
        (struct exo_bank){facts->archive, frames_for(facts->archive_bytes)};
    disks_find(facts);
    block_take(machine);
    info = frame_pointer(facts->info_frame);
    *info = *facts;
    slice_rows = frame_pointer(facts->slice_table);
    space_locks = frame_pointer(facts->init_env - LOCK_FRAMES);
    lines = frame_pointer(facts->line_table);
    group_words = (uint64_t *)frame_pointer(facts->group_table) - (ram_first >> EXO_GROUP_SHIFT);
    harts_init(facts);
    frame_table_fill(machine);
    disks_start(facts);
    return init_create(facts->init_env, machine->lines);
}
