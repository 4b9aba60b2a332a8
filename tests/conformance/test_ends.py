"""Ends: at once with a refund, at the end of the period, and a cancellation that is taken back."""

from __future__ import annotations

import pytest

from tests.conformance.story import Story

DAY = 86_400
HOUR = 3600


@pytest.fixture
def lab(story) -> Story:
    """`design`: ten seats of 10.00; ten days of the month are left, and Ann has a seat."""
    story.plan("basic", "10.00")
    story.buy("basic", 10)
    story.done("seats assign design ann@example.com")
    story.until(story.start + 20 * DAY)
    return story


def test_an_end_at_once_gives_the_rest_back_to_the_card(lab):
    # A third of 100.00, which Stripe credits as 33.33.
    shown = lab.done("subs cancel design --now --refund --dry-run")
    assert (shown["given_back"], lab.refunds()) == (3333, [])
    given = lab.done("subs cancel design --now --refund")
    assert (given["given_back"], lab.refunds()) == (3333, [3333])
    assert [one["status"] for one in lab.stripe_subscriptions()] == ["canceled"]
    assert [one["balance"] for one in lab.customers()] == [0]
    assert lab.entitled() == (7, "ended")
    lab.until(lab.at_month(2))
    assert (lab.charges(), lab.refunds(), lab.invoices("draft", "open")) == ([10000], [3333], [])


def test_an_end_with_the_period_keeps_the_seats_until_then(lab):
    row = lab.done("subs cancel design")
    assert row["given_back"] == 0
    (subscription,) = lab.stripe_subscriptions()
    assert (subscription["status"], subscription["cancel_at"]) == ("active", lab.at_month(1))
    assert lab.entitled() == (0, "entitled")
    lab.until(lab.at_month(1, 2 * HOUR))
    assert (lab.sub()["status"], lab.entitled()) == ("canceled", (7, "ended"))
    assert lab.charges() == [10000]


def test_a_cancellation_is_taken_back(lab):
    lab.done("subs cancel design")
    assert lab.done("subs resume design")["status"] == "active"
    (subscription,) = lab.stripe_subscriptions()
    assert (subscription["cancel_at"], subscription["canceled_at"]) == (None, None)
    lab.until(lab.at_month(1, 2 * HOUR))
    assert lab.charges() == [10000, 10000]
