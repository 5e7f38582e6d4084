#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The directed traces: each a way in which an earlier wording of the rules broke.

    traces.py SERVER        every trace on the kernel core, with and without its fast ways, and on the twin; then on a
                            twin without the trace's rule

Random sequences find most of these only with luck, so they are written down.  A trace passes when every call answers as
it must, every job ends, and the walkers find nothing; without its rule the twin must fail it, which shows that the trace
tests what it says.

A trace is a function of a `World`: a machine of three harts in which init runs on hart 0 and lends to environments A and
B on harts 1 and 2.  The docstring of each says what the hole was.
"""
import sys

import twin as spec
from machine import CALL, ERRORS, NUMBER, SLOT, SWITCHES, TOUCH, Diverged, Gone, Pair, Server
from twin import Broken, Refuse

PLAN = (4, 3, 1, 0)                                        # groups, harts, ASIDs, no split
STEPS = 3000                                               # a job that takes more never ends
ALL = 15                                                   # all rights of PAGE
VA = 0x40000000                                            # where traces map: init has no table there


class Wrong(Exception):
    """A call did not answer as it must, or a job never ends."""


class World:
    """What traces use; the two kinds below do the calls."""

    def __init__(self):
        self.f = self.first + 512                          # the first of many free frames
        self.large = self.first + 1536                     # a group without typed frames
        self.detail = 0                                    # of the last answer

    def must(self, wanted, hart, name, *arguments):
        """The call answers 'ok', 'again', 'refused', or an error's name; returns the value."""
        answer = self.call(hart, name, *arguments)
        kind = 'refused' if isinstance(answer, str) else 'again' if answer < 0 else 'ok'
        if wanted not in (kind, answer):
            raise Wrong('%s of hart %d answers %s, not %s' % (name, hart, answer, wanted))
        return answer

    def job(self, hart, name, *arguments):
        """The call until it has an end, reaping what is in its way; the last answer."""
        stack = []
        for _ in range(STEPS):
            answer = self.call(hart, *(('env_reap', stack[-1]) if stack else (name, *arguments)))
            if answer == spec.REAP:
                if self.detail in stack:
                    raise Wrong('%s waits for itself' % name)
                stack.append(self.detail)
            elif answer != spec.AGAIN:
                if not stack:
                    return answer
                stack.pop()
            self.settle()
        raise Wrong('%s never ends' % name)

    def must_end(self, wanted, hart, name, *arguments):
        answer = self.job(hart, name, *arguments)
        if wanted not in (answer, 'refused' if isinstance(answer, str) else 'ok'):
            raise Wrong('%s ends with %s, not %s' % (name, answer, wanted))

    def until(self, hart, name, arguments, between, rounds=400):
        """The call in single steps, with other calls between them; it must come to its end."""
        for _ in range(rounds):
            answer = self.call(hart, name, *arguments)
            if answer == spec.REAP:
                self.must_end('ok', hart, 'env_reap', self.detail)
            elif answer != spec.AGAIN:
                if answer != 0:
                    raise Wrong('%s ends with %s' % (name, answer))
                return
            self.settle()
            between()
        raise Wrong('%s never ends' % name)

    def derive(self, hart, parent, place, first, count, rights=ALL, keep=0):
        return self.must('ok', hart, 'cap_derive', ('h', parent), place << 7, first, count, rights, keep, 0)

    def lend(self, via, place, first, count, rights=ALL, keep=0, parent=0, by=0):
        """Derive from a slot and grant the child to the environment of an ENV slot; leaves slot 15 empty."""
        self.derive(by, parent, 15, first, count, rights, keep)
        self.must_end('ok', by, 'cap_grant', ('h', 15), ('h', via), place << 7, 0, 0)

    def start(self, hart, via, row):
        """init lets an environment run on a hart."""
        self.must('ok', 0, 'slice_bind', ('h', 1), row, ('h', via))
        self.must('ok', 0, 'env_regs', ('h', via), 2)
        self.settle()

    def people(self, count=2):
        """init's slots 4 and 5 are the environments A (frame f + 100) on hart 1 and B (f + 110) on hart 2."""
        self.a, self.b = self.f + 100, self.f + 110
        for hart, env in ((1, self.a), (2, self.b))[:count]:
            self.must('ok', 0, 'env_create', ('h', 0), env, env + 1, env + 2, 3 + hart << 7)
            self.start(hart, 3 + hart, 64 * hart)

    def start_of(self, hart, via):
        """What an environment has made in its slot 1 runs on hart 2: init, in whose slot `via` it is, lends a row."""
        self.must('ok', 0, 'cap_derive', ('h', 1), 15 << 7, 128, 1, 1, 0, 0)
        self.must_end('ok', 0, 'cap_grant', ('h', 15), ('h', via), 5 << 7, 0, 0)
        self.must('ok', hart, 'env_regs', ('h', 1), 2)
        self.must('ok', hart, 'slice_bind', ('h', 5), 128, ('h', 1))
        self.settle()

    def tables(self, hart, place, frame, va=VA):
        """Two TABLEs of an environment, so that it can map at va."""
        self.must('ok', hart, 'table_link', 0, va, 2, ('h', place), frame)
        self.must('ok', hart, 'table_link', 0, va, 1, ('h', place), frame + 1)

    def third(self, hart, row):
        """init's slot 6 is the environment C (frame f + 120), with a row."""
        self.c = self.f + 120
        self.must('ok', 0, 'env_create', ('h', 0), self.c, self.c + 1, self.c + 2, 6 << 7)
        self.must('ok', 0, 'slice_bind', ('h', 1), row, ('h', 6))
        self.must('ok', 0, 'env_regs', ('h', 6), 2)
        self.settle()

    def calm_rows(self):
        """init's slot 7 has 16 rows of hart 1 without URGENT."""
        self.must('ok', 0, 'cap_derive', ('h', 1), 7 << 7, 72, 16, 1, 0, 0)

    def introduce(self, via, named, place):
        """Whom init has in slot `named` becomes known, with all rights, to whom it has in `via`."""
        frame = self.f + {4: 100, 5: 110, 6: 120}[named]
        self.must('ok', 0, 'cap_derive', ('h', named), 15 << 7, frame, 1, 7, 0, 0xff)
        self.must_end('ok', 0, 'cap_grant', ('h', 15), ('h', via), place << 7, 0, 0)

    def time(self, ticks):
        """Time passes; every timer on the way goes off in time."""
        end = self.clock() + ticks
        self.settle()
        while self.clock() < end:
            self.pass_time(min([timer for timer in self.timers() if timer > self.clock()] + [end]) - self.clock())
            self.settle()

    def say(self, hart, word):
        """The program on a hart answers whom it serves, if anybody, and accepts the next call."""
        return self.call(hart, 'pct_reply', word, 0, 0, 0, 0, 0)

    def ask(self, hart, place, word=1, deadline=None):
        return self.call(hart, 'pct_call' if deadline is None else 'pct_call_until', word, 0, 0, 0, 0, 0, ('h', place),
                         deadline=deadline or 0)


class KernelWorld(World):
    def __init__(self, server, fast):
        self.pair = Pair(server, PLAN + (fast,), alone=True)
        self.server, self.first = server, min(server.groups) << 9
        super().__init__()

    def call(self, hart, name, *arguments, deadline=0):
        state, _, env = self.server.harts[hart]
        if state != spec.PROGRAM:
            return 'NOT RUNNING'
        numbers = self.pair.resolve(hart, name, [x + (0,) if isinstance(x, tuple) else x for x in arguments])
        value, self.detail = self.server.request(CALL, hart, NUMBER[name], numbers, deadline)
        return value if value >= -2 else ERRORS[value]

    def settle(self):
        self.pair.settle(True)

    def touch(self, hart, va, write=0):
        value, frame = self.server.request(TOUCH, hart, 0, (va, write))
        return frame if value else None

    def running(self, hart):
        return self.server.harts[hart][2]

    def slot_state(self, hart, place):
        space = self.server.leader(self.running(hart))
        return self.server.shown(SLOT, self.server.place_link(space, place))[0]

    def notice(self, hart, place):
        space = self.server.leader(self.running(hart))
        return self.server.shown(SLOT, self.server.place_link(space, place))[16:]

    def generation(self, frame):
        return self.server.envs[frame][0]

    def clock(self):
        return self.server.clock

    def timers(self):
        return self.server.timers

    def pass_time(self, ticks):
        self.server.advance(ticks)

    def words(self, hart):
        return self.server.words[hart]

    def row_time(self, row):
        return self.server.rows[row][6]


class TwinWorld(World):
    def __init__(self, server, rules):
        self.pair = Pair(server, PLAN + (0,), rules)
        self.machine, self.first = self.pair.twin, min(server.groups) << 9
        self.machine.stepwise = True
        super().__init__()

    def call(self, hart, name, *arguments, deadline=0):
        machine, at = self.machine, self.machine.harts[hart]
        if at.state != spec.PROGRAM:
            return 'NOT RUNNING'
        numbers = []
        for argument in arguments:
            if isinstance(argument, tuple):
                slot = machine.place(at.space, argument[1] >> 5 << 12 | (argument[1] & 31) << 7)
                argument = machine.envs[argument[1]].gen if argument[0] == 'g' else slot.handle() if slot else 0
            numbers.append(argument)
        machine.here = hart
        try:
            if name in SWITCHES:
                answer = self.pair.twin_switch(at, name, numbers, deadline) or 0
            else:
                answer = getattr(machine, name)(hart, *numbers)
        except Refuse as refused:
            return str(refused)
        finally:
            machine.walk()
        if isinstance(answer, tuple):
            answer, self.detail = answer
            if answer == spec.SELF:
                return 'SELF'
        return answer

    def settle(self):
        self.pair.settle(False)
        self.machine.walk()

    def touch(self, hart, va, write=0):
        frame = self.machine.touch(hart, va, bool(write))
        self.machine.walk()
        return frame

    def running(self, hart):
        return self.machine.harts[hart].env

    def clock(self):
        return self.machine.clock

    def timers(self):
        return [hart.timer for hart in self.machine.harts]

    def pass_time(self, ticks):
        self.machine.clock += ticks

    def words(self, hart):
        return self.machine.harts[hart].words

    def row_time(self, row):
        return self.machine.time.get(row, 0)

    def slot_state(self, hart, place):
        return self.machine.place(self.machine.harts[hart].space, place << 7).state

    def notice(self, hart, place):
        slot = self.machine.place(self.machine.harts[hart].space, place << 7)
        return slot.due, slot.due_from

    def generation(self, frame):
        return self.machine.envs[frame].gen


def sure(condition, what):
    if not condition:
        raise Wrong(what)


# -------------------------------------------------------------------- the traces
def derive_against_revoke(w):
    """H1 topdown: only the leaf was shrunk, so a holder made new leaves as fast as they were cut."""
    w.people(1)
    w.derive(0, 0, 6, w.f, 4)
    w.lend(4, 0, w.f, 4, parent=6)
    w.derive(1, 0, 1, w.f, 1)

    def between():
        w.call(1, 'cap_drop', ('h', 1), w.f)
        w.call(1, 'cap_derive', ('h', 0), 1 << 7, w.f, 1, ALL, 0, 0)
    w.until(0, 'cap_revoke', [('h', 6), w.f, 0], between)
    sure(w.slot_state(1, 0) == spec.LOST, 'A still has its slot')


def cycle_of_donations(w):
    """H3 donor: "typed frames of this space" found the frames of an environment made through another slot."""
    w.people(1)
    w.lend(4, 0, w.f, 3)
    w.must('ok', 1, 'env_create', ('h', 0), w.f, w.f + 1, w.f + 2, 1 << 7)
    w.must('ok', 0, 'cap_derive', 0, 9 << 7, w.f, w.generation(w.f), 0, 0, 0)
    w.start_of(1, 4)
    sure(w.running(2) == w.f, 'C does not run')
    w.must('ok', 2, 'cap_derive', 0, 0 << 7, w.first_env, w.generation(w.first_env), 0, 0, 0)
    w.derive(0, 0, 6, w.f, 3)
    w.derive(0, 6, 7, w.f, 3)
    w.must_end('ok', 0, 'cap_grant', ('h', 7), 0, 0 << 7, w.f, ('g', w.f))
    w.must('ok', 1, 'cap_derive', 0, 6 << 7, w.f, w.generation(w.f), 0, 0, 0)
    w.derive(2, 0, 1, w.f, 3)
    w.must_end('ok', 2, 'cap_grant', ('h', 1), 0, 6 << 7, w.a, ('g', w.a))
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), w.f, 0)
    sure(w.running(2) == w.f, 'C died')


def grant_against_map(w):
    """H4 rescan: a grant's look at its frames went on past a frame that was mapped meanwhile."""
    w.people()
    w.lend(4, 0, w.f + 512, 512)
    w.lend(4, 1, w.f, 4)
    w.tables(1, 1, w.f)
    w.must('ok', 2, 'cap_derive', 0, 0, w.a, ('g', w.a), 0, 0, 0)
    grant = ('cap_grant', ('h', 0), 0, 0, w.b, ('g', w.b))
    w.must('again', 1, *grant)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.f + 512, 1, 3)
    w.must_end('refused', 1, *grant)


def grant_against_derive(w):
    """H19 rescan: ... or through a child that was derived and dropped meanwhile."""
    w.people()
    w.lend(4, 0, w.f + 512, 512)
    w.lend(4, 1, w.f, 4)
    w.tables(1, 1, w.f)
    w.must('ok', 2, 'cap_derive', 0, 0, w.a, ('g', w.a), 0, 0, 0)
    grant = ('cap_grant', ('h', 0), 0, 0, w.b, ('g', w.b))
    w.must('again', 1, *grant)
    w.derive(1, 0, 2, w.f + 512, 2)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 2), w.f + 512, 1, 3)
    w.must_end('ok', 1, 'cap_drop', ('h', 2), w.f + 512)
    w.must_end('refused', 1, *grant)


def large_leaf(w):
    """H5 groups: the look at the frame words missed large leaves."""
    w.people()
    w.lend(4, 0, w.large, 512)
    w.lend(4, 1, w.f, 4)
    w.must('ok', 1, 'table_link', 0, VA, 2, ('h', 1), w.f)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.large, 1, 0x13)
    w.must('ok', 2, 'cap_derive', 0, 0, w.a, ('g', w.a), 0, 0, 0)
    w.must_end('refused', 1, 'cap_grant', ('h', 0), 0, 0, w.b, ('g', w.b))


def table_refilled(w):
    """H6 closing: a TABLE that was being emptied could be filled again for ever."""
    w.people(1)
    w.derive(0, 0, 6, w.f, 4)
    w.lend(4, 0, w.f, 4, parent=6)
    w.lend(4, 1, w.f + 10, 8)
    w.must('ok', 1, 'table_link', 0, VA, 2, ('h', 1), w.f + 10)
    w.must('ok', 1, 'table_link', 0, VA, 1, ('h', 0), w.f)
    for page in (0, 1, 300, 301):
        w.must('ok', 1, 'page_map', 0, VA + 4096 * page, ('h', 1), w.f + 11, 1, 3)
    pages = list(range(8)) + [302, 303]

    def between():
        for page in pages:
            w.call(1, 'page_map', 0, VA + 4096 * page, ('h', 1), w.f + 12, 1, 3)
    w.until(0, 'cap_revoke', [('h', 6), w.f, 0], between)


def table_shown(w):
    """H7 release: a typed frame with a read-only mapping of somebody else could not be freed."""
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.tables(1, 0, w.f)
    w.must('ok', 1, 'caps_add', ('h', 0), w.f + 2)
    w.tables(0, 0, w.f + 20)
    w.must('ok', 0, 'page_map', 0, VA, ('h', 0), w.f, 3, 1)
    w.must('ok', 0, 'page_map', 0, VA + 0x4000, ('h', 0), w.a, 3, 1)
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    w.must_end('ok', 0, 'env_reap', w.a)


def name_repeated(w):
    """H8 envgen: the generation of an environment restarted, so a new one could use what was opened for a dead one."""
    w.people(1)
    w.must('ok', 0, 'cap_derive', 0, 9 << 7, w.a, ('g', w.a), 0, 0, 0)
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    w.must_end('ok', 0, 'env_reap', w.a)
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.derive(1, 0, 1, w.f, 1)
    w.must_end('NOTOPEN', 1, 'cap_grant', ('h', 1), 0, 9 << 7, w.first_env, ('g', w.first_env))


def asid_repeated(w):
    """H9 tlbgen: a new space with the ASID and the TLB generation of a dead one ran with its translations."""
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.tables(1, 0, w.f)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.f + 2, 1, 3)
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)         # it leaves hart 1, which is off when the rest is shot down
    w.must_end('ok', 0, 'env_reap', w.a)
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.tables(1, 0, w.f)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.f + 2, 1, 3)
    sure(w.touch(1, VA, 1) == w.f + 2, 'A does not reach its page')
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    w.must_end('ok', 0, 'env_reap', w.a)
    w.people(1)
    sure(w.touch(1, VA) is None, 'a new space reaches a dead one\'s page')


def promise_of_nothing(w):
    """H10 keep0: a promise of length 0 refused a revocation."""
    w.derive(0, 0, 6, w.f, 3, ALL, 2)
    w.derive(0, 6, 7, w.f + 2, 1)
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), w.f + 1, 0)


def many_tables(w, place, frame, count=6):
    """Enough tables that a sweep of the space takes several steps."""
    w.must('ok', 1, 'table_link', 0, VA, 2, ('h', place), frame)
    for i in range(count):
        w.must('ok', 1, 'table_link', 0, VA + (i << 21), 1, ('h', place), frame + 1 + i)


def promise_during_cut(w):
    """H11 usecut: a cut left half-done took the guaranteed prefix."""
    w.people(1)
    w.derive(0, 0, 6, w.f, 4, ALL, 2)
    w.lend(4, 0, w.f, 4, ALL, 2, parent=6)
    w.lend(4, 1, w.f + 20, 16)
    many_tables(w, 1, w.f + 20)
    w.must('ok', 1, 'page_map', 0, VA + (5 << 21), ('h', 0), w.f + 3, 1, 3)
    w.must('again', 0, 'cap_revoke', ('h', 6), w.f + 2, 0)
    sure(w.slot_state(1, 0) == spec.CUTTING, 'the cut was over at once')
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.f, 1, 3)
    w.must('RANGE', 1, 'page_map', 0, VA + 4096, ('h', 0), w.f + 2, 1, 3)
    w.must_end('ok', 1, 'cap_drop', ('h', 0), w.f + 2)


def map_during_cut(w):
    """live: a mapping through the promised prefix began the sweep of the cut again, for ever."""
    w.people(1)
    w.derive(0, 0, 6, w.f, 4, ALL, 2)
    w.lend(4, 0, w.f, 4, ALL, 2, parent=6)
    w.lend(4, 1, w.f + 20, 16)
    many_tables(w, 1, w.f + 20)
    w.must('ok', 1, 'page_map', 0, VA, ('h', 0), w.f + 3, 1, 3)
    w.must('ok', 1, 'page_map', 0, VA + 4096, ('h', 1), w.f + 30, 1, 3)
    w.must('ok', 1, 'page_map', 0, VA + (5 << 21), ('h', 0), w.f + 3, 1, 3)

    def between():
        w.call(1, 'page_map', 0, VA + 0x3000, ('h', 0), w.f, 1, 0x23)
    w.until(0, 'cap_revoke', [('h', 6), w.f + 2, 0], between)


def order_of_reaping(w):
    """H12 lastcaps: the slot that covers a CAPS frame waited for its own environment."""
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.must('ok', 1, 'caps_add', ('h', 0), w.f)
    w.must('ok', 1, 'exit')
    w.settle()
    w.must_end('ok', 0, 'env_reap', w.a)


def order_with_holes(w):
    """H12 lastcaps: ... and the order is that of donation, not that of the tables' numbers."""
    w.people(1)
    w.lend(4, 0, w.f, 8)
    w.must('ok', 1, 'caps_add', ('h', 0), w.f)
    w.must('ok', 1, 'caps_add', ('h', 0), w.f + 1)
    w.must('ok', 1, 'cap_derive', ('h', 0), 2 << 12 | 1 << 7, w.f + 2, 2, ALL, 0, 0)
    w.must_end('ok', 1, 'caps_del', w.f)
    w.must('ok', 1, 'caps_add', ('h', 65), w.f + 2)
    w.must('ok', 1, 'exit')
    w.settle()
    w.must_end('ok', 0, 'env_reap', w.a)


def suicide(w):
    """H13 suicide: a call killed its own caller, init included."""
    w.derive(0, 0, 6, w.f, 4)
    w.must('ok', 0, 'caps_add', ('h', 6), w.f)
    w.must('SELF', 0, 'cap_drop', ('h', 6), w.f)
    w.must_end('ok', 0, 'caps_del', w.f)
    w.must_end('ok', 0, 'cap_drop', ('h', 6), w.f)


def thread_of_the_dead(w):
    """H14 leader: a thread of a dying leader was entered again and again."""
    w.people(1)
    w.lend(4, 0, w.f, 4)
    w.must('ok', 1, 'env_create', ('h', 0), w.f, w.f + 1, 0, 1 << 7)
    w.start_of(1, 4)
    sure(w.running(2) == w.f, 'the thread does not run')
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    w.must_end('ok', 0, 'env_reap', w.a)
    sure(not w.running(2), 'the thread still runs')


def chain_of_environments(w):
    """H16: reaping went down a chain of environments of any length in one step."""
    w.people(1)
    w.lend(4, 0, w.f, 12)
    w.must('ok', 1, 'env_create', ('h', 0), w.f, w.f + 1, w.f + 2, 1 << 7)
    w.lend(1, 0, w.f + 3, 8, by=1)
    w.start_of(1, 4)
    w.must('ok', 2, 'env_create', ('h', 0), w.f + 3, w.f + 4, w.f + 5, 1 << 7)
    w.lend(1, 0, w.f + 6, 4, by=2)
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    w.settle()
    sure(w.must('ok', 0, 'null') == 0 and not w.running(1), 'A still runs')
    answers = set()
    for _ in range(STEPS):
        answers.add(w.call(0, 'env_reap', w.a))
        w.settle()
        if spec.REAP in answers:
            break
    sure(spec.REAP in answers and w.detail == w.f, 'A does not wait for what it made')
    w.must_end('ok', 0, 'env_reap', w.a)
    sure(not w.running(2), 'what A made still runs')


def many_children(w):
    """H17: looking for a child past the end walked a list of any length in one step."""
    w.derive(0, 0, 6, w.f, 200)
    for table in range(1, 5):
        w.must('ok', 0, 'caps_add', ('h', 0), w.f + 300 + table)
        for i in range(1, 32):
            w.must('ok', 0, 'cap_derive', ('h', 6), table << 12 | i << 7, w.f + i, 1, ALL, 0, 0)
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), w.f + 31, 0)
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), w.f, 0)
    for table in range(1, 5):
        for i in range(1, 32):
            w.must('ok', 0, 'cap_drop', ('h', table << 5 | i), 0)
        w.must_end('ok', 0, 'caps_del', w.f + 300 + table)


def erase(w):
    """H18 erase: who might only read a frame donated it, and so erased it."""
    w.people(1)
    w.lend(4, 0, w.f, 4, 1)
    w.must('RIGHTS', 1, 'caps_add', ('h', 0), w.f)
    w.must('RIGHTS', 1, 'env_create', ('h', 0), w.f, w.f + 1, w.f + 2, 1 << 7)


def old_handle(w):
    """H20 capsgen: a new CAPS frame at an old place brought old handles back to life."""
    w.derive(0, 0, 6, w.f, 4)
    w.must('ok', 0, 'caps_add', ('h', 6), w.f)
    place = 1 << 12 | 1 << 7
    handle = w.must('ok', 0, 'cap_derive', ('h', 0), place, w.f + 20, 1, ALL, 0, 0)
    w.must_end('ok', 0, 'cap_drop', handle, w.f + 20)
    w.must_end('ok', 0, 'caps_del', w.f)
    w.must('ok', 0, 'caps_add', ('h', 6), w.f)
    again = w.must('ok', 0, 'cap_derive', ('h', 0), place, w.f + 21, 1, ALL, 0, 0)
    sure(again != handle, 'a handle names something else now')


def row_revoked(w):
    """unbind: a row that was taken back went on running what its borrower had bound."""
    w.people(1)
    w.derive(0, 1, 6, 128, 2, 1)
    w.must('ok', 0, 'cap_derive', ('h', 6), 15 << 7, 128, 1, 1, 0, 0)
    w.must_end('ok', 0, 'cap_grant', ('h', 15), ('h', 4), 5 << 7, 0, 0)
    w.lend(4, 0, w.f, 4)
    w.must('ok', 1, 'env_create', ('h', 0), w.f, w.f + 1, w.f + 2, 1 << 7)
    w.must('ok', 1, 'env_regs', ('h', 1), 2)
    w.must('ok', 1, 'slice_bind', ('h', 5), 128, ('h', 1))
    w.settle()
    sure(w.running(2) == w.f, 'the row does not run what is bound to it')
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), 128, 0)
    w.settle()
    sure(not w.running(2), 'the row still runs')


def endless_slice(w):
    """endless: two that gave each other the rest of a slice for ever kept everybody else out (Xok's endless slice)."""
    w.people(1)
    w.third(1, 66)
    w.b = w.f + 110
    w.must('ok', 0, 'env_create', ('h', 0), w.b, w.b + 1, w.b + 2, 5 << 7)
    w.must('ok', 0, 'env_regs', ('h', 5), 2)
    w.introduce(4, 5, 1)
    w.introduce(5, 4, 1)
    for _ in range(80):
        if w.running(1) != w.c:
            w.must('ok', 1, 'yield', ('h', 1))
        w.time(900)
    sure(w.row_time(66) > 25000, 'who is not of the two has no time')


def row_taken_back(w):
    """owner: who woke in the middle of its own row waited for a turn in what others filled."""
    w.people(1)
    w.third(1, 65)
    w.b = w.f + 110
    w.must('ok', 0, 'env_create', ('h', 0), w.b, w.b + 1, w.b + 2, 5 << 7)
    w.must('ok', 0, 'slice_bind', ('h', 1), 66, ('h', 5))
    w.must('ok', 0, 'env_regs', ('h', 5), 2)
    w.time(1000)
    sure(w.running(1) == w.a, 'A does not run')
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    sure(w.running(1) == w.c, 'the rest of the row is not filled')
    w.must('ok', 0, 'notify', ('h', 4), 1)
    w.settle()
    sure(w.running(1) == w.a and w.words(1)[0] == 1, 'A does not take its row back')


def calm_and_urgent(w):
    """On hart 1: A in row 72, without URGENT, and C in the urgent row 127, which has just begun its turn."""
    w.people(1)
    w.third(1, 127)
    w.calm_rows()
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 64, 1)
    w.settle()
    w.must('ok', 0, 'slice_bind', ('h', 7), 72, ('h', 4))
    w.settle()
    for env in (w.c, w.a, w.c):                            # the first time it may be in what another's row has left
        while w.running(1) != env:
            w.time(100)


def urgent_credit(w):
    """credit: who slept a moment in an urgent row took a whole row each time it woke."""
    calm_and_urgent(w)
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    w.time(11000)                                          # its row is over
    begin, calm, urgent = w.clock(), w.row_time(72), w.row_time(127)
    for _ in range(60):
        w.must('ok', 0, 'notify', ('h', 6), 1)
        w.settle()
        w.time(1600)
        while w.running(1) == w.c:                         # the first time for an event that came while it ran
            w.must('ok', 1, 'wait', 1, spec.NEVER)
        w.time(300)
    passed = w.clock() - begin
    sure(w.row_time(72) - calm > passed * 0.4, 'the other row had %d of %d ticks' % (w.row_time(72) - calm, passed))
    sure(w.row_time(127) - urgent > passed * 0.3, 'the urgent row had %d of %d ticks' % (w.row_time(127) - urgent, passed))


def urgent_rest(w):
    """credit: ... or more than it had left, when it slept no more."""
    calm_and_urgent(w)
    w.time(3000)
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    w.time(8000)
    sure(w.running(1) == w.a, 'A does not run in its row')
    before = w.row_time(127)
    w.must('ok', 0, 'notify', ('h', 6), 1)
    w.settle()
    sure(w.running(1) == w.c, 'C is not urgent')
    w.time(7000)
    sure(w.running(1) == w.a and w.row_time(127) - before <= 7000, 'C has more than it slept through')


def answer_too_late(w):
    """P1 ended: the late answer of a call that had timed out was taken for that of the caller's next call."""
    w.people(2)
    w.third(2, 129)
    w.introduce(4, 5, 1)
    w.introduce(4, 6, 2)
    sure(w.say(2, 0) == 0 and w.running(2) == w.c, 'C does not run')
    w.say(2, 0)
    w.settle()
    w.ask(1, 1, 11, w.clock() + 3000)
    sure(w.running(1) == w.b and w.words(1)[0] == 11 and w.words(1)[6] == w.a, 'B has no call')
    w.time(3000)
    sure(w.running(1) == w.a and w.words(1)[0] == spec.NUMBER['TIMEOUT'] & spec.WORD, 'A has no end of its call')
    w.ask(1, 2, 12)
    sure(w.running(1) == w.c and w.running(2) == w.b, 'C is not called, or B does not go on')
    w.say(2, 13)
    sure(w.running(1) == w.c, 'C serves no more')
    w.say(1, 14)
    sure(w.running(1) == w.a and w.words(1)[0] == 14, 'A has the wrong answer')


def dead_server(w):
    """P4 orphans: who called one that died waited for ever."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.say(2, 0)
    w.ask(1, 1)
    sure(w.running(1) == w.b, 'B has no call')
    w.must('ok', 1, 'exit')
    w.settle()
    sure(w.running(1) == w.a and w.words(1)[0] == spec.NUMBER['BROKEN'] & spec.WORD, 'A waits')
    w.must_end('ok', 0, 'env_reap', w.b)


def dead_client(w):
    """H33 dead: the row of a caller that was dying ran the server, which owed it nothing any more."""
    w.people(2)
    w.third(1, 66)
    w.introduce(4, 5, 1)
    w.say(2, 0)
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 128, 1)
    while w.running(1) != w.a:
        w.time(1000)
    w.ask(1, 1)
    while w.running(1) != w.c:
        w.time(1000)
    w.must_end('ok', 0, 'cap_drop', ('h', 4), w.a)
    for _ in range(30):
        w.time(1000)
        sure(w.running(1) == w.c, 'A\'s row runs on')


def name_revoked(w):
    """cutcall: a call went on although the capability it was made through was revoked."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.say(2, 0)
    w.ask(1, 1)
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    w.must_end('ok', 0, 'cap_revoke', ('h', 5), w.b, 0)
    sure(w.running(1) == w.a and w.words(1)[0] == spec.NUMBER['BROKEN'] & spec.WORD, 'A waits')
    w.must('ok', 0, 'notify', ('h', 5), 1)
    w.settle()
    w.say(2, 9)
    sure(w.running(1) == w.a, 'the late answer went to A')


def derived_name_revoked(w):
    """cutcall: ... or through one that the caller had derived from that."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.must('ok', 1, 'cap_derive', ('h', 1), 2 << 7, w.b, 1, 1, 0, 0)
    w.say(2, 0)
    w.ask(1, 2)
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    w.must_end('ok', 0, 'cap_revoke', ('h', 5), w.b, 0)
    sure(w.running(1) == w.a and w.words(1)[0] == spec.NUMBER['BROKEN'] & spec.WORD, 'A waits')


def sleeping_server(w):
    """W3 chain: a server that slept in a call was woken, and no hart was told that it could run it."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.say(2, 0)
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 128, 1)
    w.ask(1, 1)
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    sure(not w.running(1), 'hart 1 does not sleep')
    w.must('ok', 0, 'notify', ('h', 5), 1)
    w.settle()
    sure(w.running(1) == w.b, 'B does not go on in A\'s row')


def sleeping_end(w):
    """W3 chain: ... nor that it could run the end of a longer chain."""
    w.people(2)
    w.third(2, 129)
    w.introduce(4, 5, 1)
    w.introduce(5, 6, 1)
    w.say(2, 0)
    w.say(2, 0)
    for row in (128, 129):
        w.must_end('ok', 0, 'slice_bind', ('h', 1), row, 1)
    w.ask(1, 1)
    w.ask(1, 1)
    sure(w.running(1) == w.c, 'A does not call C through B')
    w.must('ok', 1, 'wait', 1, spec.NEVER)
    sure(not w.running(1), 'hart 1 does not sleep')
    w.must('ok', 0, 'notify', ('h', 6), 1)
    w.settle()
    sure(w.running(1) == w.c, 'C does not go on in A\'s row')


def deadline_elsewhere(w):
    """W2 deadline: nobody watched the deadline of one that slept on a hart where it has no row."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 128, 1)
    w.settle()
    w.must('ok', 1, 'yield', ('h', 1))
    sure(w.running(1) == w.b, 'B does not run in A\'s time')
    w.must('ok', 0, 'slice_bind', ('h', 1), 128, ('h', 5))
    w.settle()
    w.must('ok', 1, 'wait', 1, w.clock() + 5000)
    w.time(5000)
    sure(w.running(2) == w.b and w.words(2)[0] == 0, 'B does not wake')


def call_elsewhere(w):
    """W2 deadline: ... nor of one that made a call there."""
    w.people(2)
    w.third(2, 129)
    w.introduce(4, 5, 1)
    w.introduce(5, 6, 1)
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 128, 1)
    w.settle()
    sure(w.running(2) == w.c, 'C does not run')
    w.say(2, 0)
    w.must('ok', 1, 'yield', ('h', 1))
    sure(w.running(1) == w.b, 'B does not run in A\'s time')
    w.must('ok', 0, 'slice_bind', ('h', 1), 128, ('h', 5))
    w.settle()
    w.ask(1, 1, 7, w.clock() + 5000)
    sure(w.running(1) == w.c, 'C is not called')
    w.time(5000)
    sure(w.running(2) == w.b and w.words(2)[0] == spec.NUMBER['TIMEOUT'] & spec.WORD, 'B waits for ever')


def deadline_moves(w):
    """W2 deadline: ... nor of one whose rows were taken and given while it slept."""
    w.people(2)
    w.must('ok', 2, 'wait', 1, w.clock() + 5000)
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 128, 1)
    for row in (65, 129):
        w.must('ok', 0, 'slice_bind', ('h', 1), row, ('h', 5))
        w.settle()
    w.must_end('ok', 0, 'slice_bind', ('h', 1), 65, 1)
    w.settle()
    w.time(5000)
    sure(w.running(2) == w.b, 'B does not wake')


def event_kept(w):
    """kept: an event that came while nobody waited was lost: in a call, or while the environment was stopped."""
    w.people(2)
    w.introduce(4, 5, 1)
    w.say(2, 0)
    w.ask(1, 1)
    w.must('ok', 0, 'notify', ('h', 4), 1)
    w.must('ok', 0, 'notify', ('h', 5), 2)
    w.say(1, 0)
    sure(w.running(1) == w.a and w.must('ok', 1, 'wait', 3, 0) == 1, 'the caller\'s event is lost')
    w.job(0, 'env_regs', ('h', 4), 3)
    w.must('ok', 0, 'notify', ('h', 4), 4)
    w.must('ok', 0, 'env_regs', ('h', 4), 2)
    w.settle()
    sure(w.running(1) == w.a and w.must('ok', 1, 'wait', 7, 0) == 4, 'the event of a stopped one is lost')


def long_chain(w):
    """depth: a chain of calls was as long as there were servers, and so were the walks along it."""
    for n in range(9):
        frame = w.f + 10 + 2 * n
        w.must('ok', 0, 'env_create', ('h', 0), frame, frame + 1, 0, 5 + n << 7)
        w.must('ok', 0, 'env_regs', ('h', 5 + n), 2)
        w.must('ok', 0, 'yield', ('h', 5 + n))
        sure(w.running(0) == frame, 'server %d does not run' % n)
        w.say(0, 0)
        sure(w.running(0) == w.first_env, 'init does not go on')
    for n in range(8):
        w.ask(0, 5 + n)
        sure(w.running(0) == w.f + 10 + 2 * n, 'server %d is not called' % n)
    sure(w.ask(0, 13) == 'DEPTH', 'the ninth is called')
    for n in range(8):
        w.say(0, n)
    sure(w.running(0) == w.first_env and w.words(0)[0] == 7, 'init has no answer')


def events_of_the_mask(w):
    """masked: who waited for some events took others along, which were lost."""
    w.people(1)
    w.must('ok', 1, 'wait', 2, spec.NEVER)
    w.must('ok', 0, 'notify', ('h', 4), 3)
    w.settle()
    sure(w.running(1) == w.a and w.words(1)[0] == 2, 'A has events that it did not wait for')
    sure(w.must('ok', 1, 'wait', 1, 0) == 1, 'an event is lost')


def announced(w):
    """announce: a revocation that was to come took what it announced, and told nobody."""
    w.people(2)
    w.derive(0, 0, 6, w.f, 8)
    w.lend(4, 0, w.f, 8, parent=6)
    w.must('ok', 1, 'cap_derive', ('h', 0), 1 << 7, w.f + 2, 4, ALL, 0, 0)
    w.must('ok', 2, 'cap_derive', 0, 0 << 7, w.a, ('g', w.a), 0, 0, 0)
    w.must_end('ok', 1, 'cap_grant', ('h', 1), 0, 0 << 7, w.b, ('g', w.b))
    due = w.clock() + 1000
    w.must('again', 0, 'cap_revoke', ('h', 6), w.f + 4, due)
    sure(w.detail == due, 'it is not told when')
    sure(w.slot_state(1, 0) == w.slot_state(2, 0) == spec.LIVE, 'it was taken before')
    for hart in (1, 2):
        sure(w.must('ok', hart, 'wait', spec.REVOKE, 0) == spec.REVOKE, 'a holder was not told')
    sure(w.notice(1, 0) == w.notice(2, 0) == (due, w.f + 4), 'a slot does not say what is to go, and when')
    w.must_end('ok', 2, 'cap_drop', ('h', 0), w.f + 4)
    sure(w.notice(1, 0) == (due, w.f + 4) and w.notice(2, 0)[0] == 0, 'who gave up in time is told still')
    w.time(1000)
    w.must_end('ok', 0, 'cap_revoke', ('h', 6), w.f + 4, due)
    w.must('RANGE', 1, 'cap_derive', ('h', 0), 2 << 7, w.f + 4, 1, ALL, 0, 0)


TRACES = [
    (derive_against_revoke, 'topdown'), (cycle_of_donations, 'donor'), (grant_against_map, 'rescan'),
    (grant_against_derive, 'rescan'), (large_leaf, 'groups'), (table_refilled, 'closing'), (table_shown, 'release'),
    (name_repeated, 'envgen'), (asid_repeated, 'tlbgen'), (promise_of_nothing, 'keep0'), (promise_during_cut, 'usecut'),
    (map_during_cut, 'live'), (order_of_reaping, 'lastcaps'), (order_with_holes, 'lastcaps'), (suicide, 'suicide'),
    (thread_of_the_dead, 'leader'), (chain_of_environments, None), (many_children, None), (erase, 'erase'),
    (old_handle, 'capsgen'), (row_revoked, 'unbind'), (endless_slice, 'endless'), (row_taken_back, 'owner'),
    (urgent_credit, 'credit'), (urgent_rest, 'credit'), (answer_too_late, 'ended'), (dead_server, 'orphans'),
    (dead_client, 'dead'), (name_revoked, 'cutcall'), (derived_name_revoked, 'cutcall'), (sleeping_server, 'chain'),
    (sleeping_end, 'chain'), (long_chain, 'depth'), (deadline_elsewhere, 'deadline'), (call_elsewhere, 'deadline'),
    (deadline_moves, 'deadline'), (events_of_the_mask, 'masked'), (event_kept, 'kept'), (announced, 'announce')]


def attempt(trace, world):
    """None, or what was wrong."""
    try:
        world.first_env = world.running(0)
        trace(world)
    except (Wrong, Broken, Diverged, Gone, KeyError, AssertionError) as wrong:
        return '%s: %s' % (type(wrong).__name__, wrong)
    return None


def run_all(server):
    """All traces; returns how many were wrong."""
    failures = 0
    for trace, rule in TRACES:
        kernel = attempt(trace, KernelWorld(server, 0)) or attempt(trace, KernelWorld(server, 1))
        model = attempt(trace, TwinWorld(server, frozenset(spec.RULES)))
        without = attempt(trace, TwinWorld(server, frozenset(spec.RULES) - {rule})) if rule else 'no rule'
        print('%-24s kernel: %s; twin: %s; without %s: %s' % (trace.__name__, kernel or 'good', model or 'good', rule,
                                                              without or 'NOT CAUGHT'), flush=True)
        failures += bool(kernel) + bool(model) + (not without)
    missing = set(spec.RULES) - {rule for _, rule in TRACES}
    if missing:
        print('rules without a trace: %s' % ' '.join(sorted(missing)))
    failures += len(missing)
    print('%d traces, %s' % (len(TRACES), '%d WRONG' % failures if failures else 'nothing is wrong'), flush=True)
    return failures


def main():
    return bool(run_all(Server(sys.argv[1])))


if __name__ == '__main__':
    sys.exit(main())
