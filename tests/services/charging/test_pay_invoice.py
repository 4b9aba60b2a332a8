"""Charging an open invoice: nothing but a paid one counts as paid, whoever touched it meanwhile."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import send
from tests.support.front import account

BUY = "subs buy --plan team --seats 5 --name acme --billing-email p@example.com"


@pytest.fixture
def acme(seatctl, tmp_path):
    """A term contract of five seats in a test-mode account."""
    with account(seatctl, tmp_path / "stripe.db") as made:
        plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
        assert made(*plan.split()).code == 0
        assert made(*BUY.split(), "--payment-method", "pm_card_visa", "--yes").code == 0
        yield made


def seats(acme) -> int:
    return acme.rows("subs", "list")[0]["seats"]


def test_seats_are_not_given_for_an_invoice_that_was_made_void_before_it_was_paid(acme):
    acme.front.refuse = lambda _number, _method, path: 500 if path.endswith("/pay") else None
    assert acme("subs", "add-seats", "acme", "5", "--yes").code == 75
    twin = acme.front.twin
    (left,) = [one for one in twin.store.walk("invoice") if one["status"] == "open"]
    send(twin, f"invoices/{left['id']}/void", {})
    assert acme("sync").code == 75  # Stripe still fails: what became of the payment is not known
    assert seats(acme) == 5
    acme.front.refuse = lambda *_: None
    assert acme("sync").code == 0
    assert seats(acme) == 5
    assert [one["amount"] for one in twin.store.walk("charge")] == [2500]
    assert acme("subs", "add-seats", "acme", "5", "--yes").code == 0
    assert seats(acme) == 10
