# SPDX-License-Identifier: MIT
"""scripts/bench prints each figure, the same in every run, and no step is long."""
import json
import subprocess

import exo_qemu
import pytest

import bench

STEP_MAX = 6000  # instructions of one step of any call


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    command = [str(exo_qemu.ROOT / "scripts" / "bench"), "--json", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return {row["name"]: row for row in json.loads(path.read_text())}


def test_every_figure_is_there(rows):
    assert not [name for name in bench.AIMS if name not in rows]
    for row in rows.values():
        assert set(row) == {"name", "instructions", "satp_writes", "sfences"}


def test_calls_do_not_write_satp_without_a_switch(rows):
    for name in ("null_call", "cap_call", "fault_round_trip", "page_map_one"):
        assert rows[name]["satp_writes"] == 0, rows[name]


def test_single_calls_are_bounded(rows):
    for name in ("null_call", "cap_call", "cap_derive", "cap_grant", "cap_drop", "page_map_one"):
        assert 0 < rows[name]["instructions"] <= STEP_MAX, rows[name]


def test_figures_are_the_same_in_every_run(rows):
    again = bench.measure("kernel")
    for name, row in rows.items():
        assert again[name][0] == row["instructions"], name
