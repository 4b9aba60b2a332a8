"""Buying: by card, with a card that is refused, with the bank's question, against an invoice."""

from __future__ import annotations

import pytest

from tests.conformance.story import BUYER, CARD, Story

DAY = 86_400


def require_nothing_bought(story: Story) -> None:
    """Check that nothing is left that could be charged or used."""
    assert story.charges() == []
    assert [one["status"] for one in story.invoices("draft", "open")] == []
    assert {one["status"] for one in story.stripe_subscriptions()} <= {"canceled", "incomplete_expired"}
    assert story.rows("subs", "list") == []
    assert story.synced() == []


def test_a_purchase_by_card_is_paid_and_can_be_used_at_once(story):
    story.plan("basic", "10.00")
    shown = story.done(f"subs buy --plan {{basic}} --seats 2 --name design {BUYER} {CARD} --dry-run")
    assert (shown["due_now"], story.charges()) == (2000, [])
    bought = story.buy("basic", 2)
    assert (bought["amount_paid"], bought["status"], bought["seats"]) == (2000, "active", 2)
    assert story.charges() == [2000]
    (subscription,) = story.stripe_subscriptions()
    (item,) = subscription["items"]["data"]
    assert (subscription["status"], item["quantity"]) == ("active", 2)
    assert (item["current_period_start"], item["current_period_end"]) == (story.start, story.at_month(1))
    story.done("seats assign design ann@example.com")
    assert story.entitled() == (0, "entitled")
    # A second one on the same customer and card: 3 x 10.00.
    assert story.done("subs buy --plan {basic} --seats 3 --name lab --bill-to design")["amount_paid"] == 3000
    assert (story.charges(), len(story.customers())) == ([2000, 3000], 1)
    assert story.synced() == []


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_card_chargeCustomerFail"])
def test_a_purchase_with_a_refused_card_leaves_nothing(story, card):
    """The first card is refused when it is saved, the second one when it is charged."""
    story.plan("basic", "10.00")
    error = story.refused(
        f"subs buy --plan {{basic}} --seats 2 --name design {BUYER} --payment-method {card}", 5
    )
    assert error["code"] == "card_declined"
    require_nothing_bought(story)
    assert story.buy("basic", 2)["amount_paid"] == 2000
    assert story.charges() == [2000]


def ask_the_bank(story: Story) -> dict:
    """Buy with a card whose bank asks for authentication. Return the open invoice."""
    story.plan("basic", "10.00")
    card = "pm_card_threeDSecure2Required"
    error = story.refused(
        f"subs buy --plan {{basic}} --seats 2 --name design {BUYER} --payment-method {card}", 10
    )
    assert error["code"] == "authentication_required"
    assert story.charges() == []
    (invoice,) = story.invoices("open")
    assert invoice["amount_due"] == 2000
    assert error["url"] == invoice["hosted_invoice_url"]
    story.synced(10)
    return invoice


def test_a_purchase_that_waits_for_the_bank_is_given_up(story):
    ask_the_bank(story)
    run = story.rows("runs", "list", "--state", "pending")[0]["number"]
    story.done(f"runs undo {run}")
    require_nothing_bought(story)


def test_a_purchase_that_waits_for_the_bank_is_completed(story):
    invoice = ask_the_bank(story)
    story.account.authenticate(invoice)
    assert "finished" in [row["result"] for row in story.synced()]
    assert (story.charges(), story.sub()["status"]) == ([2000], "active")


def test_a_purchase_on_account_is_paid_by_transfer(story):
    story.plan("basic", "10.00")
    bought = story.buy("basic", 4, options=f"{BUYER} --on-account --due-in 14d")
    assert (bought["amount_due"], bought["amount_paid"], bought["status"]) == (4000, 0, "active")
    (invoice,) = story.invoices("open")
    assert (invoice["total"], invoice["collection_method"]) == (4000, "send_invoice")
    assert invoice["due_date"] == story.start + 14 * DAY
    story.done("seats assign design ann@example.com")
    assert story.entitled() == (0, "entitled")
    story.until(story.start + 10 * DAY)
    story.account.post(f"invoices/{invoice['id']}/pay", paid_out_of_band="true")
    assert story.done("sync") is not None
    assert [one["status"] for one in story.rows("invoices", "list", "design")] == ["paid"]
    assert (story.charges(), story.sub()["status"]) == ([], "active")
    assert story.synced() == []


def test_an_invoice_that_nobody_pays_is_voided_and_costs_nothing(story):
    story.plan("basic", "10.00")
    story.buy("basic", 4, options=f"{BUYER} --on-account --due-in 14d")
    (invoice,) = story.invoices("open")
    story.done("subs cancel design --now")
    story.done(f"invoices void {invoice['number']}") if story.invoices("open") else None
    assert [one["status"] for one in story.invoices()] == ["void"]
    assert [one["status"] for one in story.stripe_subscriptions()] == ["canceled"]
    story.until(story.at_month(1, DAY))
    assert (story.charges(), story.invoices("open", "draft", "paid")) == ([], [])
