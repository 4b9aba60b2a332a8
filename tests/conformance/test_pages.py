"""Pages of Stripe: Checkout that expires or is paid, and the customer portal."""

from __future__ import annotations

from tests.conformance.story import BUYER


def open_page(story) -> dict:
    """Open a Checkout page for two seats of 10.00. Return what the command says."""
    story.plan("basic", "10.00")
    error = story.refused(f"subs buy --plan {{basic}} --seats 2 --name design {BUYER} --checkout", 10)
    assert error["code"] == "waiting_for_checkout"
    story.synced(10)
    return error


def test_a_page_that_expires_leaves_nothing(story_today):
    story = story_today
    session = open_page(story)["checkout_session"]
    story.account.post(f"checkout/sessions/{session}/expire")
    assert [row["result"] for row in story.synced()] == ["failed"]
    assert (story.charges(), story.stripe_subscriptions(), story.rows("subs", "list")) == ([], [], [])


def test_a_page_that_is_paid_is_a_purchase(story_today):
    story = story_today
    page = open_page(story)
    story.account.complete(page["checkout_session"], page["url"])
    assert "finished" in [row["result"] for row in story.synced()]
    assert (story.charges(), story.sub()["status"], story.sub()["seats"]) == ([2000], "active", 2)


def test_the_portal_has_a_page_for_the_customer(story):
    story.plan("basic", "10.00")
    story.buy("basic", 2)
    assert story.done("subs billing design --portal")["url"].startswith("https://")
    assert (story.charges(), story.synced()) == ([2000], [])
