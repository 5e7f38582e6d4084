# SPDX-License-Identifier: MIT
"""scripts/bench: instructions, satp writes and sfences of each operation.

Boots test/bench as the first program with counted instructions, where every run
gives the same numbers: once on the usual kernel for the instructions, and once
on the kernel that counts satp writes, sfences and the longest stay in the kernel.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

import benchdocs
import machine
import pack

# Instructions an operation should take, program's stub and kernel together;
# those of range calls are for one page.  Satp writes and sfences are of the whole call.
AIMS = {
    "null_call": 20,
    "cap_call": 60,
    "fault_round_trip": 80,
    "fault_map_round_trip": 230,
    "page_map_one": 130,
    "page_map_range": 15,
    "page_map_vector": 22,
    "page_replace_range": 20,
    "page_unmap_one": 150,
    "page_unmap_range": 16,
    "page_protect_one": 150,
    "page_protect_range": 8,
    "yield_one_way": 115,
    "pct_round_trip": 190,
    "pct_round_trip_fp": 290,
    "notify_no_wake": 100,
    "notify_wake": 200,
    "notify_wait": 250,
    "timer_tick": 90,
    "slice_switch": 190,
    "disk_read_4k": 2000,
    "disk_write_4k": 2000,
    "disk_read_4k_deep": 1000,
    "disk_write_4k_deep": 1000,
    "disk_read_256k_byte": 0.02,
    "boot_to_first_program": 1_000_000,
    "call_max": 6000,
    "irq_off_max": 6000,
    "kernel_lines": 3400,
    "kernel_text_bytes": 32_000,
}
# How far a figure may miss its aim; docs/benchmarks.md tells each as worse.
ADMITTED = {
    "page_protect_one": 230,
    "notify_wake": 230,
    "slice_switch": 330,
    "kernel_lines": 5000,
    "kernel_text_bytes": 50_000,
    "disk_read_4k": 4600,
    "disk_write_4k": 4600,
    "disk_read_4k_deep": 1300,
    "disk_write_4k_deep": 1300,
}
# Figures without an aim that must be there.
OTHERS = [
    "cap_derive", "cap_grant", "cap_revoke", "cap_drop", "env_state", "env_lifecycle",
    "pct_round_trip_fp_callee", "pct_round_trip_same_space", "pct_until", "pct_refused",
    "notify_wake_urgent", "wait_ready", "slice_switch_handler",
    "disk_read_4k_quick", "disk_write_4k_quick", "disk_kick_batch",
    "irq_to_program_idle", "irq_to_program_busy",
    "wake_latency_median", "wake_latency_p999", "wake_latency_max",
    "wake_latency_calls_median", "wake_latency_calls_p999", "wake_latency_calls_max",
]  # fmt: skip
LINE = re.compile(r"^bench (\S+) ([\d.]+) ([\d.]+) ([\d.]+)\s*$", re.MULTILINE)
COUNTED = ["-icount", "shift=0,sleep=off"]
# Disks that have no content: the first answers at once, the second after 20 us of the host's time;
# and a clock that shows the machine's own time.
DISKS = ["-global", "virtio-mmio.force-legacy=false", "-rtc", "clock=vm"]
for number, nanoseconds in enumerate((0, 20_000)):
    DISKS += [
        "-blockdev", f"driver=null-co,node-name=disk{number},size={64 << 20},read-zeroes=off"
        f",latency-ns={nanoseconds}",
        "-device", f"virtio-blk-device,drive=disk{number},bus=virtio-mmio-bus.{number}",
    ]  # fmt: skip
SECONDS = 120
LONGEST_SECONDS = 90


def number(text):
    value = float(text)
    return int(value) if value == int(value) else round(value, 2)


@contextlib.contextmanager
def booted(kernel, program, harts, options):
    """A machine that runs a first program: its QEMU, and the file that is its console."""
    with tempfile.TemporaryDirectory(prefix="exo-bench-") as folder:
        archive = pathlib.Path(folder) / "archive"
        console = pathlib.Path(folder) / "console"
        machine.archive(archive, ["bench"], init=program)
        qemu = machine.start(
            machine.command_line(
                archive, machine.kernel(kernel), harts, "128M", f"file:{console}", options
            )
        )
        try:
            yield qemu, console
        finally:
            qemu.kill()
            qemu.wait()


def run(kernel, program, harts, options):
    """What a first program printed, when it ended with status 0."""
    with booted(kernel, program, harts, options) as (qemu, console):
        try:
            status = qemu.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = f"nothing after {SECONDS} s"
        text = machine.without_firmware(console.read_bytes()).decode(errors="replace")
    if status != 0:
        raise machine.Failure(f"{program} on {kernel} ended with {status}; it printed:\n{text}")
    return text


def measure(kernel, program="init_bench", options=()):
    """{name: (instructions, satp_writes, sfences)} as the program printed them."""
    text = run(kernel, program, 1, [*COUNTED, *options])
    result = {name: tuple(map(number, rest)) for name, *rest in LINE.findall(text)}
    if not result:
        raise machine.Failure(f"{program} on {kernel} printed no figures, but:\n{text}")
    return result


def figures():
    usual = measure("kernel")
    counted = measure("kernel-counters")
    usual["irq_off_max"] = (counted["irq_off_max"][0], 0, 0)
    usual |= measure("kernel", "init_disk", DISKS)
    return [
        {
            "name": name,
            "instructions": instructions,
            "satp_writes": counted.get(name, (0, 0, 0))[1],
            "sfences": counted.get(name, (0, 0, 0))[2],
        }
        for name, (instructions, _, _) in usual.items()
    ]


def print_table(rows):
    print(f"{'operation':28}{'instructions':>13}{'aim':>10}{'satp':>6}{'sfence':>8}")
    for row in rows:
        aim = AIMS.get(row["name"])
        missed = "  misses its aim" if aim and row["instructions"] > aim else ""
        print(
            f"{row['name']:28}{row['instructions']:>13,}{f'{aim:,}' if aim else '':>10}"
            f"{row['satp_writes']:>6}{row['sfences']:>8}{missed}"
        )


# ---- the size of the kernel ----


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sizes():
    """Code lines as scripts/sloc counts them, and `text` as size tells it."""
    size = output("riscv64-unknown-elf-size", str(machine.BUILD / "kernel.elf"))
    lines = output(str(machine.ROOT / "scripts" / "sloc"))
    return {
        "kernel_lines": int(lines.splitlines()[-1].split()[0]),
        "kernel_text_bytes": int(size.splitlines()[1].split()[0]),
    }


# ---- more harts ----


def scaling():
    """What 1, 2, 4 harts do, as a multiple of what one does; by real time."""
    load = os.getloadavg()[0]
    text = run("kernel", "init_scale", 4, [])
    done = {}
    for kind, harts, count in re.findall(r"^scale (\S+) (\d+) (\d+)", text, re.MULTILINE):
        done.setdefault(kind, {})[harts] = int(count)
    result = {
        kind: {harts: round(count / counts["1"], 2) for harts, count in counts.items()}
        for kind, counts in done.items()
    }
    return {"cores": len(os.sched_getaffinity(0)), "load": round(load, 1), **result}


# ---- the longest stay in the kernel, over the target suite ----


def port_free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def longest_of(program):
    """The most instructions of a stay in the kernel until the program ends the machine."""
    port = port_free()
    command = [
        "gdb-multiarch", "--batch", "-nx", "-ex", "set tcp connect-timeout 10",
        "-ex", f"target remote 127.0.0.1:{port}", "-ex", "hbreak arch_power_off", "-ex", "continue",
        "-ex", r'printf "longest %lu\n", info->hart[0].longest',
        str(machine.BUILD / "kernel-counters.elf"),
    ]  # fmt: skip
    options = [*COUNTED, "-S", "-gdb", f"tcp:127.0.0.1:{port}"]
    with booted("kernel-counters", program, 1, options):
        text = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS
        ).stdout
    found = re.search(r"^longest (\d+)$", text, re.MULTILINE)
    if not found:
        raise machine.Failure(f"{program} on kernel-counters: gdb saw\n{text}")
    return int(found.group(1))


def longest():
    result = {}
    sources = sorted((machine.ROOT / "test" / "target").glob("*.c"))
    for name in (source.stem for source in sources):
        try:
            result[name] = longest_of(f"init_{name}")
            print(f"{name:28}{result[name]:>13,}", flush=True)
        except subprocess.TimeoutExpired:
            print(f"{name:28}{f'> {LONGEST_SECONDS} s':>13}", flush=True)
    return result


# ---- docs ----


def machine_facts():
    qemu = re.search(r"version (\S+)", output(machine.QEMU, "--version")).group(1)
    compiler = output("riscv64-unknown-elf-gcc", "--version").splitlines()[0]
    options = " ".join(["-M virt -smp 1 -m 128M", *COUNTED])
    return {
        "qemu": f"QEMU {qemu} `{options}`",
        "compiler": f"gcc {compiler.split()[-1]} -O2",
    }


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Prints the instructions that each operation takes, program's stub and kernel"
        " together (range calls: for one page), with its satp writes and sfences.",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--scaling", action="store_true",
        help="instead: how much more work 2 and 4 harts do than one, by real time",
    )  # fmt: skip
    parser.add_argument(
        "--longest", action="store_true",
        help="instead: the longest stay in the kernel of each target test (minutes)",
    )  # fmt: skip
    parser.add_argument(
        "--docs", action="store_true",
        help="write what was measured to docs/: benchmarks.json, the tables and the plot",
    )  # fmt: skip
    parser.add_argument(
        "--plot", action="store_true", help="only make tables and plot anew from benchmarks.json"
    )
    options = parser.parse_args()
    data = benchdocs.read()
    if options.plot:
        benchdocs.write(data, AIMS)
        return 0
    machine.setup("riscv:kernel,kernel-counters,programs")
    try:
        if options.scaling:
            data["scaling"] = scaling()
            print(json.dumps(data["scaling"]))
        elif options.longest:
            data["longest"] = longest()
        else:
            data["figures"] = figures()
            print_table(data["figures"])
            data.update(machine_facts())
            if options.docs:
                data["sizes"] = sizes()
    except (machine.Failure, pack.PackError) as error:
        sys.exit(f"bench: {error}")
    if options.json:
        lines = ",\n".join("  " + json.dumps(row) for row in data["figures"])
        pathlib.Path(options.json).write_text(f"[\n{lines}\n]\n")
    if options.docs:
        benchdocs.write(data, AIMS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
