"""Leases: locks that are held across transactions, as rows that expire if their holder dies.

A session lock would be lost, or kept for a stranger, behind PgBouncer. A lease is renewed by a thread with a
connection of its own, which opens only if the lease is held for longer than most commands take.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, Self

from seatctl.errors import Code, SeatctlError, refuse
from seatctl.ledger.engines.port import Params

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
"""Two renewals may fail before the lease expires."""

_POLL_SECONDS = 0.25

_UNTIL = "clock_timestamp() + :seconds * interval '1 second'"
_TAKE = f"""INSERT INTO leases AS held (name, holder, until)
    VALUES (:name, :holder, {_UNTIL})
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE held.until < clock_timestamp() OR held.holder = excluded.holder"""
_RENEW = f"UPDATE leases SET until = {_UNTIL} WHERE name = :name AND holder = :holder"
_RELEASE = "DELETE FROM leases WHERE name = :name AND holder = :holder"


class LeaseEngine(Protocol):
    """What leases need of an engine."""

    def changed(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        ...

    def post(self, sql: str, params: Params) -> None:
        """Run a statement without waiting for it."""
        ...

    def another(self) -> Self:
        """Return a second connection."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Leases:
    """The leases that this process holds."""

    def __init__(self, engine: LeaseEngine) -> None:
        self._engine = engine
        self._held: dict[str, _Lease] = {}

    @contextmanager
    def hold(self, name: str, wait: float) -> Iterator[bool]:
        """Hold a lease; yield False if another holder still has it after `wait` seconds."""
        lease = _Lease(self._engine, name)
        deadline = time.monotonic() + wait
        while not (is_held := lease.take()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not is_held:
            yield False
            return
        self._held[name] = lease
        lease.keep()
        try:
            yield True
        finally:
            del self._held[name]
            lease.release()

    def require(self, name: str) -> None:
        """Raise `busy` if the lease has expired or is about to. Another process may have taken it."""
        if name in self._held and not self._held[name].is_valid:
            raise refuse(
                Code.BUSY,
                "this command was suspended, or cut off from the ledger's server, for so long that another"
                " one may have taken its place; it was stopped before its next step",
                hint="run the same command again",
            )


class _Lease:
    """One lease, its holder's secret, and the thread that renews it."""

    def __init__(self, engine: LeaseEngine, name: str) -> None:
        self._engine, self._name = engine, name
        self._params: Params = {"name": name, "holder": os.urandom(16).hex(), "seconds": LEASE_SECONDS}
        self._until = 0.0
        self._released = threading.Event()
        self._keeper = threading.Thread(target=self._renew, name=f"lease {name}", daemon=True)

    def take(self) -> bool:
        """Take the lease if it is free; return whether it is held now."""
        return self._extended(self._engine.changed, _TAKE)

    def _extended(self, changed: Callable[[str, Params], int], sql: str) -> bool:
        """Run the statement, and note until when the lease lasts: from before it was sent."""
        sent = _uptime()
        if not changed(sql, self._params):
            return False
        self._until = sent + LEASE_SECONDS
        return True

    @property
    def is_valid(self) -> bool:
        """Whether nobody else can have taken the lease within the time of one more call."""
        return _uptime() < self._until - RENEW_SECONDS / 2

    def keep(self) -> None:
        """Renew the lease from now on."""
        self._keeper.start()

    def _renew(self) -> None:
        engine = None
        while not self._released.wait(RENEW_SECONDS):
            with suppress(SeatctlError):  # the server may answer the next time
                engine = engine or self._engine.another()
                if not self._extended(engine.changed, _RENEW):
                    self._until = 0.0  # another holder has it
                    break
        if engine is not None:
            engine.close()

    def release(self) -> None:
        """Give the lease back; if the server does not hear of it, the lease expires."""
        self._released.set()
        with suppress(Exception):
            self._engine.post(_RELEASE, self._params)


def _uptime() -> float:
    """Return seconds that count on while the machine is suspended, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
