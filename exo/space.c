/* SPDX-License-Identifier: MIT */
/*
 * Page tables: link, map, unmap, protect, harvest.
 *
 * map, unmap and protect of 4 KiB pages in the caller's own space are hot.
 * Each begins with a part that does what is usual and calls nothing; whatever
 * is not usual, a refusal included, it leaves as it was to the full form.
 *
 * Not here: the sweep of a cut (sweep.c), TLBs (shoot.h).
 */
#include "space.h"

#include "shoot.h"

#define MAP_FLAGS (PAGE_RIGHTS | EXO_MAP_LARGE | EXO_MAP_REPLACE | EXO_MAP_VECTOR | EXO_MAP_SOFT)
#define PENDING_STEP 16 /* entries between two looks for a pending interrupt */
#define MAP_STEP 32     /* entries that one call of page_map's full form does */

/* A run of entries of one table. */
struct run {
    uint64_t *entry; /* the first */
    uint64_t table;  /* physical address of the table that holds them */
    uint64_t count;  /* as asked, but not beyond the table's end */
};

static inline uint64_t entry_index(uint64_t va, uint64_t level) {
    return va >> (EXO_FRAME_SHIFT + EXO_GROUP_SHIFT * level) & (TABLE_ENTRIES - 1);
}

/* The entry for va in the table of this level at a physical address. */
static inline uint64_t *table_entry(uint64_t table, uint64_t va, uint64_t level) {
    return (uint64_t *)arch_pointer(table) + entry_index(va, level);
}

/* The table of a level on the way to va, as a physical address; 0 if there is none. */
static inline uint64_t table_find(const struct exo_env *space, uint64_t va, uint64_t level) {
    uint64_t table = space->root << EXO_FRAME_SHIFT;
    for (uint64_t above = 2; above > level; above--) {
        uint64_t pte = *table_entry(table, va, above);
        if (unlikely(!pte_is_table(pte))) return 0;
        table = pte_address(pte);
        if (!table) __builtin_unreachable(); /* tables are RAM: the callers need not look again */
    }
    return table;
}

/* Are `count` units of `size` bytes from va aligned and below the limit?  0, ARGUMENT or ADDRESS. */
static inline int64_t range_check(uint64_t va, uint64_t count, uint64_t size) {
    if (count - 1 >= EXO_PAGES_MAX) return EXO_EARGUMENT;
    return (va & (size - 1)) || (va | (va + count * size - 1)) >= EXO_VA_LIMIT ? EXO_EADDRESS : 0;
}

/*
 * Find the run of `count` entries of a level from va's on.  Returns 0,
 * ARGUMENT, ADDRESS or NOTABLE.  Under SPACE.
 */
static inline int64_t run_find(const struct exo_env *space, uint64_t va, uint64_t count,
                               uint64_t level, struct run *run) {
    int64_t error = range_check(va, count, (uint64_t)EXO_FRAME_BYTES << EXO_GROUP_SHIFT * level);
    if (unlikely(error)) return error;
    run->table = table_find(space, va, level);
    if (unlikely(!run->table)) return EXO_ENOTABLE;
    uint64_t room = TABLE_ENTRIES - entry_index(va, level);
    run->entry = table_entry(run->table, va, level);
    run->count = count < room ? count : room;
    return 0;
}

/* Word 1 of a TABLE counts its live entries; the root has no count, it goes with its environment. */
static void run_count(const struct exo_env *space, const struct run *run, uint64_t difference) {
    if (run->table >> EXO_FRAME_SHIFT != space->root) *address_state(run->table) += difference;
}

/* A table that a cut is emptying takes no new entry.  */
static bool run_is_closing(const struct run *run) {
    return *address_state(run->table) & EXO_TABLE_CLOSING;
}

/*
 * Take SPACE of the space that a call acts as.  An environment argument is
 * looked up under the caller's own lock, and again when both are held, so that
 * a capability that was revoked meanwhile has no effect.
 */
static int64_t space_take(uint64_t env, struct exo_env **space) {
    struct hart *hart = arch_hart();
    *space = hart->space;
    lock_take(hart->space_lock);
    if (env == EXO_SELF) return 0;
    struct exo_cap *cap = cap_find(hart->space, env);
    int64_t error = env_check(cap, EXO_ENV_CONTROL);
    struct lock *lock = error ? NULL : space_lock(env_leader(env_at(cap->first)));
    lock_release(hart->space_lock);
    if (error) return error;
    lock_take_pair(hart->space_lock, lock);
    cap = cap_find(hart->space, env);
    error = env_check(cap, EXO_ENV_CONTROL);
    if (!error) {
        *space = env_leader(env_at(cap->first));
        if (space_lock(*space) != lock)
            error = EXO_ESLOT;
        else if (env_is_dying(env_at(cap->first)))
            error = EXO_EDYING;
    }
    if (error)
        lock_release_pair(hart->space_lock, lock);
    else if (lock != hart->space_lock)
        lock_release(hart->space_lock);
    return error;
}

/* space_take and run_find: with an error SPACE is not held. */
static int64_t run_take(uint64_t env, uint64_t va, uint64_t count, uint64_t level,
                        struct exo_env **space, struct run *run) {
    int64_t error = space_take(env, space);
    if (error) return error;
    error = run_find(*space, va, count, level, run);
    if (error) lock_release(space_lock(*space));
    return error;
}

/*
 * Keep the arguments that the full form will want: here they cost the hot half
 * a store each, in registers they would cost it four of its own.
 */
static inline void hart_keep(uint64_t first, uint64_t second, uint64_t third, uint64_t fourth) {
    volatile uint64_t *kept = arch_hart()->kept;
    kept[0] = first;
    kept[1] = second;
    kept[2] = third;
    kept[3] = fourth;
}

/* ---- tables ---- */

static int64_t link_check(const struct run *run, const struct exo_cap *cap, uint64_t frame) {
    int64_t error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return error;
    if (!cap_covers(cap, frame, 1)) return EXO_ERANGE;
    if (pte_is_present(*run->entry)) return EXO_EPRESENT;
    if (run_is_closing(run)) return EXO_ECLOSING;
    return frame_claim(frame, EXO_FRAME_TABLE) ? 0 : EXO_EBUSY;
}

// LAB 2: BEGIN
struct result table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot, uint64_t frame) {
    struct exo_env *space;
    struct run run;
    if (level != 1 && level != 2) return answer(EXO_EARGUMENT);
    int64_t error = run_take(env, va, 1, level, &space, &run);
    if (error) return answer(error);
    struct exo_cap *cap = cap_find(space, slot);
    error = link_check(&run, cap, frame);
    if (!error) {
        arch_frame_clear(frame_pointer(frame));
        *frame_state(frame) = (uint64_t)EXO_TAG_TABLE << EXO_TAG_SHIFT |
                              (level - 1) << EXO_TABLE_LEVEL_SHIFT |
                              run.table >> EXO_FRAME_SHIFT << EXO_TABLE_PARENT_SHIFT |
                              entry_index(va, level) << EXO_TABLE_INDEX_SHIFT;
        cap->cursor = 0;
        run_count(space, &run, 1);
        /* The table walker of another hart must not find the frame's old contents. */
        __atomic_store_n(run.entry, pte_table(frame), __ATOMIC_RELEASE);
    }
    lock_release(space_lock(space));
    return answer(error);
}
// LAB 2: END

struct result table_unlink(uint64_t env, uint64_t va, uint64_t level) {
    struct exo_env *space;
    struct run run;
    if (level != 1 && level != 2) return answer(EXO_EARGUMENT);
    int64_t error = run_take(env, va, 1, level, &space, &run);
    if (error) return answer(error);
    uint64_t pte = *run.entry, table = pte_frame(pte);
    if (!pte_is_table(pte))
        error = pte_is_present(pte) ? EXO_ETYPE : EXO_EABSENT;
    else if (*frame_state(table) & EXO_TABLE_CLOSING)
        error = EXO_ECLOSING; /* else another could take its place at every step of the cut */
    else if (*frame_state(table) & EXO_TABLE_LIVE_MASK)
        error = EXO_EBUSY;
    if (!error) {
        pte_write(run.entry, 0);
        space_shoot(space);
        run_count(space, &run, -1ul);
        frame_release(table);
    }
    lock_release(space_lock(space));
    return answer(error);
}

/* ---- map ---- */

/*
 * May this unit be mapped, and is it counted up now?  `cap` NULL stands for
 * the INFO frames, which everybody may read.  Returns 0 or an error.
 */
static int64_t unit_map(const struct exo_cap *cap, uint64_t frame, uint64_t flags) {
    if (!cap) {
        if (!frame_exists(frame)) return EXO_ERANGE;
        if (frame_type(frame) != EXO_FRAME_INFO) return EXO_ETYPE;
    } else if (!cap_covers(cap, frame, flags & EXO_MAP_LARGE ? EXO_GROUP_FRAMES : 1)) {
        return EXO_ERANGE;
    }
    if (!(flags & EXO_MAP_LARGE)) return frame_map(frame, flags & PAGE_RIGHTS);
    return frame % EXO_GROUP_FRAMES ? EXO_EARGUMENT : group_map(frame);
}

static inline void unit_unmap(uint64_t frame, bool large) {
    if (large)
        group_unmap(frame);
    else
        frame_unmap(frame);
}

/* Hide what the run has, SHOOT, count it down, and write leaves to frames that are counted up. */
static void run_write(struct exo_env *space, const struct run *run, const uint64_t *frames,
                      uint64_t flags) {
    uint64_t present = 0, fresh = 0;
    for (uint64_t i = 0; i < run->count; i++) present |= pte_hide(&run->entry[i]);
    if (pte_is_present(present)) space_shoot(space);
    for (uint64_t i = 0; i < run->count; i++) {
        uint64_t old = run->entry[i];
        if (pte_is_hidden(old))
            unit_unmap(pte_frame(old), flags & EXO_MAP_LARGE);
        else
            fresh++;
        pte_write(&run->entry[i], pte_leaf(frames[i], flags));
    }
    run_count(space, run, fresh);
}

/* Count up as many units as can be mapped, then write them.  Returns how many, or an error. */
static int64_t run_map(struct exo_env *space, struct run *run, const struct exo_cap *cap,
                       uint64_t frame, uint64_t flags) {
    const volatile uint64_t *vector = arch_hart()->ctx->vector;
    uint64_t unit = flags & EXO_MAP_LARGE ? EXO_GROUP_FRAMES : 1;
    uint64_t frames[MAP_STEP], done = 0;
    int64_t error = 0;
    for (; done < run->count && done < MAP_STEP; done++) {
        if (done == PENDING_STEP && arch_interrupt_pending()) break;
        uint64_t pte = run->entry[done];
        frames[done] = flags & EXO_MAP_VECTOR ? vector[done] : frame + done * unit;
        if (pte_is_present(pte) && !(pte_is_leaf(pte) && (flags & EXO_MAP_REPLACE)))
            error = EXO_EPRESENT;
        if (!error) error = unit_map(cap, frames[done], flags);
        if (error) break;
    }
    if (!done) return error;
    run->count = done;
    run_write(space, run, frames, flags);
    return (int64_t)done;
}

/* Count up and write one leaf to a DATA frame into an absent entry, or do nothing.  Was it done? */
static inline bool leaf_add(uint64_t *entry, uint64_t *word, uint64_t pte) {
    if (unlikely(pte_is_present(*entry))) return false;
    uint64_t old = __atomic_fetch_add(word, FRAME_MAP_ONE, __ATOMIC_RELAXED);
    if (unlikely(old >= FRAME_DATA_LIMIT)) {
        __atomic_fetch_sub(word, FRAME_MAP_ONE, __ATOMIC_RELAXED);
        return false;
    }
    pte_write(entry, pte);
    return true;
}

/* After every PENDING_STEP entries: does an interrupt wait? */
static inline bool run_must_end(const uint64_t *entry) {
    return (uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending();
}

/* Leaves to frames in a row, as far as all is usual.  Returns how many. */
static inline uint64_t map_row(const struct run *run, uint64_t frame, uint64_t flags) {
    uint64_t *entry = run->entry, *end = entry + run->count;
    uint64_t *word = frame_word(frame), pte = pte_leaf(frame, flags);
    while (leaf_add(entry, word, pte)) {
        if (++entry == end || run_must_end(entry)) break;
        word += sizeof(struct exo_frame) / sizeof(*word);
        pte += PTE_FRAME_ONE;
    }
    return (uint64_t)(entry - run->entry);
}

/* The same to frames of the program's vector, each of which is read once. */
static inline uint64_t map_vector(const struct run *run, const struct exo_cap *cap,
                                  const volatile uint64_t *vector, uint64_t flags) {
    uint64_t *entry = run->entry, *end = entry + run->count;
    uint64_t first = cap->first, count = cap->count, bits = pte_leaf(0, flags);
    struct exo_frame *frames = arch_hart()->frames;
    do {
        uint64_t frame = *vector++;
        if (unlikely(frame - first >= count)) break;
        if (!leaf_add(entry, &frames[frame].word0, bits + frame * PTE_FRAME_ONE)) break;
        entry++;
    } while (entry != end && !run_must_end(entry));
    return (uint64_t)(entry - run->entry);
}

/* Map what the capability covers: in a row or by vector as far as all is usual, else with care. */
static int64_t map_run(struct exo_env *space, struct run *run, struct exo_cap *cap, uint64_t frame,
                       uint64_t flags) {
    uint64_t done = 0, frames = flags & EXO_MAP_LARGE ? run->count * EXO_GROUP_FRAMES : run->count;
    bool vector = flags & EXO_MAP_VECTOR;
    if (cap && !vector && !cap_covers(cap, frame, frames)) return EXO_ERANGE;
    if (run_is_closing(run)) return EXO_ECLOSING;
    if (cap) cap->cursor = 0;
    if (cap && !(flags & (EXO_MAP_LARGE | EXO_MAP_REPLACE)))
        done = vector ? map_vector(run, cap, arch_hart()->ctx->vector, flags)
                      : map_row(run, frame, flags);
    if (!done) return run_map(space, run, cap, frame, flags);
    *address_state(run->table) += done;
    return (int64_t)done;
}

/* page_map's full form. */
static __attribute__((noinline)) struct result map_fully(uint64_t env, uint64_t va, uint64_t slot,
                                                         uint64_t frame, uint64_t count,
                                                         uint64_t flags) {
    struct exo_env *space;
    struct exo_cap *cap = NULL;
    struct run run;
    bool large = flags & EXO_MAP_LARGE;
    if ((flags & ~(uint64_t)MAP_FLAGS) || !(flags & EXO_PAGE_R) || (slot == EXO_NONE && large))
        return answer(EXO_EARGUMENT);
    int64_t value = run_take(env, va, count, large, &space, &run);
    if (value) return answer(value);
    if (slot != EXO_NONE) {
        cap = cap_find(space, slot);
        value = cap_check(cap, EXO_CLASS_PAGE, flags & PAGE_RIGHTS);
    }
    if (!value) value = map_run(space, &run, cap, frame, flags);
    lock_release(space_lock(space));
    return answer(value);
}

/* After the hot half has given up: its arguments are in the hart. */
static __attribute__((noinline)) struct result map_again(void) {
    const volatile uint64_t *kept = arch_hart()->kept;
    lock_release(arch_hart()->space_lock);
    return map_fully(EXO_SELF, kept[0], kept[1], kept[2], 1, kept[3]);
}

struct result page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                       uint64_t flags) {
    uint64_t pte = pte_leaf(frame, flags & PAGE_RIGHTS);
    uint64_t unusual = env | (count - 1) | va << (64 - EXO_FRAME_SHIFT) | va / EXO_VA_LIMIT;
    if (unlikely(unusual | ((flags ^ EXO_PAGE_R) & ~(uint64_t)(EXO_PAGE_W | EXO_PAGE_X))))
        return map_fully(env, va, slot, frame, count, flags);
    // LAB 2: BEGIN
    struct lock *lock = arch_hart()->space_lock;
    hart_keep(va, slot, frame, flags);
    lock_take(lock);
    struct exo_cap *cap = cap_near(arch_hart()->space, slot);
    if (unlikely(!cap_suits(cap, slot, EXO_CLASS_PAGE, flags))) return map_again();
    if (unlikely(frame - cap->first >= cap->count)) return map_again();
    uint64_t *word = frame_word(frame);
    uint64_t table = table_find(arch_hart()->space, va, 0);
    if (unlikely(!table)) return map_again();
    uint64_t *live = address_state(table), word1 = *live;
    if (unlikely(word1 & EXO_TABLE_CLOSING)) return map_again();
    if (unlikely(!leaf_add(table_entry(table, va, 0), word, pte))) return map_again();
    *live = word1 + 1;
    cap->cursor = 0;
    // LAB 2: END
    lock_release(lock);
    return answer(1);
}

/* ---- unmap, protect, harvest ---- */

/* The end of the next stretch of a run between two looks for an interrupt. */
static inline uint64_t *run_stretch(uint64_t *entry, uint64_t *end) {
    uint64_t bytes = PENDING_STEP * sizeof(*entry);
    uint64_t *look = (uint64_t *)(((uint64_t)entry | (bytes - 1)) + 1);
    return look < end ? look : end;
}

/* Two passes over a run without pointers to tables.  The detail tells how many leaves there were. */
static inline struct result run_unmap(struct exo_env *space, const struct run *run, bool large,
                                      uint64_t payload) {
    uint64_t *entry = run->entry, *end = entry + run->count, present = 0, removed = 0;
    // LAB 3: BEGIN
    do {
        uint64_t *stretch = run_stretch(entry, end);
        for (; entry != stretch; entry++) present |= pte_hide(entry);
        if (arch_interrupt_pending()) end = entry;
    } while (entry != end);
    if (pte_is_present(present)) space_shoot(space);
    struct exo_frame *frames = arch_hart()->frames;
#pragma GCC unroll 4
    for (entry = run->entry; entry != end; entry++) {
        uint64_t old = *entry;
        if (pte_is_hidden(old)) {
            if (large)
                group_unmap(pte_frame(old));
            else
                __atomic_fetch_sub(&frames[pte_frame(old)].word0, FRAME_MAP_ONE, __ATOMIC_RELAXED);
            removed++;
        }
        *entry = payload;
    }
    *address_state(run->table) -= removed;
    // LAB 3: END
    return (struct result){end - run->entry, removed};
}

static __attribute__((noinline)) struct result unmap_fully(uint64_t env, uint64_t va,
                                                           uint64_t count, uint64_t payload) {
    struct exo_env *space;
    struct run run;
    bool large = count >> 63;
    if (payload & EXO_PAYLOAD_ZERO) return answer(EXO_EARGUMENT);
    int64_t error = run_take(env, va, count & ~EXO_COUNT_LARGE, large, &space, &run);
    if (error) return answer(error);
    for (uint64_t i = 0; large && i < run.count; i++)
        if (pte_is_table(run.entry[i])) run.count = i;
    struct result result = answer(EXO_ETYPE);
    if (!large)
        result = run_unmap(space, &run, false, payload);
    else if (run.count)
        result = run_unmap(space, &run, true, payload);
    lock_release(space_lock(space));
    return result;
}

/* After the hot half has given up, with nothing done. */
static __attribute__((noinline)) struct result unmap_again(void) {
    const volatile uint64_t *kept = arch_hart()->kept;
    lock_release(arch_hart()->space_lock);
    return unmap_fully(EXO_SELF, kept[0], 1, kept[1]);
}

struct result page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload) {
    uint64_t unusual = env | (count - 1) | va << (64 - EXO_FRAME_SHIFT) | va / EXO_VA_LIMIT;
    if (unlikely(unusual | (payload & EXO_PAYLOAD_ZERO)))
        return unmap_fully(env, va, count, payload);
    hart_keep(va, payload, 0, 0);
    lock_take(arch_hart()->space_lock);
    uint64_t table = table_find(arch_hart()->space, va, 0);
    if (unlikely(!table)) return unmap_again();
    uint64_t *entry = table_entry(table, va, 0);
    if (unlikely(!pte_is_present(*entry))) return unmap_again();
    uint64_t old = pte_hide(entry);
    space_shoot(arch_hart()->space);
    frame_unmap(pte_frame(old));
    pte_write(entry, payload);
    --*address_state(table);
    lock_release(arch_hart()->space_lock);
    return (struct result){1, 1};
}

/*
 * Lower the rights of the leaves of a run whose first entry is present.  (A
 * pointer to a table has no rights to lose.)  Returns how many entries were
 * done.
 */
static inline int64_t run_protect(struct exo_env *space, const struct run *run, uint64_t rights) {
    uint64_t *entry = run->entry, *end = entry + run->count;
    do {
        uint64_t *stretch = run_stretch(entry, end);
        do {
            if (pte_is_present(*entry)) pte_lower(entry, rights);
            entry++;
        } while (entry != stretch);
        if (arch_interrupt_pending()) end = entry;
    } while (entry != end);
    space_shoot(space);
    return end - run->entry;
}

struct result page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights) {
    struct exo_env *space;
    struct run run;
    if (!(rights & EXO_PAGE_R) || (rights & ~(uint64_t)PAGE_RIGHTS)) return answer(EXO_EARGUMENT);
    int64_t value = run_take(env, va, count & ~EXO_COUNT_LARGE, count >> 63, &space, &run);
    if (value) return answer(value);
    value = pte_is_present(*run.entry) ? run_protect(space, &run, rights) : EXO_EABSENT;
    lock_release(space_lock(space));
    return answer(value);
}

struct result page_harvest(uint64_t env, uint64_t va, uint64_t count) {
    struct exo_env *space;
    struct run run;
    uint64_t *vector = arch_hart()->ctx->vector, any = 0, i = 0;
    int64_t value = run_take(env, va, count & ~EXO_COUNT_LARGE, count >> 63, &space, &run);
    if (value) return answer(value);
    do {
        bool leaf = pte_is_leaf(run.entry[i]);
        uint64_t bits = leaf ? pte_harvest(&run.entry[i]) : 0;
        vector[i++] = bits | (leaf ? EXO_HARVEST_PRESENT : 0);
        any |= bits;
    } while (i < run.count && (i % PENDING_STEP || !arch_interrupt_pending()));
    /* From here on no hart writes without setting D again, so what the vector says is true. */
    if (any) space_shoot(space);
    lock_release(space_lock(space));
    return answer((int64_t)i);
}
