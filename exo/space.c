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
#define MAP_STEP 32     /* leaves that one call maps when not all is usual */

/* Arguments of a call whose hot half may give up, in hart->kept. */
struct kept {
    uint64_t env, va, count;
    uint64_t last; /* flags, payload or rights */
    uint64_t slot, frame;
};

static inline struct kept *hart_kept(void) { return (struct kept *)arch_hart()->kept; }

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

/*
 * What a hot half begins with: keep its arguments (here they cost a store each,
 * in registers they would cost more), take the caller's SPACE lock and find the
 * entry of the page.  Returns false if anything about these is not usual.
 */
static inline bool run_usual(struct kept kept, uint64_t unusual, struct run *run) {
    *hart_kept() = kept;
    lock_take(arch_hart()->space_lock);
    unusual |= kept.env | (kept.count - 1) | kept.va << (64 - EXO_FRAME_SHIFT);
    if (unlikely(unusual | kept.va / EXO_VA_LIMIT)) return false;
    run->space = arch_hart()->space;
    run->table = table_find(run->space, kept.va, 0);
    run->entry = table_entry(run->table, kept.va, 0);
    return likely(run->table);
}

/*
 * Take SPACE of the space that a call acts as.  TREE keeps the environment's
 * capability from being cut until then, and the cut then waits for this lock, so
 * one that was revoked meanwhile has no effect.
 */
static int64_t space_take(uint64_t env, struct exo_env **space) {
    *space = arch_hart()->space;
    if (likely(env == EXO_SELF)) {
        lock_take(arch_hart()->space_lock);
        return 0;
    }
    lock_take(&tree_lock);
    const struct exo_cap *cap = cap_find(*space, env);
    int64_t error = env_check(cap, EXO_ENV_CONTROL);
    if (!error && env_is_dying(env_at(cap->first))) error = EXO_EDYING;
    if (!error) lock_take(space_lock(*space = env_leader(env_at(cap->first))));
    lock_release(&tree_lock);
    return error;
}

/*
 * Take SPACE and find the run of `count` entries of a level from va's on, as far
 * as the table's end.  With an error SPACE is not held.
 */
static int64_t run_take(uint64_t env, uint64_t va, uint64_t count, uint64_t level,
                        struct run *run) {
    uint64_t bytes = (uint64_t)EXO_FRAME_BYTES << EXO_GROUP_SHIFT * level;
    uint64_t room = TABLE_ENTRIES - entry_index(va, level);
    int64_t error = space_take(env, &run->space);
    if (error) return error;
    if (count - 1 >= EXO_PAGES_MAX)
        error = EXO_EARGUMENT;
    else if ((va & (bytes - 1)) || (va | (va + count * bytes - 1)) >= EXO_VA_LIMIT)
        error = EXO_EADDRESS;
    run->table = error ? 0 : table_find(run->space, va, level);
    run->entry = table_entry(run->table, va, level);
    run->count = count < room ? count : room;
    if (likely(run->table)) return 0;
    lock_release(space_lock(run->space));
    return error ? error : EXO_ENOTABLE;
}

/* run_take after a hot half has given up, with nothing done. */
static int64_t run_again(uint64_t count, bool large, struct run *run) {
    lock_release(arch_hart()->space_lock);
    return run_take(hart_kept()->env, hart_kept()->va, count, large, run);
}

static struct result run_give(const struct run *run, int64_t value) {
    lock_release(space_lock(run->space));
    return answer(value);
}

/* ---- tables ---- */

/* Word 1 of a TABLE counts its live entries; the root has no count, it goes with its environment. */
static void table_count(const struct exo_env *space, const uint64_t *entry, uint64_t difference) {
    uint64_t table = frame_of(entry);
    if (table != space->root) state_add(frame_state(table), difference);
}

// LAB 2: BEGIN
struct result table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot, uint64_t frame) {
    struct run run;
    if (level != 1 && level != 2) return answer(EXO_EARGUMENT);
    int64_t error = run_take(env, va, 1, level, &run);
    if (error) return answer(error);
    struct exo_cap *cap = cap_find(run.space, slot);
    error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error) return run_give(&run, error);
    if (!cap_covers(cap, frame, 1)) return run_give(&run, EXO_ERANGE);
    if (pte_is_present(*run.entry)) return run_give(&run, EXO_EPRESENT);
    if (read_once(*address_state(run.table)) & EXO_TABLE_CLOSING)
        return run_give(&run, EXO_ECLOSING);
    if (!frame_claim(frame, EXO_FRAME_TABLE)) return run_give(&run, EXO_EBUSY);
    uint64_t word = (uint64_t)EXO_TAG_TABLE << EXO_TAG_SHIFT |
                    (level - 1) << EXO_TABLE_LEVEL_SHIFT |
                    run.table >> EXO_FRAME_SHIFT << EXO_TABLE_PARENT_SHIFT |
                    entry_index(va, level) << EXO_TABLE_INDEX_SHIFT;
    arch_frame_clear(frame_pointer(frame));
    write_once(*frame_state(frame), word);
    cap->cursor = 0;
    table_count(run.space, run.entry, 1);
    /* The table walker of another hart must not find the frame's old contents. */
    __atomic_store_n(run.entry, pte_table(frame), __ATOMIC_RELEASE);
    return run_give(&run, 0);
}
// LAB 2: END

void table_remove(struct exo_env *space, uint64_t *entry) {
    uint64_t table = pte_frame(*entry);
    pte_write(entry, 0);
    space_shoot(space);
    table_count(space, entry, -1ul);
    frame_release(table);
}

struct result table_unlink(uint64_t env, uint64_t va, uint64_t level) {
    struct run run;
    if (level != 1 && level != 2) return answer(EXO_EARGUMENT);
    int64_t error = run_take(env, va, 1, level, &run);
    if (error) return answer(error);
    uint64_t pte = *run.entry;
    if (!pte_is_present(pte)) return run_give(&run, EXO_EABSENT);
    if (!pte_is_table(pte)) return run_give(&run, EXO_ETYPE);
    uint64_t word = read_once(*frame_state(pte_frame(pte)));
    /* Else another could take its place at every step of the cut. */
    if (word & EXO_TABLE_CLOSING) return run_give(&run, EXO_ECLOSING);
    if (word & EXO_TABLE_LIVE_MASK) return run_give(&run, EXO_EBUSY);
    table_remove(run.space, run.entry);
    return run_give(&run, 0);
}

/* ---- map ---- */

/* At every PENDING_STEPth entry of a table: does an interrupt wait? */
static inline bool run_must_end(const uint64_t *entry) {
    return (uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending();
}

/* Count up and write one leaf to a DATA frame into an absent entry, or do nothing.  Was it done? */
static inline bool leaf_add(uint64_t *entry, uint64_t *word, uint64_t pte) {
    if (unlikely(pte_is_present(*entry)) || !frame_map_data(word)) return false;
    pte_write(entry, pte);
    return true;
}

/*
 * Leaves to frames in a row or, if `listed`, of the program's vector, each number
 * of which is read once; as far as all is usual.  Returns how many.
 */
static inline __attribute__((always_inline)) uint64_t
map_usual(const struct run *run, const struct exo_cap *cap, uint64_t frame,
          const volatile uint64_t *vector, bool listed, uint64_t flags) {
    uint64_t *entry = run->entry, *end = entry + run->count, *word = frame_word(frame);
    uint64_t first = cap->first, count = cap->count, pte = pte_leaf(frame, flags);
    struct exo_frame *frames = arch_hart()->frames;
    do {
        if (listed) {
            frame = *vector++;
            if (unlikely(frame - first >= count)) break;
            word = &frames[frame].word0;
            pte = pte_leaf(0, flags) + frame * PTE_FRAME_ONE; /* half of it once for all */
        }
        if (!leaf_add(entry, word, pte)) break;
        word += sizeof(struct exo_frame) / sizeof(*word);
        pte += PTE_FRAME_ONE;
    } while (++entry != end && !run_must_end(entry));
    return (uint64_t)(entry - run->entry);
}

/* May programs map this frame: does it hold registers of listed devices, and none of the kernel's? */
static bool device_is_listed(uint64_t frame) {
    uint64_t kinds = 0;
    for (uint32_t i = 0; i < info->device_count; i++)
        if (info->device[i].address >> EXO_FRAME_SHIFT == frame)
            kinds |= 1ul << info->device[i].kind;
    return frame < ram_first && kinds && !(kinds & 1ul << EXO_DEVICE_VIRTIO);
}

/* May this frame or group be mapped, and is it counted up now?  Returns 0 or an error. */
static int64_t unit_map(const struct exo_cap *cap, uint64_t frame, uint64_t flags) {
    bool large = flags & EXO_MAP_LARGE;
    uint64_t class = EXO_CAP_CLASS(cap->word);
    if (!cap_covers(cap, frame, large ? EXO_GROUP_FRAMES : 1)) return EXO_ERANGE;
    if (large) return frame % EXO_GROUP_FRAMES ? EXO_EARGUMENT : group_map(frame);
    if (class == EXO_CLASS_DEVICE) return device_is_listed(frame) ? 0 : EXO_ETYPE;
    if (class != EXO_CLASS_PAGE && frame_type(frame) != EXO_FRAME_INFO) return EXO_ETYPE;
    return frame_map(frame, flags & PAGE_RIGHTS);
}

/* Map what the capability covers: as far as all is usual, else with care.  How many, or an error. */
static int64_t map_run(const struct run *run, struct exo_cap *cap, uint64_t frame, uint64_t flags) {
    const volatile uint64_t *vector = flags & EXO_MAP_VECTOR ? arch_hart()->ctx->vector : NULL;
    uint64_t class = EXO_CAP_CLASS(cap->word), unit = flags & EXO_MAP_LARGE ? EXO_GROUP_FRAMES : 1;
    uint64_t old[MAP_STEP], replaced = 0, done = 0;
    int64_t error = 0;
    if (class && !vector && !cap_covers(cap, frame, run->count * unit)) return EXO_ERANGE;
    if (class != EXO_CLASS_PAGE && unit > 1) return EXO_EARGUMENT;
    if (read_once(*address_state(run->table)) & EXO_TABLE_CLOSING) return EXO_ECLOSING;
    cap->cursor = 0;
    if (class == EXO_CLASS_PAGE && !(flags & (EXO_MAP_LARGE | EXO_MAP_REPLACE)))
        done = vector ? map_usual(run, cap, 0, vector, true, flags)
                      : map_usual(run, cap, frame, NULL, false, flags);
    for (bool more = !done; more && done < run->count && done < MAP_STEP;) {
        uint64_t pte = run->entry[done], next = vector ? vector[done] : frame + done * unit;
        if (pte_is_present(pte) && !(pte_is_leaf(pte) && flags & EXO_MAP_REPLACE))
            error = EXO_EPRESENT;
        else
            error = unit_map(cap, next, flags);
        if (error) break;
        if (pte_is_present(pte)) old[replaced++] = pte_frame(pte);
        pte_write(&run->entry[done++], pte_leaf(next, flags));
        more = !run_must_end(&run->entry[done]);
    }
    state_add(address_state(run->table), done - replaced);
    if (replaced) space_shoot(run->space);
    while (replaced > 0) unit > 1 ? group_unmap(old[--replaced]) : frame_unmap(old[--replaced]);
    return done ? (int64_t)done : error;
}

/* page_map's full form.  Without a slot it maps INFO frames, which everybody may read. */
static __attribute__((noinline)) struct result map_fully(void) {
    const struct kept kept = *hart_kept();
    struct exo_cap info_frames = {.first = ram_first, .count = ram_count}, *cap = &info_frames;
    struct run run;
    bool good = kept.last & EXO_PAGE_R && !(kept.last & ~(uint64_t)MAP_FLAGS);
    int64_t value = run_again(good ? kept.count : 0, kept.last & EXO_MAP_LARGE, &run);
    if (value) return answer(value);
    if (kept.slot != EXO_NONE) {
        cap = cap_find(run.space, kept.slot);
        bool device = cap && EXO_CAP_CLASS(cap->word) == EXO_CLASS_DEVICE;
        value = cap_check(cap, device ? EXO_CLASS_DEVICE : EXO_CLASS_PAGE, kept.last & PAGE_RIGHTS);
    }
    if (!value) value = map_run(&run, cap, kept.frame, kept.last);
    return run_give(&run, value);
}

struct result page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame, uint64_t count,
                       uint64_t flags) {
    const struct kept kept = {env, va, count, flags, slot, frame};
    struct run run;
    uint64_t unusual = (flags ^ EXO_PAGE_R) & ~(uint64_t)(EXO_PAGE_W | EXO_PAGE_X);
    // LAB 2: BEGIN
    if (unlikely(!run_usual(kept, unusual, &run))) return map_fully();
    struct exo_cap *cap = cap_near(run.space, slot);
    if (unlikely(!cap_suits(cap, slot, EXO_CLASS_PAGE, flags))) return map_fully();
    if (unlikely(frame - cap->first >= cap->count)) return map_fully();
    uint64_t *live = address_state(run.table), word1 = read_once(*live);
    if (unlikely(word1 & EXO_TABLE_CLOSING)) return map_fully();
    uint64_t pte = pte_leaf(frame, flags & PAGE_RIGHTS);
    if (unlikely(!leaf_add(run.entry, frame_word(frame), pte))) return map_fully();
    write_once(*live, word1 + 1);
    cap->cursor = 0;
    // LAB 2: END
    lock_release(arch_hart()->space_lock);
    return answer(1);
}

/* ---- unmap, protect, harvest ---- */

/* The end of the next stretch of a run between two looks for an interrupt. */
static inline uint64_t *run_stretch(uint64_t *entry, uint64_t *end) {
    uint64_t look = ((uint64_t)entry | (PENDING_STEP * sizeof(*entry) - 1)) + 1;
    return look < (uint64_t)end ? (uint64_t *)look : end;
}

uint64_t run_drop(const struct run *run, bool large, bool all, uint64_t payload) {
    uint64_t lowest = large ? UINT64_MAX : arch_hart()->ram_first, removed = 0;
    uint64_t *entry = run->entry, *end = entry + run->count;
    struct exo_frame *frames = arch_hart()->frames;
#pragma GCC unroll 4
    for (; entry != end; entry++) {
        uint64_t old = *entry, frame = pte_frame(old);
        if (likely(pte_is_hidden(old))) {
            removed++;
            if (likely(frame >= lowest))
                __atomic_fetch_sub(&frames[frame].word0, FRAME_MAP_ONE, __ATOMIC_RELAXED);
            else if (large)
                group_unmap(frame);
        } else if (!all) {
            continue;
        }
        pte_write(entry, payload);
    }
    state_add(address_state(run->table), -removed);
    return removed;
}

/* page_unmap's full form. */
static __attribute__((noinline)) struct result unmap_fully(void) {
    const struct kept kept = *hart_kept();
    bool large = kept.count & EXO_COUNT_LARGE;
    struct run run;
    int64_t error = run_again(kept.count & ~EXO_COUNT_LARGE, large, &run);
    if (error) return answer(error);
    for (uint64_t i = 0; large && i < run.count; i++)
        if (pte_is_table(run.entry[i])) run.count = i;
    // LAB 3: BEGIN
    uint64_t *entry = run.entry, *end = entry + run.count, present = 0;
    do {
        uint64_t *stretch = run_stretch(entry, end);
#pragma GCC unroll 4
        for (; entry != stretch; entry++) present |= pte_hide(entry);
    } while (entry != end && !arch_interrupt_pending());
    run.count = (uint64_t)(entry - run.entry);
    if (pte_is_present(present)) space_shoot(run.space);
    uint64_t leaves = run_drop(&run, large, true, kept.last);
    // LAB 3: END
    lock_release(space_lock(run.space));
    return (struct result){run.count ? (int64_t)run.count : EXO_ETYPE, leaves};
}

struct result page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload) {
    const struct kept kept = {env, va, count, payload, 0, 0};
    struct run run;
    if (unlikely(payload & EXO_PAYLOAD_ZERO)) return answer(EXO_EARGUMENT);
    if (unlikely(!run_usual(kept, 0, &run) || !pte_is_present(*run.entry))) return unmap_fully();
    pte_hide(run.entry);
    space_shoot(run.space);
    frame_unmap(pte_frame(*run.entry));
    pte_write(run.entry, hart_kept()->last);
    state_add(address_state(run.table), -1ul);
    lock_release(arch_hart()->space_lock);
    return (struct result){1, 1};
}

/* page_protect's full form.  A pointer to a table has no rights to lose. */
static __attribute__((noinline)) struct result protect_fully(void) {
    const struct kept kept = *hart_kept();
    struct run run;
    int64_t error = run_again(kept.count & ~EXO_COUNT_LARGE, kept.count >> 63, &run);
    if (error) return answer(error);
    if (!pte_is_present(*run.entry)) return run_give(&run, EXO_EABSENT);
    uint64_t *entry = run.entry, *end = entry + run.count;
    do {
        uint64_t *stretch = run_stretch(entry, end);
        do {
            if (pte_is_present(*entry)) pte_lower(entry, kept.last);
        } while (++entry != stretch);
    } while (entry != end && !arch_interrupt_pending());
    space_shoot(run.space);
    return run_give(&run, entry - run.entry);
}

struct result page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights) {
    const struct kept kept = {env, va, count, rights, 0, 0};
    struct run run;
    if (unlikely(!(rights & EXO_PAGE_R) || rights > PAGE_RIGHTS)) return answer(EXO_EARGUMENT);
    if (unlikely(!run_usual(kept, 0, &run) || !pte_is_present(*run.entry))) return protect_fully();
    pte_lower(run.entry, rights);
    space_shoot(run.space);
    lock_release(arch_hart()->space_lock);
    return answer(1);
}

struct result page_harvest(uint64_t env, uint64_t va, uint64_t count) {
    uint64_t *vector = arch_hart()->ctx->vector, any = 0, i = 0;
    struct run run;
    int64_t error = run_take(env, va, count & ~EXO_COUNT_LARGE, count >> 63, &run);
    if (error) return answer(error);
    do {
        bool leaf = pte_is_leaf(run.entry[i]);
        uint64_t bits = leaf ? pte_harvest(&run.entry[i]) | EXO_HARVEST_PRESENT : 0;
        vector[i++] = bits;
        any |= bits;
    } while (i < run.count && (i % PENDING_STEP || !arch_interrupt_pending()));
    /* From here on no hart writes without setting D again, so what the vector says is true. */
    if (any > EXO_HARVEST_PRESENT) space_shoot(run.space);
    return run_give(&run, (int64_t)i);
}
