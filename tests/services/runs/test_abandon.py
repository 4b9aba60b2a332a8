"""`runs undo` of a run that was interrupted: taken back, or given up with what Stripe holds of it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from seatctl.sandbox.api.twin import Answer, Twin
from tests.support.both_sides import assert_agree, charges, fail, objects, sandbox_path, twin
from tests.support.change_stories import STORIES
from tests.support.office import done, refused
from tests.support.state import assert_sound, differences, state
from tests.support.subscriptions import ledger_place, query

ORDER = (
    "subs buy --plan pro --seats 3 --name lab --billing-email pay@example.com --payment-method pm_card_visa"
)


def interrupted(seatctl, command: str) -> int:
    """Run a command that cannot come to its end; the number of its run."""
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert result.code in {5, 75}, result
    return result.error["run"]


def calm(seatctl) -> None:
    query(sandbox_path(seatctl), "DELETE FROM faults")


def later(seatctl) -> None:
    """What was under way at Stripe has ended by now."""
    assert seatctl("sandbox", "advance", "1h").code == 0


def answer_otherwise(monkeypatch, change) -> None:
    """`change(method, path)` is the answer, or what is replaced in its body; None leaves it."""
    handle = Twin.handle

    def changed(self, method, url, headers, form):
        other = change(method, url.partition("?")[0])
        if isinstance(other, Answer):
            return other
        answer = handle(self, method, url, headers, form)
        return answer if other is None else replace(answer, body=answer.body.replace(*other))

    monkeypatch.setattr(Twin, "handle", changed)


def test_a_purchase_that_reached_stripe_by_half_is_taken_back(sandbox, pro):
    fail(sandbox, "timeout", times=1000, path="/v1/subscriptions", method="POST")
    number = interrupted(sandbox, ORDER)
    calm(sandbox)
    error = refused(sandbox, f"runs undo {number}")
    assert (error["code"], error["hint"]) == ("cannot_undo", "to finish or undo it: seatctl sync")
    later(sandbox)
    assert done(sandbox, f"runs undo {number} --dry-run")["result"] == "abandoned"
    assert done(sandbox, f"runs undo {number}")["result"] == "abandoned"
    assert objects(sandbox, "customer") == charges(sandbox) == []
    assert sandbox("sync").code == 0
    done(sandbox, ORDER)
    assert_agree(sandbox)


def test_a_purchase_that_was_paid_is_finished_instead(sandbox, pro):
    fail(sandbox, "lost", times=4, path="/v1/subscriptions", method="POST")
    number = interrupted(sandbox, ORDER)
    later(sandbox)
    error = refused(sandbox, f"runs undo {number}")
    assert "had gone through at Stripe and is finished now" in error["message"]
    assert charges(sandbox) == [3600]
    assert_agree(sandbox)


def test_a_purchase_that_this_version_cannot_read_is_given_up(sandbox, pro, monkeypatch):
    with monkeypatch.context() as patch:
        answer_otherwise(patch, lambda *_: ('"status":"active"', '"status":"hibernating"'))
        number = interrupted(sandbox, ORDER)
        synced = sandbox("sync", "-o", "json")
        assert (synced.code, synced.rows[0]["result"]) == (75, "pending")
        assert f"seatctl runs undo {number}" in synced.rows[0]["summary"]
        told = sandbox("runs", "undo", number, "-o", "json")
        assert told.code == 0, told.err
        summary = told.json["summary"]
    (customer,), (bought,) = objects(sandbox, "customer"), objects(sandbox, "subscription")
    assert f"subscription {bought['id']} (hibernating)" in summary
    assert f"customer {customer['id']} (pay@example.com)" in summary
    assert charges(sandbox) == [3600]
    assert sandbox("sync").code == 0  # which says what became of it
    assert_sound(sandbox)


def test_a_paid_addition_that_stripe_will_not_carry_out_is_given_up(proofs, monkeypatch):
    proof = proofs.of(STORIES["add-on at full price"])
    seatctl = proof.killing.copy(proof.start)
    error = {"type": "invalid_request_error", "message": "This price is not for sale."}
    no = Answer(400, {}, json.dumps({"error": error}))

    def refusing(method, path):
        return no if (method, path[:18]) == ("POST", "/v1/subscriptions/") else None

    with monkeypatch.context() as patch:
        answer_otherwise(patch, refusing)
        number = interrupted(seatctl, "subs add-seats acme 5")
        assert seatctl("sync").code == 75
        told = seatctl("runs", "undo", number, "-o", "json")
    assert told.code == 0, told.err
    assert "it cannot be finished (Stripe says: This price is not for sale)" in told.json["summary"]
    assert "(paid, 25.00 USD)" in told.json["summary"]
    assert query(ledger_place(seatctl), "SELECT state FROM runs WHERE number = ?", number) == [("failed",)]
    assert seatctl("sync").code == 0
    assert seatctl("subs", "rename", "acme", "other").code == 0
    assert_sound(seatctl)


def test_what_an_older_version_took_for_an_answer_is_asked_for_again(proofs):
    """It recorded any body; the operation could neither go on nor be undone."""
    proof = proofs.of(STORIES["increase"])
    seatctl = proof.killing.copy(proof.start)
    fail(seatctl, "lost", times=4, path="/v1/subscriptions/", method="POST")
    assert seatctl(*proof.argv).code == 75
    recorded = "UPDATE steps SET answer = '{\"object\":{}}' WHERE answer IS NULL"
    query(ledger_place(seatctl), recorded)
    assert seatctl("sync").code == 0
    assert differences(proof.after, state(seatctl)) == []
    assert charges(seatctl) == [*charges(proof.start), *proof.story.charged]


PLAN = "plans add gold --price 30 --currency usd --policy flexible"
EARLY = [
    ("change", "subs add-seats design 2", "/v1/subscriptions/"),
    ("cancel", "subs cancel design", "/v1/subscriptions/"),
    ("subscription_metadata", "subs rename design other", "/v1/subscriptions/"),
    ("billing", "subs billing design --email new@example.com --tax-id eu_vat:DE1", "/v1/customers/"),
    ("plan_add", PLAN, "/v1/prices"),
    ("plan_edit", "plans edit pro --name Professional", "/v1/products/"),
]


@pytest.mark.parametrize(("kind", "command", "path"), EARLY)
def test_nothing_is_left_of_what_never_reached_stripe(proofs, kind, command, path):
    start = proofs.of(STORIES["increase"]).start
    seatctl = proofs.of(STORIES["increase"]).killing.copy(start)
    before = state(seatctl)
    fail(seatctl, "timeout", times=1000, path=path, method="POST")
    number = interrupted(seatctl, command)
    calm(seatctl)
    query(ledger_place(seatctl), "UPDATE steps SET sent_at = '2020-01-01T00:00:00Z'")
    shown = done(seatctl, f"runs undo {number}")
    assert (shown["kind"], shown["result"]) == (kind, "abandoned")
    assert differences(before, state(seatctl)) == []
    assert {one["name"] for one in objects(seatctl, "product")}.isdisjoint({"gold", "Professional"})
    assert seatctl("sync").code == 0
    done(seatctl, command)
    assert_sound(seatctl)


def test_a_run_of_a_customer_that_was_deleted_is_given_up(sandbox, monkeypatch):
    """Stripe refuses to list what a deleted customer has: that ended `runs undo`, and the run stayed open."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    failed = Answer(500, {}, '{"error":{"type":"api_error","message":"An unknown error occurred"}}')
    done(sandbox, "plans add year --price 5.00 --currency usd --interval year --policy term")
    done(sandbox, ORDER.replace("pro --seats 3", "year --seats 5"))
    with monkeypatch.context() as patch:
        answer_otherwise(
            patch, lambda method, path: failed if (method, path) == ("POST", "/v1/invoices") else None
        )
        number = interrupted(sandbox, "subs add-seats lab 5")
    later(sandbox)
    with twin(sandbox) as stripe:
        (customer,) = [one["id"] for one in stripe.store.walk("customer")]
        stripe.handle("DELETE", f"/v1/customers/{customer}", {"Authorization": "Bearer sk_test_x"}, None)
    assert done(sandbox, f"runs undo {number}")["result"] == "abandoned"
    assert sandbox("sync").code == 0
    assert sandbox("reconcile", "--check").code == 0
