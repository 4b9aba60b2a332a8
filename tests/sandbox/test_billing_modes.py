"""Classic and flexible billing: the same stories in both modes, with every amount worked out by hand.

The clock begins on 2026-09-21 14:13:20 UTC. A month is 30 days then, and the year that follows has 365 days.
"""

from datetime import UTC, datetime

import pytest

DAY = 86400
START = 1790000000
MODES = ("classic", "flexible")
NOW = {"proration_behavior": "always_invoice"}
LATER = {"proration_behavior": "none"}


def subscribe(stripe, mode, price=1000, seats=10, **more):
    product = {} if isinstance(price, str) else {"price": stripe.price(price)}
    price = product.get("price", price)
    return stripe.subscribe(stripe.customer(), price, seats, billing_mode={"type": mode}, **more)


def lines(stripe, subscription):
    """Return the amounts of the lines of the latest invoice, in its order."""
    return [line["amount"] for line in stripe.invoice(subscription["id"])["lines"]["data"]]


def period(answer):
    """Return the period of the only item, as days (UTC)."""
    (item,) = answer["items"]["data"]
    edges = (item["current_period_start"], item["current_period_end"])
    return tuple(f"{datetime.fromtimestamp(edge, UTC):%Y-%m-%d}" for edge in edges)


def balance(stripe, subscription):
    return stripe.get(f"customers/{subscription['customer']}")["balance"]


@pytest.mark.parametrize(
    ("mode", "after_decrease", "charged", "balance_then"),
    [
        # 4 seats of 10.00 for half a month come back: -20.00; 5 seats for it: +25.00.
        ("classic", [-2000, 2500], 500, 0),
        # The 10 seats that were billed come back: -50.00 + 25.00 = -25.00, which stays on the balance.
        ("flexible", [-5000, 2500], 0, -2500),
    ],
)
def test_after_a_change_without_proration_classic_credits_too_little(
    stripe, mode, after_decrease, charged, balance_then
):
    subscription = subscribe(stripe, mode)
    stripe.advance(days=15)
    stripe.change(subscription, quantity=4, **LATER)
    stripe.change(subscription, quantity=5, **NOW)
    assert lines(stripe, subscription) == after_decrease
    assert stripe.invoice(subscription["id"])["amount_paid"] == charged
    assert balance(stripe, subscription) == balance_then
    stripe.advance(days=5)
    # From here on the item holds what was billed, and both modes agree: a third of the month is left.
    stripe.change(subscription, price=stripe.price(2000), **NOW)
    assert lines(stripe, subscription) == [-1667, 3333]  # -5 x 10.00 / 3 and +5 x 20.00 / 3
    stripe.advance(days=5)
    stripe.delete(f"subscriptions/{subscription['id']}", {"prorate": True, "invoice_now": True})
    assert lines(stripe, subscription) == [-1667]  # -5 x 20.00 / 6


@pytest.mark.parametrize(
    ("mode", "credit"),
    [
        ("classic", -10000),  # 10 seats at the present 20.00, for half a month
        ("flexible", -5000),  # at the 10.00 that were billed
    ],
)
def test_a_cancellation_after_a_new_price_without_proration(stripe, mode, credit):
    subscription = subscribe(stripe, mode)
    stripe.advance(days=15)
    stripe.change(subscription, price=stripe.price(2000), **LATER)
    stripe.delete(f"subscriptions/{subscription['id']}", {"prorate": True, "invoice_now": True})
    assert lines(stripe, subscription) == [credit]


@pytest.mark.parametrize(("mode", "credits"), [("classic", [-1000]), ("flexible", [])])
def test_classic_credits_an_item_that_was_never_billed(stripe, mode, credits):
    subscription = subscribe(stripe, mode)
    stripe.advance(days=15)
    added = {"subscription": subscription["id"], "price": stripe.price(2000), "quantity": 1}
    item = stripe.post("subscription_items", {**added, **LATER})
    stripe.delete(f"subscription_items/{item['id']}")
    pending = stripe.get("invoiceitems", {"pending": True})["data"]
    assert [one["amount"] for one in pending] == credits  # 20.00 for half a month


@pytest.mark.parametrize("mode", MODES)
def test_prorations_are_net_of_a_running_discount(stripe, mode):
    coupon = stripe.coupon(percent_off=20)
    subscription = subscribe(stripe, mode, discounts=[{"coupon": coupon}])
    stripe.advance(days=15)
    stripe.change(subscription, quantity=12, **NOW)
    # 10 x 10.00 less a fifth, for half a month: -40.00; 12 x 10.00 less a fifth: +48.00.
    assert lines(stripe, subscription) == [-4000, 4800]


@pytest.mark.parametrize(
    ("mode", "charge"),
    [
        ("classic", 2500),  # each of two items has 10.00 off: (2 x 30.00 - 10.00) / 2
        ("flexible", 2333),  # 60.00 of 90.00 have two thirds of 20.00 off: (60.00 - 13.33) / 2
    ],
)
def test_a_fixed_amount_off_is_shared_in_equal_parts_by_classic_billing(stripe, mode, charge):
    customer, small, large = stripe.customer(), stripe.price(3000), stripe.price(1500)
    coupon = stripe.coupon(amount_off=2000, currency="usd")
    subscription = stripe.post(
        "subscriptions",
        {
            "customer": customer,
            "billing_mode": {"type": mode},
            "discounts": [{"coupon": coupon}],
            "items": [{"price": small, "quantity": 1}, {"price": large, "quantity": 2}],
        },
    )
    stripe.advance(days=15)
    (item,) = [one for one in subscription["items"]["data"] if one["price"]["id"] == small]
    stripe.post(f"subscription_items/{item['id']}", {"quantity": 2, **NOW})
    assert lines(stripe, subscription)[1] == charge


@pytest.mark.parametrize(
    ("mode", "amounts", "due", "runs"),
    [
        # 20 of 30 days are unused, -20.00; a year from now on, which costs 300.00.
        ("classic", [-2000, 30000], 28000, ("2026-10-01", "2027-10-01")),
        # The year began with the month: 355 of 365 days of 300.00 are left, +291.78.
        ("flexible", [-2000, 29178], 27178, ("2026-09-21", "2027-09-21")),
    ],
)
def test_a_month_becomes_a_year(stripe, mode, amounts, due, runs):
    subscription = subscribe(stripe, mode, 3000, 1)
    yearly = stripe.price(30000, interval="year")
    stripe.advance(days=10)
    change = stripe.change_of(subscription, price=yearly, **NOW)
    previewed = stripe.preview(subscription, change)
    changed = stripe.post(f"subscriptions/{subscription['id']}", change)
    assert lines(stripe, subscription) == [line["amount"] for line in previewed["lines"]["data"]] == amounts
    assert (previewed["amount_due"], stripe.invoice(subscription["id"])["amount_paid"]) == (due, due)
    assert period(changed) == runs
    anchor = START + 10 * DAY if mode == "classic" else START
    assert changed["billing_cycle_anchor"] == anchor
    stripe.advance(days=356)  # the 366th day
    assert lines(stripe, subscription) == ([30000] if mode == "flexible" else amounts)
    stripe.advance(days=10)
    assert lines(stripe, subscription) == [30000]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("behavior", ["create_prorations", "none"])
def test_only_classic_bills_another_interval_at_once_without_being_asked(stripe, mode, behavior):
    subscription = subscribe(stripe, mode, 3000, 1)
    yearly = stripe.price(30000, interval="year")
    stripe.advance(days=10)
    stripe.change(subscription, price=yearly, proration_behavior=behavior)
    pending = [one["amount"] for one in stripe.get("invoiceitems", {"pending": True})["data"]]
    prorated = behavior == "create_prorations"
    if mode == "classic":
        assert (lines(stripe, subscription), pending) == ([*([-2000] if prorated else []), 30000], [])
    else:
        assert (lines(stripe, subscription), pending) == ([3000], [-2000, 29178] if prorated else [])


@pytest.mark.parametrize(
    ("mode", "amounts", "runs"),
    [
        # Day 100: 265 of 365 days are unused, -217.81; a month from now on.
        ("classic", [-21781, 3000], ("2026-12-30", "2027-01-30")),
        # The months go on from 21 September; 22 of the 31 days from 21 December to 21 January are left.
        ("flexible", [-21781, 2129], ("2026-12-21", "2027-01-21")),
    ],
)
def test_a_year_becomes_months(stripe, mode, amounts, runs):
    subscription = subscribe(stripe, mode, stripe.price(30000, interval="year"), 1)
    stripe.advance(days=100)
    changed = stripe.change(subscription, price=stripe.price(3000), **NOW)
    assert lines(stripe, subscription) == amounts
    assert period(changed) == runs
    assert balance(stripe, subscription) == sum(amounts)
    stripe.advance(days=32)
    # The next month is paid from the credit of the year.
    assert stripe.invoice(subscription["id"])["amount_paid"] == 0
    assert balance(stripe, subscription) == sum(amounts) + 3000


@pytest.mark.parametrize("mode", MODES)
def test_another_interval_moves_the_end_of_a_subscription_that_ends_with_its_period(stripe, mode):
    subscription = subscribe(stripe, mode, 3000, 1, cancel_at_period_end=True)
    stripe.advance(days=10)
    changed = stripe.change(subscription, price=stripe.price(30000, interval="year"), **NOW)
    assert changed["cancel_at"] == changed["items"]["data"][0]["current_period_end"]


@pytest.mark.parametrize("mode", MODES)
def test_a_declined_change_of_interval_changes_nothing(stripe, mode):
    subscription = subscribe(stripe, mode, 3000, 1)
    stripe.replace_card(subscription["customer"], "pm_card_chargeCustomerFail")
    before = stripe.get(f"subscriptions/{subscription['id']}")
    change = stripe.change_of(subscription, price=stripe.price(30000, interval="year"), **NOW)
    error = stripe.refused(
        "POST", f"subscriptions/{subscription['id']}", {**change, "payment_behavior": "error_if_incomplete"}
    )
    assert error["status"] == 402
    assert stripe.get(f"subscriptions/{subscription['id']}") == before


def test_a_classic_anchor_now_credits_the_old_period_and_bills_a_new_one(stripe):
    subscription = subscribe(stripe, "classic", 3000, 1)
    stripe.advance(days=10)
    changed = stripe.post(
        f"subscriptions/{subscription['id']}",
        {"billing_cycle_anchor": "now"},
        Stripe_Version="2026-08-26.dahlia",
    )
    assert lines(stripe, subscription) == [-2000, 3000]
    assert period(changed) == ("2026-10-01", "2026-11-01")


def test_classic_items_have_one_interval(stripe):
    subscription = subscribe(stripe, "classic")
    added = {"subscription": subscription["id"], "price": stripe.price(interval="year")}
    assert "mismatched interval" in stripe.refused("POST", "subscription_items", added)["message"]


def test_the_version_of_the_request_decides_the_mode_of_a_new_subscription(stripe):
    params = {"customer": stripe.customer(), "items": [{"price": stripe.price()}]}
    modes = [
        stripe.post("subscriptions", params, Stripe_Version=version)["billing_mode"]["type"]
        for version in ("2025-08-27.basil", "2025-09-30.clover", "2026-08-26.dahlia")
    ]
    assert modes == ["classic", "flexible", "flexible"]


def test_a_migrated_subscription_credits_what_was_billed_before(stripe):
    subscription = subscribe(stripe, "classic")
    stripe.advance(days=15)
    stripe.change(subscription, quantity=4, **LATER)
    path = f"subscriptions/{subscription['id']}/migrate"
    flexible = {"billing_mode": {"type": "flexible"}}
    migrated = stripe.post(path, flexible)
    assert migrated["billing_mode"] == {
        "type": "flexible",
        "flexible": {"proration_discounts": "included"},
        "updated_at": START + 15 * DAY,
    }
    assert stripe.events()[-1] == "customer.subscription.updated"
    stripe.change(subscription, quantity=5, **NOW)
    assert lines(stripe, subscription) == [-5000, 2500]
    assert stripe.refused("POST", path, flexible)["param"] == "billing_mode[type]"
    assert stripe.refused("POST", path, {"billing_mode": {"type": "classic"}})["status"] == 400


def test_what_waited_before_a_migration_stays_as_it_was(stripe):
    subscription = subscribe(stripe, "classic")
    stripe.change(subscription, quantity=4, **LATER)
    stripe.advance(days=15)
    stripe.change(subscription, quantity=5)  # classic: -20.00 + 25.00 wait for the renewal
    stripe.post(f"subscriptions/{subscription['id']}/migrate", {"billing_mode": {"type": "flexible"}})
    stripe.advance(days=16)
    assert lines(stripe, subscription) == [-2000, 2500, 5000]
