"""Cards pay, and nothing else: a bank debit takes days, for which nobody waits yet."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.errors import ApiError
from tests.sandbox.seed import send
from tests.support.both_sides import charges, live_subscriptions, objects, twin
from tests.support.subscriptions import ledger_place, query

BANK = "pm_usBankAccount_success"
BUY = "subs buy --plan {} --seats 5 --name acme --billing-email pay@example.com --yes"
CARD = ("--payment-method", "pm_card_visa")


@pytest.fixture
def yearly(sandbox) -> str:
    """A plan that is renewed by hand, and whose seats are billed by our own invoices."""
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    return "team"


def refused(seatctl, *words) -> dict:
    """The error of a command that is refused before anything is made."""
    runs = query(ledger_place(seatctl), "SELECT count(*) FROM runs")
    made = [len(objects(seatctl, kind)) for kind in ("customer", "subscription", "invoice", "charge")]
    answer = seatctl(*words, "--yes", "-o", "json")
    assert (answer.code, answer.error["code"]) == (4, "not_a_card"), answer
    assert "us_bank_account" in answer.error["message"]
    assert query(ledger_place(seatctl), "SELECT count(*) FROM runs") == runs
    assert [len(objects(seatctl, kind)) for kind in ("customer", "subscription", "invoice", "charge")] == made
    return answer.error


def bank_of_customer(seatctl) -> str:
    """A bank account is made the customer's default in the dashboard; its id."""
    with twin(seatctl) as stripe:
        customer = objects(seatctl, "customer")[0]["id"]
        bank = send(stripe, f"payment_methods/{BANK}/attach", {"customer": customer})["id"]
        send(stripe, f"customers/{customer}", {"invoice_settings": {"default_payment_method": bank}})
    return bank


def test_a_purchase_takes_no_bank_account(sandbox, pro):
    error = refused(sandbox, *BUY.format(pro).split(), "--payment-method", BANK)
    assert "--payment-method" in error["hint"]
    assert objects(sandbox, "customer") == []


def test_neither_do_billing_details_and_a_payment(sandbox, team):
    bank = bank_of_customer(sandbox)
    for given in (BANK, bank):
        refused(sandbox, "subs", "billing", team, "--payment-method", given)
    subscription = live_subscriptions(sandbox)[0]["id"]
    with twin(sandbox) as stripe:
        bill = {"customer": objects(sandbox, "customer")[0]["id"], "subscription": subscription}
        invoice = send(stripe, "invoices", {**bill, "auto_advance": False})["id"]
        about = {"invoice": invoice, "amount": 900, "currency": "usd", "customer": bill["customer"]}
        send(stripe, "invoiceitems", about)
        number = send(stripe, f"invoices/{invoice}/finalize", {})["number"]
    assert sandbox("sync").code == 0
    refused(sandbox, "invoices", "pay", number, "--payment-method", bank)


@pytest.mark.parametrize(
    "command", ["subs add-seats design 1", "subs buy --plan pro --seats 1 --name b --bill-to design"]
)
def test_what_a_bank_account_would_pay_is_refused_and_the_hint_helps(sandbox, team, command):
    bank_of_customer(sandbox)
    error = refused(sandbox, *command.split())
    assert error["hint"] == "seatctl subs billing design --payment-method ID"
    assert sandbox("subs", "billing", team, *CARD, "--yes").code == 0
    assert sandbox(*command.split(), "--yes").code == 0


def test_our_own_invoices_are_not_paid_by_a_bank_account(sandbox, yearly):
    assert sandbox(*BUY.format(yearly).split(), *CARD).code == 0
    bank_of_customer(sandbox)
    refused(sandbox, "subs", "add-seats", "acme", "5")
    assert sandbox("sandbox", "advance", "350d").code == 0
    refused(sandbox, "subs", "renew", "acme")


@pytest.mark.parametrize("account", [(), ("--on-account",)])
def test_stripes_pages_are_told_to_take_cards_only(sandbox, yearly, account):
    way = account or CARD
    assert sandbox(*BUY.format(yearly).split(), *way).code == 0
    assert live_subscriptions(sandbox)[0]["payment_settings"]["payment_method_types"] == ["card"]
    if not account:
        assert sandbox("subs", "add-seats", "acme", "5", "--yes").code == 0
        assert objects(sandbox, "invoice")[-1]["payment_settings"]["payment_method_types"] == ["card"]


@pytest.mark.parametrize("plan", ["pro", "team"])
def test_a_checkout_page_takes_cards_only(sandbox, pro, yearly, plan):
    asked = sandbox(*BUY.format(plan).split(), "--checkout", "-o", "json")
    page = asked.error["checkout_session"]
    with twin(sandbox) as stripe, pytest.raises(ApiError):
        control.complete_checkout(stripe, page, BANK)
    with twin(sandbox) as stripe:
        control.complete_checkout(stripe, page)
    assert sandbox("sync").code == 0
    assert live_subscriptions(sandbox)[0]["payment_settings"]["payment_method_types"] == ["card"]
    assert len(charges(sandbox)) == 1
