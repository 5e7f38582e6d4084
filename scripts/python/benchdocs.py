# SPDX-License-Identifier: MIT
"""docs/benchmarks.md, .json and .svg, and the costs in docs/abi.md: what is made from figures.

docs/benchmarks.json is what was measured.  Everything between the marks
`<!-- figures: NAME -->` and `<!-- end -->` of docs/benchmarks.md is written
here, as are the numbers in a row of docs/abi.md that begins with a figure's name.
"""
import json
import re

import machine
import plot

DATA = machine.ROOT / "docs" / "benchmarks.json"
PAGE = machine.ROOT / "docs" / "benchmarks.md"
PICTURE = machine.ROOT / "docs" / "benchmarks.svg"
ABI = machine.ROOT / "docs" / "abi.md"
PEERS = machine.ROOT / "test" / "bench" / "peers.json"
NOT_PLOTTED = ("boot_to_first_program", "kernel_lines", "kernel_text_bytes")


def show(value):
    return "-" if value is None else f"{value:,}"


class Figures:
    """What was measured, beside the aims and the peers."""

    def __init__(self, data, aims):
        self.data = data
        self.aims = aims
        self.rows = {row["name"]: row for row in data["figures"]}
        self.values = {name: row["instructions"] for name, row in self.rows.items()}
        self.values |= data["sizes"]
        peers = json.loads(PEERS.read_text())
        self.peers = peers["peers"]
        self.peer_rows = [row for row in peers["rows"] if row["figure"] in self.values]

    def missed(self, name):
        aim = self.aims.get(name)
        return aim is not None and self.values[name] > aim

    def lost_to(self, row):
        value = self.values[row["figure"]]
        return [peer for peer in self.peers if row.get(peer, value) < value]

    def standing(self, row):
        """Worst first: lost to a peer, missed, the rest."""
        return 0 if self.lost_to(row) else 1 if self.missed(row["figure"]) else 2

    # ---- the parts of the page ----

    def part_worse(self):
        lines = []
        for row in self.peer_rows:
            name = row["figure"]
            value = self.values[name]
            better = [f"{peer} has {show(row[peer])}" for peer in self.lost_to(row)]
            if better:
                lines.append(
                    f"- **{row['operation']}** (`{name}`): {show(value)}; {', '.join(better)}."
                )
        for name in self.values:
            if self.missed(name):
                value, aim = self.values[name], self.aims[name]
                more = 100 * (value - aim) / aim
                lines.append(
                    f"- `{name}` misses its aim: {show(value)} against {show(aim)},"
                    f" {more:.0f} % more."
                )
        return lines or ["- No figure misses its aim and none is above a peer's."]

    def part_peers(self):
        lines = [
            "| operation | figure | exo | aim | " + " | ".join(self.peers) + " |",
            "|---|---|---:|---:|" + "---:|" * len(self.peers),
        ]
        for row in sorted(self.peer_rows, key=self.standing):
            name = row["figure"]
            value = show(self.values[name])
            cells = [row["operation"], f"`{name}`"]
            cells.append(f"**{value}**" if self.standing(row) < 2 else value)
            cells.append(show(self.aims.get(name)))
            cells += [show(row.get(peer)) for peer in self.peers]
            lines.append("| " + " | ".join(cells) + " |")
        return lines

    def part_notes(self):
        return [
            f"- {row['operation']}: {row['note']}." for row in self.peer_rows if "note" in row
        ]

    def part_peer_list(self):
        return [f"- {peer}: {what}." for peer, what in self.peers.items()]

    def part_all(self):
        lines = [
            "| figure | instructions | aim | `satp` | `sfence` |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, row in self.rows.items():
            value = show(row["instructions"])
            value = f"**{value}**" if self.missed(name) else value
            lines.append(
                f"| `{name}` | {value} | {show(self.aims.get(name))} | {row['satp_writes']}"
                f" | {row['sfences']} |"
            )
        return lines

    def part_where(self):
        return [f"Measured with {self.data['qemu']}, built by {self.data['compiler']}."]

    def part_scaling(self):
        scaling = self.data.get("scaling")
        if not scaling:
            return ["Not measured yet."]
        kinds = {kind: scaling[kind] for kind in scaling if kind not in ("cores", "load")}
        harts = sorted({int(number) for counts in kinds.values() for number in counts})
        lines = [
            f"On a host with {scaling['cores']} cores and, before, a load average of"
            f" {scaling['load']}:",
            "",
            "| work | " + " | ".join(f"{n} harts" if n > 1 else "1 hart" for n in harts) + " |",
            "|---|" + "---:|" * len(harts),
        ]
        for kind, counts in kinds.items():
            cells = [f"{counts[str(n)]:.2f}" for n in harts]
            lines.append(f"| `{kind}` | " + " | ".join(cells) + " |")
        return lines

    def part_longest(self):
        longest = self.data.get("longest")
        if not longest:
            return ["Not measured yet."]
        name = max(longest, key=longest.get)
        return [
            f"Over the target suite (`scripts/bench --longest`: one hart, {len(longest)} programs):"
            f" {show(longest[name])} instructions at most, in `{name}`."
        ]

    def page(self, page):
        def part(match):
            lines = getattr(self, f"part_{match.group(1)}")()
            return "\n".join([f"<!-- figures: {match.group(1)} -->", *lines, "<!-- end -->"])

        return re.sub(r"<!-- figures: (\w+) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)

    def abi(self, page):
        def numbers(match):
            row = self.rows.get(match.group(2))
            if not row:
                return match.group(0)
            cells = [show(row["instructions"]), str(row["satp_writes"]), str(row["sfences"])]
            return f"{match.group(1)}| " + " | ".join(cells) + " |"

        row = r"^(\| `(\w+)` \|[^|\n]*)\|[^|\n]*\|[^|\n]*\|[^|\n]*\|$"
        return re.sub(row, numbers, page, flags=re.MULTILINE)

    def picture(self):
        rows = []
        for row in self.peer_rows:
            name = row["figure"]
            if name in NOT_PLOTTED:
                continue
            figures = {peer: row[peer] for peer in self.peers if peer in row}
            figures["exo"] = self.values[name]
            rows.append((row["operation"], self.aims.get(name), figures))
        return plot.draw(rows)


def read():
    return json.loads(DATA.read_text()) if DATA.exists() else {}


def dump(data):
    """A figure a line, so that a change shows as one."""
    figures = ",\n".join("    " + json.dumps(row) for row in data["figures"])
    others = {key: value for key, value in data.items() if key != "figures"}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in others.items()]
    return "{\n" + "".join(lines) + f'  "figures": [\n{figures}\n  ]\n}}\n'


def contents(data, aims):
    """{path: what it must hold} for these data."""
    figures = Figures(data, aims)
    return {
        DATA: dump(data),
        PAGE: figures.page(PAGE.read_text()),
        PICTURE: figures.picture(),
        ABI: figures.abi(ABI.read_text()),
    }


def write(data, aims):
    for path, text in contents(data, aims).items():
        path.write_text(text)
