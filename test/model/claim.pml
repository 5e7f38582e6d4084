/* SPDX-License-Identifier: MIT */
/*
 * RULE 5, one state word: claiming, giving up, stop, start, copying registers, death and reuse.
 *
 * Mirrors: env_claim, env_claim_word, env_release, env_put, env_leave, env_kill, regs_stop,
 * regs_use, env_regs (exo/env.c, exo/env.h), reap_harts and reap_frames as far as the
 * state word goes (exo/reap.c), env_init of the next environment in the frame.
 *
 * Harts 0 and 1 run X by their rows.  Hart 2 is a waker.  Harts 3 and 4 act for spaces that hold an
 * ENV capability: stop, start, copy.  DEATH: hart 5, in place of hart 4, kills and reaps; then the
 * frame is the ENV frame of another environment, or (TABLE_NEXT) a TABLE whose word 1 a program
 * chose.  The words of X's CTX are `registers`: saved through the hart's store buffer, which the
 * release of a state empties.
 *
 * Left out: INCALL and FAULT (they lie beside the state and are kept by every add), calls and
 * call_break (pct.pml), wake-ups (wait.pml), locks but those that keep the slots (kill.pml).
 *
 * CLEAN:
 * CLEAN: DEATH
 * CLEAN: DEATH TABLE_NEXT
 * BUG: CLAIM_BY_STATE                        a claim looks at the state and keeps the flags
 * BUG: RELEASE_SWAPS                         giving up stores a whole word: flags are lost
 * BUG: RELEASE_UNORDERED                     giving up before the registers are out
 * BUG: CLAIM_BY_STORE                        load, test, store instead of compare-and-swap
 * BUG: PUT_BY_STORE                          env_put stores a word: a STOP set meanwhile is lost
 * BUG: STOP_UNCLAIMED                        regs_stop makes it STOPPED, then writes the answer
 * BUG: START_WANTS_NO_STOP                   regs_start does not take a STOPPED word with STOP
 * BUG: START_KEEPS_STOP                      regs_start leaves a STOP that nobody asked for
 * BUG: COPY_UNCLAIMED                        regs_copy does not claim
 * BUG: START_BY_STORE                        regs_start does not compare
 * BUG: NO_SPACE_LOCK DEATH                   env_regs looks the slot up without holding SPACE
 * BUG: REAP_RUNNING DEATH                    reaping does not look whether a hart has it
 * BUG: NO_TAG DEATH TABLE_NEXT               word 1 of another type may equal a state word
 */
#define NONE 0
#define STOPPED 1
#define READY 2
#define RUN 3
#define WAIT 4
#define STATE(w) ((w) & 7)
#define STOP 8
#define KILL 16
#define FLAGS (STOP | KILL)
#define HART(h) ((h) << 5)
#define HART_OF(w) ((w) >> 5 & 7)
#define GENERATION 256
#define TAG 512
#define OWN(w) ((w) & (TAG | GENERATION))   /* tag and generation: what names the environment */
#define KEPT(w) ((w) & (TAG | GENERATION | FLAGS))
#ifndef STEPS
#define STEPS 2 /* times that X leaves a hart */
#endif
#ifndef ACTS
#ifdef DEATH
#define ACTS 2 /* calls of each of harts 3 and 4 */
#else
#define ACTS 1
#endif
#endif
#ifndef WAKES
#define WAKES 1
#endif

#define FORGET atomic { old = 0; done = 0 }

short word = TAG | READY; /* word 1 of the frame */
byte holders;             /* ghost: harts that have claimed it */
byte registers = 1;       /* 1: saved and visible; 0: a hart has them */
bit buffer[2];            /* a hart's stores of the registers are not out yet */
bit gone;                 /* ghost: X was reaped */
bit halted;               /* ghost: regs_stop has answered 0, no start since */
bit slot[2] = 1, locked[2]; /* the ENV slots of harts 3 and 4, and their spaces' SPACE locks */
bit asked;                /* ghost: a STOP was set, and nobody has finished it or started since */
bit interrupt[2];
byte left;                /* times that a hart gave X up by itself */

/* A compare-and-swap.  Only a word of an environment may change so. */
inline swap(old, new, done) {
    atomic {
        if
#ifdef CLAIM_BY_STORE
        :: true ->
#else
        :: word == old ->
#endif
            word = new; done = 1;
            assert(!gone || (old & GENERATION))
        :: else -> done = 0
        fi
    }
}

inline hold() { assert(holders == 0); holders++ }

/* Somebody claims it as if to run it. */
inline claim(h, old, done) {
    atomic {
        swap(old, OWN(old) | RUN | HART(h), done);
        if :: done -> hold() :: else fi
    }
}

inline put(h, next) { /* env_put: one add */
    atomic {
        assert(STATE(word) == RUN && HART_OF(word) == h);
#ifdef PUT_BY_STORE
        word = OWN(word) | next;
#else
        word = KEPT(word) | next;
#endif
        holders--
    }
}

inline release(h, next) { /* env_release: one add */
    atomic { registers = 0; buffer[h] = 1 } /* saved */
#ifndef RELEASE_UNORDERED
    !buffer[h];
#endif
    atomic {
        assert(STATE(word) == RUN && HART_OF(word) == h);
        assert(!gone || (word & GENERATION));
#ifdef RELEASE_SWAPS
        word = OWN(word) | next;
#else
        word = KEPT(word) | next;
#endif
        holders--
    }
}

proctype Buffers() {
end: do
    :: atomic { buffer[0] -> buffer[0] = 0; registers = 1 }
    :: atomic { buffer[1] -> buffer[1] = 0; registers = 1 }
    od
}

proctype Hart(byte h) {
    short old;
    bit done;
end: do
#ifdef CLAIM_BY_STATE
    :: atomic {
            STATE(word) == READY && (word & TAG) -> /* what the row says */
            assert(!gone || (word & GENERATION));
            assert(!halted && !asked);
            word = KEPT(word) | RUN | HART(h); hold(); done = 1
        }
#else
    :: atomic { STATE(word) == READY && !(word & FLAGS) && (word & TAG) -> old = word }
        atomic { claim(h, old, done); if :: done -> assert(!halted && !asked) :: else fi }
#endif
        if
        :: done ->
            assert(registers == 1);
endRuns:    if
            :: left < STEPS -> left++;
                if
                :: release(h, READY)
                :: release(h, WAIT)
                :: release(h, STOPPED) /* a fault */
                :: atomic { word = word | KILL } release(h, READY) /* exit */
                fi
            :: interrupt[h] -> interrupt[h] = 0; release(h, READY)
            fi
        :: else
        fi;
        FORGET
    od
}

proctype Waker() {
    short old;
    byte count = 0;
    bit done;
    do
    :: count < WAKES -> count++;
endSleeps:
        atomic { STATE(word) == WAIT && (word & TAG) -> old = word }
        if
        :: !(old & FLAGS) ->
            claim(2, old, done);
            if :: done -> assert(registers == 1); put(2, READY) :: else fi
        :: else
        fi;
        FORGET
    :: break
    od
}

inline regs_stop() {
    if
    :: STATE(old) == STOPPED -> atomic { if :: word == old -> halted = 1 :: else fi }
    :: STATE(old) != STOPPED && (old & KILL)
    :: STATE(old) == RUN && !(old & KILL) ->
        atomic { swap(old, (old | STOP), done); if :: done -> asked = 1 :: else fi }
        if :: done && HART_OF(old) < 2 -> interrupt[HART_OF(old)] = 1 :: else fi
    :: STATE(old) != STOPPED && !(old & KILL) && STATE(old) != RUN ->
#ifdef STOP_UNCLAIMED
        swap(old, OWN(old) | STOPPED, done);
        if :: done -> assert(registers == 1 && holders == 0) :: else fi
#else
        atomic { claim(h, old, done); if :: done -> asked = 0 :: else fi }
        if :: done -> assert(registers == 1); put(h, STOPPED) :: else fi /* it writes the answer */
#endif
    fi
}

#ifdef START_WANTS_NO_STOP
#define STARTS(w) (OWN(w) | STOPPED)
#else
#define STARTS(w) (OWN(w) | STOPPED | (w) & STOP)
#endif
#ifdef START_KEEPS_STOP
#define STARTED(w) (OWN(w) | READY | (w) & STOP)
#else
#define STARTED(w) (OWN(w) | READY)
#endif

inline regs_start() {
    atomic {
#ifdef START_BY_STORE
        word = STARTED(old); done = 1;
#else
        swap(STARTS(old), STARTED(old), done);
#endif
        /* Refused only if it was not STOPPED when it was looked at, or changed since, or dies. */
        assert(done || word != old || STATE(old) != STOPPED || (old & KILL));
        if :: done -> halted = 0; asked = 0 :: else fi
    }
}

inline regs_copy() {
#ifdef COPY_UNCLAIMED
    if
    :: STATE(word) == STOPPED ->
        assert(holders == 0 && registers == 1); assert(holders == 0 && registers == 1)
    :: else
    fi
#else
    atomic {
        swap(STARTS(old), STARTS(old) - STOPPED + RUN + HART(h), done);
        if :: done -> hold() :: else fi
    }
    if :: done -> assert(registers == 1); put(h, STOPPED) :: else fi
#endif
}

proctype Controller(byte h) {
    short old;
    byte count = 0;
    bit done, usable;
    do
    :: count < ACTS -> count++;
#ifdef NO_SPACE_LOCK
        usable = slot[h - 3];
#else
        atomic { !locked[h - 3] -> locked[h - 3] = 1; usable = slot[h - 3] }
#endif
        old = word;
        if
        :: !usable
        :: usable -> assert(!gone); regs_stop()
        :: usable -> assert(!gone); regs_start()
        :: usable -> assert(!gone); regs_copy()
        fi;
        assert(!usable || !gone);
#ifndef NO_SPACE_LOCK
        locked[h - 3] = 0;
#endif
        FORGET
    :: break
    od
}

proctype Reaper() {
    short old;
    if
    :: atomic { old = word; word = word | KILL } /* env_kill */
        if :: STATE(old) == RUN && HART_OF(old) < 2 -> interrupt[HART_OF(old)] = 1 :: else fi;
    :: (word & KILL) -> true /* it ended by itself */
    fi;
    /* reap_harts: AGAIN until no hart has it */
#ifndef REAP_RUNNING
    do
    :: atomic {
            STATE(word) == RUN ->
            if :: HART_OF(word) < 2 -> interrupt[HART_OF(word)] = 1 :: else fi
        }
        STATE(word) != RUN
    :: STATE(word) != RUN -> break
    od;
#endif
    atomic { !locked[0] -> slot[0] = 0 } /* reap_names: cut every ENV capability, under its SPACE */
    atomic { !locked[1] -> slot[1] = 0 }
#ifndef REAP_RUNNING
    STATE(word) != RUN; /* reap_harts again at every step */
#endif
    atomic { /* reap_frames */
        assert(holders == 0 && (word & KILL));
        word = 0; gone = 1; halted = 0; asked = 0
    }
#ifdef TABLE_NEXT
    atomic {
        if /* whatever a program chose */
        :: word = READY :: word = WAIT :: word = STOP | READY :: word = RUN | HART(1)
        fi;
#ifdef NO_TAG
        word = word | TAG
#endif
    }
#else
    word = TAG | GENERATION | STOPPED;
    atomic { word == (TAG | GENERATION | STOPPED) -> word = TAG | GENERATION | READY }
    do
    :: atomic {
            STATE(word) == RUN && HART_OF(word) < 2 && !(word & FLAGS) ->
            word = word | STOP; asked = 1; interrupt[HART_OF(word)] = 1 }
        break
    :: break
    od
#endif
}

/* When nothing moves: whoever is RUN is held, and a flag on the word is one that was asked for. */
proctype Check() {
    timeout ->
    assert(holders == (STATE(word) == RUN && (word & TAG) -> 1 : 0));
    assert(!(word & TAG) || !(word & STOP) || asked)
}

init {
    atomic {
        run Buffers(); run Hart(0); run Hart(1); run Waker(); run Controller(3); run Check();
#ifdef DEATH
        run Reaper()
#else
        run Controller(4)
#endif
    }
}
