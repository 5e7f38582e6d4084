# SPDX-License-Identifier: MIT
"""Programs outside of the tree: scripts/app, and the package that `cmake --install` makes."""
import os
import re
import shutil
import subprocess

import exo_qemu
import pytest

import app  # of scripts/python, which exo_qemu put on the path

SECONDS = 60
ENVIRONMENT = {
    **os.environ, "LC_ALL": "C", "PATH": "/usr/bin:/bin:" + os.environ.get("PATH", "")
}  # fmt: skip

GREET = """\
#include <stdio.h>
#include "words.h"

int main(int count, char **words) {
    for (int i = 0; i < count; i++) printf("[%s]", words[i]);
    printf(" %s %.2f\\n", WORD, number());
    return count;
}
"""
WORDS_H = """\
#define WORD "one"
double number(void);
"""
WORDS_C = """\
#include "words.h"
double number(void) { return 0.25; }
"""


def command(*words, cwd=None):
    result = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=ENVIRONMENT, timeout=SECONDS, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return exo_qemu.Run(result.returncode, result.stdout.decode(errors="replace").replace("\r", ""))


def run_app(*words, cwd=None):
    return command(exo_qemu.ROOT / "scripts" / "app", *words, cwd=cwd)


# ---- scripts/app


@pytest.fixture(scope="module", autouse=True)
def clean_build_folder():
    """What was built of sources that are gone after the tests is of no use."""
    before = set(app.APP.iterdir())
    yield
    for folder in set(app.APP.iterdir()) - before:
        shutil.rmtree(folder)


@pytest.fixture
def sources(tmp_path):
    """A program of two files and a header, in a folder with a space in its name."""
    folder = tmp_path / "far away"
    folder.mkdir()
    (folder / "greet.c").write_text(GREET)
    (folder / "words.h").write_text(WORDS_H)
    (folder / "words.c").write_text(WORDS_C)
    return folder


def test_one_file(tmp_path):
    (tmp_path / "hello.c").write_text(
        '#include <stdio.h>\nint main(void) { printf("mine\\n"); return 0; }\n'
    )
    # A program of this name is in the tree, too.
    result = run_app(tmp_path / "hello.c")
    assert result.status == 0 and result.lines == ["mine"], str(result)


def test_files_header_arguments_and_status(sources):
    result = run_app(sources / "greet.c", sources / "words.c", "--", "two words", "", "-x")
    assert result.status == 4, str(result)
    assert result.lines == ["[greet][two words][][-x] one 0.25"], str(result)


def test_options_of_run(sources):
    (sources / "smp.c").write_text(
        "#include <exo/sys.h>\n#include <exo/task.h>\n"
        "int main(void) { struct archive_file file;\n"
        "return (int)sys_info()->hart_count * 10 + archive_find(\"words.c\", &file); }\n"
    )
    words = ["--smp", "3", "smp.c", "--file", "words.c", "--libs", "mem_large,task"]
    result = run_app(*words, cwd=sources)
    assert result.status == 31 and not result.lines, str(result)


def test_only_what_has_changed_is_built(sources, monkeypatch):
    def times():
        program = app.build(["greet.c", "words.c"], "mem")
        return [(program.parent / name).stat().st_mtime_ns for name in ("0.o", "1.o", "greet.elf")]

    monkeypatch.chdir(sources)
    first = times()
    assert times() == first
    (sources / "words.c").write_text(WORDS_C.replace("0.25", "0.5"))
    second = times()
    assert [new > old for new, old in zip(second, first)] == [False, True, True]
    (sources / "words.h").write_text(WORDS_H.replace("one", "other"))
    assert all(new > old for new, old in zip(times(), second))
    assert run_app("greet.c", "words.c", cwd=sources).lines == ["[greet] other 0.50"]


def test_errors_of_the_compiler_are_shown_as_they_are(sources):
    (sources / "greet.c").write_text(GREET.replace("return count;", "return count"))
    result = run_app("greet.c", "words.c", cwd=sources)
    assert result.status == 2, str(result)
    assert result.lines[0] == "greet.c: In function 'main':", str(result)
    assert result.lines[1].startswith("greet.c:7:17: error: expected ';' before"), str(result)


def test_errors_of_the_linker_are_shown(sources):
    result = run_app("greet.c", cwd=sources)
    assert result.status == 2, str(result)
    assert "undefined reference to `number'" in result.output, str(result)


@pytest.mark.parametrize(
    "words, told",
    [
        (["greet.c", "--libs", "mem,tusk"], "no library 'tusk'; there are: "),
        (["there-is-none.c"], "there-is-none.c: there is no such file"),
        (["words.h"], "words.h: neither a C file (.c) nor"),
        (["greet.c", "--nonsense"], "unrecognized arguments: --nonsense"),
        ([], "FILE.c"),
    ],
)
def test_what_is_wrong_is_named(sources, words, told):
    result = run_app(*words, cwd=sources)
    assert result.status == 2 and told in result.output, str(result)


def test_crash_is_explained(sources):
    (sources / "fall.c").write_text("int main(void) { *(volatile int *)8 = 1; return 0; }\n")
    result = run_app("fall.c", cwd=sources)
    assert result.status == 128 + 15, str(result)
    assert re.search(r"main at .*fall\.c:1$", result.output, re.MULTILINE), str(result)


# ---- the package


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Installed, and then moved to another folder."""
    folder = tmp_path_factory.mktemp("package")
    build = exo_qemu.machine.BUILD
    result = command("/usr/bin/cmake", "--install", build, "--prefix", folder / "first")
    assert result.status == 0, str(result)
    return (folder / "first").rename(folder / "moved elsewhere")


@pytest.fixture
def project(package, tmp_path):
    """A copy of the template, configured."""
    folder = tmp_path / "my program"
    shutil.copytree(package / "share/exo/templates/program", folder)
    result = configure(package, folder)
    assert result.status == 0, str(result)
    return folder


def configure(package, folder):
    toolchain = package / "lib/cmake/exo/riscv.cmake"
    return command(
        "/usr/bin/cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja",
        "--toolchain", toolchain,
    )  # fmt: skip


def build(folder, target="all"):
    return command("/usr/bin/cmake", "--build", folder / "build", "--target", target)


def ctest(folder):
    return command("/usr/bin/ctest", "--test-dir", folder / "build", "--output-on-failure")


def test_package_has_no_path_of_this_machine(package):
    places = [exo_qemu.ROOT, package.parent]
    pattern = re.compile(
        rb"(?<![\w.}-])(" + b"|".join(re.escape(os.fsencode(place)) for place in places) + rb")\b"
    )
    files = [path for path in package.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [path for path in files if pattern.search(path.read_bytes())] == []


def test_template_passes_and_notices_what_breaks(project):
    source = project / "greet.c"
    text = source.read_text()
    assert build(project).status == 0
    result = ctest(project)
    assert result.status == 0 and "100% tests passed" in result.output, str(result)

    source.write_text(text.replace("hello", "goodbye"))
    assert build(project).status == 0
    result = ctest(project)
    assert result.status != 0, str(result)
    assert "the output has no 'hello, Ada'" in result.output, str(result)

    source.write_text(text.replace("return 0", "return 3"))
    assert build(project).status == 0
    result = ctest(project)
    assert result.status != 0, str(result)
    assert "the exit status is 3, not 0" in result.output, str(result)


def test_target_that_runs(project):
    result = build(project, "run")
    assert result.status == 0 and "hello, Ada" in result.lines, str(result)


def test_each_library_and_several_programs(package, project):
    with open(project / "CMakeLists.txt", "a", encoding="utf-8") as lists:
        lists.write(
            "get_property(libraries GLOBAL PROPERTY EXO_LIBRARIES)\n"
            "foreach(library IN LISTS libraries)\n"
            "    exo_add_program(with_${library} greet.c LIBS ${library})\n"
            "endforeach()\n"
            "exo_add_test(several with_sys A + with_mem_large B OPTIONS --smp 2\n"
            '    OUTPUT "hello, A" "hello, B")\n'
        )
    assert build(project).status == 0
    result = ctest(project)
    assert result.status == 0 and "out of 2" in result.output, str(result)
    programs = {path.name for path in (project / "build").glob("with_*.elf")}
    assert programs >= {f"with_{name}.elf" for name in ("sys", "mem", "mem_large", "task")}


def test_unknown_library_is_named(package, project):
    lists = project / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("LIBS mem", "LIBS mem tusk"))
    result = configure(package, project)
    assert result.status != 0, str(result)
    assert 'no library "tusk"; there are: ' in result.output, str(result)


def test_missing_toolchain_is_named(package, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES NONE)\n"
        "find_package(exo REQUIRED)\n"
    )
    result = command(
        "/usr/bin/cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={package}",
    )  # fmt: skip
    assert result.status != 0, str(result)
    assert "--toolchain" in result.output and "riscv.cmake" in result.output, str(result)


def test_tutorial(tmp_path):
    """What docs/programs.md has a person type, in a home of its own."""
    page = (exo_qemu.ROOT / "docs" / "programs.md").read_text()
    tutorial = page[page.index("## In two minutes") : page.index("## Libraries")]
    (program,) = re.findall(r"```c\n(.*?)```", tutorial, re.DOTALL)
    (tmp_path / "greet.c").write_text(program)
    typed = "".join(re.findall(r"```sh\n(.*?)```", tutorial, re.DOTALL))
    result = command("env", f"HOME={tmp_path}", "bash", "-ec", typed, cwd=exo_qemu.ROOT)
    assert result.status == 0, str(result)
    assert result.lines.count("hello, Ada") == 2, str(result)
    assert "100% tests passed" in result.output, str(result)
