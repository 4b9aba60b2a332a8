"""Stripe asks to slow down (429): what was not carried out is repeated, or leaves nothing."""

from __future__ import annotations

import time

from tests.conformance.story import BUYER, CARD

ALL_TRIES = 4
A_MINUTE = 61


def test_a_call_that_is_asked_to_slow_down_is_repeated(story):
    story.plan("basic", "10.00")
    with story.account.relay.slow_down(2, path="/v1/subscriptions"):
        assert story.buy("basic", 2)["amount_paid"] == 2000
    assert story.charges() == [2000]
    assert story.synced() == []


def test_a_purchase_that_is_always_asked_to_slow_down_can_be_repeated(story):
    story.plan("basic", "10.00")
    buy = f"subs buy --plan {{basic}} --seats 2 --name design {BUYER} {CARD}"
    with story.account.relay.slow_down(ALL_TRIES, path="/v1/subscriptions"):
        assert story.refused(buy, 75)["code"] == "rate_limited"
    assert story.charges() == []
    assert story.done(buy)["amount_paid"] == 2000
    assert story.charges() == [2000]
    assert story.synced() == []


def test_the_eleventh_invoice_of_a_minute_is_refused_and_made_later(story):
    """Documented of Stripe: ten new invoices a minute for a subscription."""
    story.plan("basic", "10.00")
    story.buy("basic", 1)
    story.until(story.start + 20 * 86_400)
    for number in range(1, 11):
        # A third of the month is left: -10.00 n/3 and +10.00 (n + 1)/3.
        assert story.done("subs add-seats design 1")["amount_paid"] in (333, 334), number
    assert story.refused("subs add-seats design 1", 75)["code"] == "rate_limited"
    (subscription,) = story.stripe_subscriptions()
    assert (subscription["items"]["data"][0]["quantity"], len(story.charges())) == (11, 11)
    if story.account.is_stripe:
        time.sleep(A_MINUTE)
    story.until(story.now + A_MINUTE)
    assert story.done("subs add-seats design 1")["seats"] == 12
    assert len(story.charges()) == 12
