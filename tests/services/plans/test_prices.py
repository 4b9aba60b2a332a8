"""Prices made in the dashboard: with tiers or for packs they are shown, in several currencies sold, too."""

from __future__ import annotations

import pytest

from seatctl.sandbox.session import Session
from tests.sandbox.seed import send
from tests.support.both_sides import charges, objects, twin
from tests.support.subscriptions import ledger_place, query

MONTHLY = {"interval": "month"}
TIERS = [{"up_to": 10, "unit_amount": 1200}, {"up_to": "inf", "unit_amount": 900}]
SHAPES = {
    "volume": {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": TIERS},
    "tiered (graduated)": {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": TIERS},
    "for packs of 10": {"unit_amount": 9000, "transform_quantity": {"divide_by": 10, "round": "up"}},
}
STEPS = "1 to 10: 12.00 USD each; from 11 on: 9.00 USD each."
SHOWN = {
    "volume": f"All seats cost the price of the tier that their number is in (volume): {STEPS}",
    "tiered (graduated)": f"Each seat costs the price of its tier (graduated): {STEPS}",
    "for packs of 10": "90.00 USD for each 10 seats, rounded up.",
}
BUY = "subs buy --plan {} --seats 3 --name lab --billing-email pay@example.com --payment-method pm_card_visa"


def made_elsewhere(seatctl, name="Bulk", **price):
    """A product with this price, made in the dashboard, and read."""
    with twin(seatctl) as stripe:
        product = send(stripe, "products", {"name": name})["id"]
        form = {"product": product, "currency": "usd", "recurring": MONTHLY, **price}
        made = send(stripe, "prices", form)
        send(stripe, f"products/{product}", {"default_price": made["id"]})
    assert seatctl("sync").code == 0
    assert seatctl("plans", "edit", name.lower(), "--policy", "flexible").code == 0
    return made["id"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_price_without_an_amount_per_seat_is_shown_truly_and_refused_by_name(sandbox, shape):
    made_elsewhere(sandbox, **SHAPES[shape])
    shown = sandbox("plans", "show", "bulk", "-o", "json").json
    assert (shown["unit_amount"], shown["pricing"]) == (None, [SHOWN[shape]])
    (listed,) = sandbox("plans", "list", "-o", "json").json
    assert listed["unit_amount"] is None
    refused = sandbox(*BUY.format("bulk").split(), "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "no_unit_price")
    assert refused.error["message"].startswith(f"the price of bulk is {shape}, so ")
    assert sandbox(*refused.error["hint"].split()[1:]).code == 0
    assert objects(sandbox, "customer") == objects(sandbox, "subscription") == []


def test_a_subscription_does_not_change_to_a_plan_with_tiers(sandbox, team):
    made_elsewhere(sandbox, **SHAPES["volume"])
    refused = sandbox("subs", "change-plan", team, "bulk", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "no_unit_price")
    assert "is volume" in refused.error["message"]


OPTIONS = {
    "unit_amount": 1200,
    "currency_options": {"eur": {"unit_amount": 1100}, "jpy": {"unit_amount": 1700}},
}


def row(seatctl):
    return query(ledger_place(seatctl), "SELECT currency, unit_amount, capacity FROM subscriptions")


def test_a_plan_is_sold_in_each_of_its_currencies(sandbox):
    made_elsewhere(sandbox, **OPTIONS)
    shown = sandbox("plans", "show", "bulk", "-o", "json").json
    assert shown["currency_options"] == {"eur": 1100, "jpy": 1700, "usd": 1200}
    assert shown["pricing"] == ["It is also sold at 11.00 EUR, 1700 JPY per seat."]
    dry = sandbox(*BUY.format("bulk").split(), "--currency", "EUR", "--dry-run", "-o", "json").rows[0]
    assert (dry["unit_amount"], dry["currency"], dry["due_now"]) == (1100, "eur", 3300)
    limited = (
        *BUY.format("bulk").split(),
        "--currency",
        "eur",
        "--max-spend",
        "33.00",
        "--yes",
        "-o",
        "json",
    )
    bought = sandbox(*limited)
    assert (bought.code, bought.rows[0]["currency"], bought.rows[0]["unit_amount"]) == (0, "eur", 1100)
    assert row(sandbox) == [("eur", 1100, 3)]
    assert [(one["amount"], one["currency"]) for one in objects(sandbox, "charge")] == [(3300, "eur")]
    (item,) = objects(sandbox, "subscription_item")
    with twin(sandbox) as stripe:
        shown_item = Session(stripe.store, stripe.now()).view(item)
    assert (shown_item["price"]["currency"], shown_item["price"]["unit_amount"]) == ("usd", 1200)
    assert sandbox("sync", "--full").code == 0
    assert row(sandbox) == [("eur", 1100, 3)]


def test_seats_are_added_and_a_term_is_renewed_in_the_currency_of_the_subscription(sandbox):
    made_elsewhere(sandbox, **OPTIONS)
    assert sandbox(*BUY.format("bulk").split(), "--currency", "eur", "--yes").code == 0
    assert sandbox("subs", "add-seats", "lab", "2", "--yes").code == 0
    assert {one["currency"] for one in objects(sandbox, "charge")} == {"eur"}
    assert charges(sandbox)[1] <= 2200
    assert sandbox("sandbox", "advance", "32d").code == 0
    assert sandbox("sync").code == 0
    assert charges(sandbox)[-1] == 5500
    assert row(sandbox) == [("eur", 1100, 5)]


def test_a_currency_in_which_a_plan_is_not_sold_is_refused(sandbox, pro):
    made_elsewhere(sandbox, **OPTIONS)
    for plan, sold in (("bulk", "EUR, JPY, USD"), ("pro", "USD")):
        refused = sandbox(*BUY.format(plan).split(), "--currency", "gbp", "--yes", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "plan_currency")
        assert refused.error["message"] == f"plan {plan} is sold in {sold}, not in GBP"
    assert sandbox(*BUY.format("pro").split(), "--currency", "dollars", "--yes").code == 3


def test_a_page_charges_in_the_currency_that_was_shown(sandbox):
    """Stripe's page would choose the currency of the payer's country."""
    made_elsewhere(sandbox, **OPTIONS)
    words = "subs buy --plan bulk --seats 2 --name lab --billing-email pay@example.com --checkout"
    for currency in ("jpy", None):
        named = [] if currency is None else ["--currency", currency]
        waiting = sandbox(*words.replace("lab", f"lab-{currency}").split(), *named, "--yes", "-o", "json")
        assert waiting.code == 10
        assert sandbox("sandbox", "complete", waiting.error["checkout_session"]).code == 0
        assert sandbox("sync").code == 0
    assert query(ledger_place(sandbox), "SELECT currency, unit_amount FROM subscriptions ORDER BY id") == [
        ("jpy", 1700),
        ("usd", 1200),
    ]
    assert [(one["amount"], one["currency"]) for one in objects(sandbox, "charge")] == [
        (3400, "jpy"),
        (2400, "usd"),
    ]


def test_a_subscription_in_another_currency_that_was_made_elsewhere_is_shown_truly(sandbox):
    price = made_elsewhere(sandbox, **OPTIONS)
    with twin(sandbox) as stripe:
        customer = send(
            stripe,
            "customers",
            {
                "name": "acme",
                "payment_method": "pm_card_visa",
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
            },
        )["id"]
        send(
            stripe,
            "subscriptions",
            {"customer": customer, "currency": "eur", "items": [{"price": price, "quantity": 4}]},
        )
    assert sandbox("sync").code == 0
    assert row(sandbox) == [("eur", 1100, 4)]
    (listed,) = sandbox("subs", "list", "-o", "json").json
    assert (listed["unit_amount"], listed["currency"]) == (1100, "eur")
