"""Whatever is done to Stripe behind seatctl's back: after one sync the mirror is what Stripe lists."""

from __future__ import annotations

import json
import random
import re
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seatctl.sandbox.api import control
from tests.conftest import Seatctl
from tests.services.sync.test_foreign_objects import customer, product
from tests.support import ledgers
from tests.support.both_sides import twin
from tests.support.subscriptions import ledger_place, query

HEADERS = {"Authorization": "Bearer sk_test_x", "Stripe-Version": "2026-10-28.endive"}
CHANGES = ("customer", "rename", "remove", "product", "reprice", "archive", "subscribe", "quantity", "switch")
CHANGES += (
    "second_item",
    "cancel",
    "cancel_later",
    "metadata",
    "bill",
    "finalize",
    "pay",
    "void",
    "drop",
    "days",
)


def call(stripe, method, path, **params):
    """A request that may be refused: what is tried at random is not always possible."""
    from urllib.parse import urlencode

    from tests.sandbox.replay import flat

    answer = stripe.handle(method, f"/v1/{path}", HEADERS, urlencode(list(flat(params))) if params else None)
    return json.loads(answer.body)


def every(stripe, path):
    """What Stripe lists, all of it."""
    found, after = [], ""
    while True:
        answer = stripe.handle(
            "GET", f"/v1/{path}{'&' if '?' in path else '?'}limit=100{after}", HEADERS, None
        )
        page = json.loads(answer.body)
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&starting_after={found[-1]['id']}"


class Meddler:
    """Changes of all kinds, each on an object that a number picks."""

    def __init__(self, stripe) -> None:
        self.stripe = stripe

    def pick(self, kind, n):
        found = [one["id"] for one in self.stripe.store.walk(kind, oldest_first=True)]
        return found[n % len(found)] if found else f"{kind}_none"

    def do(self, change, n):
        getattr(self, change)(n)

    def customer(self, n):
        customer(self.stripe, f"Firm {n % 7}")

    def rename(self, n):
        call(
            self.stripe,
            "POST",
            f"customers/{self.pick('customer', n)}",
            name=f"Renamed {n}",
            email=f"{n}@x.org",
        )

    def remove(self, n):
        if n % 3 == 0:
            call(self.stripe, "DELETE", f"customers/{self.pick('customer', n)}")

    def product(self, n):
        product(self.stripe, f"Plan {n % 5}", ("usd", "eur", "jpy")[n % 3], 100 * (n % 40 + 1))

    def reprice(self, n):
        product = self.pick("product", n)
        priced = {"currency": "usd", "unit_amount": 100 * (n % 9 + 1), "recurring": {"interval": "year"}}
        made = call(self.stripe, "POST", "prices", product=product, **priced)
        call(self.stripe, "POST", f"products/{product}", default_price=made.get("id", "price_none"))

    def archive(self, n):
        call(self.stripe, "POST", f"products/{self.pick('product', n)}", active="false" if n % 2 else "true")

    def subscribe(self, n):
        item = {"price": self.pick("price", n), "quantity": n % 9 + 1}
        call(self.stripe, "POST", "subscriptions", customer=self.pick("customer", n // 7), items=[item])

    def quantity(self, n):
        item, quantity = self.pick("subscription_item", n), n % 20
        call(self.stripe, "POST", f"subscription_items/{item}", quantity=quantity, proration_behavior="none")

    def switch(self, n):
        item = self.pick("subscription_item", n)
        call(self.stripe, "POST", f"subscription_items/{item}", price=self.pick("price", n // 3))

    def second_item(self, n):
        added = {"subscription": self.pick("subscription", n), "price": self.pick("price", n // 5)}
        call(self.stripe, "POST", "subscription_items", **added, quantity=n % 6 + 1)

    def cancel(self, n):
        if n % 2:
            call(self.stripe, "DELETE", f"subscriptions/{self.pick('subscription', n)}")

    def cancel_later(self, n):
        later = {"cancel_at_period_end": "true" if n % 2 else "false"}
        call(self.stripe, "POST", f"subscriptions/{self.pick('subscription', n)}", **later)

    def metadata(self, n):
        metadata = {"seatctl_name": f"name {n % 4}", "colour": str(n)}
        call(self.stripe, "POST", f"subscriptions/{self.pick('subscription', n)}", metadata=metadata)

    def bill(self, n):
        who = self.pick("customer", n)
        call(self.stripe, "POST", "invoiceitems", customer=who, amount=n % 5000 + 100, currency="usd")
        call(self.stripe, "POST", "invoices", customer=who, pending_invoice_items_behavior="include")

    def finalize(self, n):
        call(self.stripe, "POST", f"invoices/{self.pick('invoice', n)}/finalize")

    def pay(self, n):
        call(self.stripe, "POST", f"invoices/{self.pick('invoice', n)}/pay")

    def void(self, n):
        call(self.stripe, "POST", f"invoices/{self.pick('invoice', n)}/void")

    def drop(self, n):
        call(self.stripe, "DELETE", f"invoices/{self.pick('invoice', n)}")

    def days(self, n):
        control.advance(self.stripe, seconds=86400 * (n % 9 + 1))


def shuffle_events(stripe, dice) -> None:
    """Events out of order, some of them twice: what webhooks and retries make of them."""
    db = stripe.store._db
    rows = db.execute("SELECT seq, id, created, body FROM objects WHERE kind = 'event'").fetchall()
    bodies = [row[1:] for row in rows]
    dice.shuffle(bodies)
    with stripe.store.transaction():
        db.execute("DELETE FROM objects WHERE kind = 'event'")
        for (seq, *_), (name, created, body) in zip(rows, bodies, strict=True):
            statement = "INSERT INTO objects (seq, id, kind, created, body) VALUES (?, ?, 'event', ?, ?)"
            db.execute(statement, (seq, name, created, body))
        for name, created, body in dice.sample(bodies, len(bodies) // 4):
            again = json.dumps({**json.loads(body), "id": f"{name}x"})
            statement = "INSERT INTO objects (id, kind, created, body) VALUES (?, 'event', ?, ?)"
            db.execute(statement, (f"{name}x", created, again))


def in_seconds(rows: list[tuple]) -> list[tuple]:
    """The rows with their times as Stripe has them."""
    return [
        tuple(
            int(datetime.fromisoformat(value).timestamp())
            if isinstance(value, str) and re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", value)
            else value
            for value in row
        )
        for row in rows
    ]


def assert_mirrored(seatctl, ledger) -> None:
    """Field by field what the ledger keeps of Stripe's lists."""
    with twin(seatctl) as stripe:
        customers, invoices = every(stripe, "customers"), every(stripe, "invoices?expand[0]=data.payments")
        subscriptions, products = every(stripe, "subscriptions?status=all"), every(stripe, "products")
        prices = {price["id"]: price for price in every(stripe, "prices")}
    assert query(
        ledger, "SELECT stripe_id, name, email FROM customers WHERE deleted = 0 ORDER BY 1"
    ) == sorted((one["id"], one["name"], one["email"]) for one in customers)
    columns = (
        "stripe_id, number, status, currency, subtotal, total, amount_due, amount_paid, amount_remaining,"
    )
    columns += " billing_reason, due_date, paid_at, stripe_subscription"
    assert in_seconds(query(ledger, f"SELECT {columns} FROM invoices ORDER BY 1")) == sorted(
        (
            *(one[name] for name in ("id", "number", "status", "currency", "subtotal", "total")),
            *(
                one[name]
                for name in ("amount_due", "amount_paid", "amount_remaining", "billing_reason", "due_date")
            ),
            one["status_transitions"]["paid_at"],
            ((one["parent"] or {}).get("subscription_details") or {}).get("subscription"),
        )
        for one in invoices
    )
    lines = "SELECT i.stripe_id, l.stripe_id, l.amount, l.quantity, l.period_end FROM invoice_lines l"
    found = in_seconds(query(ledger, f"{lines} JOIN invoices i ON i.id = l.invoice_id"))
    assert sorted(found) == sorted(
        (one["id"], line["id"], line["amount"], line["quantity"], line["period"]["end"])
        for one in invoices
        for line in one["lines"]["data"]
    )
    statement = "SELECT s.stripe_subscription, s.stripe_item, s.status, s.capacity, s.currency, s.price_id,"
    statement += " s.unit_amount, s.term_end, s.cancel_at, c.stripe_id, p.product_id"
    statement += " FROM subscriptions s"
    statement += " JOIN customers c ON c.id = s.customer_id JOIN plans p ON p.id = s.plan_id"
    items = {item["id"]: (one, item) for one in subscriptions for item in one["items"]["data"]}
    found = {row[1]: row for row in in_seconds(query(ledger, statement))}
    gone = set(found) - set(items)
    assert {found[item][3] for item in gone} <= {0}  # taken off its subscription: nothing is paid for
    assert {item: row for item, row in found.items() if item not in gone} == {
        item["id"]: (
            one["id"],
            item["id"],
            one["status"],
            item["quantity"],
            item["price"]["currency"],
            item["price"]["id"],
            item["price"]["unit_amount"],
            item["current_period_end"],
            one["cancel_at"],
            one["customer"],
            item["price"]["product"],
        )
        for one, item in items.values()
    }
    sold = {one["id"]: one for one in products}
    for product_id, name, price_id, amount, active in query(
        ledger, "SELECT product_id, name, price_id, unit_amount, active FROM plans"
    ):
        one, price = sold[product_id], prices[price_id]
        assert (name, amount, bool(active)) == (
            one["name"],
            price["unit_amount"],
            one["active"] and price["active"],
        )
        assert one["default_price"] in (None, price_id)


@pytest.fixture
def quiet(sandbox):
    """A synced account with a little of everything."""
    with twin(sandbox) as stripe:
        for n in range(4):
            for change in ("customer", "product", "subscribe", "bill"):
                Meddler(stripe).do(change, n)
    assert sandbox("sync").code == 0
    return sandbox


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(
    changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 9999)), min_size=60, max_size=100),
    seed=st.integers(0, 99),
)
def test_after_a_hundred_changes_one_sync_makes_the_mirror_what_stripe_lists(quiet, tmp_path, changes, seed):
    home = Path(tempfile.mkdtemp(dir=tmp_path)) / "seatctl"
    ledgers.copy(quiet.home, home)
    quiet = Seatctl(home)
    with twin(quiet) as stripe:
        for change, n in changes:
            Meddler(stripe).do(change, n)
        shuffle_events(stripe, random.Random(seed))
    synced = quiet("sync", "-o", "json")
    assert synced.code == 0, synced.err
    assert_mirrored(quiet, ledger_place(quiet))
    assert quiet("audit", "verify").code == quiet("ledger", "check").code == 0
