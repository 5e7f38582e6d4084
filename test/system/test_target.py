# SPDX-License-Identifier: MIT
"""The programs of test/target/: each prints what was refused and ends with status 0.

Run by init they hold what a program is lent; as the first program they hold the
roots, and rows of all harts.
"""
import re

import exo_qemu
import pytest

PROGRAMS = sorted(path.stem for path in (exo_qemu.ROOT / "test" / "target").glob("*.c"))
# Those that try more as the first program.
FIRST = ["hostile_cap", "hostile_env", "hostile_machine", "leaks"]


def check(result):
    assert result.status == 0, result
    lines = result.lines
    numbers = [int(number) for number in re.findall(r"^ok (\d+) - ", result.output, re.M)]
    plan = [int(number) for number in re.findall(r"^1\.\.(\d+)$", result.output, re.M)]
    assert plan and numbers == list(range(1, plan[0] + 1)), result
    assert not [line for line in lines if line.startswith("not ok")], result


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", [*PROGRAMS, "libc_large"])
def test_program(program, smp):
    check(exo_qemu.run(program, smp=smp, seconds=120))


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", FIRST)
def test_first_program(program, smp):
    check(exo_qemu.boot(init=f"init_{program}", smp=smp, seconds=120))


@pytest.mark.parametrize("smp", [2, 4])
def test_harts_against_each_other(smp):
    result = exo_qemu.boot(init="init_smp", smp=smp, seconds=180)
    check(result)
    assert "nothing is lost" in result.output, result
