"""With automatic tax on, nothing is bought of which Stripe cannot tell the tax: it would show too little."""

from __future__ import annotations

import pytest

from seatctl.errors import Code
from seatctl.rules.tax import check_tax
from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.support.both_sides import charges, contents, live_subscriptions, objects, twin
from tests.support.refusals import refuses

BUY = "subs buy --plan pro --seats 5 --name design --billing-email pay@example.com --yes"
CARD = ("--payment-method", "pm_card_visa")
PLACE = ("--address", "country=DE", "--address", "city=Bonn")


@pytest.fixture
def taxed(sandbox, pro):
    assert sandbox("config", "set", "stripe.automatic_tax", "on").code == 0
    return sandbox


def lose_address(seatctl) -> None:
    """The address is removed in the dashboard."""
    with twin(seatctl) as stripe:
        for customer in stripe.store.walk("customer"):
            send(stripe, f"customers/{customer['id']}", {"address": ""})


def refused(seatctl, *words) -> str:
    """The hint of a purchase that is refused before anything is written or charged."""
    before = contents(seatctl)
    answer = seatctl(*words, "--yes", "-o", "json")
    assert (answer.code, answer.error["code"]) == (4, "tax_unknown"), answer.err
    assert contents(seatctl) == before
    return answer.error["hint"]


def test_a_purchase_asks_for_the_address_and_takes_it(taxed):
    hint = refused(taxed, *BUY.split(), *CARD)
    assert "the same command with --address country=CC" in hint
    bought = taxed(*BUY.split(), *CARD, *PLACE, "-o", "json")
    assert bought.code == 0, bought.err
    (customer,) = objects(taxed, "customer")
    assert (customer["address"]["country"], customer["address"]["city"]) == ("DE", "Bonn")
    (subscription,) = live_subscriptions(taxed)
    assert subscription["automatic_tax"]["enabled"] is True
    assert charges(taxed) == [6000]


def test_on_account_too_and_a_page_asks_by_itself(taxed):
    refused(taxed, *BUY.split(), "--on-account")
    page = taxed(*BUY.split(), "--checkout", "-o", "json")
    assert page.error["code"] == "waiting_for_checkout", page.err
    with twin(taxed) as stripe:
        control.complete_checkout(stripe, page.error["checkout_session"])
    assert taxed("sync").code == 0
    (subscription,) = live_subscriptions(taxed)
    assert subscription["automatic_tax"]["enabled"] is True


def test_seats_and_another_subscription_wait_for_an_address_and_the_hint_gives_one(taxed):
    assert taxed(*BUY.split(), *CARD, *PLACE).code == 0
    lose_address(taxed)
    second = "subs buy --plan pro --seats 1 --name second --bill-to design"
    for words in ("subs add-seats design 1", second):
        hint = refused(taxed, *words.split())
        assert hint.startswith("seatctl subs billing design --address country=CC"), hint
    assert taxed("subs", "billing", "design", *PLACE, "--yes").code == 0
    assert taxed("subs", "add-seats", "design", "1", "--yes").code == 0
    assert taxed(*second.split(), "--yes").code == 0


def test_our_own_invoices_wait_for_an_address(taxed):
    term = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert taxed(*term.split()).code == 0
    assert taxed(*BUY.replace("pro", "team").split(), *CARD, *PLACE).code == 0
    lose_address(taxed)
    refused(taxed, "subs", "add-seats", "design", "5")
    assert taxed("sandbox", "advance", "350d").code == 0
    refused(taxed, "subs", "renew", "design")
    assert taxed("subs", "billing", "design", *PLACE, "--yes").code == 0
    assert taxed("subs", "renew", "design", "--yes").code == 0


def test_the_address_of_a_customer_who_is_there_is_not_given_with_a_purchase(taxed):
    assert taxed(*BUY.split(), *CARD, *PLACE).code == 0
    second = "subs buy --plan pro --seats 1 --name second --bill-to design --yes"
    answer = taxed(*second.split(), *PLACE, "-o", "json")
    assert (answer.code, answer.error["code"]) == (2, "usage")
    assert answer.error["hint"] == "seatctl subs billing design --address country=DE --address city=Bonn"


def test_without_automatic_tax_nobody_is_asked(sandbox, pro):
    assert sandbox(*BUY.split(), *CARD).code == 0


def test_a_tax_service_that_failed_is_told_apart():
    check_tax(None, "")
    check_tax("complete", "")
    with refuses(Code.TAX_UNKNOWN) as failed:
        check_tax("failed", "the same command with --address country=CC")
    assert "--address" not in failed.value.hint
