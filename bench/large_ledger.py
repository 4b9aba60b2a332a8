"""Search and lists of a ledger on a server: ten times the users and subscriptions make them no slower."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bench.measure import Figure, expect
from bench.server import Server, ServerStage, new_server_stage, processor_time, started
from bench.stage import NEEDLE, with_subscription, write_people
from seatctl.ledger import entitlements, requests, seat_lists, subscriptions, users
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.requests import RequestFilter
from seatctl.ledger.seat_lists import SeatFilter
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time
from seatctl.models.ledger_url import ServerUrl
from seatctl.models.user import UserStatus

SAME = 1.5
"""Ten times as much makes an index one level deeper, and the caches of the machine smaller."""
SEATS = 20
"""Seats of each subscription, and users whose name has a part of two letters."""
PAGE = 51
"""Rows that a list reads for a terminal."""
NOW = datetime(2027, 6, 1, tzinfo=UTC)
_AT = format_time(NOW)

_SUBSCRIPTIONS = """INSERT INTO subscriptions ({columns}) SELECT {values}
    FROM subscriptions s, generate_series(2, :last) AS n WHERE s.name = 'design'"""
_CHANGED = {
    "id": "s.id + n",
    "name": "'sub-' || n",
    "name_key": "'sub-' || n",
    "stripe_subscription": "s.stripe_subscription || n",
    "stripe_item": "s.stripe_item || n",
}
"""What each of them has of its own."""
_SEATED = f"""INSERT INTO seats (subscription_id, user_id, assigned_at)
    SELECT s.id, u.id, u.created_at
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM subscriptions) s
    JOIN (SELECT id, created_at, row_number() OVER (ORDER BY id) AS n FROM users) u
    ON u.n > s.n * {SEATS} AND u.n <= s.n * {SEATS} + {SEATS}"""
_REQUESTED = """INSERT INTO requests (user_id, subscription_id, status, reason, created_at)
    SELECT u.id, s.id, 'pending', 'work', u.created_at
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM subscriptions) s
    JOIN (SELECT id, created_at, row_number() OVER (ORDER BY id DESC) AS n FROM users) u ON u.n = s.n"""


class Question(NamedTuple):
    """A question of the ledger, and how many rows answer it among so many users."""

    name: str
    ask: Callable[[Reader, int], Iterable[object]]
    """Returns the rows; it gets the number of users of the ledger."""
    rows: Callable[[int], int]
    budget: float | None = SAME


class Asked(NamedTuple):
    """A ledger on the server, and the number of its users."""

    url: ServerUrl
    users: int


def large_ledger(work: Path, count: int, rounds: int) -> list[Figure]:
    """Questions of `count` users and a hundredth as many subscriptions, against those of a tenth of both."""
    with started() as server:
        stages = {users: _populated(work / str(users), server, users) for users in (count // 10, count)}
        both = [
            Asked(ServerUrl(stages[users].env["SEATCTL_LEDGER"]), users) for users in (count, count // 10)
        ]
        fresh = Figure("search of a name, right after an import", *_asked(both, _SEARCH, rounds), None, "ms")
        for stage in stages.values():
            server.execute(stage.database, "VACUUM ANALYZE")  # the server does it by itself within a minute
        figures = [
            Figure(
                f"{question.name}, {count:,} users", *_asked(both, question, rounds), question.budget, "ms"
            )
            for question in _OF_FEW_ROWS
        ]
        figures += [
            Figure(f"each row of {question.name}", *_of_each_row(both, question), SAME, "µs")
            for question in _OF_ALL
        ]
    return [*figures, fresh]


def _asked(both: Sequence[Asked], question: Question, rounds: int) -> tuple[float, float]:
    """Least processor time of the answer in both ledgers, in turns: of the client and of the server."""
    pairs = [[_seconds(asked, question) for asked in both] for _ in range(rounds)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def _of_each_row(both: Sequence[Asked], question: Question) -> tuple[float, float]:
    many, few = _asked(both, question, 2)
    return many / question.rows(both[0].users), few / question.rows(both[1].users)


def _seconds(asked: Asked, question: Question) -> float:
    """Ask over a new connection, as a command does."""
    started = time.process_time()
    with closing(open_ledger(asked.url)) as ledger:
        with ledger.reading() as reader:
            found = sum(1 for _ in question.ask(reader, asked.users))
            (process,) = next(reader.rows("SELECT pg_backend_pid()"))
        seconds = time.process_time() - started + processor_time(process)
    expect(found, question.rows(asked.users), f"rows of {question.name} among {asked.users:,} users")
    return seconds


def _populated(home: Path, server: Server, count: int) -> ServerStage:
    """A ledger with so many users and a hundredth as many subscriptions of 20 seats, all of them taken."""
    stage = new_server_stage(home, server)
    with_subscription(stage, SEATS)
    stage.prepare("users", "import", write_people(home / "people.csv", count))
    pairs = home / "pairs.csv"
    pairs.write_text("email,name,group\n" + "".join(f"{mail},Quon Xu,Pairs\n" for mail in _PAIRS))
    stage.prepare("users", "import", pairs)
    stage.prepare("users", "suspend", *_PAIRS)
    with server.connect(stage.database) as connection:
        connection.execute("SET search_path TO seatctl, public")
        names = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'seatctl'"
                " AND table_name = 'subscriptions' ORDER BY ordinal_position"
            )
        ]
        values = ", ".join(_CHANGED.get(name, f"s.{name}") for name in names)
        made = _SUBSCRIPTIONS.format(columns=", ".join(names), values=values)
        connection.execute(made.replace(":last", str(_subscriptions(count))))
        connection.execute(_SEATED)
        connection.execute(_REQUESTED)
    return stage


def _subscriptions(users: int) -> int:
    return users // 100


_PAIRS = [f"q{n}@example.org" for n in range(SEATS)]


def _listed(**selection: int | str | None) -> Callable[[Reader, int], Iterable[object]]:
    return lambda reader, _: seat_lists.listing(reader, SeatFilter(_AT, **selection))


def _searched(reader: Reader, size: int) -> Iterable[object]:
    return users.records(reader, text=f"{NEEDLE} Last{size - 1}", now=NOW)  # the last person of the file


def _first_page(reader: Reader, _: int) -> Iterable[object]:
    reader.engine.wants_page = True
    return islice(users.records(reader, now=NOW), PAGE)


def _one(_: int) -> int:
    return 1


def _twenty(_: int) -> int:
    return SEATS


_SEARCH = Question("search of a name", _searched, _one)
_OF_FEW_ROWS = (
    _SEARCH,
    Question("search of two letters", lambda reader, _: users.records(reader, text="xu", now=NOW), _twenty),
    Question("first page of users list", _first_page, lambda _: PAGE),
    Question(
        "users list --group",
        lambda reader, _: users.records(reader, group="pairs", now=NOW),
        _twenty,
    ),
    Question(
        "users list --status suspended",
        lambda reader, _: users.records(reader, status=UserStatus.SUSPENDED, now=NOW),
        _twenty,
    ),
    Question("seats list SUBSCRIPTION", _listed(subscription_id=1), _twenty),
    Question("seats list --user", _listed(user_id=30), _one),
    Question("seats list --search", _listed(text="First6110 Last45"), _one),
    # Everybody has letters such as `exa` and `com`: the index goes through long lists of users. Not promised.
    Question("search of an address", _listed(text=".45@example45.com"), _one, None),
    Question("check", lambda reader, _: [entitlements.facts(reader, _PAIRS[0], NOW)], _one),
    Question("subs show", lambda reader, _: [subscriptions.find(reader, "sub-2", NOW)], _one),
    Question(
        "requests list --subscription",
        lambda reader, _: requests.listing(reader, RequestFilter(_AT, subscription_id=1)),
        _one,
    ),
)
_OF_ALL = (
    Question("users list", lambda reader, _: users.records(reader, now=NOW), lambda size: size + 1 + SEATS),
    Question("seats list", _listed(), lambda size: _subscriptions(size) * SEATS),
    Question("subs list", lambda reader, _: subscriptions.listing(reader, NOW), _subscriptions),
    Question("requests list", lambda reader, _: requests.listing(reader, RequestFilter(_AT)), _subscriptions),
)
