# SPDX-License-Identifier: MIT
"""What a test of exo_add_test runs: a command, whose exit status and output are compared."""
import argparse
import subprocess
import sys

import machine


def main():
    parser = argparse.ArgumentParser(usage="expect.py [--status N] [--output TEXT]... -- COMMAND")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--output", action="append", default=[])
    place = sys.argv.index("--")
    options = parser.parse_args(sys.argv[1:place])
    result = subprocess.run(
        sys.argv[place + 1 :], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=machine.die_with_parent, check=False,
    )  # fmt: skip
    output = result.stdout.decode(errors="replace").replace("\r", "")
    print(output, end="")
    wrong = [f"the output has no {text!r}" for text in options.output if text not in output]
    if result.returncode != options.status:
        wrong.append(f"the exit status is {result.returncode}, not {options.status}")
    for text in wrong:
        print(f"expect: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
