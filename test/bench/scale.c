/* SPDX-License-Identifier: MIT */
/*
 * scale: how much more work several harts do than one, each on objects of its
 * own.
 *
 * It is linked as the first program.  For 1, 2, 4 harts it lets one child on
 * each map and unmap pages of its own space, or call another child of its own,
 * for a while of real time.  Every line is `scale KIND HARTS DONE`.  The
 * machine's harts are threads of the host, so the figures mean something only
 * beside the number of its cores.
 */
#include <stdio.h>

#include "../target/calls.h"

#define MILLISECONDS 300
#define TURNS 3 /* of which the best counts: the host has other things to do */
#define HARTS 4
#define ROW 8 /* of each hart */
#define VA 0x3000000000
#define LINE_WORDS 16 /* what two harts write lies so many words apart, at least */

/* measure.S */
void callee(uint64_t unused, uint64_t unused_too);

static struct {
    uint64_t done;
    struct words words;
    uint64_t apart[LINE_WORDS];
} work[HARTS];
static uint64_t end;

static _Noreturn void stop(int status) {
    fflush(stdout);
    for (;;) exo_shutdown(sys_start->console, (uint64_t)status);
}

static void need(int64_t value, const char *what) {
    if (value >= 0) return;
    printf("scale: %s: %s\n", what, sys_error_name(value));
    stop(1);
}

/* In a child: its frames from the first on are mapped and unmapped. */
static void maps(uint64_t hart, uint64_t first) {
    uint64_t memory = EXO_CAP_HANDLE(sys_slot(0, CHILD_SLOT_MEMORY)->word, CHILD_SLOT_MEMORY);
    while (now() < end) {
        exo_page_map(EXO_SELF, VA, memory, first, EXO_PAGES_MAX, EXO_PAGE_R);
        exo_page_unmap(EXO_SELF, VA, EXO_PAGES_MAX, 0);
        work[hart].done++;
    }
    exo_exit();
}

/* In a child: calls another. */
static void calls(uint64_t hart, uint64_t env) {
    while (now() < end) {
        words_call(&work[hart].words, env);
        if (work[hart].words.from) work[hart].done++;
    }
    exo_exit();
}

static struct child child[HARTS], other[HARTS];
static uint64_t slice;

static void start_maps(uint64_t hart) {
    struct child *self = &child[hart];
    need(child_make(self, EXO_PAGES_MAX + 2), "child");
    uint64_t first = self->frame + CHILD_SPARE + 2;
    self->next = self->frame + CHILD_SPARE; /* for the TABLEs of VA */
    self->end = first;
    need(space_map(&self->space, VA, self->memory, first, 1, EXO_PAGE_R), "map");
    need(exo_page_unmap(self->env, VA, 1, 0).value, "unmap");
    need(child_start(self, maps, hart, first), "start");
}

static void start_calls(uint64_t hart) {
    struct child *self = &child[hart], *called = &other[hart];
    need(child_make(self, 0), "child");
    need(child_make(called, 0), "child");
    int64_t handle =
        child_lend(self->env, called->env, called->frame, 1, EXO_ENV_CALL, 0, CHILD_SLOT_FREE);
    need(handle, "lend");
    need(child_start(called, callee, 0, 0), "start");
    exo_yield(called->env); /* until it accepts */
    need(child_start(self, calls, hart, (uint64_t)handle), "start");
}

static bool have_ended(uint64_t harts) {
    for (uint64_t hart = 0; hart < harts; hart++)
        if (!(child_state(child[hart].env) & EXO_FLAG_KILL)) return false;
    return true;
}

static uint64_t measure(void (*start)(uint64_t), uint64_t harts) {
    uint64_t done = 0;
    for (uint64_t hart = 0; hart < harts; hart++) start(hart);
    end = now() + microseconds(1000 * MILLISECONDS);
    for (uint64_t hart = 0; hart < harts; hart++) {
        work[hart].done = 0;
        need(exo_slice_bind(slice, hart * EXO_ROWS + ROW, child[hart].env).value, "bind");
    }
    while (!have_ended(harts)) exo_wait(1ul << EXO_EVENT_CHILD, end + microseconds(10000));
    for (uint64_t hart = 0; hart < harts; hart++) {
        done += work[hart].done;
        need(child_end(&child[hart]), "end");
        need(child_end(&other[hart]), "end");
    }
    return done;
}

static void measure_best(const char *kind, void (*start)(uint64_t), uint64_t harts) {
    uint64_t best = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t done = measure(start, harts);
        if (best < done) best = done;
    }
    printf("scale %s %lu %lu\n", kind, harts, best);
}

int main(void) {
    uint64_t first, count;
    slice = child_rows(&first, &count);
    for (uint64_t harts = 1; harts <= HARTS && harts <= sys_info()->hart_count; harts *= 2) {
        measure_best("page_map_range", start_maps, harts);
        measure_best("pct_round_trip", start_calls, harts);
    }
    stop(0);
}
