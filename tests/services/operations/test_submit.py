"""Faults of the network and of Stripe, repetitions, and two processes at once: charged once, always."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest

from seatctl.ledger.ledger import open_ledger
from seatctl.sandbox.api.twin import Answer, Twin
from seatctl.services.operations import handlers
from tests.support.both_sides import (
    advance,
    assert_agree,
    charges,
    fail,
    faults_left,
    live_subscriptions,
    objects,
    twin,
)
from tests.support.racing import codes, start
from tests.support.subscriptions import ledger_place, query
from tests.support.words import instead

ORDER = "subs buy --plan pro --seats 3 --name lab --billing-email pay@example.com --yes"
BUY = (*ORDER.split(), "--payment-method", "pm_card_visa", "-o", "json")


def bought_once(seatctl) -> bool:
    assert_agree(seatctl)
    (subscription,) = seatctl.rows("subs", "list")
    return charges(seatctl) == [3600] and (subscription["name"], subscription["seats"]) == ("lab", 3)


# Faults -----------------------------------------------------------------------------------------------

CALLS = (
    ("/v1/customers", "POST"),
    ("/v1/subscriptions", "POST"),
    ("/v1/customers/", "GET"),
    ("/v1/invoices/", "GET"),
)


@pytest.mark.parametrize(("path", "method"), CALLS)
@pytest.mark.parametrize("kind", ["429", "500", "timeout", "lost"])
def test_a_passing_fault_is_not_noticed(sandbox, pro, kind, path, method):
    fail(sandbox, kind, times=2, path=path, method=method)
    bought = sandbox(*BUY)
    assert bought.code == 0, bought.err
    assert faults_left(sandbox) == 0
    assert bought_once(sandbox)


@pytest.mark.parametrize(("path", "method"), CALLS)
@pytest.mark.parametrize("kind", ["500", "timeout", "lost"])
def test_a_lasting_fault_is_tried_again_later_and_sync_finishes_it(sandbox, pro, kind, path, method):
    fail(sandbox, kind, times=1000, path=path, method=method)
    tried = sandbox(*BUY)
    assert (tried.code, tried.out) == (75, "")
    assert tried.error["code"] == {"500": "stripe_fault"}.get(kind, "stripe_unreachable")
    assert tried.error["hint"] == f"to finish or undo run {tried.error['run']}: seatctl sync"
    assert sandbox("sync").code == 75
    calm(sandbox)
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"]) == (0, "finished")
    assert bought_once(sandbox)


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_a_purchase_is_given_up_if_stripe_asks_to_slow_down_before_it_has_charged(sandbox, pro, path, method):
    fail(sandbox, "429", times=1000, path=path, method=method)
    tried = sandbox(*BUY)
    assert (tried.code, tried.error["code"]) == (75, "rate_limited")
    states = query(ledger_place(sandbox), "SELECT state FROM operations WHERE kind = 'buy'")
    if method == "POST":
        assert (states, objects(sandbox, "customer"), charges(sandbox)) == ([("failed",)], [], [])
    else:
        assert (states, charges(sandbox)) == ([("pending",)], [3600])
    calm(sandbox)
    assert sandbox(*BUY).code == 0
    assert bought_once(sandbox)


def calm(seatctl) -> None:
    """Disarm the faults."""
    query(seatctl.home / "default" / "sandbox.db", "DELETE FROM faults")


@pytest.mark.parametrize("kind", ["429", "500", "timeout", "lost"])
def test_a_fault_while_a_decline_is_cleaned_up_leaves_the_customer_to_sync(sandbox, pro, kind):
    fail(sandbox, kind, times=1000, method="DELETE")
    declined = sandbox(*ORDER.split(), "--payment-method", "pm_card_chargeCustomerFail", "-o", "json")
    assert declined.code == 75
    calm(sandbox)
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"], synced.rows[0]["error"]) == (0, "failed", "card_declined")
    assert objects(sandbox, "customer") == charges(sandbox) == []
    assert_agree(sandbox)


def test_an_answer_lost_for_more_than_a_day_is_found_by_what_the_object_says(sandbox, pro):
    fail(sandbox, "lost", times=1000, path="/v1/subscriptions", method="POST")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    advance(sandbox, hours=72)
    assert sandbox("sync", "-o", "json").rows[0]["result"] == "finished"
    assert bought_once(sandbox)


@pytest.mark.parametrize(("path", "method"), [("/v1/subscriptions", "POST"), ("/v1/customers/", "GET")])
def test_a_purchase_recovered_after_its_first_renewal_has_the_term_that_runs(sandbox, pro, path, method):
    """Whether the answer was lost, or was written down before the command failed."""
    fail(sandbox, "lost", times=1000, path=path, method=method)
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    advance(sandbox, hours=40 * 24)
    assert sandbox(*BUY).code == 0
    (subscription,) = sandbox.rows("subs", "list")
    (item,) = objects(sandbox, "subscription_item")
    now = sandbox("sandbox", "status", "-o", "json").json["now"]
    assert subscription["term_start"] < now < subscription["term_end"]
    assert item["quantity"] == subscription["seats"]


def test_a_purchase_that_never_reached_stripe_is_undone_after_a_day(sandbox, pro):
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/customers")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    advance(sandbox, hours=24)
    undone = sandbox("sync", "-o", "json")
    assert (undone.code, undone.rows[0]["result"]) == (0, "undone")
    assert charges(sandbox) == objects(sandbox, "customer") == []
    assert_agree(sandbox)
    assert sandbox(*BUY).code == 0
    assert bought_once(sandbox)


def test_a_poor_connection_is_no_danger(sandbox, pro):
    """Every fault in turn, on whatever call comes next, until the purchase is through."""
    for kind in ("lost", "500", "timeout", "429") * 3:
        fail(sandbox, kind, times=3)
    codes = [sandbox(*BUY).code for _ in range(12)]
    assert set(codes) <= {0, 4, 75}
    assert sandbox("sync").code == 0
    assert bought_once(sandbox)


@pytest.mark.parametrize("kind", ["500", "lost", "timeout"])
def test_faults_while_plans_and_names_change(sandbox, team, kind):
    for words, path in (
        ("plans add eu --price 9 --currency eur", "/v1/prices"),
        ("plans edit pro --price 14", "/v1/products"),
        ("subs rename design studio", "/v1/subscriptions"),
    ):
        fail(sandbox, kind, times=1000, method="POST", path=path)
        assert sandbox(*words.split()).code == 75, words
        calm(sandbox)
        assert sandbox("sync").code == 0, words
        assert_agree(sandbox)
    assert [(row["slug"], row["unit_amount"]) for row in sandbox.rows("plans", "list")] == [
        ("eu", 900),
        ("pro", 1400),
    ]
    assert sandbox.rows("subs", "list")[0]["name"] == "studio"


def test_sync_says_what_it_would_do_and_does_not(sandbox, pro):
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/customers")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    told = sandbox("sync", "--dry-run", "-o", "json")
    assert (told.code, told.json["run"], told.rows[0]["result"]) == (0, None, "pending")
    assert charges(sandbox) == []
    assert sandbox("sync").code == 0
    assert bought_once(sandbox)


def test_one_that_cannot_be_recovered_does_not_keep_the_others(sandbox, pro):
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/customers")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/products")
    assert sandbox("plans", "add", "eu", "--price", "9", "--currency", "eur").code == 75
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, [row["result"] for row in synced.rows]) == (75, ["finished", "pending"])
    assert charges(sandbox) == [3600]


# Repetitions ------------------------------------------------------------------------------------------


def test_a_repeated_request_id_repeats_the_answer(sandbox, pro):
    first = sandbox(*BUY, "--request-id", "po-7")
    again = sandbox(*BUY, "--request-id", "po-7")
    assert (again.code, again.json["summary"]) == (0, "already done: bought 3 seats of pro as lab")
    assert (again.json["run"], again.rows) == (first.json["run"], first.rows)
    assert bought_once(sandbox)
    assert objects(sandbox, "subscription")[0]["metadata"]["seatctl_request"] == "po-7"


def test_a_request_id_of_something_else_is_refused(sandbox, pro):
    bought = sandbox(*BUY, "--request-id", "po-7")
    other = sandbox(*instead(BUY, "--seats", "4"), "--request-id", "po-7")
    assert (other.code, other.error["code"]) == (4, "request_id_reused")
    assert other.error["run"] == bought.json["run"]
    assert bought_once(sandbox)


def test_a_request_id_is_repeated_even_after_the_plan_is_gone(sandbox, pro):
    assert sandbox(*BUY, "--request-id", "po-7").code == 0
    assert sandbox("plans", "archive", "pro").code == 0
    again = sandbox(*BUY, "--request-id", "po-7")
    assert (again.code, again.json["summary"][:12]) == (0, "already done")


def test_without_a_request_id_a_second_purchase_of_the_name_is_refused(sandbox, pro):
    assert sandbox(*BUY).code == 0
    again = sandbox(*BUY)
    assert (again.code, again.error["code"]) == (4, "name_taken")
    assert "seatctl subs show lab," in again.error["hint"]
    assert sandbox(*instead(BUY, "--name", "LAB")).error["code"] == "name_taken"
    assert bought_once(sandbox)


def test_the_same_purchase_finishes_the_one_that_was_interrupted(sandbox, pro):
    fail(sandbox, "lost", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    finished = sandbox(*BUY)
    assert (finished.code, finished.rows[0]["result"]) == (0, "bought")
    assert bought_once(sandbox)


def test_another_purchase_of_an_interrupted_name_finishes_that_and_stops(sandbox, pro):
    fail(sandbox, "lost", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    other = sandbox(*instead(BUY, "--seats", "9"))
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert "is finished now; nothing else was done" in other.error["message"]
    assert bought_once(sandbox)


def test_another_purchase_is_not_blamed_for_the_card_of_the_interrupted_one(sandbox, pro):
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*ORDER.split(), "--payment-method", "pm_card_chargeCustomerFail").code == 75
    calm(sandbox)
    other = sandbox(*BUY)
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert "has failed (the card was declined" in other.error["message"]
    assert sandbox(*BUY).code == 0
    assert bought_once(sandbox)


# Two at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", range(3))
def test_the_same_purchase_in_two_processes_is_charged_once(sandbox, pro, run):
    assert codes(start(sandbox, *BUY, pause=0.1), start(sandbox, *BUY, pause=0.1)) == [0, 4]
    assert bought_once(sandbox)


def test_the_same_request_id_in_two_processes_is_charged_once(sandbox, pro):
    argv = (*BUY, "--request-id", "po-7")
    assert codes(*(start(sandbox, *argv, pause=0.05) for _ in range(3))) == [0, 0, 0]
    assert bought_once(sandbox)


def test_two_purchases_of_different_names_both_succeed(sandbox, pro):
    other = instead(BUY, "--name", "atelier")
    assert codes(start(sandbox, *BUY, pause=0.1), start(sandbox, *other, pause=0.1)) == [0, 0]
    assert charges(sandbox) == [3600, 3600]
    assert len(live_subscriptions(sandbox)) == 2
    assert_agree(sandbox)


def test_sync_does_not_touch_a_purchase_that_is_under_way(sandbox, pro):
    buying = start(sandbox, *BUY, pause=0.3)
    syncs = [start(sandbox, "sync") for _ in range(3)]
    assert codes(buying) == [0], buying.stderr
    assert set(codes(*syncs)) <= {0, 75}
    assert bought_once(sandbox)


def test_who_waits_too_long_for_a_money_command_is_told_to_try_again(sandbox, pro):
    with closing(open_ledger(ledger_place(sandbox))) as other, other.money_lock():
        refused = sandbox("sync", "-o", "json")
    assert (refused.code, refused.error["code"]) == (75, "busy")
    assert sandbox("sync").code == 0


# What only Stripe's own objects can tell --------------------------------------------------------------


def answer_with(monkeypatch, status: int, error: dict, path: str, *, after_the_work: bool) -> None:
    """From now on the sandbox answers POSTs to `path` so, before or after having done what was asked."""
    handle = Twin.handle

    def answering(self, method, url, headers, form):
        if method != "POST" or url != path:
            return handle(self, method, url, headers, form)
        if after_the_work and form:
            handle(self, method, url, headers, form)
        return Answer(status, {"Content-Type": "application/json"}, json.dumps({"error": error}))

    monkeypatch.setattr(Twin, "handle", answering)


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/subscriptions"])
def test_a_fault_after_the_work_is_seen_through(sandbox, pro, monkeypatch, path):
    """Stripe fails although it has charged, and the key replays the fault: the objects tell."""
    with monkeypatch.context() as patch:
        answer_with(patch, 500, {"type": "api_error", "message": "oops"}, path, after_the_work=True)
        bought = sandbox(*BUY)
    assert bought.code == 0, bought.err
    assert bought_once(sandbox)


FORBIDDEN = {"type": "invalid_request_error", "message": "The provided key does not have the permissions."}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/subscriptions"])
def test_a_key_refused_today_says_nothing_about_the_call_that_was_lost(
    sandbox, pro, monkeypatch, path, status
):
    fail(sandbox, "lost", times=1000, method="POST", path=path)
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    with monkeypatch.context() as patch:
        answer_with(patch, status, FORBIDDEN, path, after_the_work=False)
        assert sandbox(*BUY).code == 8
        synced = sandbox("sync", "-o", "json")
        assert (synced.code, synced.rows[0]["result"]) == (75, "pending")
    assert sandbox("sync").code == 0
    assert bought_once(sandbox)


def test_a_key_that_may_not_buy_leaves_nothing(sandbox, pro, monkeypatch):
    with monkeypatch.context() as patch:
        answer_with(patch, 403, FORBIDDEN, "/v1/subscriptions", after_the_work=False)
        refused = sandbox(*BUY)
    assert (refused.code, refused.error["code"]) == (8, "key_lacks_permission")
    assert objects(sandbox, "customer") == []
    assert_agree(sandbox)
    assert sandbox(*BUY).code == 0
    assert bought_once(sandbox)


def test_a_purchase_whose_customer_somebody_deleted_comes_to_nothing(sandbox, pro):
    fail(sandbox, "timeout", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    (customer,) = objects(sandbox, "customer")
    with twin(sandbox) as stripe:
        stripe.handle(
            "DELETE", f"/v1/customers/{customer['id']}", {"Authorization": "Bearer sk_test_x"}, None
        )
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"]) == (0, "failed")
    assert_agree(sandbox)
    assert sandbox(*BUY).code == 0
    assert bought_once(sandbox)


def test_a_purchase_that_was_paid_and_has_ended_before_sync_is_kept(sandbox, pro):
    """Nothing paid for is lost: it stands in the ledger as what it is, ended."""
    fail(sandbox, "lost", times=1000, method="POST", path="/v1/subscriptions")
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    (made,) = objects(sandbox, "subscription")
    with twin(sandbox) as stripe:
        stripe.handle(
            "DELETE", f"/v1/subscriptions/{made['id']}", {"Authorization": "Bearer sk_test_x"}, None
        )
    advance(sandbox, hours=30)
    assert sandbox("sync", "-o", "json").rows[0]["result"] == "finished"
    assert [(row["name"], row["status"]) for row in sandbox.rows("subs", "list")] == [("lab", "canceled")]
    assert [row["amount_paid"] for row in sandbox.rows("invoices", "list")] == [3600]


# A bug ------------------------------------------------------------------------------------------------


def test_a_bug_in_one_operation_does_not_stop_those_behind_it(sandbox, pro, monkeypatch):
    for path in ("/v1/products", "/v1/customers"):
        fail(sandbox, "timeout", times=1000, method="POST", path=path)
    assert sandbox("plans", "add", "eu", "--price", "9", "--currency", "eur").code == 75
    assert sandbox(*BUY).code == 75
    calm(sandbox)
    with monkeypatch.context() as patch:
        buggy = replace(handlers.handler_for("plan_add"), run=lambda running: 1 // 0)
        patch.setitem(handlers._HANDLERS, "plan_add", buggy)
        synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.err) == (1, "")
    assert [(row["result"], row["error"]) for row in synced.rows[:2]] == [
        ("failed", "unexpected"),
        ("finished", None),
    ]
    assert "unexpected ZeroDivisionError; this is a bug" in synced.rows[0]["summary"]
    assert "ZeroDivisionError: integer division" in (sandbox.home / "log" / "seatctl.log").read_text()
    assert charges(sandbox) == [3600]
    # Nothing was given up: what the bug has left is finished once it is gone.
    assert sandbox("sync").code == 0
    assert [row["slug"] for row in sandbox.rows("plans", "list")] == ["eu", "pro"]
    assert bought_once(sandbox)
