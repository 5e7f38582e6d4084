# SPDX-License-Identifier: MIT
"""gdb commands that print the kernel's objects; scripts/debug loads them.

    exo-harts             what runs on each hart
    exo-envs              all environments
    exo-caps ENV          the capability table of a space, ENV an ENV frame number
    exo-frame N           a frame: type, counts, word 1
    exo-pt ENV VA         the walk of a space's page table for a virtual address

Memory is read by physical address, since a hart that was stopped in a program
may not read kernel memory by virtual ones.  Layouts come from the kernel's
debug information and numbers from abi.h, so nothing is repeated here.
"""
import pathlib
import re

import gdb

DIRECT_MAP = 0xFFFFFFC000000000
IMAGE = 0xFFFFFFFF80000000
IMAGE_MAGIC_OFFSET = 0x30  # "RISCV" in the header of a bootable image
FRAME = 4096
ENTRY = 8

ABI = pathlib.Path(__file__).resolve().parents[2] / "exo" / "include" / "exo" / "abi.h"
ABI_TEXT = ABI.read_text(encoding="utf-8")


def abi_numbers():
    """The constants of abi.h: simple macros, and enumerators, which count on from the one before."""
    numbers = {
        name: int(value, 0)
        for name, value in re.findall(r"^#define (EXO_\w+) (0x[0-9a-fA-F]+|\d+)\b", ABI_TEXT, re.M)
    }
    for body in re.findall(r"^enum \{([^}]*)\}", ABI_TEXT, re.M):
        following = 0
        for name, value in re.findall(r"\b(EXO_\w+)(?: = (\w+))?", body):
            numbers[name] = int(value, 0) if value else following
            following = numbers[name] + 1
    return numbers


NUMBERS = abi_numbers()


def names(prefix):
    """{number: short name} of the constants with this prefix."""
    return {
        value: name[len(prefix) :] for name, value in NUMBERS.items() if name.startswith(prefix)
    }


FRAME_TYPES = {
    value: name
    for value, name in names("EXO_FRAME_").items()
    if name not in ("SHIFT", "BYTES", "NUMBER_BITS")
}
CLASSES = names("EXO_CLASS_")
SLOT_STATES = names("EXO_SLOT_")
ENV_STATES = {NUMBERS[f"EXO_STATE_{name}"]: name for name in ("STOPPED", "READY", "RUN")}
ENV_FLAGS = {NUMBERS[f"EXO_FLAG_{name}"]: name for name in ("STOP", "KILL", "FAULT")}
RIGHTS = {
    "PAGE": ["R", "W", "X", "DMA"],
    "SLICE": ["BIND", "URGENT"],
    "ENV": ["CALL", "NOTIFY", "CONTROL"],
    "MACHINE": ["CONSOLE", "POWER", "TRACE"],
}


class Memory:
    """Physical memory of the machine."""

    image = None  # physical address of the kernel's image

    @staticmethod
    def read(address, size):
        """QEMU takes physical addresses only while this mode is on; gdb itself must not see it."""
        gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
        try:
            return bytes(gdb.selected_inferior().read_memory(address, size))
        finally:
            gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)

    @classmethod
    def find_image(cls):
        for base in range(0x40000000, 0x100000000, 0x200000):
            try:
                if cls.read(base + IMAGE_MAGIC_OFFSET, 5) == b"RISCV":
                    return base
            except gdb.MemoryError:
                continue
        raise gdb.GdbError("the kernel is not in memory yet; let the machine run first")

    @classmethod
    def physical(cls, pointer):
        """The physical address of a kernel pointer."""
        if pointer >= IMAGE:
            if cls.image is None:
                cls.image = cls.find_image()
            return pointer - IMAGE + cls.image
        return pointer - DIRECT_MAP

    @classmethod
    def word(cls, address):
        return int.from_bytes(cls.read(address, 8), "little")


class Struct:
    """A C structure read from physical memory; members by [name], arrays as lists."""

    def __init__(self, type_name, address=None, data=None, kind=None):
        self.type = kind or gdb.lookup_type(f"struct {type_name}")
        self.address = address
        self.data = Memory.read(address, self.type.sizeof) if data is None else data

    def __getitem__(self, name):
        field = self.type[name]
        return self._decode(field.type.strip_typedefs(), field.bitpos // 8)

    def _decode(self, kind, offset):
        if kind.code == gdb.TYPE_CODE_ARRAY:
            size = kind.target().sizeof
            low, high = kind.range()
            element = kind.target().strip_typedefs()
            return [self._decode(element, offset + i * size) for i in range(high - low + 1)]
        data = self.data[offset : offset + kind.sizeof]
        if kind.code == gdb.TYPE_CODE_STRUCT:
            return Struct(None, self.address + offset, data, kind)
        return int.from_bytes(data, "little")


def variable(name):
    """The value of a kernel global, or a list if it is an array."""
    symbol = gdb.lookup_global_symbol(name)
    if symbol is None:
        raise gdb.GdbError(f"the kernel has no variable {name}: is kernel.elf loaded?")
    kind = symbol.type.strip_typedefs()
    address = Memory.physical(int(symbol.value().address))
    data = Memory.read(address, kind.sizeof)
    if kind.code == gdb.TYPE_CODE_ARRAY:
        return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    return int.from_bytes(data, "little")


def hart_structures():
    count = variable("hart_count")
    pointers = [pointer for pointer in variable("harts")[:count] if pointer]
    if not pointers:
        raise gdb.GdbError("the kernel has not come up yet; let it run first")
    return [Struct("hart", Memory.physical(pointer)) for pointer in pointers]


def frame_words(first=None, count=1):
    """[(word 0, word 1)] of frames; of all RAM without arguments.  Also the first number."""
    ram_first, ram_count = variable("ram_first"), variable("ram_count")
    if first is None:
        first, count = ram_first, ram_count
    if not ram_first <= first < ram_first + ram_count:
        last = ram_first + ram_count - 1
        raise gdb.GdbError(f"frame {first:#x} is not RAM ({ram_first:#x} to {last:#x})")
    # The table is biased: its first entry is that of frame 0, which need not exist.
    table = hart_structures()[0]["frames"]
    place = (table + first * 16) & 0xFFFFFFFFFFFFFFFF
    data = Memory.read(Memory.physical(place), count * 16)
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    return first, list(zip(words[::2], words[1::2]))


def type_of(word0):
    number = word0 >> NUMBERS["EXO_TYPE_SHIFT"]
    return FRAME_TYPES.get(number, f"type {number}")


def state_of(word1):
    state = word1 & NUMBERS["EXO_STATE_MASK"]
    text = ENV_STATES.get(state, f"state {state}")
    if text == "RUN":
        hart = word1 >> NUMBERS["EXO_ENV_HART_SHIFT"] & (1 << NUMBERS["EXO_FRAME_NUMBER_BITS"]) - 1
        text += f" on hart {hart}"
    flags = [name for bit, name in ENV_FLAGS.items() if word1 & bit]
    return " ".join([text, *flags])


def frame_of_pointer(pointer):
    return Memory.physical(pointer) // FRAME if pointer else 0


def environment(number):
    _, [(word0, _)] = frame_words(number)
    if type_of(word0) != "ENV":
        raise gdb.GdbError(f"frame {number:#x} is {type_of(word0)}, not ENV; see exo-envs")
    return Struct("exo_env", number * FRAME)


def arguments_of(text, count, usage):
    words = gdb.string_to_argv(text)
    if len(words) != count:
        raise gdb.GdbError(f"usage: {usage}")
    return [int(gdb.parse_and_eval(word)) for word in words]


class Command(gdb.Command):
    """Base of the commands: registers itself under `name`."""

    name = ""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, text, _from_tty):
        self.run(text)


class Harts(Command):
    """exo-harts: what runs on each hart."""

    name = "exo-harts"

    def run(self, text):
        arguments_of(text, 0, self.__doc__)
        print(f"{'hart':>4} {'id':>4} {'env':>8} {'space':>8} {'row':>4}  asleep")
        for hart in hart_structures():
            env, space = frame_of_pointer(hart["env"]), frame_of_pointer(hart["space"])
            env_text, space_text = (hex(frame) if frame else "-" for frame in (env, space))
            print(
                f"{hart['index']:4} {hart['id']:4} {env_text:>8} {space_text:>8} {hart['row']:4}"
                f"  {'yes' if hart['idle'] else 'no'}"
            )


class Envs(Command):
    """exo-envs: all environments."""

    name = "exo-envs"

    def run(self, text):
        arguments_of(text, 0, self.__doc__)
        first, words = frame_words()
        print(f"{'env':>8} {'gen':>6} {'leader':>8} {'root':>8} {'ctx':>8}  state")
        for number, (word0, word1) in enumerate(words, first):
            if type_of(word0) == "ENV":
                env = Struct("exo_env", number * FRAME)
                leader, ctx = env["leader"] // FRAME, env["ctx"] // FRAME
                print(
                    f"{number:#8x} {env['gen']:6} {leader:#8x} {env['root']:#8x} {ctx:#8x}"
                    f"  {state_of(word1)}"
                )


class Caps(Command):
    """exo-caps ENV: the capability table of a space, ENV an ENV frame number."""

    name = "exo-caps"

    def run(self, text):
        [number] = arguments_of(text, 1, self.__doc__)
        env = environment(number)
        print(f"{'handle':>18} {'state':8}{'class':9}{'rights':14}{'first':>10} {'count':>10}"
              f" {'keep':>6} {'depth':>5}")  # fmt: skip
        self.print_slots(env["slot"], 0)
        for frame in env["caps"]:
            if frame:
                self.print_slots(Struct("exo_caps", frame * FRAME)["slot"][1:], 1)

    @staticmethod
    def print_slots(slots, first_index):
        for index, slot in enumerate(slots, first_index):
            word = slot["word"]
            state = SLOT_STATES.get(word & 7, "?")
            if state == "EMPTY":
                continue
            handle = word & ~0x7FF | (index & 15) << NUMBERS["EXO_HANDLE_INDEX_SHIFT"]
            class_name = CLASSES.get(word >> NUMBERS["EXO_CAP_CLASS_SHIFT"] & 15, "-")
            bits = word >> NUMBERS["EXO_CAP_RIGHTS_SHIFT"] & 15
            rights = [name for i, name in enumerate(RIGHTS.get(class_name, [])) if bits >> i & 1]
            print(
                f"{handle:#18x} {state:8}{class_name:9}{' '.join(rights):14}{slot['first']:#10x}"
                f" {slot['count']:#10x} {slot['keep']:6} {slot['depth']:5}"
            )


class Frame(Command):
    """exo-frame N: a frame: type, counts, word 1."""

    name = "exo-frame"

    def run(self, text):
        [number] = arguments_of(text, 1, self.__doc__)
        _, [(word0, word1)] = frame_words(number)
        maps = word0 >> NUMBERS["EXO_MAP_SHIFT"] & (1 << NUMBERS["EXO_MAP_BITS"]) - 1
        pins = word0 & (1 << NUMBERS["EXO_MAP_SHIFT"]) - 1
        kind = type_of(word0)
        print(f"frame {number:#x} at {number * FRAME:#x}: {kind}, {maps} maps, {pins} pins")
        mask = (1 << NUMBERS["EXO_FRAME_NUMBER_BITS"]) - 1
        if kind == "ENV":
            print(f"  {state_of(word1)}")
        elif kind == "TABLE":
            parent = word1 >> NUMBERS["EXO_TABLE_PARENT_SHIFT"] & mask
            index = word1 >> NUMBERS["EXO_TABLE_INDEX_SHIFT"] & 0x1FF
            live = word1 & NUMBERS["EXO_TABLE_LIVE_MASK"]
            closing = ", CLOSING" if word1 & NUMBERS["EXO_TABLE_CLOSING"] else ""
            print(f"  {live} live entries, entry {index} of table {parent:#x}{closing}")
        elif kind in ("ROOT", "CTX", "CAPS"):
            print(f"  of environment {word1 & mask:#x}")
        group = number >> NUMBERS["EXO_GROUP_SHIFT"]
        group_word = Memory.word(
            Memory.physical((variable("group_words") + group * 8) & 0xFFFFFFFFFFFFFFFF)
        )
        print(f"  group {group:#x}: {group_word & 0xFFFFFFFF} large leaves, "
              f"{group_word >> 32} typed frames")  # fmt: skip


class PageTable(Command):
    """exo-pt ENV VA: the walk of a space's page table for a virtual address."""

    name = "exo-pt"

    def run(self, text):
        number, address = arguments_of(text, 2, self.__doc__)
        table = environment(number)["root"]
        for level in (2, 1, 0):
            index = address >> (12 + 9 * level) & 0x1FF
            entry = Memory.word(table * FRAME + index * ENTRY)
            present, rights = entry & 1, entry >> 1 & 7
            frame = entry >> 10 & (1 << 44) - 1
            if not present:
                kind = f"absent, payload {entry:#x}"
            elif not rights:
                kind = f"table {frame:#x}"
            else:
                text_rights = "".join(c for i, c in enumerate("RWX") if rights >> i & 1)
                soft = f", soft {entry >> 8 & 3}" if entry >> 8 & 3 else ""
                kind = f"leaf {frame:#x} {text_rights}{soft}"
            print(f"level {level}: table {table:#x} entry {index:3}: {entry:#018x} {kind}")
            if not present or rights:
                return
            table = frame


for command in (Harts, Envs, Caps, Frame, PageTable):
    command()
