/* SPDX-License-Identifier: MIT */
/* What the files of init_disk share. */
#pragma once
#include "../target/calls.h"

/* The child that spins: instret at its last turn, and how many turns those were. */
extern struct spin {
    uint64_t last;
    uint64_t turns;
} spin;

/* alarm.c: from a device's interrupt to the first instruction of the program that waits for it. */
void bench_alarm(const char *name);
