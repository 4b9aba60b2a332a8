"""Hints as a reader takes them: the commands in them, typed with values for what has to be filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

FILLED = {
    "ACTOR": "zed@example.com",
    "CC": "DE",
    "CODE": "10115",
    "DAYS": "30",
    "EMAIL": "zed@example.com",
    "FILE": "/dev/null",
    "FOLDER": "another",
    "ID": "pm_card_mastercard",
    "N": "5",
    "NAME": "another",
    "PLAN": "pro",
    "PM": "pm_card_mastercard",
    "PROFILE": "another",
    "SUBSCRIPTION": "design",
    "VALUE": "1",
}
"""Values for the words in capitals that a reader fills in."""


_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
"""As it is written, quotes and all: only then is it seen whether a comma is a part of it."""


@dataclass(frozen=True)
class Hinted:
    """A command of a hint, without `seatctl`; one that `follows` is for when the one before it is done."""

    words: tuple[str, ...]
    follows: bool


def commands_in(hint: str) -> Iterator[Hinted]:
    """The commands of a hint, each from `seatctl` to the comma, semicolon or colon after it, filled in."""
    words: list[str] | None = None
    before, follows = "", False
    for raw in _WORD.findall(hint):
        if raw == "seatctl":
            words, follows = [], before.rstrip(":") in {"then", "afterwards"}
        elif words is not None:
            ends = raw[-1] in ",;:"
            words.append(_filled("".join(shlex.split(raw[:-1] if ends else raw))))
            if ends:
                yield Hinted(tuple(words), follows)
                words = None
        before = raw
    if words is not None:
        yield Hinted(tuple(words), follows)


def _filled(word: str) -> str:
    bare = word.removesuffix("...")
    key, equals, value = bare.partition("=")
    if equals and value in FILLED:
        return f"{key}={FILLED[value]}"
    return FILLED.get(bare, word)
