/* SPDX-License-Identifier: MIT */
/*
 * Nothing is ever lost: when all environments but init die, init gets every
 * name back.
 */
#pragma once

/*
 * Kill all but init, reap them, and drop all that init holds but its roots.
 * Returns NULL when init has every name back, else what is lost (valid until
 * the next call).  init's own page tables stay as they are.
 */
const char *recover(void);
