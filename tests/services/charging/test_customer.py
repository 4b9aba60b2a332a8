"""A customer that was deleted in Stripe's dashboard: what is refused says so, and names what helps."""

from __future__ import annotations

import pytest

from tests.services.sync.test_reconcile import lose
from tests.support.both_sides import objects, twin

HEADERS = {"Authorization": "Bearer sk_test_x"}
AGAIN = "to bill a new customer: seatctl subs buy --plan pro --seats N --name NAME --payment-method ID"
ELSEWHERE = "name another subscription with --bill-to, or give --billing-email and --payment-method"
BUY = "subs buy --plan pro --seats 1 --name lab --bill-to design"


@pytest.fixture
def left(sandbox, team):
    """The customer of `design` is deleted, and no sync has seen it yet; the sandbox."""
    (customer,) = [one["id"] for one in objects(sandbox, "customer")]
    with twin(sandbox) as stripe:
        stripe.handle("DELETE", f"/v1/customers/{customer}", HEADERS, None)
    return sandbox


@pytest.mark.parametrize("synced", [(), ("sync",), ("sync", "--full")])
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("subs billing design", AGAIN),
        ("subs billing design --email new@example.com --yes", AGAIN),
        ("subs billing design --payment-method pm_card_visa --yes", AGAIN),
        ("subs billing design --portal", AGAIN),
        (f"{BUY} --yes", ELSEWHERE),
        (f"{BUY} --on-account --yes", ELSEWHERE),
    ],
)
def test_what_needs_the_customer_says_that_it_is_deleted(left, words, hint, synced):
    if synced:
        assert left(*synced).code == 0
    refused = left(*words.split(), "-o", "json")
    assert (refused.code, refused.error["code"], refused.error["hint"]) == (4, "customer_deleted", hint)
    assert "was deleted in Stripe" in refused.error["message"]


def test_what_the_hints_name_works(left):
    assert left("sync").code == 0
    buy = "subs buy --plan pro --seats 1 --name lab --billing-email p@example.com --yes"
    assert left(*buy.split(), "--payment-method", "pm_card_visa").code == 0
    assert left(*BUY.replace("lab", "field").replace("design", "lab").split(), "--yes").code == 0


@pytest.mark.parametrize("words", ["subs rename design old-design", "config auto-approve design on"])
def test_what_the_ledger_alone_is_asked_for_is_done(left, words):
    assert left("sync").code == 0
    assert left(*words.split()).code == 0
    assert left("sync", "--full").code == 0
    assert left.rows("subs", "list")[0]["status"] == "canceled"


def test_a_subscription_that_stripe_no_longer_has_names_what_ends_it(sandbox, team):
    assert sandbox("sync").code == 0
    lose(sandbox, objects(sandbox, "subscription")[0]["id"])
    for _ in range(2):
        refused = sandbox("subs", "add-seats", team, "1", "--yes", "-o", "json")
        assert (refused.code, refused.error["hint"]) == (5, "seatctl reconcile --fix")
        assert sandbox("sync").code == 0  # no event tells of it
    assert sandbox("reconcile", "--fix").code == 0
    refused = sandbox("subs", "add-seats", team, "1", "--yes", "-o", "json")
    assert refused.error["hint"] == AGAIN.replace("bill a new customer", "buy seats again")


def test_an_invoice_that_nobody_can_pay_any_more_can_be_given_up(sandbox, pro):
    buy = f"subs buy --plan {pro} --seats 1 --name lab --billing-email p@example.com --on-account --yes"
    assert sandbox(*buy.split()).code == 0
    number = sandbox.rows("invoices", "list")[0]["number"]
    with twin(sandbox) as stripe:
        (customer,) = [one["id"] for one in stripe.store.walk("customer")]
        stripe.handle("DELETE", f"/v1/customers/{customer}", HEADERS, None)
    assert sandbox("sync").code == 0
    refused = sandbox("invoices", "pay", number, "--yes", "-o", "json")
    assert (refused.code, refused.error["hint"]) == (5, f"to give it up: seatctl invoices void {number}")
    assert sandbox("invoices", "void", number, "--yes").code == 0
