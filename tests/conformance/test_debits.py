"""Bank debits: a payment that takes days is waited for, and ends well both ways.

On Stripe a test debit is decided after minutes of real time, in the sandbox after days of the clock.
"""

from __future__ import annotations

import pytest

from tests.conformance.story import BUYER, Story

DAY = 86_400


def begin(story: Story, *, pays: bool) -> str:
    """Buy five seats of 12.00 by debit. Return the id of the invoice, whose payment is processed."""
    currency, paying, failing = story.account.debit()
    story.plan("pro", "12.00", currency=currency)
    method = paying if pays else failing
    buy = f"subs buy --plan {{pro}} --seats 5 --name design {BUYER} --payment-method {method}"
    begun = story.run_command(buy)
    if story.account.is_stripe and begun.error["code"] == "stripe_invalid_request":
        pytest.skip(f"NOT PROVED: the account takes no debits: {begun.error['message']}")
    assert (begun.code, begun.error["code"]) == (10, "payment_processing")
    (invoice,) = story.invoices("open")
    assert (invoice["total"], story.charges()) == (6000, [])
    # Meanwhile nothing is voided, canceled or charged again.
    for command in (buy, f"runs undo {begun.error['run']}"):
        assert story.refused(command, 10)["code"] == "payment_processing"
    story.synced(10)
    assert [one["id"] for one in story.invoices("open")] == [invoice["id"]]
    assert len(story.of_customers("charges")) == 1
    return str(invoice["id"])


def decide(story: Story, invoice: str) -> None:
    """Wait until the bank has decided."""
    if not story.account.is_stripe:
        story.now += 7 * DAY
        story.account.advance(story.clock, story.now)
        return

    def is_decided() -> bool:
        intents = story.of_customers("payment_intents")
        return bool(intents) and all(one["status"] != "processing" for one in intents)

    story.account.wait_until(is_decided)


def test_a_debit_that_the_bank_pays(story):
    decide(story, begin(story, pays=True))
    assert "finished" in [row["result"] for row in story.synced()]
    assert (story.charges(), story.sub()["status"], story.sub()["seats"]) == ([6000], "active", 5)
    assert len(story.of_customers("charges")) == 1
    assert [one["status"] for one in story.invoices()] == ["paid"]


def test_a_debit_that_the_bank_refuses(story):
    decide(story, begin(story, pays=False))
    assert next(row["result"] for row in story.synced()) in ("failed", "undone")
    assert story.charges() == []
    assert story.invoices("open", "draft") == []
    assert {one["status"] for one in story.stripe_subscriptions()} <= {"canceled", "incomplete_expired"}
    assert story.rows("runs", "list", "--state", "pending") == []
