/* SPDX-License-Identifier: MIT */
/*
 * Long calls carried to their end.
 *
 * The kernel does one bounded step a call and answers AGAIN, or REAP with the
 * environment that stands in the way.  That one may name another in turn, so
 * reaping goes to the one named last and starts over when it is gone.
 */
#include <exo/sys.h>

int64_t sys_env_reap(uint64_t frame) {
    uint64_t target = frame;

    for (;;) {
        struct exo_result result = exo_env_reap(target);
        if (result.value == EXO_EAGAIN) continue;
        if (result.value == EXO_EREAP && result.detail != target) {
            target = result.detail;
            continue;
        }
        if (target == frame) return result.value;
        /* Gone by this or by somebody else's steps: what named it knows. */
        target = frame;
    }
}

/* Whether a call that answered this is to be made again. */
static bool step_again(struct exo_result result) {
    if (result.value == EXO_EREAP) {
        sys_env_reap(result.detail);
        return true;
    }
    return result.value == EXO_EAGAIN;
}

int64_t sys_cap_grant(uint64_t slot, uint64_t env, uint64_t into, uint64_t frame,
                      uint64_t generation) {
    struct exo_result result;

    do result = exo_cap_grant(slot, env, into, frame, generation);
    while (step_again(result));
    return result.value;
}

int64_t sys_cap_revoke(uint64_t slot, uint64_t from) {
    struct exo_result result;

    do result = exo_cap_revoke(slot, from, 0);
    while (step_again(result));
    return result.value;
}

int64_t sys_cap_drop(uint64_t slot, uint64_t from) {
    struct exo_result result;

    do result = exo_cap_drop(slot, from);
    while (step_again(result));
    return result.value;
}

int64_t sys_env_destroy(uint64_t env, uint64_t frame) {
    struct exo_result result;

    do {
        result = exo_cap_drop(env, frame);
        if (result.value == EXO_EREAP && result.detail == frame) break;
    } while (step_again(result));
    /* No such slot: the environment had exited, and was reaped with all that names it. */
    if (result.value < 0 && result.value != EXO_EREAP && result.value != EXO_ESLOT)
        return result.value;
    int64_t value = sys_env_reap(frame);
    /* Somebody else has reaped it, and the frame may be in other use by now. */
    return value == EXO_EENV || value == EXO_ESTATE ? 0 : value;
}
