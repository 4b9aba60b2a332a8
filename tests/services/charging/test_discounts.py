"""Coupons and promotion codes where the policy gives them; and automatic tax, as far as it can be shown."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from seatctl.ledger import operations
from seatctl.ledger.ledger import open_ledger
from seatctl.services.charging.own_invoice import OwnInvoice, price_data
from seatctl.services.operations import handlers
from seatctl.services.purchases.buy_operation import subscription_form
from seatctl.services.purchases.checkout_operation import page_form
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, assert_agree, charges, contents, live_subscriptions, objects
from tests.support.subscriptions import ledger_place

BUY = "subs buy --plan {} --seats 10 --name acme --billing-email pay@example.com --yes -o json"
CARD = ("--payment-method", "pm_card_visa")


@pytest.fixture
def shop(sandbox):
    """Two plans, a coupon of 20 % off once, a promotion code of it, and one of 1.00 USD off forever."""
    for slug, price, interval, policy in (
        ("pro", "12.00", "month", "flexible"),
        ("team", "5.00", "year", "term"),
    ):
        words = f"plans add {slug} --price {price} --currency usd --interval {interval} --policy {policy}"
        assert sandbox(*words.split()).code == 0
    change(sandbox, "coupons", id="fifth", percent_off="20", duration="once")
    change(sandbox, "coupons", id="dollar", amount_off="100", currency="usd", duration="forever")
    change(
        sandbox,
        "promotion_codes",
        code="SPRING",
        **{"promotion[type]": "coupon", "promotion[coupon]": "fifth"},
    )
    return sandbox


def buy(seatctl, plan: str, *options: str):
    return seatctl(*BUY.format(plan).split(), *options)


@pytest.mark.parametrize(
    ("plan", "discount", "paid"),
    [
        ("pro", ("--coupon", "fifth"), 9600),
        ("pro", ("--promo", "SPRING"), 9600),
        ("team", ("--promo", "SPRING"), 4000),
        ("team", ("--coupon", "dollar"), 4900),
    ],
)
def test_a_discount_on_a_purchase_is_quoted_and_charged(shop, plan, discount, paid):
    quoted = buy(shop, plan, *CARD, *discount, "--dry-run")
    assert (quoted.code, quoted.rows[0]["due_now"]) == (0, paid)
    assert buy(shop, plan, *CARD, *discount).code == 0
    assert charges(shop) == [paid]
    assert_agree(shop)


def test_a_discount_that_lasts_counts_at_the_renewal_and_one_for_once_does_not(shop):
    assert buy(shop, "pro", *CARD, "--coupon", "dollar", "--promo", "SPRING").code == 0
    advance(shop, hours=24 * 32)
    assert charges(shop)[1:] == [11900]


def test_on_account_and_on_the_page_too(shop):
    assert buy(shop, "pro", "--on-account", "--promo", "SPRING").code == 0
    assert [one["total"] for one in shop.rows("invoices", "list")] == [9600]
    words = "subs buy --plan pro --seats 10 --name lab --checkout --promo SPRING --yes -o json"
    page = shop(*words.split())
    assert shop("sandbox", "complete", page.error["checkout_session"], "--yes").code == 0
    assert shop("sync").code == 0
    assert charges(shop) == [9600]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--coupon", "nope"), "unknown_coupon"),
        (("--promo", "NOPE"), "unknown_promotion_code"),
        (("--promo", "fifth"), "unknown_promotion_code"),
        (("--coupon", "SPRING"), "unknown_coupon"),
    ],
)
def test_an_unknown_discount_is_told_and_nothing_is_bought(shop, options, code):
    before = contents(shop)
    refused = buy(shop, "pro", *CARD, *options)
    assert (refused.code, refused.error["code"], refused.out) == (9, code, "")
    assert contents(shop) == before


def test_a_term_contract_is_discounted_when_bought_and_renewed_and_not_between(shop):
    assert buy(shop, "team", *CARD, "--promo", "SPRING").code == 0
    refused = shop("subs", "add-seats", "acme", "5", "--promo", "SPRING", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "discount_not_allowed")
    assert shop("subs", "add-seats", "acme", "5", "--yes").code == 0
    advance(shop, hours=24 * 340)
    words = "subs renew acme --seats 10 --coupon fifth --yes -o json"
    assert shop(*words.split(), "--dry-run").rows[0]["due_now"] == 4000
    assert shop(*words.replace("fifth", "nope").split()).code == 9
    renewed = shop(*words.split())
    assert (renewed.code, renewed.rows[0]["amount_paid"]) == (0, 4000), renewed.err
    assert charges(shop) == [4000, 2500, 4000]
    assert shop("audit", "verify").code == shop("ledger", "check").code == 0


def test_a_discount_of_the_contract_is_not_inherited_by_added_seats(shop):
    assert buy(shop, "team", *CARD, "--coupon", "dollar").code == 0
    assert shop("subs", "add-seats", "acme", "5", "--yes").code == 0
    assert charges(shop) == [4900, 2500]


@pytest.mark.parametrize(
    ("command", "full"),
    [("subs add-seats acme 5", 6000), ("subs change-plan acme plus", 2000)],
)
def test_a_flexible_change_is_discounted_as_it_was_quoted(shop, command, full):
    words = "plans add plus --price 14.00 --currency usd --interval month --policy flexible"
    added = shop(*words.split())
    assert added.code == 0
    assert buy(shop, "pro", *CARD, "--coupon", "dollar").code == 0
    undiscounted = shop(*command.split(), "--dry-run", "-o", "json").rows[0]["due_now"]
    change(shop, "coupons", id="twentieth", percent_off="5", duration="once")
    words = [*command.split(), "--coupon", "twentieth", "--yes", "-o", "json"]
    quoted = shop(*words, "--dry-run").rows[0]["due_now"]
    assert 0 < quoted < undiscounted <= full
    assert shop(*words).code == 0
    assert charges(shop) == [11900, quoted]
    (subscription,) = live_subscriptions(shop)
    ids = subscription["discounts"]
    kept = [one["source"]["coupon"] for one in objects(shop, "discount") if one["id"] in ids]
    assert "dollar" in kept
    assert_agree(shop)


@pytest.mark.parametrize("command", ["subs add-seats acme 5", "subs change-plan acme team"])
def test_an_unknown_discount_changes_nothing(shop, command):
    assert buy(shop, "pro", *CARD).code == 0
    before = contents(shop)
    refused = shop(*command.split(), "--coupon", "nope", "--yes", "-o", "json")
    assert refused.code in {4, 9}
    assert contents(shop) == before


# Automatic tax ----------------------------------------------------------------------------------------


def test_the_setting_takes_on_and_off_only(sandbox):
    assert sandbox("config", "get", "stripe.automatic_tax").out == "off\n"
    assert sandbox("config", "set", "stripe.automatic_tax", "maybe").code == 3


def bill(**changes) -> OwnInvoice:
    fields = {
        "customer": "cus_1",
        "stripe_subscription": "sub_1",
        "payment_method": None,
        "product": "prod_1",
        "currency": "eur",
        "unit_amount": 500,
        "quantity": 5,
        "description": "5 seats",
        "discounts": "",
        "max_spend": None,
        "due_days": None,
    }
    return OwnInvoice(**{**fields, **changes})


def test_our_own_lines_are_taxed_as_the_price_says():
    assert "tax_behavior" not in price_data(bill())
    assert price_data(bill(tax_behavior="exclusive"))["tax_behavior"] == "exclusive"


@pytest.mark.parametrize("taxed", [False, True])
def test_a_purchase_and_its_page_ask_stripe_for_the_tax(sandbox, pro, taxed):
    page = sandbox(
        "subs", "buy", "--plan=pro", "--seats=1", "--name=lab", "--checkout", "--yes", "-o", "json"
    )
    with closing(open_ledger(ledger_place(sandbox))) as ledger:
        with ledger.reading() as reader:
            operation = operations.of_run(reader, page.error["run"])
        payload = {**operation.payload, "automatic_tax": taxed}
        running = handlers.start(ledger, None, None, replace(operation, payload=payload))
        bought, paid = subscription_form(running, "cus_1"), page_form(running, "cus_1")
    assert ("automatic_tax" in bought, "automatic_tax" in paid) == (taxed, taxed)
    if taxed:
        assert bought["automatic_tax"] == paid["automatic_tax"] == {"enabled": True}
        assert paid["customer_update"] == {"address": "auto", "name": "auto"}
        assert paid["tax_id_collection"] == {"enabled": True}
