"""What differs from run to run, pinned: random bytes, clocks, sleeping, threads, the order of their ends."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from itertools import count
from unittest import mock

from seatctl.services.sync import reader

EPOCH = 2222208000
"""What the machine's clock says all the time: 2040-06-02. The sandbox's own clock is what moves."""

REAL_MONOTONIC = time.monotonic


class Pins:
    """The source of everything that would be random; `reseed` begins a stream of its own for each step."""

    def __init__(self) -> None:
        self._chance = random.Random(0)
        self._elapsed = 0.0
        self.after_sleep: Callable[[], None] = lambda: None
        """What others do while this process sleeps."""

    @property
    def uptime(self) -> float:
        """Seconds since the machine was started."""
        return self._elapsed

    def reseed(self, *names: object) -> None:
        text = ":".join(map(str, names))
        self._chance = random.Random(text)
        random.seed(text)

    def bytes(self, length: int) -> bytes:
        return self._chance.randbytes(length)

    def monotonic(self) -> float:
        self._elapsed += 0.001
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self.suspend(seconds)
        self.after_sleep()

    def suspend(self, seconds: float) -> None:
        """Time passes, and nothing runs."""
        self._elapsed += seconds

    def function_for(self, connection: sqlite3.Connection) -> None:
        """SQLite's own random bytes, of which the salts of many change rows are made."""
        connection.create_function("randomblob", 1, self.bytes)


class AtOnce:
    """In place of a pool of threads: what is submitted is done before `submit` returns."""

    _numbers = count()

    def __init__(self, **_options: object) -> None:
        """A pool has options; this has none."""

    def submit(self, work: Callable[..., object], *arguments: object) -> Future:
        future: Future = Future()
        future.number = next(self._numbers)  # type: ignore[attr-defined]
        try:
            future.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001 - as a pool keeps it, for `result` to raise
            future.set_exception(error)
        return future

    def shutdown(self, **_options: object) -> None:
        """Nothing runs any more."""


def in_order(futures: Iterable[Future], **_options: object) -> tuple[list[Future], set[Future]]:
    """One future that is done, the rest still to be looked at: answers arrive in an order of their own."""
    ordered = sorted(futures, key=lambda future: future.number)  # type: ignore[attr-defined]
    first = ordered[random.randrange(len(ordered))]
    return [first], set(ordered) - {first}


@contextmanager
def pinned() -> Iterator[Pins]:
    """Everything is as the pins say; afterwards as before."""
    pins = Pins()
    with ExitStack() as stack:
        for owner, name, value in (
            (os, "urandom", pins.bytes),
            (random, "_urandom", pins.bytes),
            (time, "time", lambda: float(EPOCH)),
            (time, "monotonic", pins.monotonic),
            (time, "sleep", pins.sleep),
            (reader, "ThreadPoolExecutor", AtOnce),
            (reader, "wait", in_order),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        yield pins
