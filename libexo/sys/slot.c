/* SPDX-License-Identifier: MIT */
/*
 * The program's own capability slots.
 *
 * Nothing is recorded here: the tables themselves are mapped read-only, and
 * the kernel keeps them right.
 */
#include <exo/sys.h>

const struct exo_cap *sys_slot(uint64_t table, uint64_t index) {
    const struct exo_env *env = sys_env();

    if (table == 0) return index < EXO_ENV_SLOTS ? &env->slot[index] : NULL;
    if (table > EXO_CAPS_FRAMES || env->caps[table - 1] == 0) return NULL;
    if (index == 0 || index >= EXO_CAPS_SLOTS) return NULL;
    const struct exo_caps *caps = (const struct exo_caps *)SYS_VA_CAPS;
    return &caps[table - 1].slot[index];
}

const struct exo_cap *sys_slot_named(uint64_t handle) {
    uint64_t table = (uint32_t)handle >> EXO_HANDLE_TABLE_SHIFT;
    return sys_slot(table, handle >> EXO_HANDLE_INDEX_SHIFT & (EXO_CAPS_SLOTS - 1));
}

static bool slot_is_usable(const volatile struct exo_cap *cap) {
    uint64_t word = cap->word;
    return EXO_CAP_STATE(word) == EXO_SLOT_EMPTY &&
           word >> EXO_HANDLE_GEN_SHIFT < EXO_HANDLE_GEN_MAX;
}

int64_t sys_slot_find(void) {
    for (uint64_t index = 0; index < EXO_ENV_SLOTS; index++)
        if (slot_is_usable(sys_slot(0, index))) return (int64_t)EXO_HANDLE(0, index);
    for (uint64_t table = 1; table <= EXO_CAPS_FRAMES; table++) {
        if (!sys_slot(table, 1)) continue;
        for (uint64_t index = 1; index < EXO_CAPS_SLOTS; index++)
            if (slot_is_usable(sys_slot(table, index))) return (int64_t)EXO_HANDLE(table, index);
    }
    return EXO_EFULL;
}

int64_t sys_slots_add(uint64_t slot, uint64_t frame) {
    struct exo_result added = exo_caps_add(slot, frame);
    if (added.value < 0) return added.value;
    uint64_t va = SYS_VA_CAPS + ((uint64_t)added.value - 1) * EXO_FRAME_BYTES;
    struct exo_result mapped =
        exo_page_map(EXO_SELF, va, slot, frame, 1, EXO_PAGE_R | EXO_MAP_REPLACE);
    if (mapped.value < 0) {
        exo_caps_del(frame);
        return mapped.value;
    }
    return 0;
}
