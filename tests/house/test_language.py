"""The language of messages, help, docstrings, comments and pages: plain English, one word for one thing."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import seatctl

PACKAGE = Path(seatctl.__file__).parent
ROOT = PACKAGE.parent

NOT_ENGLISH = {
    r"(?<!there )\b(is|are|was|were|be) no (?!longer|more|less|other)[a-z]": "is not a …",
    r"\banew\b": "again",
    r"\bgoes without\b": "say what happens",
    r"\bstands in the\b": "is in the",
    r"\bstand in the\b": "are in the",
    r"\bis so already\b": "is unchanged",
    r"\bis not said\b": "name what is missing",
    r"\bor the like\b": "name it",
    r"\band its like\b": "name them",
    r"\band the like\b": "name them",
    r"\bnobody knows\b": "it is not known",
    r"\bhas to do with\b": "belongs to",
    r"\bcome to nothing\b": "has failed",
    r"\bcame to nothing\b": "has failed",
    r"\bcomes to be\b": "begins",
    r"\bthere be\b": "say it directly",
    r"\bsits? (there|in it|in them)\b": "has a seat",
    r"\bwho sits where\b": "who has which seat",
    r"\bwho sits\b|\bsits? in\b": "who has a seat",
    r"\bstands? (there|before|after|between|beside|twice)\b": "is there",
    r"\b(none|raises? [\w`, ]+) where\b": "if",
    r"\bwhomever\b": "anybody",
    r"\bin vain\b": "say what happens",
    r"\bas everywhere\b": "as in …",
    r"\bnobody (is|was) told\b": "no message is sent",
    r"\bsays? nothing of\b|\bsaid of\b": "about",
    r"\btells? (of|nothing)\b|\btold of\b|\bspeaks? of\b": "describes",
    r"\b(make|makes|made|making) void\b": "void",
    r"\b(is|are) (paid|done|canceled) already\b": "is already …",
    r"\bfalls? away\b": "is removed",
    r"\bgo without\b|\bwent without\b": "has no seat",
    r"\bpools?\b": "subscription",
    r"\bforetell|\bhurry\b": "the field's word",
    r"\bdesign,? (section|rule)|\bdesign rules?\b|\brule \d\b": "link to docs/, or say the rule",
}
"""What reads as translated, and what to write instead."""

MEANT = re.compile(r"connection pool|thread pool|ThreadPool|spool", re.IGNORECASE)


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string, docstring and comment of a module."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, re.sub(r"\s+", " ", node.value)


def is_sql(text: str) -> bool:
    return (
        re.match(r"\s*(\(?SELECT|INSERT|UPDATE|DELETE|CREATE|WITH|FROM|WHERE|AND|JOIN|LEFT)\b", text)
        is not None
    )


def offences(path: Path, texts: Iterator[tuple[int, str]]) -> Iterator[str]:
    for line, text in texts:
        if is_sql(text):
            continue
        for pattern, instead in NOT_ENGLISH.items():
            for found in re.finditer(pattern, MEANT.sub("", text), re.IGNORECASE):
                around = text[max(0, found.start() - 30) : found.end() + 30]
                yield f"{path.relative_to(ROOT)}:{line}: …{around}… ({instead})"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("package", sorted({path.relative_to(PACKAGE).parts[0] for path in modules()}))
def test_messages_help_docstrings_and_comments_are_plain_english(package):
    inside = [path for path in modules() if path.relative_to(PACKAGE).parts[0] == package]
    assert [one for path in inside for one in offences(path, texts_of(path))] == []


def test_mails_are_plain_english():
    for path in sorted(PACKAGE.rglob("templates/*")):
        assert list(offences(path, enumerate(path.read_text(encoding="utf-8").splitlines(), 1))) == []


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.name)
def test_pages_are_plain_english(page):
    assert list(offences(page, enumerate(page.read_text(encoding="utf-8").splitlines(), 1))) == []
