#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The twin: an executable specification of capabilities, frames, spaces, environments, time, calls and events.

It has the sizes of the real kernel (512-entry tables of three levels, 16 slots in an ENV frame, 31 in a CAPS frame) and
keeps them sparse, so that the sequence fuzzer can run a kernel core and a twin side by side and compare them word by
word.  A call of the twin is one bounded step, atomic as it is under its locks; a long job is a call that answers AGAIN
(or REAP: another environment must be reaped first) and is called again.  A refused call raises Refuse and has changed
nothing.  `walk` checks every invariant in any state.

A slot is named by its link: physical address / 128, that is frame * 32 + index of the slot in its frame.  Page-table
entries are the 64-bit words of Sv39.  Everything else is plain numbers.

RULES names the rules without which the specification breaks; tests drop them one by one to see that they are caught.
"""

R, W, X = 1, 2, 4                                          # rights of PAGE
BIND, URGENT = 1, 2                                        # rights of SLICE
CALL, NOTIFY, CONTROL = 1, 2, 4                            # rights of ENV
CONSOLE, POWER, TRACE = 1, 2, 4                            # rights of MACHINE
EMPTY, OPEN, LIVE, CUTTING, LOST = range(5)                # states of a slot
PAGE, SLICE, ENVC, MACHINE, DONATION = 1, 2, 6, 7, 8       # classes
DATA, DEVICE, CTX, RING, TABLE, ROOT, ENV, CAPS, QUEUE, INFO, KERNEL = range(11)   # types of frame
STOPPED, READY, RUN, WAIT, ACCEPT, CALLING = range(1, 7)   # states of an environment
STOP, KILL, FAULT, INCALL = 0x10, 0x20, 0x40, 0x80         # flags of an environment
KEPT_TYPES = (TABLE, ROOT, ENV, CAPS, QUEUE, INFO)         # kernel-written: mapped read-only at most

OK, AGAIN, REAP, SELF = 0, -1, -2, -3
PROGRAM, PAUSED, IDLE, OFF = range(4)                      # states of a hart

# Places within a frame, in slots: an ENV frame has its slots from ENV_FIRST on and then its donations.
ENV_FIRST, ENV_SLOTS, ENV_DONATIONS, CAPS_SLOTS, CAPS_FRAMES = 8, 16, 24, 32, 31
GEN_MAX, DEPTH_MAX, PAGES_MAX, ROWS = 0x7fffffff, 32, 256, 64
DERIVE_ROWS = 256
VA_LIMIT, SPACE_PAGES, GROUP = 1 << 38, 1 << 26, 512
MAPS_MAX = (1 << 23) - 1
COUNT_LARGE = 1 << 63
V, U, A, D, SOFT = 1, 0x10, 0x40, 0x80, 0x300              # bits of an entry
LARGE, REPLACE, VECTOR = 0x10, 0x20, 0x40                  # flags of page_map
PAYLOAD_ZERO = V | U
WORD = (1 << 64) - 1
EVENTS, CHILD, REVOKE = (1 << 56) - 1, 1 << 56, 1 << 57    # event bits of programs, and of the kernel
NEVER, CHAIN_MAX = WORD, 8
ROW_TICKS, GRACE_TICKS = 10000, 200                        # of the modelled machine, 10 MHz
TAKE_BACK = GRACE_TICKS // 8                               # what an urgent row pays for interrupting
WAKE_STEP = 8                                              # sleepers that one look at the deadlines wakes

RULES = {
    'keep0':    'a promise of length 0 never refuses a revocation',
    'topdown':  'a cut shrinks every slot on the way down before the leaf is cut',
    'donor':    'a donated frame hangs below the very slot it was donated through',
    'rescan':   'a new binding through a slot restarts the scan of a grant in progress',
    'live':     '... but not the sweep of a cut in progress',
    'groups':   'the scan of a grant looks at the group words (large leaves) too',
    'closing':  'a TABLE that a cut is emptying takes no new entries',
    'envgen':   'generations of environments come from one counter that never restarts',
    'tlbgen':   'TLB generations come from one counter that never restarts',
    'release':  'a typed frame goes back to DATA whatever read-only mappings it has',
    'usecut':   'the names that remain of a slot stay usable while its tail is being cut',
    'lastcaps': 'CAPS frames are reaped last donated first, the ENV frame last',
    'suicide':  'no call kills its own caller: it answers SELF, the frame must be taken back first',
    'leader':   'ENTER looks at the state of the leader too',
    'unbind':   'a cut of rows takes out what is bound to them',
    'capsgen':  'a CAPS frame at a place of the table goes on with the generations of the one before',
    'erase':    'donating a frame, which zeroes it, needs R and W',
    'endless':  'a donation never outlives the slice (it did in Xok)',
    'owner':    'who wakes takes back the rest of its own row that is being filled',
    'credit':   'an urgent row gives no more than its owner slept through in this round',
    'ended':    'an answer goes to the call it is for, and to no later one of the same caller (P1)',
    'orphans':  'the death of a callee ends the call that it serves (P4)',
    'dead':     'a row runs the chain of calls of none that is dying',
    'cutcall':  'a call ends with the capability it was made through',
    'chain':    'who wakes one that serves tells the harts that have rows of its callers (W3)',
    'deadline': 'a deadline is watched by a hart that has a row of the sleeper (W2)',
    'depth':    'a chain of calls has an end',
    'kept':     'an event that comes while nobody waits stays, in every state',
    'masked':   'a wait takes the events of its mask and leaves the others',
    'announce': 'a revocation that is only announced takes nothing, and tells all below',
}


class Refuse(Exception):
    """A call was refused; the state is as before."""


class Broken(Exception):
    """An invariant does not hold."""


def need(condition, error):
    if not condition:
        raise Refuse(error)


class Slot:
    __slots__ = ('link', 'place', 'state', 'cls', 'rights', 'gen', 'first', 'count', 'tail', 'keep', 'extra', 'match',
                 'cursor', 'depth', 'parent', 'kids', 'born', 'due', 'due_from')

    def __init__(self, link, place, gen=0):
        self.link, self.place, self.gen = link, place, gen
        self.clear()

    def clear(self, state=EMPTY):
        self.state, self.cls, self.rights = state, 0, 0
        self.first = self.count = self.tail = self.keep = self.extra = self.match = self.cursor = self.depth = self.born = 0
        self.due = self.due_from = 0                       # until when which names are to be given up
        self.parent, self.kids = 0, []

    def end(self):
        return self.first + self.count + self.tail

    def handle(self):
        return self.place | self.gen << 32

    def covers(self, first, count):
        return self.first <= first and first + count <= self.first + self.count

    def shared(self):
        return self.cls != SLICE

    def fillable(self):
        return self.state == EMPTY and self.gen < GEN_MAX - 1


class Env:
    """An environment; what belongs to a space is in its leader's.

    `hart` is where it runs, or while it is CALLING the callee's ENV frame.  `rows` are the harts that have rows of it,
    `urgent` those where one is or was urgent; `caller` is (ENV frame, generation, its INCALL flag) of whom it serves.
    `words` are a0 to a6 as it will find them when it runs again, None if nobody knows.
    """
    __slots__ = ('events', 'mask', 'deadline', 'caller', 'depth', 'call', 'urgent', 'words',
                 'frame', 'gen', 'state', 'flags', 'hart', 'leader', 'ctx', 'root', 'first_cap', 'caps', 'caps_gen',
                 'tlb_gen', 'asid', 'sweep', 'added', 'rows', 'donated',
                 'born')

    def __init__(self, **values):
        self.flags = self.hart = self.first_cap = self.caps_gen = self.tlb_gen = self.asid = self.sweep = 0
        self.donated = self.born = 0
        self.events = self.mask = self.call = 0
        self.deadline, self.depth, self.caller, self.words = NEVER, CHAIN_MAX, None, None
        self.caps, self.added, self.rows, self.urgent = [0] * CAPS_FRAMES, [], set(), set()
        for name, value in values.items():
            setattr(self, name, value)


class Hart:
    """`space` is the leader of the space entered, `satp` of that in satp; `active` the roots of the space being
    entered and of the one in satp; `running` the row that gave it what it runs or is about to run, plus 1.

    `row` is the current row, whose time it is until `end`; what runs must stop at `until`.  It `borrows` when an urgent
    row interrupts the current one, and `fills` when the rest of the current row was given to another, `filled` last.
    `timer` is when the timer goes off, `deadline` is not after that of any sleeper the hart must wake.  `words` are a0 to
    a6 of the program that runs, None if nobody knows.
    """
    __slots__ = ('index', 'env', 'space', 'row', 'seen', 'tlb', 'ipi', 'active', 'idle', 'state', 'fiber', 'answer',
                 'satp', 'running', 'end', 'until', 'since', 'borrows', 'fills', 'filled', 'told', 'recall', 'deadline',
                 'timer', 'words')

    def __init__(self, index):
        self.index, self.env, self.space, self.active = index, 0, 0, (0, 0)
        self.row = self.filled = index * ROWS + ROWS - 1
        self.end = self.until = self.since = 0
        self.borrows = self.fills = self.told = self.recall = False
        self.deadline = self.timer = NEVER
        self.words = None
        self.seen, self.tlb, self.ipi, self.idle = {}, {}, False, False
        self.state, self.fiber, self.answer, self.satp, self.running = IDLE, None, OK, 0, 0


class Table:
    """Word 1 of a TABLE frame."""
    __slots__ = ('parent', 'index', 'level', 'live', 'closing')

    def __init__(self, parent, index, level, live=0, closing=False):
        self.parent, self.index, self.level, self.live, self.closing = parent, index, level, live, closing


# ---------------------------------------------------------------- entries of page tables
def leaf(frame, flags):
    return frame << 10 | flags & SOFT | (flags & 7) << 1 | U | V | A | D


def is_table(pte):
    return pte & 15 == V


def is_leaf(pte):
    return pte & V and pte & 14


def pte_frame(pte):
    return pte >> 10 & (1 << 44) - 1


def pte_rights(pte):
    return pte >> 1 & 7


def digit(page, level):
    return page >> 9 * level & 511


class Machine:
    def __init__(self, ram_first, ram_count, harts, asids, rules=frozenset(RULES)):
        self.rules = rules
        self.ram_first, self.ram_count, self.asids = ram_first, ram_count, asids
        self.type, self.maps, self.word1 = {}, {}, {}      # frame: its type (DATA is left out), mappings, word 1
        self.leaves, self.typed = {}, {}                   # by group
        self.tables = {}                                   # TABLE or ROOT frame: {index: entry}
        self.slots = {}                                    # link: Slot
        self.envs = {}                                     # ENV frame: Env
        self.rows = {}                                     # row: (environment, binder, its generation, URGENT); only bound rows
        self.left, self.time = {}, {}                      # row: ticks of this round, and of all rounds
        self.holder = {}                                   # row: the slot (link) that holds it
        self.harts = [Hart(index) for index in range(harts)]
        self.next_gen = self.next_tlb = 1
        self.clock = self.began = 0
        self.console = b''
        self.power = None
        self.stepwise = True                               # False: a sweep is one step
        self.split = False                                 # True: ENTER pauses half-way
        self.here, self.detail, self.harvest = 0, 0, []

    def rule(self, name):
        return name in self.rules

    # ---------------------------------------------------------------- small helpers
    def exists(self, frame):
        return self.ram_first <= frame < self.ram_first + self.ram_count

    def leader(self, env):
        return self.envs[env].leader

    def home(self, link):
        """The space (its leader's ENV frame) whose table a slot is in; None for a donation."""
        if self.slots[link].cls == DONATION:
            return None
        frame = link >> 5
        return frame if self.type[frame] == ENV else self.word1[frame]

    def dying(self, env):
        return bool((self.envs[env].flags | self.envs[self.leader(env)].flags) & KILL)

    def place(self, space, handle):
        """The slot at a handle's place, of any generation, or None."""
        table, index = (handle & 0xffffffff) >> 12, handle >> 7 & 31
        if table == 0:
            return self.slots[space * 32 + ENV_FIRST + index] if index < ENV_SLOTS else None
        if table > CAPS_FRAMES or index == 0 or not self.envs[space].caps[table - 1]:
            return None
        return self.slots[self.envs[space].caps[table - 1] * 32 + index]

    def find(self, space, handle):
        slot = self.place(space, handle)
        need(slot and slot.gen == handle >> 32, 'SLOT')
        return slot

    def use(self, space, handle, cls, rights):
        """USE: the slot of a handle, if its remaining names may be used so."""
        slot = self.find(space, handle)
        need(slot.state == LIVE or slot.state == CUTTING and self.rule('usecut'), 'SLOT')
        need(slot.cls == cls, 'CLASS')
        need(rights & ~slot.rights == 0 and slot.count, 'RIGHTS')
        return slot

    def table_of(self, space):
        """All slots of a space's capability table."""
        links = [space * 32 + ENV_FIRST + i for i in range(ENV_SLOTS)]
        for frame in self.envs[space].caps:
            if frame:
                links += range(frame * 32 + 1, frame * 32 + CAPS_SLOTS)
        return [self.slots[link] for link in links]

    def bound(self, slot):
        """Something new is bound through a slot."""
        if slot.state == LIVE and self.rule('rescan') or slot.state == CUTTING and not self.rule('live'):
            slot.cursor = 0

    # ---------------------------------------------------------------- frames
    def claim(self, frame, kind):
        group = frame // GROUP
        need(self.exists(frame) and not self.type.get(frame) and not self.maps.get(frame)
             and not self.leaves.get(group), 'BUSY')
        self.type[frame] = kind
        self.typed[group] = self.typed.get(group, 0) + 1

    def release(self, frame):
        group = frame // GROUP
        del self.type[frame], self.word1[frame]
        self.tables.pop(frame, None)
        self.typed[group] -= 1

    def can_release(self, frame):
        return self.rule('release') or not self.maps.get(frame)

    def adopt(self, parent, slot, cls, rights):
        slot.clear(LIVE)
        slot.gen += 1
        slot.cls, slot.rights, slot.depth, slot.parent = cls, rights, parent.depth + 1, parent.link
        parent.kids.append(slot.link)
        self.bound(parent)

    def donate(self, through, link, frame):
        self.slots[link] = slot = Slot(link, 0)
        self.adopt(through, slot, DONATION, CALL | NOTIFY | CONTROL)
        slot.first, slot.count = frame, 1

    def undonate(self, link):
        slot = self.slots.pop(link)
        assert not slot.kids
        self.slots[slot.parent].kids.remove(link)

    def owner(self, frame):
        """The environment that a donated frame belongs to."""
        return frame if self.type[frame] == ENV else self.word1[frame]

    # ---------------------------------------------------------------- capability calls
    def cap_derive(self, hart, handle, into, first, count, rights, keep, extra):
        space = self.harts[hart].space
        to = self.place(space, into)
        if handle == 0:
            return self.open(to, first, count)
        slot = self.find(space, handle)
        need(slot.state == LIVE and to and to.fillable(), 'SLOT')
        need(count > 0 and slot.covers(first, count), 'RANGE')
        need(slot.shared() or count <= DERIVE_ROWS, 'RANGE')
        need(rights and rights & ~slot.rights == 0, 'RIGHTS')
        need(slot.cls != ENVC or extra & ~slot.extra == 0, 'RIGHTS')
        need(slot.depth < DEPTH_MAX, 'DEPTH')
        need(keep <= count and (keep == 0 or first + keep <= slot.first + slot.keep), 'KEEP')
        need(self.unlent(slot, first, count), 'OVERLAP')
        self.adopt(slot, to, slot.cls, rights)
        to.first, to.count, to.keep = first, count, keep
        if slot.cls == ENVC:
            to.extra, to.match = extra, slot.match
        self.hold(to, first, count, to.link)
        return to.handle()

    def open(self, slot, frame, gen):
        if frame == 0:
            need(slot and slot.state == OPEN, 'SLOT')
            slot.clear()
            slot.gen += 1
            return OK
        need(slot and slot.fillable(), 'SLOT')
        need(frame in self.envs and self.envs[frame].gen == gen, 'ENV')
        slot.clear(OPEN)
        slot.gen += 1
        slot.extra, slot.match, slot.born = frame, gen, self.envs[frame].born
        return slot.handle()

    def unlent(self, slot, first, count):
        """An exclusive name that is lent is not usable by the lender."""
        return slot.shared() or not any(self.slots[kid].first < first + count and self.slots[kid].end() > first
                                        for kid in slot.kids)

    def hold(self, slot, first, count, link):
        if slot.cls == SLICE:
            for row in range(first, first + count):
                self.holder[row] = link

    def stays(self, space, slot):
        """Does the space hold the slot's names through its parent too?"""
        parent = self.slots[slot.parent]
        return slot.shared() and self.home(parent.link) == space and \
            parent.first <= slot.first and slot.end() <= parent.first + parent.count

    def quiet(self, space, slot):
        """QUIET, one step: True, or False if there is more to look at."""
        if self.stays(space, slot):
            return True
        if slot.cls == SLICE:
            need(not any(row in self.rows for row in range(slot.first, slot.first + slot.count)), 'BUSY')
        if slot.cls == PAGE:
            step = min(256, slot.count - slot.cursor)
            for frame in range(slot.first + slot.cursor, slot.first + slot.cursor + step):
                need(not self.type.get(frame) and not self.maps.get(frame)
                     and not (self.leaves.get(frame // GROUP) and self.rule('groups')), 'BUSY')
            slot.cursor += step
            return slot.cursor == slot.count
        return True

    def cap_grant(self, hart, handle, env, into, frame, gen):
        space, control = self.harts[hart].space, False
        if env:
            via = self.use(space, env, ENVC, 0)
            receiver, control = via.first, bool(via.rights & CONTROL)
        elif frame:
            need(frame in self.envs and self.envs[frame].gen == gen, 'ENV')
            receiver = frame
        else:
            receiver = self.harts[hart].env
        need(not self.dying(receiver), 'DYING')
        target = self.leader(receiver)
        slot, to = self.find(space, handle), self.place(target, into)
        need(slot.state == LIVE, 'SLOT')
        need(slot.parent, 'ROOT')
        need(not slot.kids, 'CHILDREN')
        need(to and to is not slot, 'SLOT')
        if to.state == OPEN:
            opener = self.envs.get(to.extra)
            need(opener and opener.gen == to.match and opener.leader == space, 'NOTOPEN')
        else:
            need(to.fillable(), 'SLOT')
            need(target == space or control, 'NOTOPEN')
        if not self.quiet(space, slot):
            return AGAIN
        siblings = self.slots[slot.parent].kids
        siblings[siblings.index(slot.link)] = to.link
        for name in ('state', 'cls', 'rights', 'first', 'count', 'tail', 'keep', 'extra', 'match', 'depth', 'parent', 'due', 'due_from'):
            setattr(to, name, getattr(slot, name))
        to.gen, to.cursor = to.gen + 1, 0
        slot.clear()
        slot.gen += 1
        if to.cls == ENVC and self.slots[to.parent].cls == DONATION:
            self.envs[to.first].first_cap = to.link
        self.hold(to, to.first, to.count, to.link)
        return to.handle()

    def kept(self, slot, start):
        """KEEP: does a living child's promise reach past `start`?"""
        for kid in slot.kids:
            child = self.slots[kid]
            if child.cls != DONATION and child.first + child.keep > start and (child.keep or not self.rule('keep0')) \
                    and not self.dying(self.home(kid)):
                return True
        return False

    def cap_revoke(self, hart, handle, start, due):
        slot = self.find(self.harts[hart].space, handle)
        need(slot.state == LIVE, 'SLOT')
        need(slot.first <= start <= slot.first + slot.count, 'RANGE')
        need(not self.kept(slot, start), 'KEEP')
        if due > self.clock and self.rule('announce'):
            self.announce(self.harts[hart], slot, start, due)
            self.detail = due
            return (AGAIN, due)
        return self.cut_below(slot, start, self.harts[hart], True)

    def announce(self, hart, slot, start, due):
        """Tell the holders of all below that reach past `start`, but nobody twice of the same time."""
        for kid in slot.kids:
            child = self.slots[kid]
            told = child.due == due and child.due_from <= start
            if child.state == LIVE and child.cls != DONATION and child.end() > start and not told:
                child.due, child.due_from = due, start
                self.post(hart, self.home(kid), REVOKE)
                self.announce(hart, child, start, due)

    def cap_drop(self, hart, handle, start):
        slot = self.find(self.harts[hart].space, handle)
        need(slot.state in (LIVE, CUTTING, LOST), 'SLOT')
        if slot.state == LOST:
            slot.clear()
            slot.gen += 1
            return OK
        need(slot.parent, 'ROOT')
        need(slot.first <= start <= slot.first + slot.count, 'RANGE')
        end = slot.first + slot.count
        if slot.state == CUTTING:                          # the cut in progress, whoever began it, comes first
            answer = self.cut_own(slot, end, self.harts[hart])
            return AGAIN if answer == OK and start < end else answer
        if start == end:
            return OK
        need(not self.kept(slot, start), 'KEEP')
        return self.cut_own(slot, start, self.harts[hart])

    def cut_own(self, slot, start, caller):
        """One step of: shorten the slot, cut all below, then the slot itself."""
        if self.rule('topdown'):
            self.shrink(slot, start)
        answer = self.cut_below(slot, start, caller, False)
        if answer != OK:
            return answer
        self.shrink(slot, start)
        return self.finish(slot, EMPTY, caller)

    # ---------------------------------------------------------------- the cut
    def shrink(self, slot, start):
        """Step 1: from here on no new binding of the tail."""
        count = max(0, min(slot.count, start - slot.first))
        if slot.count != count:
            slot.tail += slot.count - count
            slot.count, slot.cursor = count, 0
        slot.state, slot.keep = CUTTING, min(slot.keep, count)

    def reaching(self, slot, start, spare):
        """The first child in order that reaches past `start`."""
        for kid in slot.kids:
            child = self.slots[kid]
            if child.end() > start and not (child.cls == DONATION and (spare or not self.rule('donor'))):
                return child
        return None

    def cut_below(self, top, start, caller, spare):
        """One step on the deepest descendant that reaches past `start`; OK when there is none."""
        slot = top
        while True:
            child = self.reaching(slot, start, spare and slot is top)
            if not child:
                break
            if child.cls == DONATION:
                return self.cut_donation(child.first, caller)
            slot = child
            if self.rule('topdown'):
                self.shrink(slot, start)
            if slot.state == CUTTING:
                start = min(start, slot.first + slot.count)
        if slot is top:
            return OK
        self.shrink(slot, start)
        answer = self.finish(slot, LOST, caller)
        return AGAIN if answer == OK else answer

    def cut_donation(self, frame, caller):
        env = self.owner(frame)
        if self.rule('suicide') and caller and env in (caller.env, caller.space):
            return (SELF, env)
        self.kill(env)
        return (REAP, env)

    def finish(self, slot, final, caller):
        """Steps 2 to 5: one bounded step; OK when the slot is done."""
        space, parent = self.home(slot.link), self.slots[slot.parent]
        low, high = slot.first + slot.count, slot.end()
        if not self.rule('donor') and slot.cls == PAGE:    # what the wording before H3 said: any donation of this space
            for other in list(self.slots.values()):
                if other.cls == DONATION and low <= other.first < high and self.home(other.parent) == space:
                    return self.cut_donation(other.first, caller)
        if slot.shared() and self.home(parent.link) == space and parent.first <= low and high <= parent.end():
            pass                                           # bindings hang on the parent from now on
        elif slot.cls == PAGE:
            if not self.sweep(space, low, high, slot):
                return AGAIN
        elif slot.cls == SLICE:
            if self.rule('unbind') and not all([self.unbind(row) for row in range(low, high)]):
                return AGAIN
        elif slot.cls == ENVC:
            self.cut_call(space, slot)
            if self.envs[slot.first].first_cap == slot.link:
                self.kill(slot.first)
        self.hold(slot, low, slot.tail, slot.parent)
        slot.tail = slot.cursor = slot.due = 0
        if slot.count:
            slot.state = LIVE
            return OK
        if parent.cls == DONATION:
            self.envs[slot.first].first_cap = 0
        parent.kids.remove(slot.link)
        slot.clear(final)
        slot.gen += final == EMPTY
        return OK

    # ---------------------------------------------------------------- page tables
    def table_at(self, space, va, level):
        """The table that has va's entry of this level."""
        table = self.envs[space].root
        for above in range(2, level, -1):
            pte = self.tables[table].get(digit(va >> 12, above), 0)
            need(is_table(pte), 'NOTABLE')
            table = pte_frame(pte)
        return table

    def act(self, hart, env):
        """The space that a call acts as: the caller's own or, through an ENV capability with CONTROL, another's."""
        space = self.harts[hart].space
        if env == 0:
            return space
        slot = self.use(space, env, ENVC, CONTROL)
        need(not self.dying(slot.first), 'DYING')
        return self.leader(slot.first)

    def live(self, table, difference):
        if self.type[table] == TABLE:
            self.word1[table].live += difference

    def closing(self, table):
        return self.type[table] == TABLE and self.word1[table].closing and self.rule('closing')

    @staticmethod
    def range_check(va, count, size):
        need(1 <= count <= PAGES_MAX, 'ARGUMENT')
        need(va % size == 0 and va + count * size <= VA_LIMIT, 'ADDRESS')

    def leaf_gone(self, pte, level):
        frame = pte_frame(pte)
        if level:
            self.leaves[frame // GROUP] -= 1
        else:
            self.maps[frame] -= 1

    def clear(self, hart, space, table, index, level):
        """Not valid, shoot, count down."""
        pte = self.tables[table].pop(index)
        self.live(table, -1)
        self.shoot(hart, space)
        if is_table(pte):
            self.release(pte_frame(pte))
        else:
            self.leaf_gone(pte, level)

    def level_check(self, va, level):
        need(level in (1, 2), 'ARGUMENT')
        need(va % (4096 << 9 * level) == 0 and va < VA_LIMIT, 'ADDRESS')

    def table_link(self, hart, env, va, level, handle, frame):
        self.level_check(va, level)
        space = self.act(hart, env)
        slot = self.use(space, handle, PAGE, R | W)
        need(slot.covers(frame, 1), 'RANGE')
        table, index = self.table_at(space, va, level), digit(va >> 12, level)
        need(not self.tables[table].get(index, 0) & V, 'PRESENT')
        need(not self.closing(table), 'CLOSING')
        self.claim(frame, TABLE)
        self.word1[frame], self.tables[frame] = Table(table, index, level - 1), {}
        self.tables[table][index] = frame << 10 | V
        self.live(table, 1)
        self.bound(slot)
        return OK

    def table_unlink(self, hart, env, va, level):
        self.level_check(va, level)
        space = self.act(hart, env)
        table, index = self.table_at(space, va, level), digit(va >> 12, level)
        pte = self.tables[table].get(index, 0)
        need(pte & V, 'ABSENT')
        need(is_table(pte), 'TYPE')
        need(not self.closing(pte_frame(pte)), 'CLOSING')
        need(self.word1[pte_frame(pte)].live == 0 and self.can_release(pte_frame(pte)), 'BUSY')
        self.clear(hart, space, table, index, level)
        return OK

    def unit_check(self, slot, frame, flags):
        """May this frame, or group, be mapped?"""
        rights = flags & 7
        if flags & LARGE:
            need(frame % GROUP == 0, 'ARGUMENT')
            need(slot.covers(frame, GROUP), 'RANGE')
            need(not self.typed.get(frame // GROUP), 'TYPE')
            return
        kind = self.type.get(frame, DATA)
        if slot is None:
            need(self.exists(frame) and kind == INFO, 'RANGE')
        else:
            need(slot.covers(frame, 1), 'RANGE')
        need(kind in (DATA, CTX, RING) or kind in KEPT_TYPES and rights == R, 'TYPE')
        need(self.maps.get(frame, 0) < MAPS_MAX, 'FULL')

    def page_map(self, hart, env, va, handle, frame, count, flags, vector=(), limit=PAGES_MAX):
        """`vector`: the caller's, for VECTOR.  `limit`: an interrupt came after so many entries."""
        level = 1 if flags & LARGE else 0
        need(flags & ~(7 | LARGE | REPLACE | VECTOR | SOFT) == 0 and flags & R, 'ARGUMENT')
        self.range_check(va, count, 4096 << 9 * level)
        space, slot = self.act(hart, env), None
        if handle:
            slot = self.use(space, handle, PAGE, flags & 7)
        else:
            need(not level, 'ARGUMENT')
        table, index = self.table_at(space, va, level), digit(va >> 12, level)
        need(not self.closing(table), 'CLOSING')
        count = min(count, 512 - index)
        if slot and not flags & VECTOR:
            need(slot.covers(frame, count * GROUP if level else count), 'RANGE')
        entries, done, shot = self.tables[table], 0, False
        while done < count and done < limit:
            name = vector[done] if flags & VECTOR else frame + done * (GROUP if level else 1)
            old = entries.get(index + done, 0)
            try:
                need(not old & V or is_leaf(old) and flags & REPLACE, 'PRESENT')
                self.unit_check(slot, name, flags)
            except Refuse:
                if done == 0:
                    raise
                break
            if level:
                self.leaves[name // GROUP] = self.leaves.get(name // GROUP, 0) + 1
            else:
                self.maps[name] = self.maps.get(name, 0) + 1
            if old & V:
                if not shot:
                    self.shoot(hart, space)
                shot = True
                self.leaf_gone(old, level)
            else:
                self.live(table, 1)
            entries[index + done] = leaf(name, flags)
            done += 1
        if shot:
            self.shoot(hart, space)
        if slot:
            self.bound(slot)
        return done

    def range_at(self, hart, env, va, count):
        """What unmap, protect and harvest have in common: space, level, table, indices."""
        level, count = count >> 63, count & ~COUNT_LARGE
        self.range_check(va, count, 4096 << 9 * level)
        space = self.act(hart, env)
        table, first = self.table_at(space, va, level), digit(va >> 12, level)
        return space, level, table, range(first, first + min(count, 512 - first))

    def page_unmap(self, hart, env, va, count, payload, limit=PAGES_MAX):
        need(payload & PAYLOAD_ZERO == 0, 'ARGUMENT')
        space, level, table, indices = self.range_at(hart, env, va, count)
        gone, entries = [], self.tables[table]
        for index in indices:                              # at level 1 the run ends before the first pointer to a table
            if is_table(entries.get(index, 0)):
                indices = range(indices[0], index)
                break
        need(indices, 'TYPE')
        for index in indices[:limit]:
            old = entries.get(index, 0)
            if old & V:
                gone.append(old)
            if payload:
                entries[index] = payload
            else:
                entries.pop(index, 0)
        if gone:
            self.shoot(hart, space)
        for old in gone:
            self.leaf_gone(old, level)
        self.live(table, -len(gone))
        self.detail = len(gone)
        return len(indices[:limit])

    def page_protect(self, hart, env, va, count, rights, limit=PAGES_MAX):
        need(rights & R and rights & ~7 == 0, 'ARGUMENT')
        space, _, table, indices = self.range_at(hart, env, va, count)
        entries = self.tables[table]
        need(entries.get(indices[0], 0) & V, 'ABSENT')
        for index in indices[:limit]:
            if is_leaf(entries.get(index, 0)):
                entries[index] &= ~((~rights & 7) << 1)
        self.shoot(hart, space)
        return len(indices[:limit])

    def page_harvest(self, hart, env, va, count, limit=PAGES_MAX):
        space, _, table, indices = self.range_at(hart, env, va, count)
        entries, some, self.harvest = self.tables[table], False, []
        for index in indices[:limit]:
            old = entries.get(index, 0)
            if is_leaf(old):
                some = some or old & (A | D)
                entries[index] = old & ~(A | D)
                self.harvest.append(1 | (2 if old & A else 0) | (4 if old & D else 0))
            else:
                self.harvest.append(0)
        if some:
            self.shoot(hart, space)
        return len(self.harvest)

    def sweep(self, space, low, high, job):
        """Leaves into [low, high), tables in it and all below them; True when done.  `job` has the progress."""
        name = 'sweep' if isinstance(job, Env) else 'cursor'
        while getattr(job, name) < SPACE_PAGES:
            setattr(job, name, self.sweep_step(space, low, high, getattr(job, name)))
            if self.stepwise:
                return False
        return True

    def sweep_step(self, space, low, high, page):
        """One present entry; returns the page to go on with."""
        table, doomed, path = self.envs[space].root, False, []
        for level in (2, 1, 0):
            entries, index = self.tables[table], digit(page, level)
            found = min((i for i, pte in entries.items() if i >= index and pte & V and i < (256 if level == 2 else 512)),
                        default=None)
            if found is None:
                span = 9 * (level + 1)
                page = (page >> span) + 1 << span
                break
            if found > index:
                page = (page >> 9 * level) - index + found << 9 * level
            pte = entries[found]
            if is_table(pte):
                child = pte_frame(pte)
                doomed = doomed or low <= child < high
                if doomed:
                    self.word1[child].closing = True
                path.append((table, found, level, child, doomed, page))
                table = child
                continue
            if doomed or pte_frame(pte) < high and pte_frame(pte) + (1 << 9 * level) > low:
                self.clear(self.here, space, table, found, level)
            page = (page >> 9 * level) + 1 << 9 * level
            break
        for table, index, level, child, doomed, at in reversed(path):    # leaving a doomed table: it is empty and goes
            if not doomed or page % (1 << 9 * level):
                continue
            if self.word1[child].live or not self.can_release(child):
                page = at >> 9 * level << 9 * level
                break
            self.clear(self.here, space, table, index, level)
        return page

    # ---------------------------------------------------------------- TLBs
    def tlb_tick(self, space):
        env = self.envs[space]
        if self.rule('tlbgen'):
            env.tlb_gen, self.next_tlb = self.next_tlb, self.next_tlb + 1
        else:
            env.tlb_gen += 1

    @staticmethod
    def flush(hart, asid):
        hart.tlb = {key: pte for key, pte in hart.tlb.items() if key[0] != asid}

    def shoot(self, index, space):
        self.tlb_tick(space)
        env = self.envs[space]
        for hart in self.harts:
            if hart.index == index:
                if hart.space == space:
                    hart.seen[env.asid] = env.tlb_gen
                    self.flush(hart, env.asid)
            elif env.root in hart.active:
                self.flush(hart, env.asid)

    def touch(self, index, va, write):
        """The hart walks through what it has cached, and caches every level.  The frame it reaches, or None."""
        hart = self.harts[index]
        if not hart.satp or va >= VA_LIMIT:
            return None
        space = self.envs[hart.satp]
        table, asid, page = space.root, space.asid, va >> 12
        for level in (2, 1, 0):
            key = (asid, page >> 9 * level, level)
            pte = hart.tlb.get(key)
            if pte is None:
                pte = self.tables.get(table, {}).get(digit(page, level), 0)
                if not pte & V:
                    return None
                hart.tlb[key] = pte
            if is_table(pte):
                if level == 0:
                    return None
                table = pte_frame(pte)
                continue
            if not pte_rights(pte) & (W if write else R):
                return None
            marks = A | (D if write else 0)
            if pte & marks != marks:
                hart.tlb[key] = pte | marks
                self.tables[table][digit(page, level)] |= marks
            return pte_frame(pte) + (page & (1 << 9 * level) - 1)
        return None

    # ---------------------------------------------------------------- what runs where
    # The functions that may let other harts go on are generators: they yield PAUSED or IDLE.
    def enter(self, hart, env):
        """ENTER, for an environment that is claimed.  False: its leader is dying."""
        leader = self.leader(env)
        root, asid = self.envs[leader].root, self.envs[leader].asid
        hart.env = env
        self.envs[env].deadline = NEVER
        if hart.space != leader:
            hart.active = (root, hart.active[1])
        if self.envs[leader].flags & KILL and self.rule('leader'):
            self.put(hart, env, READY, False)              # nobody is woken: another hart would only do the same
            hart.env = 0
            if hart.space != leader:
                hart.active = (self.envs[hart.space].root,) * 2 if hart.space else (0, 0)
            return False
        if hart.space != leader:
            generation = self.envs[leader].tlb_gen
            same = hart.space and self.envs[hart.space].asid == asid
            if hart.seen.get(asid) != generation:
                hart.seen[asid] = generation
                yield PAUSED
                self.flush(hart, asid)
            yield PAUSED
            hart.satp = leader
            if same:
                yield PAUSED
                hart.tlb = {}
            hart.active = (root, root)
            hart.space = leader
        return True

    def leave(self, hart):
        hart.env = 0
        if not hart.space:
            return
        hart.active = (0, hart.active[1])
        yield PAUSED
        hart.space, hart.satp, hart.active = 0, 0, (0, 0)

    def take(self, hart, env):
        """The hart has the environment, READY until now."""
        env.state, env.hart = RUN, hart.index

    def claim_word(self, hart, env):
        """Claim a sleeper, or who is to be stopped: of its flags only INCALL stays."""
        env.flags &= INCALL
        self.take(hart, env)

    def put(self, hart, name, state, wakes=True):
        """Give back one that was claimed and does not run."""
        env = self.envs[name]
        if env.flags & KILL:
            self.break_call(hart, env)
        env.state, env.hart = state, 0
        if state == READY and wakes:
            self.wake(name)

    def give_up(self, hart, state, callee=0):
        """What runs here does not any more."""
        env = self.envs[hart.env]
        link = env.caller
        if env.flags & KILL:
            self.break_call(hart, env)
        env.caller = link                                  # it may be reaped before anything more is written there
        env.state, env.hart, hart.env = state, callee, 0

    def ready(self, hart):
        """What runs here gives the hart up, and other harts may take it."""
        name = hart.env
        self.give_up(hart, READY)
        self.wake(name, hart.index)

    @staticmethod
    def answer(env, value):
        env.words = [value & WORD, 0, 0, 0, 0, 0, 0]

    @staticmethod
    def sleeps(env, state):
        return env.state == state and not env.flags & (STOP | KILL)

    # ---------------------------------------------------------------- rows
    def bound_rows(self, hart):
        return sorted(row for row in self.rows if row // ROWS == hart.index)

    def urgent_row(self, hart, name):
        for row in self.bound_rows(hart):
            if self.rows[row][0] == name and self.rows[row][3] and self.left.get(row, 0):
                return row
        return None

    def wake(self, name, but=None):
        """It is READY: tell the harts that may run it at once, by its rows or those of whom it serves."""
        for _ in range(CHAIN_MAX + 1):
            env = self.envs[name]
            for index in sorted(env.rows - {but}):
                hart = self.harts[index]
                mine = self.rows.get(hart.row, (0,))[0] == name
                if (hart.idle or mine or index in env.urgent and self.urgent_row(hart, name) is not None) \
                        and not hart.recall:
                    hart.recall = hart.ipi = True
            if not env.caller or env.caller[0] not in self.envs or not self.rule('chain'):
                return
            name = env.caller[0]

    def lower(self, hart, deadline):
        hart.deadline = min(hart.deadline, deadline)

    def look(self, env):
        """Some hart with a row of this sleeper must watch its deadline."""
        if not env.rows or env.deadline == NEVER or not self.rule('deadline'):
            return
        hart = self.harts[min(env.rows)]
        self.lower(hart, env.deadline)
        if env.deadline < hart.timer or hart.idle:
            hart.ipi = True

    def chain_end(self, name, gen):
        """Who can run by a row of this environment: itself, or the end of its chain of calls; None if nobody can."""
        env, caller = self.envs.get(name), None
        if not env or env.gen != gen:
            return None
        for _ in range(CHAIN_MAX + 1):
            if env.state == READY and not env.flags & ~INCALL:
                return env if not caller or env.caller and env.caller[0] == caller.frame else None
            if env.state != CALLING or env.flags & KILL and self.rule('dead'):
                return None
            caller, env = env, self.envs.get(env.hart)
            if not env or not env.flags & INCALL:
                return None
        return None

    def runnable(self, row):
        env = self.chain_end(self.rows[row][0], self.rows[row][2])
        return env and not self.dying(env.frame)

    def row_claim(self, hart, row):
        """Claim and enter what a row has to run."""
        hart.running = row + 1
        if row not in self.rows:
            return False
        env = self.chain_end(self.rows[row][0], self.rows[row][2])
        if not env:
            return False
        self.take(hart, env)
        return (yield from self.enter(hart, env.frame))

    def rows_claim(self, hart, start, turn):
        """The next row after `start` that has something to run; at its turn each begins its round."""
        rows = self.bound_rows(hart)
        for row in [row for row in rows if row > start] + [row for row in rows if row <= start]:
            if turn:
                self.left[row] = ROW_TICKS
            if (yield from self.row_claim(hart, row)):
                return row
        return None

    def urgent_claim(self, hart):
        for row in self.bound_rows(hart):
            if not self.rows[row][3] or not self.left.get(row, 0) or row == hart.row and self.clock < hart.end:
                continue
            if (yield from self.row_claim(hart, row)):
                return True
        return False

    def charge(self, hart):
        """What ran has used its row's time up to now."""
        used, hart.since, row = self.clock - hart.since, self.clock, hart.running - 1
        if row < 0:
            return
        self.time[row] = self.time.get(row, 0) + used
        if hart.borrows:
            used += TAKE_BACK
            hart.end += used
        if not hart.fills and self.rule('credit'):
            self.left[row] = max(0, self.left.get(row, 0) - used)

    def timer_set(self, hart, first):
        hart.timer = min(first, hart.deadline)

    def slice_set(self, hart, until):
        hart.until, hart.told = until, False
        self.timer_set(hart, until - GRACE_TICKS)

    def arm(self, hart):
        self.timer_set(hart, NEVER if not hart.running else hart.until if hart.told else hart.until - GRACE_TICKS)

    def pick(self, hart):
        """Enter what is to run now; False if there is nothing."""
        look = hart.recall or hart.borrows
        self.charge(hart)
        hart.borrows = hart.fills = hart.recall = False
        if look and (yield from self.urgent_claim(hart)):
            hart.borrows = True
            self.slice_set(hart, self.clock + self.left[hart.running - 1])
            return True
        if self.clock < hart.end:
            if self.rule('owner') and (yield from self.row_claim(hart, hart.row)):
                self.slice_set(hart, hart.end)
                return True
            row = yield from self.rows_claim(hart, hart.filled, False)
            if row is None:
                return False
            hart.filled, hart.fills = row, True
            self.slice_set(hart, hart.end)
            return True
        row = yield from self.rows_claim(hart, hart.row, True)
        if row is None:
            return False
        hart.row, hart.end = row, self.clock + ROW_TICKS
        self.slice_set(hart, hart.end)
        return True

    def pending(self, hart):
        return hart.ipi or hart.timer <= self.clock

    def wait(self, hart):
        """What the hart runs next; it sleeps until there is something."""
        while not (yield from self.pick(hart)):
            hart.running = 0
            if hart.idle:
                self.arm(hart)
                if not self.pending(hart):
                    yield IDLE
                hart.ipi = False
            else:
                yield from self.leave(hart)
                hart.idle = True
            self.deadlines(hart)
        hart.idle = False

    def deadlines(self, hart):
        """Wake the sleepers of this hart's rows that are due."""
        hart.deadline, first, woken = NEVER, NEVER, 0
        for row in self.bound_rows(hart):
            env = self.envs.get(self.rows[row][0])
            if not env or not (self.sleeps(env, WAIT) or self.sleeps(env, CALLING)):
                continue
            if env.deadline > self.clock or woken >= WAKE_STEP:
                first = min(first, env.deadline)
                continue
            woken += 1
            state = env.state
            self.claim_word(hart, env)
            self.answer(env, self.take_events(env) if state == WAIT else NUMBER['TIMEOUT'])
            self.put(hart, env.frame, READY)
        self.lower(hart, first)

    def clear_row(self, row):
        """A row has no environment any more."""
        env = self.envs.get(self.rows.pop(row)[0])
        index = row // ROWS
        if env and not any(bound[0] == env.frame and other // ROWS == index for other, bound in self.rows.items()):
            env.rows.discard(index)
            env.urgent.discard(index)
            self.look(env)

    def unbind(self, row):
        """False while another hart still runs what the row gave it."""
        if row in self.rows:
            self.clear_row(row)
        hart = self.harts[row // ROWS]
        if hart.index == self.here or hart.running != row + 1:
            return True
        hart.ipi = True
        return False

    def run(self, index, fiber):
        """Begin what may pause; the state in which it leaves the hart."""
        self.harts[index].fiber = fiber
        return self.go_on(index)

    def go_on(self, index):
        hart, self.here = self.harts[index], index
        try:
            hart.state = next(hart.fiber)
            while hart.state == PAUSED and not self.split:
                hart.state = next(hart.fiber)
        except StopIteration:
            hart.state, hart.fiber = PROGRAM, None
        return hart.state

    def go_off(self, hart):
        yield OFF

    def start(self, index):
        """A hart begins."""
        return self.run(index, self.running(self.harts[index], self.wait(self.harts[index])))

    def running(self, hart, fiber):
        """After what may pause, the program that runs finds its words."""
        yield from fiber
        if hart.env:
            hart.words = self.envs[hart.env].words

    def switch_to(self, index, env):
        """Go on as a claimed environment, or with what comes next."""
        hart = self.harts[index]
        return self.run(index, self.running(hart, self.switch(hart, env)))

    def next_on(self, index):
        hart = self.harts[index]
        return self.run(index, self.running(hart, self.wait(hart)))

    def switch(self, hart, env):
        if not (yield from self.enter(hart, env)):
            yield from self.wait(hart)

    # ---------------------------------------------------------------- interrupts and exceptions
    def interrupt(self, index):
        hart = self.harts[index]
        self.here = index
        told, hart.ipi = hart.ipi, False
        if not told and self.clock < hart.until and self.clock < hart.deadline:
            hart.told = hart.told or self.clock >= hart.until - GRACE_TICKS
            self.timer_set(hart, hart.until if hart.told else hart.until - GRACE_TICKS)
            return PROGRAM
        env = self.envs[hart.env]
        env.words = hart.words
        if self.clock >= hart.deadline:
            self.deadlines(hart)
        if self.clock >= hart.until or self.over(hart):
            self.ready(hart)
            return self.next_on(index)
        self.arm(hart)                                     # if the end is near the timer goes off at once
        return PROGRAM

    def over(self, hart):
        env = self.envs[hart.env]
        if hart.running - 1 not in self.rows or env.flags & STOP:
            return True
        if self.dying(hart.env):
            self.break_call(hart, env)
            return True
        if not hart.recall or hart.borrows:
            return False
        able = [hart.row] + [row for row in self.bound_rows(hart) if self.rows[row][3] and self.left.get(row, 0)]
        hart.recall = any(row in self.rows and self.rows[row][0] != hart.env
                          and self.chain_end(self.rows[row][0], self.rows[row][2]) for row in able)
        return hart.recall

    def leave_for_good(self, index, flag, state):
        hart = self.harts[index]
        self.here = index
        if hart.env == self.init:
            return self.run(index, self.go_off(hart))
        name = hart.env
        env = self.envs[name]
        env.flags |= flag
        env.words = hart.words
        self.give_up(hart, state)
        self.report(hart, env, None)
        return self.next_on(index)

    def fault(self, index):
        return self.leave_for_good(index, FAULT, STOPPED)

    def exit(self, index):
        return self.leave_for_good(index, KILL, READY)

    # ---------------------------------------------------------------- time
    def yield_to(self, index, handle):
        """yield; what it answers is in the hart's `answer`."""
        hart = self.harts[index]
        env, hart.answer = self.envs[hart.env], OK
        if handle == 0:
            self.answer(env, OK)
            if not hart.fills:
                self.left[hart.running - 1] = 0
                if not hart.borrows:
                    hart.end = 0
            self.ready(hart)
            return self.next_on(index)
        slot = self.use(hart.space, handle, ENVC, CALL)
        target = self.chain_end(slot.first, self.envs[slot.first].gen)
        need(target, 'STATE')
        self.take(hart, target)
        self.answer(env, OK)
        self.ready(hart)
        if not self.rule('endless'):
            hart.end = self.clock + ROW_TICKS
            self.slice_set(hart, hart.end)
        return self.switch_to(index, target.frame)

    def slice_bind(self, index, handle, row, env):
        hart = self.harts[index]
        self.here = index
        slot = self.use(hart.space, handle, SLICE, BIND)
        need(slot.covers(row, 1), 'RANGE')
        need(self.holder[row] == slot.link, 'OVERLAP')
        if env == 1:
            return OK if self.unbind(row) else AGAIN
        target = hart.env
        if env:
            via = self.use(hart.space, env, ENVC, 0)
            target = via.first
            need(not self.dying(target), 'DYING')
        runner = self.harts[row // ROWS]
        need(row not in self.rows, 'BUSY')
        if runner is not hart and runner.running == row + 1:
            runner.ipi = True
            return AGAIN
        urgent, bound = int(bool(slot.rights & URGENT)), self.envs[target]
        self.rows[row] = (target, hart.space, bound.gen, urgent)
        self.left[row] = 0
        bound.rows.add(row // ROWS)
        if urgent:
            bound.urgent.add(row // ROWS)
        self.look(bound)
        self.wake(target)
        return OK

    # ---------------------------------------------------------------- events
    def take_events(self, env):
        taken = env.events & env.mask if self.rule('masked') else env.events
        env.events &= ~taken
        return taken

    def event(self, hart, env, bits):
        """Set events; whether that woke a sleeper, which this hart has claimed then."""
        waits = self.sleeps(env, WAIT) and env.mask & bits
        if waits or self.rule('kept'):
            env.events |= bits
        if not waits:
            return False
        self.claim_word(hart, env)
        self.answer(env, self.take_events(env))
        return True

    def post(self, hart, name, bits):
        if self.event(hart, self.envs[name], bits):
            self.put(hart, name, READY)

    def wait_for(self, index, mask, deadline):
        """wait: what it answers at once, or (IDLE or PROGRAM,) when it slept."""
        hart = self.harts[index]
        env = self.envs[hart.env]
        taken = env.events & mask
        if taken or deadline != NEVER and deadline <= self.clock:
            env.events &= ~taken
            return taken
        env.mask, env.deadline = mask, deadline
        self.lower(hart, deadline)
        self.answer(env, OK)
        self.give_up(hart, WAIT)
        if index not in env.rows:
            self.look(env)
        return (self.next_on(index),)

    def notify(self, index, handle, bits):
        hart = self.harts[index]
        env = self.envs[hart.env]
        if handle == 0:
            need(bits & ~EVENTS == 0, 'RIGHTS')
            env.events |= bits
            return OK
        slot = self.use(hart.space, handle, ENVC, NOTIFY)
        need(bits & ~slot.extra == 0, 'RIGHTS')
        name = slot.first
        if not self.event(hart, self.envs[name], bits):
            return OK
        mine = self.rows.get(hart.row, (0,))[0] == name and self.clock < hart.end and not hart.borrows
        row = hart.row if mine else None if hart.borrows else self.urgent_row(hart, name)
        if row is None:
            self.put(hart, name, READY)
            return OK
        self.charge(hart)
        hart.running, hart.fills = row + 1, False
        if not mine:
            hart.borrows = True
            self.slice_set(hart, self.clock + self.left[row])
        elif hart.told:
            self.slice_set(hart, hart.end)
        self.answer(env, OK)
        self.ready(hart)
        return (self.switch_to(index, name),)

    # ---------------------------------------------------------------- calls between environments
    def chain_has(self, env, name):
        """Is it this environment, or does it wait in its chain of calls?"""
        for _ in range(CHAIN_MAX + 1):
            if env.frame == name:
                return True
            if not env.caller or env.caller[0] not in self.envs:
                return False
            env = self.envs[env.caller[0]]
        return False

    def pct_call(self, index, words, handle, deadline=NEVER):
        hart = self.harts[index]
        env = self.envs[hart.env]
        slot = self.use(hart.space, handle, ENVC, CALL)
        callee = self.envs[slot.first]
        if env.depth <= 0 and self.rule('depth'):
            raise Refuse('LOOP' if self.chain_has(env, slot.first) else 'DEPTH')
        if callee.state != ACCEPT or callee.flags:
            need(not callee.flags & KILL, 'DYING')
            need(not self.chain_has(env, slot.first), 'LOOP')
            raise Refuse('STATE' if callee.state == STOPPED else 'BUSY')
        callee.flags |= INCALL
        self.take(hart, callee)
        callee.caller = (env.frame, env.gen, env.flags & INCALL)
        callee.depth, env.call, env.deadline, env.words = env.depth - 1, handle, deadline, None
        self.lower(hart, deadline)
        self.give_up(hart, CALLING, callee.frame)
        if index not in env.rows:
            self.look(env)
        callee.words = words + [env.frame]
        return self.call_enter(index, callee.frame)

    def call_enter(self, index, name):
        state = self.switch_to(index, name)
        if self.harts[index].env == name:
            self.arm(self.harts[index])
        return state

    def caller_of(self, hart, env):
        """Claim the caller that waits for this environment's answer; None if it does not any more."""
        link, env.caller = env.caller, None
        caller = self.envs.get(link[0]) if link else None
        if not caller or caller.gen != link[1] or caller.state != CALLING or caller.flags != link[2] or \
                caller.hart != env.frame and self.rule('ended'):
            return None
        self.take(hart, caller)
        return caller

    def pct_reply(self, index, words):
        hart = self.harts[index]
        env = self.envs[hart.env]
        caller = self.caller_of(hart, env)
        env.flags &= ~INCALL
        env.words = None
        self.give_up(hart, ACCEPT)
        if not caller:
            return self.next_on(index)
        caller.words = words + [caller.frame]
        return self.call_enter(index, caller.frame)

    def break_call(self, hart, env):
        """It will not answer whom it serves."""
        caller = self.caller_of(hart, env) if self.rule('orphans') else None
        if caller:
            self.answer(caller, NUMBER['BROKEN'])
            self.put(hart, caller.frame, READY)

    def cut_call(self, space, slot):
        """An ENV capability of this space is cut: so is the call that was made through it, or through one that is gone."""
        callee, hart = self.envs[slot.first], self.harts[self.here]
        caller = self.envs.get(callee.caller[0]) if callee.caller else None
        if not caller or caller.leader != space or not self.rule('cutcall'):
            return
        through = self.place(space, caller.call)
        if through and through.gen == caller.call >> 32 and through is not slot and through.state == LIVE:
            return
        if not self.sleeps(caller, CALLING) or caller.hart != callee.frame:
            return
        self.claim_word(hart, caller)
        self.answer(caller, NUMBER['BROKEN'])
        self.put(hart, caller.frame, READY)

    # ---------------------------------------------------------------- environments
    def make_env(self, frame, ctx, root, leader):
        gen, self.next_gen = self.next_gen if self.rule('envgen') else 1, self.next_gen + 1
        self.envs[frame] = env = Env(frame=frame, gen=gen, born=self.next_gen, state=STOPPED, leader=leader, ctx=ctx,
                                     root=root or self.envs[leader].root)
        self.word1[frame], self.word1[ctx] = None, frame
        if root:
            self.word1[root], self.tables[root] = frame, {}
            used = {other.asid for other in self.envs.values() if other.leader == other.frame and other is not env}
            env.asid = min(set(range(self.asids - 1)) - used, default=self.asids - 1)   # the last is everybody's
            if self.rule('tlbgen'):
                self.tlb_tick(frame)
            for i in range(ENV_SLOTS):
                link = frame * 32 + ENV_FIRST + i
                self.slots[link] = Slot(link, i << 7)
        return env

    def env_create(self, hart, handle, frame, ctx, root, into):
        space = self.harts[hart].space
        slot = self.use(space, handle, PAGE, R | W if self.rule('erase') else R)
        to = self.place(space, into)
        need(to and to.fillable(), 'SLOT')
        frames = [frame, ctx] + ([root] if root else [])
        need(all(slot.covers(x, 1) for x in frames), 'RANGE')
        need(len(set(frames)) == len(frames), 'ARGUMENT')
        need(slot.depth + 2 <= DEPTH_MAX, 'DEPTH')
        need(all(self.exists(x) and not self.type.get(x) and not self.maps.get(x) and not self.leaves.get(x // GROUP)
                 for x in frames), 'BUSY')
        for x, kind in zip(frames, (ENV, CTX, ROOT)):
            self.claim(x, kind)
        env = self.make_env(frame, ctx, root, frame if root else space)
        for i, x in enumerate(frames):
            self.donate(slot, frame * 32 + ENV_DONATIONS + i, x)
        self.adopt(self.slots[frame * 32 + ENV_DONATIONS], to, ENVC, CALL | NOTIFY | CONTROL)
        to.first, to.count, to.extra, to.match = frame, 1, EVENTS, ready_word(env.gen)
        env.first_cap = to.link
        return to.handle()

    def caps_add(self, hart, handle, frame):
        space = self.harts[hart].space
        env = self.envs[space]
        slot = self.use(space, handle, PAGE, R | W if self.rule('erase') else R)
        need(slot.covers(frame, 1), 'RANGE')
        need(slot.depth < DEPTH_MAX, 'DEPTH')
        need(0 in env.caps, 'FULL')
        self.claim(frame, CAPS)
        hole = env.caps.index(0)
        self.word1[frame] = space
        self.donate(slot, frame * 32, frame)
        env.donated += 1
        self.slots[frame * 32].extra = env.donated
        for i in range(1, CAPS_SLOTS):
            self.slots[frame * 32 + i] = Slot(frame * 32 + i, (hole + 1) << 12 | i << 7,
                                                   env.caps_gen if self.rule('capsgen') else 0)
        env.caps[hole] = frame
        env.added.append(frame)
        return hole + 1

    def caps_del(self, hart, frame):
        space = self.harts[hart].space
        need(frame and frame in self.envs[space].caps, 'RANGE')
        need(all(self.slots[frame * 32 + i].state == EMPTY for i in range(1, CAPS_SLOTS)) and self.can_release(frame),
             'BUSY')
        self.caps_remove(space, frame)
        return OK

    def caps_remove(self, space, frame):
        env = self.envs[space]
        for i in range(1, CAPS_SLOTS):
            env.caps_gen = max(env.caps_gen, self.slots.pop(frame * 32 + i).gen)
        env.caps[env.caps.index(frame)] = 0
        env.added.remove(frame)
        self.undonate(frame * 32)
        self.release(frame)

    def env_regs(self, hart, handle, operation):
        slot = self.use(self.harts[hart].space, handle, ENVC, 0 if operation == 4 else CONTROL)
        name = slot.first
        env = self.envs[name]
        if operation == 4:
            self.detail = env.gen
            return env.state | env.flags
        need(name != self.harts[hart].env, 'SELF')
        need(operation < 4, 'ARGUMENT')
        if operation == 3:
            return self.stop(self.harts[hart], env)
        need(env.state == STOPPED and not env.flags & KILL, 'STATE')
        if operation == 1:
            env.words = None
        if operation == 2:
            env.state, env.flags = READY, env.flags & INCALL
            if not env.flags & INCALL:
                env.depth = CHAIN_MAX
            self.wake(name)
        return OK

    def stop(self, hart, env):
        if env.state == STOPPED:
            return OK
        need(not env.flags & KILL, 'DYING')
        if env.state == RUN:
            env.flags |= STOP
            self.harts[env.hart].ipi = True
            return AGAIN
        state = env.state
        self.claim_word(hart, env)
        if state != READY:
            self.answer(env, {WAIT: OK, ACCEPT: NUMBER['NOCALL'], CALLING: NUMBER['BROKEN']}[state])
        self.put(hart, env.frame, STOPPED)
        return OK

    def kill(self, name):
        env = self.envs[name]
        if env.flags & KILL:
            return
        env.flags |= KILL
        if name == self.init:
            return                                         # the machine stops
        if env.state == RUN:
            self.harts[env.hart].ipi = True
        else:
            self.break_call(self.harts[self.here], env)
        self.report(self.harts[self.here], env, self.harts[self.here].space)

    def report(self, hart, env, but):
        """Tell who holds the first ENV capability of one that ended or faulted, unless it did that itself."""
        holder = self.home(env.first_cap) if env.first_cap else None
        if holder and holder != but:
            self.post(hart, holder, CHILD)

    def env_reap(self, index, name):
        """One step; anyone may do it: the environment is DYING, so nobody can lose by it."""
        caller, self.here = self.harts[index], index
        need(name in self.envs, 'ENV')
        env = self.envs[name]
        need(env.flags & KILL, 'STATE')
        leads = env.leader == name
        need(name != caller.env and not (leads and name == caller.space), 'SELF')
        for row in sorted(row for row, bound in self.rows.items() if bound[0] == name):
            self.clear_row(row)
        if env.state == RUN:
            self.harts[env.hart].ipi = True
            return AGAIN
        self.break_call(caller, env)
        inside = [hart for hart in self.harts if leads and env.root in hart.active and hart is not caller]
        for hart in inside:
            hart.ipi = True
        if inside:
            return AGAIN
        answer = self.cut_below(self.slots[name * 32 + ENV_DONATIONS], name, caller, False)
        if answer != OK:
            return answer
        if leads:
            if not self.sweep(name, 0, self.ram_first + self.ram_count, env):
                return AGAIN
            frames = env.added[::-1] + [name] if self.rule('lastcaps') else [name] + env.added
            for frame in frames:
                answer = self.reap_slots(frame, caller)
                if answer != OK:
                    return answer
                if frame != name:
                    if not self.can_release(frame):
                        return AGAIN
                    self.caps_remove(name, frame)
                    return AGAIN
        frames = [name, env.ctx] + ([env.root] if leads else [])
        if not all(self.can_release(frame) for frame in frames):
            return AGAIN
        for i, frame in enumerate(frames):
            self.undonate(name * 32 + ENV_DONATIONS + i)
            self.release(frame)
        if leads:
            for i in range(ENV_SLOTS):
                del self.slots[name * 32 + ENV_FIRST + i]
        del self.envs[name]
        return OK

    def reap_slots(self, frame, caller):
        """Cut the first slot of a frame that holds something; OK when there is none."""
        first, count = (ENV_FIRST, ENV_SLOTS) if self.type[frame] == ENV else (1, CAPS_SLOTS - 1)
        for link in range(frame * 32 + first, frame * 32 + first + count):
            slot = self.slots[link]
            if slot.state in (LIVE, CUTTING):
                answer = self.cut_own(slot, slot.first, caller)
                return AGAIN if answer == OK else answer
            if slot.state != EMPTY:
                slot.clear()
                slot.gen += 1
        return OK

    # ---------------------------------------------------------------- the machine
    def debug_write(self, hart, handle, length, low, high):
        self.use(self.harts[hart].space, handle, MACHINE, CONSOLE)
        need(length <= 16, 'ARGUMENT')
        self.console += (low.to_bytes(8, 'little') + high.to_bytes(8, 'little'))[:length]
        return length

    def null(self, hart):
        return OK

    # ---------------------------------------------------------------- what is compared with a kernel, word by word
    def shown_frame(self, frame):
        kind, word = self.type.get(frame, DATA), 0
        if kind == ENV:
            env = self.envs[frame]
            word = ready_word(env.gen) - READY | env.state | env.flags | env.hart << 11
        elif kind == TABLE:
            at = self.word1[frame]
            word = 2 << 61 | at.level << 46 | at.parent << 20 | at.index << 11 | at.closing << 63 | at.live
        elif kind in (ROOT, CTX, CAPS):
            word = {ROOT: 3, CTX: 4, CAPS: 5}[kind] << 61 | self.word1[frame]
        return kind << 56 | self.maps.get(frame, 0) << 24, word

    def shown_group(self, group):
        return self.typed.get(group, 0) << 32 | self.leaves.get(group, 0)

    def shown_slot(self, link):
        slot, before, after = self.slots.get(link), 0, 0
        if slot is None:                                   # of a joined environment, which has no slots
            slot = Slot(link, 0)
        elif slot.parent:
            ring = self.slots[slot.parent].kids
            at = ring.index(link)
            before, after = ring[at - 1], ring[(at + 1) % len(ring)]
        return (slot.state, slot.cls, slot.rights if slot.count else 0, slot.place >> 11, slot.gen, slot.first, slot.count,
                slot.tail, slot.keep, slot.extra, slot.match, slot.depth, slot.parent, slot.kids[0] if slot.kids else 0,
                before, after, slot.due, slot.due_from if slot.due else 0)

    def shown_row(self, row):
        time = self.time.get(row, 0)
        if row not in self.rows:
            return (0, 0, 0, self.holder[row], 0, 0, time)
        env, binder, gen, urgent = self.rows[row]
        return (env, ready_word(gen), binder, self.holder[row], urgent, self.left.get(row, 0), time)

    def shown_env(self, frame):
        env = self.envs[frame]
        used = [i for i, caps in enumerate(env.caps) if caps]
        sleeps, calls = env.state == WAIT, env.state == CALLING
        return (env.gen, env.leader, env.ctx, env.root, env.first_cap, sum(1 << hart for hart in env.rows), env.asid,
                used[-1] + 1 if used else 0, env.caps_gen, env.donated, sum(1 << hart for hart in env.urgent), env.events,
                env.mask if sleeps else 0, env.deadline if sleeps or calls else 0, env.depth if env.state in DEEP else 0,
                env.caller[0] if env.caller and not env.flags & KILL else 0, *env.caps)

    # ---------------------------------------------------------------- the walker: every invariant, in any state
    def holds(self, space, frame, count, rights):
        return any(slot.cls == PAGE and slot.state in (LIVE, CUTTING) and slot.first <= frame
                   and frame + count <= slot.end() and rights & ~slot.rights == 0 for slot in self.table_of(space))

    def walk(self):
        maps, leaves, seen = {}, {}, set()
        for space in [name for name, env in self.envs.items() if env.leader == name]:
            self.walk_table(space, self.envs[space].root, 2, maps, leaves, seen)
        for frame in set(maps) | {frame for frame, count in self.maps.items() if count}:
            sure(self.maps.get(frame, 0) == maps.get(frame, 0), 'mappings of frame %x' % frame)
        typed = {}
        for frame, kind in self.type.items():
            typed[frame // GROUP] = typed.get(frame // GROUP, 0) + 1
            sure(kind != TABLE or frame in seen, 'TABLE %x is in no space' % frame)
            if kind in (ENV, CTX, ROOT, CAPS):
                sure(any(slot.cls == DONATION and slot.first == frame for slot in self.slots.values()),
                     'donation of %x' % frame)
        for group in set(typed) | set(self.typed) | set(leaves) | set(self.leaves):
            now = typed.get(group, 0), leaves.get(group, 0)
            sure((self.typed.get(group, 0), self.leaves.get(group, 0)) == now, 'words of group %x' % group)
            sure(not (now[0] and now[1]), 'a large leaf over a typed frame of group %x' % group)
        for slot in self.slots.values():
            self.walk_slot(slot)
        for row, (name, binder, gen, _) in self.rows.items():
            sure(name in self.envs and self.envs[name].gen == gen, 'row %d names a dead environment' % row)
            sure(binder in self.envs and any(slot.cls == SLICE and slot.first <= row < slot.end()
                                             for slot in self.table_of(binder)), 'row %d is not its binder\'s' % row)
        for env in self.envs.values():
            self.walk_env(env)
        for hart in self.harts:
            self.walk_hart(hart)

    def walk_table(self, space, table, level, maps, leaves, seen):
        entries = self.tables[table]
        present = {i: pte for i, pte in entries.items() if pte & V}
        seen.add(table)
        if level < 2:
            sure(self.type.get(table) == TABLE and self.word1[table].live == len(present), 'live entries of %x' % table)
        for index, pte in present.items():
            frame, count, rights = pte_frame(pte), 1 << 9 * level, pte_rights(pte)
            if is_table(pte):
                at = self.word1.get(frame)
                sure(self.type.get(frame) == TABLE and frame not in seen, 'pointer to %x' % frame)
                sure((at.parent, at.index, at.level) == (table, index, level - 1), 'parent of %x' % frame)
                sure(self.holds(space, frame, 1, R | W), 'TABLE %x is outside the slots of %x' % (frame, space))
                self.walk_table(space, frame, level - 1, maps, leaves, seen)
                continue
            if self.type.get(frame) != INFO or rights != R:
                sure(self.holds(space, frame, count, rights), 'leaf to %x is outside the slots of %x' % (frame, space))
            sure(rights == R or all(self.type.get(x, DATA) in (DATA, CTX, RING) for x in range(frame, frame + count)),
                 'writable typed frame %x' % frame)
            where, key = (leaves, frame // GROUP) if level else (maps, frame)
            where[key] = where.get(key, 0) + 1

    def walk_slot(self, slot):
        if slot.state == OPEN:
            env = self.envs.get(slot.extra)
            sure(not env or env.gen != slot.match or env.born == slot.born, 'slot %x is open for a stranger' % slot.link)
        if not slot.cls:
            return
        sure(slot.cls != ENVC or slot.first in self.envs, 'slot %x names a dead environment' % slot.link)
        sure(not slot.parent or slot.link in self.slots[slot.parent].kids, 'slot %x is an orphan' % slot.link)
        for n, kid in enumerate(slot.kids):
            child = self.slots[kid]
            sure(child.parent == slot.link and child.first >= slot.first and child.end() <= slot.end()
                 and child.depth == slot.depth + 1, 'child %x' % kid)
            sure(DONATION in (child.cls, slot.cls) or child.cls == slot.cls and child.rights & ~slot.rights == 0,
                 'rights of %x' % kid)
            sure(child.keep == 0 or child.cls == DONATION or slot.state == CUTTING
                 or child.first + child.keep <= slot.first + slot.keep, 'promise of %x' % kid)
            sure(slot.cls != SLICE or all(child.end() <= self.slots[other].first or self.slots[other].end() <= child.first
                                          for other in slot.kids[n + 1:]), 'siblings of %x' % kid)

    def walk_env(self, env):
        """Nobody waits in vain."""
        if env.state == WAIT and not env.flags & (STOP | KILL):
            sure(not env.events & env.mask, '%x sleeps and its events are set' % env.frame)
        if env.state in (WAIT, CALLING) and env.deadline != NEVER and env.rows and not env.flags & (STOP | KILL):
            sure(any(self.harts[i].deadline <= env.deadline for i in env.rows), 'nobody watches the deadline of %x' % env.frame)
        if env.state == CALLING and not env.flags & (STOP | KILL):
            callee = self.envs.get(env.hart)
            sure(callee and callee.caller and callee.caller[:2] == (env.frame, env.gen),
                 '%x waits for an answer that nobody gives' % env.frame)

    def walk_hart(self, hart):
        sure(sum(self.time.get(hart.index * ROWS + row, 0) for row in range(ROWS)) <= self.clock - self.began,
             'hart %d gave out more time than passed' % hart.index)
        if not hart.env and not hart.ipi and hart.state == IDLE:
            for row in sorted(row for row in self.rows if row // ROWS == hart.index):
                sure(not self.runnable(row), 'hart %d sleeps and could run row %d' % (hart.index, row))
        if hart.env:
            sure(hart.env in self.envs and self.envs[hart.env].state == RUN and self.envs[hart.env].hart == hart.index,
                 'hart %d does not run what it has' % hart.index)
        if not hart.satp or hart.satp != hart.space:
            return
        sure(hart.satp in self.envs, 'hart %d is in a dead space' % hart.index)
        for (asid, page, level), pte in hart.tlb.items():
            if asid != self.envs[hart.satp].asid:
                continue
            frame = pte_frame(pte)
            if is_table(pte):
                sure(self.type.get(frame) == TABLE, 'hart %d walks frame %x' % (hart.index, frame))
                continue
            sure(self.holds(hart.satp, frame, 1 << 9 * level, pte_rights(pte)) or self.type.get(frame) == INFO,
                 'hart %d reaches frame %x of another' % (hart.index, frame))
            sure(not pte_rights(pte) & W or all(self.type.get(x, DATA) in (DATA, CTX)
                 for x in range(frame, frame + (1 << 9 * level))), 'hart %d writes frame %x' % (hart.index, frame))


DEEP = (READY, RUN, WAIT, CALLING)                         # states in which the depth of a chain counts
# The errors that a sleeper's call returns.
NUMBER = {'DEPTH': -9, 'BUSY': -14, 'DYING': -17, 'STATE': -18, 'LOOP': -27, 'BROKEN': -28, 'TIMEOUT': -29, 'NOCALL': -30}


def sure(condition, what):
    if not condition:
        raise Broken(what)


def ready_word(gen):
    """The state word of an environment that is READY."""
    return 1 << 61 | (gen & (1 << 24) - 1) << 37 | READY
