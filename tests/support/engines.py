"""New ledgers for tests of the engines: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from seatctl.ledger.creation import create_ledger
from seatctl.ledger.engines.port import Engine
from seatctl.ledger.engines.postgres import PostgresEngine, connect
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.models.ledger_url import ServerUrl
from tests.support import postgres

ENGINES = ("sqlite", "postgres")
CONNECTIONS = (*ENGINES, "pooled")
"""The engines, and PostgreSQL behind PgBouncer."""
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
T = "2026-11-21T12:00:00Z"

Opener = Callable[[], Engine]


@contextmanager
def new_ledger(kind: str, folder: Path) -> Iterator[Opener]:
    """A new, empty ledger; opens connections to it, and closes them in the end."""
    opened: list[Engine] = []

    def opening(make: Opener) -> Opener:
        def open_one() -> Engine:
            opened.append(make())
            return opened[-1]

        return open_one

    if kind == "sqlite":
        path = folder / "ledger.db"
        create_ledger(path, mode="sandbox", stripe_account=None, now=NOW).close()
        yield opening(lambda: SqliteEngine(path, wait=0.2))
        for engine in opened:
            engine.close()
        return
    with database(empty()) as direct:
        url = through_pgbouncer(direct) if kind == "pooled" else direct
        yield opening(lambda: connect(url, wait=0.2))
        for engine in opened:
            engine.close()


@cache
def empty() -> str:
    """The name of a database with an empty ledger, to be copied."""
    name = postgres.server().create()
    create_ledger(server_url(name), mode="sandbox", stripe_account=None, now=NOW).close()
    return name


@contextmanager
def database(template: str | None = None) -> Iterator[ServerUrl]:
    """A database of its own, by default without a ledger."""
    server = postgres.server()
    name = server.create(template)
    try:
        yield server_url(name)
    finally:
        server.drop(name)


def server_url(name: str, user: str = "postgres") -> ServerUrl:
    """The URL of a database of the tests' server."""
    return ServerUrl(postgres.server().url(name, user))


def through_pgbouncer(url: ServerUrl) -> ServerUrl:
    """The URL of the same database by way of PgBouncer."""
    from tests.support.pgbouncer import pooled_port

    name = url.secret.partition("@/")[2].partition("?")[0]
    return ServerUrl(postgres.server().tcp_url(name, port=pooled_port()))


def query(engine: Engine, sql: str, *params: str | int | None) -> list[tuple]:
    """The rows of a query, in a snapshot of its own."""
    engine.begin_reading()
    try:
        return [tuple(row) for row in engine.rows(sql, params)]
    finally:
        engine.end_reading()


def committed(engine: Engine, *statements: str | tuple[str, dict | tuple]) -> None:
    """Run the statements in one transaction."""
    engine.begin_writing()
    try:
        for statement in statements:
            if isinstance(statement, str):
                engine.execute(statement)
            else:
                engine.execute(*statement)
        engine.commit()
    finally:
        engine.rollback()


def add_subscription(engine: Engine, *, seats: int = 2, users: int = 3) -> int:
    """A subscription with these seats, and users 1, 2, … without one; its id."""
    engine.begin_writing()
    plan = engine.insert(
        "plans",
        {
            "slug": "pro",
            "name": "Pro",
            "product_id": "prod_1",
            "price_id": "price_1",
            "currency": "usd",
            "unit_amount": 1200,
            "interval": "month",
            "created_at": T,
        },
    )
    customer = engine.insert("customers", {"stripe_id": "cus_1"})
    subscription = engine.insert(
        "subscriptions",
        {
            "name": "design",
            "name_key": "design",
            "plan_id": plan,
            "customer_id": customer,
            "stripe_subscription": "sub_1",
            "stripe_item": "si_1",
            "status": "active",
            "price_id": "price_1",
            "currency": "usd",
            "unit_amount": 1200,
            "term_start": T,
            "term_end": T,
            "quantity": seats,
            "capacity": seats,
            "created_at": T,
        },
    )
    for number in range(1, users + 1):
        email = f"u{number}@example.com"
        engine.insert("users", {"email": email, "email_key": email, "created_at": T})
    engine.commit()
    return subscription


def open_postgres(url: ServerUrl) -> PostgresEngine:
    """A connection to a ledger on the server, to be closed by the caller."""
    return connect(url, wait=0.2)


def closed(engine: Engine) -> closing:
    """Close the connection in the end."""
    return closing(engine)
