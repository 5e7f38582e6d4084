# SPDX-License-Identifier: MIT
"""The programs of test/target/: each prints what was refused and ends with status 0.

Run by init they hold what a program is lent; as the first program they hold the
roots, and rows of all harts.  The command of such a boot is numbers: how much to do.
With EXO_SOAK=1 in the environment (scripts/soak target) it is very much.
"""
import os
import re

import exo_qemu
import pytest

SOAK = os.environ.get("EXO_SOAK") == "1"
SECONDS = 4 * 3600 if SOAK else 240

# Those that have nothing to do without rows and without the root capabilities.
ONLY_FIRST = ["endless", "kills", "shares", "shoot_litmus", "slice", "smp"]
PROGRAMS = sorted(
    path.stem
    for path in (exo_qemu.ROOT / "test" / "target").glob("*.c")
    if path.stem not in ONLY_FIRST
)
# Those that try more as the first program.
FIRST = [
    "endless", "float", "hostile_cap", "hostile_env", "hostile_event", "hostile_machine",
    "hostile_pct", "leaks", "slice",
]  # fmt: skip
# One instruction takes 4 ns of the machine's time, or 1 ns in a soak; and an idle hart's time passes at once.
ICOUNT = ["-icount", f"shift={0 if SOAK else 2},sleep=off"]
SBI_TIMER = ["-cpu", "rv64,sstc=off"]


def check(result):
    assert result.status == 0, result
    lines = result.lines
    numbers = [int(number) for number in re.findall(r"^ok (\d+) - ", result.output, re.M)]
    plan = [int(number) for number in re.findall(r"^1\.\.(\d+)$", result.output, re.M)]
    assert plan and numbers == list(range(1, plan[0] + 1)), result
    assert not [line for line in lines if line.startswith("not ok")], result


def first(program, *numbers, smp=1, **options):
    """Boot it as the first program, told these numbers."""
    command = [str(number) for number in numbers] or ["usual"]
    result = exo_qemu.boot(
        init=f"init_{program}", command=command, smp=smp, seconds=SECONDS, **options
    )
    check(result)
    return result


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", [*PROGRAMS, "libc_large"])
def test_program(program, smp):
    # Alone: they look at the state of the whole machine, in which nobody else must stir.
    text = exo_qemu.machine.manifest.text([program], driver=False)
    check(exo_qemu.boot(text=text, smp=smp, seconds=120))


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", FIRST)
def test_first_program(program, smp):
    first(program, smp=smp)


@pytest.mark.parametrize("smp", [2, 4])
def test_harts_against_each_other(smp):
    result = first("smp", smp=smp)
    assert "nothing is lost" in result.output, result


@pytest.mark.parametrize(
    "program, numbers",
    [("hostile_env", ()), ("hostile_event", (1000,)), ("hostile_pct", ()), ("kills", (1000,)),
     ("leaks", ()), ("smp", ())],
)  # fmt: skip
def test_kernel_that_checks_its_locks(program, numbers):
    first(program, *numbers, smp=4, kernel="kernel-assert")


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", ["hostile_event", "slice"])
def test_timer_of_firmware(program, smp):
    first(program, smp=smp, extra=SBI_TIMER)


@pytest.mark.parametrize(
    "program, numbers", [("hostile_event", (500, 1)), ("slice", (1,)), ("endless", (1,))]
)
def test_exact_times(program, numbers):
    first(program, *numbers, extra=ICOUNT)


def test_shares():
    first("shares", 10000, 2000 if SOAK else 1500, extra=ICOUNT)


def test_no_wake_up_is_lost():
    first("hostile_event", 1000000 if SOAK else 100000, smp=4)


def test_killed_in_every_state():
    first("kills", 100000 if SOAK else 4000, smp=4)


@pytest.mark.parametrize("smp", [2, 4])
def test_shot_down_before_reuse(smp):
    if SOAK:
        first("shoot_litmus", 2000000 if smp == 2 else 100000, SECONDS, smp=smp)
    else:
        first("shoot_litmus", 20000, 2, smp=smp)
