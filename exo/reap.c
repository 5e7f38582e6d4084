/* SPDX-License-Identifier: MIT */
/*
 * What is left of a DYING environment, taken away step by step.
 *
 * A step never goes beyond one environment: where another must die first it is
 * marked and the answer is REAP.  Anyone may do a step, since nobody can lose
 * by it.  The order: off all harts; every ENV capability that names it; its
 * page tables; its CAPS frames, the last first, each emptied slot by slot; the
 * slots of the ENV frame; then root, CTX and ENV frame.
 */
#include "cut.h"
#include "env.h"
#include "pct.h"
#include "shoot.h"
#include "slice.h"
#include "space.h"

static const struct result again = {EXO_EAGAIN, 0};
static const struct result done = {0, 0};

/* Off its rows, one hart a step, and off all harts that run it or are in its space. */
static bool reap_harts(struct exo_env *env) {
    if (slice_forget(env)) return false;
    uint64_t word = __atomic_load_n(frame_state(env->frame), __ATOMIC_SEQ_CST);
    if (env_state(word) == EXO_STATE_RUN) {
        arch_ipi(harts[env_hart(word)]);
        return false;
    }
    call_break(env);
    uint64_t mask = env_leader(env) == env ? space_harts(env) : 0;
    for (uint64_t index = 0; mask >> index; index++)
        if (mask >> index & 1) arch_ipi(harts[index]);
    return !mask;
}

/* Every capability that names it: its first one and what was derived from that. */
static struct result reap_names(struct exo_env *env) {
    cut_walk(&env->donation[0], env->frame, EXO_PASS_CUT);
    return cut_below(&env->donation[0], false);
}

/* Cut the first slot of a frame that holds something.  0 when there is none. */
static struct result reap_slots(struct exo_cap *slots, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t state = EXO_CAP_STATE(slots[i].word);
        if (state == EXO_SLOT_LIVE || state == EXO_SLOT_CUTTING) {
            struct result result = cut_all(&slots[i]);
            return result.value ? result : again;
        }
        if (state != EXO_SLOT_EMPTY) cap_reset(&slots[i], EXO_SLOT_EMPTY);
    }
    return done;
}

/* The CAPS frame that was donated last, as an index of caps[], or EXO_CAPS_FRAMES. */
static uint64_t caps_last(const struct exo_env *env) {
    uint64_t last = EXO_CAPS_FRAMES, newest = 0;
    for (uint64_t i = 0; i < env->caps_count; i++) {
        const struct exo_caps *caps = env->caps[i] ? frame_pointer(env->caps[i]) : NULL;
        if (!caps || caps->slot[0].extra < newest) continue;
        newest = caps->slot[0].extra;
        last = i;
    }
    return last;
}

/*
 * A slot through which a CAPS frame was donated is older than that frame, so
 * emptying the newest first never finds a donation of this environment itself.
 */
static struct result reap_table(struct exo_env *env) {
    uint64_t last = caps_last(env);
    if (last == EXO_CAPS_FRAMES) return reap_slots(env->slot, EXO_ENV_SLOTS);
    struct exo_caps *caps = frame_pointer(env->caps[last]);
    struct result result = reap_slots(&caps->slot[1], EXO_CAPS_SLOTS - 1);
    if (!result.value) {
        caps_remove(env, last);
        result = again;
    }
    return result;
}

static void reap_frames(struct exo_env *env) {
    uint64_t frame = env->frame, ctx = env->ctx >> EXO_FRAME_SHIFT, root = env->root;
    bool leads = env_leader(env) == env;
    struct lock *lock = space_lock(env);
    /* Who acts as this space holds its lock; after this nobody can begin to. */
    lock_take(lock);
    for (uint64_t i = 0; i < (leads ? 3 : 2); i++) cap_orphan(&env->donation[i]);
    if (leads) {
        asid_give(env);
        frame_release(root);
    }
    frame_release(ctx);
    frame_release(frame);
    lock_release(lock);
}

/* One step, under TREE. */
static struct result reap_step(struct exo_env *env) {
    if (!reap_harts(env)) return again;
    struct result result = reap_names(env);
    if (result.value) return result;
    if (env_leader(env) == env) {
        if (env->sweep < SPACE_PAGES) {
            lock_take(space_lock(env));
            space_sweep(env, 0, ram_first + ram_count, &env->sweep);
            lock_release(space_lock(env));
            return again;
        }
        result = reap_table(env);
        if (result.value) return result;
    }
    reap_frames(env);
    return done;
}

struct result env_reap(uint64_t frame) {
    lock_take(&tree_lock);
    struct exo_env *env = env_named(frame);
    struct result result = {EXO_EENV, 0};
    if (env) {
        uint64_t word = __atomic_load_n(frame_state(frame), __ATOMIC_RELAXED);
        bool leads = env_leader(env) == env;
        result.value = word & EXO_FLAG_KILL ? 0 : EXO_ESTATE;
        if (!result.value && (env == arch_hart()->env || (leads && env == arch_hart()->space)))
            result.value = EXO_ESELF;
        if (!result.value) result = reap_step(env);
    }
    lock_release(&tree_lock);
    return result;
}
