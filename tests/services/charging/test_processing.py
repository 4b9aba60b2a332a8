"""A payment that takes days: its invoice and subscription wait for the bank, however old the operation."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.support.both_sides import advance, charges, live_subscriptions, objects, twin
from tests.support.subscriptions import ledger_place, query

BANK = "pm_usBankAccount_processing"
ASKS = "pm_card_authenticationRequired"
BUY = "subs buy --plan {} --seats 5 --name acme --billing-email pay@example.com --yes"


def debit(seatctl, invoice: str) -> None:
    """Somebody pays an invoice by bank debit, on a page from before pages took cards only."""
    with twin(seatctl) as stripe:
        send(stripe, f"invoices/{invoice}/pay", {"payment_method": BANK})


def settle(seatctl, invoice: str, *, succeeds: bool) -> None:
    with twin(seatctl) as stripe:
        control.settle(stripe, invoice, succeeds=succeeds)


def status_of(seatctl, invoice: str) -> str:
    return next(one["status"] for one in objects(seatctl, "invoice") if one["id"] == invoice)


def waits(seatctl, *words) -> dict:
    """The error of a command that leaves the payment alone."""
    before = [(one["id"], one["status"]) for one in objects(seatctl, "invoice")]
    answer = seatctl(*words, "--yes", "-o", "json")
    assert (answer.code, answer.error["code"]) == (10, "payment_processing"), answer
    assert [(one["id"], one["status"]) for one in objects(seatctl, "invoice")] == before
    return answer.error


@pytest.fixture
def renewing(sandbox, team) -> str:
    """A renewal that a bank account pays: the number of its invoice, which is open for days."""
    with twin(sandbox) as stripe:
        (customer,) = stripe.store.walk("customer")
        bank = send(stripe, f"payment_methods/{BANK}/attach", {"customer": customer["id"]})["id"]
        send(stripe, f"customers/{customer['id']}", {"invoice_settings": {"default_payment_method": bank}})
    advance(sandbox, hours=32 * 24)
    assert sandbox("sync").code == 0
    newest = objects(sandbox, "invoice")[-1]
    assert (newest["status"], newest["billing_reason"]) == ("open", "subscription_cycle")
    intents = objects(sandbox, "payment_intent")
    charge = objects(sandbox, "charge")[-1]
    assert (intents[-1]["status"], charge["status"], charge["paid"]) == ("processing", "pending", False)
    return newest["number"]


@pytest.mark.parametrize("command", ["invoices void {}", "invoices pay {}", "subs cancel design --now"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_no_command_takes_back_or_repeats_what_is_under_way(sandbox, renewing, command, more):
    error = waits(sandbox, *command.format(renewing).split(), *more)
    assert renewing in error["message"]
    assert live_subscriptions(sandbox)[0]["status"] == "active"
    assert query(ledger_place(sandbox), "SELECT run FROM operations WHERE state <> 'done'") == []


def test_with_a_refund_too_nothing_is_canceled(sandbox, renewing):
    waits(sandbox, "subs", "cancel", "design", "--now", "--refund")


@pytest.mark.parametrize("refund", [(), ("--refund",)])
def test_what_was_written_off_may_still_be_paid_by_the_bank(sandbox, renewing, refund):
    with twin(sandbox) as stripe:
        send(stripe, f"invoices/{objects(sandbox, 'invoice')[-1]['id']}/mark_uncollectible", {})
    waits(sandbox, "subs", "cancel", "design", "--now", *refund)
    assert live_subscriptions(sandbox)[0]["status"] == "active"


def test_a_cancellation_at_the_end_of_the_period_does_not_touch_the_payment(sandbox, renewing):
    assert sandbox("subs", "cancel", "design", "--yes").code == 0
    assert objects(sandbox, "invoice")[-1]["status"] == "open"


def test_a_new_card_does_not_pay_again_what_the_bank_may_still_pay(sandbox, renewing):
    changed = sandbox("subs", "billing", "design", "--payment-method", "pm_card_mastercard", "--yes")
    assert changed.code == 0, changed.err
    assert charges(sandbox) == [6000]
    assert objects(sandbox, "invoice")[-1]["status"] == "open"


@pytest.mark.parametrize("succeeds", [True, False])
def test_once_the_bank_has_decided_everything_can_be_done_again(sandbox, renewing, succeeds):
    settle(sandbox, objects(sandbox, "invoice")[-1]["id"], succeeds=succeeds)
    assert sandbox("sync").code == 0
    if not succeeds:
        assert sandbox("invoices", "void", renewing, "--yes").code == 0
    assert sandbox("subs", "cancel", "design", "--now", "--yes").code == 0


@pytest.fixture
def own_invoice(sandbox):
    """Seats at full price whose invoice the bank wants authenticated, and a bank account then pays."""
    plan = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*plan.split()).code == 0
    assert sandbox(*BUY.format("team").split(), "--payment-method", "pm_card_visa").code == 0
    assert sandbox("subs", "billing", "acme", "--payment-method", ASKS, "--yes").code == 0
    asked = sandbox("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    assert asked.code == 10, asked.err
    invoice = objects(sandbox, "invoice")[-1]["id"]
    debit(sandbox, invoice)
    return invoice, asked.error["run"]


@pytest.mark.parametrize("hours", [1, 22, 24, 24 * 13])
def test_an_operation_waits_for_the_bank_however_old_it_is(sandbox, own_invoice, hours):
    invoice, run = own_invoice
    advance(sandbox, hours=hours)
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"], synced.rows[0]["error"]) == (
        10,
        "waiting",
        "payment_processing",
    )
    waits(sandbox, "runs", "undo", run)
    other = waits(sandbox, "subs", "add-seats", "acme", "10")
    # A payment that has just begun has the same code: a caller must not take this for one.
    assert other["message"].startswith(f"run {run} waits: the payment of invoice ")
    assert other["message"].endswith("; nothing else was done")
    assert status_of(sandbox, invoice) == "open"
    settle(sandbox, invoice, succeeds=True)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["seats"] == 10
    assert charges(sandbox) == [2500, 2500]


def test_what_the_bank_refused_after_days_is_taken_back(sandbox, own_invoice):
    invoice, _ = own_invoice
    advance(sandbox, hours=24 * 6)
    settle(sandbox, invoice, succeeds=False)
    assert sandbox("sync").code == 0
    assert status_of(sandbox, invoice) == "void"
    assert sandbox.rows("subs", "list")[0]["seats"] == 5
    assert charges(sandbox) == [2500]


def test_a_first_payment_under_way_keeps_its_subscription(sandbox, pro):
    """Whether such a subscription is active or incomplete is not known: here it is incomplete."""
    asked = sandbox(*BUY.format("pro").split(), "--payment-method", ASKS, "-o", "json")
    assert asked.code == 10, asked.err
    invoice = objects(sandbox, "invoice")[-1]["id"]
    debit(sandbox, invoice)
    (made,) = live_subscriptions(sandbox)
    with twin(sandbox) as stripe, stripe.store.transaction():
        stripe.store.put({**made, "status": "incomplete"})
    waits(sandbox, "runs", "undo", asked.error["run"])
    assert sandbox("sync", "-o", "json").rows[0]["error"] == "payment_processing"
    assert (status_of(sandbox, invoice), len(live_subscriptions(sandbox))) == ("open", 1)
    settle(sandbox, invoice, succeeds=True)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["status"] == "active"


def test_a_change_that_waits_for_a_bank_is_not_given_up(sandbox, team):
    assert sandbox("subs", "billing", team, "--payment-method", ASKS, "--yes").code == 0
    asked = sandbox("subs", "add-seats", team, "5", "--yes", "-o", "json")
    assert asked.code == 10, asked.err
    invoice = objects(sandbox, "invoice")[-1]["id"]
    debit(sandbox, invoice)
    waits(sandbox, "runs", "undo", asked.error["run"])
    assert sandbox("sync", "-o", "json").rows[0]["error"] == "payment_processing"
    settle(sandbox, invoice, succeeds=True)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["seats"] == 10


def test_status_tells_until_when_a_bank_processes_a_purchase(sandbox):
    plan = "plans add eu --price 5.00 --currency eur --interval month"
    assert sandbox(*plan.split()).code == 0
    asked = sandbox(
        *BUY.format("eu").split(), "--payment-method", "pm_sepaDebit_success_at", "--yes", "-o", "json"
    )
    assert asked.code == 10, asked.err
    run, invoice, until = (asked.error[key] for key in ("run", "invoice", "processing_until"))
    # The invoice is not in the ledger before the purchase is: no command could show it.
    assert asked.error["hint"] == "once the bank has decided: seatctl sync"
    what = f"run {run} waits for a bank: the payment of invoice {invoice}"
    told = f"{what} is processing until about {until[:10]}: seatctl runs show {run}"
    assert sandbox("status", "-o", "json").json["attention"] == [told]
    assert sandbox("runs", "show", str(run)).code == 0
    advance(sandbox, hours=24 * 6)
    assert sandbox("sync").code == 0
    assert sandbox("status", "-o", "json").json["attention"] == []
