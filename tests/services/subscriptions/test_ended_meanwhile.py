"""A subscription ends in Stripe, with its customer or without, while an operation of it is unfinished."""

from __future__ import annotations

import pytest

from seatctl.rules.metadata import OPERATION
from tests.support.both_sides import ENDED, advance, charges, fail, objects, sandbox_path, twin
from tests.support.change_stories import STORIES, WAITING, Proof, Story, after, flexible
from tests.support.state import assert_sound
from tests.support.subscriptions import ledger_place, query

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": "Bearer sk_test_x"}


def end(seatctl, what: str) -> None:
    """Delete the customers or cancel the subscriptions, as the dashboard does."""
    paths = {
        "customer": [f"customers/{one['id']}" for one in objects(seatctl, "customer")],
        "subscription": [
            f"subscriptions/{one['id']}"
            for one in objects(seatctl, "subscription")
            if one["status"] not in ENDED
        ],
    }
    with twin(seatctl) as stripe:
        for path in paths[what]:
            stripe.handle("DELETE", f"/v1/{path}", HEADERS, None)


def unpaid_own(seatctl) -> list[str]:
    """The states of our own invoices that can still be paid; Stripe's own have no mark of an operation."""
    own = [one["status"] for one in objects(seatctl, "invoice") if one["metadata"].get(OPERATION)]
    return [status for status in own if status in {"draft", "open", "uncollectible"}]


def live(seatctl) -> int:
    return sum(one["status"] not in ENDED for one in objects(seatctl, "subscription"))


def still_open(seatctl) -> list[tuple]:
    return query(ledger_place(seatctl), "SELECT kind FROM operations WHERE state IN ('pending', 'waiting')")


ALL = {**STORIES, **{f"{name} that waits for the bank": story for name, story in WAITING.items()}}


@pytest.fixture(params=ALL)
def proof(request, proofs) -> Proof:
    return proofs.of(ALL[request.param])


@pytest.mark.parametrize("hours", [0, 25])
@pytest.mark.parametrize("what", ["customer", "subscription"])
def test_killed_anywhere_and_ended_then_sync(proof, what, hours, whole):
    """The next sync ends every operation, and charges nothing for what has ended."""
    if hours and what == "customer" and not whole:
        pytest.skip("with --whole-proofs")
    for way in proof.points(first=5 if hours else 2, step=23):
        seatctl = way.seatctl
        before = charges(seatctl)
        end(seatctl, what)
        advance(seatctl, hours)
        synced = seatctl("sync", "-o", "json")
        assert (synced.code, still_open(seatctl)) == (0, []), (way.where, synced.out, synced.err)
        # An invoice that was to be paid is still owed.
        assert charges(seatctl) == before or proof.story.kind == "invoice_pay", (way.where, synced.out)
        assert_sound(seatctl)


def test_what_was_charged_before_the_end_is_told(proofs):
    """The seats of the next term can not be set any more; before, each sync tried to."""
    proof = proofs.of(STORIES["increase after a decrease that waits"])
    writes = [number for number, point in enumerate(proof.ended.points, 1) if point.startswith("before POST")]
    way = next(proof.killing.at(proof.start, proof.argv, [writes[-1]]))
    end(way.seatctl, "subscription")
    row = way.seatctl("sync", "-o", "json").rows[0]
    assert row["result"] == "finished"
    assert row["summary"].endswith(
        "; but then the subscription ended in Stripe: nothing is paid for any more"
    )


@pytest.mark.parametrize("name", ["add-on", "renewal"])
def test_an_invoice_that_waits_for_the_bank_can_not_be_paid_any_more(proofs, name):
    proof = proofs.of(WAITING[name])
    seatctl = proof.killing.copy(proof.start)
    assert (seatctl(*proof.argv).code, unpaid_own(seatctl)) == (10, ["open"])
    end(seatctl, "subscription")
    assert (seatctl("sync").code, still_open(seatctl)) == (0, [])
    assert (unpaid_own(seatctl), live(seatctl)) == ([], 0)


@pytest.mark.parametrize(("writes_left", "begins"), [(1, True), (2, False)])
def test_a_renewal_on_account_begins_only_if_its_invoice_was_sent(proofs, writes_left, begins):
    """The customer has an invoice and may pay it; a draft is known to nobody."""
    proof = proofs.of(STORIES["renewal on account"])
    writes = [number for number, point in enumerate(proof.ended.points, 1) if point.startswith("before POST")]
    way = next(proof.killing.at(proof.start, proof.argv, [writes[-writes_left]]))
    seatctl = way.seatctl
    assert unpaid_own(seatctl) == ["open" if begins else "draft"], way.where
    end(seatctl, "subscription")
    assert (seatctl("sync").code, still_open(seatctl)) == (0, [])
    assert (unpaid_own(seatctl), live(seatctl)) == ((["open"], 1) if begins else ([], 0))


def test_a_term_that_began_before_its_customer_was_deleted_is_not_refunded(proofs):
    proof = proofs.of(STORIES["renewal"])
    writes = [number for number, point in enumerate(proof.ended.points, 1) if point.startswith("before POST")]
    seatctl = next(proof.killing.at(proof.start, proof.argv, [writes[-1]])).seatctl
    end(seatctl, "subscription")
    fail(seatctl, "lost", times=99, method="POST", path="/v1/subscriptions")
    seatctl("sync")
    query(sandbox_path(seatctl), "DELETE FROM faults")
    assert (len(still_open(seatctl)), live(seatctl)) == (1, 1)
    end(seatctl, "customer")
    assert (seatctl("sync").code, still_open(seatctl), live(seatctl)) == (0, [], 0)
    assert (objects(seatctl, "refund"), objects(seatctl, "credit_note")) == ([], [])


def test_what_waited_to_be_billed_is_gone_with_its_customer(proofs):
    """The lines that a refund has been reduced by are deleted: Stripe lists nothing of a deleted customer."""
    story = Story("cancel", after("subs add-seats later 2", flexible), "subs cancel later --now --refund")
    proof = proofs.of(story)
    points = enumerate(proof.ended.points, 1)
    deletes = [number for number, point in points if "DELETE /v1/invoiceitems/" in point]
    assert len(deletes) == 4
    for way in proof.killing.at(proof.start, proof.argv, deletes):
        end(way.seatctl, "customer")
        assert (way.seatctl("sync").code, still_open(way.seatctl)) == (0, []), way.where
