"""Locks across transactions for a ledger file: locks of the kernel on files beside it.

The kernel releases them when a process dies. The files are never deleted: otherwise two processes could hold
locks on two files of the same name.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seatctl.errors import Code, refuse

_POLL_SECONDS = 0.05


@contextmanager
def hold(path: Path, name: str, wait: float) -> Iterator[bool]:
    """Hold the lock of a ledger; yields False if another process still holds it after `wait` seconds.

    All batches share one file: byte N of it is the lock of run N.
    """
    kind, _, number = name.partition(":")
    place = Path(f"{path}.lock" if kind == "money" else f"{path}.{kind}-lock")
    try:
        handle = os.open(place, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refuse(
            Code.LEDGER_READ_ONLY,
            f"{place} cannot be written: {error.strerror}",
            hint=f"give yourself write access to it and to its folder {path.parent}",
        ) from error
    try:
        yield _lock(handle, int(number) if number else None, wait)
    finally:
        os.close(handle)


def _lock(handle: int, byte: int | None, wait: float) -> bool:
    """Lock an open file or one byte of it, waiting at most `wait` seconds; return whether it is locked."""
    deadline = time.monotonic() + wait
    while True:
        try:
            if byte is None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # lockf: EACCES or EAGAIN
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
