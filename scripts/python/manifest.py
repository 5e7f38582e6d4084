# SPDX-License-Identifier: MIT
"""The manifest that init reads, from the words of a command line (docs/init.md)."""
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parents[1]
PACKAGED = HERE / "manifests"
DEFAULTS = PACKAGED if PACKAGED.is_dir() else HERE.parent / "apps" / "init" / "manifests"

PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_./:,=%@")


def default(name):
    return (DEFAULTS / name).read_text()


def quoted(word):
    """A word as the manifest's reader takes it."""
    data = os.fsencode(word)
    if data and PLAIN.issuperset(data):
        return word
    return '"' + "".join(chr(b) if b in PLAIN or b == 32 else f"\\x{b:02x}" for b in data) + '"'


def disk_lines(disks):
    """`disks` tells for each whether it can only be read."""
    return [
        f"    disk {number} all {'read' if read_only else 'write'}"
        for number, read_only in enumerate(disks)
    ]


def programs_of(command):
    """The programs of a command: "+" begins another one."""
    programs = [[]]
    for word in command:
        if word == "+":
            programs.append([])
        else:
            programs[-1].append(word)
    return programs


def text(command, disks=(), driver=True):
    """The console's driver, unless it is left out, and what `command` says; without one the shell.

    Programs share memory and disks equally.  One that is alone gets all rows that
    are left too.
    """
    if not command:
        return default("console") + "\n" + default("shell") + "\n".join([*disk_lines(disks), ""])
    programs = programs_of(command)
    lines = [default("console")] if driver else []
    for number, words in enumerate(programs):
        lines.append(" ".join(["program", *map(quoted, words)]))
        lines.append("    memory share")
        if len(programs) == 1:
            lines.append("    rows rest urgent")
        if number == 0:
            lines.append("    console input")
        lines += disk_lines(disks)
    return "\n".join([*lines, ""])
