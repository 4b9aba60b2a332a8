"""An update of Stripe's names what changes and nothing else: an archived price keeps billing who has it."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import assert_agree, live_subscriptions, objects, twin
from tests.support.subscriptions import ledger_place, query


def archive_old_price(seatctl, plan: str) -> None:
    """A new price for who comes; the old one, which the subscription has, is archived in the dashboard."""
    price = objects(seatctl, "subscription_item")[0]["price"]["id"]
    assert seatctl(*f"plans edit {plan} --price 15.00".split()).code == 0
    with twin(seatctl) as stripe:
        send(stripe, f"prices/{price}", {"active": False})
    assert seatctl("sync").code == 0


def sent(seatctl, path: str) -> list[dict]:
    """The forms that were sent to a path, oldest first, without metadata."""
    rows = query(ledger_place(seatctl), "SELECT form FROM steps ORDER BY operation_id, number")
    calls = [json.loads(form) for (form,) in rows]
    return [
        {name: value for name, value in call["form"].items() if name != "metadata"}
        for call in calls
        if call["path"].startswith(path)
    ]


@pytest.mark.parametrize("command", ["add-seats design 1", "set-seats design 3", "cancel design"])
def test_an_archived_price_blocks_no_change_of_seats(sandbox, team, command):
    archive_old_price(sandbox, "pro")
    changed = sandbox("subs", *command.split(), "--yes", "-o", "json")
    assert changed.code == 0, changed.err


def test_an_archived_price_blocks_no_renewal_and_no_seats_at_full_price(sandbox):
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    buy = "subs buy --plan team --seats 20 --name acme --billing-email pay@example.com"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_visa", "--yes").code == 0
    archive_old_price(sandbox, "team")
    assert sandbox("subs", "add-seats", "acme", "5", "--yes").code == 0
    assert sandbox("sandbox", "advance", "350d").code == 0
    renewed = sandbox("subs", "renew", "acme", "--yes", "-o", "json")
    assert renewed.code == 0, renewed.err
    item = live_subscriptions(sandbox)[0]["id"]
    (held,) = [one for one in objects(sandbox, "subscription_item") if one["subscription"] == item]
    assert (held["quantity"], held["price"]["unit_amount"]) == (25, 1500)


def test_a_change_of_seats_names_no_price_and_a_change_of_plan_no_quantity(sandbox, team):
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 0
    assert sandbox("subs", "set-seats", team, "4", "--yes").code == 0
    assert sandbox("subs", "set-seats", team, "6", "--yes").code == 0
    assert sandbox("plans", "add", "plus", "--price", "20.00", "--currency", "usd").code == 0
    assert sandbox("subs", "change-plan", team, "plus", "--yes").code == 0
    held = objects(sandbox, "subscription_item")[0]
    items = [form.get("items") for form in sent(sandbox, "/v1/subscriptions/")]
    assert items == [
        [{"id": held["id"], "quantity": 6}],
        [{"id": held["id"], "quantity": 4}],
        [{"id": held["id"], "quantity": 6}],
        [{"id": held["id"], "price": held["price"]["id"]}],
    ]
    assert (held["quantity"], held["price"]["unit_amount"]) == (6, 2000)
    assert_agree(sandbox)


def test_billing_details_send_what_differs(sandbox, team):
    words = f"subs billing {team} --email pay@example.com --name Acme --address city=Bonn"
    assert sandbox(*words.split(), "--address", "country=DE", "--yes").code == 0
    assert sandbox("subs", "billing", team, "--email", "pay@example.com", "--name", "Acme", "--yes").code == 0
    customer = objects(sandbox, "customer")[0]
    forms = sent(sandbox, f"/v1/customers/{customer['id']}")
    assert forms == [{"name": "Acme", "address": {"city": "Bonn", "country": "DE"}}]


def test_the_card_that_pays_already_is_not_made_the_default_again(sandbox, team):
    (customer,) = objects(sandbox, "customer")
    card = customer["invoice_settings"]["default_payment_method"]
    assert sandbox("subs", "billing", team, "--payment-method", card, "--yes").code == 0
    assert sent(sandbox, f"/v1/customers/{customer['id']}") == []


def test_a_plan_sends_what_was_edited(sandbox, pro):
    assert sandbox("plans", "edit", pro, "--name", "Professional").code == 0
    assert sandbox("plans", "archive", pro).code == 0
    assert sent(sandbox, "/v1/products/") == [{"name": "Professional"}, {"active": False}]


def test_an_archived_price_that_a_change_has_to_name_is_said_with_the_way_out(sandbox, team):
    """A plan change waits, so that seats added now go back to the running price until the term's end."""
    assert sandbox("plans", "add", "plus", "--price", "20.00", "--currency", "usd").code == 0
    price = objects(sandbox, "subscription_item")[0]["price"]["id"]
    assert sandbox("subs", "change-plan", team, "plus", "--at-renewal", "--yes").code == 0
    with twin(sandbox) as stripe:
        send(stripe, f"prices/{price}", {"active": False})
    refused = sandbox("subs", "add-seats", team, "1", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (5, "stripe_invalid_request")
    assert "activate the price in Stripe's dashboard" in refused.error["hint"]


def test_a_price_that_has_to_be_set_again_after_the_charge_is_looked_at_before_it(sandbox, team):
    """The item holds the plan that waits; seats added now take the running price for a moment."""
    assert sandbox("plans", "add", "plus", "--price", "20.00", "--currency", "usd").code == 0
    assert sandbox("subs", "change-plan", team, "plus", "--at-renewal", "--yes").code == 0
    held = objects(sandbox, "subscription_item")[0]
    with twin(sandbox) as stripe:
        send(stripe, f"prices/{held['price']['id']}", {"active": False})
    charges = objects(sandbox, "charge")
    refused = sandbox("subs", "add-seats", team, "1", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "price_archived")
    assert "subs change-plan" in refused.error["hint"]
    assert objects(sandbox, "charge") == charges
    assert objects(sandbox, "subscription_item")[0]["quantity"] == held["quantity"]
    assert sandbox("sync").code == 0
    back = sandbox("subs", "change-plan", team, "pro", "--at-renewal", "--yes", "-o", "json")
    assert back.code == 0, back.err
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 0
