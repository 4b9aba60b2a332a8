"""What was charged for is finished in the end, whatever was in the way: a key, a kill, an older version."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from seatctl.rules.policies import TERM, as_fields
from seatctl.sandbox.api.twin import Answer, Twin
from seatctl.services.operations import submit
from seatctl.services.operations.steps import KEYS_LAST
from tests.support.both_sides import advance, charges, fail, objects, sandbox_path
from tests.support.office import (
    change_card,
    done,
    is_sound,
    open_contract,
    open_office,
    subs_row,
    until,
)
from tests.support.subscriptions import ledger_place, queries, query

HANDLE = Twin.handle
IN_WINDOW = "2041-12-10T00:00:00Z"


@pytest.fixture
def contract(sandbox):
    return open_contract(sandbox)


def refuse(patch, status: int, method: str, is_meant) -> None:
    """Refuse the calls to these paths, as Stripe refuses a key without a permission or a bad parameter."""
    told = {"error": {"type": "invalid_request_error", "message": "not with this key"}}
    refusal = Answer(status, {"Content-Type": "application/json"}, json.dumps(told))

    def refusing(self, verb, url, headers, form):
        if verb == method and is_meant(url):
            return refusal
        return HANDLE(self, verb, url, headers, form)

    patch.setattr(Twin, "handle", refusing)


def of_subscription(url: str) -> bool:
    return "/v1/subscriptions/sub_" in url


def unfinished(seatctl) -> int:
    return query(ledger_place(seatctl), "SELECT count(*) FROM operations WHERE state = 'pending'")[0][0]


# Refused after the charge -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403])
def test_seats_that_were_charged_come_once_the_key_may_write_again(contract, monkeypatch, status):
    command = ("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    with monkeypatch.context() as patch:
        refuse(patch, status, "POST", of_subscription)
        refused = contract(*command)
        assert (refused.code in (5, 8), charges(contract)) == (True, [12000, 3000])
        assert "to finish or undo run" in refused.error["hint"]
        assert contract("sync").code == 75  # asked anew, and refused anew
    assert contract("sync").code == 0
    assert (subs_row(contract, "acme")["seats"], charges(contract)) == (25, [12000, 3000])
    is_sound(contract)


def test_a_term_that_was_charged_comes_once_the_key_may_write_again(contract, monkeypatch):
    until(contract, IN_WINDOW)
    with monkeypatch.context() as patch:
        refuse(patch, 403, "POST", of_subscription)
        assert contract("subs", "renew", "acme", "--yes").code == 8
    assert contract("subs", "renew", "acme", "--yes").code == 0
    assert (subs_row(contract, "acme")["status"], charges(contract)) == ("paid", [12000, 12000])


def test_the_invoice_of_a_declined_card_is_made_void_once_the_key_may_again(contract, monkeypatch):
    change_card(contract, "pay@example.com", "pm_card_chargeCustomerFail")
    with monkeypatch.context() as patch:
        refuse(patch, 403, "POST", lambda url: url.endswith("/void"))
        assert contract("subs", "add-seats", "acme", "5", "--yes").code == 8
    assert contract("sync", "-o", "json").rows[0]["result"] == "failed"
    assert {one["status"] for one in objects(contract, "invoice")} == {"paid", "void"}


def test_what_waits_for_the_renewal_is_kept_once_the_key_may_write_again(sandbox, monkeypatch):
    office, calls = open_office(sandbox), []
    done(office, "subs set-seats lab 5")

    def second(url: str) -> bool:
        calls.extend([url] if of_subscription(url) else [])
        return of_subscription(url) and len(calls) == 2

    with monkeypatch.context() as patch:
        refuse(patch, 403, "POST", second)
        assert office("subs", "add-seats", "lab", "1", "--yes").code == 8
    assert office("sync").code == 0
    page = office("subs", "show", "lab", "-o", "json").json
    assert page["seats"] == 11
    assert "From 2040-07-01 on it has 6 seats of basic." in page["calendar"]
    assert charges(office)[3:] == [1000]


# A draft that is gone ---------------------------------------------------------------------------------


def test_killed_after_the_draft_was_deleted_it_has_come_to_nothing(contract, monkeypatch):
    """The line is refused, the draft deleted; the process dies before it can say so."""

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        refuse(patch, 400, "POST", lambda url: url.endswith("/v1/invoiceitems"))
        patch.setattr(submit, "end_as_failed", die)
        assert contract("subs", "add-seats", "acme", "5", "--yes").code == 130
    assert [one["status"] for one in objects(contract, "invoice")] == ["paid"]
    assert contract("sync").code == 0
    assert unfinished(contract) == 0
    assert done(contract, "subs add-seats acme 5")["seats"] == 25


@pytest.mark.parametrize("kind", ["timeout", "lost"])
def test_a_draft_that_somebody_deleted_blocks_nothing(contract, kind):
    """Before it had its line, or after."""
    fail(contract, kind, times=1000, method="POST", path="/v1/invoiceitems")
    assert contract("subs", "add-seats", "acme", "5", "--yes").code == 75
    query(sandbox_path(contract), "DELETE FROM faults")
    query(sandbox_path(contract), "DELETE FROM objects WHERE kind = 'invoice' AND body LIKE '%\"draft\"%'")
    assert contract("sync", "-o", "json").rows[0]["result"] == "failed"
    assert done(contract, "subs add-seats acme 5")["seats"] == 25
    assert charges(contract) == [12000, 3000]


# A subscription that is gone --------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0, 25])
@pytest.mark.parametrize(
    ("command", "method", "path"),
    [
        ("subs add-seats acme 5", "POST", "/v1/subscriptions/"),
        ("subs add-seats acme 5", "POST", "/v1/invoiceitems"),
        ("subs cancel acme --now", "DELETE", "/v1/subscriptions/"),
    ],
)
def test_what_was_under_way_when_test_data_was_deleted_ends(contract, command, method, path, hours):
    """Left pending, it would keep every later sync from being a success; what was paid is given back."""
    fail(contract, "timeout", times=1000, method=method, path=path)
    assert contract(*command.split(), "--yes").code == 75
    query(sandbox_path(contract), "DELETE FROM faults")
    query(sandbox_path(contract), "DELETE FROM objects WHERE kind = 'subscription'")
    advance(contract, hours)
    assert contract("sync").code == 0
    assert unfinished(contract) == 0
    kept = [one["amount"] - one["amount_refunded"] for one in objects(contract, "charge")]
    assert [amount for amount in kept if amount] == [12000]
    assert contract("reconcile", "--fix").code == contract("sync").code == 0


# Begun by an older version ----------------------------------------------------------------------------


def begun_before(seatctl, change: Callable[[dict], object]) -> None:
    """The payload of what is pending as an older version wrote it."""
    query(sandbox_path(seatctl), "DELETE FROM faults")
    with queries(ledger_place(seatctl)) as rows:
        ((text,),) = rows("SELECT payload FROM operations WHERE state = 'pending'")
        payload = json.loads(text)
        change(payload)
        written = json.dumps(payload, separators=(",", ":"))
        rows("UPDATE operations SET payload = ? WHERE state = 'pending'", written)
    assert unfinished(seatctl) == 1


def test_a_renewal_begun_by_a_version_that_knew_one_policy_is_finished(contract):
    until(contract, IN_WINDOW)
    fail(contract, "timeout", times=1000, method="POST", path="/v1/subscriptions/")
    assert contract("subs", "renew", "acme", "--yes").code == 75
    begun_before(contract, lambda payload: (payload.pop("agreed"), payload.update(policy=as_fields(TERM))))
    assert contract("sync").code == 0
    assert (subs_row(contract, "acme")["status"], charges(contract)) == ("paid", [12000, 12000])


def test_a_refund_begun_by_a_version_that_lowered_no_open_invoice_is_given(contract):
    fail(contract, "timeout", times=1000, method="POST", path="/v1/credit_notes")
    assert contract("subs", "cancel", "acme", "--now", "--refund", "--yes").code == 75
    begun_before(contract, lambda payload: payload["shares"][0].pop("less"))
    assert contract("sync").code == 0
    assert [one["amount"] for one in objects(contract, "refund")] == [12000]


# A contract that begins anew --------------------------------------------------------------------------


def test_a_contract_that_begins_anew_is_taxed_as_it_was(contract):
    """The sandbox takes no tax rates and says so; refused for them, it is asked anew without."""
    until(contract, IN_WINDOW)
    fail(contract, "timeout", times=1000, method="POST", path="/v1/subscriptions/")
    assert contract("subs", "renew", "acme", "--yes").code == 75
    begun_before(contract, lambda payload: payload["bill"].update(tax_rates=["txr_1"]))
    assert contract("sandbox", "advance", "30d").code == 0
    pending = contract("sync", "-o", "json")
    assert (pending.code, "tax_rates" in pending.rows[0]["summary"]) == (75, True), pending.out
    begun_before(contract, lambda payload: payload["bill"].update(tax_rates=[]))
    assert contract("sync").code == 0
    assert (subs_row(contract, "acme")["status"], charges(contract)) == ("paid", [12000, 12000])


def test_keys_are_trusted_for_less_than_a_day_as_the_help_says(seatctl):
    hours = KEYS_LAST // timedelta(hours=1)
    assert timedelta(hours=hours) == KEYS_LAST < timedelta(hours=24)
    assert f"less than {hours} hours old" in " ".join(seatctl("sync", "--help").out.split())
