/* SPDX-License-Identifier: MIT */
/* What the files of the bench share. */
#pragma once
#include <stdint.h>

struct cost {
    uint64_t instructions;
    uint64_t satp_writes;
    uint64_t sfences;
};

extern uint64_t nothing; /* instructions of an empty measurement */

/* End the machine with this status. */
_Noreturn void stop(int status);

/* End the machine with a message when the value is an error. */
void need(int64_t value, const char *what);

/* A line of output: instructions for each of `units`, the rest for all of them together. */
void print(const char *name, struct cost cost, double units);

/* switch.c: what another environment has a part in. */
void bench_switches(void);
