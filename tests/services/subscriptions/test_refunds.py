"""`subs cancel --now --refund` where it is not plain: unpaid invoices, discounts, currencies with steps."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from seatctl.sandbox.api.twin import Answer, Twin
from tests.sandbox.seed import send
from tests.services.subscriptions.test_cancel import CONTRACT, TERM_PLAN, refunds, shown_then_given
from tests.support.both_sides import charges, objects, twin
from tests.support.office import (
    TEN_DAYS_LEFT,
    change_card,
    done,
    freeze,
    is_sound,
    open_office,
    refused,
    subs_row,
    until,
)


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


def bought(seatctl, plan: str = TERM_PLAN):
    """20 seats for a year of 365 days, from 2041-01-01."""
    freeze(seatctl, "2041-01-01T00:00:00Z")
    done(seatctl, plan)
    done(seatctl, CONTRACT)
    return seatctl


def test_of_an_unpaid_month_only_what_was_used_stays_owed(office):
    change_card(office, "pay-design@example.com", "pm_card_chargeCustomerFail")
    until(office, "2040-07-02T00:00:00Z")
    assert subs_row(office, "design")["status"] == "past_due"
    kept = done(office, "subs cancel design --now --dry-run")
    assert (kept["given_back"], kept["owed"], kept["owed_less"]) == (0, 2000, 0)
    shown, given = shown_then_given(office, "design")
    # One of 31 days of 20.00 was used: 0.645.
    assert (shown["given_back"], shown["owed_less"], shown["owed"]) == (0, 1935, 65)
    assert (given["given_back"], given["owed_less"], refunds(office)) == (0, 1935, [])
    (invoice,) = office.rows("invoices", "list", "--unpaid")
    assert (invoice["subscription"], invoice["amount_remaining"]) == ("design", 65)
    is_sound(office)


def test_what_is_owed_is_set_off_before_a_card_gets_anything_back(office):
    """A month on account, half paid for: 5 seats more on a second invoice, and only the first one is paid."""
    buyer = "--owner ann@example.com --billing-email acc@example.com"
    done(office, f"subs buy --plan basic --seats 10 --name acc {buyer} --on-account")
    change_card(office, "acc@example.com", "pm_card_visa")
    (first,) = [one["stripe_id"] for one in office.rows("invoices", "list", "acc")]
    done(office, f"invoices pay {first}")
    until(office, TEN_DAYS_LEFT)
    done(office, "subs add-seats acc 5 --on-account")
    (owed,) = [one["amount_remaining"] for one in office.rows("invoices", "list", "--unpaid")]
    shown, given = shown_then_given(office, "acc")
    # Fifteen seats for a third of the month are 50.00: the open invoice first, the rest to the card.
    assert (shown["owed_less"], shown["given_back"], shown["owed"]) == (owed, 5000 - owed, 0)
    assert (given["owed_less"], refunds(office)) == (owed, [5000 - owed])
    assert office.rows("invoices", "list", "--unpaid") == []


def test_a_renewal_on_account_that_has_not_begun_need_not_be_paid(sandbox):
    contract = bought(sandbox)
    until(contract, "2041-12-22T00:00:00Z")
    done(contract, "subs renew acme --on-account")
    shown, given = shown_then_given(contract, "acme")
    assert (shown["owed_less"], shown["owed"], given["owed_less"]) == (12000, 0, 12000)
    assert shown["given_back"] == given["given_back"] == 329  # ten of 365 days of 120.00 are 3.2877
    assert contract.rows("invoices", "list", "--unpaid") == []


def test_a_discount_is_not_given_back_as_money(sandbox):
    """Bought at half the price and renewed: the running term gives back a share of what was paid for it."""
    freeze(sandbox, "2041-01-01T00:00:00Z")
    done(sandbox, TERM_PLAN)
    with twin(sandbox) as stripe:
        send(stripe, "coupons", {"id": "HALF", "percent_off": 50, "duration": "once"})
    done(sandbox, f"{CONTRACT} --coupon HALF")
    until(sandbox, "2041-12-22T00:00:00Z")
    done(sandbox, "subs renew acme")
    assert charges(sandbox) == [6000, 12000]
    shown, _ = shown_then_given(sandbox, "acme")
    assert shown["given_back"] == 12000 + 164  # ten of 365 days of 60.00 are 1.6438


@pytest.mark.parametrize(
    ("currency", "price", "unused"), [("isk", "600", 604900), ("kwd", "6.000", 60490), ("jpy", "600", 6049)]
)
def test_a_refund_comes_in_steps_of_its_currency(sandbox, currency, price, unused):
    """Stripe refuses others. 184 of 365 days of 20 x 600 are 6049.3."""
    bought(sandbox, TERM_PLAN.replace("6.00", price).replace("usd", currency))
    until(sandbox, "2041-12-22T00:00:00Z")
    done(sandbox, "subs renew acme")
    until(sandbox, "2042-07-01T00:00:00Z")
    shown, given = shown_then_given(sandbox, "acme")
    assert shown["given_back"] == given["given_back"] == unused


def test_what_a_trial_has_put_on_the_balance_is_not_given_back_once_more(office):
    """Somebody gives a paid subscription a trial in the dashboard: Stripe credits the unused time at once."""
    until(office, TEN_DAYS_LEFT)
    name = subs_row(office, "lab")["stripe_subscription"]
    ends = int(datetime.fromisoformat("2040-06-30T00:00:00Z").timestamp())
    with twin(office) as stripe:
        send(stripe, f"subscriptions/{name}", {"trial_end": ends})
    done(office, "sync")
    (credit,) = [one["total"] for one in objects(office, "invoice") if one["total"] < 0]
    assert credit == -3333
    shown, given = shown_then_given(office, "lab")
    assert (shown["given_back"], given["given_back"], refunds(office)) == (0, 0, [])
    is_sound(office)


@pytest.mark.parametrize("amount", [None, "1000"])
def test_a_refund_that_cannot_be_read_is_a_lost_answer(office, monkeypatch, amount):
    """Taken for nothing, what the dashboard has given back would be given back once more."""
    (charge,) = [one for one in objects(office, "charge") if one["amount"] == 2000]
    with twin(office) as stripe:
        send(stripe, "refunds", {"charge": charge["id"], "amount": 1000})
    handle = Twin.handle

    def damaged(self, method, url, headers, form):
        answer = handle(self, method, url, headers, form)
        if not url.startswith("/v1/refunds"):
            return answer
        page = json.loads(answer.body)
        for one in page["data"]:
            one["amount"] = amount
        return Answer(answer.status, answer.headers, json.dumps(page).encode())

    with monkeypatch.context() as patch:
        patch.setattr(Twin, "handle", damaged)
        refused(office, "subs cancel design --now --refund", code=75)
    assert subs_row(office)["status"] == "active"
    assert done(office, "subs cancel design --now --refund")["given_back"] < 1001
