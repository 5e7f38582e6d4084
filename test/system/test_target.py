# SPDX-License-Identifier: MIT
"""The hostile programs of test/target/: each prints what was refused and ends with 0."""
import exo_qemu
import pytest

PROGRAMS = sorted(path.stem for path in (exo_qemu.ROOT / "test" / "target").glob("*.c"))
PROGRAMS.append("libc_large")


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", PROGRAMS)
def test_hostile_program(program, smp):
    result = exo_qemu.run(program, smp=smp, seconds=120)
    assert result.status == 0, str(result)
    assert result.lines, "it printed nothing"
