/* SPDX-License-Identifier: MIT */
/*
 * picolibc's locks: malloc, exit handlers, the environment and buffered files
 * take them.  The linker scripts see to it that these take the place of
 * picolibc's own, which do nothing.
 */
#include <exo/sys.h>
#include <stdlib.h>
#include <sys/lock.h>

struct __lock {
    struct sys_nested_lock lock;
};

struct __lock __lock___libc_recursive_mutex;

void __retarget_lock_init(_LOCK_T *lock) {
    *lock = calloc(1, sizeof(**lock));
    if (!*lock) *lock = &__lock___libc_recursive_mutex;
}

void __retarget_lock_close(_LOCK_T lock) {
    if (lock != &__lock___libc_recursive_mutex) free(lock);
}

void __retarget_lock_acquire(_LOCK_T lock) { sys_nested_take(&lock->lock); }

void __retarget_lock_release(_LOCK_T lock) { sys_nested_give(&lock->lock); }

void __retarget_lock_init_recursive(_LOCK_T *lock) { __retarget_lock_init(lock); }

void __retarget_lock_close_recursive(_LOCK_T lock) { __retarget_lock_close(lock); }

void __retarget_lock_acquire_recursive(_LOCK_T lock) { sys_nested_take(&lock->lock); }

void __retarget_lock_release_recursive(_LOCK_T lock) { sys_nested_give(&lock->lock); }
