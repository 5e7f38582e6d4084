# SPDX-License-Identifier: MIT
"""scripts/app: build a program whose sources lie anywhere, and boot it.

CMake writes the words of the commands to app/ of the build folder; what is
built lies in a folder for each program beside them.
"""
import argparse
import fcntl
import hashlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

import machine
import run

APP = machine.BUILD / "app"
WARNINGS = ["-Wall", "-Wextra"]


class NotBuilt(Exception):
    """A compiler or linker has said why."""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/app",
        usage="scripts/app FILE.c... [--libs LIBRARY,...] [options of scripts/run] [-- ARGS]",
        description="Builds a program from C and assembly files, which may lie anywhere, boots exo"
        " with it and exits with its status.  It is called as the first file, without .c.",
        epilog="Example: scripts/app ~/greet.c ~/words.c --libs mem,task --smp 4 -- Ada",
    )
    parser.add_argument("sources", nargs="+", metavar="FILE.c", help="the program's sources")
    parser.add_argument(
        "--libs", default="mem", metavar="LIBRARY,...",
        help="libraries of libexo, with those that they need (default mem: a C library and a heap)",
    )  # fmt: skip
    run.add_options(parser)
    words = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, words = arguments[:place], arguments[place + 1 :]
    return parser.parse_intermixed_args(arguments), words


def check_sources(sources):
    for source in sources:
        if not os.path.isfile(source):
            raise machine.Failure(f"{source}: there is no such file")
        if not source.endswith((".c", ".S")):
            raise machine.Failure(f"{source}: neither a C file (.c) nor an assembly file (.S)")


def program_name(source):
    """As file names and backtraces have it."""
    return re.sub(r"[^\w.-]", "-", pathlib.Path(source).stem, flags=re.ASCII)


def read_words(name):
    return (APP / name).read_text(encoding="utf-8").splitlines()


def choose_libraries(wanted):
    """Archives of the libraries named and of those that they need, in the order of linking."""
    rows = [line.split("\t") for line in read_words("libraries")]
    needs = {name: below.split() for name, _, below in rows}
    chosen = set()
    for name in filter(None, wanted.split(",")):
        if name not in needs:
            known = " ".join(sorted(needs))
            raise machine.Failure(f"there is no library {name!r}; there are: {known}")
        chosen |= {name, *needs[name]}
    if "mem" in chosen and not any(name.startswith("mem_") for name in chosen):
        chosen.add("mem_demand")
    return [path for name, path, _ in rows if name in chosen]


def is_current(result, inputs):
    try:
        made = os.stat(result).st_mtime_ns
        return all(os.stat(path).st_mtime_ns <= made for path in inputs)
    except FileNotFoundError:
        return False


def read_dependencies(path):
    """Files that gcc has read for an object: a rule of make."""
    if not path.exists():
        return [path]
    rule = path.read_text(encoding="utf-8").replace("\\\n", " ").partition(": ")[2]
    return [re.sub(r"\\(.)", r"\1", name).replace("$$", "$") for name in
            re.findall(r"(?:\\.|\S)+", rule)]  # fmt: skip


def make(command, result, inputs):
    """Run `command` if its result is older than an input."""
    if is_current(result, inputs):
        return
    begin = time.time_ns()
    if subprocess.run(command, check=False).returncode:
        raise NotBuilt
    os.utime(result, ns=(begin, begin))  # an input that has changed since is newer


def compile_source(source, number, folder, quotes):
    result = folder / f"{number}.o"
    rule = folder / f"{number}.d"
    command = [*read_words("compile"), *WARNINGS, *quotes, "-MD", "-MF", rule, "-c", source]
    make([*command, "-o", result], result, [APP / "compile", *read_dependencies(rule)])
    return result


def build(sources, libs):
    """Build what is not current; the path of the program, whose symbols are in PATH.elf."""
    archives = choose_libraries(libs)
    # Names are as the compiler shall print them, so they mean something in this folder only.
    key = hashlib.sha256("\0".join([os.getcwd(), libs, *sources]).encode()).hexdigest()[:12]
    name = program_name(sources[0])
    folder = APP / f"{name}-{key}"
    folder.mkdir(exist_ok=True)
    folders = dict.fromkeys(os.path.dirname(source) or "." for source in sources)
    quotes = [word for path in folders for word in ("-iquote", path)]
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        objects = [
            compile_source(source, number, folder, quotes)
            for number, source in enumerate(sources)
        ]  # fmt: skip
        link = read_words("link")
        elf = folder / f"{name}.elf"
        group = ["-Wl,--start-group", *archives, "-lc", "-lm", "-Wl,--end-group"]
        inputs = [APP / "link", link[-1], *objects, *archives]  # the last word is the linker script
        make([*link, *objects, *group, "-o", elf], elf, inputs)
        make([*read_words("strip"), elf, folder / name], folder / name, [elf])
    return folder / name


def main():
    options, words = parse(sys.argv[1:])
    run.catch_signals()
    try:
        check_sources(options.sources)
        machine.setup("riscv:kernel,programs,libexo")
        program = build(options.sources, options.libs)
    except machine.Failure as error:
        print(f"app: {error}", file=sys.stderr)
        return 2
    except NotBuilt:
        return 2
    if options.gdb:
        symbols = f"add-symbol-file {program}.elf"
        print(f"app: its symbols: scripts/debug -- -ex {shlex.quote(symbols)}", file=sys.stderr)
    options.program.append(str(program))
    return run.run(options, [program.name, *words])


if __name__ == "__main__":
    sys.exit(main())
