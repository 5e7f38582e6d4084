# SPDX-License-Identifier: MIT
"""scripts/run: boot a shell or programs on QEMU and exit with their status."""
import argparse
import os
import re
import select
import signal
import subprocess
import sys
import tempfile

import machine
import pack
import terminal

NAME = "exo-run" if machine.PACKAGE else "scripts/run"

# What libexo prints about a program that has faulted: its file, then places in its code.
BACKTRACE = re.compile(rb"^backtrace: ([\w.-]+)((?: 0x[0-9a-f]{1,16}){1,64})\r?$")
ADDR2LINE = "/usr/bin/riscv64-unknown-elf-addr2line"
EXCEPTION_ENTRY = "sys_exception_entry"
LINE_BYTES = 4096  # a longer one is no backtrace

# Shown when the firmware's banner did not end by then: the machine is in trouble.
BANNER_SECONDS = 5


def add_options(parser):
    """What can be said of the machine and its archive, here and in scripts/app."""
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="harts (default 1)")
    parser.add_argument("--mem", default="256M", metavar="SIZE", help="memory (default 256M)")
    parser.add_argument(
        "--file", action="append", default=[], metavar="PATH", help="a file for the boot archive"
    )
    parser.add_argument(
        "--program", action="append", default=[], metavar="PATH",
        help="a program from elsewhere; PATH.elf, if it is there, tells where it crashed",
    )  # fmt: skip
    parser.add_argument(
        "--disk", action="append", default=[], metavar="FILE[,ro]",
        help="attach an image as a disk; programs write to it, but not with ,ro",
    )  # fmt: skip
    parser.add_argument(
        "--count",
        action="store_true",
        help="count instructions: one takes one ns, and a run is like any other",
    )
    parser.add_argument("--gdb", action="store_true", help="wait for scripts/debug")
    parser.add_argument("--firmware", action="store_true", help="show the firmware's messages too")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog=NAME,
        usage=f"{NAME} [--smp N] [--mem SIZE] [--file PATH]... [--program PATH]..."
        " [--disk FILE[,ro]]... [--count] [--gdb] [-- PROGRAM ARGS]",
        description="Boots exo on QEMU and stands at a shell: help lists its commands, exit or"
        " Ctrl-D leaves it, Ctrl-] ends the machine at once.  With PROGRAM it runs that instead and"
        " exits with its status; Ctrl-C ends it.  Installs and builds what is missing.",
        epilog=f"Several programs at once: {NAME} -- PROGRAM ARGS + PROGRAM ARGS",
    )
    add_options(parser)
    parser.add_argument("--list", action="store_true", help="list the programs")
    command = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, command = arguments[:place], arguments[place + 1 :]
    options, rest = parser.parse_known_args(arguments)
    if rest and not rest[0].startswith("-"):
        parser.error(f"the program comes after --, as in: {NAME} -- {' '.join(rest)}")
    if rest:
        parser.error(f"unknown option {rest[0]}; see {NAME} --help")
    return options, command


def check(options, command):
    known = machine.programs(options.program)
    words = ["+", *command]
    for before, word in zip(words, words[1:]):
        if before == "+" and word not in known:
            raise machine.Failure(f"there is no program {word!r}; there are: {' '.join(known)}")
    for option in ("file", "program"):
        for path in getattr(options, option):
            if not os.path.isfile(path):
                raise machine.Failure(f"--{option} {path}: there is no such file")


def explain(program, places):
    """Function, file and line of each place in a program's code, as lines of text."""
    path = program and program.with_name(f"{program.name}.elf")
    if not path or not path.is_file():
        return []
    command = [ADDR2LINE, "-a", "-f", "-i", "-p", "-e", str(path)]
    lines = []
    back = 0
    for place in places:
        text = subprocess.run(
            [*command, f"{place - back:#x}"], capture_output=True, text=True, check=False
        ).stdout.replace(f"{machine.ROOT}/", "")
        # Others are return addresses, and what called is the instruction before: but for the
        # first, and for the place where an exception came.
        back = 0 if EXCEPTION_ENTRY in text else 1
        lines += [re.sub("^0x[0-9a-f]+", f"  {place:#x}", line) for line in text.splitlines()]
    return lines


class Console:
    """Passes output on, and after a backtrace says where that is."""

    def __init__(self, out, programs):
        self.out = out
        self.programs = programs
        self.line = b""

    def write(self, data):
        while data:
            part, end, data = data.partition(b"\n")
            self.out.write(part + end)
            self.line = (self.line + part)[:LINE_BYTES]
            if end:
                self.end_line()
        self.out.flush()

    def end_line(self):
        found = BACKTRACE.match(self.line)
        self.line = b""
        if found:
            places = [int(place, 16) for place in found[2].split()]
            for text in explain(self.programs.get(found[1].decode()), places):
                self.out.write(text.encode() + b"\n")


class Banner:
    """Takes the firmware's banner out of the machine's output, unless it is to be shown."""

    def __init__(self, show):
        self.show = show
        self.held = b""
        self.last_line = False  # has come: firmware is done with the console
        self.ended = False

    def seconds(self):
        """How long more output is waited for."""
        return None if self.ended else BANNER_SECONDS

    def passes(self, data):
        """What of the output so far, with this more, can be shown."""
        if self.ended:
            return data
        self.held += data
        place = self.held.find(machine.FIRMWARE_LAST_LINE)
        if place < 0 or self.held.find(b"\n", place) < 0:
            return data if self.show else b""
        self.last_line = True
        rest = machine.without_firmware(self.held)
        # The blank line after the banner may still be on its way.
        self.ended = bool(rest)
        return data if self.show else rest

    def rest(self):
        """It does not end."""
        self.last_line = self.ended = True
        return b"" if self.show else self.held


def copy_console(qemu, keys, programs, show_firmware):
    """Pass what is typed on to QEMU, and its output to us without the banner, until it ends."""
    console = Console(sys.stdout.buffer, programs)
    banner = Banner(show_firmware)
    source = qemu.stdout.fileno()
    while True:
        readable, writable, _ = select.select(
            [source, *keys.readable()], keys.writable(), [], banner.seconds()
        )
        if writable:
            keys.write()
        if readable and readable[-1] != source:
            keys.read()
        if source in readable:
            data = os.read(source, 65536)
            if not data:
                break
            console.write(banner.passes(data))
        elif not readable and not writable:
            console.write(banner.rest())
        keys.opened = banner.last_line
    if not banner.ended:
        console.write(machine.without_firmware(banner.rest()))


def boot(options, command):
    # A device that works needs real time: a sleeping hart's must not pass at once then.
    extra = ["-icount", f"shift=0,sleep={'on' if options.disk or not command else 'off'}"] if options.count else []
    extra += machine.disks(options.disk)
    if options.gdb:
        port = machine.debug_port()
        extra += ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]
        print(f"run: waiting for scripts/debug on port {port}", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile(prefix="exo-archive-") as archive:
        machine.archive(
            archive.name, command, options.file, added=options.program, images=options.disk
        )
        line = machine.command_line(archive.name, None, options.smp, options.mem, extra=extra)
        qemu = machine.start(line, stdin=-1, stdout=-1)
        ends = [terminal.END] if not command else [terminal.END, terminal.INTERRUPT]
        try:
            programs = machine.programs(options.program)
            with terminal.Terminal(qemu.stdin, ends) as keys:
                copy_console(qemu, keys, programs, options.firmware or options.gdb)
            return qemu.wait()
        except terminal.Ended:
            return 128 + signal.SIGINT
        finally:
            if qemu.poll() is None:
                qemu.kill()
                qemu.wait()


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def catch_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)


def run(options, command):
    """Boot and return the status for a person's shell; what is wrong is said on stderr."""
    try:
        check(options, command)
        status = boot(options, command)
    except (machine.Failure, pack.PackError) as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    return status if status >= 0 else 128 - status


def main():
    options, command = parse(sys.argv[1:])
    catch_signals()
    machine.setup("riscv:kernel,programs")
    if options.list:
        print("\n".join(machine.programs(options.program)))
        return 0
    return run(options, command)


if __name__ == "__main__":
    sys.exit(main())
