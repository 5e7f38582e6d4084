# SPDX-License-Identifier: MIT
"""scripts/debug attaches to a machine and prints its objects."""
import os
import re
import signal
import subprocess

import exo_qemu
import pytest

# The kernel stops here once it has built init, before init's first instruction.
BREAK = "break kernel_boot"


@pytest.fixture
def waiting_machine(monkeypatch):
    # A port of its own, so that a person may debug while the tests run.
    monkeypatch.setenv("EXO_DEBUG_PORT", str(30000 + os.getpid() % 10000))
    process = exo_qemu.begin_run("hello", smp=2, options=["--gdb"])
    line = process.stdout.readline()
    while line and b"waiting for scripts/debug" not in line:
        line = process.stdout.readline()
    assert line, "scripts/run ended"
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def debug(*commands):
    words = [str(exo_qemu.ROOT / "scripts" / "debug"), "--", "-batch"]
    for command in commands:
        words += ["-ex", command]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=90)
    return done.stdout + done.stderr


def test_objects_are_printed(waiting_machine):
    output = debug(
        BREAK, "continue", "finish", "exo-harts", "exo-envs",
        "python init = variable('info')",
        "python number = Struct('exo_info', Memory.physical(init))['init_env']",
        "python gdb.execute(f'exo-caps {number}')",
        "python gdb.execute(f'exo-frame {number}')",
        "python gdb.execute(f'exo-pt {number} 0x200000')",
        "python gdb.execute(f'exo-pt {number} 0x1000')",
        "exo-frame 1", "exo-caps 1", "exo-pt",
    )  # fmt: skip
    harts = re.search(r"^hart +id +env.*\n((?: +\d+ .*\n)+)", output, re.M)
    assert harts and len(harts.group(1).splitlines()) == 2, output
    assert re.search(r"^ +0x[0-9a-f]+ +\d+ +0x.*READY", output, re.M), output
    assert re.search(r"^ +0x[0-9a-f]+ LIVE +PAGE +R W", output, re.M), output
    assert re.search(r"^ +0x[0-9a-f]+ LIVE +MACHINE", output, re.M), output
    assert re.search(r"^frame 0x[0-9a-f]+ at 0x[0-9a-f]+: ENV", output, re.M), output
    assert re.search(r"^level 0: .* leaf 0x[0-9a-f]+ RX", output, re.M), output
    assert re.search(r"^level 1: .* absent", output, re.M), output
    assert "is not RAM" in output and "usage: exo-pt ENV VA" in output, output


def test_objects_are_printed_while_a_program_runs(waiting_machine):
    # A hart in U-mode may not read kernel memory, and the commands must.
    output = debug("hbreak *0x400000", "continue", "exo-harts", "exo-envs")
    assert re.search(r"RUN on hart", output), output
    assert "Cannot access memory" not in output, output
