"""Standard streams that the caller has closed, or that nobody reads any more; imported if one is met."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _Closed(io.RawIOBase):
    """Stands for a closed stdin and refuses to be read: an empty stream would be taken for an empty file."""

    def readable(self) -> bool:
        """Whether somebody may try."""
        return True

    def readinto(self, _buffer: WriteableBuffer) -> int:
        """Raise `stdin_closed`."""
        raise refuse(
            Code.STDIN_CLOSED,
            "stdin is closed, so there is nothing to read",
            hint="name a file instead of -, or send the text through a pipe",
        )


def replace_closed() -> None:
    """Make stdin and stderr usable if the caller closed them.

    Messages to a closed stderr go nowhere. stdout stays None: without it nothing should be begun.
    """
    _take_numbers()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Closed()), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # until the process ends


def drop(stream: TextIO) -> None:
    """Lead a stream nowhere, which keeps the interpreter from complaining of it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)


def _take_numbers() -> None:
    """Occupy 0, 1 and 2: a ledger that got number 2 would be written to by whoever writes on stderr."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
