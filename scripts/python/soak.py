# SPDX-License-Identifier: MIT
"""scripts/soak: the fuzzers for as long as one likes, with a new seed each time, and the long campaigns on QEMU."""
import argparse
import os
import subprocess
import sys
import time

import machine


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        usage="scripts/soak [--minutes M] [sequence] [libfuzzer] [target]",
        description="Runs the fuzzers, each round with a new seed, until M minutes have passed or one finds"
        " something.  A finding stays in build/test/ and build/fuzz/corpus/.  `target` is one round of the"
        " long campaigns on QEMU: 100,000 kills in every state, 1,000,000 shoot-downs, shares over"
        " minutes; it takes hours.",
        epilog="Example: nohup scripts/soak --minutes 600 sequence &",
    )
    parser.add_argument("--minutes", type=float, default=60, metavar="M", help="default 60")
    parser.add_argument("--round", type=float, default=10, metavar="M", help="minutes of a round"
                        " of one fuzzer (default 10)")  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help="sequence, libfuzzer (both), target")
    options = parser.parse_args()
    parts = options.parts or ["sequence", "libfuzzer"]
    unknown = [part for part in parts if part not in ("sequence", "libfuzzer", "target")]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}")

    if "target" in parts:
        parts.remove("target")
        command = [str(machine.ROOT / "scripts" / "test"), "--minutes", "300", "target"]
        status = subprocess.run(command, env={**os.environ, "EXO_SOAK": "1"}, check=False).returncode
        if status or not parts:
            return status

    end = time.monotonic() + 60 * options.minutes
    rounds = 0
    while time.monotonic() < end:
        for part in parts:
            left = max((end - time.monotonic()) / 60, 0.1)
            minutes = min(options.round, left)
            command = [
                str(machine.ROOT / "scripts" / "test"), "--minutes", f"{minutes:.2f}",
                "--seed", str(time.time_ns() // 1_000_000_000 % 1_000_000), part,
            ]  # fmt: skip
            status = subprocess.run(command, env=os.environ, check=False).returncode
            if status:
                print(f"soak: {part} found something in round {rounds + 1}; see build/test/")
                return status
        rounds += 1
        print(f"soak: {rounds} rounds, nothing found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
