"""Operations of every kind that an earlier version has begun: this version finishes each of them.

A payload is written by one version and read by the next one. `tests/support/open_operations.py` made the
ledger and the sandbox of `tests/fixtures/open_operations`, by the version that the README there names.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from seatctl.services.operations import handlers
from seatctl.services.runs import abandon
from tests.support.both_sides import advance, charges, objects
from tests.support.open_operations import FOLDERS, OPERATIONS, complete_the_pages, kinds_left_open, load
from tests.support.state import assert_in_step, assert_sound
from tests.support.subscriptions import ledger_place, query

FIXTURE = Path(__file__).parents[2] / "fixtures" / "open_operations"

MONTH, YEAR, ANOTHER_YEAR = "2041-06-01T00:00:00Z", "2042-05-22T00:00:00Z", "2042-06-01T00:00:00Z"

SUBSCRIPTIONS = {
    "increase": ("increased", {"seats": 7}),
    "decrease": ("decreased", {"seats": 5, "next_seats": 2}),
    "plan at the renewal": ("planned", {"plan": "pro", "next_plan": "team"}),
    "seats at full price": ("added", {"seats": 25}),
    "seats on account": ("prorated", {"seats": 25}),
    "renewal": (
        "renewed",
        {"seats": 20, "next_seats": 25, "next_plan": "year-plus", "ends_at": ANOTHER_YEAR},
    ),
    "renewal on account": ("invoiced", {"status": "paid", "next_seats": 20, "ends_at": ANOTHER_YEAR}),
    "cancel": ("canceled", {"status": "active", "ends_at": MONTH}),
    "cancel with a refund": ("refunded", {"status": "canceled"}),
    "resume": ("kept", {"status": "active", "ends_at": None}),
    "resume a paused one": ("paused", {"status": "active", "term_end": "2041-06-22T00:00:00Z"}),
    "billing details": ("details", {"billing_email": "new@example.com"}),
    "another card": ("card", {"billing_email": "pay-card@example.com"}),
    "transfer": ("owned", {"owner": "lee@example.com"}),
    "automatic approval": ("approving", {"auto_approve": True}),
    "adopt": ("foreign", {"seats": 5}),
    "invoice paid": ("owing", {"status": "active"}),
    "invoice sent": ("sent", {"status": "paid"}),
    "invoice made void": ("void", {"seats": 5}),
    "buy": ("bought", {"seats": 3, "plan": "pro", "owner": "bought@example.com"}),
    "buy on account": ("on-account", {"seats": 10, "plan": "year", "ends_at": YEAR}),
    "buy on another's card": ("also", {"seats": 2, "billing_email": "pay-owned@example.com"}),
    "page": ("page", {"seats": 4, "plan": "pro"}),
    "page of a contract": ("contract", {"seats": 5, "plan": "year", "ends_at": YEAR}),
}
"""The subscription of each operation, and what has to be so of it once the operation is finished."""

CHARGED = {
    "pay-increased@example.com": [775],  # two seats for ten of 31 days, rounded line by line
    "pay-added@example.com": [2500],
    "pay-renewed@example.com": [17500],
    "pay-paused@example.com": [2400],
    "pay-owing@example.com": [6000],
    "pay-bought@example.com": [3600],
    "pay-owned@example.com": [2400],
    "pay-page@example.com": [4800],
    "pay-contract@example.com": [2500],
}
"""In minor units, by payer, beyond what was paid before the first of the operations was begun."""

PAID_BEFORE = {
    "pay-prorated@example.com": 2 * [10000],
    **{f"pay-{name}@example.com": [10000] for name in ("added", "renewed", "invoiced", "sent")},
    **{
        f"pay-{name}@example.com": [6000]
        for name in (
            *("owing", "void", "increased", "decreased", "planned", "canceled", "refunded", "kept"),
            *("card", "owned", "approving", "foreign"),
        )
    },
    "new@example.com": [6000],  # of `details`, whose e-mail an operation changes
}

ON_ACCOUNT = {"prorated": 2356, "invoiced": 10000, "sent": 10000, "on-account": 5000}
"""The open invoices, in minor units: 344 of 365 days of 25.00, and whole terms."""

NAMED_OTHERWISE = {"subscription", "invoiceitem", "credit_note", "payment_method", "tax_id"}
"""A subscription is found by its mark; the others belong to an invoice or a customer."""


def test_every_kind_of_operation_was_begun():
    begun = {one.kind for operations in FOLDERS.values() for one in operations.values()}
    assert begun == handlers.all_kinds(), "see CONTRIBUTING.md, A kind of operation"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The ledger after a `sync`, and another one after the pages of Checkout were completed."""
    seatctl = load(FIXTURE, tmp_path_factory.mktemp("begun") / "seatctl")
    assert kinds_left_open(seatctl) == [begun.kind for begun in OPERATIONS.values()]
    assert seatctl("sync").code == 10
    assert kinds_left_open(seatctl) == ["checkout", "checkout"]
    complete_the_pages(seatctl)
    assert seatctl("sync").code == 0
    return seatctl


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_is_done(finished, name):
    states = query(ledger_place(finished), "SELECT kind, state FROM operations ORDER BY id")
    place = list(OPERATIONS).index(name) - len(OPERATIONS)
    assert states[place] == (OPERATIONS[name].kind, "done")


def test_every_type_of_object_that_a_step_makes_can_be_named_if_the_operation_is_given_up(finished):
    types = query(
        ledger_place(finished), "SELECT DISTINCT json_extract(answer, '$.object.object') FROM steps"
    )
    assert {made for (made,) in types if made is not None} <= abandon.READ_BY_ID | NAMED_OTHERWISE


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_the_subscription_is_as_it_was_wanted(finished, name):
    subscription, wanted = SUBSCRIPTIONS[name]
    page = finished("subs", "show", subscription, "-o", "json").json
    assert {field: page[field] for field in wanted} == wanted


def paid_by(seatctl) -> dict[str, list[int]]:
    """What each payer was charged, in minor units, oldest first."""
    emails = {customer["id"]: customer["email"] for customer in objects(seatctl, "customer")}
    paid: dict[str, list[int]] = {}
    for charge in objects(seatctl, "charge"):
        if charge["paid"]:
            paid.setdefault(emails[charge["customer"]], []).append(charge["amount"])
    return paid


def test_everybody_is_charged_once(finished):
    assert paid_by(finished) == {
        payer: PAID_BEFORE.get(payer, []) + CHARGED.get(payer, []) for payer in {**PAID_BEFORE, **CHARGED}
    }
    assert [refund["amount"] for refund in objects(finished, "refund")] == [1935]


def test_what_is_on_account_is_asked_for_once(finished):
    due = [row for row in finished.rows("invoices", "list") if row["status"] == "open"]
    assert {row["subscription"]: row["amount_due"] for row in due} == ON_ACCOUNT
    assert len(due) == len(ON_ACCOUNT)


def test_the_invoice_is_void(finished):
    assert {row["status"] for row in finished.rows("invoices", "list", "void")} == {"paid", "void"}


def test_the_card_pays_from_now_on(finished):
    cards = {card["id"]: card["card"]["brand"] for card in objects(finished, "payment_method")}
    (payer,) = [one for one in objects(finished, "customer") if one["email"] == "pay-card@example.com"]
    assert cards[payer["invoice_settings"]["default_payment_method"]] == "mastercard"


def test_people_leave_and_billing_details_are_changed(finished):
    rows = finished.rows("seats", "list", "decreased")
    assert [row["until"] for row in rows].count(MONTH) == 2
    (payer,) = [one for one in objects(finished, "customer") if one["email"] == "new@example.com"]
    assert payer["name"] == "Acme"
    assert [one["value"] for one in objects(finished, "tax_id")] == ["DE1"]


def test_the_subscription_is_adopted(finished):
    homes = dict(query(ledger_place(finished), "SELECT name, home_ledger FROM subscriptions"))
    assert homes["foreign"] == homes["bought"]


def test_plans_are_as_they_were_wanted(finished):
    plans = {row["slug"]: (row["name"], row["unit_amount"]) for row in finished.rows("plans", "list")}
    assert (plans["eu"], plans["sold"]) == (("eu", 900), ("Sold", 1400))


def test_both_sides_agree_and_another_sync_changes_nothing(finished):
    assert_in_step(finished)
    assert_sound(finished)
    before = charges(finished)
    assert finished("sync").code == 0
    assert charges(finished) == before


def test_a_day_later_nobody_is_charged_who_was_not(tmp_path):
    """What had not been charged is taken back, what had is finished, and nothing is left open."""
    seatctl = load(FIXTURE, tmp_path / "seatctl")
    before = paid_by(seatctl)
    advance(seatctl, hours=25)
    assert seatctl("sync").code == 0
    assert kinds_left_open(seatctl) == []
    by_stripe = {"pay-owing@example.com": [6000, 6000]}  # its own next attempt, with the new card
    assert paid_by(seatctl) == before | by_stripe
    assert_in_step(seatctl)
    assert_sound(seatctl)
