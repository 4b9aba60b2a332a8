"""What Stripe has done counts: no seats unpaid, no charge forgotten, no money kept for nothing."""

from __future__ import annotations

import json

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Answer, Twin
from tests.support.both_sides import charges, fail, objects, sandbox_path, twin
from tests.support.office import (
    change_card,
    done,
    is_sound,
    item,
    open_contract,
    open_office,
    subs_row,
    until,
)
from tests.support.subscriptions import ledger_place, query

HANDLE = Twin.handle
TRIES = 4
"""How often a call to Stripe is made before it fails."""
IN_WINDOW = "2041-12-10T00:00:00Z"
FORBIDDEN = {"type": "invalid_request_error", "message": "The provided key does not have the permissions."}


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


@pytest.fixture
def contract(sandbox):
    return open_contract(sandbox)


def calm(seatctl) -> None:
    query(sandbox_path(seatctl), "DELETE FROM faults")


def before_calls(monkeypatch, method: str, end: str, act) -> None:
    """`act(twin)` before each call of this method to a path with this end; what it answers is the answer."""
    handle = Twin.handle

    def acting(self, verb, url, headers, form):
        if (verb, url.endswith(end)) == (method, True):
            answer = act(self)
            if answer is not None:
                return answer
        return handle(self, verb, url, headers, form)

    monkeypatch.setattr(Twin, "handle", acting)


def at_stripe(stripe, path: str, form: str = "") -> dict:
    """A call by somebody else: the dashboard, another program."""
    headers = {"Authorization": "Bearer sk_test_other", "Content-Type": "application/x-www-form-urlencoded"}
    answer = HANDLE(stripe, "POST", path, headers, form)
    return json.loads(answer.body)


def open_ones(stripe) -> list[str]:
    return [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]


# A charge that is forgotten would be made again -------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_refused_today_does_not_end_an_increase_that_was_charged(office, monkeypatch, status):
    command = ("subs", "add-seats", "design", "1", "--yes", "-o", "json")
    fail(office, "lost", times=1000, method="POST", path="/v1/subscriptions/")
    assert office(*command).code == 75
    calm(office)
    assert charges(office)[3:] == [1000]
    with monkeypatch.context() as patch:
        refusal = Answer(status, {"Content-Type": "application/json"}, json.dumps({"error": FORBIDDEN}))
        path = f"/v1/subscriptions/{subs_row(office)['stripe_subscription']}"
        before_calls(patch, "POST", path, lambda _: refusal)
        assert office(*command).code == 8
    assert office(*command).code == 0
    assert office("sync").code == 0
    assert (charges(office)[3:], subs_row(office)["seats"]) == ([1000], 3)
    is_sound(office)


@pytest.mark.parametrize("verb", ["pay", "void"])
def test_an_invoice_that_is_done_with_already_ends_the_run_that_did_it(office, verb):
    """The answer was lost; the same command finds the invoice paid, and its own run unfinished."""
    change_card(office, "pay-lab@example.com", "pm_card_chargeCustomerFail")
    until(office, "2040-07-01T03:00:00Z")
    change_card(office, "pay-lab@example.com", "pm_card_visa")
    with twin(office) as stripe:
        (invoice,) = open_ones(stripe)
    command = ("invoices", verb, invoice, "--yes")
    fail(office, "lost", times=1000, method="POST", path="/v1/invoices/")
    assert office(*command).code == 75
    calm(office)
    assert office(*command).code == 0
    assert query(ledger_place(office), "SELECT run FROM operations WHERE state = 'pending'") == []
    assert office.rows("invoices", "list", "lab")[0]["status"] == {"pay": "paid", "void": "void"}[verb]


# Nothing but a paid invoice is a payment --------------------------------------------------------------


def test_an_invoice_made_void_in_between_gives_no_seats(contract, monkeypatch):
    fail(contract, "timeout", times=1000, method="POST", path="/v1/invoices/")
    with monkeypatch.context() as patch:
        before_calls(patch, "POST", "/pay", lambda _: None)
        assert contract("subs", "add-seats", "acme", "5", "--yes").code == 75
    calm(contract)
    with monkeypatch.context() as patch:  # finalized by the recovery, and void before it is paid

        def voided(stripe):
            for invoice in open_ones(stripe):
                at_stripe(stripe, f"/v1/invoices/{invoice}/void")

        before_calls(patch, "POST", "/pay", voided)
        contract("sync")
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000], 20)
    assert contract("sync").code == 0
    is_sound(contract)


def test_a_fault_while_paying_a_void_invoice_gives_no_seats(contract, monkeypatch):
    """Stripe fails, and the invoice is not open any more: that alone does not make it paid."""

    def fails(stripe):
        for invoice in open_ones(stripe):
            at_stripe(stripe, f"/v1/invoices/{invoice}/void")
        return Answer(500, {"Content-Type": "application/json"}, '{"error": {"type": "api_error"}}')

    with monkeypatch.context() as patch:
        before_calls(patch, "POST", "/pay", fails)
        contract("subs", "add-seats", "acme", "5", "--yes")
    contract("sync")
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000], 20)
    assert item(contract, "acme")["quantity"] == 20


def test_a_payment_that_takes_days_is_waited_for(contract, monkeypatch):
    """A bank debit: Stripe takes the order to pay, and the invoice stays open until the money is there."""
    handle = Twin.handle

    def slow_bank(self, verb, url, headers, form):
        if verb == "POST" and url.endswith("/pay"):
            return handle(self, "GET", url.removesuffix("/pay"), headers, None)
        return handle(self, verb, url, headers, form)

    monkeypatch.setattr(Twin, "handle", slow_bank)
    asked = contract("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    assert (asked.code, "still waits for the money" in asked.error["message"]) == (10, True)
    assert (charges(contract), item(contract, "acme")["quantity"]) == ([12000], 20)
    monkeypatch.undo()
    with twin(contract) as stripe:
        (invoice,) = open_ones(stripe)
        at_stripe(stripe, f"/v1/invoices/{invoice}/pay")
    assert contract("sync").code == 0
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000, 3000], 25)


def test_what_is_paid_in_the_moment_it_is_abandoned_is_finished(contract, monkeypatch):
    """The cardholder agrees between our looking and our making void: the seats are there."""
    change_card(contract, "pay@example.com", "pm_card_threeDSecure2Required")
    asked = contract("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    assert asked.code == 10
    with monkeypatch.context() as patch:

        def agreed(stripe):
            for invoice in open_ones(stripe):
                control.authenticate(stripe, invoice)

        before_calls(patch, "POST", "/void", agreed)
        contract("runs", "undo", str(asked.error["run"]), "--yes")
    contract("sync")
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000, 3000], 25)
    is_sound(contract)


# Nobody keeps money for what cannot be given ----------------------------------------------------------


def test_seats_paid_for_when_the_contract_had_ended_are_given_back(contract, monkeypatch):
    with monkeypatch.context() as patch:
        stripe_id = subs_row(contract, "acme")["stripe_subscription"]
        before_calls(patch, "POST", f"/v1/subscriptions/{stripe_id}", lambda _: raise_lost())
        assert contract("subs", "add-seats", "acme", "5", "--yes").code == 75
    assert charges(contract) == [12000, 3000]
    assert contract("sandbox", "advance", "2042-01-02T00:00:00Z").code == 0
    synced = contract("sync", "-o", "json")
    assert "is refunded in full" in synced.rows[0]["summary"]
    assert [one["amount"] for one in objects(contract, "refund")] == [3000]
    assert contract("sync").code == 0
    assert query(ledger_place(contract), "SELECT state FROM operations WHERE kind = 'addon'") == [("failed",)]
    is_sound(contract)


def raise_lost():
    raise ConnectionError("lost on the way")


def test_a_renewal_that_was_extended_and_canceled_does_not_begin_anew(contract, monkeypatch):
    """The term was there and somebody ended it in the dashboard before this ledger heard of it."""
    until(contract, IN_WINDOW)
    stripe_id = subs_row(contract, "acme")["stripe_subscription"]
    fail(contract, "lost", times=1000, method="POST", path=f"/v1/subscriptions/{stripe_id}")
    assert contract("subs", "renew", "acme", "--yes").code == 75
    calm(contract)
    with twin(contract) as stripe:
        headers = {"Authorization": "Bearer sk_test_other"}
        assert stripe.handle("DELETE", f"/v1/subscriptions/{stripe_id}", headers, None).status == 200
    contract("sync")
    assert [one["id"] for one in objects(contract, "subscription")] == [stripe_id]
    assert subs_row(contract, "acme")["status"] == "canceled"


def test_what_was_paid_outside_stripe_for_a_contract_that_had_ended_is_credited(contract):
    """There is no charge that could be refunded: it is the customer's credit then, and nothing stays open."""
    change_card(contract, "pay@example.com", "pm_card_threeDSecure2Required")
    assert contract("subs", "add-seats", "acme", "5", "--yes").code == 10
    (invoice,) = [one["id"] for one in objects(contract, "invoice") if one["status"] == "open"]
    stripe_id = subs_row(contract, "acme")["stripe_subscription"]
    with twin(contract) as stripe:
        at_stripe(stripe, f"/v1/invoices/{invoice}/pay", "paid_out_of_band=true")
        headers = {"Authorization": "Bearer sk_test_other"}
        assert stripe.handle("DELETE", f"/v1/subscriptions/{stripe_id}", headers, None).status == 200
    synced = contract("sync", "-o", "json")
    assert (synced.code, "credited to the customer's balance" in synced.rows[0]["summary"]) == (0, True)
    assert query(ledger_place(contract), "SELECT state FROM operations WHERE kind = 'addon'") == [("failed",)]
    assert [one["balance"] for one in objects(contract, "customer")] == [-3000]
    assert contract("sync").code == 0
    is_sound(contract)


@pytest.mark.parametrize("made", [True, False])
def test_a_charge_that_was_cut_off_ends_when_its_customer_has_been_deleted(contract, monkeypatch, made):
    """Stripe lists nothing of a deleted customer, but what was made for it is still there."""
    handle = Twin.handle

    def cut_off(self, verb, url, headers, form):
        if (verb, url.endswith("/v1/invoices")) != ("POST", True):
            return handle(self, verb, url, headers, form)
        if made:
            handle(self, verb, url, headers, form)
        raise ConnectionError("lost on the way")

    with monkeypatch.context() as patch:
        patch.setattr(Twin, "handle", cut_off)
        assert contract("subs", "add-seats", "acme", "5", "--yes").code == 75
    drafts = [one["id"] for one in objects(contract, "invoice") if one["status"] == "draft"]
    assert len(drafts) == made
    customer = objects(contract, "customer")[0]["id"]
    with twin(contract) as stripe:
        headers = {"Authorization": "Bearer sk_test_other"}
        assert stripe.handle("DELETE", f"/v1/customers/{customer}", headers, None).status == 200
    assert contract("sandbox", "advance", "2d").code == 0
    assert contract("sync").code == 0
    assert query(ledger_place(contract), "SELECT state FROM operations WHERE kind = 'addon'") == [("failed",)]
    assert (charges(contract), subs_row(contract, "acme")["status"]) == ([12000], "canceled")
    assert not [one for one in objects(contract, "invoice") if one["status"] == "draft"]
    is_sound(contract)


@pytest.mark.parametrize("lost", [False, True])
def test_a_draft_that_comes_to_more_than_was_shown_is_not_charged(contract, monkeypatch, lost):
    """Somebody put another line on it, or a tax came in between: without --max-spend the preview counts."""
    if lost:
        fail(contract, "lost", times=1000, method="DELETE", path="/v1/invoices/")

    def dearer(stripe):
        for draft in [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "draft"]:
            customer = objects(contract, "customer")[0]["id"]
            at_stripe(
                stripe,
                "/v1/invoiceitems",
                f"customer={customer}&invoice={draft}&amount=500&currency=usd",
            )

    with monkeypatch.context() as patch:
        before_calls(patch, "POST", "/v1/invoiceitems", dearer)
        asked = contract("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    calm(contract)
    if lost:
        assert asked.code == 75
        assert contract("sync", "-o", "json").rows[0]["result"] == "failed"
    else:
        assert (asked.code, asked.error["code"], asked.error["shown"]) == (4, "price_changed", 3000)
    assert (charges(contract), subs_row(contract, "acme")["seats"]) == ([12000], 20)
    assert contract("sync").code == 0
    is_sound(contract)


def test_tax_rates_of_the_subscription_are_never_left_out(contract):
    """Somebody set them in the dashboard. The sandbox knows none and refuses them: so they were sent."""
    with twin(contract) as stripe, stripe.store.transaction():
        held = stripe.store.get("subscription", subs_row(contract, "acme")["stripe_subscription"])
        stripe.store.put({**held, "default_tax_rates": [{"id": "txr_1", "object": "tax_rate"}]})
    refused = contract("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    assert (refused.code, "tax_rates" in refused.error["message"]) == (5, True)
    assert charges(contract) == [12000]


@pytest.mark.parametrize("status", ["unpaid", "paused"])
def test_what_stripe_goes_on_billing_can_be_canceled(office, status):
    with twin(office) as stripe, stripe.store.transaction():
        held = stripe.store.get("subscription", subs_row(office, "lab")["stripe_subscription"])
        stripe.store.put({**held, "status": status})
    assert office("sync", "--full").code == 0
    assert office("subs", "add-seats", "lab", "1", "--yes").code == 4
    done(office, "subs cancel lab --now")
    assert subs_row(office, "lab")["status"] == "canceled"


def test_who_wants_something_else_does_not_charge_what_was_given_up_days_ago(office):
    fail(office, "timeout", times=1000, method="POST", path="/v1/subscriptions/")
    assert office("subs", "add-seats", "design", "5", "--yes").code == 75
    calm(office)
    assert office("sandbox", "advance", "3d").code == 0
    other = office("subs", "rename", "design", "studio", "-o", "json")
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert "is taken back" in other.error["message"]
    assert (charges(office)[3:], item(office)["quantity"]) == ([], 2)
    assert office("subs", "rename", "design", "studio").code == 0
    is_sound(office)


@pytest.mark.parametrize("command", ["subs add-seats acme 5", "subs set-seats acme 25"])
def test_a_limit_counts_for_what_was_begun_without_one(contract, command):
    """The first run was lost on the way; whoever repeats it more carefully is not charged past the limit."""
    fail(contract, "timeout", times=1000, method="POST", path="/v1/invoiceitems")
    words = (*command.split(), "--yes", "-o", "json")
    assert contract(*words).code == 75
    calm(contract)
    refused = contract(*words, "--max-spend", "29.99")
    assert (refused.code, refused.error["code"]) == (4, "max_spend_exceeded")
    assert charges(contract) == [12000]
    asked = contract(*command.split(), stdin="no\n", tty=True)
    assert "Stripe charges 30.00 USD unless it has already." in asked.err
    assert contract(*words, "--max-spend", "30.00").code == 0
    assert charges(contract) == [12000, 3000]


def test_an_addition_is_given_up_if_stripe_asks_to_slow_down_before_it_has_charged(contract):
    """It would block the next change of the subscription until a sync."""
    fail(contract, "429", times=TRIES, method="GET", path="/v1/invoices/")
    tried = contract("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    assert (tried.code, tried.error["code"]) == (75, "rate_limited")
    assert query(ledger_place(contract), "SELECT state FROM operations WHERE kind = 'addon'") == [("failed",)]
    assert {one["status"] for one in objects(contract, "invoice")} == {"paid"}
    assert contract("subs", "add-seats", "acme", "5", "--yes").code == 0
    is_sound(contract)
