"""Trials with and without a card, and collection that is paused for a while."""

from __future__ import annotations

import pytest

from tests.conformance.story import BUYER

DAY = 86_400
HOUR = 3600
TRIAL = 14 * DAY


def test_a_trial_with_a_card_is_charged_when_it_ends(story_today):
    story = story_today  # the preview is of a customer who is not on the clock yet, and so at the real time
    story.plan("try", "10.00", "--trial-days 14")
    assert story.buy("try", 2)["amount_paid"] == 0
    (subscription,) = story.stripe_subscriptions()
    assert (subscription["status"], subscription["trial_end"]) == ("trialing", story.start + TRIAL)
    assert story.charges() == []
    assert story.synced() == []
    story.until(story.start + TRIAL + 2 * HOUR)
    assert (story.charges(), story.sub()["status"]) == ([2000], "active")


@pytest.mark.parametrize(("ending", "status"), [("pause", "paused"), ("cancel", "canceled")])
def test_a_trial_without_a_card_ends_as_the_plan_says(story_today, ending, status):
    story = story_today
    story.plan("try", "10.00", f"--trial-days 14 --trial-without-card {ending}")
    page = story.refused(f"subs buy --plan {{try}} --seats 2 --name design {BUYER} --checkout", 10)
    story.account.complete(page["checkout_session"], page["url"], card="none")
    assert "finished" in [row["result"] for row in story.synced()]
    story.until(story.start + TRIAL + 2 * HOUR)
    assert [one["status"] for one in story.stripe_subscriptions()] == [status]
    assert (story.charges(), story.sub()["status"]) == ([], status)


@pytest.mark.parametrize(
    ("behavior", "left"),
    [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")],
)
def test_nothing_is_collected_while_the_collection_is_paused(story, behavior, left):
    story.plan("basic", "10.00")
    story.buy("basic", 2)
    story.done(f"subs pause design --behavior {behavior}")
    (subscription,) = story.stripe_subscriptions()
    assert (subscription["status"], subscription["pause_collection"]["behavior"]) == ("active", behavior)
    story.until(story.at_month(1, 2 * HOUR))
    assert (story.invoices()[-1]["status"], story.charges()) == (left, [2000])
    story.done("subs resume design --collection")
    story.until(story.at_month(2, 2 * HOUR))
    assert story.charges() == [2000, 2000]
