/* SPDX-License-Identifier: MIT */
/*
 * What the files of exo::mem know of each other and nobody else does.
 */
#pragma once
#include <exo/mem.h>

/* region.c: the handler of page faults. */
sys_handler region_exception;
