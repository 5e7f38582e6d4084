# SPDX-License-Identifier: MIT
"""Builds a boot archive: struct exo_archive of exo/include/exo/abi.h.

Header, entries, then the files, each at a multiple of 4,096 bytes.  init is
not an entry but a flat image: text, then data with its bss as zeroes, since
the kernel has no ELF reader and maps the image where it lies.
"""
import argparse
import os
import pathlib
import struct
import sys

import manifest

FRAME = 4096
MAGIC = 0x31484352414F5845  # EXO_ARCHIVE_MAGIC
VA_INIT = 0x200000  # EXO_VA_INIT
NAME_BYTES = 48  # of exo_archive_entry.name, with its zero byte
HEADER = struct.Struct("<6Q16x")
ENTRY = struct.Struct(f"<{NAME_BYTES}sQQ")

PT_LOAD = 1
PF_X, PF_W, PF_R = 1, 2, 4


class PackError(Exception):
    pass


def round_up(number):
    return -(-number // FRAME) * FRAME


def load_segments(path, data):
    """(address, bytes in memory, content, flags) of each segment that is loaded."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise PackError(f"{path}: not a 64-bit little-endian ELF file")
    table, size, count = struct.unpack_from("<Q14xHH", data, 32)
    result = []
    for index in range(count):
        kind, flags, offset, address, _, file_bytes, memory_bytes, _ = struct.unpack_from(
            "<2I6Q", data, table + index * size
        )
        if kind == PT_LOAD and memory_bytes:
            result.append((address, memory_bytes, data[offset : offset + file_bytes], flags))
    return sorted(result)


def flat_image(path):
    """The image of init, and how many bytes of it are text."""
    data = pathlib.Path(path).read_bytes()
    segments = load_segments(path, data)
    if not segments or segments[0][0] != VA_INIT:
        raise PackError(f"{path}: its first segment is not at EXO_VA_INIT ({VA_INIT:#x})")
    (entry,) = struct.unpack_from("<Q", data, 24)
    if entry != VA_INIT:
        raise PackError(f"{path}: its entry is {entry:#x}, not its first byte")
    image = bytearray()
    text_bytes = 0
    for address, memory_bytes, content, flags in segments:
        offset = address - VA_INIT
        if flags & PF_W and flags & PF_X:
            raise PackError(f"{path}: the segment at {address:#x} is writable and executable")
        if not flags & PF_W:
            if text_bytes < round_up(len(image)):
                raise PackError(f"{path}: the text at {address:#x} comes after data")
            text_bytes = round_up(offset + memory_bytes)
        elif offset < text_bytes:
            raise PackError(f"{path}: the data at {address:#x} shares a page with text")
        image += bytes(offset + memory_bytes - len(image))
        image[offset : offset + len(content)] = content
    image += bytes(round_up(len(image)) - len(image))
    return image, text_bytes


def command_bytes(words):
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def pack(output, init, programs=(), files=(), texts=None):
    """Write the archive; `programs` and `files` are paths, named by their last part.

    `texts` are contents by name: above all `manifest`, what init is to start.
    """
    image, text_bytes = flat_image(init)
    texts = texts or {}
    contents = {}
    for path in [*programs, *files]:
        path = pathlib.Path(path)
        if path.name in contents or path.name in texts:
            raise PackError(f"{path}: the archive has a file of this name already")
        if len(os.fsencode(path.name)) >= NAME_BYTES:
            raise PackError(f"{path}: its name is longer than {NAME_BYTES - 1} bytes")
        try:
            contents[path.name] = path.read_bytes()
        except OSError as error:
            raise PackError(f"{path}: {error.strerror}") from error
    contents |= texts

    init_offset = round_up(HEADER.size + len(contents) * ENTRY.size)
    place = init_offset + len(image)
    entries = bytearray()
    for name, data in contents.items():
        entries += ENTRY.pack(os.fsencode(name), place, len(data))
        place += round_up(len(data))
    header = HEADER.pack(MAGIC, place, len(contents), init_offset, text_bytes, len(image))
    with open(output, "wb") as archive:
        archive.write(header + entries)
        archive.seek(init_offset)
        archive.write(image)
        for data in contents.values():
            archive.write(data)
            archive.write(bytes(round_up(len(data)) - len(data)))


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/pack",
        usage="scripts/pack --output FILE --init ELF [options] [--manifest PATH | -- PROGRAM ARGS]",
        description="Builds the boot archive that QEMU or a boot loader passes as initrd.",
        epilog="Example: scripts/pack --output boot.exo --init build/riscv/programs/init.elf"
        " --program build/riscv/programs/hello -- hello",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the archive to write")
    parser.add_argument("--init", required=True, metavar="ELF", help="the first program")
    parser.add_argument("--program", action="append", default=[], metavar="ELF", help="a program")
    parser.add_argument("--file", action="append", default=[], metavar="PATH", help="any file")
    parser.add_argument(
        "--manifest", metavar="PATH",
        help="what init starts (docs/init.md); instead of PROGRAM ARGS, or the shell",
    )  # fmt: skip
    arguments = sys.argv[1:]
    command = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, command = arguments[:place], arguments[place + 1 :]
    options = parser.parse_args(arguments)
    try:
        if options.manifest:
            data = pathlib.Path(options.manifest).read_bytes()
        else:
            data = manifest.text(command).encode()
        texts = {"manifest": data}
        pack(options.output, options.init, options.program, options.file, texts)
    except (PackError, OSError) as error:
        sys.exit(f"pack: {error}")


if __name__ == "__main__":
    main()
