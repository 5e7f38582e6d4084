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

import manifest
import pack

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parent
# In a package that `cmake --install` made, all is beside these files and nothing is built.
PACKAGE = (HERE / "kernel.bin").is_file()
BUILD = HERE if PACKAGE else ROOT / "build" / "riscv"
PROGRAMS = BUILD / "programs"
QEMU = "/usr/bin/qemu-system-riscv64"

# The program's own messages on the console begin after this line of OpenSBI.
FIRMWARE_LAST_LINE = b"Boot HART MEDELEG"


class Failure(Exception):
    """Something a person can mend; its text says how."""


def setup(*work, packages="run"):
    """Install what is missing and build; leaves the program when that fails."""
    if PACKAGE:
        if not os.path.exists(QEMU):
            sys.exit(f"{QEMU} is missing; as root: apt-get install qemu-system-misc opensbi")
        return
    command = [str(ROOT / "scripts" / "setup"), "--packages", packages, *work]
    if subprocess.run(command, check=False).returncode:
        sys.exit(1)


def programs(added=()):
    """Paths by name: programs that were built, but the first ones (init), and those `added`."""
    built = [
        path
        for path in sorted(PROGRAMS.iterdir())
        if not path.suffix and path.name != "init" and not path.name.startswith("init_")
    ]
    return {path.name: path for path in [*built, *map(pathlib.Path, added)]}


def kernel(name="kernel"):
    return BUILD / f"{name}.bin"


def archive(output, command, files=(), init="init", added=(), images=(), text=None):
    """Write the boot archive that runs `command`, a list of words, or else the shell.

    `images` are disks that the programs share, as `disks` takes them; `text` is a
    manifest instead of the one that is made of all that.
    """
    if text is None:
        text = manifest.text(command, [disk_path(image)[1] for image in images])
    pack.pack(
        output,
        init=PROGRAMS / init,
        programs=programs(added).values(),
        files=files,
        # Other first programs than init read `command`.
        texts={"manifest": text.encode(), "command": pack.command_bytes(command)},
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


def disks(images):
    """Words of QEMU's command line that attach disk images: FILE, or FILE,ro to be read only."""
    words = ["-global", "virtio-mmio.force-legacy=false"] if images else []
    for number, image in enumerate(images):
        path, read_only = disk_path(image)
        node = f"driver=raw,node-name=disk{number},file.driver=file,file.filename="
        node += str(path).replace(",", ",,") + f",read-only={'on' if read_only else 'off'}"
        # Buses are named by address, so the first image is the first disk.
        words += ["-blockdev", node]
        words += ["-device", f"virtio-blk-device,drive=disk{number},bus=virtio-mmio-bus.{number}"]
    return words


def disk_path(image):
    """(path, whether it is only to be read), after a look at what QEMU or exo would not take."""
    path = image.removesuffix(",ro")
    if not os.path.isfile(path):
        raise Failure(f"--disk {path}: there is no such file")
    size = os.path.getsize(path)
    if size == 0 or size % 512:
        raise Failure(
            f"--disk {path}: its {size} bytes are not a number of sectors of 512; mend it by"
            f" truncate -s %512 {path}"
        )
    return path, path != image or not os.access(path, os.W_OK)


def die_with_parent():
    # A QEMU that outlives the script would burn a core unseen.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def start(command, stdin=subprocess.DEVNULL, **options):
    """Start QEMU in a session of its own: the terminal's Ctrl-C reaches us, and we end it."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        start_new_session=True,
        preexec_fn=die_with_parent,
        **options,
    )


def without_firmware(data):
    """Console output after the firmware's own, or all of it if the firmware did not end."""
    place = data.find(FIRMWARE_LAST_LINE)
    if place < 0:
        return data
    end = data.find(b"\n", place)
    return data[end + 1 :].lstrip(b"\r\n") if end >= 0 else b""
