/* SPDX-License-Identifier: MIT */
/*
 * shoot_litmus: when a page is taken away, no hart reads it any more before
 * its frame is written by who has it then.
 *
 * Hart A maps a frame, waits until hart B has read it, takes it away, and
 * writes another value at once.  B reads as fast as it can and tries again
 * after each fault: it may see its own value or fault, and never the other.
 * Run as the first program on several harts; the command tells how many rounds,
 * and for how many seconds at most one way is tried.
 */
#include "calls.h"
#include "check.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define ROUNDS 20000
#define SECONDS 3 /* of one way, on a host that is slow */
#define READERS 3
#define OWN 0x0e11
#define OTHERS 0xbad
#define SHARED SYS_VA_STACK /* free in init, whose stack is elsewhere, and in a child */

enum { UNMAP, PROTECT, REPLACE, REVOKE, WAYS };
static const char *const names[] = {"unmapped", "protected", "replaced", "revoked"};

static uint64_t memory, first, slice, harts, seconds;
static volatile uint64_t *own; /* the shared frame, where this program sees it */

/* What the readers tell; each in a line of its own. */
struct litmus_reader {
    _Alignas(64) uint64_t seen; /* how often it has read its own value */
    uint64_t faults, wrong;
};
struct litmus_reader litmus_readers[READERS];

/*
 * litmus_reads(page, reader): read for ever; litmus_writes writes instead.  A
 * fault comes back to the same instruction.
 */
void litmus_reads(uint64_t page, uint64_t reader);
void litmus_writes(uint64_t page, uint64_t reader);
void litmus_fault(void);
__asm__(".pushsection .text.litmus, \"ax\"\n.balign 4\n"
        "litmus_fault:\n"
        "ld t0, 8(s1)\n"
        "addi t0, t0, 1\n"
        "sd t0, 8(s1)\n"
        "li a7, -5\n" /* resume */
        "ecall\n"
        "litmus_reads:\n"
        "mv s1, a1\n"
        "li s2, 0x0e11\n"
        "1: ld a2, 0(a0)\n"
        "bne a2, s2, 2f\n"
        "ld a3, 0(s1)\n"
        "addi a3, a3, 1\n"
        "sd a3, 0(s1)\n"
        "j 1b\n"
        "2: ld a3, 16(s1)\n"
        "addi a3, a3, 1\n"
        "sd a3, 16(s1)\n"
        "j 1b\n"
        "litmus_writes:\n"
        "mv s1, a1\n"
        "li s2, 0x0e11\n"
        "1: sd s2, 0(a0)\n"
        "ld a3, 0(s1)\n"
        "addi a3, a3, 1\n"
        "sd a3, 0(s1)\n"
        "j 1b\n"
        ".popsection\n");

static struct child children[READERS];                   /* of an own space each */
static struct { uint64_t env, frame; } threads[READERS]; /* of this space */

static uint64_t row_of(uint64_t hart) { return hart * EXO_ROWS + EXO_ROWS - 1; }

/* Begin to read or write at SHARED on hart `number + 1`, in this space or in one of its own. */
static bool reader_begin(uint64_t number, bool thread, bool writes) {
    void (*entry)(uint64_t, uint64_t) = writes ? litmus_writes : litmus_reads;
    uint64_t reader = (uint64_t)&litmus_readers[number], env, frame;
    litmus_readers[number] = (struct litmus_reader){0};
    if (thread) {
        frame = threads[number].frame = first + 2 + 2 * number;
        env = threads[number].env = (uint64_t)thread_make(frame, entry, 0, SHARED, reader);
    } else {
        child_make(&children[number], 0);
        frame = children[number].frame;
        env = children[number].env;
        child_set(env, entry, 0, SHARED, reader);
    }
    struct exo_ctx *ctx = mem_map_frames(frame_slot(frame), frame + 1, 1, R | W);
    if (!ctx) return false;
    ctx->exception_entry = (uint64_t)litmus_fault;
    mem_unmap_frames(ctx);
    return exo_slice_bind(slice, row_of(number + 1), env).value == 0 &&
           exo_env_regs(env, EXO_REGS_START).value == 0;
}

static bool reader_end(uint64_t number, bool thread) {
    return thread ? sys_env_destroy(threads[number].env, threads[number].frame) == 0
                  : child_end(&children[number]) == 0;
}

/* Another reader than the one before must have read before the page goes. */
static bool reader_waits(uint64_t number) {
    volatile struct litmus_reader *reader = &litmus_readers[number];
    uint64_t before = reader->seen, end = now() + PATIENCE * sys_info()->timebase_hz;
    for (uint64_t i = 1; reader->seen == before; i++) {
        if (i % 4096) continue;
        if (now() > end) return false;
        rest(microseconds(20)); /* the host has fewer processors than this machine */
    }
    return true;
}

static int64_t take(unsigned way, uint64_t env, uint64_t lender, uint64_t lent) {
    switch (way) {
    case UNMAP: return exo_page_unmap(env, SHARED, 1, 0).value;
    case PROTECT: return exo_page_protect(env, SHARED, 1, R).value;
    case REPLACE: return exo_page_map(env, SHARED, lent, first + 1, 1, R | EXO_MAP_REPLACE).value;
    default: return sys_cap_revoke(lender, first);
    }
}

/*
 * Rounds with readers in one space (threads, all harts at once) or with one
 * reader in another space.
 */
static void litmus(const char *who, unsigned way, bool thread, uint64_t rounds) {
    uint64_t count = thread ? harts - 1 : 1, done = 0, wrong = 0, lent = memory, lender = 0;
    uint64_t rights = way == PROTECT ? R | W : R, faults = 0;
    int64_t error = 0;
    bool good = true;
    if (count > READERS) count = READERS;
    for (uint64_t i = 0; i < count; i++) good &= reader_begin(i, thread, way == PROTECT);
    uint64_t env = thread ? EXO_SELF : children[0].env;
    if (!thread) {
        lender =
            DONE("derive", exo_cap_derive(memory, (uint64_t)mem_slot(), first, 2, R | W, 0, 0));
        lent = (uint64_t)child_lend(env, lender, first, 2, R | W, 0, CHILD_SLOT_FREE);
    }
    uint64_t begin = now();
    uint64_t end = begin + seconds * sys_info()->timebase_hz;
    for (; done < rounds && good && error >= 0 && now() < end; done++) {
        *own = OWN;
        if (way == REVOKE && done) {
            /* The tombstone is the child's, so the next goes to another slot until none is left. */
            uint64_t into = CHILD_SLOT_FREE + done % (EXO_ENV_SLOTS - CHILD_SLOT_FREE);
            int64_t value = child_lend(env, lender, first, 2, R | W, 0, into);
            if (value < 0) break;
            lent = (uint64_t)value;
        }
        /* What replaces it holds the reader's own value. */
        error = exo_page_map(env, SHARED, lent, first, 1, rights | EXO_MAP_REPLACE).value;
        if (error < 0) break;
        good = reader_waits(done % count);
        error = take(way, env, lender, lent);
        *own = OTHERS;
        if (way == PROTECT) { /* a writer would put its value back */
            for (volatile int i = 0; i < 20; i++) {
            }
            wrong += *own != OTHERS;
        }
    }
    uint64_t each = (now() - begin) * 1000000 / sys_info()->timebase_hz * 1000 / (done ? done : 1);
    for (uint64_t i = 0; i < count; i++) {
        wrong += litmus_readers[i].wrong;
        faults += litmus_readers[i].faults;
        good &= reader_end(i, thread);
    }
    exo_page_unmap(EXO_SELF, SHARED, 1, 0);
    if (lender) good &= sys_cap_drop(lender, first) == 0;
    check(good && error >= 0 && !wrong && (faults || way == REPLACE),
          "%s, %s, %lu rounds (%lu ns each), %lu faults: %lu times the other's value%s%s", who,
          names[way], done, each, faults, wrong, error < 0 ? ", " : "",
          error < 0 ? sys_error_name(error) : "");
}

int main(void) {
    check_begin("shoot_litmus");
    uint64_t row, rows, rounds = number_told(0, ROUNDS);
    seconds = number_told(1, SECONDS);
    harts = sys_info()->hart_count;
    if (harts < 2 || !sys_env()->rows || (slice = child_rows(&row, &rows)) == EXO_NONE) {
        printf("# no row of another hart: nothing to try\n");
        return check_end();
    }
    first = frame_alloc_range(2 + 2 * READERS, 1, NULL);
    memory = frame_slot(first);
    own = mem_map_frames(memory, first, 2, R | W);
    own[EXO_FRAME_BYTES / sizeof(*own)] = OWN;
    exo_page_map(EXO_SELF, SHARED, memory, first, 1, R);
    exo_page_unmap(EXO_SELF, SHARED, 1, 0);
    warm(40);
    uint64_t before = check_use();
    litmus("threads", UNMAP, true, rounds / 2);
    litmus("another space", UNMAP, false, rounds / 4);
    litmus("threads", PROTECT, true, rounds / 16);
    litmus("another space", PROTECT, false, rounds / 16);
    litmus("threads", REPLACE, true, rounds / 16);
    litmus("another space", REPLACE, false, rounds / 16);
    litmus("another space", REVOKE, false, EXO_ENV_SLOTS - CHILD_SLOT_FREE);
    check(check_use() == before, "nothing is lost");
    return check_end();
}
