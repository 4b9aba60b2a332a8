"""Renewals by Stripe: one that is paid, and one whose card is refused until another one pays."""

from __future__ import annotations

DAY = 86_400
HOUR = 3600


def test_a_renewal_is_paid_an_hour_after_the_period_began(story):
    story.plan("basic", "10.00")
    story.buy("basic", 2)
    story.until(story.at_month(1, HOUR // 2))
    (draft,) = story.invoices("draft")
    assert (draft["total"], draft["billing_reason"]) == (2000, "subscription_cycle")
    story.until(story.at_month(1, 2 * HOUR))
    assert story.charges() == [2000, 2000]
    assert story.sub()["status"] == "active"
    story.until(story.at_month(3, 2 * HOUR))
    assert story.charges() == [2000] * 4


def test_a_refused_renewal_is_past_due_until_another_card_pays(story):
    story.plan("basic", "10.00")
    story.buy("basic", 2)
    story.done("seats assign design ann@example.com")
    story.use_card("pm_card_chargeCustomerFail")
    story.until(story.at_month(1, 2 * HOUR))
    assert (story.sub()["status"], story.entitled()) == ("past_due", (0, "in_grace"))
    (owed,) = story.invoices("open")
    assert (owed["amount_remaining"], owed["attempt_count"]) == (2000, 1)
    # Stripe tries again at moments of its own; after the grace of seven days nobody is entitled.
    story.until(story.at_month(1, 8 * DAY))
    assert (story.sub()["status"], story.entitled()) == ("past_due", (7, "past_due"))
    assert story.charges() == [2000]
    story.done("subs billing design --payment-method pm_card_visa")
    assert (story.charges(), story.sub()["status"]) == ([2000, 2000], "active")
    assert story.entitled() == (0, "entitled")
    story.until(story.at_month(2, 2 * HOUR))
    assert story.charges() == [2000] * 3
