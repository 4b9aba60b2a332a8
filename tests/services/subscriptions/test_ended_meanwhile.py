"""A subscription ends in Stripe, with its customer or without, while an operation of it is unfinished."""

from __future__ import annotations

import pytest

from tests.support.both_sides import ENDED, advance, charges, objects, twin
from tests.support.change_stories import STORIES, WAITING, Proof
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
