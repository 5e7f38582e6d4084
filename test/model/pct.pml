/* SPDX-License-Identifier: MIT */
/*
 * RULE 5, calls: who ends a call ends it once, and no caller is left without an end.
 *
 * Mirrors: call_full, call_claim, call_accept, call_end, call_break, call_cut
 * (exo/pct.c), pct_call, pct_reply and yield of arch/riscv/trap.S, sleep_begin, deadline_end for
 * CALLING (exo/event.c), env_release, env_put, env_kill, env_exit, regs_stop, regs_use (exo/env.c),
 * cut_shrink, cut_bindings of an ENV slot (exo/cut.c), reap_harts, reap_frames (exo/reap.c).
 *
 * C calls S through slot 1 or 2, or T through slot 3.  Harts 0 and 1 run whatever is READY.  Hart 2
 * watches deadlines, hart 3 stops and starts C or S.  Hart 4 holds TREE.  CUT: it cuts slot 1.
 * DEATH: it kills and reaps S or C; then C's frame is a TABLE, and a program has chosen the rest of
 * its word 1.
 *
 * Left out: store buffers (a state is given up with full order, a claim acquires: claim.pml);
 * chains longer than one, depth; TREE's other users.
 *
 * CLEAN:
 * CLEAN: DEATH
 * CLEAN: CUT
 * BUG: NO_CALLEE                             the reply does not compare whom the caller waits for
 * BUG: ACCEPT_FIRST                          pct_reply accepts, then claims the caller
 * BUG: REPLY_TAKES_FLAGS DEATH               the reply claims a caller that dies
 * BUG: STOP_SILENT                           the stop of a caller writes no answer
 * BUG: TIMEOUT_UNCHECKED                     TIMEOUT without a second look at the deadline
 * BUG: DEADLINE_UNCLAIMED                    the deadline's end does not claim
 * BUG: NO_BREAK DEATH                        the callee's death tells nobody
 * BUG: LINK_READ_LATE DEATH                  who gives it up reads its link when it may be reaped
 * BUG: REAPER_NO_BREAK DEATH                 killer and runner tell, but not by yield, and the reaper does not look
 * BUG: BREAK_UNCLAIMED DEATH                 the callee's death does not claim the caller
 * BUG: NO_TAG DEATH                          word 1 of another type may equal a state word
 * BUG: CUT_SILENT CUT                        the cut of the slot leaves the call
 * BUG: CUT_ANY_SLOT CUT                      the cut breaks a call made through another slot
 * BUG: NO_SPACE CUT                          the call is made without SPACE
 * BUG: UNLOCK_EARLY CUT                      SPACE is given up before the caller is CALLING
 * BUG: LINK_LATE CUT                         SPACE is given up before the link is stored
 */
#define C 0
#define S 1
#define T 2
#define NOBODY 7
#define STOPPED 1
#define READY 2
#define RUN 3
#define ACCEPT 4
#define CALLING 5
#define STATE(w) ((w) & 7)
#define STOP 8
#define KILL 16
#define FLAGS (STOP | KILL)
#define HART(h) ((h) << 5) /* or the callee */
#define HART_OF(w) ((w) >> 5 & 7)
#define INCALL 256
#define TAG 512
#define KEPT(w) ((w) & (TAG | INCALL | FLAGS))
#define SLEEPS(w, state) (((w) & (7 | FLAGS)) == (state))
#define NONE 0
#define ANSWER 1
#define FAILURE 2
#ifndef CALLS
#ifdef DEATH
#define CALLS 1
#else
#define CALLS 2
#endif
#endif
#ifndef ACTS
#if defined(DEATH) || defined(CUT)
#define ACTS 1
#else
#define ACTS 2
#endif
#endif

short word[3];
short link[3];        /* of S and T: the caller's word while it waits; 0: serves nobody */
byte handle;          /* C's exo_env.call: the slot */
byte deadline;        /* C's: 0 none, 1 due, 2 not yet */
bit locked;           /* SPACE of C's space */
bit usable[4] = 1, cut; /* its slots; slot 1's cut is complete */
byte calls, present;  /* ghost: calls begun; the present one */
byte served[3];       /* ghost: the call that S or T serves */
bit waits;            /* ghost: C has called and has not gone on */
byte result;          /* ghost: what the present call returns */
byte holder[3] = NOBODY; /* ghost */
bit gone[3];

#define LOCK atomic { !locked -> locked = 1 }
#ifdef NO_SPACE
#define LOCK_CALL skip
#define UNLOCK skip
#else
#define LOCK_CALL LOCK
#define UNLOCK locked = 0
#endif

inline held(e, h) {
    assert(holder[e] == NOBODY && !gone[e] && (word[e] & TAG));
    holder[e] = h
}

/* As env_claim_word. */
inline claim(e, old, h, done) {
    atomic {
        if
        :: word[e] == old -> held(e, h); word[e] = (old & (TAG | INCALL)) | RUN | HART(h); done = 1
        :: else -> done = 0
        fi
    }
}

inline put(e, state) { /* env_put of one that a hart claimed: one add */
    atomic { assert(STATE(word[e]) == RUN); word[e] = KEPT(word[e]) | state; holder[e] = NOBODY }
}

inline fail() { /* C is claimed: its call ends with an error */
    assert(result == NONE); result = FAILURE
}

/* By the word that the link has. */
inline caller_claim(e, h, done) {
    old = link[e]; link[e] = 0; linked_claim(h, done)
}

inline linked_claim(h, done) {
    done = 0;
    if
    :: old ->
#ifdef NO_CALLEE
        atomic { if :: SLEEPS(word[C], CALLING) -> old = word[C] :: else fi }
#endif
#ifdef REPLY_TAKES_FLAGS
        atomic { if :: (word[C] & ~FLAGS) == old -> old = word[C] :: else fi }
#endif
#ifdef NO_TAG
        atomic { if :: (word[C] | TAG) == old -> old = word[C] :: else fi }
#endif
        claim(C, old, h, done)
    :: else
    fi;
    old = 0
}

inline call_break(e, h) {
#ifndef NO_BREAK
#ifdef BREAK_UNCLAIMED
    if
    :: link[e] && STATE(word[C]) == CALLING -> link[e] = 0;
        atomic { fail(); word[C] = KEPT(word[C]) | READY }
    :: else
    fi;
#else
    caller_claim(e, h, ended);
    if :: ended -> ended = 0; fail(); put(C, READY) :: else fi;
#endif
#endif
    skip
}

inline yields(e, h) { /* yield of trap.S: one exclusive or */
    atomic {
        assert(STATE(word[e]) == RUN && holder[e] == h);
        word[e] = KEPT(word[e]) | READY; holder[e] = NOBODY
    }
}

inline release(e, h, state, flags) { /* env_release: one add; its link was read before */
    if :: e != C -> old = link[e] :: else fi;
    atomic {
        assert(STATE(word[e]) == RUN && holder[e] == h);
        word[e] = (KEPT(word[e]) & ~(flags)) | (state); holder[e] = NOBODY;
        if :: e == C || !(word[e] & KILL) -> old = 0 :: else fi
    }
#ifndef NO_BREAK
#ifdef LINK_READ_LATE
    if :: old -> assert(!gone[e]); old = link[e] :: else fi;
#endif
    linked_claim(h, killed); /* call_end */
    if :: killed -> killed = 0; fail(); put(C, READY) :: else fi;
#endif
    old = 0
}

inline call_link() {
    atomic { link[to] = (word[C] & TAG) | CALLING | HART(to); served[to] = present }
}

inline pct_call(h) {
    LOCK_CALL;
    to = (slot == 3 -> T : S); ended = 0;
    if
    :: usable[slot] ->
        atomic {
            if
            :: word[to] == (TAG | ACCEPT) ->
                held(to, h); word[to] = TAG | INCALL | RUN | HART(h); ended = 1
            :: else
            fi
        }
    :: else
    fi;
    if
    :: ended -> ended = 0;
        atomic { calls++; present = calls; result = NONE }
#ifdef UNLOCK_EARLY
        UNLOCK;
#endif
        atomic {
            handle = slot;
            if :: deadline = 0 :: deadline = 1 :: deadline = 2 fi
        }
        atomic {
            assert(holder[C] == h);
            word[C] = KEPT(word[C]) | CALLING | HART(to); holder[C] = NOBODY; waits = 1;
            assert(!cut || handle != 1)
        }
#ifdef LINK_LATE
        UNLOCK;
#endif
        call_link();
#if !defined(UNLOCK_EARLY) && !defined(LINK_LATE)
        UNLOCK;
#endif
        current = to
    :: else -> UNLOCK
    fi;
    to = 0; slot = 0
}

inline pct_reply(h) {
#ifdef ACCEPT_FIRST
    slot = served[current]; old = link[current]; link[current] = 0;
    release(current, h, ACCEPT, INCALL);
    ended = 0;
    if :: old -> claim(C, old, h, ended) :: else fi;
    old = 0;
    if :: ended -> assert(slot == present) :: else fi;
    slot = 0;
#else
    caller_claim(current, h, ended);
    if :: ended -> assert(served[current] == present) :: else fi;
    release(current, h, ACCEPT, INCALL);
#endif
    if
    :: ended -> ended = 0; assert(result == NONE); result = ANSWER; current = C
    :: else -> current = NOBODY
    fi
}

/* C goes on behind its call. */
inline enter() {
    atomic { assert(!waits || result != NONE); waits = 0; result = NONE; deadline = 0 }
}

proctype Hart(byte h) {
    byte current = NOBODY, slot, to;
    short old;
    bit ended, killed;
end: do
    :: atomic { current == NOBODY && SLEEPS(word[C], READY) && (word[C] & TAG) ->
            held(C, h); word[C] = KEPT(word[C]) | RUN | HART(h); current = C }
        enter()
    :: atomic { current == NOBODY && SLEEPS(word[S], READY) ->
            held(S, h); word[S] = KEPT(word[S]) | RUN | HART(h); current = S }
    :: atomic { current == NOBODY && SLEEPS(word[T], READY) ->
            held(T, h); word[T] = KEPT(word[T]) | RUN | HART(h); current = T }
    :: current == C && calls < CALLS ->
        if :: slot = 1 :: slot = 2 :: slot = 3 fi;
        pct_call(h)
    :: current == C && (calls == CALLS || (word[C] & FLAGS)) ->
        release(C, h, READY, 0); current = NOBODY
    :: current == S || current == T -> pct_reply(h); if :: current == C -> enter() :: else fi
    :: current == S || current == T -> release(current, h, READY, 0); current = NOBODY
    :: current == S -> yields(S, h); current = NOBODY
#ifdef DEATH
    :: current == S && !(word[S] & KILL) -> /* env_exit, under TREE */
        atomic { word[S] = word[S] | KILL }
        release(S, h, READY, 0); current = NOBODY
#endif
    od
}

proctype Deadlines() { /* hart 2 */
    short old;
    bit ended;
end: do
    :: atomic { SLEEPS(word[C], CALLING) && (word[C] & TAG) && deadline == 1 -> old = word[C] }
#ifdef DEADLINE_UNCLAIMED
        atomic { fail(); word[C] = KEPT(word[C]) | READY }
#else
        claim(C, old, 2, ended);
        if
        :: ended -> ended = 0;
#ifdef TIMEOUT_UNCHECKED
            assert(deadline == 1);
#endif
            fail(); /* TIMEOUT, or BROKEN if it is another call */
            put(C, READY)
        :: else
        fi;
#endif
        old = 0
    od
}

proctype Controller() { /* hart 3 */
    byte count, v;
    short old;
    bit ended;
    do
    :: count < ACTS -> count++;
        if :: v = C :: v = S fi;
        LOCK;
        old = word[v];
        if
        :: gone[v] || (old & KILL)
        :: !gone[v] && !(old & KILL) && STATE(old) == RUN ->
            atomic { if :: word[v] == old -> word[v] = old | STOP :: else fi }
        :: !gone[v] && !(old & KILL) && STATE(old) != RUN && STATE(old) != STOPPED ->
            claim(v, old, 3, ended);
            if
            :: ended -> ended = 0;
#ifndef STOP_SILENT
                if :: STATE(old) == CALLING -> fail() :: else fi;
#endif
                put(v, STOPPED)
            :: else
            fi
        :: !gone[v] && STATE(old) == STOPPED ->
            atomic {
                if :: word[v] == old -> word[v] = (old & (TAG | INCALL)) | READY :: else fi
            }
        fi;
        locked = 0;
        old = 0; v = 0
    :: break
    od
}

inline cut_slot() {
    LOCK; usable[1] = 0; locked = 0; /* cut_shrink */
    LOCK; /* call_cut */
    old = word[C];
#ifndef CUT_SILENT
    if
#ifdef CUT_ANY_SLOT
    :: link[S] && SLEEPS(old, CALLING) && HART_OF(old) == S ->
#else
    :: link[S] && handle == 1 && SLEEPS(old, CALLING) && HART_OF(old) == S ->
#endif
        claim(C, old, 4, ended);
        if :: ended -> ended = 0; assert(handle == 1); fail(); put(C, READY) :: else fi
    :: else
    fi;
#endif
    /* If S has no link any more, the hart that took it is about to end the call. */
    atomic { cut = 1; assert(!(link[S] == word[C] && SLEEPS(word[C], CALLING) && handle == 1)) }
    locked = 0; old = 0
}

inline reap(e) {
    do /* reap_harts */
    :: STATE(word[e]) != RUN -> break
    od;
#ifndef REAPER_NO_BREAK
    if :: e == S -> call_break(S, 4) :: else fi;
#endif
    LOCK;
    if :: e == S -> usable[1] = 0; usable[2] = 0 :: else fi; /* reap_names */
    locked = 0;
    LOCK; /* reap_frames */
    atomic {
        assert(holder[e] == NOBODY && STATE(word[e]) != RUN);
        gone[e] = 1; word[e] = 0;
        if :: e == C -> waits = 0; result = NONE; word[C] = CALLING | HART(S) :: else fi
    }
    locked = 0
}

proctype Tree() { /* hart 4 */
    short old;
    bit ended;
#ifdef CUT
    cut_slot();
#endif
#ifdef DEATH
    if
    :: atomic { !(word[S] & KILL) -> old = word[S]; word[S] = word[S] | KILL } /* env_kill */
        if :: STATE(old) != RUN -> old = 0; call_break(S, 4) :: else -> old = 0 fi;
        reap(S)
    :: word[S] & KILL -> reap(S)
    :: atomic { word[C] = word[C] | KILL }
        reap(C)
    :: true
    fi
#endif
    skip
}

/* When nothing moves: a caller that waits has somebody who will answer it. */
proctype Check() {
    byte e;
    timeout -> e = HART_OF(word[C]);
    if
    :: (word[C] & TAG) && SLEEPS(word[C], CALLING) ->
        assert(!gone[e] && !(word[e] & KILL) && link[e] == word[C] && (word[e] & INCALL));
        assert(!cut || handle != 1)
    :: else
    fi
}

init {
    atomic {
        word[C] = TAG | READY; word[S] = TAG | ACCEPT; word[T] = TAG | ACCEPT;
        run Hart(0); run Hart(1); run Deadlines(); run Controller(); run Tree(); run Check()
    }
}
