/* SPDX-License-Identifier: MIT */
/*
 * walk_frames: tries to map and to read every frame of the machine, and the
 * devices, with every capability that it holds and with none.
 *
 * What lies outside a capability must be refused, what lies inside must be
 * what the frame table says: DATA for reading and writing, tables for reading
 * at most, the kernel's own not at all.  Then it writes to each frame that it
 * holds and nobody uses, and reads all of them again: no two are the same.
 */
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define CHUNK EXO_PAGES_MAX
#define DIRECT_MAP 0xffffffc000000000
#define MARGIN 64 /* frames before and after RAM */

static uint64_t va;

/* Device registers of QEMU's machine `virt`, first frame and count. */
static const struct {
    uint64_t first, count;
} devices[] = {{0, 4},         {0x100, 2},     {0x2000, 16},        {0xc000, 64},
               {0x10000, 16},  {0x20000, 16},  {0x30000, 16},       {1ul << 40, 4},
               {1ul << 43, 4}, {1ul << 44, 4}, {(1ul << 52) - 4, 4}};

struct tally {
    uint64_t refused, allowed, wrong;
};

static bool covers(const struct exo_cap *cap, uint64_t frame) {
    return cap && frame - cap->first < cap->count;
}

/* What a mapping of a frame by this capability must answer: 1 or an error. */
static int64_t expected(const struct exo_cap *cap, uint64_t frame, uint64_t rights) {
    const struct exo_info *info = sys_info();
    bool ram = frame - info->ram_first < info->ram_count;
    uint64_t type = ram ? check_words[2 * (frame - info->ram_first)] >> EXO_TYPE_SHIFT : 0;

    if (cap ? !covers(cap, frame) : !ram) return EXO_ERANGE;
    if (!cap) return type == EXO_FRAME_INFO && rights == R ? 1 : EXO_ETYPE;
    if (type == EXO_FRAME_DATA || type == EXO_FRAME_CTX) return 1;
    return type == EXO_FRAME_KERNEL || rights != R ? EXO_ETYPE : 1;
}

static void try(struct tally *tally, const struct exo_cap *cap, uint64_t slot, uint64_t frame,
                uint64_t rights) {
    int64_t want = expected(cap, frame, rights);
    int64_t value = exo_page_map(EXO_SELF, va, slot, frame, 1, rights).value;
    if (value == 1) exo_page_unmap(EXO_SELF, va, 1, 0);
    if (value != want) tally->wrong++;
    if (value < 0)
        tally->refused++;
    else
        tally->allowed++;
}

static void walk(const char *what, const struct exo_cap *cap, uint64_t slot) {
    const struct exo_info *info = sys_info();
    uint64_t rights = cap ? EXO_CAP_RIGHTS(cap->word) & (R | W) : R | W;
    uint64_t end = info->ram_first + info->ram_count + MARGIN;
    struct tally tally = {0};

    for (uint64_t frame = info->ram_first - MARGIN; frame < end; frame++) {
        try(&tally, cap, slot, frame, rights);
        if (rights != R) try(&tally, cap, slot, frame, R);
    }
    for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        for (uint64_t frame = devices[i].first; frame < devices[i].first + devices[i].count;
             frame++)
            try(&tally, cap, slot, frame, rights);
    check(!tally.wrong && tally.refused, "by %s: %lu mappings refused, %lu allowed, %lu wrongly",
          what, tally.refused, tally.allowed, tally.wrong);
}

/* ---- reading where the kernel sees memory ---- */

static sys_handler *old_handlers[SYS_CAUSES];
static volatile uint64_t faults;
static volatile bool probing;

static bool probe_fault(struct exo_ctx *ctx, uint64_t cause, uint64_t value) {
    if (!probing) return old_handlers[cause] && old_handlers[cause](ctx, cause, value);
    faults++;
    ctx->exception_pc += 4;
    return true;
}

static void probe(uint64_t address) {
    probing = true;
    __asm__ volatile(
        ".option push\n.option norvc\nld t0, 0(%0)\nsd zero, 0(%0)\n.option pop" ::"r"(address)
        : "t0", "memory");
    probing = false;
}

static void read_walk(void) {
    static const int causes[] = {SYS_CAUSE_LOAD_PAGE, SYS_CAUSE_STORE_PAGE, SYS_CAUSE_LOAD_ACCESS,
                                 SYS_CAUSE_STORE_ACCESS};
    const struct exo_info *info = sys_info();
    uint64_t probed = 0;

    for (int i = 0; i < 4; i++)
        old_handlers[causes[i]] = sys_handler_set((uint64_t)causes[i], probe_fault);
    for (uint64_t frame = 0; frame < info->ram_count; frame++) {
        probe(DIRECT_MAP + ((info->ram_first + frame) << EXO_FRAME_SHIFT));
        probed += 2;
    }
    /* The other half of the kernel's addresses, a look every 4 MiB. */
    for (uint64_t address = -(1ul << 37); address < -(1ul << 22); address += 1ul << 22) {
        probe(address);
        probed += 2;
    }
    check(faults == probed, "%lu loads and stores at the kernel's addresses: %lu faults", probed,
          faults);
    for (int i = 0; i < 4; i++) sys_handler_set((uint64_t)causes[i], old_handlers[causes[i]]);
}

/* ---- what it holds ---- */

static bool is_free(uint64_t frame) {
    const struct exo_info *info = sys_info();
    uint64_t end = info->archive + info->archive_bytes / EXO_FRAME_BYTES + 1;
    return !check_words[2 * (frame - info->ram_first)] && !(frame >= info->archive && frame < end);
}

/* A range call stops where an interrupt is pending: go on there. */
static void frames_map(uint64_t slot, const uint64_t *frames, uint64_t count) {
    for (uint64_t done = 0; done < count;) {
        memcpy(sys_ctx()->vector, frames + done, (count - done) * sizeof(*frames));
        uint64_t at = va + done * EXO_FRAME_BYTES;
        int64_t value =
            exo_page_map(EXO_SELF, at, slot, 0, count - done, R | W | EXO_MAP_VECTOR).value;
        if (value < 0) return (void)check(false, "map: %s", sys_error_name(value));
        done += (uint64_t)value;
    }
}

/* Write to all free frames of a range, or read them again; how many are not as they should be. */
static uint64_t pass(uint64_t slot, const struct exo_cap *cap, bool write, uint64_t *count) {
    uint64_t wrong = 0;
    *count = 0;
    for (uint64_t frame = cap->first; frame < cap->first + cap->count;) {
        static uint64_t frames[CHUNK];
        uint64_t n = 0;
        for (; n < CHUNK && frame < cap->first + cap->count; frame++)
            if (is_free(frame)) frames[n++] = frame;
        if (!n) break;
        frames_map(slot, frames, n);
        for (uint64_t i = 0; i < n; i++) {
            volatile uint64_t *word = (volatile uint64_t *)(va + i * EXO_FRAME_BYTES + 8 * i);
            if (write)
                *word = ~frames[i];
            else if (*word != ~frames[i])
                wrong++;
        }
        space_unmap(&space_self, va, n);
        *count += n;
    }
    return wrong;
}

static void held_checks(uint64_t slot, const struct exo_cap *cap) {
    uint64_t count, again;
    uint64_t wrong = pass(slot, cap, true, &count) + pass(slot, cap, false, &again);
    check(!wrong && count == again && count, "%lu free frames of its own: each keeps its word",
          count);
}

int main(void) {
    check_begin("walk_frames");
    uint64_t frame = frame_alloc();
    uint64_t memory = frame_slot(frame);
    char what[32];

    va = check_room(memory, frame, CHUNK);
    walk("no capability", NULL, EXO_NONE);
    for (uint64_t index = 0; index < EXO_ENV_SLOTS; index++) {
        const struct exo_cap *cap = sys_slot(0, index);
        if (EXO_CAP_STATE(cap->word) != EXO_SLOT_LIVE) continue;
        if (EXO_CAP_CLASS(cap->word) != EXO_CLASS_PAGE) continue;
        snprintf(what, sizeof(what), "slot %lu", index);
        walk(what, cap, EXO_CAP_HANDLE(cap->word, index));
    }
    read_walk();
    const struct exo_cap *cap = sys_slot(memory << 32 >> 44, memory >> 7 & 31);
    held_checks(memory, cap);
    return check_end();
}
