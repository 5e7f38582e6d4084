#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares libexo's ELF reader with pyelftools, on real programs and on damaged ones.

    elf_oracle.py FUZZER [--count N] [--seed N] [ELF ...]    compare; FUZZER is the built fuzz_elf
    elf_oracle.py --seeds DIRECTORY [ELF ...]                write valid inputs for the fuzzer to begin with

The given files are read first, then small ones of many shapes that are made here, then N damaged copies of all of them.
The reader and this script must accept the same files and find the same entry and segments; the rules are written down
twice, in libexo/task/elf.c and in `expected` below, and here pyelftools takes the file apart.
"""
import argparse
import io
import os
import random
import struct
import subprocess
import sys
import tempfile

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import ConstructError
from elftools.elf.structs import ELFStructs

LIMIT, PAGE, SEGMENTS_MAX, ENTRIES_MAX = 1 << 38, 4096, 8, 64
HEADER, ENTRY = struct.Struct('<16sHHIQQQIHHHHHH'), struct.Struct('<IIQQQQQQ')
LOAD, DYNAMIC, INTERP, NOTE, STACK = 1, 2, 3, 4, 0x6474e551
WILD = (0, 1, 2, 3, 7, 0x37, 0x38, 0x40, 0xff, 0xfff, 0x1000, 0x1001, 0x7fffffff, 0xffffffff, 1 << 32, LIMIT - 1, LIMIT,
        LIMIT - 0x1000, 1 << 63, (1 << 64) - 1, (1 << 64) - 0x1000)


def make(segments, entry, data=0x2000, machine=243, kind=2, table=64):
    """A file with these program headers: (kind, flags, offset, address, file bytes, memory bytes)."""
    ident = b'\x7fELF\x02\x01\x01' + bytes(9)
    header = HEADER.pack(ident, kind, machine, 1, entry, table, 0, 0, 64, 56, len(segments), 0, 0, 0)
    entries = b''.join(ENTRY.pack(kind, flags, offset, address, address, file_bytes, memory_bytes, PAGE)
                       for kind, flags, offset, address, file_bytes, memory_bytes in segments)
    return (header + bytes(table - 64) + entries).ljust(data, b'\xa5')


def made():
    text, data = (LOAD, 5, 0x1000, 0x10000, 0x800, 0x800), (LOAD, 6, 0x1800, 0x12000, 0x100, 0x3000)
    yield make([text], 0x10000)
    yield make([text, data], 0x107ff)
    yield make([(STACK, 6, 0, 0, 0, 0), text, data, (NOTE, 4, 0x400, 0x400, 16, 16)], 0x10004)
    yield make([text, (LOAD, 4, 0x1000, 0x11000, 0, 0), data], 0x10000, table=120)
    yield make([(LOAD, 5, 0x1000, LIMIT - PAGE, 0x800, PAGE)], LIMIT - PAGE)
    yield make([(LOAD, 5, 0, 0x10000 + i * PAGE, 8, 16) for i in range(SEGMENTS_MAX)], 0x10000)
    yield make([(LOAD, 5, 0, 0x10000 + i * PAGE, 8, 16) for i in range(SEGMENTS_MAX + 1)], 0x10000)
    yield make([text, (INTERP, 4, 0x400, 0x400, 16, 16)], 0x10000)
    yield make([text], 0x10000, kind=3)
    yield make([data], 0x12000)
    yield make([], 0)


def expected(data):
    """(entry, segments) by pyelftools, or None if the program must be refused."""
    structs, stream = ELFStructs(little_endian=True, elfclass=64), io.BytesIO(data)
    structs.create_basic_structs()                         # the whole ELFFile wants sections, which are nothing to a loader
    try:
        head = struct_parse(structs.Elf_Ehdr, stream, 0)
        ident = head.e_ident
        if (bytes(ident.EI_MAG), ident.EI_CLASS, ident.EI_DATA, ident.EI_VERSION, head.e_version) != (
                b'\x7fELF', 'ELFCLASS64', 'ELFDATA2LSB', 'EV_CURRENT', 'EV_CURRENT'):
            return None
        if head.e_type != 'ET_EXEC' or head.e_machine != 'EM_RISCV' or head.e_phentsize != 56:
            return None
        if head.e_phnum > ENTRIES_MAX or head.e_phoff + 56 * head.e_phnum > len(data):
            return None
        structs.create_advanced_structs(head.e_type, head.e_machine, ident.EI_OSABI)
        found = []
        for number in range(head.e_phnum):
            entry = struct_parse(structs.Elf_Phdr, stream, head.e_phoff + 56 * number)
            if entry.p_type in ('PT_DYNAMIC', 'PT_INTERP'):
                return None
            if entry.p_type != 'PT_LOAD':
                continue
            if entry.p_offset + entry.p_filesz > len(data) or entry.p_filesz > entry.p_memsz:
                return None
            if not entry.p_memsz:
                continue
            if entry.p_vaddr + entry.p_memsz > LIMIT:
                return None
            found.append((entry.p_vaddr, entry.p_offset, entry.p_filesz, entry.p_memsz, entry.p_flags & 7))
    except (ELFError, ConstructError, OverflowError):
        return None
    for before, after in zip(found, found[1:]):
        if after[0] // PAGE <= (before[0] + before[3] - 1) // PAGE:
            return None
    if not 1 <= len(found) <= SEGMENTS_MAX:
        return None
    if not any(s[4] & 1 and s[0] <= head.e_entry < s[0] + s[3] for s in found):
        return None
    return head.e_entry, found


def damage(rng, data):
    """A copy with some fields of the headers changed, or cut short."""
    copy = bytearray(data)
    entries = min(struct.unpack_from('<H', copy, 56)[0], 12) if len(copy) >= 64 else 0
    table = struct.unpack_from('<Q', copy, 32)[0] if len(copy) >= 64 else 0
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.random()
        if kind < 0.12:
            del copy[rng.choice((0, 3, 4, 63, 64, 65, 119, 120, rng.randrange(len(copy) + 1))):]
        elif kind < 0.35 and copy:
            copy[rng.randrange(min(len(copy), 64))] = rng.choice((0, 1, 2, 3, 0x7f, 0xff, rng.randrange(256)))
        elif entries and table < len(copy):
            field = table + 56 * rng.randrange(entries) + rng.choice((0, 4, 8, 16, 24, 32, 40, 48))
            width = 4 if (field - table) % 56 < 8 else 8
            if field + width <= len(copy):
                old = int.from_bytes(copy[field:field + width], 'little')
                new = rng.choice((rng.choice(WILD), old + 1, old - 1, old + PAGE, old ^ 1 << rng.randrange(8 * width)))
                copy[field:field + width] = (new & (1 << 8 * width) - 1).to_bytes(width, 'little')
        elif len(copy) >= 64:
            field, width = rng.choice(((24, 8), (32, 8), (54, 2), (56, 2), (16, 2), (18, 2), (20, 4)))
            copy[field:field + width] = (rng.choice(WILD) & (1 << 8 * width) - 1).to_bytes(width, 'little')
    return bytes(copy)


def answers(fuzzer, files):
    """What the reader prints for each of these files."""
    done = subprocess.run([fuzzer, '-detect_leaks=0', *files], env={**os.environ, 'ELF_PRINT': '1', 'ASAN_OPTIONS': 'detect_leaks=0'},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode(errors='replace')[-3000:])
    lines = done.stdout.decode().splitlines()
    # Without -detect_leaks=0 libFuzzer runs an input again whose allocations do not balance (the first
    # one, which makes stdout's buffer, and at times another), and lines and files do not pair.
    if len(lines) != len(files):
        sys.exit('%d files, but %d answers of the reader' % (len(files), len(lines)))
    return lines


def parse(line):
    words = line.split()
    if words[0] != '0':
        return None
    return int(words[1], 16), [tuple(int(x, 16) for x in word.split(',')) for word in words[2:]]


def compare(fuzzer, inputs, directory):
    names = []
    for number, data in enumerate(inputs):
        names.append(os.path.join(directory, '%d.elf' % number))
        with open(names[-1], 'wb') as file:
            file.write(data)
    accepted = 0
    for name, data, line in zip(names, inputs, answers(fuzzer, names)):
        mine, theirs = parse(line), expected(data)
        if mine != theirs:
            keep = 'elf-oracle.elf'
            with open(keep, 'wb') as file:
                file.write(data)
            sys.exit('%s (%d bytes): the reader says %s, pyelftools %s' % (keep, len(data), mine or line, theirs))
        accepted += mine is not None
    return accepted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('fuzzer', nargs='?')
    parser.add_argument('programs', nargs='*', metavar='ELF')
    parser.add_argument('--count', type=int, default=4000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--seeds', metavar='DIRECTORY')
    options = parser.parse_args()
    programs = options.programs + ([options.fuzzer] if options.seeds and options.fuzzer else [])
    inputs = list(made())
    for name in programs:
        with open(name, 'rb') as file:
            inputs.append(file.read())
    if options.seeds:
        os.makedirs(options.seeds, exist_ok=True)
        for number, data in enumerate(inputs):
            with open(os.path.join(options.seeds, 'seed-%d.elf' % number), 'wb') as file:
                file.write(data[:65536])
        return
    rng, accepted, total = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as directory:
        accepted, total = compare(options.fuzzer, inputs, directory), len(inputs)
        small = [data for data in inputs if len(data) < 1 << 18]
        while total < options.count:
            batch = [damage(rng, rng.choice(small)) for _ in range(400)]
            accepted, total = accepted + compare(options.fuzzer, batch, directory), total + len(batch)
    print('%d files, %d of them programs, no difference' % (total, accepted))


if __name__ == '__main__':
    main()
