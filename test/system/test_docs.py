# SPDX-License-Identifier: MIT
"""The documentation names every call and error of the ABI, and its links lead somewhere."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
HEADER = (ROOT / "exo/include/exo/abi.h").read_text()
ABI = (ROOT / "docs/abi.md").read_text()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def table(macro):
    """The rows X(number, name, ...) of a table of abi.h."""
    body = re.search(rf"#define {macro}\(X\)(.*?[^\\])\n", HEADER, re.DOTALL).group(1)
    rows = re.findall(r"X\((-?\d+), (\w+), ([^)]*)\)", body)
    assert rows, macro
    return rows


def prose(page):
    """A page without its blocks of code, where brackets mean something else."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """What the headings of a page are called in links, as GitHub makes them."""
    names = []
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.append(f"{name}-{names.count(name)}" if name in names else name)
    return names


@pytest.mark.parametrize("number, name, arguments", table("EXO_CALLS"))
def test_call_is_described(number, name, arguments):
    described = re.search(
        rf"^### {name} \({number}\)$\n\n`{name}\(([^)]*)\)`$", ABI, re.MULTILINE
    )
    assert described, f"docs/abi.md has no section of {name} ({number}) with its arguments"
    assert len(re.findall(r"\w+", described.group(1))) == int(arguments)


def test_calls_are_in_the_order_of_the_table():
    described = re.findall(r"^### (\w+) \(-?\d+\)$", ABI, re.MULTILINE)
    assert described == [name for _, name, _ in table("EXO_CALLS")]


@pytest.mark.parametrize("number, name, text", table("EXO_ERRORS"))
def test_error_is_described(number, name, text):
    assert re.search(rf"^\| {number} \| {name} \|", ABI, re.MULTILINE)
    calls = ABI[ABI.index("## Checks that calls share") : ABI.index("## Exceptions")]
    assert re.search(rf"\b{name}\b", calls), f"no call of docs/abi.md is said to answer {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"
