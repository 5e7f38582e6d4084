# SPDX-License-Identifier: MIT
"""Machines of many sizes, and boot archives that are not whole."""
import struct

import exo_qemu
import pytest

HEADER = exo_qemu.pack.HEADER


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("mem", ["64M", "128M", "1G", "3G", "4G"])
def test_memory_sizes(mem, smp):
    result = exo_qemu.run("hello", mem=mem, smp=smp)
    assert result.status == 0, str(result)


@pytest.mark.parametrize("smp", [2, 3, 8])
def test_hart_counts(smp):
    result = exo_qemu.run("two", smp=smp)
    assert result.status == 0, str(result)


def test_boot_hart_varies():
    # Which hart boots is random on this machine, so a few boots see several.
    for _ in range(4):
        result = exo_qemu.run("hello", smp=4)
        assert result.status == 0, str(result)


def stops_with_one_line(result):
    assert result.status != 0, str(result)
    assert len(result.lines) == 1, str(result)


def shortened_to(size):
    def change(path):
        with open(path, "r+b") as archive:
            archive.truncate(size)

    return change


def header_word(index, value):
    """Put `value` in the word `index` of struct exo_archive."""

    def change(path):
        with open(path, "r+b") as archive:
            archive.seek(8 * index)
            archive.write(struct.pack("<Q", value))

    return change


@pytest.mark.parametrize("size", [1, 63, 64, 4096, 8192])
def test_truncated_archive(size):
    stops_with_one_line(exo_qemu.boot(shortened_to(size)))


def test_archive_without_its_last_byte():
    def change(path):
        shortened_to(path.stat().st_size - 1)(path)

    stops_with_one_line(exo_qemu.boot(change))


@pytest.mark.parametrize(
    "index, value",
    [
        (0, 0),  # magic
        (1, 0),  # bytes
        (1, 1 << 63),
        (3, 4095),  # init_offset
        (3, 1 << 63),
        (4, 100),  # init_text_bytes
        (4, 1 << 63),
        (5, 0),  # init_bytes
        (5, (1 << 64) - 4096),
    ],
)
def test_archive_with_a_wrong_header(index, value):
    stops_with_one_line(exo_qemu.boot(header_word(index, value)))


@pytest.mark.parametrize("smp", [1, 4])
@pytest.mark.parametrize("init", ["init_fault", "init_jump", "init_exit"])
def test_first_program_that_ends_at_once(init, smp):
    stops_with_one_line(exo_qemu.boot(init=init, smp=smp))
