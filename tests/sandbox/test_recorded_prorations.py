"""Prorations as Stripe rounded, billed and described them, in our own words.

A month of the stories has 2,592,000 seconds: 6,480 are a four-hundredth of it, so that 10.00 USD come to 2.5
cents and 18.00 to 4.5; 864,000 are a third.
"""

import re

import pytest

from tests.sandbox.assertions import holds

MONTH = 2592000
FOUR_HUNDREDTH = 6480
DAY = r"\d{2} [A-Z][a-z]{2} \d{4}"
FROZEN = ["pricing", "quantity", "discounts"]


@pytest.fixture
def price(stripe, product):
    """A function that creates a monthly price of the product in USD."""

    def create(amount):
        sent = {"product": product, "currency": "usd", "unit_amount": amount}
        return stripe.post("prices", {**sent, "recurring": {"interval": "month"}})["id"]

    return create


def change(stripe, sub, behavior="always_invoice", before_end=FOUR_HUNDREDTH, **item):
    """Change the only item, that many seconds before the end of its period."""
    (held,) = sub["items"]["data"]
    params = {"items": [{"id": held["id"], **item}], "proration_behavior": behavior}
    if behavior != "none":
        params["proration_date"] = held["current_period_end"] - before_end
    return stripe.post(f"subscriptions/{sub['id']}", params)


def pending(stripe, customer):
    """Return the customer's pending items, newest first."""
    listed = stripe.get("invoiceitems", {"customer": customer, "pending": True})
    assert (listed["object"], listed["has_more"], listed["url"]) == ("list", False, "/v1/invoiceitems")
    return listed["data"]


@pytest.mark.parametrize(
    ("old", "new", "before_end", "seats", "amounts", "due"),
    [
        (1000, 1800, FOUR_HUNDREDTH, 1, (-3, 4), 1),
        (1000, 1000, FOUR_HUNDREDTH, 3, (-3, 7), 4),
        (2000, 1000, 864000, 1, (-667, 333), -334),
    ],
)
def test_a_change_is_invoiced_at_once_half_a_cent_rounded_down_on_both_sides(
    stripe, customer, product, price, old, new, before_end, seats, amounts, due
):
    held = price(old)
    params = held if new == old else price(new)
    sub = stripe.subscribe(customer, held)
    (item,) = sub["items"]["data"]
    stripe.advance(seconds=60)
    request = {"quantity": seats} if seats > 1 else {"price": params}
    changed = change(stripe, sub, before_end=before_end, **request)
    (now_held,) = changed["items"]["data"]
    period = ("id", "current_period_start", "current_period_end")
    assert [now_held[field] for field in period] == [item[field] for field in period]
    assert holds(
        changed,
        {
            "status": "active",
            "quantity": seats,
            "plan.id": params,
            "items.total_count": 1,
            "billing_cycle_anchor": sub["billing_cycle_anchor"],
        },
        null="pending_update",
    )
    assert (now_held["price"]["id"], now_held["quantity"]) == (params, seats)

    billed = stripe.get(f"invoices/{changed['latest_invoice']}")
    prefix = stripe.get(f"customers/{customer}")["invoice_prefix"]
    end, now = item["current_period_end"], sub["created"] + 60
    assert holds(
        billed,
        {
            "id": changed["latest_invoice"],
            "object": "invoice",
            "status": "paid",
            "billing_reason": "subscription_update",
            "collection_method": "charge_automatically",
            "auto_advance": False,
            "attempted": True,
            "attempt_count": 0,
            "subtotal": due,
            "total": due,
            "amount_due": 0,
            "amount_paid": 0,
            "amount_remaining": 0,
            "amount_overpaid": 0,
            "starting_balance": 0,
            "ending_balance": due,
            "number": f"{prefix}-0002",
            "discounts": [],
            "total_discount_amounts": [],
            "total_taxes": [],
            "parent.type": "subscription_details",
            "parent.subscription_details.subscription": sub["id"],
            "parent.subscription_details.metadata": {},
            "lines.has_more": False,
            "lines.total_count": 2,
            "period_start": item["current_period_start"],
            "period_end": now,
            "created": now,
            "status_transitions.finalized_at": now,
            "status_transitions.paid_at": now,
        },
        null="next_payment_attempt automatically_finalizes_at due_date default_payment_method "
        "parent.quote_details",
        absent="subscription payment_intent charge paid payments",
        present="hosted_invoice_url invoice_pdf effective_at",
    )
    times = f"{seats} × " if seats > 1 else ""
    expected_lines = zip(
        billed["lines"]["data"],
        amounts,
        (held, params),
        (1, seats),
        ("Unused time on ", f"Remaining time on {times}"),
        strict=True,
    )
    for line, amount, of, quantity, words in expected_lines:
        details = "parent.subscription_item_details"
        assert holds(
            line,
            {
                "object": "line_item",
                "amount": amount,
                "subtotal": amount,
                "quantity": quantity,
                "quantity_decimal": str(quantity),
                "discountable": False,
                "parent.type": "subscription_item_details",
                f"{details}.proration": True,
                f"{details}.subscription": sub["id"],
                f"{details}.subscription_item": item["id"],
                "pricing.type": "price_details",
                "pricing.price_details.price": of,
                "pricing.price_details.product": product,
                "period.start": end - before_end,
                "period.end": end,
            },
            null="pricing.unit_amount_decimal parent.invoice_item_details",
            absent="proration price plan subscription proration_details type",
            present=f"{details}.invoice_item",
        )
        assert re.fullmatch(f"{words}Pro after {DAY}", line["description"])
    credited, charged = (
        line["parent"]["subscription_item_details"]["proration_details"]["credited_items"]
        for line in billed["lines"]["data"]
    )
    (first,) = stripe.get(f"invoices/{sub['latest_invoice']}")["lines"]["data"]
    assert credited == {"invoice": sub["latest_invoice"], "invoice_line_items": [first["id"]]}
    assert charged is None
    assert stripe.get(f"customers/{customer}")["balance"] == due


def test_three_changes_add_up_in_the_customers_balance(stripe, customer, price):
    ten, eighteen, twenty = price(1000), price(1800), price(2000)
    change(stripe, stripe.subscribe(customer, ten), price=eighteen)
    change(stripe, stripe.subscribe(customer, ten), quantity=3)
    change(stripe, stripe.subscribe(customer, twenty), before_end=864000, price=ten)
    shown = stripe.get(f"customers/{customer}")
    assert holds(shown, {"balance": -334, "currency": "usd", "next_invoice_sequence": 7, "delinquent": False})


def test_prorations_that_are_not_invoiced_are_pending_items(stripe, customer, product, price):
    ten, eighteen = price(1000), price(1800)
    sub = stripe.subscribe(customer, ten)
    (item,) = sub["items"]["data"]
    changed = change(stripe, sub, "create_prorations", price=eighteen)
    assert (changed["latest_invoice"], changed["plan"]["id"]) == (sub["latest_invoice"], eighteen)
    waiting = pending(stripe, customer)
    for obj, amount, of, words in zip(
        waiting, (-3, 4), (ten, eighteen), ("Unused", "Remaining"), strict=True
    ):
        assert holds(
            obj,
            {
                "object": "invoiceitem",
                "amount": amount,
                "net_amount": amount,
                "currency": "usd",
                "proration": True,
                "discountable": False,
                "frozen_fields": FROZEN,
                "quantity": 1,
                "quantity_decimal": "1",
                "parent.type": "subscription_details",
                "parent.subscription_details.subscription": sub["id"],
                "parent.subscription_details.subscription_item": item["id"],
                "pricing.type": "price_details",
                "pricing.price_details.price": of,
                "pricing.price_details.product": product,
                "period.start": item["current_period_end"] - FOUR_HUNDREDTH,
                "period.end": item["current_period_end"],
                "proration_details.discount_amounts": [],
                "discounts": [],
                "date": waiting[0]["date"],
            },
            null="invoice pricing.unit_amount_decimal",
            absent="price plan subscription subscription_item unit_amount",
        )
        assert re.fullmatch(f"{words} time on Pro after {DAY}", obj["description"])
    credited = waiting[0]["proration_details"]["credited_items"]
    assert credited["type"] == "invoice_line_items"
    (first,) = stripe.get(f"invoices/{sub['latest_invoice']}")["lines"]["data"]
    billed = {"invoice": sub["latest_invoice"], "invoice_line_items": [first["id"]]}
    assert credited["invoice_line_item_details"] == billed
    assert waiting[1]["proration_details"]["credited_items"] is None

    other = stripe.subscribe(customer, ten)
    silent = change(stripe, other, "none", price=eighteen)
    assert (silent["latest_invoice"], silent["plan"]["id"]) == (other["latest_invoice"], eighteen)
    assert pending(stripe, customer) == waiting


def test_a_cancellation_that_prorates_credits_the_price_that_was_billed(stripe, customer, price):
    ten, eighteen = price(1000), price(1800)
    sub = stripe.subscribe(customer, ten)
    change(stripe, sub, "none", price=eighteen)
    stripe.advance(seconds=8)
    canceled = stripe.delete(f"subscriptions/{sub['id']}", {"prorate": True})
    (item,) = canceled["items"]["data"]
    expected = {
        "status": "canceled",
        "cancel_at_period_end": False,
        "quantity": 1,
        "cancellation_details.reason": "cancellation_requested",
        "latest_invoice": sub["latest_invoice"],
        "ended_at": canceled["canceled_at"],
        "plan.id": eighteen,
    }
    assert holds(canceled, expected, null="cancel_at")
    assert item["current_period_end"] == sub["created"] + MONTH
    (credit,) = pending(stripe, customer)
    assert holds(
        credit,
        {
            "amount": -1000,
            "net_amount": -1000,
            "proration": True,
            "quantity": 1,
            "discountable": False,
            "frozen_fields": FROZEN,
            "pricing.price_details.price": ten,
            "date": canceled["ended_at"],
            "period.start": canceled["ended_at"],
            "period.end": item["current_period_end"],
        },
        null="parent invoice pricing.unit_amount_decimal",
        absent="proration_details",
    )
    assert re.fullmatch(f"Unused time on Pro after {DAY}", credit["description"])


def test_a_cancellation_that_invoices_leaves_a_draft_for_an_hour(stripe, customer, price):
    ten = price(1000)
    sub = stripe.subscribe(customer, ten)
    (item,) = sub["items"]["data"]
    stripe.advance(seconds=2)
    canceled = stripe.delete(f"subscriptions/{sub['id']}", {"prorate": True, "invoice_now": True})
    expected = {"status": "canceled", "quantity": 1, "cancel_at_period_end": False}
    assert holds(canceled, {**expected, "ended_at": canceled["canceled_at"]}, null="cancel_at")
    assert canceled["cancellation_details"]["reason"] == "cancellation_requested"
    assert canceled["items"]["data"][0]["current_period_end"] == item["current_period_end"]
    assert canceled["latest_invoice"] != sub["latest_invoice"]
    draft = stripe.get(f"invoices/{canceled['latest_invoice']}")
    created = draft["created"]
    line = "lines.data.0"
    details = f"{line}.parent.subscription_item_details"
    assert holds(
        draft,
        {
            "object": "invoice",
            "status": "draft",
            "billing_reason": "subscription_cycle",
            "auto_advance": True,
            "attempted": False,
            "attempt_count": 0,
            "subtotal": -1000,
            "total": -1000,
            "amount_due": 0,
            "amount_paid": 0,
            "amount_remaining": 0,
            "starting_balance": 0,
            "parent.type": "subscription_details",
            "parent.subscription_details.subscription": sub["id"],
            "next_payment_attempt": created + 3600,
            "period_start": item["current_period_start"],
            "period_end": canceled["ended_at"],
            "lines.total_count": 1,
            f"{line}.amount": -1000,
            f"{line}.quantity": 1,
            f"{line}.discountable": False,
            f"{line}.parent.type": "subscription_item_details",
            f"{details}.proration": True,
            f"{details}.subscription": sub["id"],
            f"{details}.subscription_item": item["id"],
            f"{details}.proration_details.credited_items.invoice": sub["latest_invoice"],
            f"{line}.pricing.price_details.price": ten,
            f"{line}.period.start": canceled["ended_at"],
            f"{line}.period.end": item["current_period_end"],
        },
        null="number effective_at ending_balance hosted_invoice_url invoice_pdf "
        f"status_transitions.finalized_at status_transitions.paid_at {line}.pricing.unit_amount_decimal",
    )
    assert draft["automatically_finalizes_at"] - created in {3600, 3601}
    assert re.fullmatch(f"Unused time on Pro after {DAY}", draft["lines"]["data"][0]["description"])
    assert pending(stripe, customer) == []


def test_a_new_anchor_begins_a_period_now_and_bills_nothing_yet(stripe, customer, price):
    sub = stripe.subscribe(customer, price(1000))
    (item,) = sub["items"]["data"]
    stripe.advance(seconds=60)
    url = f"subscriptions/{sub['id']}"
    now = sub["created"] + 60
    moved = stripe.post(url, {"billing_cycle_anchor": "now"})
    expected = {
        "status": "active",
        "quantity": 1,
        "billing_cycle_anchor": now,
        "start_date": sub["created"],
    }
    assert holds(moved, expected)
    (begun,) = moved["items"]["data"]
    assert begun["id"] == item["id"]
    assert (begun["current_period_start"], begun["current_period_end"]) == (now, now + MONTH)
    same = stripe.post(url, {"billing_cycle_anchor": "unchanged"})
    assert (same["billing_cycle_anchor"], same["latest_invoice"]) == (now, moved["latest_invoice"])
    assert same["items"]["data"][0]["current_period_start"] == now
