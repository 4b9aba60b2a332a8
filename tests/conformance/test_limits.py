"""Stripe asks to slow down (429): what was not carried out is repeated, or leaves nothing."""

from __future__ import annotations

from tests.conformance.story import BUYER, CARD

ALL_TRIES = 4


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
