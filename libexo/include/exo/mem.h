/* SPDX-License-Identifier: MIT */
/*
 * exo::mem: memory from physical frames that the program holds.
 *
 * From below to above: a frame allocator over held ranges; page tables built
 * on demand from allocated frames; regions, which give each piece of the
 * address space a page-fault policy; a memory manager, chosen when the program
 * is linked, which decides how anonymous memory gets its frames; picolibc's
 * heap; the files of the boot archive.
 *
 * What page faults need (regions, bitmaps, the policies' own data) lies in the
 * program's image or in pages that are mapped from the start, so a handler
 * never faults itself.
 *
 * Any thread may call all of this at any time: one lock makes it safe, which
 * page faults take too.
 *
 * Results are 0 or an enum exo_error where nothing else is said.
 */
#pragma once
#include <exo/sys.h>

/* Where things lie above the program's image. */
#define MEM_VA_HEAP 0x10000000
#define MEM_VA_HEAP_END 0x1000000000
#define MEM_VA_REGIONS 0x1000000000 /* region_reserve takes places from here on */
#define MEM_VA_REGIONS_END EXO_VA_LIMIT

/*
 * The lock of all that this header tells of; it nests.  A program needs it only
 * where several calls belong together, as from mem_slot() to the call that
 * fills the slot.  Between the two nothing may fault or take another lock.
 */
void mem_lock(void);
void mem_unlock(void);

/* The program is about to have a second thread: exo::task calls this. */
void mem_threads_begin(void);

/*
 * ---- Frames (frame.c)
 *
 * Allocation takes the lowest frames that fit, so what is free gathers at the
 * end of a range, which is where ranges are given up.
 */
#define FRAME_RANGES_MAX EXO_BANKS_MAX

/* How many frames hold the bitmap of a range of so many frames. */
uint64_t frame_bitmap_frames(uint64_t count);

/*
 * Add the frames [first, first + count) of the PAGE capability `slot` (R and
 * W).  All count as taken; frame_free gives those that are free.  The bitmap
 * is kept in the frames from `bitmap` on, which the range must hold.  Returns
 * EFULL when there are too many ranges or SYS_VA_BITMAP is used up.
 */
int64_t frame_range_add(uint64_t slot, uint64_t first, uint64_t count, uint64_t bitmap);

/*
 * `count` neighbouring frames whose first is a multiple of `align` (a power of
 * two), or 0 when there are none.  Their content is undefined.  *stale, unless
 * NULL, tells how many of them, from the first on, may hold what this program
 * or its children wrote; the others were never handed out.
 */
uint64_t frame_alloc_range(uint64_t count, uint64_t align, uint64_t *stale);

/* One frame, or 0.  Leaves alone what is promised. */
uint64_t frame_alloc(void);

/* Give frames back.  They must be DATA and unmapped by then. */
void frame_free(uint64_t first, uint64_t count);

/* Mark free frames as taken. */
void frame_take(uint64_t first, uint64_t count);

/* Free frames that are not promised. */
uint64_t frame_count_free(void);

/* The longest run of free frames that begins at a multiple of `align`; 0 if there is none. */
uint64_t frame_longest(uint64_t align);

/* The handle of the PAGE capability that covers a frame of a range, or EXO_NONE. */
uint64_t frame_slot(uint64_t frame);

/*
 * Promises keep frames for page faults to come: a promise that was given is
 * never broken, so whoever checked it needs no answer for a fault without
 * memory.  frame_alloc_promised takes one frame of a promise.
 */
bool frame_promise(uint64_t count);
void frame_promise_end(uint64_t count);
uint64_t frame_alloc_promised(void);

/*
 * ---- Page tables (space.c)
 *
 * A space is the program's own or one that it controls.  TABLE frames come
 * from `frame_take` with the slot, in that space's table, that covers them.
 */
struct space {
    uint64_t env; /* EXO_SELF, or a handle of class ENV with CONTROL */
    uint64_t (*frame_take)(struct space *space, uint64_t *slot);
    void *context;
};

extern struct space space_self;

/*
 * Map `count` pages from the frame on, with PAGE rights and EXO_MAP_ flags but
 * VECTOR, and link the TABLEs that are missing.  With EXO_MAP_LARGE va and
 * frame are multiples of 2 MiB and count counts large leaves.  `slot` is of the
 * space's own table, EXO_NONE for INFO frames.  When it fails, pages before the
 * one that failed stay mapped.
 */
int64_t space_map(struct space *space, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                  uint64_t flags);

/*
 * Map one frame of this program's own, as zeroes: no thread sees it before it
 * is clear.
 */
int64_t space_map_clear(struct space *space, uint64_t va, uint64_t frame, uint64_t rights);

/* Unmap `count` pages, which may be absent; EXO_COUNT_LARGE may be set in it.  TABLEs stay. */
int64_t space_unmap(struct space *space, uint64_t va, uint64_t count);

/* Reduce the rights of `count` present pages to these. */
int64_t space_protect(struct space *space, uint64_t va, uint64_t count, uint64_t rights);

/*
 * Read this program's own page table: the frames behind the pages from va on,
 * 0 for an absent one, until the end of the leaf TABLE (2 MiB) or `count`
 * pages.  Returns how many were told; `*large` tells that a large leaf is
 * there, of which only the first frame is told.
 */
uint64_t space_frames(uint64_t va, uint64_t count, uint64_t *frames, bool *large);

/* Frames that somebody may name. */
struct frame_range {
    uint64_t first;
    uint64_t count;
};

/*
 * Read the page table of another space, whose ROOT is the frame `root`: the
 * frame behind the page at va, and its PAGE rights in *rights; or 0.  It
 * believes only in frames of `within`, which this program holds and the space's
 * own program may write as it likes.
 */
uint64_t space_frame_of(uint64_t root, uint64_t va, struct frame_range within, uint64_t *rights);

/* ---- Regions (region.c) */
struct region;

/*
 * A policy: make the page at `va` present so that the instruction can go on.
 * Runs as a sys_handler does, on the exception stack, with mem_lock taken, and
 * it must not fault.  Another thread may have made the page present since.
 * Returns false to refuse.
 */
typedef bool region_fault(struct region *region, uint64_t va, uint64_t cause);

struct region {
    uint64_t first; /* first byte, a multiple of 4,096; 0 in an unused entry */
    uint64_t end;
    uint64_t rights;     /* PAGE rights; an access beyond them never reaches the policy */
    region_fault *fault; /* NULL: nothing here faults in */
    void *context;       /* the policy's own */
    uint64_t usable;     /* the manager's: bytes from the first on that are to be used */
};

#define REGIONS_MAX 64

/*
 * Reserve a piece of address space.  `align` is a power of two; bytes are
 * rounded up to pages.  A hole of a page at least follows it.  Returns NULL
 * when there is no entry or no room.
 */
struct region *region_reserve(uint64_t bytes, uint64_t align, uint64_t rights, region_fault *fault,
                              void *context);

/* The same at a place that the caller chose; NULL also when something is there. */
struct region *region_reserve_at(uint64_t first, uint64_t end, uint64_t rights, region_fault *fault,
                                 void *context);

/* Forget a region.  What is mapped there stays mapped: unmap it first. */
void region_release(struct region *region);

/* The region that holds an address, or NULL. */
struct region *region_find(uint64_t va);

/*
 * For a policy that finds the page present already, because a hart may keep
 * what it saw before the page was filled: true at the first such fault at this
 * place, false if the same one comes again at once.
 */
bool region_retry(uint64_t va);

/*
 * ---- Memory managers (demand/, large/, or one of yours)
 *
 * What a manager must define; a program links one.  It gives frames to
 * anonymous regions and takes them back.  The pages read as zeroes.  All of it
 * is called with mem_lock taken.
 */
extern const char manager_name[];

/*
 * Make the first `bytes` of the region usable, if they are not yet: at once or
 * when they are touched.  Returns EFULL, changing nothing that matters, when
 * there is no memory for them.
 */
int64_t manager_extend(struct region *region, uint64_t bytes);

/* The policy of anonymous regions; NULL when pages never fault in. */
extern region_fault *const manager_fault;

/* Unmap all of the region and give its frames back. */
void manager_end(struct region *region);

/* ---- Anonymous memory and capability slots (anonymous.c) */

/* Zeroed memory of its own region, or NULL; mem_release takes the address that mem_reserve gave. */
void *mem_reserve(uint64_t bytes);
void mem_release(void *memory);

/*
 * Frames at an address of our choosing, in a region of their own; EXO_PAGE
 * rights.  The frames stay the caller's.  NULL when that fails.
 */
void *mem_map_frames(uint64_t slot, uint64_t frame, uint64_t count, uint64_t rights);
void mem_unmap_frames(void *memory);

/*
 * An EMPTY slot to name as `into`; adds a CAPS frame when there is none.  Or an
 * error.  With several threads mem_lock must be held until the slot is filled.
 */
int64_t mem_slot(void);

/* ---- What the kernel exposes (info.c) */

/*
 * The two words of a frame.  They are mapped when they are first looked at, so
 * this is not for policies.  NULL for a frame that the table does not tell of.
 */
const volatile struct exo_frame *mem_frame_words(uint64_t frame);

/* ---- The boot archive (archive.c) */
struct archive_file {
    const char *name;
    uint64_t frame; /* where it begins */
    uint64_t bytes;
};

/* The capability with which the archive is mapped, in the own table, or EXO_NONE. */
uint64_t archive_slot(void);

/* The file with this number, from 0; false when there are not so many or the entry is damaged. */
bool archive_at(uint64_t index, struct archive_file *file);

/* The file with this name; false when there is none. */
bool archive_find(const char *name, struct archive_file *file);

/* Map a file read-only; NULL when that fails or it is empty.  mem_unmap_frames takes it away. */
const void *archive_map(const struct archive_file *file);

/* ---- What crt0 calls (begin.c, machine.c) */

/* init's: take what the root capabilities hold and nobody uses. */
void mem_machine_adopt(void);
