/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* trap.S calls this when a trap came from S-mode: print what is known and stop. */
_Noreturn void kernel_trapped(uint64_t cause, uint64_t pc, uint64_t value);
