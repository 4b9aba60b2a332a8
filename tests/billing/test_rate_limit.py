"""Stripe asks to slow down, and keeps asking: nothing was carried out, so nothing is left or in the way."""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.support.both_sides import assert_agree, charges, fail, objects, sandbox_path, twin
from tests.support.change_stories import STORIES, flexible
from tests.support.office import until
from tests.support.state import assert_in_step, assert_sound, differences, state
from tests.support.subscriptions import ledger_place, query

ORDER = "subs buy --plan pro --seats 3 --name lab --billing-email pay@example.com"
BUY = (*ORDER.split(), "--payment-method", "pm_card_visa", "--yes", "-o", "json")


def last_run(seatctl) -> str:
    return query(ledger_place(seatctl), "SELECT state FROM runs ORDER BY number DESC LIMIT 1")[0][0]


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/subscriptions"])
def test_a_purchase_that_was_not_carried_out_has_failed_and_blocks_nothing(sandbox, pro, path):
    fail(sandbox, "429", times=4, path=path, method="POST")
    tried = sandbox(*BUY)
    assert (tried.code, tried.error["code"]) == (75, "rate_limited")
    assert tried.error["hint"] == "run the same command again in a minute"
    assert last_run(sandbox) == "failed"
    assert objects(sandbox, "customer") == charges(sandbox) == []
    assert sandbox(*BUY).code == 0
    assert charges(sandbox) == [3600]
    assert_agree(sandbox)


def test_a_purchase_whose_cleaning_up_is_refused_too_is_cleaned_up_by_sync(sandbox, pro):
    fail(sandbox, "429", times=4, path="/v1/subscriptions", method="POST")
    fail(sandbox, "429", times=1000, method="DELETE")
    assert sandbox(*BUY).code == 75
    query(sandbox_path(sandbox), "DELETE FROM faults")
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"]) == (0, "failed")
    assert objects(sandbox, "customer") == charges(sandbox) == []
    assert_agree(sandbox)


def test_a_purchase_that_was_paid_is_finished(sandbox, pro):
    fail(sandbox, "429", times=4, path="/v1/invoices/", method="GET")
    assert sandbox(*BUY).code == 75
    assert last_run(sandbox) == "pending"
    assert sandbox("sync").code == 0
    assert charges(sandbox) == [3600]
    assert_agree(sandbox)


CALLS = (
    ("increase", "/v1/subscriptions/"),
    ("decrease at the renewal", "/v1/subscriptions/"),
    ("add-on at full price", "/v1/invoiceitems"),
    ("add-on at full price", "/v1/invoices/in_"),
    ("renewal", "/v1/invoices/in_"),
    ("invoice paid", "/v1/invoices/in_"),
    ("billing by another card", "/v1/payment_methods"),
    ("billing by another card", "/v1/customers/"),
    ("transfer", "/v1/subscriptions/"),
)


@pytest.mark.parametrize(("name", "path"), CALLS)
def test_a_change_that_was_not_carried_out_leaves_everything_as_it_was(proofs, name, path):
    proof = proofs.of(STORIES[name])
    seatctl = proof.killing.copy(proof.start)
    fail(seatctl, "429", times=4, method="POST", path=path)
    tried = seatctl(*proof.argv)
    assert tried.code == 75, tried.err
    assert last_run(seatctl) == "failed"
    assert differences(proof.before, state(seatctl)) == []
    proof.expect_done_once(seatctl, name)


@pytest.mark.parametrize("way", ["sync", "the same command", "another command"])
def test_an_add_on_that_was_paid_is_finished_by_whatever_comes_next(proofs, way):
    proof = proofs.of(STORIES["add-on at full price"])
    seatctl = proof.killing.copy(proof.start)
    fail(seatctl, "429", times=4, path="/v1/subscriptions/", method="POST")
    assert seatctl(*proof.argv).code == 75
    assert charges(seatctl) == [*charges(proof.start), *proof.story.charged]
    again = {
        "sync": ("sync",),
        "the same command": proof.argv,
        "another command": ("subs", "rename", "acme", "other"),
    }[way]
    assert seatctl(*again).code == (75 if way == "another command" else 0)
    assert differences(proof.after, state(seatctl)) == []
    assert_in_step(seatctl)
    assert_sound(seatctl)


def test_a_refusal_after_a_lost_answer_says_nothing_of_it(sandbox, pro):
    """The first call was carried out; that Stripe does not look at its repetitions must not undo it."""
    fail(sandbox, "lost", times=1, path="/v1/subscriptions", method="POST")
    fail(sandbox, "429", times=3, path="/v1/subscriptions", method="POST")
    tried = sandbox(*BUY)
    assert (tried.code, tried.error["code"]) == (75, "stripe_unreachable")
    assert charges(sandbox) == [3600]
    assert sandbox("sync").code == 0
    assert charges(sandbox) == [3600]
    assert_agree(sandbox)


@pytest.mark.parametrize(("bought", "later"), [(10, "2040-06-21T00:01:00Z"), (20, "2040-06-22T00:02:00Z")])
def test_more_changes_than_stripe_makes_invoices_for_wait_and_are_done_later(proofs, bought, later):
    """Ten invoices a minute, twenty a day."""
    seatctl = proofs.of_scene(flexible)
    until(seatctl, "2040-06-21T00:00:00Z")
    command = ("subs", "add-seats", "design", "1", "--yes", "-o", "json")
    for number in range(bought):
        if number == 10:
            until(seatctl, "2040-06-21T00:02:00Z")
        assert seatctl(*command).code == 0
    paid = charges(seatctl)
    refused = seatctl(*command)
    assert (refused.code, refused.error["code"]) == (75, "rate_limited")
    assert (charges(seatctl), last_run(seatctl)) == (paid, "failed")
    assert_in_step(seatctl)
    until(seatctl, later)
    assert seatctl(*command).code == 0
    assert len(charges(seatctl)) == len(paid) + 1
    assert_in_step(seatctl)
    assert_sound(seatctl)


def test_a_limit_after_a_fault_of_stripe_leaves_nothing_in_the_way(proofs):
    """The fault was looked into, and nothing found: then the limit refuses the second key."""
    proof = proofs.of(STORIES["increase"])
    seatctl = proof.killing.copy(proof.start)
    fail(seatctl, "500", times=4, method="POST", path="/v1/subscriptions/")
    fail(seatctl, "429", times=4, method="POST", path="/v1/subscriptions/")
    assert seatctl(*proof.argv).code == 75
    assert last_run(seatctl) == "failed"
    assert differences(proof.before, state(seatctl)) == []
    proof.expect_done_once(seatctl, "after a fault and a limit")


@pytest.mark.parametrize("kind", ["timeout", "lost"])
def test_a_limit_that_lasts_does_not_keep_what_had_no_answer_in_the_way(proofs, kind):
    """As long as Stripe may still carry the call out, it is in the way; then Stripe's objects tell."""
    proof = proofs.of(STORIES["increase"])
    seatctl = proof.killing.copy(proof.start)
    fail(seatctl, kind, times=4, method="POST", path="/v1/subscriptions/")
    assert seatctl(*proof.argv).code == 75
    fail(seatctl, "429", times=1000, method="POST", path="/v1/subscriptions/")
    assert seatctl("sync").code == 75
    assert last_run(seatctl) == "pending"
    with twin(seatctl) as stripe:
        control.advance(stripe, seconds=180)
    assert seatctl("sync").code == 0
    assert last_run(seatctl) == ("failed" if kind == "timeout" else "done")
    expected = proof.before if kind == "timeout" else proof.after
    assert differences(expected, state(seatctl)) == []
    query(sandbox_path(seatctl), "DELETE FROM faults")
    proof.expect_done_once(seatctl, kind, late=True)  # three minutes later it costs a cent less
