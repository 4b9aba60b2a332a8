"""Subscriptions put straight into a ledger, for tests of what happens in them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from seatctl.ledger import plans, subscriptions
from seatctl.ledger.ledger import open_ledger
from seatctl.models.call import Call
from seatctl.models.ledger_url import ServerUrl
from seatctl.models.plan import Interval, Plan
from seatctl.rules.policies import FLEXIBLE
from tests.support import ledgers

TERM = ("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z")
PRO = Plan(0, "pro", "Pro", "prod_1", "price_1", "usd", 1200, Interval.MONTH, 1, FLEXIBLE, True)


def ledger_place(sandbox) -> Path | ServerUrl:
    """Where the ledger of the default profile is."""
    return ledgers.place(sandbox.home)


def add_subscription(ledger: Path | ServerUrl, name: str = "design", *, seats: int = 2, **columns) -> str:
    """A running subscription of this ledger, of the plan `pro`; its name. The audit knows it as any other."""
    opened = open_ledger(ledger)
    call = Call("ann@example.com", "ann", "seatctl subs buy", datetime.now(UTC).replace(microsecond=0))
    try:
        with opened.change(call) as tx:
            if not plans.exists(tx, "pro"):
                plans.add(tx, PRO)
            tx.execute("INSERT INTO customers (stripe_id) VALUES ('cus_1') ON CONFLICT DO NOTHING")
            row = {
                "name": name,
                "name_key": name,
                "plan_id": 1,
                "customer_id": 1,
                "stripe_subscription": f"sub_{name}",
                "stripe_item": f"si_{name}",
                "status": "active",
                "policy": "{}",
                "price_id": "price_1",
                "currency": "usd",
                "unit_amount": 1200,
                "term_start": TERM[0],
                "term_end": TERM[1],
                "quantity": seats,
                "capacity": seats,
                "home_ledger": opened.id,
                "created_at": TERM[0],
                **columns,
            }
            number = tx.insert_row("subscriptions", row)
            subscriptions.record_added(tx, subscriptions.by_id(tx, number))
    finally:
        opened.close()
    return name


def query(ledger: Path | ServerUrl | str, sql: str, *params):
    """The rows of a statement, without the program."""
    with queries(ledger) as rows:
        return rows(sql, *params)


@contextmanager
def queries(ledger: Path | ServerUrl | str) -> Iterator[Callable[..., list[tuple]]]:
    """As `query`, for several statements: to open a ledger costs more than to read a few rows of it."""
    if "://" in str(ledger):
        with ledgers.statements(ServerUrl(str(ledger))) as rows:
            yield rows
        return
    with closing(sqlite3.connect(ledger)) as db, db:
        yield lambda sql, *params: db.execute(sql, params).fetchall()
