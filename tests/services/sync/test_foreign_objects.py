"""An account that seatctl has never seen: forty subscriptions made elsewhere come in with good names."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import send
from tests.support.both_sides import twin
from tests.support.subscriptions import ledger_place, query

CURRENCIES = ("usd", "eur", "jpy", "gbp", "chf", "isk", "kwd", "ugx")
NAMES = ("Acme Inc.", "Acme GmbH", "Müller & Söhne", "Ben", "東京", None)


def product(stripe, name, currency="usd", amount=1000, **extra):
    made = send(stripe, "products", {"name": name})["id"]
    priced = {"product": made, "currency": currency, "unit_amount": amount}
    return send(stripe, "prices", {**priced, "recurring": {"interval": "month"}, **extra})["id"]


def customer(stripe, name, email="pay@acme.example"):
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    return send(stripe, "customers", {"email": email, **({"name": name} if name else {}), **card})["id"]


def subscribe(stripe, who, *prices, **extra):
    items = [{"price": price, "quantity": 3 + n} for n, price in enumerate(prices)]
    return send(stripe, "subscriptions", {"customer": who, "items": items, **extra})["id"]


@pytest.fixture
def foreign(sandbox):
    """Forty subscriptions: odd currencies, classic and flexible billing, several items, ended ones."""
    with twin(sandbox) as stripe:
        prices = [product(stripe, f"Pro {currency.upper()}", currency, 1000) for currency in CURRENCIES]
        meetings, webinars = product(stripe, "Meetings"), product(stripe, "Webinars")
        metered = {"interval": "month", "usage_type": "metered", "meter": "mtr_1"}
        calls = product(stripe, "Calls", recurring=metered)
        for n in range(36):
            mode = {"billing_mode": {"type": "flexible" if n % 3 else "classic"}}
            subscribe(stripe, customer(stripe, NAMES[n % 6]), prices[n % 8], **mode)
        subscribe(stripe, customer(stripe, "Globex Corp"), meetings, webinars)
        with_meter = [{"price": meetings, "quantity": 4}, {"price": calls}]
        send(stripe, "subscriptions", {"customer": customer(stripe, "Initech"), "items": with_meter})
        ended = subscribe(stripe, customer(stripe, "Ben"), prices[0])
        headers = {"Authorization": "Bearer sk_test_x"}
        stripe.handle("DELETE", f"/v1/subscriptions/{ended}", headers, None)
        leaver = customer(stripe, "Hooli LLC")
        subscribe(stripe, leaver, prices[0])
        stripe.handle("DELETE", f"/v1/customers/{leaver}", headers, None)
        single = customer(stripe, "Umbrella")
        send(stripe, "invoiceitems", {"customer": single, "amount": 500, "currency": "usd"})
        bill = {"customer": single, "pending_invoice_items_behavior": "include"}
        send(stripe, f"invoices/{send(stripe, 'invoices', bill)['id']}/finalize", {})
    return sandbox


def test_forty_foreign_subscriptions_come_in_with_good_names(foreign):
    synced = foreign("sync", "-o", "json")
    assert (synced.code, synced.json["skipped"]) == (0, 0), synced.out
    subscriptions = {row["name"]: row for row in foreign.rows("subs", "list")}
    assert len(subscriptions) == 41  # Globex has two
    assert {"acme", "acme-2", "acme-12", "müller-söhne", "東京", "ben", "ben-6", "initech"} <= set(
        subscriptions
    )
    assert {name for name in subscriptions if name.startswith("globex")} == {
        "globex/meetings",
        "globex/webinars",
    }
    assert (subscriptions["globex/meetings"]["seats"], subscriptions["globex/webinars"]["seats"]) == (3, 4)
    assert subscriptions["initech"]["seats"] == 4
    assert {subscriptions[name]["status"] for name in ("ben-7", "hooli")} == {"canceled"}
    plans = {row["slug"]: row for row in foreign.rows("plans", "list")}
    assert {f"pro-{currency}" for currency in CURRENCIES} <= set(plans)
    assert "calls" not in plans
    assert plans["pro-jpy"]["unit_amount"] == 1000
    unclaimed = "SELECT count(*) FROM invoices WHERE subscription_id IS NULL"
    assert query(ledger_place(foreign), unclaimed) == [(1,)]
    assert len(foreign.rows("invoices", "list", "globex/webinars")) == 1
    assert foreign("audit", "verify").code == foreign("ledger", "check").code == 0
    again = foreign("sync", "-o", "json")
    assert (again.code, again.json["read"], again.rows) == (0, 0, [])


def test_buying_on_them_waits_for_a_policy(foreign):
    assert foreign("sync").code == 0
    buy = "subs buy --plan meetings --seats 2 --name new --billing-email a@example.com --yes"
    more = ["subs", "add-seats", "globex/meetings", "2", "--yes"]
    refused = foreign(*buy.split(), "--payment-method", "pm_card_visa", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "plan_without_policy")
    assert foreign(*more, "-o", "json").error["code"] == "foreign_ledger"
    assert foreign("ledger", "adopt", "--yes").code == 0
    refused = foreign(*more, "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "plan_without_policy")
    assert "seatctl plans edit meetings --policy flexible" in refused.error["hint"]
    assert foreign("plans", "edit", "meetings", "--policy", "flexible").code == 0
    assert foreign(*more).code == 0
    assert foreign("sync").code == 0
    subscriptions = {row["name"]: row["seats"] for row in foreign.rows("subs", "list")}
    assert (subscriptions["globex/meetings"], subscriptions["globex/webinars"]) == (5, 4)


def test_what_cannot_be_read_is_skipped_counted_and_shown(foreign):
    path = foreign.home / "default" / "sandbox.db"
    (first,) = query(path, "SELECT id FROM objects WHERE kind = 'subscription' ORDER BY seq LIMIT 1")
    (bill,) = query(path, "SELECT id FROM objects WHERE kind = 'invoice' ORDER BY seq LIMIT 1")
    strange = "UPDATE objects SET body = json_set(body, '$.status', ?) WHERE id = ?"
    query(path, strange, "hibernating", *first)
    query(path, strange, "forgiven", *bill)
    synced = foreign("sync", "-o", "json")
    skipped = {row["name"]: row["summary"] for row in synced.rows if row["result"] == "skipped"}
    assert (synced.code, set(skipped)) == (0, {*first, *bill})
    assert "hibernating" in skipped[first[0]]
    status = foreign("status", "-o", "json")
    assert status.json["unreadable"] == 2
    assert "2 objects in Stripe could not be read" in status.err
    query(path, strange, "active", *first)
    query(path, strange, "paid", *bill)
    assert foreign("sync", "--full", "-o", "json").json["skipped"] == 0
    assert len(foreign.rows("subs", "list")) == 41


def test_an_item_that_is_replaced_or_taken_off_in_the_dashboard(foreign):
    assert foreign("sync").code == 0
    with twin(foreign) as stripe:
        columns = "SELECT name, stripe_item, stripe_subscription FROM subscriptions"
        subscriptions = query(ledger_place(foreign), columns)
        items = {name: item for name, item, _ in subscriptions}
        subscription = next(sub for name, _, sub in subscriptions if name == "globex/webinars")
        headers = {"Authorization": "Bearer sk_test_x"}
        stripe.handle("DELETE", f"/v1/subscription_items/{items['globex/webinars']}", headers, None)
        price = product(stripe, "Rooms")
        added = {"subscription": subscription, "price": price, "quantity": 9}
        send(stripe, "subscription_items", added)
    synced = foreign("sync", "-o", "json")
    assert "seats 4 → 9, plan webinars → rooms" in synced.rows[0]["summary"]
    with twin(foreign) as stripe:
        item = next(one for one in stripe.store.walk("subscription_item") if one["quantity"] == 9)
        stripe.handle("DELETE", f"/v1/subscription_items/{item['id']}", headers, None)
    assert "seats 9 → 0" in foreign("sync", "-o", "json").rows[0]["summary"]


def test_names_of_purchases_under_way_are_not_taken(sandbox, pro):
    from tests.support.both_sides import fail

    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/subscriptions")
    order = "subs buy --plan pro --seats 3 --name acme --billing-email p@example.com --yes"
    assert sandbox(*order.split(), "--payment-method", "pm_card_visa").code == 75
    query(sandbox.home / "default" / "sandbox.db", "UPDATE faults SET path = '/v1/subscriptions/none'")
    with twin(sandbox) as stripe:
        subscribe(stripe, customer(stripe, "Acme"), product(stripe, "Other"))
    assert sandbox("sync").code == 0
    subscriptions = {row["name"]: row["plan"] for row in sandbox.rows("subs", "list")}
    assert subscriptions == {"acme": "pro", "acme-2": "other"}
