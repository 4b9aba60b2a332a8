"""A plan that takes cards only, by `payment_methods`: nothing else pays, buys or is offered."""

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


ONLY = "--set payment_methods=card"


@pytest.fixture
def pro(sandbox, pro) -> str:
    assert sandbox(*f"plans edit {pro} {ONLY}".split()).code == 0
    return pro


@pytest.fixture
def yearly(sandbox) -> str:
    """A plan that is renewed by hand, and whose seats are billed by our own invoices."""
    plan = f"plans add team --price 5.00 --currency usd --interval year --policy term {ONLY}"
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


@pytest.mark.parametrize(
    ("methods", "currency", "problem"),
    [
        ("sepa_debit", "usd", "sepa_debit cannot pay USD"),
        ("us_bank_account,sepa_debit", "gbp", "us_bank_account, sepa_debit cannot pay GBP"),
        ("cheque", "eur", "use any, or some of card"),
    ],
)
def test_a_plan_names_methods_that_can_pay_it(sandbox, methods, currency, problem):
    plan = f"plans add x --price 5.00 --currency {currency} --set payment_methods={methods} -o json"
    answer = sandbox(*plan.split())
    assert (answer.code, answer.error["code"]) == (3, "bad_policy"), answer
    assert problem in answer.error["message"]


@pytest.mark.parametrize(
    ("methods", "currency", "given", "problem"),
    [
        ("any", "usd", "pm_sepaDebit_success_at", "which pays EUR, not USD"),
        ("sepa_debit", "eur", "tok_visa", "the plan takes sepa_debit only"),
        ("sepa_debit", "eur", "pm_card_visa", "the plan takes sepa_debit only"),
        ("sepa_debit,card", "eur", "pm_usBankAccount_success", "the plan takes sepa_debit, card only"),
    ],
)
def test_what_the_plan_does_not_take_is_refused_before_anything_is_made(
    sandbox, methods, currency, given, problem
):
    plan = f"plans add euro --price 5.00 --currency {currency} --set payment_methods={methods}"
    assert sandbox(*plan.split()).code == 0
    answer = sandbox(*BUY.format("euro").split(), "--payment-method", given, "-o", "json")
    assert (answer.code, answer.error["code"]) == (4, "payment_method_not_accepted"), answer
    assert problem in answer.error["message"]
    assert objects(sandbox, "customer") == []


def test_stripe_is_told_what_a_plan_takes_in_its_currency(sandbox):
    plan = "plans add euro --price 5.00 --currency eur --set payment_methods=card,sepa_debit,us_bank_account"
    assert sandbox(*plan.split()).code == 0
    assert sandbox(*BUY.format("euro").split(), *CARD).code == 0
    types = live_subscriptions(sandbox)[0]["payment_settings"]["payment_method_types"]
    assert types == ["card", "sepa_debit"]


def test_a_subscription_that_was_sold_for_cards_takes_a_debit_once_it_is_set(sandbox, pro):
    """A plan that took cards only when it was sold: Stripe limits the subscription to them."""
    assert sandbox(*BUY.format(pro).split(), *CARD).code == 0
    with twin(sandbox) as stripe:
        policy = {"seatctl_policy_payment_methods": "any"}
        send(stripe, f"subscriptions/{live_subscriptions(sandbox)[0]['id']}", {"metadata": policy})
    assert sandbox("sync").code == 0
    assert sandbox("subs", "billing", "acme", "--payment-method", BANK, "--yes").code == 0
    types = live_subscriptions(sandbox)[0]["payment_settings"]["payment_method_types"]
    assert types == ["card", "us_bank_account"]
