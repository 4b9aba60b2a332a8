"""Standard streams that are closed or no longer read; imported only in these cases."""

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
    """Replaces a closed stdin, and refuses to be read: an empty stream would look like an empty file."""

    def readable(self) -> bool:
        """Return True, so that `readinto` is called."""
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

    Messages to a closed stderr are dropped. stdout stays None: without it, no command should begin.
    """
    _take_numbers()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Closed()), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # until the process ends


def drop(stream: TextIO) -> None:
    """Redirect a stream to the null device, so that the interpreter does not report an error at exit."""
    with suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)


def _take_numbers() -> None:
    """Occupy descriptors 0, 1 and 2: messages to stderr would be written into a ledger with descriptor 2."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
