/* SPDX-License-Identifier: MIT */
/*
 * The table of calls, and the calls of the machine itself.
 *
 * Numbers below zero are not here: they may switch environments and begin in
 * assembly.
 */
#include "call.h"

#include "cap.h"
#include "cut.h"
#include "disk.h"
#include "env.h"
#include "irq.h"
#include "queue.h"
#include "slice.h"
#include "space.h"

struct lock tree_lock;
struct lock *space_locks;
static struct lock console_lock; /* after SPACE, and nothing is taken under it */

struct hart *harts[EXO_HARTS_MAX];
uint32_t hart_count;

#ifdef EXO_ASSERT
/* TREE, SPACE by address, DEVICE, LINES, the console: a later lock has a larger rank. */
static uint64_t lock_rank(const struct lock *lock) {
    if (lock == &tree_lock) return 1;
    if (lock == &console_lock) return UINT64_MAX;
    if (lock == &lines_lock) return UINT64_MAX - 1;
    uint64_t address = (uint64_t)(uintptr_t)lock, offset = address - (uint64_t)(uintptr_t)disks;
    return offset < sizeof(disks) ? UINT64_MAX - 2 : address;
}

void lock_taken(const struct lock *lock) {
    const struct lock **held = arch_hart()->held;
    for (; *held; held++) kernel_assert(lock_rank(*held) < lock_rank(lock));
    *held = lock;
}

void lock_released(const struct lock *lock) {
    const struct lock **held = arch_hart()->held;
    while (*held != lock) held++;
    for (; *held; held++) held[0] = held[1];
}
#endif

/* Has the caller a MACHINE capability with this right?  0, SLOT, CLASS or RIGHTS. */
static int64_t machine_check(uint64_t slot, uint64_t right) {
    struct hart *hart = arch_hart();
    lock_take(hart->space_lock);
    int64_t error = cap_check(cap_find(hart->space, slot), EXO_CLASS_MACHINE, right);
    lock_release(hart->space_lock);
    return error;
}

static __attribute__((noinline)) struct result console_write(uint64_t slot, uint64_t length,
                                                             uint64_t low, uint64_t high) {
    uint64_t bytes[EXO_WRITE_MAX / sizeof(uint64_t)] = {low, high};
    int64_t value = machine_check(slot, EXO_MACHINE_CONSOLE);
    if (!value && length > EXO_WRITE_MAX) value = EXO_EARGUMENT;
    if (value || !length) return answer(value);
    lock_take(&console_lock);
    value = (int64_t)arch_console_write((const char *)bytes, length);
    lock_release(&console_lock);
    return answer(value ? value : EXO_EAGAIN);
}

/* With nothing to write this is the cheapest call that looks at a capability. */
static struct result debug_write(uint64_t slot, uint64_t length, uint64_t low, uint64_t high) {
    lock_take(arch_hart()->space_lock);
    const struct exo_cap *cap = cap_near(arch_hart()->space, slot);
    bool suits = cap_suits(cap, slot, EXO_CLASS_MACHINE, EXO_MACHINE_CONSOLE) && !length;
    lock_release(arch_hart()->space_lock);
    return likely(suits) ? answer(0) : console_write(slot, length, low, high);
}

static struct result shutdown(uint64_t slot, uint64_t status) {
    int64_t value = machine_check(slot, EXO_MACHINE_POWER);
    if (value) return answer(value);
    arch_power_off(status & 255);
}

void call_table(void **calls) {
/* Those with numbers below zero are assembly's and have no entry. */
#define exit NULL
    static void *const null, *const resume, *const yield, *const wait, *const notify;
    static void *const pct_call, *const pct_call_until, *const pct_reply;
#define X(number, name, arguments) \
    if ((number) >= 0) calls[(number)&31] = (void *)(name);
    EXO_CALLS(X)
#undef X
}
