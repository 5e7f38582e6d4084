# SPDX-License-Identifier: MIT
"""Where the build puts things, and how QEMU is started with them.

Everything that boots exo (scripts/run, scripts/bench, the system tests) goes
through this module, so that there is one QEMU command line.
"""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys

import pack

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "riscv"
PROGRAMS = BUILD / "programs"
QEMU = "/usr/bin/qemu-system-riscv64"

# The program's own messages on the console begin after this line of OpenSBI.
FIRMWARE_LAST_LINE = b"Boot HART MEDELEG"


class Failure(Exception):
    """Something a person can mend; its text says how."""


def setup(*work, packages="run"):
    """Install what is missing and build; leaves the program when that fails."""
    command = [str(ROOT / "scripts" / "setup"), "--packages", packages, *work]
    if subprocess.run(command, check=False).returncode:
        sys.exit(1)


def programs():
    """Names of all programs that were built, without the first ones (init)."""
    return sorted(
        path.name
        for path in PROGRAMS.iterdir()
        if not path.suffix and path.name != "init" and not path.name.startswith("init_")
    )


def kernel(name="kernel"):
    return BUILD / f"{name}.bin"


def archive(output, command, files=(), init="init"):
    """Write the boot archive that runs `command`, a list of words."""
    pack.pack(
        output,
        init=PROGRAMS / f"{init}.elf",
        programs=[PROGRAMS / name for name in programs()],
        files=files,
        command=command,
    )


def debug_port():
    """The port on which QEMU waits for gdb: one for each user of the machine."""
    return int(os.environ.get("EXO_DEBUG_PORT", 20000 + os.getuid() % 10000))


def command_line(archive_path, kernel_path=None, smp=1, memory="256M", serial="stdio", extra=()):
    return [
        QEMU,
        "-M", "virt",
        "-smp", str(smp),
        "-m", str(memory),
        "-display", "none",
        "-monitor", "none",
        "-serial", serial,
        "-no-reboot",
        "-kernel", str(kernel_path or kernel()),
        "-initrd", str(archive_path),
        *extra,
    ]  # fmt: skip


def _die_with_parent():
    # A QEMU that outlives the script would burn a core unseen.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def start(command, **options):
    """Start QEMU in a session of its own: the terminal's Ctrl-C reaches us, and we end it."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent,
        **options,
    )


def without_firmware(data):
    """Console output after the firmware's own, or all of it if the firmware did not end."""
    place = data.find(FIRMWARE_LAST_LINE)
    if place < 0:
        return data
    end = data.find(b"\n", place)
    return data[end + 1 :].lstrip(b"\r\n") if end >= 0 else b""
