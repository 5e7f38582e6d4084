/* SPDX-License-Identifier: MIT */
/* The calls that a program can make, by number. */
#pragma once
#include "arch.h"

/* Write the kernel's functions for the calls 0 to EXO_CALL_COUNT - 1 into a hart's table. */
void call_table(void **calls);
