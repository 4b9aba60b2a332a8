"""What waits for a customer's next invoice is not on ours: neither shown with it, nor counted."""

from __future__ import annotations

import pytest

from seatctl.billing.previews import read_preview_without_pending
from tests.sandbox.seed import send
from tests.support.both_sides import charges, objects, twin
from tests.support.office import done, freeze, is_sound, refused, subs_row, until

CARD = "--owner ann@example.com --billing-email pay@example.com --payment-method pm_card_visa"


@pytest.fixture
def contract(sandbox):
    """20 seats of 6.00 for a year of 365 days, from 2041-01-01; 120.00 charged."""
    freeze(sandbox, "2041-01-01T00:00:00Z")
    done(sandbox, "plans add pack --price 6.00 --currency usd --interval year --policy term")
    done(sandbox, f"subs buy --plan pack --seats 20 --name acme {CARD}")
    return sandbox


def waits(seatctl, amount: int) -> None:
    """Somebody notes it in the dashboard, for the customer's next invoice."""
    with twin(seatctl) as stripe:
        (customer,) = [one["id"] for one in objects(seatctl, "customer")]
        send(stripe, "invoiceitems", {"customer": customer, "amount": amount, "currency": "usd"})


def due(seatctl, *command: str) -> int:
    return seatctl.rows(*command, "--dry-run")[0]["due_now"]


@pytest.mark.parametrize("amount", [-1000, 1000, -5000])
def test_added_seats_cost_what_they_cost_whatever_else_waits(contract, amount):
    waits(contract, amount)
    assert due(contract, "subs", "add-seats", "acme", "5") == 3000
    assert refused(contract, "subs add-seats acme 5 --max-spend 29.99")["due_now"] == 3000
    done(contract, "subs add-seats acme 5 --max-spend 30.00")
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000, 3000], 25)
    is_sound(contract)


def test_a_renewal_costs_what_it_costs_whatever_credit_waits(contract):
    until(contract, "2041-12-10T00:00:00Z")
    waits(contract, -1000)
    assert due(contract, "subs", "renew", "acme") == 12000
    done(contract, "subs renew acme")
    assert charges(contract) == [12000, 12000]


def test_a_renewal_tells_and_limits_what_stripe_bills_with_the_new_term(contract):
    """The term's first invoice, over nothing, takes with it what has waited for one."""
    until(contract, "2041-12-10T00:00:00Z")
    waits(contract, 1000)
    shown = contract("subs", "renew", "acme", "--dry-run", "-o", "json").json
    assert shown["rows"][0]["due_now"] == 13000
    assert "with 10.00 USD that waited for its next invoice" in shown["summary"]
    assert refused(contract, "subs renew acme --max-spend 129.99")["due_now"] == 13000
    done(contract, "subs renew acme --max-spend 130.00")
    assert charges(contract) == [12000, 12000, 1000]
    is_sound(contract)


def test_seats_that_the_next_invoice_bills_are_shown_with_the_renewal(sandbox):
    freeze(sandbox, "2041-01-01T00:00:00Z")
    term = "--interval year --policy term --set increase=prorate_next_invoice"
    done(sandbox, f"plans add pack --price 6.00 --currency usd {term}")
    done(sandbox, f"subs buy --plan pack --seats 20 --name acme {CARD}")
    until(sandbox, "2041-06-10T00:00:00Z")
    done(sandbox, "subs add-seats acme 5")
    until(sandbox, "2041-12-10T00:00:00Z")
    told = due(sandbox, "subs", "renew", "acme")
    assert refused(sandbox, "subs renew acme --max-spend 150.00")["code"] == "max_spend_exceeded"
    done(sandbox, "subs renew acme")
    assert charges(sandbox)[1:] == [15000, told - 15000]
    assert told > 16000


def test_a_discount_and_a_balance_count_for_the_added_seats_alone(sandbox):
    freeze(sandbox, "2041-01-01T00:00:00Z")
    done(
        sandbox,
        "plans add pack --price 6.00 --currency usd --interval year --policy term --set discounts=anytime",
    )
    done(sandbox, f"subs buy --plan pack --seats 20 --name acme {CARD}")
    with twin(sandbox) as stripe:
        send(stripe, "coupons", {"id": "half", "percent_off": "50", "duration": "once"})
        (customer,) = [one["id"] for one in objects(sandbox, "customer")]
        send(stripe, f"customers/{customer}/balance_transactions", {"amount": -700, "currency": "usd"})
    waits(sandbox, 1000)
    assert due(sandbox, "subs", "add-seats", "acme", "5", "--coupon", "half") == 800
    done(sandbox, "subs add-seats acme 5 --coupon half")
    assert charges(sandbox) == [12000, 800]


def line(amount: int, item: str | None, **more) -> dict:
    details = {"proration": False, "invoice_item": item}
    kind = "invoice_item_details" if item else "subscription_item_details"
    parent = {"type": kind, kind: details}
    period = {"start": 0, "end": 86400}
    return {"amount": amount, "currency": "usd", "period": period, "parent": parent, **more}


@pytest.mark.parametrize("more", [False, True])
def test_taxes_count_for_the_line_alone_and_only_those_that_come_on_top(more):
    """Both kinds of tax on one line, which the sandbox does not make; of many lines Stripe sends ten."""
    ours = line(
        3000,
        None,
        discount_amounts=[{"amount": 1000, "discount": "di_1"}],
        taxes=[{"amount": 200, "tax_behavior": "exclusive"}, {"amount": 50, "tax_behavior": "inclusive"}],
    )
    preview = {
        "object": "invoice",
        "currency": "usd",
        "subtotal": 4000,
        "total": 3300,
        "amount_due": 3200,
        "starting_balance": -100,
        "lines": {"data": [ours] if more else [line(1000, "ii_1"), ours], "has_more": more},
    }
    read = read_preview_without_pending(preview)
    assert (read.subtotal, read.total, read.amount_due) == (3000, 2200, 2100)
