"""Deadlines for connections, for what they receive, and for calls that have no time limit of their own.

A deadline is a moment on the monotonic clock. After it, everything here raises TimeoutError.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")


def seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError if it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("it takes too long")
    return seconds


def within(deadline: float, function: Callable[[], T]) -> T:
    """Return or raise what a function does, if it ends before the deadline.

    It runs in a daemon thread, for calls that cannot be interrupted: DNS, or a keyring that asks somebody. If
    it is late it goes on there, and does not keep the program from ending.
    """
    import threading

    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds_left(deadline))
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError("it takes too long")
    return returned[0]


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of the host that accepts a connection. Raises OSError."""
    addresses = within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    last_error: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(seconds_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            last_error = error
        else:
            return connection
    raise last_error


class DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline.

    A socket's own time limit applies to each piece: a server that sends one byte per second would never time
    out.
    """

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self.deadline = 0.0

    def readable(self) -> bool:
        """Return True, as `io.BufferedReader` requires."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read the next piece into a buffer and return its length. Raises TimeoutError."""
        self._source.settimeout(seconds_left(self.deadline))
        return self._source.recv_into(buffer)
