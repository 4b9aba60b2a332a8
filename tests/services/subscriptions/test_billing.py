"""`subs billing`: who pays and by which card; a new one pays what is owed, a declined one changes nothing."""

from __future__ import annotations

import json

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, assert_agree, charges, fail, objects, twin
from tests.support.office import change_card
from tests.support.subscriptions import ledger_place, query

HEADERS = {"Authorization": "Bearer sk_test_x"}

DECLINED = [
    ("pm_card_chargeDeclined", False),
    ("tok_visa_chargeDeclined", False),
    ("pm_card_chargeDeclined", True),
    ("tok_visa_chargeDeclined", True),
    ("pm_card_chargeCustomerFail", True),
]
"""The card, and whether money is owed: the last one is refused only when it is asked for some."""


def shown(seatctl, name="design") -> dict:
    found = seatctl("subs", "billing", name, "-o", "json")
    assert found.code == 0, found.err
    return found.json


def set_billing(seatctl, *options: str):
    return seatctl("subs", "billing", "design", *options, "--yes", "-o", "json")


def customer(seatctl) -> dict:
    (found,) = objects(seatctl, "customer")
    return found


@pytest.fixture
def overdue(sandbox, team):
    """The card failed at the renewal, and is tried again; the sandbox."""
    method = change(
        sandbox, "payment_methods/pm_card_chargeCustomerFail/attach", customer=customer(sandbox)["id"]
    )["id"]
    change(
        sandbox,
        f"customers/{customer(sandbox)['id']}",
        **{"invoice_settings[default_payment_method]": method},
    )
    advance(sandbox, hours=24 * 32)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["status"] == "past_due"
    assert charges(sandbox) == [6000]
    return sandbox


def test_what_is_known_is_shown(sandbox, team):
    found = shown(sandbox)
    assert (found["name"], found["billing_email"], found["card"]) == (
        "design",
        "pay@example.com",
        "visa 4242",
    )
    assert (found["collection"], found["unpaid"], found["shared_with"]) == ("by card", [], [])
    table = sandbox("subs", "billing", "design", tty=True).out
    assert "visa 4242" in table


def test_email_name_address_and_tax_id_are_changed(sandbox, team):
    done = set_billing(
        sandbox,
        *("--email", "billing@example.com", "--name", "Acme GmbH", "--tax-id", "eu_vat:DE123456789"),
        *("--address", "line1=Main St 1", "--address", "city=Bonn", "--address", "country=de"),
    )
    assert (done.code, done.rows[0]["billing_email"]) == (0, "billing@example.com"), done.err
    found = shown(sandbox)
    assert (found["billing_email"], found["billing_name"]) == ("billing@example.com", "Acme GmbH")
    assert found["address"] == ["Main St 1", "Bonn", "DE"]
    assert found["tax_ids"] == ["eu_vat:DE123456789"]
    assert sandbox("subs", "show", "design", "-o", "json").json["billing_email"] == "billing@example.com"
    assert set_billing(sandbox, "--address", "postal_code=53111").code == 0
    assert shown(sandbox)["address"] == ["Main St 1", "Bonn", "53111", "DE"]
    assert charges(sandbox) == [6000]
    assert_agree(sandbox)
    recorded = query(ledger_place(sandbox), "SELECT after FROM changes WHERE entity = 'customer'")
    assert "billing@example.com" in recorded[0][0]


def test_a_new_card_becomes_the_default_and_pays_from_then_on(sandbox, team):
    assert set_billing(sandbox, "--payment-method", "tok_mastercard").code == 0
    assert shown(sandbox)["card"] == "mastercard 4444"
    assert sandbox("subs", "add-seats", "design", "1", "--yes").code == 0
    paid_by = objects(sandbox, "charge")[-1]["payment_method"]
    assert paid_by == customer(sandbox)["invoice_settings"]["default_payment_method"]
    assert_agree(sandbox)


@pytest.mark.parametrize(("card", "owing"), DECLINED)
def test_a_declined_card_changes_nothing(sandbox, team, request, card, owing):
    if owing:
        request.getfixturevalue("overdue")
    before, known = shown(sandbox), customer(sandbox)
    declined = set_billing(
        sandbox, "--email", "new@example.com", "--tax-id", "eu_vat:DE123456789", "--payment-method", card
    )
    assert (declined.code, declined.error["code"], declined.out) == (5, "card_declined", "")
    assert shown(sandbox) == before
    assert customer(sandbox)["invoice_settings"] == known["invoice_settings"]
    attached = [one for one in objects(sandbox, "payment_method") if one["customer"]]
    assert len(attached) == (2 if owing else 1)
    assert charges(sandbox) == [6000]
    assert sandbox("sync").code == 0
    assert set_billing(sandbox, "--payment-method", "pm_card_visa").code == 0


def test_a_new_card_pays_what_is_owed(overdue):
    preview = overdue(
        "subs", "billing", "design", "--payment-method", "pm_card_visa", "--dry-run", "-o", "json"
    )
    assert (preview.code, preview.rows[0]["due_now"]) == (0, 6000)
    assert charges(overdue) == [6000]
    owed = shown(overdue)["unpaid"]
    assert len(owed) == 1
    paid = set_billing(overdue, "--payment-method", "pm_card_visa", "--max-spend", "60.00")
    assert paid.code == 0, paid.err
    assert paid.rows[0]["amount_paid"] == 6000
    assert paid.json["summary"].startswith("changed the billing of design: a new card, which pays invoice")
    assert charges(overdue) == [6000, 6000]
    assert overdue.rows("subs", "list")[0]["status"] == "active"
    assert shown(overdue)["unpaid"] == []
    assert_agree(overdue)
    advance(overdue, hours=24 * 10)
    assert charges(overdue) == [6000, 6000]


def test_more_than_the_limit_is_not_paid(overdue):
    refused = set_billing(overdue, "--payment-method", "pm_card_visa", "--max-spend", "59.99")
    assert (refused.code, refused.error["code"]) == (4, "max_spend_exceeded")
    assert charges(overdue) == [6000]


def test_a_lost_answer_pays_once(overdue):
    fail(overdue, "lost", times=4, method="POST", path="/v1/invoices")
    assert set_billing(overdue, "--payment-method", "pm_card_visa").code == 75
    assert overdue("sync").code == 0
    assert charges(overdue) == [6000, 6000]
    assert shown(overdue)["card"] == "visa 4242"
    assert_agree(overdue)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_card_that_has_paid_becomes_the_default_unless_its_customer_is_deleted(
    overdue, monkeypatch, is_deleted
):
    before, handle = customer(overdue)["invoice_settings"], Twin.handle

    def refused(stripe, method, url, headers, form):
        if method == "POST" and url.startswith("/v1/customers/"):
            form = "no_such_field=1"
        return handle(stripe, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", refused)
    assert set_billing(overdue, "--payment-method", "pm_card_visa").code != 0
    assert (charges(overdue), customer(overdue)["invoice_settings"]) == ([6000, 6000], before)
    monkeypatch.undo()
    if is_deleted:
        with twin(overdue) as stripe:
            stripe.handle("DELETE", f"/v1/customers/{customer(overdue)['id']}", HEADERS, None)
    assert overdue("sync").code == 0
    assert query(ledger_place(overdue), "SELECT run FROM operations WHERE state <> 'done'") == []
    assert charges(overdue) == [6000, 6000]
    if not is_deleted:
        assert shown(overdue)["card"] == "visa 4242"


@pytest.fixture
def waiting(overdue):
    asked = set_billing(overdue, "--payment-method", "pm_card_threeDSecure2Required")
    assert (asked.code, asked.error["code"]) == (10, "authentication_required"), asked.err
    assert asked.error["url"].startswith("https://")
    assert charges(overdue) == [6000]
    return overdue


def test_sync_completes_a_card_that_was_authenticated(waiting):
    (invoice,) = [one["id"] for one in objects(waiting, "invoice") if one["status"] == "open"]
    with twin(waiting) as stripe:
        control.authenticate(stripe, invoice)
    assert waiting("sync").code == 0
    assert charges(waiting) == [6000, 6000]
    assert shown(waiting)["card"].endswith("3220")
    assert_agree(waiting)


def test_a_card_that_nobody_authenticated_is_taken_back_after_23_hours(waiting):
    before = shown(waiting)["payment_method"]
    advance(waiting, hours=24)
    assert waiting("sync").code == 0
    assert charges(waiting) == [6000]
    assert shown(waiting)["payment_method"] == before
    assert set_billing(waiting, "--payment-method", "pm_card_visa").code == 0
    assert charges(waiting) == [6000, 6000]


def test_a_new_card_is_taken_though_the_subscription_has_ended(sandbox, team):
    """Stripe refuses a card to what has ended: it was asked for again at each sync, for ever."""
    change_card(sandbox, "pay@example.com", "pm_card_mastercard")  # the subscription has one of its own
    with twin(sandbox) as stripe:
        (subscription,) = (one["id"] for one in objects(sandbox, "subscription"))
        headers = {"Authorization": "Bearer sk_test_dashboard"}
        assert stripe.handle("DELETE", f"/v1/subscriptions/{subscription}", headers, "").status == 200
    changed = sandbox("subs", "billing", team, "--payment-method", "pm_card_visa", "--yes")
    assert changed.code == 0, changed.err
    assert sandbox("sync").code == 0


def test_who_shares_a_customer_is_told(sandbox, team):
    bought = sandbox("subs", "buy", "--plan=pro", "--seats=2", "--name=lab", "--bill-to=design", "--yes")
    assert bought.code == 0
    assert shown(sandbox)["shared_with"] == ["lab"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--email", "nobody"), "wrong_usage"),
        (("--address", "planet=Mars"), "wrong_usage"),
        (("--address", "country=Germany"), "wrong_usage"),
        (("--tax-id", "DE123"), "wrong_usage"),
        (("--payment-method", "4242424242424242"), "bad_payment_method"),
        (("--portal", "--email", "a@example.com"), "wrong_usage"),
    ],
)
def test_what_is_mistyped_is_told_and_changes_nothing(sandbox, team, options, code):
    refused = set_billing(sandbox, *options)
    assert (refused.code, refused.out) == (2, "")
    assert "4242424242424242" not in refused.err
    assert json.loads(refused.err)["error"]["hint"]


def test_only_who_runs_it_may_change_it(sandbox, team):
    refused = sandbox(
        "subs", "billing", "design", "--email", "x@example.com", "--yes", "--as", "eve@example.com"
    )
    assert refused.code == 8
    assert shown(sandbox)["billing_email"] == "pay@example.com"


# The portal -------------------------------------------------------------------------------------------


def test_the_portal_lets_customers_change_card_address_and_tax_ids_only(sandbox, team):
    for _ in range(2):
        opened = sandbox("subs", "billing", "design", "--portal", "-o", "json")
        assert opened.code == 0, opened.err
        assert opened.json["url"].startswith("https://")
    assert sandbox("subs", "billing", "design", "--portal", "-q").out.startswith("https://")
    (made,) = objects(sandbox, "billing_portal.configuration")
    allowed = {name for name, feature in made["features"].items() if feature["enabled"]}
    assert allowed == {"customer_update", "invoice_history", "payment_method_update"}
    assert made["features"]["customer_update"]["allowed_updates"] == ["address", "tax_id"]


def test_a_portal_that_somebody_widened_is_set_right(sandbox, team):
    assert sandbox("subs", "billing", "design", "--portal").code == 0
    (made,) = objects(sandbox, "billing_portal.configuration")
    change(
        sandbox,
        f"billing_portal/configurations/{made['id']}",
        **{
            "features[subscription_cancel][enabled]": "true",
            "features[customer_update][allowed_updates][0]": "email",
        },
    )
    assert sandbox("subs", "billing", "design", "--portal").code == 0
    (made,) = objects(sandbox, "billing_portal.configuration")
    assert made["features"]["subscription_cancel"]["enabled"] is False
    assert made["features"]["customer_update"]["allowed_updates"] == ["address", "tax_id"]
