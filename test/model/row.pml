/* SPDX-License-Identifier: MIT */
/*
 * Rows: who empties one and binds it anew, against the hart that runs it (H22, H28).
 *
 * Mirrors: row_announce, row_claim, slice_recall, slice_is_over, row_clear, slice_unbind,
 * slice_bind, bind_check, slice_fill (exo/slice.c).
 *
 * Hart 1 has one row, with X in it.  It runs X by the row's turn, or because X woke and takes its
 * time back; between, it runs others or nothing.  Hart 0 empties the row, and when that is done (the
 * row is another holder's) it binds Y.  The program on hart 1 may empty its own row too.  Stores
 * wait in their hart's buffer until a fence.
 *
 * Left out: the words of X and Y but for READY and not (claim.pml); waking (wait.pml); the ring of
 * bound rows, which is a way to find them; several rows (they share only `running`).
 *
 * CLEAN:
 * BUG: NO_ANNOUNCE_FENCE                     the row is read before `running` is out
 * BUG: ANNOUNCE_LATE                         `running` is stored when the row was read
 * BUG: TAKE_BACK_SILENT                      who takes its row back does not announce it
 * BUG: TAKE_BACK_BLIND                       ... does not look whether it is still its row
 * BUG: NO_UNBIND_FENCE                       `running` is read before the empty row is out
 * BUG: UNBIND_NO_LOOK                        who empties the row does not look whether it runs
 * BUG: BIND_NO_LOOK                          who binds it does not
 * BUG: NO_INTERRUPT                          the hart is not told
 */
#define X 1
#define Y 2
#define EMPTY 15
#define ROUNDS 2 /* times that hart 0 empties and binds the row */
#define TURNS 4  /* times that hart 1 looks at the row */

byte row = X;      /* row->env */
byte running;      /* hart 1's: 1 this row, 0 none or another */
byte b0 = EMPTY;   /* hart 0's store to the row */
byte b1 = EMPTY;   /* hart 1's */
byte bRunning = EMPTY;
bit ready[3] = 1;  /* X, Y can be claimed */
bit interrupt, tree;
byte uses;         /* ghost: what runs in U-mode by the row */
bit lost;          /* ghost: slice_unbind said that nothing does */

#define STORE(buffer, value) atomic { buffer == EMPTY -> buffer = value }
#define FENCE0 (b0 == EMPTY)
#define FENCE1 (b1 == EMPTY && bRunning == EMPTY)
#define ROW1 (b1 != EMPTY -> b1 : row)
#define LOCK atomic { !tree -> tree = 1 }

proctype Buffers() {
end: do
    :: atomic { b0 != EMPTY -> row = b0; b0 = EMPTY }
    :: atomic { b1 != EMPTY -> row = b1; b1 = EMPTY }
    :: atomic { bRunning != EMPTY -> running = bRunning; bRunning = EMPTY }
    od
}

inline row_announce() {
#ifdef ANNOUNCE_LATE
    env = ROW1;
#endif
    STORE(bRunning, 1);
#ifndef NO_ANNOUNCE_FENCE
    FENCE1;
#endif
#ifndef ANNOUNCE_LATE
    env = ROW1;
#endif
}

inline leave() { atomic { ready[uses] = 1; uses = 0 } }

proctype Hart1() {
    byte env, turns;
    bit mine, ends;
endHart: do
    :: turns < TURNS -> turns++;
        mine = 0;
        if
        :: row_announce(); /* row_claim */
            if
            :: env -> atomic { if :: ready[env] -> ready[env] = 0; mine = 1 :: else fi }
            :: else
            fi
        :: atomic { ready[X] -> ready[X] = 0 } /* X woke here, claimed: slice_recall */
            if
            :: row == X || b1 == X -> /* slice_recalls */
#ifdef TAKE_BACK_SILENT
                env = ROW1;
#else
                row_announce();
#endif
#ifdef TAKE_BACK_BLIND
                env = X;
#endif
                if :: env == X -> mine = 1 :: else -> ready[X] = 1 fi
            :: else -> ready[X] = 1
            fi
        fi;
        if
        :: mine ->
            atomic { assert(!lost); uses = env }
            if :: ends = 1 :: ends = 0 fi;
endRuns:    do
            :: ends -> leave(); break /* the end of its slice */
            :: atomic { interrupt -> interrupt = 0 }
                if :: ROW1 == 0 -> leave(); break :: else fi /* slice_is_over */
            :: atomic { ROW1 == uses && !tree -> tree = 1 } /* it drops its own row */
                STORE(b1, 0);
                FENCE1;
                tree = 0
            od
        :: else
        fi;
        env = 0; ends = 0;
        STORE(bRunning, 0) /* another row is announced, or nothing is found */
    :: atomic { interrupt -> interrupt = 0 } /* while it runs others */
    od
}

inline slice_unbind() {
    if :: row -> STORE(b0, 0) :: else fi;
#ifndef NO_UNBIND_FENCE
    FENCE0;
#endif
#ifdef UNBIND_NO_LOOK
    done = 1
#else
    if
    :: running != 1 -> done = 1
    :: else ->
#ifndef NO_INTERRUPT
        interrupt = 1
#endif
    fi
#endif
}

proctype Hart0() {
    byte rounds;
    bit done;
    do
    :: rounds < ROUNDS -> rounds++;
        do
        :: !done && row == 0 && b0 == EMPTY -> break /* dropped: nobody told hart 0 to empty it */
        :: !done -> LOCK; slice_unbind(); if :: done -> lost = 1; assert(!uses) :: else fi;
            FENCE0; tree = 0;
            if :: !done -> running != 1 :: else fi /* AGAIN */
        :: done -> break
        od;
        done = 0;
        do
        :: !done -> LOCK;
            if
            :: row == 0 && b0 == EMPTY ->
#ifdef BIND_NO_LOOK
                done = 1
#else
                if :: running == 1 -> interrupt = 1 :: else -> done = 1 fi
#endif
            :: else -> done = 1
            fi;
            if
            :: done ->
                atomic {
                    assert(!uses || uses == Y && row == Y);
                    lost = 0; b0 = (rounds == 1 -> Y : X)
                }
            :: else
            fi;
            FENCE0; tree = 0;
            if :: !done -> running != 1 :: else fi
        :: done -> break
        od;
        done = 0
    :: else -> break
    od
}

init { atomic { run Buffers(); run Hart1(); run Hart0() } }
