/* SPDX-License-Identifier: MIT */
/*
 * exhaust: takes of everything as much as there is.  What comes too much is
 * refused with an error of its own, and all of it comes back.
 */
#include "check.h"
#include "child.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define FRAMES 256
#define MAPS_MAX (1ul << EXO_MAP_BITS)
#define MAPS_VA 0x3000000000
#define HELD_MAX 1200

static uint64_t memory, first; /* own slot, and FRAMES frames of it that nobody uses */
static uint64_t held[HELD_MAX];

static uint64_t slot(void) { return (uint64_t)mem_slot(); }

static struct exo_result derive(uint64_t from, uint64_t into) {
    return exo_cap_derive(from, into, first, FRAMES, R | W, 0, 0);
}

static const struct exo_cap *slot_of(uint64_t handle) {
    return sys_slot((uint32_t)handle >> EXO_HANDLE_TABLE_SHIFT,
                    handle >> EXO_HANDLE_INDEX_SHIFT & (EXO_CAPS_SLOTS - 1));
}

static void depth_checks(void) {
    uint64_t count = 0, from = memory;
    while (slot_of(from)->depth < EXO_DEPTH_MAX - 1) {
        from = held[count++] = DONE("derive", derive(from, slot()));
        if (!from) return;
    }
    REFUSED(DEPTH, "an environment at depth 31",
            exo_env_create(from, first, first + 1, first + 2, slot()));
    from = held[count++] = DONE("derive", derive(from, slot()));
    check(slot_of(from)->depth == EXO_DEPTH_MAX, "%lu capabilities below each other", count);
    REFUSED(DEPTH, "one more", derive(from, slot()));
    REFUSED(DEPTH, "a CAPS frame at depth 32", exo_caps_add(from, first));
    REFUSED(DEPTH, "an environment at depth 32", exo_env_create(from, first, first + 1, 0, slot()));
    check(sys_cap_drop(held[0], first) == 0, "the first of them is dropped");
    uint64_t lost = 0;
    for (uint64_t i = 1; i < count; i++) lost += exo_cap_drop(held[i], 0).value == 0;
    check(lost == count - 1, "the others are lost with it, and cleared");
}

static void caps_checks(void) {
    uint64_t added = 0, before = sys_env()->caps_count;
    int64_t error = 0;
    while (added < EXO_CAPS_FRAMES && !(error = sys_slots_add(memory, first + added))) added++;
    check(error == EXO_EFULL && added + before == EXO_CAPS_FRAMES, "%lu CAPS frames, then: %s",
          added + before, sys_error_name(error));
    REFUSED(FULL, "one more", exo_caps_add(memory, first + added));
    /* Every slot of them, and the call that finds none. */
    uint64_t count = 0;
    for (uint64_t table = before + 1; table <= EXO_CAPS_FRAMES; table++)
        for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++)
            held[count++] = DONE("derive", derive(memory, EXO_HANDLE(table, index)));
    uint64_t last = EXO_HANDLE(EXO_CAPS_FRAMES, EXO_CAPS_SLOTS - 1);
    check(count == added * (EXO_CAPS_SLOTS - 1), "%lu capabilities in them", count);
    REFUSED(SLOT, "a capability more", derive(memory, last));
    REFUSED(SLOT, "an environment more", exo_env_create(memory, first + 64, first + 65, 0, last));
    REFUSED(BUSY, "a CAPS frame that is full goes", exo_caps_del(first));
    uint64_t dropped = 0, gone = 0;
    while (dropped < count && sys_cap_drop(held[dropped], first) == 0) dropped++;
    for (uint64_t i = 0; i < added; i++) gone += exo_caps_del(first + i).value == 0;
    space_unmap(&space_self, SYS_VA_CAPS + before * EXO_FRAME_BYTES, added);
    check(dropped == count && gone == added, "all of them come back");
    REFUSED(SLOT, "a handle of one that is gone", exo_cap_drop(held[0], first));
}

static void env_checks(void) {
    uint64_t own = DONE("derive", derive(memory, slot())), count = 0;
    struct exo_result result;
    for (;;) {
        uint64_t frame = first + 3 * count;
        result = exo_env_create(own, frame, frame + 1, frame + 2, slot());
        if (result.value < 0) break;
        held[count++] = (uint64_t)result.value;
    }
    check(result.value == EXO_ERANGE && count == FRAMES / 3, "%lu environments, then: %s", count,
          sys_error_name(result.value));
    check(sys_cap_drop(own, first) == 0, "they end with what they are made of");
    uint64_t cleared = 0;
    for (uint64_t i = 0; i < count; i++) cleared += exo_cap_drop(held[i], 0).value == 0;
    check(cleared == count, "and leave tombstones");
}

/* Map one frame as often as a frame can be mapped. */
static void map_checks(void) {
    uint64_t tables = MAPS_MAX / EXO_GROUP_FRAMES + 8, done = 0, linked = 0;
    if (frame_count_free() < tables + FRAMES) {
        printf("# too little memory to map a frame %lu times\n", MAPS_MAX);
        return;
    }
    struct space space = space_self;
    for (int i = 0; i < EXO_PAGES_MAX; i++) sys_ctx()->vector[i] = first;
    struct exo_result result = {0, 0};
    while (result.value >= 0) {
        uint64_t va = MAPS_VA + done * EXO_FRAME_BYTES;
        result = exo_page_map(EXO_SELF, va, memory, 0, EXO_PAGES_MAX, R | EXO_MAP_VECTOR);
        if (result.value == EXO_ENOTABLE) {
            if (space_map(&space, va, memory, first + 1, 1, R)) break;
            exo_page_unmap(EXO_SELF, va, 1, 0);
            linked++;
            result.value = 0;
        }
        if (result.value > 0) done += (uint64_t)result.value;
    }
    check(result.value == EXO_EFULL && done == MAPS_MAX, "one frame is mapped %lu times, then: %s",
          done, sys_error_name(result.value));
    check(mem_frame_words(first)->word0 >> EXO_MAP_SHIFT == done,
          "the frame table counts them all");
    REFUSED(FULL, "once more",
            exo_page_map(EXO_SELF, MAPS_VA + done * EXO_FRAME_BYTES, memory, first, 1, R));
    space_unmap(&space_self, MAPS_VA, done);
    check(mem_frame_words(first)->word0 == 0, "and none is left");
}

static void memory_checks(void) {
    uint64_t count = 0, bytes = 64ul << 20;
    void *regions[64];
    while (bytes >= EXO_FRAME_BYTES && count < 48) {
        regions[count] = mem_reserve(bytes);
        if (regions[count])
            count++;
        else
            bytes /= 2;
    }
    check(!mem_reserve(EXO_FRAME_BYTES * 16), "%lu regions until no memory is left", count);
    while (count) mem_release(regions[--count]);
    void *memory_again = mem_reserve(32ul << 20);
    check(memory_again != NULL, "and 32 MiB are there again");
    mem_release(memory_again);
}

static void task_checks(void) {
    struct task tasks[32];
    const struct task_options options = {.frames = 2048};
    int64_t error = 0;
    uint64_t count = 0, ended = 0;
    while (count < 32 && !(error = task_spawn(&tasks[count], "hello", &options))) count++;
    check(count > 0 && (count == 32 || error == TASK_EMEMORY), "%lu programs, then: %s", count,
          task_error_text(error));
    for (uint64_t i = 0; i < count; i++) ended += task_end(&tasks[i]) == 0;
    check(ended == count, "all of them end");
}

/* All rows of the last hart, for one child. */
static void row_checks(void) {
    uint64_t row, rows, slice = child_rows(&row, &rows), bound = 0, refused = 0, freed = 0;
    if (slice == EXO_NONE || sys_info()->hart_count < 2) {
        printf("# no rows of another hart: that they run out is not tried\n");
        return;
    }
    struct child child;
    child_make(&child, 0);
    row += rows - EXO_ROWS;
    for (uint64_t i = 0; i < EXO_ROWS; i++)
        bound += exo_slice_bind(slice, row + i, child.env).value == 0;
    for (uint64_t i = 0; i < EXO_ROWS; i++)
        refused += exo_slice_bind(slice, row + i, child.env).value == EXO_EBUSY;
    REFUSED(RANGE, "a row more", exo_slice_bind(slice, row + EXO_ROWS, child.env));
    for (uint64_t i = 0; i < EXO_ROWS / 2; i++)
        freed += exo_slice_bind(slice, row + i, EXO_UNBIND).value == 0;
    for (uint64_t i = 0; i < EXO_ROWS / 2; i++)
        freed += exo_slice_bind(slice, row + i, child.env).value == 0;
    check(bound == EXO_ROWS && refused == EXO_ROWS && freed == EXO_ROWS,
          "one child has %lu rows of a hart, and no more", bound);
    check(child_end(&child) == 0, "it ends with all of them");
    bound = 0;
    child_make(&child, 0);
    for (uint64_t i = 0; i < EXO_ROWS; i++)
        bound += exo_slice_bind(slice, row + i, child.env).value == 0 &&
                 exo_slice_bind(slice, row + i, EXO_UNBIND).value == 0;
    check(bound == EXO_ROWS && child_end(&child) == 0, "they are there for the next");
}

int main(void) {
    check_begin("exhaust");
    first = frame_alloc_range(FRAMES, 1, NULL);
    memory = frame_slot(first);
    /* Slots enough, so that no CAPS frame is added while CAPS frames are counted. */
    for (uint64_t i = 0; i < 2 * FRAMES / 3 + 40; i++)
        held[i] = DONE("derive", derive(memory, slot()));
    for (uint64_t i = 0; i < 2 * FRAMES / 3 + 40; i++) sys_cap_drop(held[i], first);
    task_checks();
    memory_checks();
    uint64_t before = check_use();
    depth_checks();
    caps_checks();
    env_checks();
    row_checks();
    check(check_use() == before, "nothing is lost");
    map_checks();
    return check_end();
}
