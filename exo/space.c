/* SPDX-License-Identifier: MIT */
/*
 * Page tables: link, map, unmap, protect, harvest.
 *
 * Not here: the sweep of a cut (sweep.c), TLBs (shoot.c).
 */
#include "space.h"

#include "shoot.h"

#define PAGE_MASK (EXO_FRAME_BYTES - 1ul)
#define MAP_FLAGS (PAGE_RIGHTS | EXO_MAP_LARGE | EXO_MAP_REPLACE | EXO_MAP_VECTOR | EXO_MAP_SOFT)
#define MAP_SPECIAL (EXO_MAP_LARGE | EXO_MAP_REPLACE)
#define PENDING_STEP 16 /* entries between two looks for a pending interrupt */
#define REPLACE_STEP 32 /* entries that one call with REPLACE or LARGE does */

/* A run of entries of one table, found for a call. */
struct entries {
    uint64_t *entry; /* the first */
    uint64_t table;  /* frame of the table that holds them */
    uint64_t count;  /* as asked, but not beyond the table's end */
};

static inline uint64_t entry_index(uint64_t va, uint64_t level)
{
    return va >> (EXO_FRAME_SHIFT + EXO_GROUP_SHIFT * level) & (TABLE_ENTRIES - 1);
}

static inline uint64_t *table_entry(uint64_t table, uint64_t va, uint64_t level)
{
    return (uint64_t *)frame_pointer(table) + entry_index(va, level);
}

/* The table whose entries of `level` include va's; 0 if it is missing. */
static inline uint64_t table_find(const struct exo_env *space, uint64_t va, uint64_t level)
{
    uint64_t table = space->root;
    for (uint64_t above = 2; above > level; above--) {
        uint64_t pte = *table_entry(table, va, above);
        if (__builtin_expect(!pte_is_table(pte), 0))
            return 0;
        table = pte_frame(pte);
    }
    return table;
}

static inline uint64_t *table_word(uint64_t table)
{
    return frame_state(table);
}

/* The root has no count of live entries: it goes only with its environment. */
static void table_count(const struct exo_env *space, uint64_t table, uint64_t difference)
{
    if (table != space->root)
        *table_word(table) += difference;
}

/*
 * Take SPACE of the space that a call acts as.  An environment argument is
 * looked up under the caller's own lock, and again when both are held, so that
 * a capability that was revoked meanwhile has no effect.
 */
static int64_t space_take_other(uint64_t env, struct exo_env **space)
{
    struct hart *hart = arch_hart();
    struct exo_env *own = hart->space;
    lock_take(hart->space_lock);
    struct exo_cap *cap = cap_find(own, env);
    int64_t error = env_check(cap, EXO_ENV_CONTROL);
    struct lock *lock = error ? NULL : space_lock(env_leader(env_at(cap->first)));
    lock_release(hart->space_lock);
    if (error)
        return error;
    lock_take_pair(hart->space_lock, lock);
    cap = cap_find(own, env);
    error = env_check(cap, EXO_ENV_CONTROL);
    if (!error) {
        struct exo_env *target = env_at(cap->first);
        *space = env_leader(target);
        if (space_lock(*space) != lock)
            error = EXO_ESLOT;
        else if (env_is_dying(target))
            error = EXO_EDYING;
    }
    if (error)
        lock_release_pair(hart->space_lock, lock);
    else if (lock != hart->space_lock)
        lock_release(hart->space_lock);
    return error;
}

static inline int64_t space_take(uint64_t env, struct exo_env **space)
{
    struct hart *hart = arch_hart();
    if (__builtin_expect(env != EXO_SELF, 0))
        return space_take_other(env, space);
    *space = hart->space;
    lock_take(hart->space_lock);
    return 0;
}

static inline void space_give(struct exo_env *space)
{
    lock_release(space_lock(space));
}

/* Are `count` units of `size` bytes from va aligned and below the limit?  0, ARGUMENT or ADDRESS. */
static inline int64_t range_check(uint64_t va, uint64_t count, uint64_t size)
{
    if (__builtin_expect(count - 1 >= EXO_PAGES_MAX, 0))
        return EXO_EARGUMENT;
    uint64_t last = va + count * size - 1;
    if (__builtin_expect((va & (size - 1)) || (va | last) >= EXO_VA_LIMIT, 0))
        return EXO_EADDRESS;
    return 0;
}

/* The entries of a range call whose count may carry EXO_COUNT_LARGE. */
static inline int64_t entries_find(const struct exo_env *space, uint64_t va, uint64_t count,
                                   uint64_t level, struct entries *entries)
{
    uint64_t table = table_find(space, va, level);
    if (__builtin_expect(!table, 0))
        return EXO_ENOTABLE;
    uint64_t room = TABLE_ENTRIES - entry_index(va, level);
    entries->table = table;
    entries->entry = table_entry(table, va, level);
    entries->count = count < room ? count : room;
    return 0;
}

/* ---- tables ---- */

/* A level 2 entry is in the root and covers 1 GiB, a level 1 entry covers 2 MiB. */
static int64_t level_check(uint64_t va, uint64_t level)
{
    if (level != 1 && level != 2)
        return EXO_EARGUMENT;
    uint64_t bytes = (uint64_t)EXO_FRAME_BYTES << EXO_GROUP_SHIFT * level;
    return (va & (bytes - 1)) || va >= EXO_VA_LIMIT ? EXO_EADDRESS : 0;
}

static int64_t link_check(struct exo_env *space, uint64_t va, uint64_t level, struct exo_cap *cap,
                          uint64_t frame, struct entries *at)
{
    int64_t error = cap_check(cap, EXO_CLASS_PAGE, EXO_PAGE_R | EXO_PAGE_W);
    if (error)
        return error;
    if (!cap_covers(cap, frame, 1))
        return EXO_ERANGE;
    error = entries_find(space, va, 1, level, at);
    if (error)
        return error;
    if (pte_is_present(*at->entry))
        return EXO_EPRESENT;
    if (at->table != space->root && (*table_word(at->table) & EXO_TABLE_CLOSING))
        return EXO_ECLOSING;
    return frame_claim(frame, EXO_FRAME_TABLE) ? 0 : EXO_EBUSY;
}

// LAB 2: BEGIN
struct result table_link(uint64_t env, uint64_t va, uint64_t level, uint64_t slot, uint64_t frame)
{
    struct exo_env *space;
    struct entries at;
    int64_t error = level_check(va, level);
    if (!error)
        error = space_take(env, &space);
    if (error)
        return (struct result){error, 0};
    struct exo_cap *cap = cap_find(space, slot);
    error = link_check(space, va, level, cap, frame, &at);
    if (!error) {
        uint64_t index = entry_index(va, level);
        arch_frame_clear(frame_pointer(frame));
        *table_word(frame) = (uint64_t)EXO_TAG_TABLE << EXO_TAG_SHIFT |
                             (level - 1) << EXO_TABLE_LEVEL_SHIFT |
                             at.table << EXO_TABLE_PARENT_SHIFT | index << EXO_TABLE_INDEX_SHIFT;
        cap->cursor = 0;
        table_count(space, at.table, 1);
        /* The table walker of another hart must not find the frame's old contents. */
        __atomic_store_n(at.entry, pte_table(frame), __ATOMIC_RELEASE);
    }
    space_give(space);
    return (struct result){error, 0};
}
// LAB 2: END

struct result table_unlink(uint64_t env, uint64_t va, uint64_t level)
{
    struct exo_env *space;
    struct entries at;
    int64_t error = level_check(va, level);
    if (!error)
        error = space_take(env, &space);
    if (error)
        return (struct result){error, 0};
    error = entries_find(space, va, 1, level, &at);
    uint64_t pte = error ? 0 : *at.entry;
    if (!error && !pte_is_table(pte))
        error = pte_is_present(pte) ? EXO_ETYPE : EXO_EABSENT;
    if (!error && (*table_word(pte_frame(pte)) & EXO_TABLE_LIVE_MASK))
        error = EXO_EBUSY;
    if (!error) {
        __atomic_store_n(at.entry, 0, __ATOMIC_RELAXED);
        space_shoot(space);
        table_count(space, at.table, -1ul);
        frame_release(pte_frame(pte));
    }
    space_give(space);
    return (struct result){error, 0};
}

/* ---- map ---- */

/* Contiguous frames into absent 4 KiB entries.  `cap` is checked.  Returns how many, or an error. */
static inline int64_t map_contiguous(const struct entries *at, uint64_t frame, uint64_t flags)
{
    uint64_t *entry = at->entry, *end = entry + at->count;
    uint64_t *word = frame_word(frame);
    uint64_t pte = pte_leaf(frame, flags);
    int64_t error = 0;
    for (;;) {
        if (__builtin_expect(pte_is_present(*entry), 0)) {
            error = EXO_EPRESENT;
            break;
        }
        uint64_t old = __atomic_fetch_add(word, FRAME_MAP_ONE, __ATOMIC_RELAXED);
        if (__builtin_expect(old >= FRAME_DATA_LIMIT, 0)) {
            error = frame_map_typed(word, old, flags & PAGE_RIGHTS);
            if (error)
                break;
        }
        __atomic_store_n(entry, pte, __ATOMIC_RELAXED);
        entry++;
        if (entry == end)
            break;
        word += sizeof(struct exo_frame) / sizeof(*word);
        pte += PTE_FRAME_ONE;
        if ((uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending())
            break;
    }
    int64_t done = entry - at->entry;
    return done ? done : error;
}

/* Frames from the caller's vector, each read once, into absent 4 KiB entries. */
static int64_t map_vector(const struct entries *at, const struct exo_cap *cap,
                          const volatile uint64_t *vector, uint64_t flags)
{
    uint64_t *entry = at->entry, *end = entry + at->count;
    uint64_t first = cap->first, count = cap->count, bits = pte_leaf(0, flags);
    int64_t error = 0;
    while (entry < end) {
        uint64_t frame = *vector++;
        if (frame - first >= count) {
            error = EXO_ERANGE;
            break;
        }
        if (pte_is_present(*entry)) {
            error = EXO_EPRESENT;
            break;
        }
        error = frame_map(frame, flags & PAGE_RIGHTS);
        if (error)
            break;
        __atomic_store_n(entry, bits | pte_table(frame), __ATOMIC_RELAXED);
        entry++;
        if ((uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending())
            break;
    }
    int64_t done = entry - at->entry;
    return done ? done : error;
}

/*
 * May this unit be mapped, and is it counted up now?  `cap` NULL stands for
 * the INFO frames, which everybody may read.  Returns 0 or an error.
 */
static int64_t unit_map(const struct exo_cap *cap, uint64_t frame, uint64_t flags)
{
    uint64_t rights = flags & PAGE_RIGHTS;
    if (!cap) {
        if (!frame_exists(frame))
            return EXO_ERANGE;
        return frame_type(frame) == EXO_FRAME_INFO ? frame_map(frame, rights) : EXO_ETYPE;
    }
    if (!(flags & EXO_MAP_LARGE))
        return cap_covers(cap, frame, 1) ? frame_map(frame, rights) : EXO_ERANGE;
    if (frame % EXO_GROUP_FRAMES)
        return EXO_EARGUMENT;
    return cap_covers(cap, frame, EXO_GROUP_FRAMES) ? group_map(frame) : EXO_ERANGE;
}

static void unit_unmap(uint64_t frame, bool large)
{
    if (large)
        group_unmap(frame);
    else
        frame_unmap(frame);
}

/* May the entry take a leaf with these flags?  0 or PRESENT. */
static int64_t replace_check(uint64_t pte, uint64_t flags)
{
    if (!pte_is_present(pte) || (pte_is_leaf(pte) && (flags & EXO_MAP_REPLACE)))
        return 0;
    return EXO_EPRESENT;
}

/* The second half of map_batch: hide what was there, SHOOT, count down, write what was counted up. */
static void batch_write(struct exo_env *space, const struct entries *at, const uint64_t *frames,
                        uint64_t flags)
{
    uint64_t present = 0, fresh = 0;
    for (uint64_t i = 0; i < at->count; i++)
        present |= pte_hide(&at->entry[i]) & PTE_V;
    if (present)
        space_shoot(space);
    for (uint64_t i = 0; i < at->count; i++) {
        uint64_t old = at->entry[i];
        if (pte_is_hidden(old))
            unit_unmap(pte_frame(old), flags & EXO_MAP_LARGE);
        else
            fresh++;
        __atomic_store_n(&at->entry[i], pte_leaf(frames[i], flags), __ATOMIC_RELAXED);
    }
    table_count(space, at->table, fresh);
}

/* Any mixture of LARGE, REPLACE, VECTOR and INFO frames: at most REPLACE_STEP entries. */
static int64_t map_batch(struct exo_env *space, struct entries *at, const struct exo_cap *cap,
                         uint64_t frame, uint64_t flags)
{
    const volatile uint64_t *vector = arch_hart()->ctx->vector;
    uint64_t unit = flags & EXO_MAP_LARGE ? EXO_GROUP_FRAMES : 1;
    uint64_t frames[REPLACE_STEP];
    uint64_t done = 0;
    int64_t error = 0;
    for (; done < at->count && done < REPLACE_STEP; done++) {
        frames[done] = flags & EXO_MAP_VECTOR ? vector[done] : frame + done * unit;
        error = replace_check(at->entry[done], flags);
        if (!error)
            error = unit_map(cap, frames[done], flags);
        if (error)
            break;
    }
    if (done == 0)
        return error;
    at->count = done;
    batch_write(space, at, frames, flags);
    return (int64_t)done;
}

/* page_map's way for everything but plain pages of the caller's own space. */
static struct result page_map_special(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame,
                                      uint64_t count, uint64_t flags)
{
    struct exo_env *space;
    struct entries at;
    uint64_t level = flags & EXO_MAP_LARGE ? 1 : 0;
    uint64_t bytes = (uint64_t)EXO_FRAME_BYTES << EXO_GROUP_SHIFT * level;
    if ((flags & ~(uint64_t)MAP_FLAGS) || !(flags & EXO_PAGE_R))
        return (struct result){EXO_EARGUMENT, 0};
    int64_t value = range_check(va, count, bytes);
    if (!value)
        value = space_take(env, &space);
    if (value)
        return (struct result){value, 0};
    struct exo_cap *cap = slot == EXO_NONE ? NULL : cap_find(space, slot);
    if (slot == EXO_NONE)
        value = flags & EXO_MAP_LARGE ? EXO_EARGUMENT : 0;
    else
        value = cap_check(cap, EXO_CLASS_PAGE, flags & PAGE_RIGHTS);
    if (!value)
        value = entries_find(space, va, count, level, &at);
    if (!value && (*table_word(at.table) & EXO_TABLE_CLOSING))
        value = EXO_ECLOSING;
    if (!value) {
        if (!cap || (flags & MAP_SPECIAL)) {
            value = map_batch(space, &at, cap, frame, flags);
        } else {
            if (flags & EXO_MAP_VECTOR)
                value = map_vector(&at, cap, arch_hart()->ctx->vector, flags);
            else
                value = cap_covers(cap, frame, count) ? map_contiguous(&at, frame, flags)
                                                      : EXO_ERANGE;
            if (value > 0)
                *table_word(at.table) += (uint64_t)value;
        }
        if (cap)
            cap->cursor = 0;
    }
    space_give(space);
    return (struct result){value, 0};
}

ARCH_CALL struct result page_map(uint64_t env, uint64_t va, uint64_t slot, uint64_t frame,
                                 uint64_t count, uint64_t flags)
{
    struct hart *hart = arch_hart();
    struct entries at;
    if (__builtin_expect(env != EXO_SELF || slot == EXO_NONE ||
                             (flags & ~(uint64_t)(EXO_PAGE_W | EXO_PAGE_X | EXO_MAP_SOFT)) !=
                                 EXO_PAGE_R,
                         0))
        return page_map_special(env, va, slot, frame, count, flags);
    int64_t value = range_check(va, count, EXO_FRAME_BYTES);
    if (value)
        return (struct result){value, 0};
    // LAB 2: BEGIN
    struct exo_env *space = hart->space;
    lock_take(hart->space_lock);
    struct exo_cap *cap = cap_find(space, slot);
    value = cap_check(cap, EXO_CLASS_PAGE, flags & PAGE_RIGHTS);
    if (!value && !cap_covers(cap, frame, count))
        value = EXO_ERANGE;
    if (!value)
        value = entries_find(space, va, count, 0, &at);
    if (!value && (*table_word(at.table) & EXO_TABLE_CLOSING))
        value = EXO_ECLOSING;
    if (!value) {
        cap->cursor = 0;
        value = map_contiguous(&at, frame, flags);
        if (value > 0)
            *table_word(at.table) += (uint64_t)value;
    }
    lock_release(hart->space_lock);
    // LAB 2: END
    return (struct result){value, 0};
}

/* ---- unmap, protect, harvest ---- */

/* What the three calls have in common: the checks, and SPACE taken.  Returns 0 or an error. */
static inline int64_t range_take(uint64_t env, uint64_t va, uint64_t count, struct exo_env **space,
                                 uint64_t *level, struct entries *at)
{
    *level = count >> 63;
    count &= ~EXO_COUNT_LARGE;
    int64_t error = range_check(va, count, (uint64_t)EXO_FRAME_BYTES << EXO_GROUP_SHIFT * *level);
    if (!error)
        error = space_take(env, space);
    if (error)
        return error;
    error = entries_find(*space, va, count, *level, at);
    /* At level 1 the run ends before the first pointer to a table. */
    for (uint64_t i = 0; *level && !error && i < at->count; i++)
        if (pte_is_table(at->entry[i]))
            at->count = i;
    if (!error && !at->count)
        error = EXO_ETYPE;
    if (error)
        space_give(*space);
    return error;
}

/* Pass 1 over at->count entries; shortened when an interrupt is pending.  Was one present? */
static inline bool unmap_hide(struct entries *at)
{
    uint64_t *entry = at->entry, *end = entry + at->count;
    uint64_t present = 0;
    do {
        present |= pte_hide(entry);
        entry++;
        if ((uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending())
            break;
    } while (entry != end);
    at->count = (uint64_t)(entry - at->entry);
    return present & PTE_V;
}

struct result page_unmap(uint64_t env, uint64_t va, uint64_t count, uint64_t payload)
{
    struct exo_env *space;
    struct entries at;
    uint64_t level;
    if (payload & EXO_PAYLOAD_ZERO)
        return (struct result){EXO_EARGUMENT, 0};
    int64_t value = range_take(env, va, count, &space, &level, &at);
    if (value)
        return (struct result){value, 0};
    // LAB 3: BEGIN
    if (unmap_hide(&at))
        space_shoot(space);
    uint64_t removed = 0;
    uint64_t *entry = at.entry, *end = entry + at.count;
    do {
        uint64_t old = *entry;
        if (pte_is_hidden(old)) {
            unit_unmap(pte_frame(old), level);
            removed++;
        }
        *entry++ = payload;
    } while (entry != end);
    table_count(space, at.table, -removed);
    // LAB 3: END
    space_give(space);
    return (struct result){(int64_t)at.count, removed};
}

struct result page_protect(uint64_t env, uint64_t va, uint64_t count, uint64_t rights)
{
    struct exo_env *space;
    struct entries at;
    uint64_t level;
    if (!(rights & EXO_PAGE_R) || (rights & ~(uint64_t)PAGE_RIGHTS))
        return (struct result){EXO_EARGUMENT, 0};
    int64_t value = range_take(env, va, count, &space, &level, &at);
    if (value)
        return (struct result){value, 0};
    uint64_t *entry = at.entry, *end = entry + at.count;
    uint64_t present = 0;
    do {
        if (pte_is_present(*entry))
            present |= pte_lower(entry, rights);
        entry++;
        if ((uint64_t)entry % (PENDING_STEP * sizeof(*entry)) == 0 && arch_interrupt_pending())
            break;
    } while (entry != end);
    if (present)
        space_shoot(space);
    space_give(space);
    return (struct result){present ? entry - at.entry : EXO_EABSENT, 0};
}

/* What page_harvest found, a bit an entry, kept until SHOOT is over. */
struct harvest {
    uint64_t present[EXO_PAGES_MAX / 64];
    uint64_t accessed[EXO_PAGES_MAX / 64];
    uint64_t dirty[EXO_PAGES_MAX / 64];
};

static uint64_t harvest_clear(struct entries *at, struct harvest *found)
{
    uint64_t any = 0, i = 0;
    while (i < at->count) {
        if (pte_is_leaf(at->entry[i])) {
            uint64_t bits = pte_harvest(&at->entry[i]), bit = 1ul << i % 64;
            any |= bits;
            found->present[i / 64] |= bit;
            found->accessed[i / 64] |= bits & EXO_HARVEST_ACCESSED ? bit : 0;
            found->dirty[i / 64] |= bits & EXO_HARVEST_DIRTY ? bit : 0;
        }
        i++;
        if (i % PENDING_STEP == 0 && arch_interrupt_pending())
            break;
    }
    at->count = i;
    return any;
}

struct result page_harvest(uint64_t env, uint64_t va, uint64_t count)
{
    struct exo_env *space;
    struct entries at;
    uint64_t level;
    struct harvest found = {0};
    int64_t value = range_take(env, va, count, &space, &level, &at);
    if (value)
        return (struct result){value, 0};
    if (harvest_clear(&at, &found))
        space_shoot(space);
    space_give(space);
    uint64_t *vector = arch_hart()->ctx->vector;
    for (uint64_t i = 0; i < at.count; i++) {
        uint64_t bit = i % 64;
        vector[i] = (found.present[i / 64] >> bit & 1) * EXO_HARVEST_PRESENT |
                    (found.accessed[i / 64] >> bit & 1) * EXO_HARVEST_ACCESSED |
                    (found.dirty[i / 64] >> bit & 1) * EXO_HARVEST_DIRTY;
    }
    return (struct result){(int64_t)at.count, 0};
}
