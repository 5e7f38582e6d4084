# SPDX-License-Identifier: MIT
"""scripts/test: runs the parts of the test suite and says what each cost."""
import argparse
import concurrent.futures
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import machine

ROOT = machine.ROOT
LOGS = ROOT / "build" / "test"
KERNEL_LINES = 5000
PYTEST = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]


@dataclasses.dataclass
class Part:
    name: str
    what: str
    budget: float  # minutes; twice as much fails
    quick: bool
    needs: tuple  # presets that it wants built
    steps: object  # function(options) -> list of commands
    count: object = None  # function(output) -> (passed, failed); one test by default
    tells: bool = False  # the last line of its output is worth showing


def files(*patterns):
    return [
        str(path.relative_to(ROOT)) for pattern in patterns for path in sorted(ROOT.glob(pattern))
    ]


def format_steps(_options):
    tops = ("exo", "arch", "libexo", "apps", "templates", "test")
    sources = files(*(f"{top}/**/*.[ch]" for top in tops))
    return [["clang-format", "--dry-run", "-Werror", *sources]]


CLANG = [
    "--target=riscv64-unknown-elf", "-march=rv64imac", "-mabi=lp64", "-mcmodel=medany",
    "-std=gnu17", "-Wall", "-Wextra", "-Wshadow", "-Iexo/include",
]  # fmt: skip
CLANG_KERNEL = [*CLANG, "-ffreestanding", "-Iexo", "-Iarch/riscv"]
CLANG_LIBEXO = [
    *CLANG, "-isystem", "/usr/lib/picolibc/riscv64-unknown-elf/include",
    "-Ilibexo/include", "-Ilibexo",
]  # fmt: skip


def tidy_steps(_options):
    kernel = [name for name in files("exo/*.c", "arch/riscv/*.c") if "offsets.c" not in name]
    libexo = files("libexo/**/*.c")
    steps = [["clang-tidy", "--quiet", name, "--", *CLANG_KERNEL] for name in kernel]
    steps += [["clang-tidy", "--quiet", name, "--", *CLANG_LIBEXO] for name in libexo]
    # What clang and gcc know better: cppcheck is wrong about the outputs of assembly,
    # pointers that are passed on, symbols of the linker and pointers to functions.
    cppcheck = [
        "cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c11",
        "--enable=warning,performance,portability", "--platform=unix64",
        "--suppress=missingIncludeSystem", "--suppress=uninitvar",
        "--suppress=uninitStructMember", "--suppress=comparePointers",
        "--suppress=assignBoolToPointer", "-D__riscv", "-D__riscv_xlen=64", "-D__GNUC__=12",
    ]  # fmt: skip
    steps.append([*cppcheck, "-Iexo/include", "-Iexo", "-Iarch/riscv", *kernel])
    steps.append([*cppcheck, "-Iexo/include", "-Ilibexo/include", "-Ilibexo", *libexo])
    return steps


def shellcheck_steps(_options):
    scripts = [
        name
        for name in [".ci/run", *files("scripts/*")]
        if (ROOT / name).is_file() and (ROOT / name).read_text().startswith("#!/usr/bin/env bash")
    ]
    return [["shellcheck", *scripts]]


CTEST = ["/usr/bin/ctest", "--preset", "host", "--parallel", str(os.cpu_count())]
BETWEEN_HARTS = "interleave|threads"


def unit_steps(options):
    command = [*CTEST, "--exclude-regex", BETWEEN_HARTS]
    return [[*command, "--tests-regex", options.match] if options.match else command]


def harts_steps(_options):
    return [[*CTEST, "--tests-regex", BETWEEN_HARTS]]


def models_steps(_options):
    return [["/usr/bin/python3", "-B", "test/model/models.py"]]


def unit_count(output):
    match = re.search(r"tests passed, (\d+) tests? failed out of (\d+)", output)
    failed, total = map(int, match.groups()) if match else (1, 1)
    return total - failed, failed


def traces_steps(_options):
    return [["/usr/bin/python3", "-B", "test/fuzz/traces.py", "build/host/test/fuzz/server"]]


def sequence_steps(options):
    return [
        ["/usr/bin/python3", "-B", "test/fuzz/sequence.py", "build/host/test/fuzz/server",
         "--minutes", str(options.minutes or 1), "--seed", str(seed), "--out", str(LOGS)]
        for seed in (2 * options.seed, 2 * options.seed + 1)
    ]  # fmt: skip


ELF_ORACLE = ["/usr/bin/python3", "-B", "test/fuzz/elf_oracle.py"]
# What a target begins with: valid inputs of its kind.
FUZZ_SEEDS = {
    "fuzz_devicetree": ROOT / "build" / "fuzz" / "dts" / "blobs",
    "fuzz_elf": ROOT / "build" / "fuzz" / "seeds" / "fuzz_elf",
}


def libfuzzer_steps(options):
    seconds = int(60 * options.minutes) if options.minutes else 20
    programs = files("build/riscv/programs/*.elf")
    subprocess.run([*ELF_ORACLE, "--seeds", str(FUZZ_SEEDS["fuzz_elf"])], check=True)
    steps = [
        [*ELF_ORACLE, "--seed", str(options.seed), "build/fuzz/test/fuzz/fuzz_elf", *programs]
    ]
    for program in sorted((ROOT / "build" / "fuzz" / "test" / "fuzz").glob("fuzz_*")):
        if not program.is_file() or not os.access(program, os.X_OK):
            continue
        corpus = ROOT / "build" / "fuzz" / "corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = [str(FUZZ_SEEDS[program.name])] if program.name in FUZZ_SEEDS else []
        steps.append(
            [str(program), f"-max_total_time={seconds}", f"-seed={options.seed}", "-timeout=5", "-rss_limit_mb=2048",
             "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={corpus}.crash-",
             str(corpus), *seeds]
        )  # fmt: skip
    return steps


def pytest_steps(*modules):
    def steps(options):
        match = ["-k", options.match] if options.match else []
        return [[*PYTEST, *match, *(f"test/system/{module}" for module in modules)]]

    return steps


def pytest_count(output):
    counts = {"passed": 0, "failed": 0, "error": 0}
    lines = [line for line in output.splitlines() if re.search(r" in [\d.]+s", line)]
    for number, word in re.findall(r"(\d+) (passed|failed|error)", lines[-1] if lines else ""):
        counts[word] += int(number)
    failed = counts["failed"] + counts["error"]
    return counts["passed"], failed or (0 if counts["passed"] else 1)


PARTS = [
    Part("format", "clang-format on all C files", 0.2, True, (), format_steps),
    Part("shellcheck", "shellcheck on all scripts", 0.2, True, (), shellcheck_steps),
    Part("sloc", f"the kernel has at most {KERNEL_LINES} code lines", 0.2, True, (),
         lambda options: [["scripts/sloc", "--limit", str(KERNEL_LINES)]], tells=True),
    Part("unit", "the kernel core on the host", 0.7, True, ("host",), unit_steps, unit_count),
    Part("traces", "ways in which earlier wordings of the rules broke", 0.5, True, ("host",),
         traces_steps, tells=True),
    Part("hello", "programs run and end with their status", 0.3, True, ("riscv",),
         pytest_steps("test_programs.py"), pytest_count),
    Part("harts", "calls interleaved at every atomic, and harts as threads under TSan", 4.0, False,
         ("host",), harts_steps, unit_count),
    Part("models", "the rules between harts in Spin, whole, and their bugs found", 8.0, False, (),
         models_steps, tells=True),
    Part("tidy", "clang-tidy and cppcheck on kernel and libexo", 1.5, False, (), tidy_steps),
    Part("sequence", "random calls against the twin of the specification", 1.2, False, ("host",),
         sequence_steps, tells=True),
    Part("libfuzzer", "readers of untrusted input, and pyelftools' opinion", 1.2, False,
         ("fuzz", "riscv"),
         libfuzzer_steps),
    Part("target", "hostile programs on QEMU, 1 and 4 harts", 8.0, False, ("riscv",),
         pytest_steps("test_target.py"), pytest_count),
    Part("system", "files, memory sizes, broken archives, debugger, programs of your own", 2.6,
         False, ("riscv",),
         pytest_steps("test_files.py", "test_machines.py", "test_debug.py", "test_app.py"),
         pytest_count),
    Part("disk", "what programs read and write of an image, errors, shares", 5.0, False, ("riscv",),
         pytest_steps("test_disk.py"), pytest_count),
    Part("shell", "the shell as a person types, the console, manifests", 3.0, False, ("riscv",),
         pytest_steps("test_shell.py"), pytest_count),
    Part("bench", "every figure is there, and as the pages say", 2.0, False, ("riscv",),
         pytest_steps("test_bench.py"), pytest_count),
]  # fmt: skip


RUNNING = set()  # of process groups


def end_all(_number, _frame):
    """Ctrl-C: nothing that was started is left behind."""
    for group in list(RUNNING):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(128 + signal.SIGINT)


def run_command(command, log, deadline):
    """Run in a process group of its own, so that nothing outlives its part."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    RUNNING.add(process.pid)
    try:
        return process.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        log.write(f"\nended: no time was left for {' '.join(command[:6])}\n".encode())
        return -1
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        RUNNING.discard(process.pid)


def run_part(part, options):
    """(passed, failed, seconds, output)"""
    begin = time.monotonic()
    minutes = part.budget + (options.minutes or 0)
    deadline = begin + 2 * 60 * minutes
    steps = part.steps(options)
    failures = 0

    def step(numbered):
        number, command = numbered
        path = LOGS / f"{part.name}.{number}.log"
        with open(path, "wb") as log:
            status = run_command(command, log, deadline)
        output = path.read_text(errors="replace")
        return status, re.sub(r"^\d+ warnings? generated\.\n", "", output, flags=re.M)

    # Independent steps of a part use all cores; tests of one machine come alone.
    workers = os.cpu_count() if part.name in ("tidy", "sequence", "libfuzzer") else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(step, enumerate(steps)))
    outputs = []
    for (status, output), command in zip(results, steps):
        if status:
            failures += 1
            output += f"\nexit status {status}: {' '.join(command[:8])}\n"
        outputs.append(output)
    output = "".join(outputs)
    (LOGS / f"{part.name}.log").write_text(output)
    seconds = time.monotonic() - begin
    passed, failed = part.count(output) if part.count else (len(steps) - failures, failures)
    if not steps:
        passed, failed, output = 0, 1, f"{part.name}: nothing to run\n"
    if failures and not failed:
        failed = failures
    if seconds > 2 * 60 * minutes:
        failed += 1
        output += f"{part.name} took more than twice its budget of {minutes:.1f} minutes\n"
    return passed, failed, seconds, output


def choose(options):
    names = [part.name for part in PARTS]
    wanted = options.names or names
    unknown = [name for name in wanted if name not in names and name != "quick"]
    if unknown:
        sys.exit(f"test: there is no part {unknown[0]!r}; parts: quick {' '.join(names)}")
    return [
        part for part in PARTS if part.name in wanted or (part.quick and "quick" in wanted)
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        usage="scripts/test [--list] [--match PATTERN] [--minutes M] [--seed N] [quick | NAME...]",
        description="Runs all tests, or the quick ones, or the parts that are named.",
        epilog="Logs are in build/test/.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="quick, or parts (see --list)")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("--match", metavar="PATTERN", help="only tests that match (unit: a regular"
                        " expression; target, system: as pytest's -k)")  # fmt: skip
    parser.add_argument("--minutes", type=float, help="how long the fuzzers run")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzers (default 1)")
    options = parser.parse_args()
    if options.list:
        for part in PARTS:
            quick = "quick" if part.quick else ""
            print(f"{part.name:12}{quick:7}{part.budget:4.1f} min  {part.what}")
        return 0

    parts = choose(options)
    os.chdir(ROOT)
    os.environ["PATH"] = "/usr/bin:/bin:" + os.environ.get("PATH", "")
    LOGS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    presets = [name for name in ("riscv", "host", "fuzz") if any(name in p.needs for p in parts)]
    machine.setup(*presets, packages="test")
    os.environ["EXO_SETUP_DONE"] = "1"
    signal.signal(signal.SIGINT, end_all)
    signal.signal(signal.SIGTERM, end_all)
    rows = [("setup", None, None, time.monotonic() - begin, None)]
    for part in parts:
        print(f"{part.name}: {part.what} ...", flush=True)
        passed, failed, seconds, output = run_part(part, options)
        rows.append((part.name, passed, failed, seconds, part.budget))
        if failed:
            print(f"\n{output}\n{part.name}: FAILED\n", flush=True)
        elif part.tells:
            print(f"  {output.splitlines()[-1]}", flush=True)

    print(f"\n{'part':12}{'minutes':>8}{'budget':>8}{'passed':>8}{'failed':>8}")
    for name, passed, failed, seconds, budget in rows:
        if budget is None:
            print(f"{name:12}{seconds / 60:8.2f}")
        else:
            print(f"{name:12}{seconds / 60:8.2f}{budget:8.1f}{passed:8}{failed:8}")
    total = time.monotonic() - begin
    passed = sum(row[1] or 0 for row in rows)
    failed = sum(row[2] or 0 for row in rows)
    print(f"{'whole':12}{total / 60:8.2f}\n\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
