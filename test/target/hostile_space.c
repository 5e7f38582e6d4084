/* SPDX-License-Identifier: MIT */
/*
 * hostile_space: every wrong argument to the calls on page tables, and every
 * frame that a program must not map as it likes: its own tables above all.
 */
#include "check.h"
#include "child.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define X EXO_PAGE_X
#define FRAMES 16
#define PAGE EXO_FRAME_BYTES
#define GROUP 0x200000ul
#define KERNEL_ADDRESS 0xffffffc080000000
#define ENTRY_RIGHTS 0xe

static uint64_t memory, first; /* own slot, and FRAMES frames of it that nobody uses */
static uint64_t va;            /* two leaf TABLEs of address space */
static struct child child;

static struct exo_result map(uint64_t at, uint64_t slot, uint64_t frame, uint64_t count,
                             uint64_t flags) {
    return exo_page_map(EXO_SELF, at, slot, frame, count, flags);
}

static void address_checks(void) {
    static const uint64_t bad[] = {1, 8, PAGE - 1, PAGE + 2};
    for (int i = 0; i < 4; i++)
        REFUSED(ADDRESS, "map at an unaligned address", map(va + bad[i], memory, first, 1, R));
    REFUSED(ADDRESS, "map at 2^38", map(EXO_VA_LIMIT, memory, first, 1, R));
    REFUSED(ADDRESS, "map over 2^38", map(EXO_VA_LIMIT - PAGE, memory, first, 2, R));
    REFUSED(ADDRESS, "map at a kernel address", map(KERNEL_ADDRESS, memory, first, 1, R));
    REFUSED(ADDRESS, "map at the last page", map(-(uint64_t)PAGE, memory, first, 1, R));
    REFUSED(ADDRESS, "map around the end of all", map(-(uint64_t)PAGE, memory, first, 2, R));
    REFUSED(ADDRESS, "map at 2^63", map(1ul << 63, memory, first, 1, R));
    REFUSED(ADDRESS, "map large at a page", map(va + PAGE, memory, first, 1, R | EXO_MAP_LARGE));
    REFUSED(NOTABLE, "map where no TABLE is", map(0x3f00000000, memory, first, 1, R));
    REFUSED(NOTABLE, "unmap where no TABLE is", exo_page_unmap(0, 0x3f00000000, 1, 0));
    REFUSED(ADDRESS, "unmap at a kernel address", exo_page_unmap(0, KERNEL_ADDRESS, 1, 0));
    REFUSED(ADDRESS, "unmap around the end", exo_page_unmap(0, -(uint64_t)PAGE, 256, 0));
    REFUSED(ADDRESS, "protect at a kernel address", exo_page_protect(0, KERNEL_ADDRESS, 1, R));
    REFUSED(ADDRESS, "harvest at a kernel address", exo_page_harvest(0, KERNEL_ADDRESS, 1));
    REFUSED(ADDRESS, "harvest at an odd address", exo_page_harvest(0, va + 1, 1));
}

static void count_checks(void) {
    static const uint64_t bad[] = {0, 257, 512, 1ul << 32, 1ul << 52, 1ul << 62, ~0ul >> 1};
    for (int i = 0; i < 7; i++) {
        REFUSED(ARGUMENT, "map a wrong count", map(va, memory, first, bad[i], R));
        REFUSED(ARGUMENT, "unmap a wrong count", exo_page_unmap(0, va, bad[i], 0));
        REFUSED(ARGUMENT, "protect a wrong count", exo_page_protect(0, va, bad[i], R));
        REFUSED(ARGUMENT, "harvest a wrong count", exo_page_harvest(0, va, bad[i]));
        REFUSED(ARGUMENT, "unmap a wrong count of large leaves",
                exo_page_unmap(0, va, bad[i] | EXO_COUNT_LARGE, 0));
    }
    REFUSED(ARGUMENT, "map 2^63 pages", map(va, memory, first, 1ul << 63, R));
    REFUSED(ARGUMENT, "map 2^64 - 1 pages", map(va, memory, first, ~0ul, R));
    REFUSED(ARGUMENT, "map no large leaves", map(va, memory, first, 0, R | EXO_MAP_LARGE));
}

static void flag_checks(void) {
    static const uint64_t bad[] = {0, W, X, W | X, R | 8, R | 0x80, R | 0x400, R | 1ul << 63, ~0ul};
    for (int i = 0; i < 9; i++)
        REFUSED(ARGUMENT, "map with wrong flags", map(va, memory, first, 1, bad[i]));
    REFUSED(ARGUMENT, "map INFO large", map(va, EXO_NONE, first, 1, R | EXO_MAP_LARGE));
    map(va, memory, first, 1, R);
    REFUSED(ARGUMENT, "protect to no rights", exo_page_protect(0, va, 1, 0));
    REFUSED(ARGUMENT, "protect to W", exo_page_protect(0, va, 1, W));
    REFUSED(ARGUMENT, "protect to a right that is none", exo_page_protect(0, va, 1, R | 8));
    REFUSED(ABSENT, "protect what is absent", exo_page_protect(0, va + PAGE, 1, R));
    REFUSED(PRESENT, "map over a page", map(va, memory, first + 1, 1, R));
    REFUSED(ARGUMENT, "unmap with a payload that is present", exo_page_unmap(0, va, 1, 1));
    REFUSED(ARGUMENT, "unmap with a payload that looks hidden", exo_page_unmap(0, va, 1, 0x10));
    REFUSED(ARGUMENT, "unmap with a payload of ones", exo_page_unmap(0, va, 1, ~0ul));
    exo_page_unmap(0, va, 1, 0);
}

static void frame_checks(void) {
    const struct exo_info *info = sys_info();
    uint64_t slot = (uint64_t)mem_slot();
    uint64_t weak = DONE("derive", exo_cap_derive(memory, slot, first, 4, R, 0, 0));

    TRY_HANDLES(SLOT, weak, "map by", map(va, bad, first, 1, R));
    REFUSED(RIGHTS, "map W by a capability with R", map(va, weak, first, 1, R | W));
    REFUSED(RIGHTS, "map X by a capability with R", map(va, weak, first, 1, R | X));
    REFUSED(CLASS, "map by an ENV capability", map(va, child.env, child.frame, 1, R));
    REFUSED(RANGE, "map the frame before", map(va, weak, first - 1, 1, R));
    REFUSED(RANGE, "map a frame too many", map(va, weak, first, 5, R));
    REFUSED(RANGE, "map frame 2^64 - 1", map(va, weak, ~0ul, 1, R));
    REFUSED(RANGE, "map frames that wrap", map(va, weak, ~0ul - 3, 8, R));
    REFUSED(RANGE, "map a frame whose entry wraps", map(va, weak, first + (1ul << 54), 1, R));
    REFUSED(RANGE, "map a kernel address as frame", map(va, weak, KERNEL_ADDRESS >> 12, 1, R));
    REFUSED(RANGE, "map large leaves past the range",
            map(va & ~(GROUP - 1), weak, first, 256, R | EXO_MAP_LARGE));
    REFUSED(TYPE, "map an INFO frame W", map(va, EXO_NONE, info->info_frame, 1, R | W));
    REFUSED(TYPE, "map an INFO frame X", map(va, EXO_NONE, info->frame_table, 1, R | X));
    REFUSED(TYPE, "map a DATA frame as INFO", map(va, EXO_NONE, first, 1, R));
    REFUSED(TYPE, "map the kernel's text as INFO", map(va, EXO_NONE, info->ram_first, 1, R));
    REFUSED(RANGE, "map frame 0 as INFO", map(va, EXO_NONE, 0, 1, R));
    REFUSED(RANGE, "map frame 2^64 - 1 as INFO", map(va, EXO_NONE, ~0ul, 1, R));
    sys_ctx()->vector[0] = first + 4;
    REFUSED(RANGE, "map a vector of others' frames", map(va, weak, 0, 1, R | EXO_MAP_VECTOR));
    sys_ctx()->vector[0] = first + (1ul << 54);
    REFUSED(RANGE, "map a vector that wraps", map(va, weak, 0, 1, R | EXO_MAP_VECTOR));
    for (uint64_t i = 0; i < 8; i++) sys_ctx()->vector[i] = first + i;
    check(map(va, weak, 0, 8, R | EXO_MAP_VECTOR).value == 4, "a vector ends where the range ends");
    space_unmap(&space_self, va, 4);
    sys_cap_drop(weak, first);
    REFUSED(SLOT, "map by what was dropped", map(va, weak, first, 1, R));
}

/* The frames that the kernel reads for this program, which must never be writable. */
static void typed_checks(void) {
    const struct exo_env *env = sys_env();
    uint64_t ctx = env->ctx >> EXO_FRAME_SHIFT;
    struct {
        const char *what;
        uint64_t frame;
    } typed[] = {{"ENV", env->frame},
                 {"ROOT", env->root},
                 {"CAPS", env->caps[0]},
                 {"child's ENV", child.frame},
                 {"child's ROOT", child.frame + 2},
                 {"child's TABLE", child.frame + 3}};
    char text[64];
    for (int i = 0; i < 6; i++) {
        uint64_t slot = frame_slot(typed[i].frame) ? frame_slot(typed[i].frame) : memory;
        uint64_t frame = typed[i].frame;
        snprintf(text, sizeof(text), "map %s frame W", typed[i].what);
        REFUSED(TYPE, text, map(va, slot, frame, 1, R | W));
        snprintf(text, sizeof(text), "map %s frame X", typed[i].what);
        REFUSED(TYPE, text, map(va, slot, frame, 1, R | X));
        sys_ctx()->vector[0] = frame;
        snprintf(text, sizeof(text), "map %s frame W by vector", typed[i].what);
        REFUSED(TYPE, text, map(va, slot, 0, 1, R | W | EXO_MAP_VECTOR));
        snprintf(text, sizeof(text), "link %s frame as TABLE", typed[i].what);
        REFUSED(BUSY, text, exo_table_link(0, va + 2 * GROUP, 1, slot, frame));
        check(map(va, slot, frame, 1, R).value == 1, "%s frame is mapped R", typed[i].what);
        REFUSED(PRESENT, "map W over it", map(va, slot, frame, 1, R | W));
        REFUSED(TYPE, "replace by W", map(va, slot, frame, 1, R | W | EXO_MAP_REPLACE));
        exo_page_protect(0, va, 1, R | W | X);
        exo_page_unmap(0, va, 1, 0);
    }
    REFUSED(BUSY, "link CTX as TABLE", exo_table_link(0, va + 2 * GROUP, 1, memory, ctx));
}

/* An entry of the page table, read through the TABLE that holds it. */
static uint64_t entry_of(uint64_t at) {
    uint64_t frame = sys_env()->root, room = check_room(memory, first, 1), entry = 0;
    for (int shift = 30; shift >= 12; shift -= 9) {
        map(room, memory, frame, 1, R | EXO_MAP_REPLACE);
        entry = ((const volatile uint64_t *)room)[at >> shift & 511];
        frame = entry << 10 >> 20;
    }
    exo_page_unmap(0, room, 1, 0);
    return entry;
}

static void entry_checks(void) {
    map(va, memory, first, 1, R);
    exo_page_protect(0, va, 1, R | W | X);
    check((entry_of(va) & ENTRY_RIGHTS) == 2, "protect raises no rights");
    uint64_t payload = 0x5555aaaa5555aaaa & ~(uint64_t)EXO_PAYLOAD_ZERO;
    exo_page_unmap(0, va, 1, payload);
    check(entry_of(va) == payload, "a payload is kept");
    check(mem_frame_words(first)->word0 == 0, "a payload counts nowhere");
    exo_page_unmap(0, va, 1, first << 10 | 0xee);
    check(exo_page_unmap(0, va, 1, 0).detail == 0, "a payload that looks like an entry is none");
}

static void table_checks(void) {
    static const uint64_t levels[] = {0, 3, 4, 512, 1ul << 63, ~0ul};
    uint64_t empty = va + 2 * GROUP, weak_slot = (uint64_t)mem_slot();
    uint64_t weak = DONE("derive", exo_cap_derive(memory, weak_slot, first, 4, R, 0, 0));

    for (int i = 0; i < 6; i++) {
        REFUSED(ARGUMENT, "link at a wrong level",
                exo_table_link(0, empty, levels[i], memory, first));
        REFUSED(ARGUMENT, "unlink at a wrong level", exo_table_unlink(0, va, levels[i]));
    }
    TRY_HANDLES(SLOT, weak, "link by", exo_table_link(0, empty, 1, bad, first));
    REFUSED(RIGHTS, "link without W", exo_table_link(0, empty, 1, weak, first));
    REFUSED(ADDRESS, "link at a page", exo_table_link(0, empty + PAGE, 1, memory, first));
    REFUSED(ADDRESS, "link at a kernel address",
            exo_table_link(0, KERNEL_ADDRESS, 1, memory, first));
    REFUSED(ADDRESS, "link at 2^38", exo_table_link(0, EXO_VA_LIMIT, 2, memory, first));
    REFUSED(NOTABLE, "link under nothing", exo_table_link(0, 0x3f00000000, 1, memory, first));
    REFUSED(PRESENT, "link where one is", exo_table_link(0, va & ~(GROUP - 1), 1, memory, first));
    REFUSED(RANGE, "link frame 2^64 - 1", exo_table_link(0, empty, 1, memory, ~0ul));
    map(va, memory, first, 1, R);
    REFUSED(BUSY, "link a mapped frame", exo_table_link(0, empty, 1, memory, first));
    REFUSED(BUSY, "unlink a TABLE in use", exo_table_unlink(0, va & ~(GROUP - 1), 1));
    exo_page_unmap(0, va, 1, 0);
    REFUSED(ABSENT, "unlink what is absent", exo_table_unlink(0, empty, 1));
    DONE("link", exo_table_link(0, empty, 1, memory, first));
    REFUSED(BUSY, "link a TABLE twice", exo_table_link(0, empty + GROUP, 1, memory, first));
    REFUSED(TYPE, "map a TABLE into itself W", map(empty, memory, first, 1, R | W));
    REFUSED(PRESENT, "map a large leaf over a TABLE",
            map(empty, memory, first & ~511ul, 1, R | EXO_MAP_LARGE));
    REFUSED(TYPE, "unmap a TABLE as a large leaf",
            exo_page_unmap(0, empty, 1 | EXO_COUNT_LARGE, 0));
    DONE("unlink", exo_table_unlink(0, empty, 1));
    sys_cap_drop(weak, first);
}

static void large_checks(void) {
    uint64_t group = frame_alloc_range(EXO_GROUP_FRAMES, EXO_GROUP_FRAMES, NULL);
    uint64_t at = va + 2 * GROUP, flags = R | W | EXO_MAP_LARGE;

    if (!check(group != 0, "a group of frames")) return;
    REFUSED(ARGUMENT, "map a large leaf of odd frames", map(at, memory, group - 1, 1, flags));
    REFUSED(TYPE, "map a large leaf over its own tables",
            map(at, memory, sys_env()->frame & ~511ul, 1, flags));
    DONE("map a large leaf", map(at, memory, group, 1, flags));
    REFUSED(BUSY, "type a frame under it", exo_caps_add(memory, group + 7));
    REFUSED(BUSY, "link a frame under it", exo_table_link(0, at + GROUP, 1, memory, group));
    REFUSED(NOTABLE, "unmap a page of it", exo_page_unmap(0, at, 1, 0));
    REFUSED(TYPE, "unlink it", exo_table_unlink(0, at, 1));
    DONE("unmap it", exo_page_unmap(0, at, 1 | EXO_COUNT_LARGE, 0));
    frame_free(group, EXO_GROUP_FRAMES);
}

static void env_checks(void) {
    uint64_t slot = (uint64_t)mem_slot(), at = EXO_VA_CTX - 16 * PAGE;
    uint64_t weak =
        DONE("derive", exo_cap_derive(child.env, slot, child.frame, 1, EXO_ENV_CALL, 0, 0));
    uint64_t theirs = child.memory, spare = child.frame + CHILD_SPARE;

    TRY_HANDLES(SLOT, weak, "map into", exo_page_map(bad, at, theirs, spare, 1, R));
    REFUSED(RIGHTS, "map into it without CONTROL", exo_page_map(weak, at, theirs, spare, 1, R));
    REFUSED(RIGHTS, "unmap in it without CONTROL", exo_page_unmap(weak, EXO_VA_CTX, 1, 0));
    REFUSED(CLASS, "map into a PAGE", exo_page_map(memory, at, theirs, spare, 1, R));
    REFUSED(RANGE, "map what only we hold into it",
            exo_page_map(child.env, at, theirs, first, 1, R));
    REFUSED(NOTABLE, "link in it under nothing",
            exo_table_link(child.env, 0x3f00000000, 1, theirs, spare));
    sys_cap_drop(weak, child.frame);
    sys_cap_drop(child.env, child.frame);
    REFUSED(SLOT, "map into what was dropped", exo_page_map(child.env, at, theirs, spare, 1, R));
}

int main(void) {
    check_begin("hostile_space");
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    va = check_room(memory, first, 1024);
    check_va += 2 * GROUP; /* what the tests link */
    if (child_make(&child, 0)) check(false, "no child");
    if (!sys_env()->caps[0]) sys_slots_add(memory, first + FRAMES - 1);
    address_checks();
    count_checks();
    flag_checks();
    frame_checks();
    typed_checks();
    entry_checks();
    table_checks();
    large_checks();
    env_checks();
    check(child_end(&child) == 0, "the child is reaped");
    return check_end();
}
