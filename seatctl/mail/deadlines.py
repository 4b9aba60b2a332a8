"""Within a time: a connection, the answers that come over it, and what cannot be given a time limit itself.

A deadline is a moment on the monotonic clock. What is late raises TimeoutError.
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


def left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError where it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("it takes too long")
    return seconds


def within(deadline: float, what: Callable[[], T]) -> T:
    """What a function returns or raises, if it ends in time.

    For what knows no time limit (the DNS, a keyring that asks somebody): it goes on in a thread of its own,
    for which nobody waits, not even the end of the program.
    """
    import threading

    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(what())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(left(deadline))
    if raised:
        raise raised[0]
    if not found:
        raise TimeoutError("it takes too long")
    return found[0]


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first address of the host that takes one. Raises OSError."""
    found = within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    last: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(left(deadline))
            plain.connect(address)
        except OSError as error:
            plain.close()
            last = error
        else:
            return plain
    raise last


class TimelyReader(io.RawIOBase):
    """What comes over a socket before a deadline, however slowly: a time limit of the socket is one for each
    piece, and a server that sends a byte a second would never be late.
    """

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self.deadline = 0.0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """The next piece. Raises TimeoutError."""
        self._source.settimeout(left(self.deadline))
        return self._source.recv_into(buffer)
