"""A sync while a purchase waits for the bank: nothing that happens meanwhile is lost or read twice."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import charges, objects, twin

ASKS = "pm_card_threeDSecure2Required"


@pytest.fixture
def acme(sandbox):
    """A term contract of five seats, whose bank wants an authentication of everything from now on."""
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    buy = "subs buy --plan team --seats 5 --name acme --billing-email p@example.com"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_visa", "--yes").code == 0
    with twin(sandbox) as stripe:
        (found,) = stripe.store.walk("subscription")
        card = send(stripe, f"payment_methods/{ASKS}/attach", {"customer": found["customer"]})["id"]
        send(stripe, f"customers/{found['customer']}", {"invoice_settings": {"default_payment_method": card}})
        if found["default_payment_method"]:
            send(stripe, f"subscriptions/{found['id']}", {"default_payment_method": card})
    return sandbox


def test_a_change_in_stripe_counts_once_the_purchase_has_come_to_nothing(acme):
    assert acme("sync").code == 0
    assert acme("subs", "add-seats", "acme", "5", "--yes").code == 10
    with twin(acme) as stripe:
        (item,) = objects(acme, "subscription_item")
        send(stripe, f"subscription_items/{item['id']}", {"quantity": 15, "proration_behavior": "none"})
    assert acme("sync").code == 10
    assert acme.rows("subs", "list")[0]["seats"] == 5
    run = next(row["number"] for row in acme.rows("runs", "list") if row["state"] == "pending")
    assert acme("runs", "undo", run, "--yes").code == 0
    assert acme("sync").code == 0
    assert acme.rows("subs", "list")[0]["seats"] == 15
    assert acme("reconcile", "--check").code == 0
    assert charges(acme) == [2500]


def test_a_first_sync_that_is_no_success_yet_is_not_begun_anew(acme):
    assert acme("subs", "add-seats", "acme", "5", "--yes").code == 10
    first, second = (acme("sync", "-o", "json") for _ in range(2))
    assert (first.code, first.json["backfill"]) == (10, True)
    assert (second.code, second.json["backfill"]) == (10, False)
    assert acme("status", "-o", "json").json["last_sync"] is None
