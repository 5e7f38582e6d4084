/* SPDX-License-Identifier: MIT */
/*
 * RULE 8 and the order of locks: a space dies while harts run in it, enter it, leave it and act on
 * it.
 *
 * Mirrors: hart_enter_fully, active_entering, active_entered, hart_leave, space_harts (exo/shoot.c),
 * env_kill, env_put_quietly (exo/env.c), slice_wait, slice_pick, hart_interrupt (exo/slice.c),
 * env_reap, reap_harts, reap_step, reap_table, reap_frames (exo/reap.c), cut_shrink, cut_bindings
 * (exo/cut.c), space_take (exo/space.c), lock_take_pair (exo/lock.h), tree_take, cap_grant
 * (exo/cap.c), the order of pct_call in arch/riscv/trap.S (the link is made under SPACE, the state
 * given up before).
 *
 * L leads the space that dies; J has joined it, and may die before.  Hart 0 kills and reaps: L off
 * all harts, the ENV capability that names it, J, then root and ENV frame.  Hart 1 runs J, or K in
 * space T, or sleeps; J calls its own space, grants to T, and makes a pct_call to K.  Hart 2 runs in T
 * and acts on L through a capability that is cut meanwhile.  Hart 1's stores to active[] wait in its
 * buffer.  SHARED_LOCK: both spaces have one SPACE lock.
 *
 * Left out: TLBs and generations (shoot.pml); state words but J's READY, RUN, CALLING, KILL
 * (claim.pml); what a step of the reaper does (no lock is held between two); tickets: a lock is fair
 * or not, here it is not.
 *
 * CLEAN:
 * CLEAN: SHARED_LOCK
 * BUG: NO_ENTER_FENCE                        the look at KILL passes the store to active[]
 * BUG: NO_KILL_FENCE                         the reaper reads active[] before KILL is out
 * BUG: NO_LEADER_CHECK                       who enters looks at the environment's own KILL only
 * BUG: SINGLE_HALF                           active[] names only what is being entered
 * BUG: LEAVE_EARLY                           hart_leave gives its name up before satp
 * BUG: NO_LEAVE                              an idle hart keeps the dying space in satp
 * BUG: REFUSED_TOLD                          who may not enter tells all harts of its rows
 * BUG: FRAMES_BEFORE_JOINED                  the leader's frames go before those who joined it
 * BUG: REAP_WITHOUT_LOCK                     an environment's frames go without the space's lock
 * BUG: TREE_EARLY                            TREE goes before the target's lock is held
 * BUG: NO_TREE                               the ENV capability is looked up under one's own lock
 * BUG: NO_BARRIER                            the cut does not pass through the target's lock
 * BUG: PAIR_TWICE SHARED_LOCK                two SPACE locks that are one are taken twice
 * BUG: UPWARDS                               TREE is taken under SPACE
 * BUG: WAITS                                 a hart is waited for with locks held (RULE 1)
 * BUG: LOCK_IN_FRAME                         the lock goes with the frame
 */
#define NONE 0
#define L 1
#define T 2
#define EMPTY 15
#define FREE 9
#define READY 0
#define RUN 1
#define CALLING 2
#define TELLS 3 /* interrupts that the reaper sends before it just waits */
#ifdef SHARED_LOCK
#define SPACE(s) 1
#else
#define SPACE(s) (s)
#endif
#ifdef SINGLE_HALF
#define ACTIVE(entering, loaded) ((entering) * 3 + (entering))
#else
#define ACTIVE(entering, loaded) ((entering) * 3 + (loaded))
#endif
#define NAMED (active1 % 3 == L || active1 / 3 == L)

byte active1;           /* harts[1]->active */
byte buffer = EMPTY;    /* hart 1's store to it */
byte satp;              /* hart 1's */
byte lock[3] = FREE;    /* TREE, SPACE of L, SPACE of T */
bit killL, killJ;
byte stateJ;
bit user, off;          /* ghost: J is in U-mode; the first look found L off all harts */
bit untyped, goneJ;     /* L's frames and J's are somebody else's */
bit interrupt, own;     /* of hart 1; own: sent by itself */
bit usable = 1, cut;    /* hart 2's capability; its cut is complete */

#define TAKE(l, me) atomic { lock[l] == FREE -> lock[l] = me }
#define GIVE(l, me) atomic { assert(lock[l] == me); lock[l] = FREE }
#define FENCE1 (buffer == EMPTY)
#define STORE(value) atomic { buffer == EMPTY -> buffer = value }

proctype Hardware() {
end: do
    :: atomic { buffer != EMPTY -> active1 = buffer; buffer = EMPTY }
    :: atomic { satp == L && untyped -> assert(false) } /* it walks what satp names */
    od
}

/* Both spaces' locks, under TREE (cap_grant). */
inline pair_take(me) {
    TAKE(SPACE(L), me);
#if !defined(SHARED_LOCK) || defined(PAIR_TWICE)
    TAKE(SPACE(T), me)
#endif
}

inline pair_give(me) {
    GIVE(SPACE(L), me);
#ifndef SHARED_LOCK
    GIVE(SPACE(T), me)
#endif
}

/* ---- hart 0 ---- */

inline off_all_harts() { /* reap_harts, a step at a time */
    do
    :: TAKE(0, 0);
#ifdef NO_KILL_FENCE
        if :: !killL -> named = NAMED; killL = 1 :: else -> named = NAMED fi;
#else
        named = NAMED;
#endif
        if
        :: !named -> atomic { off = 1; assert(!user) } GIVE(0, 0); break
        :: else ->
            if :: tells < TELLS -> tells++; interrupt = 1 :: else fi;
#ifdef WAITS
            TAKE(SPACE(L), 0); !NAMED; GIVE(SPACE(L), 0);
#endif
            GIVE(0, 0);
            !NAMED || (!interrupt && tells < TELLS) /* AGAIN */
        fi
    od
}

inline reap_joined() {
    TAKE(0, 0); killJ = 1; GIVE(0, 0);
    do
    :: TAKE(0, 0);
        if
        :: stateJ == RUN -> interrupt = 1; GIVE(0, 0); stateJ != RUN || !interrupt /* AGAIN */
        :: else ->
#ifndef REAP_WITHOUT_LOCK
            TAKE(SPACE(L), 0);
#endif
            goneJ = 1;
#ifndef REAP_WITHOUT_LOCK
            GIVE(SPACE(L), 0);
#endif
            GIVE(0, 0); break
        fi
    od
}

proctype Reaper() {
    byte tells;
    bit named;
    if :: reap_joined() /* J may die before */ :: true fi;
#ifndef NO_KILL_FENCE
    TAKE(0, 0); killL = 1; GIVE(0, 0); /* env_kill */
#endif
    off_all_harts();
    TAKE(0, 0);
    TAKE(SPACE(T), 0); usable = 0; GIVE(SPACE(T), 0); /* cut_shrink */
    GIVE(0, 0);
    TAKE(0, 0);
#ifndef NO_BARRIER
    TAKE(SPACE(L), 0); GIVE(SPACE(L), 0); /* cut_bindings */
#endif
    TAKE(SPACE(T), 0); cut = 1; GIVE(SPACE(T), 0); /* cut_complete */
    GIVE(0, 0);
#ifndef FRAMES_BEFORE_JOINED
    if :: !goneJ -> reap_joined() :: else fi;
#endif
    off_all_harts();
    TAKE(0, 0);
    TAKE(SPACE(L), 0);
    atomic {
        untyped = 1;
#ifdef LOCK_IN_FRAME
        lock[SPACE(L)] = FREE
#endif
    }
    GIVE(SPACE(L), 0);
    GIVE(0, 0)
}

/* ---- hart 1 ---- */

inline space_enter(s) {
    STORE(ACTIVE(s, space)); /* active_entering */
#ifndef NO_ENTER_FENCE
    FENCE1;
#endif
    refused = 0;
#ifndef NO_LEADER_CHECK
    if :: s == L -> assert(!untyped); refused = killL :: else fi;
#endif
    if
    :: !refused -> satp = s; space = s
    :: else
    fi;
    STORE(ACTIVE(space, space)) /* active_entered */
}

inline hart_leave() {
    if
    :: space != NONE ->
#ifdef LEAVE_EARLY
        STORE(ACTIVE(NONE, NONE));
#else
        STORE(ACTIVE(NONE, space));
#endif
        FENCE1;
        satp = NONE; space = NONE;
        STORE(ACTIVE(NONE, NONE))
    :: else
    fi
}

/* Claim and enter J, or K in space T if it is READY, or nothing. */
inline slice_pick() {
    runs = NONE;
    if
    :: atomic { stateJ == READY && !killJ -> stateJ = RUN }
        assert(!goneJ);
        space_enter(L);
        if
        :: refused -> stateJ = READY;
#ifdef REFUSED_TOLD
            own = 1
#endif
        :: else -> runs = L
        fi
    :: else
    fi;
    if
    :: runs == NONE -> if :: space_enter(T); runs = T :: true fi
    :: else
    fi
}

proctype Hart1() {
    byte space, runs;
    bit refused;
end: do
    :: slice_pick();
        do
        :: runs != NONE -> break
        :: else -> /* slice_wait */
#ifndef NO_LEAVE
            hart_leave();
#endif
            slice_pick();
            if
            :: runs == NONE -> assert(!own); /* else it would look again at once, for ever */
endSleeps:      atomic { interrupt -> interrupt = 0 }
            :: else
            fi
        od;
        own = 0;
        atomic { user = (runs == L); assert(!user || !off) }
        do
        :: atomic { interrupt -> interrupt = 0 } /* hart_interrupt */
            if :: runs == L && (killJ || killL) -> break :: else fi
        :: break /* the end of its slice */
        :: runs == L -> TAKE(SPACE(L), 1); assert(!untyped); GIVE(SPACE(L), 1)
        :: runs == L -> TAKE(SPACE(L), 1); /* pct_call to K */
            user = 0;
            stateJ = CALLING;
            assert(!goneJ); /* trap.S makes the link only now, from J's ENV frame */
            GIVE(SPACE(L), 1);
            space_enter(T); runs = T
        :: runs == L -> TAKE(0, 1); pair_take(1);
            assert(!untyped);
            pair_give(1); GIVE(0, 1)
        od;
        user = 0;
        if :: runs == L -> FENCE1; stateJ = READY :: else fi;
        runs = NONE
    od
}

/* ---- hart 2: space_take with an environment of L ---- */

proctype Hart2() {
    byte calls;
    bit ok;
    do
    :: calls < 2 -> calls++;
#ifdef UPWARDS
        TAKE(SPACE(T), 2); TAKE(0, 2); GIVE(SPACE(T), 2);
#else
#ifdef NO_TREE
        TAKE(SPACE(T), 2);
#else
        TAKE(0, 2);
#endif
#endif
        ok = usable;
#ifdef NO_TREE
        GIVE(SPACE(T), 2);
#endif
#ifdef TREE_EARLY
        GIVE(0, 2);
#endif
        if :: ok -> TAKE(SPACE(L), 2) :: else fi;
#if !defined(NO_TREE) && !defined(TREE_EARLY)
        GIVE(0, 2);
#endif
        if
        :: ok -> assert(!untyped && !cut); GIVE(SPACE(L), 2)
        :: else
        fi
    :: else -> break
    od
}

init { atomic { run Hardware(); run Reaper(); run Hart1(); run Hart2() } }
