"""A contract for a year: packs at full price, a renewal by hand in its window, and one that just ends."""

from __future__ import annotations

import pytest

from tests.conformance.story import Story

DAY = 86_400
HOUR = 3600


@pytest.fixture
def contract(story) -> Story:
    """`design`: 20 seats of 6.00 for a year."""
    story.plan("term", "6.00", "--interval year --policy term")
    assert story.buy("term", 20)["amount_paid"] == 12000
    return story


def test_a_contract_with_packs_and_its_renewal(contract):
    contract.until(contract.at_month(4))
    assert contract.done("subs add-seats design 5")["amount_paid"] == 3000
    # In the last thirty days: the renewal with 30 seats, 180.00, which is paid before the term begins.
    contract.until(contract.at_month(12, -20 * DAY))
    renewed = contract.done("subs renew design --seats 30")
    assert renewed["amount_paid"] == 18000
    assert contract.charges() == [12000, 3000, 18000]
    assert (contract.sub()["seats"], contract.sub()["status"]) == (25, "paid")
    assert contract.synced() == []
    contract.until(contract.at_month(12, 2 * HOUR))
    assert (contract.sub()["seats"], contract.sub()["status"]) == (30, "paid")
    # The renewal of Stripe itself is over nothing: what was paid by hand is not charged again.
    assert contract.charges() == [12000, 3000, 18000]
    contract.until(contract.at_month(13))
    assert contract.charges() == [12000, 3000, 18000]


def test_a_contract_that_nobody_renews_ends(contract):
    contract.done("seats assign design ann@example.com")
    contract.until(contract.at_month(12, 2 * HOUR))
    assert [one["status"] for one in contract.stripe_subscriptions()] == ["canceled"]
    assert contract.entitled() == (7, "ended")
    assert contract.charges() == [12000]
