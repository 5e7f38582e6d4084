# SPDX-License-Identifier: MIT
"""Disks: what programs read, write and share of an image is what the host finds in it."""
import hashlib
import random
import re
import shutil
import struct
import subprocess
import uuid
import zlib

import exo_qemu
import pytest

SECTOR = 512
MIB = 1 << 20
FILE_SYSTEM = 64 * MIB  # bytes; the images have SPARE more behind it
SPARE = 4 * MIB
SECONDS = 150  # 64 MiB of SHA-256 on an emulated machine of a busy host


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An image of 64 MiB: an ext4 file system with a real tree in it."""
    folder = tmp_path_factory.mktemp("disk")
    tree = folder / "tree"
    for name in ("docs", "exo", "libexo", "test"):
        shutil.copytree(exo_qemu.ROOT / name, tree / name)
    numbers = random.Random(1)
    (tree / "large").write_bytes(numbers.randbytes(24 * MIB))
    for number in range(200):
        (tree / f"small{number}").write_bytes(numbers.randbytes(number * 37))
    path = folder / "image"
    subprocess.run(
        ["/usr/sbin/mkfs.ext4", "-q", "-d", str(tree), str(path), f"{FILE_SYSTEM >> 10}k"],
        check=True,
    )
    assert path.stat().st_size == FILE_SYSTEM
    return path


@pytest.fixture
def copy(image, tmp_path):
    """A copy of the image for a test that writes, with some room behind the file system."""
    path = tmp_path / "copy"
    shutil.copyfile(image, path)
    with open(path, "r+b") as file:
        file.truncate(FILE_SYSTEM + SPARE)
    return path


def digest(path, first=0, count=None):
    """SHA-256 of sectors of a file."""
    with open(path, "rb") as file:
        file.seek(first * SECTOR)
        return hashlib.sha256(file.read(-1 if count is None else count * SECTOR)).hexdigest()


def run(path, *command, smp=1, mem=None, status=0):
    result = exo_qemu.run(
        *command, smp=smp, mem=mem, seconds=SECONDS, options=["--disk", str(path)]
    )
    assert result.status == status, result
    return result


def boot(path, words, *command, smp=1):
    """With a disk that QEMU is told of in words of our own."""
    result = exo_qemu.boot(
        command=command, smp=smp, seconds=SECONDS, images=[str(path)],
        extra=["-global", "virtio-mmio.force-legacy=false", *words],
    )  # fmt: skip
    assert result.status == 0, result
    return result


def sums(result):
    """The lines of `sum`; a slow host may show the firmware's own lines too."""
    return sorted(line for line in result.lines if re.match("[0-9a-f]{64}  ", line))


def file_system_check(path):
    result = subprocess.run(
        ["/usr/sbin/e2fsck", "-fn", str(path)], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


# ---- the main job


@pytest.mark.parametrize("smp", [1, 4])
def test_sum_of_a_disk(image, smp):
    result = run(image, "sum", smp=smp)
    assert sums(result) == [f"{digest(image)}  disk"], result


@pytest.mark.parametrize("smp", [1, 4])
def test_sum_of_two_halves_by_two_programs(image, smp):
    result = run(image, "sum", "--halves", smp=smp)
    half = FILE_SYSTEM // SECTOR // 2
    expected = [f"{digest(image, first, half)}  disk {first} {half}" for first in (0, half)]
    assert sums(result) == sorted(expected), result


def test_sum_of_a_range(image):
    result = run(image, "sum", "--disk", "12345", "777")
    assert sums(result) == [f"{digest(image, 12345, 777)}  disk 12345 777"], result


def test_sum_of_odd_sizes(tmp_path):
    path = tmp_path / "odd"
    for sectors in (1, 127, 128, 129, 32 * 128, 32 * 128 + 1):
        path.write_bytes(random.Random(sectors).randbytes(sectors * SECTOR))
        assert sums(run(path, "sum")) == [f"{digest(path)}  disk"]


def test_sum_of_a_file_still_works():
    path = exo_qemu.ROOT / "README.md"
    result = exo_qemu.run("sum", "README.md", files=[path])
    assert sums(result) == [f"{digest(path)}  README.md"], result


def test_sum_without_a_disk():
    result = exo_qemu.run("sum")
    assert result.status == 1, result
    assert "holds no such part of any disk" in result.output, result


# ---- what scripts/run takes


def test_wrong_images_are_named(tmp_path):
    for bytes_, what in ((None, "no such file"), (b"", "sectors"), (b"x" * 513, "truncate")):
        path = tmp_path / "image"
        if bytes_ is not None:
            path.write_bytes(bytes_)
        result = exo_qemu.run("sum", options=["--disk", str(path)])
        assert result.status == 2 and what in result.output, result


def test_read_only_image_is_not_written(tmp_path):
    path = tmp_path / "an image, with a comma"
    path.write_bytes(b"\x55" * MIB)
    result = run(f"{path},ro", "diskio", "write", "0", "100", "1", status=1)
    assert "sector 0: the capability lacks a right" in result.output, result
    assert path.read_bytes() == b"\x55" * MIB
    assert sums(run(f"{path},ro", "sum")) == [f"{digest(path)}  disk"]


# ---- writing


def pattern(first, count, seed):
    """What `diskio write` writes."""
    mask = (1 << 64) - 1
    words = []
    for number in range(first << 6, (first + count) << 6):
        value = (number + seed * 0x9E3779B97F4A7C15) & mask
        value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & mask
        words.append(value ^ value >> 27)
    return struct.pack(f"<{len(words)}Q", *words)


@pytest.mark.parametrize("smp", [1, 4])
def test_what_is_written_is_in_the_file(copy, smp):
    """... and nothing else of it has changed."""
    first, count, seed = FILE_SYSTEM // SECTOR + 11, 3000, 7
    before = copy.read_bytes()
    run(copy, "diskio", "write", str(first), str(count), str(seed), smp=smp)
    after = copy.read_bytes()
    begin, end = first * SECTOR, (first + count) * SECTOR
    assert after[begin:end] == pattern(first, count, seed)
    assert after[:begin] == before[:begin] and after[end:] == before[end:]
    run(copy, "diskio", "check", str(first), str(count), str(seed), smp=smp)
    run(copy, "diskio", "check", str(first), str(count), str(seed + 1), smp=smp, status=1)
    file_system_check(copy)


def test_rewriting_changes_nothing(copy):
    before = digest(copy)
    run(copy, "diskio", "rewrite", "0", str(FILE_SYSTEM // SECTOR), smp=4)
    assert digest(copy) == before
    file_system_check(copy)


def test_zeroes_and_discard(copy):
    first, count = FILE_SYSTEM // SECTOR + 5, 5000
    with open(copy, "r+b") as file:
        file.seek(FILE_SYSTEM)
        file.write(b"\xaa" * SPARE)
    run(copy, "diskio", "zeroes", str(first), str(count))
    after = copy.read_bytes()[FILE_SYSTEM:]
    end = (5 + count) * SECTOR
    assert after == b"\xaa" * 5 * SECTOR + bytes(count * SECTOR) + b"\xaa" * (SPARE - end)
    run(copy, "diskio", "discard", str(first), str(count))
    file_system_check(copy)


def test_read_only_range_refuses_writes(copy):
    before = digest(copy)
    result = run(copy, "diskio", "readonly")
    assert "the child could not write" in result.output, result
    assert "the capability lacks a right" in result.output, result
    assert digest(copy) == before


def test_sectors_outside_are_refused(copy):
    sectors = (FILE_SYSTEM + SPARE) // SECTOR
    before = digest(copy)
    result = run(copy, "diskio", "write", str(sectors - 1), "2", "1", status=1)
    assert f"sector {sectors - 1}: the names are not in the range" in result.output, result
    assert digest(copy) == before


# ---- partitions


def gpt(path, partitions, sectors=8192):
    """Write an image with a GPT: {name: (first, last)}."""
    entries = b""
    for name, (first, last) in partitions.items():
        entries += struct.pack("<16s16sQQQ72s", uuid.uuid4().bytes, uuid.uuid4().bytes, first,
                               last, 0, name.encode("utf-16-le"))  # fmt: skip
    entries = entries.ljust(128 * 128, b"\0")

    def header(own, other, where):
        def fields(checksum):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, own,
                               other, 34, sectors - 34, bytes(range(16)),
                               where, 128, 128, zlib.crc32(entries))  # fmt: skip

        return fields(zlib.crc32(fields(0))).ljust(SECTOR, b"\0")

    with open(path, "wb") as file:
        file.truncate(sectors * SECTOR)
        file.seek(SECTOR)
        file.write(header(1, sectors - 1, 2) + entries)
        file.seek((sectors - 33) * SECTOR)
        file.write(entries + header(sectors - 1, 1, sectors - 33))


@pytest.mark.parametrize("damage", [None, SECTOR + 30, 2 * SECTOR + 40])
def test_partition_is_found(tmp_path, damage):
    """By the first table, or by the other one when header or entries of that are damaged."""
    path = tmp_path / "image"
    gpt(path, {"root": (64, 1000), "home": (1001, 8000)})
    if damage:
        with open(path, "r+b") as file:
            file.seek(damage)
            file.write(b"\xff")
    result = run(path, "diskio", "partition", "home")
    assert "partition home: sectors 1001 to 8000" in result.output, result
    result = run(path, "diskio", "partition", "swap", status=1)
    assert "there is no partition of that name" in result.output, result


def test_disk_without_partitions(image):
    result = run(image, "diskio", "partition", "home", status=1)
    assert "no valid partition table" in result.output, result


# ---- devices that fail, or are slow


def failing(path, sectors):
    """A disk that cannot read these sectors."""
    errors = "".join(
        f",inject-error.{i}.event=none,inject-error.{i}.iotype=read,inject-error.{i}.errno=5"
        f",inject-error.{i}.once=off,inject-error.{i}.sector={sector}"
        for i, sector in enumerate(sectors)
    )
    return [
        "-blockdev", f"driver=raw,node-name=d0,file.driver=blkdebug,file.image.driver=file"
        f",file.image.filename={path}" + errors.replace(",inject", ",file.inject"),
        "-device", "virtio-blk-device,drive=d0",
    ]  # fmt: skip


def test_error_of_the_device_is_told(image):
    bad = [1003, 1010, 1011]
    result = boot(image, failing(image, bad), "diskio", "errors", "1000", "16")
    told = [line for line in result.lines if line.startswith("sector")]
    assert told == [f"sector {sector}: the device reports an error" for sector in bad], result
    assert "3 of 16 sectors failed" in result.output, result


def test_error_is_only_theirs_who_asked(image):
    """Two programs read at once; the sectors of one are bad."""
    bad = range(2001, 2021, 2)
    result = boot(image, failing(image, bad), "diskio", "neighbours", "2000", "1000", smp=4)
    assert "from sector 2000 on: 0 failed" in result.output, result
    assert f"from sector 2001 on: {len(bad)} failed" in result.output, result


def throttled(path, limits):
    return [
        "-object", f"throttle-group,id=limits,{limits}",
        "-blockdev", "driver=raw,node-name=d0,file.driver=throttle,file.throttle-group=limits"
        f",file.file.driver=file,file.file.filename={path}",
        "-device", "virtio-blk-device,drive=d0",
    ]  # fmt: skip


@pytest.mark.parametrize("smp", [1, 4])
def test_slow_device(image, smp):
    result = boot(
        image, throttled(image, "x-iops-total=100"),
        "sum", "--disk", "0", str(16 * MIB // SECTOR), smp=smp,
    )  # fmt: skip
    assert digest(image, 0, 16 * MIB // SECTOR) in result.output, result


def test_device_that_hangs(image):
    """The kernel resets it after eight seconds; who asked is told, and may ask again."""
    words = throttled(image, "x-bps-total=45")  # more than eleven seconds a sector
    result = boot(image, words, "diskio", "errors", "100", "2")
    told = [line for line in result.lines if line.startswith("sector")]
    assert told == [f"sector {sector}: the device reports an error" for sector in (100, 101)]


# ---- sharing


def shares(image, wanted, smp):
    """What two programs had done, the less first, when one had `wanted` requests done."""
    result = run(image, "diskio", "shares", str(wanted), smp=smp)
    done = sorted(map(int, re.search(r"done: (\d+) and (\d+)", result.output).groups()))
    assert done[1] >= wanted, result
    return done


def test_equal_entries_give_equal_service(image):
    wanted = 10000
    assert shares(image, wanted, smp=1)[0] >= 0.95 * wanted


def test_nobody_starves_on_harts_of_their_own(image):
    """How equal that is depends on how the host runs the harts' threads."""
    wanted = 1000
    assert shares(image, wanted, smp=4)[0] >= 0.5 * wanted
