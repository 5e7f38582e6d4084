# SPDX-License-Identifier: MIT
"""The shell, driven from outside as a person types, and the manifest that init reads."""
import hashlib
import random
import re
import signal
import struct
import subprocess
import time
import zlib

import exo_qemu
import pexpect
import pytest

SECONDS = 60
PROMPT = "exo> "
LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
HOME, END, DELETE = "\x1b[H", "\x1b[F", "\x1b[3~"
BACKSPACE = "\x7f"


def ctrl(letter):
    return chr(ord(letter.upper()) - 64)


class Shell:
    """scripts/run on a terminal of its own."""

    def __init__(self, *options):
        self.run = pexpect.spawn(
            str(exo_qemu.ROOT / "scripts" / "run"), [str(option) for option in options],
            timeout=SECONDS, encoding="utf-8", dimensions=(50, 160), echo=False,
        )  # fmt: skip
        self.expect(PROMPT)
        self.greeting = self.run.before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.run.closed:
            return
        self.run.kill(signal.SIGTERM)  # it ends QEMU
        self.run.expect(pexpect.EOF)
        self.run.close()

    def expect(self, pattern, exact=True):
        try:
            (self.run.expect_exact if exact else self.run.expect)(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise AssertionError(f"{pattern!r} did not come, but:\n{self.run.before}") from error
        return self.run.before.replace("\r", "")

    def type(self, keys):
        self.run.send(keys)

    def command(self, line):
        """What a line prints, without the line itself."""
        self.type(line + "\r")
        return self.expect(PROMPT).partition("\n")[2]

    def answers(self, keys, word):
        """Keys make a line that is this word, which is no command."""
        self.type(keys + "\r")
        output = self.expect(PROMPT)
        assert f"shell: {word}: no command" in output, output

    def status(self):
        """The status with which scripts/run ends."""
        self.expect(pexpect.EOF, exact=False)
        self.run.close()
        return self.run.exitstatus


@pytest.fixture(scope="module", params=[1, 4], name="shell")
def running_shell(request):
    with Shell("--smp", request.param) as shell:
        yield shell


# ---- commands ----


def test_it_says_what_to_do(shell):
    assert "help" in shell.greeting and "exit" in shell.greeting and "Ctrl-D" in shell.greeting
    output = shell.command("help")
    for name in ("help", "ls", "ps", "top", "free", "kill", "uptime", "exit"):
        assert re.search(rf"^ +{name} ", output, re.M), output


def test_ls_lists_programs_with_their_sizes(shell):
    output = shell.command("ls")
    listed = dict(reversed(pair) for pair in re.findall(r"(\d+)  (\S+)", output))
    for name, path in exo_qemu.machine.programs().items():
        assert int(listed[name]) == path.stat().st_size, name
    assert "manifest" in listed


def test_programs_run_with_arguments_and_a_status(shell):
    assert "malloc works too" in shell.command("hello")
    output = shell.command("sum no-file 'a b' \"c\\\"d\"")
    for name in ("no-file", "a b", 'c"d'):
        assert f"sum: {name}: the boot archive has no such file" in output, output
    assert "sum: status 1" in output, output
    assert "shared one frame and nothing else" in shell.command("two")
    assert "shell: nothing: no command" in shell.command("nothing")
    assert "too many words" in shell.command("sum" + 32 * " a")
    assert "a quote is not closed" in shell.command("sum 'a")
    assert "usage: kill" in shell.command("kill")


def test_empty_lines_do_nothing(shell):
    assert shell.command("") == ""
    assert shell.command("   ") == ""


def test_ps_and_free(shell):
    output = shell.command("ps")
    for name in ("init", "console", "shell"):
        assert len(re.findall(rf"^[0-9a-f]+ +{name} ", output, re.M)) == 1, output
    assert re.search(r"^[0-9a-f]+ +shell +runs ", output, re.M), output
    output = shell.command("free")
    assert re.search(r"^ +65536 +256\.0  in this machine$", output, re.M), output


@pytest.mark.parametrize("smp", [1, 4])
def test_top_shows_shares_and_q_leaves(smp):
    with Shell("--smp", smp, "--count") as shell:
        top_is_right(shell, smp)


def top_is_right(shell, harts):
    shell.command("spin 60 &")
    shell.type("top\r")
    for _ in range(3):
        shell.expect("(idle)")
    shown = shell.expect("(idle)")
    shell.type("q")
    shell.expect(PROMPT)
    # All of spin's children are on the last hart, in proportion to their rows.
    shares = [float(share) for share in re.findall(r"of spin .*?([\d.]+)%", shown)]
    assert len(shares) == 4 and 80 < sum(shares) < 102, shown
    for share, rows in zip(shares, (4, 3, 2, 1)):
        assert abs(share - 10 * rows) < 6, shown
    for name in ("init", "console", "shell", "spin"):
        assert re.search(rf"^[0-9a-f]+ +{name} +\w+ +\d+ +\d+ +\d+", shown, re.M), shown
    assert f"HART{harts - 1}" in shown and f"HART{harts} " not in shown
    shell.command("kill spin")


def test_uptime(shell):
    assert re.search(r"up [\d.]+ s; the prompt came \d+ instructions", shell.command("uptime"))


# ---- keys ----


def test_moving_and_inserting(shell):
    shell.answers("bcd" + LEFT * 3 + "a" + RIGHT + "x" + END + "e", "abxcde")
    shell.answers("bc" + HOME + "a" + ctrl("E") + "d" + ctrl("A") + "0", "0abcd")
    shell.answers("ac" + ctrl("B") + "b" + ctrl("F") + "d", "abcd")


def test_erasing(shell):
    shell.answers("abcx" + BACKSPACE + "d", "abcd")
    shell.answers("abxc" + LEFT * 2 + DELETE, "abc")
    shell.answers("abxc" + LEFT * 2 + ctrl("D"), "abc")
    shell.answers("rubbish" + ctrl("U") + "good", "good")
    shell.answers("goodrubbish" + LEFT * 7 + ctrl("K"), "good")
    shell.answers("good rubbish" + ctrl("W") + BACKSPACE, "good")


def test_history(shell):
    shell.answers("first", "first")
    shell.answers("second", "second")
    shell.answers("half" + UP + UP, "first")
    shell.answers("half" + UP + UP + DOWN * 2 + BACKSPACE + "fx", "halfx")
    shell.answers(UP + "y", "halfxy")


def test_ctrl_c_forgets_the_line(shell):
    shell.type("rubbish" + ctrl("C"))
    assert "^C" in shell.expect(PROMPT)
    shell.answers("good", "good")


# ---- programs in front and behind ----


def held_frames(shell):
    return re.search(r"(\d+) +[\d.]+  free of these", shell.command("free"))[1]


def test_ctrl_c_kills_the_program_in_front(shell):
    free = []
    for _ in range(4):
        shell.type("spin 1000\r")
        time.sleep(0.5)
        shell.type(ctrl("C"))
        assert "^C" in shell.expect(PROMPT)
        free.append(held_frames(shell))
    assert "spin" not in shell.command("ps")
    # The first one may make the shell's own tables larger.
    assert len(set(free[1:])) == 1, free


def test_programs_read_what_is_typed(shell):
    shell.type("cat\r")
    shell.type("one tow" + BACKSPACE * 2 + "wo\r")
    shell.expect("wo\r\none two\r\n")
    shell.type("rubbish" + ctrl("U") + "three\r")
    shell.expect("three\r\nthree\r\n")
    shell.type(ctrl("D"))
    shell.expect(PROMPT)


def test_what_a_program_leaves_unread_is_the_shells(shell):
    shell.type("spin 1\r" + "leftover\r")
    shell.expect("handed out")
    shell.expect("shell: leftover: no command")
    shell.expect(PROMPT)


def test_programs_run_behind(shell):
    shell.command("spin 1000 &")
    shell.command("spin 1000&")
    shell.type("cat & \r")  # nothing is typed for it: it ends
    shell.expect("[3] cat: status 0")
    shell.expect(PROMPT)
    assert len(re.findall(r"^[0-9a-f]+ +spin ", shell.command("ps"), re.M)) == 2
    assert "malloc works too" in shell.command("hello")
    shell.command("spin 1000 &")
    shell.command("spin 1000 &")
    assert "4 programs run already" in shell.command("hello")
    shell.type("half")
    time.sleep(0.2)
    shell.answers("", "half")
    assert "[2] spin: killed" in shell.command("kill 2")
    output = shell.command("kill 1 spin spin")
    assert output.count("killed") == 3, output
    assert "no such program" in shell.command("kill spin")


def test_output_from_behind_leaves_the_line_as_it_is(shell):
    shell.type("latency --count 500 &\r")
    shell.expect(PROMPT)
    shell.type("wh")
    shell.expect("[1] latency: status 0")
    shell.expect(PROMPT + "wh")
    shell.answers("ole", "whole")


def test_crash_report_is_explained(shell):
    output = shell.command("fault crash")
    assert "fault: load page fault at pc" in output and "main at apps/fault/fault.c:" in output
    assert output.rstrip().endswith("fault: status 141"), output
    assert "stop_here at apps/crash/crash.c:" in shell.command("crash")


# ---- the console's driver and the shell themselves ----


def starts_of(shell, name):
    return int(re.search(rf"^[0-9a-f]+ +{name} .* (\d+)$", shell.command("ps"), re.M)[1])


def test_console_is_killed_and_started_again():
    with Shell("--smp", 4) as shell:
        for starts in range(2, 5):
            assert "init: console: is started again" in shell.command("kill console")
            assert starts_of(shell, "console") == starts
            assert "malloc works too" in shell.command("hello")
        shell.type("spin 1000\r")
        time.sleep(0.5)
        shell.type(ctrl("C"))
        shell.expect(PROMPT)


def test_console_that_ends_too_often_stays_so():
    with Shell() as shell:
        for _ in range(6):
            shell.type("kill console\r")
            shell.expect("init: console: is killed")
        # Nothing can be typed any more, but what programs write still comes.
        shell.expect("ended more than 5 times in 10 s, and stays so")
        shell.expect(PROMPT)


def test_shell_is_killed_and_started_again():
    with Shell() as shell:
        shell.command("spin 1000 &")
        assert "init: shell: is started again" in shell.command("kill shell")
        output = shell.command("ps")
        assert "spin" not in output and starts_of(shell, "shell") == 2, output
        assert "malloc works too" in shell.command("hello")


# ---- leaving ----


def test_exit_ends_with_its_status():
    with Shell() as shell:
        assert "no status" in shell.command("exit 256")
        assert "no status" in shell.command("exit now")
        shell.type("exit 7\r")
        assert shell.status() == 7


def test_exit_and_ctrl_d_end_with_the_last_status():
    with Shell() as shell:
        shell.command("fault crash")
        shell.type("exit\r")
        assert shell.status() == 141
    with Shell() as shell:
        shell.command("sum no-file")
        shell.command("help")
        shell.type(ctrl("D"))
        assert shell.status() == 0


def test_a_key_ends_the_machine():
    with Shell() as shell:
        shell.type(ctrl("]"))
        assert shell.status() == 128 + signal.SIGINT


def test_commands_come_through_a_pipe():
    lines = "hello\nsum no-file\ncat manifest\nspin 1\nfault crash\n"
    result = subprocess.run(
        [exo_qemu.ROOT / "scripts" / "run", "--smp", "2"], input=lines.encode(),
        stdout=subprocess.PIPE, timeout=SECONDS, check=False,
    )  # fmt: skip
    output = result.stdout.decode()
    assert result.returncode == 141, output
    for part in ("malloc works too", "sum: status 1", "program shell", "handed out", "backtrace"):
        assert part in output, output


def test_ctrl_c_ends_a_run_of_a_program():
    run = pexpect.spawn(
        str(exo_qemu.ROOT / "scripts" / "run"), ["--", "cat"], timeout=SECONDS, encoding="utf-8",
        echo=False,
    )  # fmt: skip
    run.send("typed\r")
    run.expect_exact("typed\r\ntyped\r\n")
    run.send(ctrl("C"))
    run.expect(pexpect.EOF)
    run.close()
    assert run.exitstatus == 128 + signal.SIGINT


# ---- the manifest ----

CONSOLE = exo_qemu.machine.manifest.default("console")


def boot(text, **options):
    """Boot with this manifest."""
    return exo_qemu.boot(text=text, **options)


@pytest.mark.parametrize(
    "text, line, told",
    [
        ("# nothing\n", 0, "names no program"),
        ("memory 4M\n", 1, '"memory": a line with program NAME must come before'),
        ("program hello\n    memroy 4M\n", 2, '"memroy": no word to begin a line with'),
        ("program hello\nmemory lots\n", 2, '"lots": no size; 512K, 16M'),
        ("program hello\nrun 1 hart 1\n", 2, "there is no hart 1; there are 1"),
        ("program hello\nrows 63\n", 2, "free rows in a row"),
        ("program hello\n\ndisk 0 all\n", 3, "there is no disk 0; there are 0"),
        ("program hello\ndevice 0x1234000\n", 2, "this machine has no such device"),
        ("program hello\nline 127\n", 2, "there is no such interrupt line"),
        ("program hello\nconsole typed\n", 2, '"typed": output, input, none or driver must come'),
        ("program a\nconsole input\nprogram b\nconsole input\n", 4, "only one can be"),
        ('program "hello\n', 1, "a quote is not closed"),
        ("program hello\nrestart fault 3\n", 2, "in SECONDS must come"),
        ("program hello\noptional\noptional\n", 3, '"optional": this program has such a line'),
    ],
)
def test_mistakes_are_told_with_their_line(text, line, told):
    result = boot(text)
    assert result.status == 127, str(result)
    assert len(result.lines) == 1, str(result)
    assert result.lines[0].startswith(f"init: manifest, line {line}: "), str(result)
    assert told in result.lines[0], str(result)


def test_missing_manifest_and_program():
    def change(path):
        exo_qemu.machine.pack.pack(path, init=exo_qemu.machine.PROGRAMS / "init.elf")

    result = exo_qemu.boot(change)
    assert result.status == 127 and "no such file, or it is empty" in result.output, str(result)
    result = boot("program hello\nprogram nothing\n")
    assert result.status == 127, str(result)
    assert "init: nothing: the boot archive has no such file" in result.output, str(result)


def test_optional_programs_are_left_out():
    text = "program nothing\noptional\nprogram hello\ndisk 3 all\noptional\nprogram raw\n"
    result = boot(text)
    assert result.status == 0, str(result)
    assert "init: nothing: the boot archive has no such file" in result.output
    assert "line 4: there is no disk 3" in result.output
    assert "is mapped and used" in result.output and "malloc" not in result.output


def test_memory_is_as_the_manifest_says():
    result = boot(CONSOLE + "program raw\nmemory 123 frames\nprogram hello\nmemory 1M\n")
    assert result.status == 0, str(result)
    assert "raw: no library, 123 frames of memory" in result.output, str(result)
    first, last = re.search(r"frames (0x\w+) to (0x\w+)", result.output).groups()
    assert int(last, 16) - int(first, 16) + 1 == 256, str(result)


def test_program_without_memory_for_it():
    result = boot("program hello\nmemory 1G\n")
    assert result.status == 127 and "there is not enough memory" in result.output, str(result)


def test_restarts_are_bounded():
    result = boot(CONSOLE + "program fault crash\nrestart fault 2 in 60\n")
    assert result.status == 141, str(result)
    assert result.output.count("backtrace: fault") == 3, str(result)
    assert result.output.count("fault: is started again") == 2, str(result)
    assert "ended more than 2 times in 60 s" in result.output, str(result)
    # Only a fault counts for this one.
    result = boot("program sum no-file\nrestart fault\n")
    assert result.status == 1 and result.output.count("no-file") == 1, str(result)


def test_services_do_not_keep_the_machine():
    text = "program spin 1000\nrestart always\nrows rest\nprogram sum no-file\nrun 1 hart 0\n"
    result = boot(text, smp=2)
    assert result.status == 1, str(result)


def test_silent_programs_write_nothing():
    result = boot(CONSOLE + "program hello\nconsole none\nprogram raw\n")
    assert result.status == 0 and "malloc" not in result.output, str(result)
    assert "is mapped and used" in result.output, str(result)


def test_rows_on_the_harts_that_the_manifest_says():
    text = "program pingpong 100\nrun 2 hart 1\nrows 4 urgent hart 1\nrows 4 hart 0\n"
    result = boot(text, smp=2)
    assert result.status == 0, str(result)
    assert "from hart to hart" in result.output, str(result)



# ---- disks ----

SECTOR = 512
PARTITION, PARTITION_SECTORS = 100, 700


@pytest.fixture(scope="module", name="image")
def image_with_a_partition(tmp_path_factory):
    """A disk of 1 MiB with random contents and a partition "my data" (UEFI 2.10, 5.3)."""
    data = bytearray(random.Random(1).randbytes(2048 * SECTOR))
    guid = bytes(range(16))
    entry = struct.pack("<16s16sQQQ", guid, guid, PARTITION, PARTITION + PARTITION_SECTORS - 1, 0)
    entry += "my data".encode("utf-16-le")
    entries = entry.ljust(128, b"\0").ljust(128 * 128, b"\0")

    def header(checksum):
        return struct.pack(
            "<8s4I4Q16sQ3I", b"EFI PART", 0x10000, 92, checksum, 0, 1, 2047, 34, 2014, guid, 2, 128,
            128, zlib.crc32(entries),
        )  # fmt: skip

    data[SECTOR : SECTOR + 92] = header(zlib.crc32(header(0)))
    data[2 * SECTOR : 34 * SECTOR] = entries
    path = tmp_path_factory.mktemp("disk") / "image"
    path.write_bytes(data)
    return path


def digest_of(path, first, count):
    data = path.read_bytes()[first * SECTOR : (first + count) * SECTOR]
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "extent, first, count",
    [("all", 0, 2048), ('partition "my data"', PARTITION, PARTITION_SECTORS),
     ("sectors 34 1000 read entries 16", 34, 1000)],
)  # fmt: skip
def test_a_program_gets_the_part_of_a_disk_that_the_manifest_says(image, extent, first, count):
    extra = exo_qemu.machine.disks([str(image)])
    result = boot(CONSOLE + f"program sum\ndisk 0 {extent}\n", extra=extra)
    assert result.status == 0, str(result)
    assert digest_of(image, first, count) in result.output, str(result)


@pytest.mark.parametrize(
    "extent, told",
    [('partition "other"', "there is no partition of that name"),
     ("sectors 2040 9", "disk 0 has 2048 sectors"), ("all entries 128\ndisk 0 all", "entries left")],
)  # fmt: skip
def test_mistakes_about_disks_are_told(image, extent, told):
    extra = exo_qemu.machine.disks([str(image)])
    result = boot(f"program sum\ndisk 0 {extent}\n", extra=extra)
    assert result.status == 127 and told in result.output, str(result)


def test_a_disk_that_can_only_be_read(image):
    extra = exo_qemu.machine.disks([f"{image},ro"])
    result = boot("program sum\ndisk 0 all write\n", extra=extra)
    assert result.status == 127 and "disk 0 can only be read" in result.output, str(result)


def test_programs_of_the_shell_get_the_disk(image):
    with Shell("--disk", image) as shell:
        for _ in range(2):
            assert digest_of(image, 0, 2048) in shell.command("sum")
