"""What stands on an invoice besides its total: refunds, credit notes, payments elsewhere, how late it is."""

from __future__ import annotations

import csv
import json

import pytest

from tests.sandbox.seed import send
from tests.services.purchases.test_declines import change
from tests.support.both_sides import objects, twin
from tests.support.office import done, until


@pytest.fixture
def owed(sandbox, pro):
    """Three seats of `pro` bought on account for 36.00, due in 14 days; the invoice's number."""
    buy = "subs buy --plan pro --seats 3 --name acme --owner ann@example.com --billing-email pay@example.com"
    done(sandbox, f"{buy} --on-account --due-in 14d")
    return sandbox.rows("invoices", "list")[0]["number"]


def listed(seatctl) -> dict:
    """The newest invoice of the list."""
    return seatctl.rows("invoices", "list")[0]


def shown(seatctl, number: str) -> dict:
    return seatctl("invoices", "show", number, "-o", "json").json


def refund(seatctl, amount: int) -> dict:
    """Money given back by somebody in the dashboard; the charge as Stripe has it then."""
    charge = next(one for one in objects(seatctl, "charge") if one["paid"])
    with twin(seatctl) as stripe:
        send(stripe, "refunds", {"charge": charge["id"], "amount": amount})
    return next(one for one in objects(seatctl, "charge") if one["id"] == charge["id"])


def test_a_refund_of_the_dashboard_is_seen_after_a_sync(sandbox, team):
    assert sandbox("sync").code == 0
    assert (listed(sandbox)["refunded"], "Refunded" in sandbox("invoices", "list", tty=True).out) == (
        None,
        False,
    )
    refund(sandbox, 1500)
    refund(sandbox, 500)
    told = sandbox("sync", "-o", "json").json
    assert sorted(row["summary"] for row in told["rows"]) == [
        "15.00 USD given back: succeeded",
        "5.00 USD given back: succeeded",
    ]
    assert "2 refunds read" in told["summary"]
    assert sandbox("sync", "-o", "json").rows == []
    row = listed(sandbox)
    assert (row["status"], row["amount_paid"], row["refunded"]) == ("paid", 6000, 2000)
    page = shown(sandbox, row["number"])
    refunds = sorted((one["amount"], one["status"]) for one in page["refunds"])
    assert refunds == [(500, "succeeded"), (1500, "succeeded")]
    assert f"refunded 15.00 USD on {page['refunds'][0]['at'][:10]}" in page["totals"]
    assert "Refunded" in sandbox("invoices", "list", tty=True, env={"COLUMNS": "200"}).out


def test_refunds_are_read_by_a_whole_sync_too(sandbox, team):
    refund(sandbox, 6000)
    assert sandbox("sync", "--full").code == 0
    assert listed(sandbox)["refunded"] == 6000
    assert sandbox("sync", "--full").code == 0  # read again, it is counted once
    assert listed(sandbox)["refunded"] == 6000


def test_an_event_of_the_charge_alone_leads_to_its_refunds(sandbox, team):
    charge = refund(sandbox, 700)
    event = {"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {"object": charge}}
    assert sandbox("sync", "--events", "-", stdin=json.dumps(event) + "\n").code == 0
    assert listed(sandbox)["refunded"] == 700


def test_a_refund_that_failed_gave_nothing_back(sandbox, team):
    refund(sandbox, 700)
    with twin(sandbox) as stripe, stripe.store.transaction():
        (made,) = stripe.store.walk("refund")
        stripe.store.put({**made, "status": "failed"})
    assert sandbox("sync").code == 0
    row = listed(sandbox)
    assert row["refunded"] is None
    assert "refunded 7.00 USD" in " ".join(shown(sandbox, row["number"])["totals"])
    assert "(failed)" in " ".join(shown(sandbox, row["number"])["totals"])


def test_a_ledger_that_never_read_refunds_reads_everything_once(sandbox, team):
    from tests.support.subscriptions import ledger_place, query

    refund(sandbox, 900)
    assert sandbox("sync").code == 0
    ledger = ledger_place(sandbox)
    query(ledger, "DELETE FROM stripe_objects WHERE kind = 'refund'")
    query(ledger, "DELETE FROM sync_state WHERE key = 'kinds'")  # as an earlier version left it
    assert sandbox("sync", "-o", "json").json["backfill"] is True
    assert listed(sandbox)["refunded"] == 900
    assert sandbox("sync", "-o", "json").json["backfill"] is False


def test_a_credit_note_before_the_payment_lowers_what_is_open(sandbox, owed):
    invoice = listed(sandbox)["stripe_id"]
    change(sandbox, "credit_notes", invoice=invoice, amount=1000)
    assert sandbox("sync").code == 0
    row = listed(sandbox)
    assert (row["total"], row["amount_remaining"], row["credited"]) == (3600, 2600, 1000)
    told = "credited 10.00 USD before it was paid, which lowers what is due"
    assert told in shown(sandbox, owed)["totals"]
    would = sandbox("invoices", "pay", owed, "--max-spend", "25.99", "--yes")
    assert (would.code, "26.00" in would.err) == (4, True)


def test_what_was_paid_elsewhere_is_said(sandbox, owed):
    change(sandbox, f"invoices/{listed(sandbox)['stripe_id']}/pay", paid_out_of_band="true")
    assert sandbox("sync").code == 0
    row, page = listed(sandbox), shown(sandbox, owed)
    assert (row["status"], row["amount_remaining"], page["paid_outside_stripe"]) == ("paid", 0, 3600)
    assert "paid 36.00 USD outside of Stripe" in page["totals"]


def test_what_a_card_paid_was_not_paid_elsewhere(sandbox, team):
    page = shown(sandbox, listed(sandbox)["number"])
    assert (page["paid_outside_stripe"], "outside" in " ".join(page["totals"])) == (None, False)


def test_a_list_says_when_an_invoice_is_due_and_how_late_it_is(sandbox, owed):
    row = listed(sandbox)
    assert (row["due_date"] is None, row["days_late"]) == (False, None)
    heading = sandbox("invoices", "list", tty=True, env={"COLUMNS": "200"}).out.splitlines()[0]
    assert ("Due by" in heading, "Days late" in heading) == (True, False)
    assert sandbox("sandbox", "advance", "17d").code == 0
    assert listed(sandbox)["days_late"] == 3  # by the clock alone: nothing has to be synced for it
    assert "Days late" in sandbox("invoices", "list", tty=True, env={"COLUMNS": "200"}).out


@pytest.mark.parametrize("end", ["void", "uncollectible"])
def test_nothing_is_open_of_an_invoice_that_nobody_owes(sandbox, owed, end, tmp_path):
    if end == "void":
        done(sandbox, f"invoices void {owed}")
    else:
        change(sandbox, f"invoices/{listed(sandbox)['stripe_id']}/mark_uncollectible")
    until(sandbox, "20d")
    row = listed(sandbox)
    assert (row["status"], row["total"], row["amount_remaining"], row["days_late"]) == (end, 3600, 0, None)
    assert shown(sandbox, owed)["amount_remaining"] == 0
    assert sandbox.rows("invoices", "list", "--unpaid") == []
    assert sandbox.rows("invoices", "list", "--overdue") == []
    assert sandbox("status", "-o", "json").json["unpaid_invoices"] == 0
    exported = tmp_path / "whole"
    assert sandbox("ledger", "export", exported).code == 0
    heading, line = csv.reader((exported / "invoices.csv").read_text().splitlines())
    assert dict(zip(heading, line, strict=True))["amount_remaining"] == "0"
