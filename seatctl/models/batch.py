"""The lines of a batch: one seatctl command per line, as words."""

from __future__ import annotations

import shlex
from typing import NamedTuple

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
