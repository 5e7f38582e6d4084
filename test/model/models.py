#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the Spin models: clean variants exhaustively, and deliberate bugs, which must be found."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LINE = re.compile(r"^ \* (CLEAN|BUG):((?: [A-Z0-9_]+(?:=\d+)?)*)(?:  .*)?$", re.MULTILINE)
DEPTH = 20_000  # steps; the longest way is some hundreds
MEGABYTES = 6000  # of one run
# What pan prints when it has not looked at everything.
INCOMPLETE = ("Search not completed", "max search depth too small", "out of memory", "MEMLIM")
SPIN = pathlib.Path(shutil.which("spin") or "/usr/bin/spin")


class Variant:
    def __init__(self, model, kind, macros):
        self.model, self.bug, self.macros = model, kind == "BUG", macros.split()

    def __str__(self):
        return " ".join([self.model, *self.macros]) if self.macros else f"{self.model} (as it is)"

    def defines(self):
        return [f"-D{macro}" for macro in self.macros]


def variants_of(model):
    text = (HERE / f"{model}.pml").read_text(encoding="utf-8")
    found = [Variant(model, *match.groups()) for match in LINE.finditer(text)]
    marked = len(re.findall(r"^ \* (?:CLEAN|BUG):", text, re.MULTILINE))
    if len(found) != marked or not found:
        sys.exit(f"models.py: {model}.pml: {marked - len(found)} of its variants cannot be read")
    return found


def strangers(models):
    """What a model says that it mirrors and the kernel does not have: then it is true to nothing."""
    code = ""
    for folder in ("exo", "arch/riscv"):
        for path in sorted((ROOT / folder).glob("*.[chS]")):
            code += path.read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", code))
    found = []
    for model in models:
        text = (HERE / f"{model}.pml").read_text(encoding="utf-8").split("*/")[1]
        for part in re.findall(r"Mirrors(.*?)(?:\.\n| \*\n)", text, re.DOTALL):
            names = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b|\b[A-Z]+_[A-Z]+\b", part)
            found += [f"{model} mirrors {name}" for name in names if name not in words]
    return found


def build(variant, folder, *options):
    source = HERE / f"{variant.model}.pml"
    # A bug is found soon: to optimize would cost more than it saves.
    compiler = ["gcc", "-w", "-O0" if variant.bug else "-O1", "-o", "pan", "pan.c"]
    checks = ["-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}"]
    for command in (
        [str(SPIN), "-a", *variant.defines(), str(source)],
        [*compiler, *checks, *options],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or "Error:" in done.stdout:
            return f"{' '.join(command[:2])} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}"
    return None


def run(variant, seconds):
    """Returns (as expected, what to print)."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        problem = build(variant, folder)
        if problem:
            return False, problem
        try:
            done = subprocess.run(
                ["./pan", f"-m{DEPTH}", "-w21"], cwd=folder, capture_output=True, text=True,
                timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False, f"not finished in {seconds} s"
    output = done.stdout + done.stderr
    took = f"{time.monotonic() - begin:.1f} s"
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not errors or not states or done.returncode:
        return False, f"pan failed: {output[-1000:]}"
    what = re.search(r"^pan:\d+: (.*)$", output, re.MULTILINE)
    told = what.group(1) if what else "no reason given"
    if int(errors.group(1)):
        if variant.bug and ("assertion violated" in told or "invalid end state" in told):
            return True, f"bug found as expected, {states.group(1)} states, {took}"
        return False, f"ERROR: {told}"
    missing = [word for word in INCOMPLETE if word in output]
    if missing:
        return False, f"the search is not complete: {missing[0]}"
    if variant.bug:
        return False, f"the bug was NOT FOUND, {states.group(1)} states, {took}"
    return True, f"clean, {states.group(1)} states, {took}"


def run_all(variants, jobs, seconds):
    failed = 0
    begin = time.monotonic()
    # What takes long goes first, so that no hart of the host waits for it at the end.
    order = sorted(variants, key=lambda variant: variant.bug)
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        pending = {pool.submit(run, variant, seconds): variant for variant in order}
        for future in concurrent.futures.as_completed(pending):
            good, told = future.result()
            failed += not good
            print(f"{pending[future]}: {told}", flush=True)
    clean = sum(not variant.bug for variant in variants)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{clean} clean variants, {len(variants) - clean} bugs: {len(variants) - failed} as expected,"
        f" {failed} not; {time.monotonic() - begin:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of"
        " processor time"
    )
    return 1 if failed else 0


def show_trail(variant):
    """Breadth first, so that the trail is a shortest one."""
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        problem = build(variant, folder, "-DBFS")
        if problem:
            sys.exit(problem)
        done = subprocess.run(
            ["./pan", f"-m{DEPTH}"], cwd=folder, capture_output=True, text=True, check=False
        )
        print(done.stdout.split("\n\n")[0])
        if not list(pathlib.Path(folder).glob("*.trail")):
            print("no error, so there is no trail")
            return 1
        source = HERE / f"{variant.model}.pml"
        shutil.copy(source, folder)
        subprocess.run(
            [str(SPIN), *variant.defines(), "-t", "-p", "-g", "-l", source.name],
            cwd=folder, check=False,
        )  # fmt: skip
    return 0


def main():
    names = sorted(path.stem for path in HERE.glob("*.pml"))
    parser = argparse.ArgumentParser(
        prog="test/model/models.py",
        description=__doc__,
        epilog="A variant is a model with macros, as its CLEAN: and BUG: lines name them. Example:"
        " test/model/models.py --trail shoot NO_ENTER_FENCE",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="run so many variants at once (default: one for each processor)")  # fmt: skip
    parser.add_argument("--seconds", type=int, default=300, metavar="S",
                        help="give up a variant after S seconds (default 300)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the variants and stop")
    parser.add_argument("--trail", nargs="+", metavar="WORD",
                        help="run one MODEL with these MACROs and print the shortest way to its error")  # fmt: skip
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{', '.join(names)} (all)")
    options = parser.parse_args()
    unknown = [name for name in options.models + (options.trail or [])[:1] if name not in names]
    if unknown:
        parser.error(f"there is no model {unknown[0]!r}")
    if not SPIN.is_file():
        sys.exit("models.py: spin is not installed; scripts/setup does that")
    if options.trail:
        return show_trail(Variant(options.trail[0], "BUG", " ".join(options.trail[1:])))
    variants = [variant for name in options.models or names for variant in variants_of(name)]
    if options.list:
        for variant in variants:
            print(f"{'bug  ' if variant.bug else 'clean'} {variant}")
        return 0
    lost = strangers(options.models or names)
    for name in lost:
        print(f"{name}, which is not in the kernel")
    return run_all(variants, options.jobs, options.seconds) or (1 if lost else 0)


if __name__ == "__main__":
    sys.exit(main())
