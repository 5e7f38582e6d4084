#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The kernel core behind `server`, and a twin beside it: what sequence.py runs its operations on.

`Server` talks to the process and keeps a mirror of the kernel's state from what the answers say has changed.  `Pair`
does an operation on the kernel and on a twin and compares answers and states.

An operation is a tuple (kind, hart, name, arguments, extra): kind `call`, or `job` (a call repeated until it does not
answer AGAIN or REAP any more), or `continue`, `interrupt`, `fault`, `touch`, `vector`, `time` (passes, and nobody looks
yet).  `extra` is the deadline of pct_call_until, and of page calls how many entries are done until an interrupt seems
to come.  Arguments are numbers, or symbols that are resolved when the operation is done, so that a sequence still makes
sense when parts of it are left out:
    ('h', place, d)  the handle of the slot at this place of the caller's table, its generation plus d
    ('t', place, d)  the same in the table of the environment that the first argument names
    ('g', frame, 0)  the generation of the environment with this ENV frame
"""
import os
import re
import struct
import subprocess

import twin as spec
from twin import Machine, Refuse, Slot, Table, Env

# The table of calls is the ABI's own.
ABI = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../exo/include/exo/abi.h')


def abi_table(name):
    with open(ABI) as file:
        return re.search(r'#define %s\(X\)(.*?[^\\])\n' % name, file.read(), re.S).group(1)


CALLS = [(int(number), name, int(count)) for number, name, count in re.findall(r'X\((-?\d+), (\w+), (\d+)\)',
                                                                                     abi_table('EXO_CALLS'))]
NUMBER = {name: number for number, name, _ in CALLS}
ARGUMENTS = {name: count for _, name, count in CALLS}
ERRORS = {int(number): name for number, name in re.findall(r'X\((-\d+), (\w+),', abi_table('EXO_ERRORS'))}
RANGE_CALLS = ('page_map', 'page_unmap', 'page_protect', 'page_harvest')
BOOT, CALL, CONTINUE, INTERRUPT, FAULT, TOUCH, VECTOR, RECOVER, TIME = range(1, 10)
FRAME, GROUP, ENTRY, SLOT, ROW, ENV, GONE = range(1, 8)
REQUEST, REPLY, HART = struct.Struct('<IIqQ7Q'), struct.Struct('<qQIIII'), struct.Struct('<IIQQ7Q')
MASK = (1 << 64) - 1
ENV_WORDS = 16                                             # of an environment's, before its CAPS frames
JOB_STEPS = 5000                                           # a job that takes more never ends
SWITCHES = ('yield', 'wait', 'notify', 'pct_call', 'pct_call_until', 'pct_reply', 'exit')
CLOCK = 1000                                               # what the time counter of the modelled machine shows


class Diverged(Exception):
    """The kernel is wrong: an invariant broke, or it differs from the twin."""


class Gone(Diverged):
    """The process ended: the kernel panicked, or a sanitizer found something."""


def slot_shown(words):
    """Like Machine.shown_slot, from the kernel's words."""
    word = words[0]
    return (word & 7, word >> 3 & 15, word >> 7 & 15, (word & 0xffffffff) >> 11, word >> 32, words[1], words[2], words[3],
            words[4], words[5], words[6], words[11] >> 40 & 0xff, words[12] & 0xffffffff, words[12] >> 32,
            words[13] & 0xffffffff, words[13] >> 32, words[7], words[8] if words[7] else 0)


EMPTY_SLOT = slot_shown((0,) * 14)


class Server:
    def __init__(self, path):
        self.path, self.process, self.steps = path, None, 0
        self.start()

    def start(self):
        options = dict(os.environ)
        options.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
        self.process = subprocess.Popen([self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=-1, env=options)

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def read(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            self.process.wait()
            lines = self.process.stderr.read().decode(errors='replace').splitlines()
            lines = [line for line in lines if 'makecontext' not in line]
            what = ' / '.join(lines[:8]) or 'it hangs' if self.process.returncode == -14 else ' / '.join(lines[:8])
            self.close()
            self.start()
            raise Gone('the kernel ended: ' + what)
        return data

    def request(self, operation, hart=0, number=0, arguments=(), extra=0):
        """Do one operation; returns (value, detail).  `changed` lists what changed: (kind, key)."""
        arguments = tuple(arguments) + (0,) * (7 - len(arguments))
        try:
            self.process.stdin.write(REQUEST.pack(operation, hart, number, extra, *arguments))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        self.steps += 1
        value, detail, status, words, message, harts = REPLY.unpack(self.read(REPLY.size))
        found = list(HART.iter_unpack(self.read(HART.size * harts)))
        self.harts = [hart[:3] for hart in found]          # (state, ipi, ENV frame) of each
        self.timers, self.words = [hart[3] for hart in found], [list(hart[4:]) for hart in found]
        data = struct.unpack('<%dQ' % words, self.read(8 * words)) if words else ()
        self.changed = []
        text = self.read(message).decode() if message else ''
        self.update(data)
        if status:
            raise Diverged(text)
        return value, detail

    def pending(self, hart):
        """Is an interrupt of the hart pending?"""
        return bool(self.harts[hart][1]) or self.timers[hart] <= self.clock

    def advance(self, ticks):
        self.clock += ticks
        self.request(TIME, 0, 0, (ticks,))

    def boot(self, groups, harts, asids, split, fast=0):
        self.frames, self.groups, self.entries, self.slots, self.rows, self.envs = {}, {}, {}, {}, {}, {}
        self.clock = CLOCK
        self.request(BOOT, 0, 0, (groups, harts, asids, split, fast))
        self.init = self.harts[0][2]

    def update(self, data):
        at = 0
        while at < len(data):
            kind, count, key = data[at] >> 32, data[at] & 0xffffffff, data[at + 1]
            words = data[at + 2:at + 2 + count]
            at += 2 + count
            self.changed.append((kind, key))
            if kind == FRAME:
                self.frames[key] = words
            elif kind == ENTRY:
                self.entries.setdefault(key >> 9, {})[key & 511] = words[0]
            elif kind == SLOT:
                self.slots.setdefault(key >> 5, {})[key] = slot_shown(words)
            elif kind == GROUP:
                self.groups[key] = words[0]
            elif kind == ROW:
                self.rows[key] = words
            elif kind == ENV:
                self.envs[key] = words
            else:
                for table in (self.entries, self.slots, self.envs):
                    table.pop(key, None)

    # what the mirror says, in the words of the twin
    def shown(self, kind, key):
        if kind == FRAME:
            return self.frames.get(key, (0, 0))
        if kind == GROUP:
            return self.groups.get(key, 0)
        if kind == ENTRY:
            return self.entries.get(key >> 9, {}).get(key & 511, 0)
        if kind == SLOT:
            return self.slots.get(key >> 5, {}).get(key, EMPTY_SLOT)
        if kind == ROW:
            env, match, binder, holder, flags, left, time = self.rows[key]
            return (env, match, binder, holder, flags, left, time) if env else (0, 0, 0, holder, 0, 0, time)
        return self.envs.get(key)

    def type(self, frame):
        return self.frames.get(frame, (0, 0))[0] >> 56

    def leader(self, env):
        return self.envs[env][1]

    def place_link(self, space, place):
        """The link of the slot at a place (table * 32 + index) of a space's table, or None."""
        table, index = place >> 5, place & 31
        if table == 0:
            return space * 32 + spec.ENV_FIRST + index if index < spec.ENV_SLOTS else None
        caps = self.envs[space][ENV_WORDS:]
        return caps[table - 1] * 32 + index if table <= len(caps) and caps[table - 1] and index else None

    def table_of(self, space):
        """(place, slot) of all slots of a space."""
        found = [(i, self.shown(SLOT, space * 32 + spec.ENV_FIRST + i)) for i in range(spec.ENV_SLOTS)]
        for number, caps in enumerate(self.envs[space][ENV_WORDS:], 1):
            if caps:
                found += [(number << 5 | i, self.shown(SLOT, caps * 32 + i)) for i in range(1, spec.CAPS_SLOTS)]
        return found

    def tables(self, space):
        """(virtual address, level, entries) of the tables of a space, of level 1 and 0."""
        found, todo = [], [(self.envs[space][3], 2, 0)]
        while todo:
            table, level, base = todo.pop()
            entries = self.entries.get(table, {})
            if level < 2:
                found.append((base, level, entries))
            if level:
                todo += [(pte >> 10 & (1 << 44) - 1, level - 1, base + (i << 12 + 9 * level))
                         for i, pte in entries.items() if pte & 15 == 1 and (level < 2 or i < 256)]
        return found

    def handle(self, space, place, difference):
        link = self.place_link(space, place)
        gen = self.shown(SLOT, link)[4] if link is not None else 0
        return (gen + difference) << 32 & MASK | place << 7

    def twin(self, rules):
        """A twin in the state that the mirror shows; for a machine that has just booted."""
        known = [frame for frame, words in self.frames.items() if words[0] or words[1]]
        first = min(self.groups) << 9 if self.groups else 0
        machine = Machine(first, 0, len(self.harts), 1, rules)
        for frame in known:
            word, state = self.frames[frame]
            kind = word >> 56
            if kind:
                machine.type[frame] = kind
                machine.word1[frame] = state & (1 << 26) - 1 if kind in (spec.ROOT, spec.CTX, spec.CAPS) else None
            if kind == spec.TABLE:
                machine.word1[frame] = Table(state >> 20 & (1 << 26) - 1, state >> 11 & 511, state >> 46 & 3, state & 1023,
                                             bool(state >> 63))
            machine.maps[frame] = word >> 24 & spec.MAPS_MAX
            if kind in (spec.TABLE, spec.ROOT):
                machine.tables[frame] = {i: pte for i, pte in self.entries.get(frame, {}).items()
                                         if kind == spec.TABLE or i < 256}
        for group, word in self.groups.items():
            machine.typed[group], machine.leaves[group] = word >> 32, word & 0xffffffff
        for frame, words in self.envs.items():
            gen, leader, ctx, root, first_cap = words[:5]
            state = self.frames[frame][1]
            machine.envs[frame] = Env(frame=frame, gen=gen, born=gen, leader=leader, ctx=ctx, root=root,
                                      first_cap=first_cap, state=spec.READY, asid=words[6], rows={0}, urgent={0})
            for i in range(spec.ENV_SLOTS):
                link = frame * 32 + spec.ENV_FIRST + i
                machine.slots[link] = Slot(link, i << 7)
            machine.next_gen = max(machine.next_gen, gen + 1)
        children = {}
        for slots in self.slots.values():
            for link, shown in slots.items():
                slot = machine.slots.setdefault(link, Slot(link, shown[3] << 11))
                (slot.state, slot.cls, slot.rights, _, slot.gen, slot.first, slot.count, slot.tail, slot.keep, slot.extra,
                 slot.match, slot.depth, slot.parent) = shown[:13]
                children[link] = shown[13]
        for link, child in children.items():
            kid = child
            while kid:
                machine.slots[link].kids.append(kid)
                kid = self.shown(SLOT, kid)[15]
                if kid == child:
                    break
        for row, words in self.rows.items():
            machine.holder[row] = words[3]
            if words[0]:
                machine.rows[row] = (words[0], words[2], machine.envs[words[0]].gen, words[4])
        machine.init = self.init
        return machine


def answer_class(value):
    return 'ok' if value >= 0 else {-1: 'again', -2: 'again'}.get(value, 'error')


class Pair:
    """A kernel and, unless `alone`, a twin beside it."""

    def __init__(self, server, plan, rules=None, alone=False):
        self.server, self.plan, self.vectors = server, plan, {}
        groups, harts, asids, split, fast = plan
        server.boot(groups, harts, asids, split, fast)
        self.twin = None
        if not alone:
            self.twin = server.twin(frozenset(spec.RULES) if rules is None else rules)
            self.twin.ram_first, self.twin.ram_count = min(server.groups) << 9, groups << 9
            self.twin.asids, self.twin.stepwise, self.twin.split, self.twin.clock = asids, False, bool(split), CLOCK
            self.twin.began = CLOCK
            for index in range(harts):
                self.twin.start(index)
            self.compare_all()

    # ---------------------------------------------------------------- one operation
    def resolve(self, hart, name, arguments):
        """Numbers for symbols, from the kernel's state."""
        server, env = self.server, self.server.harts[hart][2]
        space, out = server.leader(env), []
        for argument in arguments:
            if isinstance(argument, tuple):
                what, place, difference = argument
                if what == 'g':
                    argument = server.envs[place][0] if place in server.envs else 0
                else:
                    where = space
                    if what == 't':
                        link = server.place_link(space, out[0] >> 7 & 0x1ffffff) if out and out[0] else None
                        slot = server.shown(SLOT, link) if link is not None else EMPTY_SLOT
                        where = server.leader(slot[5]) if slot[1] == spec.ENVC and slot[5] in server.envs else space
                    argument = server.handle(where, place, difference)
            out.append(argument & MASK)
        return out

    def possible(self, operation):
        """Can the hart do this in its present state?"""
        kind, hart = operation[0], operation[1]
        if hart >= len(self.server.harts):
            return False
        state = self.server.harts[hart][0]
        if kind == 'time':
            return True
        if kind == 'continue':
            return state == spec.PAUSED or state == spec.IDLE and self.server.pending(hart)
        if kind == 'interrupt':
            return state == spec.PROGRAM and self.server.pending(hart)
        if kind == 'touch':
            return state in (spec.PROGRAM, spec.PAUSED)
        return state == spec.PROGRAM

    def step(self, operation):
        """Do an operation; returns the kernel's (value, detail), or None if it is not possible now."""
        if not self.possible(operation):
            return None
        kind, hart, name, arguments, extra = operation
        if kind == 'job' and not (name == 'cap_revoke' and arguments[2] > self.server.clock):
            return self.job(hart, name, arguments)
        if kind in ('call', 'job'):
            numbers = self.resolve(hart, name, arguments)
            reply = self.call(hart, name, numbers, extra)
        elif kind == 'touch':
            reply = self.server.request(TOUCH, hart, 0, arguments)
            if self.twin:
                frame = self.twin.touch(hart, arguments[0], bool(arguments[1]))
                self.same(reply[1] if reply[0] else None, frame, 'the touched frame')
        elif kind == 'time':
            self.server.advance(arguments[0])
            reply = 0, 0
            if self.twin:
                self.twin.clock += arguments[0]
        elif kind == 'vector':
            reply = self.server.request(VECTOR, hart, arguments[0], arguments[1:8])
            env = self.server.harts[hart][2]
            vector = self.vectors.setdefault(env, {})
            vector.update({arguments[0] + i: word for i, word in enumerate(arguments[1:8])})
        else:
            reply = self.event(kind, hart)
        self.compare()
        return reply

    def event(self, kind, hart):
        number = {'continue': CONTINUE, 'interrupt': INTERRUPT, 'fault': FAULT}[kind]
        reply = self.server.request(number, hart, 0, (13, 0))
        if self.twin:
            getattr(self.twin, {'continue': 'go_on'}.get(kind, kind))(hart)
        return reply

    def call(self, hart, name, numbers, extra=0):
        """One call on both, the answers compared."""
        pending, env = self.server.pending(hart), self.server.harts[hart][2]
        reply = self.server.request(CALL, hart, NUMBER[name], numbers, extra)
        if name == 'cap_revoke' and numbers[2] > self.server.clock:
            changed = self.server.changed                  # the twin tells all in one step
            while reply == (spec.AGAIN, 0):
                reply = self.server.request(CALL, hart, NUMBER[name], numbers)
                changed = self.server.changed = changed + self.server.changed
        if self.twin and not self.over():
            limited = name in RANGE_CALLS and (extra or pending or name == 'page_map')
            answer = self.twin_call(hart, env, name, numbers, reply[0] if limited and reply[0] > 0 else None, extra)
            if answer is not None:
                self.same_answer(name, reply[0], answer)
            if name == 'env_regs' and numbers[1] == 0 and reply[0] == 0:
                self.clear_registers(hart, env)
        self.promise(hart, env, name, numbers, reply[0])
        return reply

    def clear_registers(self, hart, env):
        """The vector has registers now, of which the twin knows nothing."""
        changed = self.server.changed
        for first in range(0, 35, 7):
            self.server.request(VECTOR, hart, first, (0,) * 7)
        self.server.changed = changed
        self.vectors[env] = {i: word for i, word in self.vectors.get(env, {}).items() if i >= 35}

    def twin_call(self, hart, env, name, numbers, limit=None, deadline=0):
        """The twin's answer: a number, (AGAIN or REAP or SELF, environment), the name of an error; None: it switched."""
        machine, extra = self.twin, {}
        machine.here = hart
        at = machine.harts[hart]
        numbers = numbers[:ARGUMENTS[name]]
        if name in SWITCHES:
            return self.twin_switch(at, name, numbers, deadline)
        if limit:
            extra['limit'] = limit
        if name == 'page_map':
            vector = self.vectors.get(env, {})
            extra['vector'] = [vector.get(i, 0) for i in range(256)]
        at.words = None
        try:
            answer = getattr(machine, name)(hart, *numbers, **extra)
        except Refuse as refused:
            return str(refused)
        if name == 'page_harvest':
            self.vectors.setdefault(env, {}).update(enumerate(machine.harvest))
        return answer

    def twin_switch(self, at, name, numbers, deadline):
        """A call that may let another environment run here."""
        machine, index = self.twin, at.index
        at.words = None
        try:
            if name == 'pct_call' or name == 'pct_call_until':
                machine.pct_call(index, numbers[:6], numbers[6], deadline if name == 'pct_call_until' else spec.NEVER)
            elif name == 'pct_reply':
                machine.pct_reply(index, numbers)
            elif name == 'wait':
                answer = machine.wait_for(index, *numbers)
                if not isinstance(answer, tuple):
                    return answer
            elif name == 'notify':
                answer = machine.notify(index, *numbers)
                if not isinstance(answer, tuple):
                    return answer
            elif name == 'yield':
                machine.yield_to(index, numbers[0])
                return machine.harts[index].answer
            else:
                machine.exit(index)
                return 0
        except Refuse as refused:
            return str(refused)
        return None

    def same_answer(self, name, value, answer):
        if isinstance(answer, tuple):
            answer = answer[0]
        theirs = 'error' if isinstance(answer, str) else answer_class(answer)
        if answer_class(value) != theirs or theirs == 'ok' and value != answer:
            raise Diverged('%s: the kernel answers %d, the twin %s' % (name, value, answer))

    def promise(self, hart, env, name, numbers, value):
        """What a successful end of a long job says of the state, whoever did the other steps of it."""
        server = self.server
        if value != 0 or name not in ('cap_revoke', 'cap_drop', 'env_reap') or self.over():
            return
        if name == 'env_reap':
            self.same(server.type(numbers[0]) == spec.ENV, False, 'whether the reaped frame is still an environment')
            return
        space = server.leader(env)
        link = server.place_link(space, numbers[0] >> 7 & 0x1ffffff)
        if link is None or server.harts[hart][2] != env:
            return                                         # the drop of its first capability ended the caller
        slot = server.shown(SLOT, link)
        if name == 'cap_drop':
            self.same(slot[0] == spec.EMPTY or slot[5] + slot[6] + slot[7] <= numbers[1], True, 'what a drop leaves')
            return
        kid = slot[13]
        while kid:
            child = server.shown(SLOT, kid)
            if child[1] != spec.DONATION:
                self.same(child[5] + child[6] + child[7] <= numbers[1], True, 'what a revocation leaves in 0x%x' % kid)
            kid = child[15] if child[15] != slot[13] else 0

    # ---------------------------------------------------------------- jobs
    def settle(self, kernel):
        """All pending interrupts are taken and all that is paused goes on, of the kernel or of the twin."""
        changed = True
        while changed:
            changed = False
            for index in range(len(self.server.harts)):
                if kernel:
                    state, ipi = self.server.harts[index][0], self.server.pending(index)
                else:
                    hart = self.twin.harts[index]
                    state, ipi = hart.state, self.twin.pending(hart)
                if state == spec.PAUSED or state == spec.IDLE and ipi:
                    what = 'continue'
                elif state == spec.PROGRAM and ipi:
                    what = 'interrupt'
                else:
                    continue
                changed = True
                if kernel:
                    self.server.request({'continue': CONTINUE, 'interrupt': INTERRUPT}[what], index)
                else:
                    getattr(self.twin, {'continue': 'go_on'}.get(what, what))(index)

    def job(self, hart, name, arguments):
        """A call until it has an end, with reaping of what is in its way, on the kernel and then on the twin."""
        numbers, env = self.resolve(hart, name, arguments), self.server.harts[hart][2]
        self.settle(True)                                  # what other harts have asked for comes first
        if self.twin:
            self.settle(False)
            self.compare()
        if self.server.harts[hart][0] != spec.PROGRAM or self.server.harts[hart][2] != env:
            return 0, 0

        def kernel(call, args):
            reply = self.server.request(CALL, hart, NUMBER[call], args)
            self.settle(True)
            return reply, self.server.harts[hart][2] == env and self.server.harts[hart][0] == spec.PROGRAM

        def model(call, args):
            answer = self.twin_call(hart, env, call, args)
            if isinstance(answer, tuple):
                reply = answer
            elif isinstance(answer, str):
                reply = (-99, answer)
            else:
                reply = (answer, 0)
            self.settle(False)
            return reply, self.twin.harts[hart].env == env and self.twin.harts[hart].state == spec.PROGRAM

        reply, alive = self.drive(kernel, name, numbers)
        if self.twin and not self.over():
            theirs, alive_too = self.drive(model, name, numbers)
            self.same(alive, alive_too, 'whether the caller still runs')
            self.same_answer(name, reply[0], theirs[1] if theirs[0] == -99 else theirs[0])
            self.promise(hart, env, name, numbers, reply[0])
            self.compare_all()
        return reply

    def drive(self, call, name, numbers):
        stack = []
        for _ in range(JOB_STEPS):
            what = ('env_reap', [stack[-1]]) if stack else (name, numbers)
            reply, alive = call(*what)
            if not alive or reply == (spec.REAP, self.server.init):
                return reply, False
            if reply[0] == spec.REAP:
                if reply[1] in stack:
                    raise Diverged('%s: reaping %x waits for itself' % (name, reply[1]))
                stack.append(reply[1])
            elif reply[0] != spec.AGAIN:
                if not stack:
                    return reply, True
                stack.pop()
                if reply[0] < 0:
                    return reply, True
        raise Diverged('%s never ends' % name)

    # ---------------------------------------------------------------- comparing
    def same(self, kernel, model, what):
        if kernel != model:
            raise Diverged('%s: kernel %s, twin %s' % (what, kernel, model))

    def model_shown(self, kind, key):
        machine = self.twin
        if kind == FRAME:
            return machine.shown_frame(key)
        if kind == GROUP:
            return machine.shown_group(key)
        if kind == ENTRY:
            if key >> 9 in machine.tables and (key & 511) < 256 or machine.type.get(key >> 9) == spec.TABLE:
                return machine.tables[key >> 9].get(key & 511, 0)
            return self.server.shown(kind, key) if machine.type.get(key >> 9) == spec.ROOT else 0
        if kind == SLOT:
            return machine.shown_slot(key)
        if kind == ROW:
            return machine.shown_row(key)
        return machine.shown_env(key) if key in machine.envs else None

    def compare_key(self, kind, key):
        mine, theirs = self.server.shown(kind, key), self.model_shown(kind, key)
        if mine != theirs:
            names = {FRAME: 'frame', GROUP: 'group', ENTRY: 'entry', SLOT: 'slot', ROW: 'row', ENV: 'environment'}
            raise Diverged('%s 0x%x: kernel %s, twin %s' % (names[kind], key, hexes(mine), hexes(theirs)))

    def over(self):
        """Has the machine ended, or must it soon because init is dying?"""
        dying = self.server.frames[self.server.init][1] & spec.KILL
        return bool(dying) or any(state == spec.OFF for state, _, _ in self.server.harts)

    def compare(self):
        """What the last operation changed in the kernel, and the harts."""
        if not self.twin or self.over():
            return
        for kind, key in self.server.changed:
            if kind != GONE:
                self.compare_key(kind, key)
        for index, (state, ipi, env) in enumerate(self.server.harts):
            hart = self.twin.harts[index]
            self.same((state, env if state == spec.PROGRAM else 0), (hart.state, hart.env if state == spec.PROGRAM else 0),
                      'hart %d (state, environment)' % index)
            self.same(bool(ipi), hart.ipi, 'whether hart %d was told' % index)
            if not ipi:                                    # else it is set when the hart looks; the fast ways leave it
                self.same(self.server.timers[index], hart.timer, 'the timer of hart %d' % index)
            if state == spec.PROGRAM and hart.words:
                self.same([hex(x) for x in self.server.words[index]], [hex(x) for x in hart.words],
                          'the words of hart %d' % index)

    def compare_all(self):
        """All that either knows of."""
        if not self.twin or self.over():
            return
        self.compare()
        server, machine = self.server, self.twin
        keys = {(FRAME, x) for x in server.frames} | {(FRAME, x) for x in machine.type} | {(FRAME, x) for x in machine.maps}
        keys |= {(GROUP, x) for x in server.groups} | {(GROUP, x) for x in machine.typed}
        keys |= {(SLOT, x) for slots in server.slots.values() for x in slots} | {(SLOT, x) for x in machine.slots}
        keys |= {(ENTRY, t << 9 | i) for t, entries in server.entries.items() for i in entries}
        keys |= {(ENTRY, t << 9 | i) for t, entries in machine.tables.items() for i in entries}
        keys |= {(ROW, x) for x in server.rows} | {(ENV, x) for x in server.envs} | {(ENV, x) for x in machine.envs}
        for kind, key in keys:
            self.compare_key(kind, key)

    def recover(self):
        """All but init die and init gets every name back; the machine is of no use afterwards."""
        self.server.request(RECOVER)


def hexes(value):
    if isinstance(value, tuple):
        return '(' + ' '.join(hexes(x) for x in value) + ')'
    return hex(value) if isinstance(value, int) else str(value)
