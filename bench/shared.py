"""One ledger on a server for many clients: throughput and fairness, and what must hold all the time.

Each client is a process with one connection that it keeps (bench/load.py). The clients, the server and the
relay that adds latency share the processors of this machine. The time of a change is that of the whole group:
elapsed time divided by changes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import KINDS, Load, Work, delayed, everybody, load
from bench.measure import Figure, expect
from bench.stage import ACTOR, Stage, new_stage
from seatctl.ledger.engines.port import Scope
from seatctl.ledger.engines.postgres import PostgresEngine
from seatctl.ledger.engines.postgres_target import parameters
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.models.ledger_url import ServerUrl

if TYPE_CHECKING:
    from tests.support.postgres import Server

ONE_LOCK_BUDGET = 1 / 3
"""A change may take a third of the time that it takes if every change locks the whole ledger."""

ENOUGH = 2000
"""Of so many commands, some are of every kind."""

FAR = 0.002
"""Seconds added to each round trip."""

_MOST_WAITED = 300.0
"""Seconds that a client waits for the one lock of everything. Of ours, none waits longer than 30."""

# Both are 0 in every snapshot: subscriptions with more seats assigned than are paid for, and those whose
# counter is not the number of their seats.
_SOUND = """SELECT (SELECT count(*) FROM subscriptions WHERE assigned > capacity),
    (SELECT count(*) FROM subscriptions s WHERE s.assigned <>
        (SELECT count(*) FROM seats t WHERE t.subscription_id = s.id AND t.revoked_at IS NULL))"""
_ENTRIES = "SELECT count(*) FROM audit"


class OneLock(PostgresEngine):
    """The design to compare with: the same program, but every change locks the whole ledger."""

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        super().begin_writing(Scope.WHOLE)


class Ground:
    """A ledger with subscriptions and people, as a file and as a database to be copied."""

    def __init__(self, work: Path, server: Server, clients: int, subscriptions: int) -> None:
        self.work, self.server, self.clients = work, server, clients
        self.few = ("s0",)
        self.many = tuple(f"s{number}" for number in range(1, subscriptions + 1))
        self.file = _stage(work / "file", clients, subscriptions)
        moved = self.file.copy(work / "moved")
        self.template = server.create()
        moved.prepare("ledger", "copy", moved.ledger, server.url(self.template), "--yes")

    def on_server(
        self,
        handles: tuple[str, ...],
        seconds: float,
        *,
        delay: float,
        one_lock: bool = False,
        least: int = 1,
    ) -> Load:
        """Let the clients work on a new copy of the ledger on the server, behind a relay if it is far."""
        name = self.server.create(self.template)
        try:
            with delayed(self.server.port, delay) as port:
                url = ServerUrl(self.server.tcp_url(name, port=port) if delay else self.server.url(name))
                return self.through(url, name, handles, seconds, one_lock=one_lock, least=least)
        finally:
            self.server.drop(name)

    def through(
        self,
        url: ServerUrl,
        name: str,
        handles: tuple[str, ...],
        seconds: float,
        *,
        one_lock: bool = False,
        least: int = 1,
    ) -> Load:
        """Let the clients work on the ledger of a database by way of a URL, and check everything."""

        def opened() -> Ledger:
            if one_lock:
                return Ledger(OneLock(url.shown, lambda: parameters(url), wait=_MOST_WAITED))
            return open_ledger(url)

        with closing(self.server.connect(name)) as connection:
            connection.execute("SET search_path TO seatctl")

            def ask(sql: str) -> tuple[int, ...]:
                return tuple(connection.execute(sql.encode()).fetchall()[0])

            return self._watched(
                Stage(self.file.home), self._work(handles, seconds, least), opened, ask, url.secret
            )

    def in_file(self, handles: tuple[str, ...], seconds: float) -> Load:
        """Let the clients work on a copy of the file."""
        stage = self.file.copy(self.work / "worked")
        with closing(sqlite3.connect(stage.ledger, timeout=60)) as connection:

            def ask(sql: str) -> tuple[int, ...]:
                return tuple(connection.execute(sql).fetchall()[0])

            opened = partial(open_ledger, stage.ledger, wait=60)
            return self._watched(stage, self._work(handles, seconds, 1), opened, ask, str(stage.ledger))

    def _work(self, handles: tuple[str, ...], seconds: float, least: int) -> Work:
        return Work(self.clients, seconds, handles, ACTOR, least)

    def _watched(
        self,
        stage: Stage,
        work: Work,
        opened: Callable[[], Ledger],
        ask: Callable[[str], tuple[int, ...]],
        place: str,
    ) -> Load:
        """Run the load. Raises WrongResult unless the seats, the counters and the audit are right."""
        (before,) = ask(_ENTRIES)

        def watch() -> None:
            expect(ask(_SOUND), (0, 0), "subscriptions over capacity, and counters that are wrong")

        found = load(work, opened, watch)
        expect(ask(_ENTRIES)[0] - before, found.changes, "audit entries of the clients")
        for command in (("audit", "verify"), ("ledger", "check")):
            stage.prepare(*command, "--ledger", place)
        kinds = sum((done.kinds for done in found.each), Counter[str]())
        if kinds.total() >= ENOUGH:
            expect(set(kinds), set(KINDS), "kinds of commands")
        return found


@contextmanager
def ground(work: Path, clients: int, subscriptions: int) -> Iterator[Ground]:
    """A server and what the clients work on."""
    from tests.support.postgres import server

    made = Ground(work, server(), clients, subscriptions)
    try:
        yield made
    finally:
        made.server.drop(made.template)


def shared(work: Path, clients: int, subscriptions: int, seconds: float) -> list[Figure]:
    """Clients on one subscription and on many, near and far, beside a file and one lock for everything."""
    with ground(work, clients, subscriptions) as made:
        figures = []
        for handles in (made.few, made.many):
            where = "1 subscription" if len(handles) == 1 else f"{len(handles)} subscriptions"
            file = _told(f"{where}, SQLite", made.in_file(handles, seconds))
            near = _told(f"{where}, 0 ms", made.on_server(handles, seconds, delay=0))
            far = _told(f"{where}, 2 ms", made.on_server(handles, seconds, delay=FAR))
            locked = _told(
                f"{where}, 2 ms, one lock", made.on_server(handles, seconds, delay=FAR, one_lock=True)
            )
            budget = ONE_LOCK_BUDGET if len(handles) > 1 else None
            figures += [
                Figure(
                    f"{where}, a change at 2 ms, one lock", far.per_change, locked.per_change, budget, "ms"
                ),
                Figure(f"{where}, a change at 0 ms, SQLite", near.per_change, file.per_change, None, "ms"),
                Figure(
                    "  p99 of a command against p50, 2 ms", far.quantile(99), far.quantile(50), None, "ms"
                ),
                Figure(
                    "  p99 of a command against p50, 0 ms", near.quantile(99), near.quantile(50), None, "ms"
                ),
            ]
        return figures


def _told(what: str, found: Load) -> Load:
    print(f"{what}: {found.line()}", flush=True)
    return found


def _stage(home: Path, clients: int, subscriptions: int) -> Stage:
    """A profile with a subscription for everybody and many small ones, in which there are too few seats."""
    stage = new_stage(home)
    stage.prepare(
        *("plans", "add", "pro", "--price", "0.01", "--currency", "usd"),
        *("--interval", "month", "--policy", "flexible"),
    )
    people = home / "people.csv"
    addresses = [*everybody(clients)]
    people.write_text("email\n" + "".join(f"{address}\n" for address in addresses))
    stage.prepare("users", "import", people)
    wanted = len(addresses)
    for number in range(subscriptions + 1):
        seats = wanted // 2 if number == 0 else max(1, wanted // subscriptions // 2)
        stage.prepare(
            *(
                "subs",
                "buy",
                "--plan",
                "pro",
                "--seats",
                str(seats),
                "--name",
                f"s{number}",
                "--owner",
                ACTOR,
            ),
            *("--billing-email", "pay@example.com", "--payment-method", "pm_card_visa", "--yes"),
        )
    return stage
