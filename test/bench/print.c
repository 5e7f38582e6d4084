/* SPDX-License-Identifier: MIT */
/* How the files of the bench tell figures, and that something is wrong. */
#include <exo/sys.h>
#include <stdio.h>

#include "bench.h"

uint64_t nothing;

_Noreturn void stop(int status) {
    fflush(stdout);
    for (;;) exo_shutdown(sys_start->console, (uint64_t)status);
}

void need(int64_t value, const char *what) {
    if (value >= 0) return;
    printf("bench: %s: %s\n", what, sys_error_name(value));
    stop(1);
}

void print(const char *name, struct cost cost, double units) {
    printf("bench %s %.2f %lu %lu\n", name, (double)cost.instructions / units, cost.satp_writes,
           cost.sfences);
}
