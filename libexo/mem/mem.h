/* SPDX-License-Identifier: MIT */
/*
 * What the files of exo::mem know of each other and nobody else does.
 */
#pragma once
#include <exo/mem.h>

/* region.c: the handler of page faults. */
sys_handler region_exception;

/* lock.c: page faults make the stack larger from now on. */
extern bool mem_stack_grows;

/* lock.c: what is mapped may be seen by another thread at once. */
extern bool mem_has_threads;
