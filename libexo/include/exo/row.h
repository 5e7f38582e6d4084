/* SPDX-License-Identifier: MIT */
/*
 * Rows: time on a hart, as the program holds it (exo::task).
 *
 * The program's SLICE capabilities say which rows it may bind, and the slice
 * vectors, which the kernel exposes, say which of them are free.  So nothing is
 * recorded here.  What holds a row with URGENT binds it as an urgent one.
 */
#pragma once
#include <exo/mem.h>

struct row {
    uint64_t slice;  /* own handle of class SLICE that covers it */
    uint64_t number; /* hart index * EXO_ROWS + row */
};

#define ROW_ANY_HART (~0ul)

/* The slice vectors of all harts, by row number; read-only.  NULL when they cannot be mapped. */
const volatile struct exo_row *row_table(void);

/*
 * Bind a free row to an environment: EXO_SELF, or a handle of class ENV.  On
 * this hart, or with ROW_ANY_HART on the one where the fewest rows are bound;
 * held with these EXO_SLICE rights at least.  Returns 0 with *row, EXO_EFULL
 * when the program holds no such row, or another enum exo_error.
 */
int64_t row_take(struct row *row, uint64_t hart, uint64_t rights, uint64_t env);

/* Take the environment out of a row; returns when it has left the hart.  0 or an enum exo_error. */
int64_t row_give(const struct row *row);

/*
 * Find `count` neighbouring rows of a hart that are free and held by one
 * capability, with these rights: to be lent, or derived from.  False when there
 * are none; else *row is the first.
 */
bool row_find(struct row *row, uint64_t hart, uint64_t count, uint64_t rights);

/* How many of the rows on this hart (or with ROW_ANY_HART on all) could be taken with these rights. */
uint64_t row_count_free(uint64_t hart, uint64_t rights);

/* The hart of the lowest row that an environment is bound to, by its ENV frame; ROW_ANY_HART if none is. */
uint64_t row_hart(uint64_t env_frame);

/* Ticks that were handed out since boot through the rows that an environment is bound to now. */
uint64_t row_time(uint64_t env_frame);
