"""Lines of a batch: split as a shell splits words, made from a template, and what may stand in one. Pure.

No shell is run: `$HOME`, `*`, `|` and `;` are text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from seatctl.errors import BadInput, Code, JsonValue
from seatctl.models.batch import PROGRAM, Line

_OUTSIDE = re.compile(r"""[ \t\r\n]+|[^ \t\r\n'"\\]+|'[^']*'|\\.|\"""", re.DOTALL)
_IN_QUOTES = re.compile(r'''[^"\\]+|\\.|"''', re.DOTALL)
"""The next part of a line of words, and of what stands between double quotes."""

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
"""Commands of several transactions, which may be done again from the beginning: they end at a state."""


class BadLines(BadInput):
    """Lines of a batch that are no commands; nothing of the batch was done."""

    kind = Code.BAD_LINES

    def __init__(self, rows: Sequence[Mapping[str, JsonValue]]) -> None:
        count = "a line is not a" if len(rows) == 1 else f"{len(rows):,} lines are not a"
        super().__init__(
            f"{count} command that a batch can do; nothing was done",
            hint="correct them and run the batch again",
            data={"rows": [dict(row) for row in rows]},
        )


class NotALine(ValueError):
    """Why a text is no line of a batch."""


def split(text: str) -> tuple[str, ...]:
    """The words of a line, without a leading `seatctl`; none in an empty line or a comment.

    Raises NotALine.
    """
    words = _shell_words(text)
    if not all(word.replace("\t", "").isprintable() for word in words):
        raise NotALine("it has a control character")
    return tuple(words[1:] if words[:1] == [PROGRAM] else words)


def _shell_words(text: str) -> list[str]:
    """As `shlex.split`, which takes seconds for a word of a megabyte, as it adds one letter at a time.

    A `#` begins a comment where a word would begin, as in a shell: one inside of a word belongs to it.
    """
    words: list[str] = []
    word: list[str] | None = None  # None between words: a pair of quotes is a word too
    quoted, at = False, 0
    while at < len(text):
        found = (_IN_QUOTES if quoted else _OUTSIDE).match(text, at)
        if found is None:
            raise NotALine("it ends in a backslash" if text[at] == "\\" else "a quote is never closed")
        part, at = found[0], found.end()
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
    """Whether the words may stand in a batch, whatever command they are. Raises NotALine."""
    if not words:
        raise NotALine("it has no command")
    options = words[: words.index("--")] if "--" in words else words
    for word in options:
        if word in _OF_THE_BATCH or word.startswith(("--profile=", "--ledger=")):
            raise NotALine(f"{word.partition('=')[0]} belongs to the batch, not to a line of it")
        if word == "-" or word.endswith("=-"):
            raise NotALine("a line cannot read stdin: name a file")


def check_command(command: Sequence[str]) -> None:
    """Whether the command, a noun and perhaps a verb, may stand in a batch. Raises NotALine."""
    noun, verb = command[0], command[1] if len(command) > 1 else ""
    if noun in _ALONE:
        raise NotALine(f"{noun} cannot stand in a batch")
    if verb in _ALONE_OF_NOUN.get(noun, ()):
        raise NotALine(f"{noun} {verb} cannot stand in a batch")


def takes_several_transactions(command: Sequence[str]) -> bool:
    """Whether its line is marked only when all of it is done, and done again from its beginning if killed."""
    return tuple(command[:2]) in _REPEATED_WHOLE


def columns_of(template: Sequence[str]) -> tuple[str, ...]:
    """The columns that a template names, in order, once each."""
    return tuple(dict.fromkeys(name for word in template for name in PLACEHOLDER.findall(word)))


def fill(template: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """The words of the template with a row's values, each inside of one word. Raises NotALine."""
    for name, value in values.items():
        if value.startswith("-"):
            raise NotALine(f"{name} begins with '-', which could be an option: {value}")
        if not value.isprintable():
            raise NotALine(f"{name} has a control character")
    return tuple(PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in template)


def line(n: int, words: Sequence[str]) -> Line:
    """A line without a leading `seatctl`."""
    return Line(n, tuple(words[1:] if words[:1] == [PROGRAM] else words))
