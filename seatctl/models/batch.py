"""A line of a batch: one command of seatctl, as words."""

from __future__ import annotations

import shlex
from typing import NamedTuple

PROGRAM = "seatctl"


class Line(NamedTuple):
    """`n` counts the lines of the file from 1; `words` are without the program's name."""

    n: int
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The line as it could be typed, quoted for a shell."""
        return shlex.join((PROGRAM, *self.words))

    @classmethod
    def read(cls, n: int, command: str) -> Line:
        """The line that `command` wrote."""
        return cls(n, tuple(shlex.split(command)[1:]))
