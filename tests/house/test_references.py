"""What pages, docstrings and comments refer to is in this repository: links, anchors, paths, modules."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.pages import ROOT

PACKAGE = ROOT / "seatctl"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(path for name in ("seatctl", "tests", "bench") for path in (ROOT / name).rglob("*.py"))
NAMES = {path.name for path in (*SOURCES, *PAGES)}

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"(?<![\w./*<>$-])[\w-]+(?:/[\w-]+)*\.(?:py|md)\b")
FOLDER = re.compile(r"[\w-]+(?:/[\w-]+)*/")
ANCHOR = re.compile(r"\b(docs/[\w-]+\.md)#([\w-]+)")
MODULE = re.compile(r"\b(?:seatctl|tests|bench)(?:\.[a-z_]\w*)+\b(?!\()")
ELSEWHERE = re.compile(
    r"\bdesign,? (?:section|rule|document)|\brules? \d|\bsection \d|stripe-facts", re.IGNORECASE
)
OF_A_READER = {"tools/", "plan.md", "comment.md"}
"""Files and folders that somebody who follows a page makes, elsewhere."""


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(name if name not in names else f"{name}-1")
    return names


def is_there(name: str, folder: Path) -> bool:
    """Whether a file or folder is there, below `folder`, the package or the repository."""
    return any((place / name).exists() for place in (folder, PACKAGE, ROOT))


def is_module(name: str) -> bool:
    """Whether a dotted name is a module, a package, or a name inside of one."""
    path = ROOT / name.replace(".", "/")
    return any(place.is_dir() or place.with_suffix(".py").exists() for place in (path, path.parent))


def prose(source: Path) -> Iterator[str]:
    """The docstrings and comments of a module."""
    text = source.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))):
                yield docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def missing(text: str, folder: Path) -> set[str]:
    """What a text names that is not there."""
    files = {name for name in FILE.findall(text) if not is_there(name, folder)}
    files |= {f"{page}#{name}" for page, name in ANCHOR.findall(text) if name not in anchors(ROOT / page)}
    modules = {name for name in MODULE.findall(text) if not is_module(name) and name not in files}
    return (files | modules | set(ELSEWHERE.findall(text))) - OF_A_READER


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_page_and_a_heading(page):
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not link.startswith("https://") and not (
            target.exists() and (not anchor or anchor in anchors(target))
        ):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_on_a_page_is_there(page):
    text = page.read_text(encoding="utf-8")
    folders = {quoted for quoted in re.findall(r"`([^`\n]+)`", text) if FOLDER.fullmatch(quoted)}
    gone = {name for name in folders if not is_there(name, page.parent)} | missing(text, page.parent)
    # A page may name a folder once and its files then without it.
    assert {name for name in gone if "/" in name or name not in NAMES} - OF_A_READER == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_finds_in_a_module_is_there(page):
    text = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    for name, module in re.findall(r"`([\w.]+)` (?:of|in) `([\w/]+\.py)`", text):
        path = next(place / module for place in (PACKAGE, ROOT) if (place / module).exists())
        assert re.search(rf"\b{name.split('.')[-1]}\b", path.read_text(encoding="utf-8")), (
            f"{name} in {module}"
        )


def test_docstrings_and_comments_name_what_is_there():
    gone = {
        source.relative_to(ROOT).as_posix(): found
        for source in SOURCES
        if (found := set().union(*(missing(text, source.parent) for text in prose(source))))
    }
    assert gone == {}
