# SPDX-License-Identifier: MIT
"""How the system tests drive the machine: through scripts/run, or with an archive of their own."""
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "python"))

import machine  # noqa: E402  (scripts/python is on the path only now)
import pack  # noqa: E402

# The host may be slow and shared; a run that hangs is what this is for.
SECONDS = 60


@dataclasses.dataclass
class Run:
    status: int
    output: str  # console, without the firmware's banner, and what scripts/run says

    @property
    def lines(self):
        return [line.rstrip() for line in self.output.splitlines() if line.strip()]

    def __str__(self):
        return f"status {self.status}, output:\n{self.output}"


def _finish(process, seconds):
    try:
        output, _ = process.communicate(timeout=seconds)
        return Run(process.returncode, output.decode(errors="replace").replace("\r", ""))
    except subprocess.TimeoutExpired:
        # SIGTERM first: scripts/run then ends its QEMU, which is in another session.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        text = output.decode(errors="replace")
        raise AssertionError(f"not finished after {seconds} s; output:\n{text}") from None


def begin_run(*program, smp=1, mem=None, files=(), options=()):
    """scripts/run as a person would type it; returns the process."""
    command = [str(ROOT / "scripts" / "run"), "--smp", str(smp), *options]
    if mem:
        command += ["--mem", mem]
    for path in files:
        command += ["--file", str(path)]
    if program:
        command += ["--", *program]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def run(*program, seconds=SECONDS, **options):
    return _finish(begin_run(*program, **options), seconds)


def boot(
    change=None, init="init", command=("hello",), smp=1, mem="256M", seconds=SECONDS, extra=(),
    kernel="kernel", images=(), text=None,
):  # fmt: skip
    """Boot an archive with another first program or manifest, or one that `change(path)` spoiled.

    `extra` are further words of QEMU's command line, `kernel` the name of a kernel that was built.
    `images` are disks that the program is lent; `extra` attaches them.
    """
    with tempfile.TemporaryDirectory(prefix="exo-test-") as folder:
        archive = pathlib.Path(folder) / "archive"
        machine.archive(archive, list(command), init=init, images=images, text=text)
        if change:
            change(archive)
        process = machine.start(
            machine.command_line(
                archive, machine.kernel(kernel), smp=smp, memory=mem, extra=extra
            ),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        result = _finish(process, seconds)
    text = machine.without_firmware(result.output.encode())
    return Run(result.status, text.decode())


__all__ = ["ROOT", "Run", "begin_run", "boot", "machine", "pack", "run"]
