# SPDX-License-Identifier: MIT
"""scripts/bench: instructions, satp writes and sfences of each operation.

Boots test/bench as the first program with counted instructions, where every run
gives the same numbers: once on the usual kernel for the instructions, and once
on the kernel that counts satp writes and sfences.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

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
    "page_unmap_one": 150,
    "page_unmap_range": 16,
    "page_protect_range": 8,
    "yield_one_way": 115,
    "cap_derive": None,
    "cap_grant": None,
    "cap_drop": None,
    "env_lifecycle": None,
    "boot_to_first_program": 1_000_000,
    "call_max": 6000,
}
LINE = re.compile(r"^bench (\S+) ([\d.]+) ([\d.]+) ([\d.]+)\s*$", re.MULTILINE)
SECONDS = 120


def number(text):
    value = float(text)
    return int(value) if value == int(value) else round(value, 2)


def measure(kernel, program="init_bench"):
    """{name: (instructions, satp_writes, sfences)} as the program printed them."""
    with tempfile.TemporaryDirectory(prefix="exo-bench-") as folder:
        archive = pathlib.Path(folder) / "archive"
        console = pathlib.Path(folder) / "console"
        machine.archive(archive, ["bench"], init=program)
        command = machine.command_line(
            archive, machine.kernel(kernel), 1, "128M", f"file:{console}",
            ["-icount", "shift=0,sleep=off"],
        )  # fmt: skip
        qemu = machine.start(command)
        try:
            status = qemu.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = f"nothing after {SECONDS} s"
        finally:
            qemu.kill()
            qemu.wait()
        text = machine.without_firmware(console.read_bytes()).decode(errors="replace")
    if status != 0:
        raise machine.Failure(f"{program} on {kernel} ended with {status}; it printed:\n{text}")
    result = {name: tuple(map(number, rest)) for name, *rest in LINE.findall(text)}
    if not result:
        raise machine.Failure(f"{program} on {kernel} printed no figures, but:\n{text}")
    return result


def figures():
    usual = measure("kernel")
    counted = measure("kernel-counters")
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


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Prints the instructions that each operation takes, program's stub and kernel"
        " together (range calls: for one page), with its satp writes and sfences.",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    machine.setup("riscv:kernel,kernel-counters,programs")
    try:
        rows = figures()
    except (machine.Failure, pack.PackError) as error:
        sys.exit(f"bench: {error}")
    print_table(rows)
    if options.json:
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        pathlib.Path(options.json).write_text(f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
