/* SPDX-License-Identifier: MIT */
/* Rows that the program holds: see exo/row.h. */
#include <exo/row.h>

#define SLOTS_PER_FRAME (EXO_FRAME_BYTES >> EXO_CAP_SHIFT)

const volatile struct exo_row *row_table(void) {
    static const volatile struct exo_row *table;

    mem_lock();
    if (!table)
        table =
            mem_map_frames(EXO_NONE, sys_info()->slice_table, sys_info()->hart_count, EXO_PAGE_R);
    mem_unlock();
    return table;
}

static uint64_t row_end(void) { return (uint64_t)sys_info()->hart_count * EXO_ROWS; }

/* The slot of this program that may bind a row, if it has these rights; *slice is its handle. */
static const struct exo_cap *row_slot(uint64_t holder, uint64_t rights, uint64_t *slice) {
    const struct exo_env *env = sys_env();
    uint64_t frame = holder / SLOTS_PER_FRAME, index = holder % SLOTS_PER_FRAME, table = 0;

    if (frame == env->frame)
        index -= offsetof(struct exo_env, slot) >> EXO_CAP_SHIFT;
    else
        while (++table <= EXO_CAPS_FRAMES && env->caps[table - 1] != frame) {
        }
    const struct exo_cap *cap = table <= EXO_CAPS_FRAMES ? sys_slot(table, index) : NULL;
    if (!cap || EXO_CAP_STATE(cap->word) != EXO_SLOT_LIVE ||
        EXO_CAP_CLASS(cap->word) != EXO_CLASS_SLICE || (rights & ~EXO_CAP_RIGHTS(cap->word)))
        return NULL;
    *slice = (cap->word & ~(uint64_t)(EXO_HANDLE(1, 0) - 1)) | EXO_HANDLE(table, index);
    return cap;
}

static bool row_is_free(uint64_t number, uint64_t rights, uint64_t *slice) {
    const volatile struct exo_row *row = &row_table()[number];
    if (row->env || !row->holder) return false;
    const struct exo_cap *cap = row_slot(row->holder, rights, slice);
    return cap && number - cap->first < cap->count;
}

uint64_t row_count_free(uint64_t hart, uint64_t rights) {
    uint64_t count = 0, slice;

    if (!row_table()) return 0;
    for (uint64_t number = 0; number < row_end(); number++)
        if (hart == ROW_ANY_HART || number / EXO_ROWS == hart)
            count += row_is_free(number, rights, &slice);
    return count;
}

bool row_find(struct row *row, uint64_t hart, uint64_t count, uint64_t rights) {
    uint64_t slice, found = 0;

    for (uint64_t number = hart * EXO_ROWS; number < (hart + 1) * EXO_ROWS; number++) {
        if (!row_table() || !row_is_free(number, rights, &slice)) {
            found = 0;
            continue;
        }
        if (found == 0 || slice != row->slice) {
            *row = (struct row){slice, number};
            found = 0;
        }
        if (++found == count) return true;
    }
    return false;
}

/* The free row that is to be taken next. */
static bool row_choose(struct row *row, uint64_t hart, uint64_t rights) {
    uint64_t least = EXO_ROWS + 1;

    for (uint64_t first = 0; first < row_end(); first += EXO_ROWS) {
        struct row found = {0};
        uint64_t bound = 0, slice;
        if (hart != ROW_ANY_HART && hart != first / EXO_ROWS) continue;
        for (uint64_t number = first; number < first + EXO_ROWS; number++) {
            if (row_table()[number].env)
                bound++;
            else if (!found.slice && row_is_free(number, rights, &slice))
                found = (struct row){slice, number};
        }
        if (!found.slice || bound >= least) continue;
        *row = found;
        least = bound;
    }
    return least <= EXO_ROWS;
}

int64_t row_take(struct row *row, uint64_t hart, uint64_t rights, uint64_t env) {
    int64_t error = EXO_EFULL;

    if (!row_table()) return error;
    mem_lock(); /* else two threads choose the same one */
    while (row_choose(row, hart, rights)) {
        do error = exo_slice_bind(row->slice, row->number, env).value;
        while (error == EXO_EAGAIN);
        if (error != EXO_EBUSY) break;
        error = EXO_EFULL;
    }
    mem_unlock();
    return error;
}

int64_t row_give(const struct row *row) {
    int64_t error;

    do error = exo_slice_bind(row->slice, row->number, EXO_UNBIND).value;
    while (error == EXO_EAGAIN);
    return error;
}

uint64_t row_hart(uint64_t env_frame) {
    const volatile struct exo_row *table = row_table();

    for (uint64_t number = 0; table && number < row_end(); number++)
        if (table[number].env == env_frame) return number / EXO_ROWS;
    return ROW_ANY_HART;
}

uint64_t row_time(uint64_t env_frame) {
    const volatile struct exo_row *table = row_table();
    uint64_t ticks = 0;

    for (uint64_t number = 0; table && number < row_end(); number++)
        if (table[number].env == env_frame) ticks += table[number].time;
    return ticks;
}
