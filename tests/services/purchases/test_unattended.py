"""No cardholder attends what an administrator asks for: Stripe is told so, and keeps the card that paid."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.support.both_sides import charges, objects, twin
from tests.support.office import change_card, done, open_contract, subs_row, until

HANDLE = Twin.handle


@pytest.fixture
def unattended(monkeypatch):
    """The calls by which a card was charged, with whether they said that nobody attends."""
    calls = []

    def watching(self, method, path, headers, form):
        before = self.store.counts().get("charge", 0)
        answer = HANDLE(self, method, path, headers, form)
        if method == "POST" and self.store.counts().get("charge", 0) > before:
            calls.append((path, dict(parse_qsl(form or "")).get("off_session")))
        return answer

    monkeypatch.setattr(Twin, "handle", watching)
    return calls


def authenticate(seatctl) -> None:
    with twin(seatctl) as stripe:
        (invoice,) = [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]
        control.authenticate(stripe, invoice)


def test_every_charge_says_that_nobody_attends(sandbox, unattended):
    open_contract.__wrapped__(sandbox)  # not copied, so that its charge is seen
    done(sandbox, "subs add-seats acme 5")
    until(sandbox, "2041-12-10T00:00:00Z")
    done(sandbox, "subs renew acme")
    done(sandbox, "plans add pro --price 12.00 --currency usd --policy flexible")
    buy = "subs buy --plan pro --seats 3 --name design --billing-email p@example.com"
    done(sandbox, f"{buy} --payment-method pm_card_visa")
    done(sandbox, "subs add-seats design 2")
    change_card(sandbox, "p@example.com", "pm_card_chargeCustomerFail")
    until(sandbox, "2042-01-12T00:00:00Z")
    done(sandbox, "subs billing design --payment-method pm_card_visa")
    assert subs_row(sandbox, "design")["status"] == "active"
    assert {said for _, said in unattended} == {"true"}, unattended
    assert len(unattended) == len(charges(sandbox))


def test_the_card_that_paid_on_the_banks_page_pays_from_then_on(sandbox, pro):
    buy = f"subs buy --plan {pro} --seats 3 --name design --billing-email p@example.com --yes"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_threeDSecure2Required").code == 10
    (waits,) = objects(sandbox, "subscription")
    assert (waits["default_payment_method"], waits["payment_settings"]["save_default_payment_method"]) == (
        None,
        "on_subscription",
    )
    authenticate(sandbox)
    assert sandbox("sync").code == 0
    (paid,) = objects(sandbox, "subscription")
    (method,) = [one["id"] for one in objects(sandbox, "payment_method") if one["customer"]]
    assert paid["default_payment_method"] == method


def test_another_card_replaces_the_one_that_was_kept(sandbox, pro):
    buy = f"subs buy --plan {pro} --seats 3 --name design --billing-email p@example.com --yes"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_threeDSecure2Required").code == 10
    authenticate(sandbox)
    assert sandbox("sync").code == 0
    done(sandbox, "subs billing design --payment-method pm_card_visa")
    done(sandbox, "subs add-seats design 1")
    (subscription,) = objects(sandbox, "subscription")
    (visa,) = [one["id"] for one in objects(sandbox, "payment_method") if one["card"]["last4"] == "4242"]
    assert subscription["default_payment_method"] == visa
