"""Automatic tax: without an address nothing is bought; with one, what was shown with its tax is charged.

The sandbox's rate is 19 %. On Stripe the rate is that of the account's registrations, perhaps 0.
"""

from __future__ import annotations

import pytest

from tests.conformance.story import BUYER, CARD, Story

DAY = 86_400
BUY = f"subs buy --plan {{plan}} --seats 2 --name design {BUYER} {CARD}"
PLACE = "--address country=DE --address postal_code=10115 --address city=Berlin --address line1=Street"
CENTS = {"exclusive": (2000, 380, 2380), "inclusive": (1681, 319, 2000)}
"""Net, tax and total of two seats of 10.00: 19 % of 20.00 is 3.80; 20.00 with 19 % in it is 16.81 net."""


@pytest.fixture(params=CENTS)
def behavior(request) -> str:
    return request.param


@pytest.fixture
def taxed(story, behavior) -> Story:
    """A profile with automatic tax, and a plan whose price has this tax behavior."""
    story.account.collect_tax(19)
    story.is_recorded = False  # who replays it has another rate
    story.done("config set stripe.automatic_tax on")
    story.plan("plan", "10.00", f"--tax-behavior {behavior}")
    return story


def test_without_an_address_nothing_is_bought(taxed):
    assert taxed.refused(BUY, 4)["code"] == "tax_unknown"
    assert (taxed.charges(), taxed.stripe_subscriptions(), taxed.invoices()) == ([], [], [])
    assert taxed.synced() == []


def test_with_an_address_the_tax_is_shown_and_charged(taxed, behavior):
    shown = taxed.done(f"{BUY} {PLACE} --dry-run")
    amounts = (shown["net"], shown["tax"], shown["total"])
    assert shown["net"] + shown["tax"] == shown["total"] == shown["due_now"]
    assert amounts in (CENTS[behavior], *([(2000, 0, 2000)] if taxed.account.is_stripe else []))
    assert taxed.done(f"{BUY} {PLACE}")["amount_paid"] == shown["total"]
    (invoice,) = taxed.invoices("paid")
    assert (invoice["automatic_tax"]["status"], invoice["total"]) == ("complete", shown["total"])
    assert sum(one["amount"] for one in invoice["total_taxes"]) == shown["tax"]
    # A third of the month is left: two more seats cost a third of what the first two did.
    taxed.until(taxed.start + 20 * DAY)
    shown = taxed.done("subs add-seats design 2 --dry-run")
    assert abs(3 * shown["due_now"] - invoice["total"]) <= 6  # each line and its tax are rounded
    assert taxed.done("subs add-seats design 2")["amount_paid"] == shown["due_now"]
    assert taxed.charges() == [invoice["total"], shown["due_now"]]
    assert taxed.synced() == []
