"""Subscriptions put straight into a ledger, for tests of what happens in them."""

import sqlite3
from contextlib import closing
from pathlib import Path

TERM = ("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z")


def ledger_path(sandbox) -> Path:
    return sandbox.home / "default" / "ledger.db"


def add_pool(ledger: Path, name: str = "design", *, seats: int = 2, **columns) -> str:
    """A running subscription of this ledger, of the plan `pro`; its name."""
    with closing(sqlite3.connect(ledger)) as db, db:
        home = db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0]
        db.execute(
            "INSERT OR IGNORE INTO plans (slug, name, product_id, price_id, currency, unit_amount, interval,"
            " policy, created_at) VALUES ('pro', 'Pro', 'prod_1', 'price_1', 'usd', 1200, 'month', '{}', ?)",
            (TERM[0],),
        )
        db.execute("INSERT OR IGNORE INTO customers (stripe_id) VALUES ('cus_1')")
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
            "home_ledger": home,
            "created_at": TERM[0],
            **columns,
        }
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        db.execute(f"INSERT INTO subscriptions ({names}) VALUES ({marks})", tuple(row.values()))
    return name


def query(ledger: Path, sql: str, *params):
    """The rows of a statement, with sqlite3 alone."""
    with closing(sqlite3.connect(ledger)) as db, db:
        return db.execute(sql, params).fetchall()
