/* SPDX-License-Identifier: MIT */
/*
 * From a bare machine to init: the frame table, the slice vectors, the harts,
 * and the first environment, which holds everything.
 *
 * All memory that the kernel will ever use besides its image is one block of
 * frames, taken here.
 */
#include "call.h"
#include "env.h"
#include "machine.h"
#include "slice.h"
#include "space.h"

#define STACK_FRAMES 2
#define HART_FRAMES (STACK_FRAMES + 1)
#define INIT_LEAF_VA 0x200000ul /* one leaf table holds all that init is given */

_Static_assert(EXO_VA_INIT == INIT_LEAF_VA, "init begins with its leaf table");
_Static_assert(sizeof(struct hart) <= EXO_FRAME_BYTES, "a hart's structure fits a frame");
_Static_assert(sizeof(struct exo_info) <= EXO_FRAME_BYTES, "INFO's facts fit a frame");
_Static_assert(sizeof(struct exo_row) * EXO_ROWS == EXO_FRAME_BYTES, "a slice vector is a frame");

/* The kernel's block of frames: the first frame of each part. */
struct block {
    uint64_t info, frames, groups, rows, harts, init, end;
};

/* Parts of init. */
enum { INIT_ENV, INIT_CTX, INIT_ROOT, INIT_TABLE, INIT_LEAF, INIT_FRAMES };

static uint64_t frames_for(uint64_t bytes) {
    return (bytes + EXO_FRAME_BYTES - 1) >> EXO_FRAME_SHIFT;
}

static bool overlaps(struct frame_range range, uint64_t first, uint64_t end) {
    return first < range.first + range.count && range.first < end;
}

/* The first frame at or after `first` where `count` frames overlap nothing that is in use. */
static uint64_t block_skip(const struct machine *machine, uint64_t first, uint64_t count) {
    struct frame_range archive = {machine->archive_address >> EXO_FRAME_SHIFT,
                                  frames_for(machine->archive_bytes)};
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < machine->reserved_count + 2; i++) {
            struct frame_range used = i == 0   ? machine->kernel
                                      : i == 1 ? archive
                                               : machine->reserved[i - 2];
            if (!overlaps(used, first, first + count)) continue;
            first = used.first + used.count;
            moved = true;
        }
    }
    return first;
}

static uint64_t block_place(const struct machine *machine, uint64_t count) {
    for (uint32_t i = 0; i < machine->bank_count; i++) {
        const struct frame_range *bank = &machine->bank[i];
        uint64_t first = block_skip(machine, bank->first, count);
        if (first + count <= bank->first + bank->count) return first;
    }
    arch_stop("there is not enough memory for the kernel's tables");
}

static struct block block_plan(const struct machine *machine) {
    struct block block = {0};
    block.frames = block.info + 1;
    block.groups = block.frames + frames_for(ram_count * sizeof(struct exo_frame));
    block.rows = block.groups + frames_for((ram_count >> EXO_GROUP_SHIFT) * sizeof(uint64_t));
    block.harts = block.rows + machine->hart_count;
    block.init = block.harts + (uint64_t)machine->hart_count * HART_FRAMES;
    block.end = block.init + INIT_FRAMES;
    uint64_t first = block_place(machine, block.end);
    uint64_t *parts[] = {&block.info,  &block.frames, &block.groups, &block.rows,
                         &block.harts, &block.init,   &block.end};
    for (uint64_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) *parts[i] += first;
    for (uint64_t frame = first; frame < block.end; frame++) arch_frame_clear(frame_pointer(frame));
    return block;
}

/* ---- the frame table ---- */

/* Give DATA frames that are in the table a type; others keep theirs. */
static void frames_type(uint64_t first, uint64_t end, uint64_t type) {
    if (first < ram_first) first = ram_first;
    if (end > ram_first + ram_count) end = ram_first + ram_count;
    for (uint64_t frame = first; frame < end; frame++) {
        uint64_t *word = frame_word(frame);
        if (*word) continue;
        *word = type << EXO_TYPE_SHIFT;
        group_words[frame >> EXO_GROUP_SHIFT] += GROUP_TYPED_ONE;
    }
}

static void frame_table_fill(const struct machine *machine, const struct block *block) {
    uint64_t end = ram_first;
    for (uint32_t i = 0; i < machine->bank_count; i++) {
        frames_type(end, machine->bank[i].first, EXO_FRAME_KERNEL);
        end = machine->bank[i].first + machine->bank[i].count;
    }
    for (uint32_t i = 0; i < machine->reserved_count; i++)
        frames_type(machine->reserved[i].first,
                    machine->reserved[i].first + machine->reserved[i].count, EXO_FRAME_KERNEL);
    frames_type(machine->kernel.first, machine->kernel.first + machine->kernel.count,
                EXO_FRAME_KERNEL);
    frames_type(block->info, block->harts, EXO_FRAME_INFO);
    frames_type(block->harts, block->init, EXO_FRAME_KERNEL);
}

/* ---- harts ---- */

static void harts_init(const struct machine *machine, const struct block *block) {
    struct exo_frame *frames = frame_pointer(block->frames);
    hart_count = machine->hart_count;
    for (uint64_t i = 0; i < hart_count; i++) {
        uint64_t stack = block->harts + i * HART_FRAMES;
        struct hart *hart = frame_pointer(stack + STACK_FRAMES);
        harts[i] = hart;
        hart->stack = (uint64_t)(uintptr_t)hart;
        hart->index = hart->generation = i;
        hart->id = machine->hart[i].id;
        hart->facts = &info->hart[i];
        hart->row = i * EXO_ROWS;
        hart->frames = frames - ram_first;
        hart->words = &hart->frames->word1;
        hart->memory = (uint64_t)(uintptr_t)arch_pointer(0);
        hart->space_locks = space_locks;
        hart->others = ((1ul << hart_count) - 1) & ~(1ul << i);
        hart->run = (EXO_STATE_RUN - EXO_STATE_READY) | i << EXO_ENV_HART_SHIFT;
        call_table(hart->calls);
    }
    arch_hart_set(harts[0]);
}

/* ---- INFO ---- */

static void info_init(const struct machine *machine, const struct block *block) {
    info->magic = EXO_INFO_MAGIC;
    info->version = EXO_ABI_VERSION;
    info->bytes = sizeof(*info);
    info->info_frame = block->info;
    info->timebase_hz = machine->timebase_hz;
    info->frame_table = block->frames;
    info->ram_first = ram_first;
    info->ram_count = ram_count;
    info->group_table = block->groups;
    info->slice_table = block->rows;
    info->init_env = block->init + INIT_ENV;
    info->archive = machine->archive_address >> EXO_FRAME_SHIFT;
    info->archive_bytes = machine->archive_bytes;
    info->asid_count = machine->asid_count;
    info->hart_count = machine->hart_count;
    info->bank_count = machine->bank_count;
    info->sbi_version = machine->sbi_version;
    info->boot_instructions = machine->boot_instructions;
    for (uint32_t i = 0; i < machine->bank_count; i++)
        info->bank[i] = (struct exo_bank){machine->bank[i].first, machine->bank[i].count};
    for (uint32_t i = 0; i < machine->hart_count; i++) {
        info->hart[i].id = machine->hart[i].id;
        info->hart[i].flags = machine->hart[i].flags;
    }
}

/* ---- init ---- */

/* A root capability: no parent, everything promised. */
static struct exo_cap *root_add(struct exo_env *env, uint64_t class, uint64_t rights,
                                uint64_t first, uint64_t count) {
    uint32_t index = info->root_count++;
    struct exo_cap *cap = &env->slot[index];
    cap_reset(cap, EXO_SLOT_LIVE);
    cap->word |= class << EXO_CAP_CLASS_SHIFT | rights << EXO_CAP_RIGHTS_SHIFT;
    cap->first = first;
    cap->count = cap->keep = count;
    cap_index(cap, first, count, cap_link(cap));
    info->root[index] = (struct exo_root_info){.handle = cap_handle(cap),
                                               .first = first,
                                               .count = count,
                                               .class = (uint32_t) class,
                                               .rights = (uint32_t)rights};
    return cap;
}

static void archive_check(const struct machine *machine, const struct exo_archive *archive) {
    uint64_t bytes = machine->archive_bytes, init = archive->init_bytes;
    if (bytes < sizeof(*archive) || archive->magic != EXO_ARCHIVE_MAGIC)
        arch_stop("the boot archive is none (make it with scripts/pack)");
    if (archive->bytes > bytes) arch_stop("the boot archive is truncated");
    if ((archive->init_offset | archive->init_text_bytes | init) % EXO_FRAME_BYTES ||
        archive->init_text_bytes == 0 || archive->init_text_bytes > init ||
        archive->init_offset > archive->bytes || init > archive->bytes - archive->init_offset ||
        init > EXO_VA_INFO - EXO_VA_INIT)
        arch_stop("the boot archive's init is damaged");
}

/* The archive must be memory that programs may hold: its frames are init's to map. */
static const struct exo_archive *archive_find(const struct machine *machine) {
    uint64_t first = machine->archive_address >> EXO_FRAME_SHIFT;
    uint64_t end = first + frames_for(machine->archive_bytes);
    for (uint64_t frame = first; frame < end; frame++)
        if (!frame_exists(frame) || *frame_word(frame))
            arch_stop("the boot archive lies in memory that is not for programs");
    return arch_pointer(machine->archive_address);
}

/* Map one frame of init. */
static void init_map(uint64_t *leaf, uint64_t va, uint64_t frame, uint64_t rights) {
    kernel_assert(frame_map(frame, rights) == 0);
    leaf[(va - INIT_LEAF_VA) >> EXO_FRAME_SHIFT] = pte_leaf(frame, rights);
    *frame_state(frame_of(leaf)) += 1;
}

static void init_table(uint64_t parent, uint64_t index, uint64_t frame, uint64_t level) {
    frames_type(frame, frame + 1, EXO_FRAME_TABLE);
    *frame_state(frame) = (uint64_t)EXO_TAG_TABLE << EXO_TAG_SHIFT |
                          level << EXO_TABLE_LEVEL_SHIFT | parent << EXO_TABLE_PARENT_SHIFT |
                          index << EXO_TABLE_INDEX_SHIFT;
    uint64_t *entries = frame_pointer(parent);
    entries[index] = pte_table(frame);
}

static void init_space(uint64_t first, const struct exo_archive *archive) {
    uint64_t *leaf = frame_pointer(first + INIT_LEAF);
    uint64_t image = info->archive + (archive->init_offset >> EXO_FRAME_SHIFT);
    init_table(first + INIT_ROOT, 0, first + INIT_TABLE, 1);
    init_table(first + INIT_TABLE, INIT_LEAF_VA >> (EXO_FRAME_SHIFT + EXO_GROUP_SHIFT),
               first + INIT_LEAF, 0);
    *frame_state(first + INIT_TABLE) += 1;
    for (uint64_t offset = 0; offset < archive->init_bytes; offset += EXO_FRAME_BYTES) {
        bool text = offset < archive->init_text_bytes;
        init_map(leaf, EXO_VA_INIT + offset, image + (offset >> EXO_FRAME_SHIFT),
                 EXO_PAGE_R | (text ? EXO_PAGE_X : EXO_PAGE_W));
    }
    init_map(leaf, EXO_VA_INFO, info->info_frame, EXO_PAGE_R);
    init_map(leaf, EXO_VA_ENV, first + INIT_ENV, EXO_PAGE_R);
    init_map(leaf, EXO_VA_CTX, first + INIT_CTX, EXO_PAGE_R | EXO_PAGE_W);
}

static struct exo_env *init_create(const struct machine *machine, uint64_t first) {
    const struct exo_archive *archive = archive_find(machine);
    uint64_t frames[] = {first + INIT_ENV, first + INIT_CTX, first + INIT_ROOT};
    struct exo_env *env = env_at(first + INIT_ENV);
    struct exo_cap *donor = NULL;
    archive_check(machine, archive);
    frames_type(frames[0], frames[0] + 1, EXO_FRAME_ENV);
    frames_type(frames[1], frames[1] + 1, EXO_FRAME_CTX);
    frames_type(frames[2], frames[2] + 1, EXO_FRAME_ROOT);
    env_init(env, frames[1], frames[2], env);
    for (uint32_t i = 0; i < machine->bank_count; i++) {
        struct exo_cap *cap =
            root_add(env, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W | EXO_PAGE_X | EXO_PAGE_DMA,
                     machine->bank[i].first, machine->bank[i].count);
        if (cap_covers(cap, first, INIT_FRAMES)) donor = cap;
    }
    root_add(env, EXO_CLASS_SLICE, EXO_SLICE_BIND | EXO_SLICE_URGENT, 0,
             (uint64_t)hart_count * EXO_ROWS);
    root_add(env, EXO_CLASS_MACHINE, EXO_MACHINE_CONSOLE | EXO_MACHINE_POWER | EXO_MACHINE_TRACE, 0,
             1);
    kernel_assert(donor);
    env_donate(donor, env, frames, 3);
    init_space(first, archive);
    struct exo_ctx *ctx = arch_pointer(env->ctx);
    ctx->register_pc = EXO_VA_INIT;
    uint64_t ready = env_word(env->gen, EXO_STATE_READY);
    *frame_state(env->frame) = ready;
    slice_rows[0] = (struct exo_row){
        .env = env->frame, .match = ready, .binder = env->frame, .holder = slice_rows[0].holder};
    env->rows = 1;
    return env;
}

struct exo_env *kernel_boot(const struct machine *machine) {
    if (!machine->bank_count) arch_stop("the device tree names no memory");
    if (!machine->archive_bytes) arch_stop("there is no boot archive (-initrd)");
    if (machine->archive_address % EXO_FRAME_BYTES)
        arch_stop("the boot archive does not begin at a frame");
    const struct frame_range *last = &machine->bank[machine->bank_count - 1];
    ram_first = machine->bank[0].first;
    ram_count = last->first + last->count - ram_first;
    struct block block = block_plan(machine);
    info = frame_pointer(block.info);
    slice_rows = frame_pointer(block.rows);
    group_words = (uint64_t *)frame_pointer(block.groups) - (ram_first >> EXO_GROUP_SHIFT);
    harts_init(machine, &block);
    frame_table_fill(machine, &block);
    info_init(machine, &block);
    return init_create(machine, block.init);
}
