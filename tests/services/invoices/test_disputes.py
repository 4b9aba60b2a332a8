"""A payment that the cardholder's bank takes back is seen after a sync, with its deadline."""

from __future__ import annotations

import json

import pytest

from tests.support.both_sides import objects, sandbox_path, twin
from tests.support.subscriptions import query

HEADERS = {"Authorization": "Bearer sk_test_x"}


@pytest.fixture
def disputed(sandbox, pro):
    """60.00 paid for `design`, and disputed at once; read by a sync."""
    buy = f"subs buy --plan {pro} --seats 5 --name design --billing-email pay@example.com --yes"
    assert sandbox(*buy.split(), "--payment-method", "pm_card_createDispute").code == 0
    assert sandbox("sync").code == 0
    return sandbox


def page(seatctl):
    number = seatctl.rows("invoices", "list")[0]["number"]
    return seatctl("invoices", "show", number, "-o", "json").json


def attention(seatctl):
    shown = seatctl("status", "-o", "json").json
    return shown["disputed_invoices"], [line for line in shown["attention"] if "disputed" in line]


def set_status(seatctl, status):
    """What Stripe decides by itself weeks later, read by a whole sync."""
    query(
        sandbox_path(seatctl),
        "UPDATE objects SET body = json_set(body, '$.status', ?) WHERE kind = 'dispute'",
        status,
    )
    assert seatctl("sync", "--full").code == 0


def test_a_dispute_is_shown_with_its_invoice_and_waits_for_an_answer(disputed):
    (row,) = disputed.rows("invoices", "list")
    assert (row["status"], row["amount_paid"], row["disputed"]) == ("paid", 6000, 6000)
    found = page(disputed)
    (dispute,) = found["disputes"]
    assert (dispute["amount"], dispute["status"], dispute["reason"]) == (6000, "needs_response", "fraudulent")
    by = dispute["answer_by"][:10]
    assert f"(fraudulent): answer it in Stripe's dashboard by {by}" in "; ".join(found["totals"])
    number, told = attention(disputed)
    assert number == 1
    what = f"60.00 USD of invoice {row['number']} is disputed"
    assert told == [f"{what}, answer it in Stripe's dashboard by {by}: seatctl invoices show {row['number']}"]
    assert "Disputed" in disputed("invoices", "list", tty=True, env={"COLUMNS": "200"}).out


def test_one_that_is_accepted_is_lost_and_waits_for_nobody(disputed):
    (dispute,) = objects(disputed, "dispute")
    with twin(disputed) as stripe:
        assert stripe.handle("POST", f"/v1/disputes/{dispute['id']}/close", HEADERS, "").status == 200
        again = stripe.handle("POST", f"/v1/disputes/{dispute['id']}/close", HEADERS, "")
        assert (again.status, json.loads(again.body)["error"]["type"]) == (400, "invalid_request_error")
    assert disputed("sync").code == 0
    assert attention(disputed) == (0, [])
    assert (page(disputed)["disputed"], page(disputed)["disputes"][0]["status"]) == (6000, "lost")


@pytest.mark.parametrize(
    ("status", "amount", "waits"), [("won", None, 0), ("under_review", 6000, 1), ("warning_closed", None, 0)]
)
def test_what_becomes_of_it_is_told(disputed, status, amount, waits):
    set_status(disputed, status)
    assert page(disputed)["disputed"] == amount
    number, told = attention(disputed)
    assert (number, len(told)) == (waits, waits)
    assert all("the bank decides" in line for line in told)


def test_a_ledger_of_an_earlier_version_reads_them_once(disputed):
    from tests.support.subscriptions import ledger_place

    query(ledger_place(disputed), "DELETE FROM stripe_objects WHERE kind = 'dispute'")
    kinds = """UPDATE sync_state SET value = replace(value, ', "dispute"', '') WHERE key = 'kinds'"""
    query(ledger_place(disputed), kinds)
    assert attention(disputed) == (0, [])
    assert disputed("sync").code == 0
    assert attention(disputed)[0] == 1


def test_a_payment_that_is_not_disputed_says_nothing_of_it(sandbox, team):
    assert sandbox("sync").code == 0
    found = page(sandbox)
    assert (found["disputed"], found["disputes"], attention(sandbox)) == (None, [], (0, []))


CANCEL = ("subs", "cancel", "design", "--now", "--refund", "--yes", "-o", "json")


def test_what_a_bank_has_taken_back_is_not_given_back_too(disputed):
    """The cardholder has the money again; Stripe refuses to refund such a payment."""
    answer = disputed(*CANCEL)
    error = json.loads(answer.err)["error"]
    (row,) = disputed.rows("invoices", "list")
    assert (answer.code, error["code"], error["given_back"]) == (4, "refund_falls_short", 0)
    assert f"the payment of invoice {row['number']} is disputed" in error["message"]
    (shown,) = disputed.rows("subs", "list")
    assert (shown["status"], objects(disputed, "refund")) == ("active", [])


def test_a_lost_dispute_has_given_back_and_a_won_one_nothing(disputed):
    set_status(disputed, "lost")
    (row,) = disputed(*CANCEL, "--dry-run").json["rows"]
    assert row["given_back"] == 0
    set_status(disputed, "won")
    (row,) = disputed(*CANCEL).json["rows"]
    assert row["given_back"] == 6000
    assert [one["amount"] for one in objects(disputed, "refund")] == [6000]


def test_the_sandbox_refunds_nothing_that_was_charged_back(disputed):
    (charge,) = objects(disputed, "charge")
    with twin(disputed) as stripe:
        answer = stripe.handle("POST", "/v1/refunds", HEADERS, f"charge={charge['id']}")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "charge_disputed")
