/* SPDX-License-Identifier: MIT */
/*
 * RULE 6: sleeping and waking, across harts.
 *
 * Mirrors: env_wait, wait_sleep, sleep_begin, event_claim, event_post,
 * hart_deadlines, deadline_end (exo/event.c), env_put (exo/env.c), slice_give_up (exo/slice.h),
 * slice_wake, slice_look, deadline_lower, slice_pick, row_announce, slice_wait,
 * hart_interrupt, slice_arm, slice_fill, slice_bind, row_clear (exo/slice.c).
 *
 * X has rows on harts 0 and 1 and runs on either.  UNBIND: hart 0's is emptied meanwhile.  BIND:
 * hart 1's is bound meanwhile; FIRST: and that is its only one, it runs on hart 0 by somebody's
 * yield.  A hart without X sleeps, or runs another environment, in the rest of X's row or in a row
 * of its own, until it is interrupted.  Hart 2 notifies, hart 3 binds.
 *
 * A store waits in its hart's buffer until a fence (X's registers, `idle`, `recall`, `armed`: the mask
 * and the deadline go with the registers); atomic operations act on memory at once and, when they
 * release, with the buffer empty.  Time has one tick, and a deadline is at it.
 *
 * Left out: loads never pass loads; urgent rows; ends of slices (a hart that is interrupted for
 * nothing looks again, which can only help; so does slice_look's IPI to every hart that sleeps, which
 * is not sent here); the rows of callers (slice_wake's chain); death (kill.pml).  That who takes an
 * IPI sees the stores before it is assumed.
 *
 * CLEAN:
 * CLEAN: DEADLINES
 * CLEAN: BIND
 * CLEAN: BIND FIRST DEADLINES
 * CLEAN: UNBIND DEADLINES
 * BUG: NO_SLEEP_FENCE                        the second look at events passes the release to WAIT
 * BUG: NO_SECOND_LOOK                        the waiter does not look at its events again
 * BUG: NO_EVENT_FENCE                        the waker's look at the state passes its events
 * BUG: NO_IDLE_FENCE BIND                    idle=1 is not out when the rows are looked at
 * BUG: NO_ANNOUNCE_FENCE                     recall=0 is not out when the state is looked at
 * BUG: NO_WAKE_FENCE                         slice_wake's look at harts passes the READY
 * BUG: NO_RELEASE                            the state is given up before the registers are out
 * BUG: MASK_READ_EARLY NOTIFIES=2            who claims takes by the mask that it read before
 * BUG: READY_SILENT                          giving up as READY tells nobody
 * BUG: PUT_SILENT                            who wakes a sleeper tells nobody
 * BUG: RECALL_KEPT                           a hart that looks leaves `recall` set
 * BUG: IDLE_ONLY                             only idle harts are told, not those that fill its row
 * BUG: BIND_SILENT BIND                      slice_bind tells nobody
 * BUG: BIND_NO_LOOK BIND FIRST DEADLINES     slice_bind does not make the hart look at the deadline
 * BUG: UNBIND_NO_LOOK UNBIND DEADLINES       nor does who empties the row on the hart that kept it
 * BUG: ROWS_READ_EARLY BIND FIRST DEADLINES  the sleeper reads its rows before the release
 * BUG: ROWS_READ_EARLY UNBIND DEADLINES
 * BUG: DEADLINE_SILENT UNBIND DEADLINES      a deadline whose rows are elsewhere is told to nobody
 * BUG: DEADLINE_OVERWRITES BIND FIRST DEADLINES  hart_deadlines stores the next one over a 0
 * BUG: NOT_ARMED DEADLINES                   an idle hart does not arm its timer for the deadline
 * BUG: ARMED_LATE BIND FIRST DEADLINES       slice_arm reads the deadline, then says what it has armed
 * BUG: NO_ARM_FENCE BIND FIRST DEADLINES     ... or says it in time, but it is not out
 */
#define READY 1
#define RUN(h) (2 + (h)) /* by hart 0 to 3 */
#define WAIT 6
#define EMPTY 15
#define NEVER 2 /* deadlines: 1 at the tick */
#ifndef LEAVES /* times that X sleeps or ends a slice */
#if defined(DEADLINES) || defined(BIND)
#define LEAVES 1
#else
#define LEAVES 2
#endif
#endif
#ifndef NOTIFIES
#if defined(BIND) || defined(UNBIND)
#define NOTIFIES 0
#else
#define NOTIFIES 1
#endif
#endif

byte state = RUN(0), events, mask, deadline = NEVER;
byte wanted; /* ghost: the mask of the present wait */
bit saved, now;
bit row[2] = 1, owns[2]; /* X's row on that hart; and it is the current one */
byte due[2] = NEVER;     /* hart->deadline */
byte armed[2] = NEVER;   /* what its timer is said to be set to */
byte timer[2] = NEVER;
bit idle[2], recall[2], interrupt[2];
bit asleep[2], fills[2]; /* ghost: it does nothing until it is interrupted */
byte left;
/* Store buffers. */
byte bSaved[2] = EMPTY, bIdle[2] = EMPTY, bRecall[2] = EMPTY, bArmed[2] = EMPTY;

#define FENCE(h) \
    (bSaved[h] == EMPTY && bIdle[h] == EMPTY && bRecall[h] == EMPTY && bArmed[h] == EMPTY)
#define STORE(buffer, h, value) atomic { buffer[h] == EMPTY -> buffer[h] = value }
#define DRAIN(buffer, h, word) atomic { buffer[h] != EMPTY -> word = buffer[h]; buffer[h] = EMPTY }
#define TAKES_FROM(m) got = events & (m); events = events & ~(m)

proctype Buffer(byte h) {
end: do
    :: DRAIN(bSaved, h, saved)
    :: DRAIN(bIdle, h, idle[h])
    :: DRAIN(bRecall, h, recall[h])
    :: DRAIN(bArmed, h, armed[h])
    od
}

inline tell(other) { /* slice_wake, of one hart */
    if
#ifdef IDLE_ONLY
    :: row[other] && idle[other] ->
#else
    :: row[other] && (owns[other] || idle[other]) ->
#endif
        atomic { told = recall[other]; recall[other] = 1 }
        if :: !told -> interrupt[other] = 1 :: else fi;
        told = 0
    :: else
    fi
}

inline slice_look() { /* the lowest hart that has a row of it */
    if
    :: deadline == NEVER
    :: deadline != NEVER && row[0] -> due[0] = 1;
        if :: armed[0] > 1 -> interrupt[0] = 1 :: else fi
    :: deadline != NEVER && !row[0] && row[1] -> due[1] = 1;
        if :: armed[1] > 1 -> interrupt[1] = 1 :: else fi
    :: else
    fi
}

inline slice_arm(h) {
#ifndef ARMED_LATE
    STORE(bArmed, h, NEVER);
#ifndef NO_ARM_FENCE
    FENCE(h);
#endif
#endif
    first = due[h];
    STORE(bArmed, h, first);
    atomic { timer[h] = first; first = NEVER }
}

/* Who claimed a sleeper answers it; `m` was read before the claim. */
inline answer(m) {
    assert(saved == 1);
#ifdef MASK_READ_EARLY
    atomic { TAKES_FROM(m); assert((got & ~wanted) == 0); got = 0 }
#else
    atomic { TAKES_FROM(mask); assert((got & ~wanted) == 0); got = 0 }
#endif
}

inline hart_deadlines(h) {
    due[h] = NEVER;
    first = NEVER; time = now;
    if
    :: row[h] && state == WAIT ->
        if
        :: deadline == 1 && time ->
            atomic { if :: state == WAIT -> state = RUN(h); claimed = 1 :: else fi }
            if
            :: claimed -> claimed = 0; m = mask; answer(m); state = READY;
#ifndef PUT_SILENT
                FENCE(h); tell(0); tell(1)
#endif
            :: else
            fi
        :: deadline == 1 && !time -> first = 1
        :: else
        fi
    :: else
    fi;
#ifdef DEADLINE_OVERWRITES
    due[h] = first;
#else
    atomic { if :: due[h] == NEVER -> due[h] = first :: else fi } /* deadline_lower */
#endif
    atomic { m = 0; time = 0; first = NEVER }
}

/* Claim X by the row of this hart. */
inline slice_pick(h) {
#ifndef RECALL_KEPT
    if :: recall[h] && bRecall[h] == EMPTY -> STORE(bRecall, h, 0) :: else fi;
#endif
    if
    :: row[h] ->
#ifndef NO_ANNOUNCE_FENCE
        FENCE(h);
#endif
        if
        :: row[h] ->
            atomic { if :: state == READY -> state = RUN(h); claimed = 1; owns[h] = 1 :: else fi }
        :: else
        fi
    :: else
    fi
}

inline give_up_ready(h) {
    atomic { saved = 0; bSaved[h] = 1 }
    FENCE(h);
#ifdef NO_WAKE_FENCE
    ready = (row[1 - h] && (owns[1 - h] || idle[1 - h])); /* the look, before the state is READY */
    state = READY;
    if :: ready -> recall[1 - h] = 1; interrupt[1 - h] = 1 :: else fi;
    ready = 0
#else
    state = READY;
#ifndef READY_SILENT
    tell(1 - h)
#endif
#endif
}

inline wait_sleep(h) {
    atomic { mask = m; wanted = m; deadline = first }
#ifdef ROWS_READ_EARLY
    atomic {
        elsewhere[0] = row[0] && first != NEVER && !row[h];
        elsewhere[1] = row[1] && first != NEVER && !row[h]
    }
    if :: first != NEVER && row[h] && due[h] > 1 -> due[h] = 1 :: else fi;
#else
    atomic { if :: first != NEVER && due[h] > 1 -> due[h] = 1 :: else fi }
#endif
    atomic { saved = 0; bSaved[h] = 1 }
#ifndef NO_RELEASE
    FENCE(h);
#endif
#ifdef NO_SLEEP_FENCE
    got = events & m;
#endif
    state = WAIT;
#ifdef ROWS_READ_EARLY
    if
    :: elsewhere[0] -> due[0] = 1; interrupt[0] = 1
    :: !elsewhere[0] && elsewhere[1] -> due[1] = 1; interrupt[1] = 1
    :: else
    fi;
    elsewhere[0] = 0; elsewhere[1] = 0;
#else
#ifndef DEADLINE_SILENT
    if :: first != NEVER && !row[h] -> slice_look() :: else fi;
#endif
#endif
    first = NEVER;
#ifndef NO_SLEEP_FENCE
    got = events & m;
#endif
#ifndef NO_SECOND_LOOK
    if
    :: got -> atomic { if :: state == WAIT -> state = RUN(h); claimed = 1 :: else fi }
        if :: claimed -> answer(m) :: else fi
    :: else
    fi;
#endif
    got = 0; m = 0
}

proctype Hart(byte h) {
    byte m, got, first = NEVER;
    bit claimed, time, ready, told;
#ifdef ROWS_READ_EARLY
    bit elsewhere[2];
#endif
    if :: h == 0 -> claimed = 1; owns[0] = row[0] :: else fi;
    do
    :: claimed -> claimed = 0; /* X runs here */
        deadline = NEVER; /* hart_enter */
endX:   if
        :: left < LEAVES -> left++; give_up_ready(h); /* the end of its slice, or yield */
            if :: true :: owns[h] = 0; goto fill fi /* the next row's turn, perhaps another's */
        :: left < LEAVES -> left++;
            if :: m = 1 :: m = 2 fi;
#ifdef DEADLINES
            if :: !now -> first = 1 :: true fi;
#endif
            if /* env_wait */
            :: events & m -> atomic { events = events & ~m; m = 0; first = NEVER; claimed = 1 }
            :: else -> wait_sleep(h)
            fi
        :: atomic { interrupt[h] && !row[h] -> interrupt[h] = 0 } /* its row is gone */
            give_up_ready(h)
        fi
    :: !claimed -> slice_pick(h);
        if
        :: claimed
        :: !claimed -> /* another environment; X's row may still be the current one */
            if :: true :: owns[h] = 0 fi;
fill:
#ifndef NO_ANNOUNCE_FENCE
            FENCE(h); /* it is by a row, too */
#endif
            fills[h] = 1;
            do
            :: true ->
                slice_arm(h);
endFills:       atomic { interrupt[h] || timer[h] <= now -> interrupt[h] = 0; timer[h] = NEVER }
                if :: due[h] <= now -> hart_deadlines(h) :: else fi;
                if :: recall[h] && bRecall[h] != 0 -> break :: else fi
            od;
            fills[h] = 0
        :: !claimed -> /* slice_wait */
            STORE(bIdle, h, 1);
#ifndef NO_IDLE_FENCE
            FENCE(h);
#endif
            do
            :: !claimed -> hart_deadlines(h); slice_pick(h);
                if
                :: !claimed ->
#ifndef NOT_ARMED
                    slice_arm(h);
#endif
                    asleep[h] = 1;
endSleeps:          atomic {
                        interrupt[h] || timer[h] <= now ->
                        interrupt[h] = 0; timer[h] = NEVER; asleep[h] = 0
                    }
                :: else
                fi
            :: else -> break
            od;
            STORE(bIdle, h, 0)
        fi
    od
}

proctype Notifier() {
    byte bits, m, got, seen, count;
    bit claimed, told;
    do
    :: count < NOTIFIES -> count++;
        if :: bits = 1 :: bits = 2 fi;
#ifdef NO_EVENT_FENCE
        seen = state;
#endif
        events = events | bits;
#ifndef NO_EVENT_FENCE
        seen = state;
#endif
        if
        :: seen == WAIT -> m = mask;
            if
            :: m & bits -> atomic { if :: state == WAIT -> state = RUN(2); claimed = 1 :: else fi }
                if
                :: claimed -> claimed = 0; answer(m); state = READY;
#ifndef PUT_SILENT
                    tell(0); tell(1)
#endif
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        atomic { m = 0; seen = 0; bits = 0 }
    :: break
    od
}

proctype Binder() {
    bit told;
#ifdef BIND
    row[1] = 1;
#ifndef BIND_NO_LOOK
    slice_look();
#endif
#ifndef BIND_SILENT
    tell(0); tell(1)
#endif
#endif
#ifdef UNBIND
    atomic { row[0] = 0; owns[0] = 0 }
#ifndef UNBIND_NO_LOOK
    slice_look();
#endif
    interrupt[0] = 1 /* slice_unbind, if X runs by it */
#endif
    skip
}

proctype Clock() { now = 1 }

proctype Check() {
    byte h;
    timeout ->
    assert(!(state == WAIT && (events & mask)));
    assert(!(state == WAIT && deadline == 1 && (row[0] || row[1])));
    for (h : 0 .. 1) {
        assert(!(state == READY && row[h] && (asleep[h] || fills[h] && owns[h])))
    }
}

init {
    atomic {
#ifdef BIND
        row[1] = 0;
#ifdef FIRST
        row[0] = 0;
#endif
#endif
        run Buffer(0); run Buffer(1); run Hart(0); run Hart(1); run Notifier(); run Binder();
        run Clock(); run Check()
    }
}
