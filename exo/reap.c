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
#include "shoot.h"
#include "slice.h"
#include "space.h"

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

/* Cut the first slot of a frame that holds something.  0 when there is none. */
static struct result reap_slots(struct exo_cap *slots, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t state = EXO_CAP_STATE(slots[i].word);
        if (state == EXO_SLOT_LIVE || state == EXO_SLOT_CUTTING) {
            struct result result = cut_slot(&slots[i], slots[i].first);
            return result.value ? result : answer(EXO_EAGAIN);
        }
        if (state != EXO_SLOT_EMPTY) cap_reset(&slots[i], EXO_SLOT_EMPTY);
    }
    return answer(0);
}

/*
 * The CAPS frame that was donated last, then the slots of the ENV frame.  A slot
 * through which a CAPS frame was donated is older than that frame, so emptying
 * the newest first never finds a donation of this environment itself.
 */
static struct result reap_table(struct exo_env *env) {
    struct exo_caps *newest = NULL;
    for (uint64_t i = 0; i < env->caps_count; i++) {
        struct exo_caps *caps = frame_pointer(env->caps[i]);
        if (env->caps[i] && (!newest || caps->slot[0].extra > newest->slot[0].extra)) newest = caps;
    }
    if (!newest) return reap_slots(env->slot, EXO_ENV_SLOTS);
    struct result result = reap_slots(&newest->slot[1], EXO_CAPS_SLOTS - 1);
    if (result.value) return result;
    caps_remove(env, frame_of(newest));
    return answer(EXO_EAGAIN);
}

static void reap_frames(struct exo_env *env) {
    bool leads = env_leader(env) == env;
    struct lock *lock = space_lock(env);
    /* Who acts as this space holds its lock; after this nobody can begin to. */
    lock_take(lock);
    for (uint64_t i = 0; i < (leads ? 3 : 2); i++) cap_orphan(&env->donation[i]);
    if (leads) {
        asid_give(env);
        frame_release(env->root);
    }
    frame_release(env->ctx >> EXO_FRAME_SHIFT);
    frame_release(env->frame);
    lock_release(lock);
}

/* One step, under TREE. */
static struct result reap_step(uint64_t frame) {
    const struct hart *hart = arch_hart();
    struct exo_env *env = env_named(frame);
    if (!env) return answer(EXO_EENV);
    if (!(read_once(*frame_state(frame)) & EXO_FLAG_KILL)) return answer(EXO_ESTATE);
    if (env == hart->env || env == hart->space) return answer(EXO_ESELF);
    if (!reap_harts(env)) return answer(EXO_EAGAIN);
    /* Every capability that names it: its first one and what was derived from that. */
    cut_walk(&env->donation[0], env->frame, EXO_PASS_CUT);
    struct result result = cut_below(&env->donation[0], false);
    if (!result.value && env_leader(env) == env) {
        if (env->sweep < SPACE_PAGES) {
            lock_take(space_lock(env));
            space_sweep(env, 0, ram_first + ram_count, &env->sweep);
            lock_release(space_lock(env));
            return answer(EXO_EAGAIN);
        }
        result = reap_table(env);
    }
    if (!result.value) reap_frames(env);
    return result;
}

struct result env_reap(uint64_t frame) {
    lock_take(&tree_lock);
    struct result result = reap_step(frame);
    lock_release(&tree_lock);
    return result;
}
