/* SPDX-License-Identifier: MIT */
/*
 * RULES 2 and 3: entering spaces, and taking entries out of TLBs before a frame is reused.
 *
 * Mirrors: space_shoot, space_harts, active_entering, active_entered, space_enter,
 * hart_enter, hart_enter_fully, hart_leave, tlb_generation (exo/shoot.c, exo/shoot.h), page_unmap
 * (exo/space.c) and space_sweep (exo/sweep.c) with their two passes, table_unlink (TABLE).
 *
 * Hart A is in space S and unmaps; hart B goes between S, T and the kernel's root; T dies and its
 * root and ASID are a new space's.  A store waits in its hart's buffer, one place a word, and leaves
 * it in any order; a full fence empties the buffer, a release lets a store leave only after the
 * earlier ones.  The walkers fill whenever satp allows.
 *
 * FAST: hart A is elsewhere and acts on S, and B enters S as trap.S does where the `last` of S is
 * B's mark, without a look at the generation.  B may save and load floating point, which `last`
 * tells of too.  Spaces of one ASID never get a mark.
 * Mirrors ENTER, ENTER_OTHER, float_save (arch/riscv/trap.S), hart_enter's mark.
 *
 * Left out: loads never pass loads; satp writes are immediate; one shooter a space (SPACE lock); the
 * look at KILL (kill.pml); fence.i.
 *
 * CLEAN: TABLE
 * CLEAN: SHARED_ASID TABLE
 * CLEAN: FAST
 * BUG: NO_ENTER_FENCE                        active_entering without its fence
 * BUG: NO_SHOOT_FENCE                        space_shoot reads active[] before its stores are out
 * BUG: NO_SHOOT_RELEASE                      the generation may be seen before the changed entry
 * BUG: NO_LOCAL_FLUSH                        the shooter keeps its own entries
 * BUG: NO_ACK_ORDER                          RFENCE answers before the target's stores are out
 * BUG: COUNT_EARLY                           the frame is counted down before SHOOT
 * BUG: SHOOT_EARLY                           SHOOT before the entries are hidden
 * BUG: NO_REMOTE_FLUSH                       a new generation alone
 * BUG: GENERATION_KEPT                       SHOOT without a new generation
 * BUG: SINGLE_HALF TABLE                     active[] names only what is being entered
 * BUG: OWN_GENERATIONS                       each space counts its own, from the same number
 * BUG: OWN_GENERATIONS SHARED_ASID
 * BUG: NO_FULL_FLUSH SHARED_ASID             no flush after satp where both roots share the ASID
 * BUG: FLUSH_LATE TABLE                      a stale space is flushed only after satp
 * BUG: LEAVE_EARLY TABLE                     hart_leave gives its name up before satp
 * BUG: NO_ENTER_FENCE FAST                   ENTER reads `last` before active[] is out
 * BUG: LAST_KEPT FAST                        SHOOT leaves `last`
 * BUG: MARK_UNCHECKED FAST                   hart_enter does not look again behind its mark
 * BUG: LAST_UNORDERED FAST                   `last` is cleared before the new generation is out
 * BUG: NO_MARK_FENCE FAST                    ... or before the mark is out
 * BUG: LAST_STORED_BACK FAST                 floating point: `last` is loaded, changed and stored
 */
#define NONE 0
#define S 1
#define T 2
#define EMPTY 15
#define PTE 0 /* the leaf (TABLE: the pointer) to frame F in S; 1: present */
#define GEN 1 /* S->tlb_gen */
#define ACT 2 /* harts[B]->active: entering * 3 + in satp */
#define USE 3 /* a program's store into F */
#define LAST 4 /* S->last: 0, or B's mark 1, or that and floating point 2; 3 is no mark */
#ifdef SHARED_ASID
#define ASID(s) 0
#else
#define ASID(s) ((s) - 1)
#endif
#ifdef SINGLE_HALF
#define ACTIVE(entering, loaded) ((entering) * 3 + (entering))
#else
#define ACTIVE(entering, loaded) ((entering) * 3 + (loaded))
#endif
#define NAMES(word, s) ((word) / 3 == (s) || (word) % 3 == (s))
#define UNMAPS 2

byte memory[5];
byte a[5] = EMPTY, b[5] = EMPTY; /* store buffers of A and B */
byte genT, made;                 /* T->tlb_gen; the last generation that A made */
byte seen[2];                    /* B's, by ASID */
byte satp = NONE;                /* B's; A stays in S */
bit tlbA;                        /* A has an entry to F */
bit tlbF[2];                     /* B, by ASID: an entry to F, made in S */
byte tlbT[2];                    /* B, by ASID: an entry of T; 2: of a T that is dead */
bit foreign;                     /* F was counted down and is another's */

#define LOAD(buffer, word) (buffer[word] != EMPTY -> buffer[word] : memory[word])
#define STORE(buffer, word, value) atomic { buffer[word] == EMPTY -> buffer[word] = value }
#define FENCE_A (a[PTE] == EMPTY && a[GEN] == EMPTY && a[USE] == EMPTY && a[LAST] == EMPTY)
#define FENCE_B (b[ACT] == EMPTY && b[USE] == EMPTY && b[LAST] == EMPTY)
#define FLUSH(asid) tlbF[asid] = 0; tlbT[asid] = 0

proctype Drain() {
end: do
    :: atomic { a[PTE] != EMPTY -> memory[PTE] = a[PTE]; a[PTE] = EMPTY }
#ifdef NO_SHOOT_RELEASE
    :: atomic { a[GEN] != EMPTY -> memory[GEN] = a[GEN]; a[GEN] = EMPTY }
#else
    :: atomic { a[GEN] != EMPTY && a[PTE] == EMPTY && a[USE] == EMPTY ->
                memory[GEN] = a[GEN]; a[GEN] = EMPTY }
#endif
    :: atomic { a[USE] != EMPTY -> assert(!foreign); a[USE] = EMPTY }
    :: atomic { b[ACT] != EMPTY -> memory[ACT] = b[ACT]; b[ACT] = EMPTY }
    :: atomic { b[USE] != EMPTY -> assert(!foreign); b[USE] = EMPTY }
#ifdef FAST
#ifdef LAST_UNORDERED
    :: atomic { a[LAST] != EMPTY -> memory[LAST] = a[LAST]; a[LAST] = EMPTY }
#else
    :: atomic { a[LAST] != EMPTY && a[GEN] == EMPTY -> memory[LAST] = a[LAST]; a[LAST] = EMPTY }
#endif
    :: atomic { b[LAST] != EMPTY -> memory[LAST] = b[LAST]; b[LAST] = EMPTY }
#endif
    od
}

proctype Walkers() {
end: do
#ifndef FAST
    :: atomic { memory[PTE] == 1 && !tlbA -> tlbA = 1 } /* else A is in another space */
#endif
    :: atomic { satp == S && memory[PTE] == 1 && !tlbF[ASID(S)] -> tlbF[ASID(S)] = 1 }
    :: atomic { satp == T && tlbT[ASID(T)] == 0 -> tlbT[ASID(T)] = 1 }
#ifdef TABLE
    /* A pointer that is cached may be followed whenever satp names the space. */
    :: atomic { satp == S && tlbF[ASID(S)] && foreign -> assert(false) }
#endif
    od
}

inline space_shoot() {
#ifdef OWN_GENERATIONS
    made = memory[GEN] + 1;
#else
    made++;
#endif
#ifndef GENERATION_KEPT
    STORE(a, GEN, made);
#endif
#if defined(FAST) && !defined(LAST_KEPT)
    STORE(a, LAST, 0);
#endif
#ifdef NO_SHOOT_FENCE
    a[USE] == EMPTY;
#else
    FENCE_A;
#endif
    named = memory[ACT];
#ifndef NO_REMOTE_FLUSH
    if
    :: NAMES(named, S) ->
#ifdef NO_ACK_ORDER
        atomic { FLUSH(ASID(S)) }
#else
        atomic { b[USE] == EMPTY -> FLUSH(ASID(S)) }
#endif
    :: else
    fi;
#endif
#ifndef NO_LOCAL_FLUSH
    tlbA = 0;
#endif
}

proctype HartA() {
    byte count = 0, named;
    do
    :: count < UNMAPS -> count++;
        atomic { if :: tlbA && a[USE] == EMPTY -> a[USE] = 1 :: true fi } /* the program stores */
#ifdef SHOOT_EARLY
        space_shoot();
#endif
        STORE(a, PTE, 0); /* pte_hide */
#ifdef COUNT_EARLY
        foreign = 1;
#endif
#ifndef SHOOT_EARLY
        space_shoot();
#endif
        foreign = 1;                           /* frame_unmap: somebody else gets F */
        if :: tlbA -> assert(false) :: else fi; /* A's program runs on */
        FENCE_A;
        foreign = 0;
        STORE(a, PTE, 1); /* F comes back and is mapped again */
        FENCE_A
    :: count < UNMAPS -> count++; /* T is reaped, its root and ASID a new space's */
        atomic {
            if
            :: !NAMES(memory[ACT], T) ->
#ifdef OWN_GENERATIONS
                genT = 2;
#else
                made++; genT = made;
#endif
                if :: tlbT[ASID(T)] == 1 -> tlbT[ASID(T)] = 2 :: else fi
            :: else
            fi
        }
    :: count == UNMAPS -> break
    od
}

inline flush_stale() {
    if :: stale -> atomic { FLUSH(ASID(space)) } :: else fi
}

inline space_enter() {
    if :: space == S -> generation = memory[GEN] :: else -> generation = genT fi;
    stale = (seen[ASID(space)] != generation);
    seen[ASID(space)] = generation;
#ifndef FLUSH_LATE
    flush_stale();
#endif
    satp = space;
#ifdef FLUSH_LATE
    flush_stale();
#endif
#ifndef NO_FULL_FLUSH
    if :: old != NONE && ASID(old) == ASID(space) -> atomic { FLUSH(0); FLUSH(1) } :: else fi;
#endif
}

#ifdef FAST
/* hart_enter, when the space is entered. */
inline mark() {
    STORE(b, LAST, 1);
#ifndef NO_MARK_FENCE
    FENCE_B;
#endif
#ifndef MARK_UNCHECKED
    if :: memory[GEN] != seen[ASID(S)] -> STORE(b, LAST, 0) :: else fi;
#endif
    skip
}

#ifdef LAST_STORED_BACK
inline float_save() {
    generation = LOAD(b, LAST);
    STORE(b, LAST, (generation == 1 -> 2 : 3))
}

inline float_load() { STORE(b, LAST, 1) }
#else
/* Changed at memory: what is no mark becomes none. */
inline float_save() {
    atomic { b[LAST] == EMPTY -> memory[LAST] = (memory[LAST] == 1 -> 2 : 3) } /* amoor */
}

inline float_load() {
    atomic { b[LAST] == EMPTY -> memory[LAST] = (memory[LAST] == 2 -> 1 : 0) } /* amoand */
}
#endif
#endif

proctype HartB() {
    byte space = NONE, old, generation;
    bit stale;
end: do
    :: old = space;
        if :: space = S :: space = T :: space = NONE fi;
#ifdef FAST
        if :: old == S && space != S -> float_save() :: true fi;
#endif
        if
        :: space == old
        :: space != old ->
#ifdef LEAVE_EARLY
            STORE(b, ACT, ACTIVE(space, (space == NONE -> NONE : old)));
#else
            STORE(b, ACT, ACTIVE(space, old)); /* active_entering */
#endif
#ifndef NO_ENTER_FENCE
            FENCE_B;
#endif
#ifdef FAST
            generation = LOAD(b, LAST);
            if
            :: space == S && (generation == 1 || generation == 2) ->
                satp = space;
                STORE(b, ACT, ACTIVE(space, space));
                if :: generation == 2 -> float_load() :: else fi
            :: else ->
                if :: space == NONE -> satp = NONE :: else -> space_enter() fi;
                STORE(b, ACT, ACTIVE(space, space));
                if :: space == S -> mark() :: else fi
            fi
#else
            if :: space == NONE -> satp = NONE :: else -> space_enter() fi;
            STORE(b, ACT, ACTIVE(space, space)) /* active_entered */
#endif
        fi;
        do /* the program runs */
        :: atomic {
                space != NONE && tlbF[ASID(space)] && b[USE] == EMPTY ->
                assert(space == S && !foreign);
                if :: b[USE] = 1 :: true fi /* it stores, or only reads */
            }
        :: atomic {
                space != NONE && tlbT[ASID(space)] ->
                assert(space == T && tlbT[ASID(space)] == 1)
            }
        :: break
        od
    od
}

init {
    atomic {
        memory[PTE] = 1; memory[ACT] = ACTIVE(NONE, NONE);
#ifdef OWN_GENERATIONS
        memory[GEN] = 2; genT = 2;
#else
        memory[GEN] = 1; genT = 2; made = 2;
#endif
        run Drain(); run Walkers(); run HartA(); run HartB()
    }
}
