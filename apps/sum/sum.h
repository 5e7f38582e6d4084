/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>

#include "sha256.h"

/* Print the digest of what was added, and the name. */
void sum_print(struct sha256 *sum, const char *name);

/* Of sectors [first, first + count) of the first disk held; name NULL: of all that is held. */
int sum_disk(const char *name, uint64_t first, uint64_t count);

/* The same by two further programs of this file, each of which holds one half. */
int sum_halves(const char *file);
