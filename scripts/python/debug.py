# SPDX-License-Identifier: MIT
"""scripts/debug: gdb on a machine that `scripts/run --gdb` started."""
import argparse
import os
import sys
import time

import machine

SECONDS = 30


def wait_for_machine(port):
    end = time.monotonic() + SECONDS
    told = False
    while time.monotonic() < end:
        if listens(port):
            return
        if not told:
            print(f"debug: waiting for scripts/run --gdb (port {port}) ...", file=sys.stderr)
            told = True
        time.sleep(0.2)
    sys.exit("debug: no machine waits; start one in another terminal: scripts/run --gdb -- hello")


def listens(port):
    """Whether a socket listens there; looked up, since QEMU takes one connection only."""
    wanted = f"{port:04X}"
    for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]:
        fields = line.split()
        if fields[1].endswith(":" + wanted) and fields[3] == "0A":
            return True
    return False


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/debug",
        usage="scripts/debug [--program NAME] [-- GDB ARGS]",
        description="Attaches gdb to the machine that scripts/run --gdb started, with the kernel's"
        " symbols and commands that print its objects: exo-harts, exo-envs, exo-caps ENV,"
        " exo-frame N, exo-pt ENV VA.",
        epilog="Example, in a second terminal: scripts/debug -- -ex 'break kernel_boot' -ex continue",
    )
    parser.add_argument("--program", metavar="NAME", help="load this program's symbols too")
    arguments = sys.argv[1:]
    rest = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, rest = arguments[:place], arguments[place + 1 :]
    options = parser.parse_args(arguments)
    machine.setup("riscv:kernel,programs", packages="test")
    port = machine.debug_port()
    wait_for_machine(port)
    command = [
        "/usr/bin/gdb-multiarch", "-q", "-nx",
        "-ex", "set pagination off",
        "-ex", "set confirm off",
        "-ex", "set architecture riscv:rv64",
        "-ex", f"target remote 127.0.0.1:{port}",
        "-x", str(machine.ROOT / "scripts" / "gdb" / "exo.py"),
    ]  # fmt: skip
    if options.program:
        elf = machine.PROGRAMS / f"{options.program}.elf"
        if not elf.exists():
            sys.exit(f"debug: there is no program {options.program!r}")
        command += ["-ex", f"add-symbol-file {elf}"]
    os.execv(command[0], [*command, *rest, str(machine.BUILD / "kernel.elf")])


if __name__ == "__main__":
    sys.exit(main())
