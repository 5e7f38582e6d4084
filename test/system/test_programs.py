# SPDX-License-Identifier: MIT
"""The programs of apps/ do what the README says, and scripts/run ends with their status."""
import os
import signal
import time

import exo_qemu
import pytest


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", ["hello", "hello_large", "fault", "raw", "two"])
def test_program_ends_well(program, smp):
    result = exo_qemu.run(program, smp=smp)
    assert result.status == 0, str(result)
    assert result.lines, "it printed nothing"


def test_several_programs_at_once():
    result = exo_qemu.run("hello", "+", "raw", "+", "hello", smp=4)
    assert result.status == 0, str(result)


def test_status_of_the_program_is_the_status_of_the_script():
    result = exo_qemu.run("sum", "there-is-no-such-file")
    assert 0 < result.status < 126, str(result)
    assert "there-is-no-such-file" in result.output, str(result)


def test_unknown_program_is_named():
    result = exo_qemu.run("no-such-program")
    assert result.status == 2, str(result)
    assert "no-such-program" in result.output and "hello" in result.output, str(result)


def test_missing_file_is_named():
    result = exo_qemu.run("hello", files=["no/such/file"])
    assert result.status == 2, str(result)
    assert "no/such/file" in result.output, str(result)


def test_interrupt_ends_qemu():
    process = exo_qemu.begin_run("hello", options=["--gdb"])
    try:
        line = b""
        while b"waiting for scripts/debug" not in line:
            line = process.stdout.readline()
            assert line, "scripts/run ended"
        time.sleep(0.5)
        children = qemus_of(process.pid)
        assert children, "QEMU is not running"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 128 + signal.SIGINT
        assert not any(os.path.exists(f"/proc/{child}") for child in children)
    finally:
        process.kill()
        process.wait()


def qemus_of(parent):
    result = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                    name, rest = stat.read().rsplit(")", 1)
            except OSError:
                continue
            if "qemu" in name and int(rest.split()[1]) == parent:
                result.append(int(entry))
    return result
