#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The sequence fuzzer: random calls from several environments on several harts, on the kernel core and on its twin.

    sequence.py SERVER --minutes 2           fuzz and print the steps done; exits with 1 when the kernel is wrong
    sequence.py SERVER --seed 7 --steps N    the same for so many steps; runs of a seed are always the same
    sequence.py SERVER --run SEED            one run again
    sequence.py SERVER --replay FILE         a trace that a failing run has written

A run is a freshly booted machine and some hundred operations (machine.py says what they are).  In two runs of three the
kernel and the twin are compared after every operation, and long jobs are driven to their end before that.  In the third
kind there is no twin: long jobs are left half-done and mixed, ENTER pauses half-way, and only the walker of the
invariants judges.  At the end of every run init must get every name back.  A run that fails is made shorter and written
as a trace.
"""
import argparse
import os
import random
import sys
import time

import twin as spec
from machine import ENV_WORDS, Diverged, Pair, Server
from twin import EMPTY, OPEN, LIVE, CUTTING, LOST, PAGE, SLICE, ENVC, MACHINE

RUN_OPERATIONS = 250
RUN_PROPOSALS = 1000                                       # many are of no use: see Vain
COMPARE_ALL = 24                                           # operations between two complete comparisons
JOBS = ('cap_grant', 'cap_revoke', 'cap_drop', 'env_reap')

WEIGHTS = {'cap_derive': 16, 'open': 3, 'cap_grant': 14, 'cap_revoke': 6, 'cap_drop': 9, 'caps_add': 3, 'caps_del': 2,
           'table_link': 9, 'table_unlink': 3, 'page_map': 18, 'page_unmap': 7, 'page_protect': 4, 'page_harvest': 3,
           'env_create': 8, 'env_regs': 9, 'env_reap': 8, 'slice_bind': 12, 'yield': 12, 'exit': 0.7, 'null': 0.3,
           'debug_write': 0.5, 'wait': 9, 'notify': 12, 'pct_call': 16, 'pct_call_until': 8, 'pct_reply': 12, 'time': 6,
           'touch': 9, 'vector': 2, 'continue': 14, 'interrupt': 10, 'fault': 0.5}
KINDS, SHARES = zip(*WEIGHTS.items())
WILD = (0, 1, 2, 3, 7, 8, 0x7f, 0x80, 0x100, 0xfff, 0x1000, 0x80000, 0x3fffffffff, 0x4000000000, 1 << 31, 1 << 32, 1 << 52,
        1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 4096, 0x8000000000000001)


class Vain(Exception):
    """What was about to be proposed would be refused."""


class Proposer:
    """Operations that make sense in the state that the kernel's mirror shows, and some that do not."""

    def __init__(self, rng, pair):
        self.rng, self.pair, self.server = rng, pair, pair.server
        first = min(self.server.groups) << 9
        groups = pair.plan[0]
        self.hot = [first + 0x100 + i for i in range(6)]   # frames that calls meet again and again
        self.hot += [first + 512 + i for i in range(16)] + [first + 1022, first + 1023, first + 1024, first + 1025]
        self.large = [first + 512 * i for i in range(1, groups)]
        base = (0x200000, 0x400000, 0x600000, 0x40000000, 0x3fc0000000)
        self.addresses = [b + 4096 * i for b in base for i in (0, 0, 1, 2, 3, 15, 16, 300, 511)]

    def vain(self):
        """A call that cannot be but refused is worth a step now and then."""
        if self.rng.random() < 0.9:
            raise Vain

    def address(self, space, level):
        """A virtual address for an entry of this level, mostly where the space has a table."""
        found = [(base, entries) for base, its, entries in self.server.tables(space) if its == level]
        size = 12 + 9 * level
        if not found:
            self.vain()
        if not found or self.rng.random() < 0.05:
            return self.rng.choice(self.addresses) >> size << size
        base, entries = self.rng.choice(found)
        present = [i for i, pte in entries.items() if pte]
        if present and self.rng.random() < 0.4:
            return base + (self.rng.choice(present) << size)
        if level:
            inside = [x >> size << size for x in self.addresses if 0 <= x - base < 512 << size]
            return self.rng.choice(inside) if inside else base
        return base + 4096 * self.rng.choice((0, 1, 2, 3, 15, 16, 300, 511))

    def frame(self, slot=None):
        if slot:
            inside = [x for x in self.hot if slot[5] <= x < slot[5] + slot[6]]
            if inside and self.rng.random() < 0.9:
                return self.rng.choice(inside)
            if slot[6]:
                return slot[5] + self.rng.randrange(slot[6])
        return self.rng.choice(self.hot)

    def idle(self, slot):
        """A frame to be typed: mostly one of which nobody makes use."""
        for _ in range(4):
            frame = self.frame(slot)
            if not self.server.frames.get(frame, (0, 0))[0] or self.rng.random() < 0.1:
                break
        return frame

    def of_class(self, table, *classes):
        found = [(place, slot) for place, slot in table if slot[1] in classes and slot[0] in (LIVE, CUTTING)]
        if not found:
            self.vain()
        return self.rng.choice(found) if found else (self.rng.randrange(16), None)

    def empty(self, table):
        found = [place for place, slot in table if slot[0] in (EMPTY, OPEN)]
        return self.rng.choice(found[:3]) << 7 if found else self.rng.randrange(16) << 7

    def handle(self, place, what='h'):
        return what, place, (-1 if self.rng.random() < 0.02 else 0)

    def propose(self):
        rng, server = self.rng, self.server
        kind = rng.choices(KINDS, SHARES)[0]
        if kind == 'time':
            ticks = rng.choice((1, 50, 400, 3000, 9000, 9801, 10000, 25000))
            timers = [timer - server.clock for timer in server.timers if 0 < timer - server.clock < 25000]
            return kind, 0, '', [rng.choice(timers) if timers and rng.random() < 0.4 else ticks], 0
        if kind in ('continue', 'interrupt', 'touch', 'vector', 'fault'):
            harts = [h for h in range(len(server.harts)) if self.pair.possible((kind, h))]
            if not harts:
                return None
            hart = rng.choice(harts)
            if kind == 'touch':
                env = server.harts[hart][2]
                space = server.leader(env) if env else server.init
                try:
                    return kind, hart, '', [self.address(space, 0), rng.randrange(2)], 0
                except Vain:
                    return None
            if kind == 'vector':
                return kind, hart, '', [rng.choice((0, 7))] + [rng.choice(self.hot + self.large) for _ in range(7)], 0
            if kind == 'fault' and server.harts[hart][2] == server.init:
                return None
            return kind, hart, '', [], 0
        harts = [h for h, (state, _, _) in enumerate(server.harts) if state == spec.PROGRAM]
        if not harts:
            return None
        hart = rng.choice(harts)
        env = server.harts[hart][2]
        if kind == 'exit' and env == server.init:
            return None
        name = {'open': 'cap_derive'}.get(kind, kind)
        try:
            arguments = getattr(self, kind, self.nothing)(server.leader(env), env)
        except Vain:
            return None
        if arguments is None:
            return None
        if rng.random() < 0.06 and arguments:
            i = rng.randrange(len(arguments))
            arguments[i] = rng.choice(WILD + tuple(self.hot[:4]))
        extra = rng.randrange(1, 4) if name.startswith('page_') and rng.random() < 0.1 else 0
        if name == 'pct_call_until':
            extra = self.soon()
        announced = name == 'cap_revoke' and arguments[2] > server.clock
        driven = name in JOBS and self.pair.twin and not announced
        return 'job' if driven else 'call', hart, name, arguments, extra

    def nothing(self, space, env):
        return []

    def soon(self):
        """A deadline."""
        later = self.rng.choice((0, 1, 200, 5000, 12000, 40000))
        return self.rng.choice((0, spec.NEVER, spec.NEVER - 1)) if self.rng.random() < 0.1 else self.server.clock + later

    def other(self, space, state=None):
        """A handle of an environment, mostly of one in that state."""
        table = self.server.table_of(space)
        found = [place for place, slot in table if slot[1] == ENVC and slot[5] in self.server.envs
                 and self.server.frames[slot[5]][1] & 15 == state]
        if not found:
            self.vain()
        if found and self.rng.random() < 0.9:
            return self.handle(self.rng.choice(found))
        return self.handle(self.of_class(table, ENVC)[0])

    def wait(self, space, env):
        rng = self.rng
        if env == self.server.init and rng.random() < 0.8:
            return [rng.choice((1, 3, 0xff)), self.server.clock + rng.choice((1, 5000))]
        return [rng.choice((0, 1, 2, 3, 0xff, (1 << 64) - 1)), spec.NEVER if rng.random() < 0.3 else self.soon()]

    def notify(self, space, env):
        bits = self.rng.choice((1, 1, 2, 3, 0x10, 0x100, 1 << 56))
        return [0 if self.rng.random() < 0.1 else self.other(space, spec.WAIT), bits]

    def pct_call(self, space, env):
        return [self.rng.randrange(1 << 16) for _ in range(6)] + [self.other(space, spec.ACCEPT)]

    pct_call_until = pct_call

    def pct_reply(self, space, env):
        serves = self.server.frames[env][1] & spec.INCALL
        if not serves and self.rng.random() < (0.97 if env == self.server.init else 0.4):
            return None
        return [self.rng.randrange(1 << 16) for _ in range(6)]

    def cap_derive(self, space, env):
        table, rng = self.server.table_of(space), self.rng
        place, slot = self.of_class(table, PAGE, PAGE, PAGE, SLICE, ENVC, MACHINE)
        if not slot:
            return None
        first, count = slot[5], 1
        if slot[1] == PAGE:
            if rng.random() < 0.15 and any(slot[5] <= x and x + 512 <= slot[5] + slot[6] for x in self.large):
                first = rng.choice([x for x in self.large if slot[5] <= x and x + 512 <= slot[5] + slot[6]])
                count = 512
            else:
                first = self.frame(slot)
                count = rng.choice((1, 1, 2, 3, 4, 6, 16, max(1, slot[5] + slot[6] - first)))
        elif slot[1] == SLICE:
            first = slot[5] + rng.choice((0, 1, 2, 3, 64, 65, 128, 129)) % max(slot[6], 1)
            count = rng.choice((1, 1, 1, 2, 3, 64))
        rights = rng.choice((slot[2], slot[2], slot[2], 1, 3, slot[2] & 5))
        keep = rng.choice((0, 0, 0, 1, count))
        return [self.handle(place), self.empty(table), first, count, rights, keep,
                rng.choice((slot[9], slot[9], slot[9] & 5, slot[9] | 2, slot[9] | 1 << 57))]

    def open(self, space, env):
        frame = self.rng.choice(list(self.server.envs) + [0])
        table = self.server.table_of(space)
        if frame == 0:
            found = [place for place, slot in table if slot[0] == OPEN]
            return [0, self.rng.choice(found) << 7 if found else self.empty(table), 0, 0, 0, 0, 0]
        return [0, self.empty(table), frame, ('g', frame, 0), 0, 0, 0]

    def cap_grant(self, space, env):
        table, rng = self.server.table_of(space), self.rng
        place, slot = self.of_class([x for x in table if x[1][12]] or table, PAGE, PAGE, SLICE, ENVC, MACHINE)
        if not slot:
            return None
        if rng.random() < 0.7:
            via, named = self.of_class(table, ENVC)
            if named and named[5] in self.server.envs:
                return [self.handle(place), self.handle(via),
                        self.empty(self.server.table_of(self.server.leader(named[5]))), 0, 0]
        target = rng.choice(list(self.server.envs))
        receiver = self.server.table_of(self.server.leader(target))
        opened = [p for p, s in receiver if s[0] == OPEN]
        return [self.handle(place), 0, rng.choice(opened) << 7 if opened else self.empty(receiver), target, ('g', target, 0)]

    def taken(self, space):
        table = [x for x in self.server.table_of(space) if x[1][0] in (LIVE, CUTTING, LOST)]
        place, slot = self.rng.choice(table) if table else (0, None)
        if slot and not slot[12] and slot[0] != LOST and self.rng.random() < 0.8:
            place, slot = self.rng.choice(table)
        return place, slot

    def cut_from(self, slot):
        if self.rng.random() < 0.5:
            return slot[5]
        inside = [x for x in self.hot if slot[5] <= x <= slot[5] + slot[6]]
        return self.rng.choice(inside) if inside else slot[5] + self.rng.randrange(slot[6] + 1)

    def cap_revoke(self, space, env):
        place, slot = self.taken(space)
        if not slot or not slot[12] and slot[1] == PAGE and self.rng.random() < 0.9:
            return None
        return [self.handle(place), self.cut_from(slot), self.soon() if self.rng.random() < 0.25 else 0]

    def cap_drop(self, space, env):
        place, slot = self.taken(space)
        return [self.handle(place), self.cut_from(slot)] if slot else None

    def caps_add(self, space, env):
        place, slot = self.of_class(self.server.table_of(space), PAGE)
        return [self.handle(place), self.idle(slot)]

    def caps_del(self, space, env):
        frames = [x for x in self.server.envs[space][ENV_WORDS:] if x]
        return [self.rng.choice(frames)] if frames else None

    def target(self, space):
        """Whose tables: (argument, space, symbol of its slots)."""
        if self.rng.random() < 0.35:
            place, slot = self.of_class(self.server.table_of(space), ENVC)
            if slot and slot[5] in self.server.envs:
                return self.handle(place), self.server.leader(slot[5]), 't'
        return 0, space, 'h'

    def table_link(self, space, env):
        who, space, what = self.target(space)
        place, slot = self.of_class(self.server.table_of(space), PAGE)
        linked = {base for base, level, _ in self.server.tables(space) if level == 0}
        have = [base for base, level, _ in self.server.tables(space) if level == 1]
        for _ in range(4):
            level = 1 if have and self.rng.random() < 0.7 else 2
            address = self.address(space, 1) if level == 1 else self.rng.choice(self.addresses) >> 30 << 30
            if address not in (linked if level == 1 else have):
                break
        return [who, address, level, self.handle(place, what), self.idle(slot)]

    def table_unlink(self, space, env):
        who, space, _ = self.target(space)
        empty = [(base, level + 1) for base, level, entries in self.server.tables(space)
                 if not any(pte & 1 for pte in entries.values())]
        if empty and self.rng.random() < 0.7:
            return [who, *self.rng.choice(empty)]
        level = self.rng.choice((1, 1, 2))
        return [who, self.address(space, 1) if level == 1 else self.rng.choice(self.addresses) >> 30 << 30, level]

    def page_map(self, space, env):
        rng = self.rng
        who, space, what = self.target(space)
        place, slot = self.of_class(self.server.table_of(space), PAGE)
        flags = rng.choice((1, 1, 3, 3, 5, 7)) | rng.choice((0, 0, 0, 0x100)) | rng.choice((0, 0, 0x20, 0x40, 0x60))
        if slot and rng.random() < 0.9:
            flags &= ~7 | slot[2]
        address, frame, count = self.address(space, 0), self.frame(slot), rng.choice((1, 1, 1, 2, 3, 16, 17, 33, 256))
        if slot and rng.random() < 0.8:
            count = max(1, min(count, slot[5] + slot[6] - frame))
        if rng.random() < 0.15:
            inside = [x for x in self.large if slot and slot[5] <= x and x + 512 <= slot[5] + slot[6]] or self.large
            flags, address, frame, count = flags & ~0x40 | 0x10, self.address(space, 1), rng.choice(inside), 1
        handle = self.handle(place, what)
        if rng.random() < 0.05:
            handle, frame = 0, self.server.info if rng.random() < 0.7 else frame
        return [who, address, handle, frame, count, flags]

    def run_of_pages(self, space):
        who, space, _ = self.target(space)
        if self.rng.random() < 0.2:
            return [who, self.address(space, 1), self.rng.choice((1, 2, 3)) | 1 << 63]
        return [who, self.address(space, 0), self.rng.choice((1, 1, 1, 2, 3, 17, 256))]

    def page_unmap(self, space, env):
        return self.run_of_pages(space) + [self.rng.choice((0, 0, 0, 2, 0x8000000000000400, 0xffffffffffffffee))]

    def page_protect(self, space, env):
        return self.run_of_pages(space) + [self.rng.choice((1, 1, 3, 5))]

    def page_harvest(self, space, env):
        return self.run_of_pages(space)

    def env_create(self, space, env):
        table = self.server.table_of(space)
        place, slot = self.of_class(table, PAGE)
        root = 0 if self.rng.random() < 0.3 else self.idle(slot)
        return [self.handle(place), self.idle(slot), self.idle(slot), root, self.empty(table)]

    def env_regs(self, space, env):
        place, slot = self.of_class(self.server.table_of(space), ENVC)
        return [self.handle(place), self.rng.choice((2, 2, 2, 2, 3, 3, 0, 1, 4))]

    def env_reap(self, space, env):
        dying = [x for x in self.server.envs if self.server.frames[x][1] & spec.KILL]
        return [self.rng.choice(dying)] if dying else ([self.rng.choice(list(self.server.envs))]
                                                       if self.rng.random() < 0.05 else None)

    def slice_bind(self, space, env):
        table = self.server.table_of(space)
        place, slot = self.of_class(table, SLICE)
        if not slot or not slot[6]:
            return None
        row = slot[5] + self.rng.choice((0, 1, 2, 3, 64, 65, 128, 129)) % slot[6]
        via, named = self.of_class(table, ENVC)
        who = self.rng.choice((0, 1, self.handle(via), self.handle(via), self.handle(via)))
        if who == 1 and row == 0:
            return None
        return [self.handle(place), row, who]

    def yield_(self, space, env):
        return [0 if self.rng.random() < 0.3 else self.other(space, self.rng.choice((spec.READY, spec.CALLING)))]

    def debug_write(self, space, env):
        place, _ = self.of_class(self.server.table_of(space), MACHINE)
        return [self.handle(place), self.rng.randrange(18), 0x6f6c6c6568, 0]


setattr(Proposer, 'yield', Proposer.yield_)


def family(rng, pair, hot):
    """init makes two environments, lends each frames and rows, and starts them; as operations."""
    slots = [('h', 0, 0), ('h', 1, 0)]
    operations = []
    base = hot[6]
    rows = [1, 64, 65] if len(pair.server.harts) > 1 else [1, 2]
    if len(pair.server.harts) > 2:
        rows += [128, 129]
    count = rng.choice((1, 2, 2))
    for n in range(count):
        frame, place = base + 40 + 3 * n, 4 + n
        first = base + rng.choice((0, 3, 8))
        operations += [
            ('call', 0, 'env_create', [slots[0], frame, frame + 1, frame + 2, place << 7], 0),
            ('call', 0, 'cap_derive', [slots[0], 8 << 7, first, rng.choice((8, 16, 600)), 15, rng.choice((0, 2)), 0], 0),
            ('job', 0, 'cap_grant', [('h', 8, 0), ('h', place, 0), 0, 0, 0], 0)]
        if rng.random() < 0.7:
            row = rows.pop(rng.randrange(len(rows)))
            operations += [('call', 0, 'cap_derive', [slots[1], 8 << 7, row, 1, 3, 0, 0], 0),
                           ('call', 0, 'slice_bind', [('h', 8, 0), row, ('h', place, 0)], 0),
                           ('call', 0, 'env_regs', [('h', place, 0), 2], 0), ('continue', row // 64, '', [], 0)]
        else:
            row = rows.pop(rng.randrange(len(rows)))
            operations += [('call', 0, 'slice_bind', [slots[1], row, ('h', place, 0)], 0),
                           ('call', 0, 'env_regs', [('h', place, 0), 2], 0), ('continue', row // 64, '', [], 0)]
    if count == 2 and rng.random() < 0.7:                  # they know each other
        for via, n in ((4, 1), (5, 0)):
            operations += [
                ('call', 0, 'cap_derive', [('h', 4 + n, 0), 9 << 7, base + 40 + 3 * n, 1, 7, 0, 0xff], 0),
                ('job', 0, 'cap_grant', [('h', 9, 0), ('h', via, 0), 10 << 7, 0, 0], 0)]
    return operations


def crowd(rng, hot):
    """init makes some servers in its own space, and often calls go through all of them; or all sleep to one time."""
    count, base, sleep = rng.choice((2, 3, 5, 10)), hot[6] + 60, rng.random() < 0.2
    first = rng.choice((6, 33))                            # in its ENV frame, where calls are fast, or in a CAPS frame
    operations = [('call', 0, 'caps_add', [('h', 0, 0), base - 1], 0)] if first == 33 else []
    for n in range(count):
        place, frame = first + n, base + 2 * n
        operations += [('call', 0, 'env_create', [('h', 0, 0), frame, frame + 1, 0, place << 7], 0),
                       ('call', 0, 'env_regs', [('h', place, 0), 2], 0), ('call', 0, 'yield', [('h', place, 0)], 0)]
        if sleep:
            operations += [('call', 0, 'wait', [1 << n, 20000], 0),
                           ('call', 0, 'slice_bind', [('h', 1, 0), 20 + n, ('h', place, 0)], 0)]
        else:
            operations += [('call', 0, 'pct_reply', [n, 1, 2, 3, 4, 5], 0)]
    for n in range(0 if sleep else rng.choice((0, 1, count))):
        operations.append(('call', 0, rng.choice(('pct_call', 'pct_call', 'pct_call_until')),
                           [n, 1, 2, 3, 4, 5, ('h', first + n, 0)], 1000 * rng.choice((3, 5, 20, 60))))
    return operations


def plan_of(seed):
    rng = random.Random(seed)
    alone = rng.random() < 1 / 3
    split = int(alone and rng.random() < 0.5)              # the twin does not know how often the kernel can pause
    return rng, alone, (4, rng.choice((1, 2, 3, 3)), rng.choice((1, 2, 16)), split, rng.randrange(2))


def run(server, seed, statistics=None):
    """One run.  None, or (what is wrong, plan, alone, operations)."""
    rng, alone, plan = plan_of(seed)
    operations = []
    try:
        pair = Pair(server, plan, alone=alone)
        server.info = min(frame for frame in server.frames if server.type(frame) == spec.INFO)
        proposer = Proposer(rng, pair)
        todo = family(rng, pair, proposer.hot) if rng.random() < 0.8 else []
        todo += crowd(rng, proposer.hot) if rng.random() < 0.3 else []
        for _ in range(RUN_PROPOSALS):
            operation = todo.pop(0) if todo else proposer.propose()
            if operation is None or not pair.possible(operation):
                continue
            operations.append(operation)
            reply = pair.step(operation)
            if statistics is not None and operation[2]:
                key = operation[2], 'ok' if reply[0] >= 0 else {-1: 'again', -2: 'again'}.get(reply[0], 'refused')
                statistics[key] = statistics.get(key, 0) + 1
            if pair.over():                                # init was killed by what it accepted from others
                return None
            if len(operations) % COMPARE_ALL == 0:
                pair.compare_all()
            if len(operations) == RUN_OPERATIONS:
                break
        pair.compare_all()
        operations.append(('recover', 0, '', [], 0))
        pair.recover()
    except Diverged as wrong:
        return str(wrong), plan, alone, operations
    return None


def replay(server, plan, alone, operations, show=False):
    """Do a trace; None or what is wrong."""
    what = None
    try:
        pair = Pair(server, plan, alone=alone)
        server.info = min(frame for frame in server.frames if server.type(frame) == spec.INFO)
        for what in operations:
            if what[0] == 'recover':
                pair.recover()
                continue
            reply = pair.step(what)
            if show:
                print('%s  -> %s' % (line_of(what), reply))
            if pair.over():
                break
            pair.compare_all()
    except Diverged as wrong:
        if show:
            print('%s  -> WRONG' % (line_of(what) if what else 'boot'))
        return str(wrong)
    return None


def minimise(server, plan, alone, operations):
    """Leave out what the failure does not need."""
    end, size = time.time() + 60, max(1, len(operations) // 2)
    while size and time.time() < end:
        at = 0
        while at < len(operations) and time.time() < end:
            shorter = operations[:at] + operations[at + size:]
            if replay(server, plan, alone, shorter):
                operations = shorter
            else:
                at += size
        size //= 2
    return operations


# -------------------------------------------------------------------- traces as text
def word_of(argument):
    if isinstance(argument, tuple):
        what, place, difference = argument
        return what + '%x' % place + ('%+d' % difference if difference else '')
    return '0x%x' % argument


def line_of(operation):
    kind, hart, name, arguments, extra = operation
    words = [kind, str(hart)] + ([name] if name else []) + [word_of(x) for x in arguments]
    return ' '.join(words + (['extra=%d' % extra] if extra else []))


def argument_of(word):
    if word[0] in 'htg':
        place, sign, difference = word[1:].partition('+') if '+' in word else word[1:].partition('-')
        return word[0], int(place, 16), int(sign + difference) if sign else 0
    return int(word, 0)


def operation_of(line):
    words = line.split()
    extra = int(words.pop().partition('=')[2]) if 'extra=' in words[-1] else 0
    kind, hart, rest = words[0], int(words[1]) if len(words) > 1 else 0, words[2:]
    name = rest.pop(0) if kind in ('call', 'job') else ''
    return kind, hart, name, [argument_of(word) for word in rest], extra


def trace_write(path, wrong, seed, plan, alone, operations):
    with open(path, 'w') as file:
        file.write('# %s\n# seed %d\nmachine %d %d %d %d %d%s\n' % ((wrong, seed) + plan + (' alone' if alone else '',)))
        file.writelines(line_of(x) + '\n' for x in operations)


def trace_read(path):
    plan, alone, operations = None, False, []
    with open(path) as file:
        for line in file:
            line = line.partition('#')[0].partition('->')[0].strip()
            if line.startswith('machine'):
                words = line.split()
                plan, alone = tuple(int(x) for x in words[1:6]), words[-1] == 'alone'
            elif line:
                operations.append(operation_of(line))
    return plan, alone, operations


def fail(server, found, seed, directory):
    wrong, plan, alone, operations = found
    print('WRONG (seed %d, %d operations): %s' % (seed, len(operations), wrong), flush=True)
    operations = minimise(server, plan, alone, operations)
    path = os.path.join(directory, 'sequence-%d.trace' % seed)
    trace_write(path, replay(server, plan, alone, operations) or wrong, seed, plan, alone, operations)
    print('%d operations in %s:' % (len(operations), path))
    replay(server, plan, alone, operations, True)
    return 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('server')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--minutes', type=float)
    parser.add_argument('--steps', type=int)
    parser.add_argument('--run', type=int, metavar='SEED')
    parser.add_argument('--replay', metavar='FILE')
    parser.add_argument('--out', default='.', help='where a failing trace is written')
    options = parser.parse_args()
    server, statistics, start = Server(options.server), {}, time.time()
    if options.replay:
        wrong = replay(server, *trace_read(options.replay), True)
        print(wrong or 'nothing is wrong')
        return bool(wrong)
    seed = options.seed * 1000000 if options.run is None else options.run
    while True:
        found = run(server, seed, statistics)
        if found:
            return fail(server, found, seed, options.out)
        seed += 1
        if options.run is not None:
            break
        if options.minutes and time.time() - start > 60 * options.minutes:
            break
        if options.steps and server.steps >= options.steps:
            break
        if not options.minutes and not options.steps:
            break
    seconds = time.time() - start
    for key in sorted(statistics):
        print('%-14s %-8s %d' % (key + (statistics[key],)))
    print('%d steps in %.0f s (%.0f a second), nothing is wrong' % (server.steps, seconds, server.steps / seconds))
    return 0


if __name__ == '__main__':
    sys.exit(main())
