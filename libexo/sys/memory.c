/* SPDX-License-Identifier: MIT */
/*
 * The memory hook of a program that does not link exo::mem: it has the pages
 * that its parent mapped and arranges everything else itself.
 *
 * Alone in its file, so that the hook of exo::mem, which comes first in the
 * link, takes its place.
 */
#include <exo/sys.h>

void sys_memory_begin(void) {}
