/* SPDX-License-Identifier: MIT */
/*
 * fault [crash]: a program that handles its own page faults, and shows it.
 *
 * It reserves a piece of address space whose policy fills a page with the
 * page's own number when it is first touched, and makes it writable at the
 * first write.  A breakpoint is skipped.  With `crash` it reads address 0 and
 * leaves the rest to its parent.
 */
#include <exo/mem.h>
#include <stdio.h>
#include <string.h>

#define PAGES 8
#define SEEN_MAX 16

/* What the handlers saw; they do not print, for they may interrupt printf. */
static struct {
    uint64_t cause, pc, va;
    const char *done;
} seen[SEEN_MAX];
static unsigned seen_count;

static void note(uint64_t cause, uint64_t va, const char *done) {
    if (seen_count == SEEN_MAX) return;
    seen[seen_count].cause = cause;
    seen[seen_count].pc = sys_ctx()->exception_pc;
    seen[seen_count].va = va;
    seen[seen_count].done = done;
    seen_count++;
}

/* Mapped already, so only a write can fault: the page is replaced by its writable self. */
static bool page_open(uint64_t page, uint64_t frame) {
    return space_map(&space_self, page, frame_slot(frame), frame, 1,
                     EXO_PAGE_R | EXO_PAGE_W | EXO_MAP_REPLACE) == 0;
}

static bool numbered_fault(struct region *region, uint64_t va, uint64_t cause) {
    uint64_t *frames = region->context;
    uint64_t page = va & ~(uint64_t)(EXO_FRAME_BYTES - 1);
    uint64_t number = (page - region->first) / EXO_FRAME_BYTES;

    if (frames[number]) {
        note(cause, va, "made writable");
        return page_open(page, frames[number]);
    }
    uint64_t frame = frame_alloc();
    if (frame == 0 ||
        space_map(&space_self, page, frame_slot(frame), frame, 1, EXO_PAGE_R | EXO_PAGE_W) < 0)
        return false;
    memset((void *)page, (int)number, EXO_FRAME_BYTES);
    space_protect(&space_self, page, 1, EXO_PAGE_R);
    frames[number] = frame;
    note(cause, va, "filled with its number");
    return true;
}

static bool breakpoint(struct exo_ctx *ctx, uint64_t cause, uint64_t value) {
    note(cause, value, "skipped");
    /* A breakpoint has two bytes in its short form, else four. */
    uint16_t half = *(const uint16_t *)ctx->exception_pc;
    ctx->exception_pc += (half & 3) == 3 ? 4 : 2;
    return true;
}

static int touch(struct region *region) {
    volatile uint8_t *bytes = (volatile uint8_t *)region->first;
    int wrong = 0;

    for (unsigned page = 0; page < PAGES; page += 3)
        wrong |= bytes[page * EXO_FRAME_BYTES + 5] != page;
    bytes[3 * EXO_FRAME_BYTES] = 99;
    wrong |= bytes[3 * EXO_FRAME_BYTES] != 99 || bytes[3 * EXO_FRAME_BYTES + 1] != 3;
    __asm__ volatile("ebreak");
    return wrong;
}

int main(int argument_count, char **arguments) {
    static uint64_t frames[PAGES];

    if (argument_count > 1 && strcmp(arguments[1], "crash") == 0) {
        printf("fault: reading address 0, which nobody handles\n");
        fflush(stdout);
        return *(volatile int *)0;
    }
    struct region *region = region_reserve(PAGES * EXO_FRAME_BYTES, EXO_FRAME_BYTES,
                                           EXO_PAGE_R | EXO_PAGE_W, numbered_fault, frames);
    if (!region) return 1;
    sys_handler_set(SYS_CAUSE_BREAKPOINT, breakpoint);
    int wrong = touch(region);
    for (unsigned i = 0; i < seen_count; i++)
        printf("fault: %s at pc %#lx, address %#lx: %s\n", sys_cause_text(seen[i].cause),
               seen[i].pc, seen[i].va, seen[i].done);
    printf("fault: %u exceptions handled, contents %s\n", seen_count, wrong ? "wrong" : "right");
    return wrong;
}
