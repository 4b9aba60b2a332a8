"""Lines of a batch: splitting into words, filling a template, and the commands that are allowed. Pure.

Words are split as a shell splits them, but no shell is run: `$HOME`, `*`, `|` and `;` are plain text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from seatctl.errors import BadInput, Code, JsonValue

PROGRAM = "seatctl"


class Line(NamedTuple):
    """A line of a batch: `n` is its line number in the file, from 1; `words` do not include `seatctl`."""

    n: int
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command line, quoted for a shell."""
        return shlex.join((PROGRAM, *self.words))

    @classmethod
    def read(cls, n: int, command: str) -> Line:
        """Parse what `command` returned."""
        return cls(n, tuple(shlex.split(command)[1:]))


_OUTSIDE = re.compile(r"""[ \t\r\n]+|[^ \t\r\n'"\\]+|'[^']*'|\\.|\"""", re.DOTALL)
_IN_QUOTES = re.compile(r'''[^"\\]+|\\.|"''', re.DOTALL)
"""The next part of a line outside and inside of double quotes."""

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

_ALONE = frozenset({"batch", "demo", "init", "doctor", "help"})
_ALONE_OF_NOUN: Mapping[str, Collection[str]] = {
    "runs": ("resume",),
    "sandbox": ("serve", "reset"),
    "ledger": ("restore", "backup", "export"),
    "seats": ("claim",),
}
_OF_THE_BATCH = ("--profile", "-p", "--ledger", "--help", "-h", "--version")
_REPEATED_WHOLE = frozenset(
    {
        ("users", "remove"),
        ("seats", "apply"),
        ("seats", "reclaim"),
        ("plans", "import"),
        ("notify", "send"),
    }
)
"""Commands of several transactions that can safely run again from the beginning."""


class BadLines(BadInput):
    """Some lines of a batch are not commands; nothing of the batch was done."""

    kind = Code.BAD_LINES

    def __init__(self, rows: Sequence[Mapping[str, JsonValue]]) -> None:
        count = "1 line is not a command" if len(rows) == 1 else f"{len(rows):,} lines are not commands"
        super().__init__(
            f"{count} that a batch can run; nothing was run",
            hint="correct the lines and run the batch again",
            data={"rows": [dict(row) for row in rows]},
        )


class NotALine(ValueError):
    """Why a text is not a line of a batch."""


def split(text: str) -> tuple[str, ...]:
    """Return the words of a line without a leading `seatctl`; none for an empty line or a comment.

    Raises NotALine.
    """
    words = _shell_words(text)
    if not all(word.replace("\t", "").isprintable() for word in words):
        raise NotALine("it has a control character")
    return tuple(words[1:] if words[:1] == [PROGRAM] else words)


def _shell_words(text: str) -> list[str]:
    """Split like `shlex.split`, which takes seconds for a word of a megabyte: it adds one letter at a time.

    A `#` begins a comment only at the beginning of a word, as in a shell.
    """
    words: list[str] = []
    word: list[str] | None = None  # None between words; an empty pair of quotes is a word
    quoted, at = False, 0
    while at < len(text):
        match = (_IN_QUOTES if quoted else _OUTSIDE).match(text, at)
        if match is None:
            raise NotALine("it ends in a backslash" if text[at] == "\\" else "a quote is never closed")
        part, at = match[0], match.end()
        if not quoted and (part.isspace() or (part[0] == "#" and word is None)):
            if word is not None:
                words.append("".join(word))
            word = None
            if part[0] == "#":
                at = (text.find("\n", at) + 1) or len(text)
            continue
        word = [] if word is None else word
        if part == '"':
            quoted = not quoted
        elif part[0] == "\\":
            word.append(part if quoted and part[1] not in '"\\' else part[1])
        else:
            word.append(part[1:-1] if part[0] == "'" and not quoted else part)
    if quoted:
        raise NotALine("a quote is never closed")
    return words if word is None else [*words, "".join(word)]


def check_words(words: Sequence[str]) -> None:
    """Raise NotALine if the words cannot be a line of a batch, whatever the command."""
    if not words:
        raise NotALine("it has no command")
    options = words[: words.index("--")] if "--" in words else words
    for word in options:
        if word in _OF_THE_BATCH or word.startswith(("--profile=", "--ledger=")):
            raise NotALine(f"{word.partition('=')[0]} is an option of the batch, not of a line")
        if word == "-" or word.endswith("=-"):
            raise NotALine("a line cannot read stdin: name a file")


def check_command(command: Sequence[str]) -> None:
    """Raise NotALine if a batch cannot run this command, a noun and perhaps a verb."""
    noun, verb = command[0], command[1] if len(command) > 1 else ""
    if noun in _ALONE:
        raise NotALine(f"a batch cannot run {noun}")
    if verb in _ALONE_OF_NOUN.get(noun, ()):
        raise NotALine(f"a batch cannot run {noun} {verb}")


def takes_several_transactions(command: Sequence[str]) -> bool:
    """Return whether the command's line is marked done only at its end, and repeated whole after a crash."""
    return tuple(command[:2]) in _REPEATED_WHOLE


def columns_of(template: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that a template names, in order, without duplicates."""
    return tuple(dict.fromkeys(name for word in template for name in PLACEHOLDER.findall(word)))


def fill(template: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the template's words with the values of a row, each within one word. Raises NotALine."""
    for name, value in values.items():
        if value.startswith("-"):
            raise NotALine(f"{name} begins with '-', which could be taken for an option: {value}")
        if not value.isprintable():
            raise NotALine(f"{name} has a control character")
    return tuple(PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in template)


def line(n: int, words: Sequence[str]) -> Line:
    """Return a line of a batch without a leading `seatctl`."""
    return Line(n, tuple(words[1:] if words[:1] == [PROGRAM] else words))
