"""What the sandbox holds and what the ledger holds, and whether they tell the same story."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.support import ledgers
from tests.support.subscriptions import ledger_place, queries

ENDED = {"canceled", "incomplete_expired"}


def twin(seatctl, profile="default"):
    """The sandbox of a profile, to be used as a context manager."""
    return closing(Twin(sandbox_path(seatctl, profile)))


def sandbox_path(seatctl, profile="default") -> Path:
    return seatctl.home / profile / "sandbox.db"


def objects(seatctl, kind) -> list[dict]:
    """Every object of a kind that is not deleted, oldest first."""
    with twin(seatctl) as stripe:
        return list(stripe.store.walk(kind, oldest_first=True))


def charges(seatctl) -> list[int]:
    """What was charged and stayed charged, in minor units."""
    return [charge["amount"] for charge in objects(seatctl, "charge") if charge["paid"]]


def live_subscriptions(seatctl) -> list[dict]:
    """Subscriptions that have not ended."""
    return [one for one in objects(seatctl, "subscription") if one["status"] not in ENDED]


def fail(seatctl, kind, **which) -> None:
    """Arm a fault."""
    with twin(seatctl) as stripe:
        control.fail(stripe, kind, **which)


def faults_left(seatctl) -> int:
    with twin(seatctl) as stripe:
        return sum(fault.remaining for fault in control.status(stripe).faults)


def advance(seatctl, hours: int) -> None:
    with twin(seatctl) as stripe:
        control.advance(stripe, seconds=hours * 3600)


def contents(seatctl) -> dict[str, object]:
    """Every row of the ledger and of the sandbox, to see that nothing was written.

    Without the answers that the sandbox keeps for keys: a preview, which writes nothing, has one too.
    """
    found: dict[str, object] = {}
    for name, place in (("ledger", ledger_place(seatctl)), ("sandbox.db", sandbox_path(seatctl))):
        with queries(place) as rows:
            if isinstance(place, Path):
                of_rows = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                tables = [table for (table,) in rows(of_rows)]
            else:
                tables = ledgers.tables(rows)
            found |= {f"{name}:{table}": rows(f'SELECT * FROM "{table}"') for table in tables}
    del found["sandbox.db:answers"]
    return found


def assert_agree(seatctl) -> None:
    """Nothing is left open, and both sides hold the same subscriptions, customers, plans and invoices."""
    kinds = ("subscription", "subscription_item", "customer", "invoice", "price", "product")
    with twin(seatctl) as stripe:
        stripes = {kind: list(stripe.store.walk(kind, oldest_first=True)) for kind in kinds}
    items = {item["subscription"]: item for item in stripes["subscription_item"]}
    prices = {price["lookup_key"]: price for price in stripes["price"] if price["lookup_key"]}
    with queries(ledger_place(seatctl)) as rows:
        assert rows("SELECT run FROM operations WHERE state IN ('pending', 'waiting')") == []
        assert rows("SELECT number FROM runs WHERE state = 'pending'") == []
        assert rows("SELECT stripe_subscription, capacity, name, status FROM subscriptions ORDER BY id") == [
            (one["id"], items[one["id"]]["quantity"], one["metadata"]["seatctl_name"], one["status"])
            for one in stripes["subscription"]
            if one["status"] not in ENDED
        ]
        assert set(rows("SELECT stripe_id FROM customers WHERE deleted = 0")) == {
            (customer["id"],) for customer in stripes["customer"]
        }
        assert sorted(rows("SELECT stripe_id, amount_paid FROM invoices WHERE status = 'paid'")) == sorted(
            (invoice["id"], invoice["amount_paid"])
            for invoice in stripes["invoice"]
            if invoice["status"] == "paid"
        )
        assert rows("SELECT slug, price_id, unit_amount, product_id FROM plans ORDER BY slug") == [
            (slug, price["id"], price["unit_amount"], price["product"])
            for slug, price in sorted(prices.items())
        ]
    assert {product["id"] for product in stripes["product"]} == {
        price["product"] for price in prices.values()
    }
    assert seatctl("audit", "verify").code == 0
    assert seatctl("ledger", "check").code == 0
