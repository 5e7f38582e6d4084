# SPDX-License-Identifier: MIT
"""The main job on real input: `sum` prints what sha256sum prints for a file of the user's."""
import hashlib
import pathlib
import subprocess

import exo_qemu
import pytest

BYTES = 16 << 20


@pytest.fixture(scope="module")
def real_file(tmp_path_factory):
    """16 MiB of real content: programs and libraries of this machine, one after the other."""
    path = tmp_path_factory.mktemp("files") / "real-16-MiB"
    left = BYTES
    with open(path, "wb") as output:
        for source in sorted(pathlib.Path("/usr/bin").iterdir()):
            if source.is_file() and left:
                data = source.read_bytes()[:left]
                output.write(data)
                left -= len(data)
    assert left == 0 and path.stat().st_size == BYTES
    return path


def host_sum(path):
    return subprocess.run(
        ["sha256sum", path.name], cwd=path.parent, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("program", ["sum", "sum_large"])
def test_real_file(real_file, program, smp):
    result = exo_qemu.run(program, real_file.name, files=[real_file], smp=smp)
    assert result.status == 0, str(result)
    assert host_sum(real_file) in result.lines, str(result)


@pytest.mark.parametrize("smp", [1, 4])
def test_real_file_by_two_programs_at_once(real_file, smp):
    program = ["sum", real_file.name]
    result = exo_qemu.run(*program, "+", *program, files=[real_file], smp=smp)
    assert result.status == 0, str(result)
    assert result.lines.count(host_sum(real_file)) == 2, str(result)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 4095, 4096, 4097, 2 << 20])
def test_sizes_at_the_edges(tmp_path, size):
    path = tmp_path / f"file-{size}"
    path.write_bytes((hashlib.sha256(b"exo").digest() * (size // 32 + 1))[:size])
    result = exo_qemu.run("sum", path.name, files=[path])
    assert result.status == 0, str(result)
    assert host_sum(path) in result.lines, str(result)


def test_name_that_is_taken(tmp_path):
    path = tmp_path / "hello"
    path.write_text("not a program")
    result = exo_qemu.run("hello", files=[path])
    assert result.status == 2 and "already" in result.output, str(result)
