"""Changes of running subscriptions killed at every point, in every kind of operation.

Before and after each call to Stripe and each commit; then `sync`, or the same command, or a `sync` a day
later. What both sides hold then is compared whole: it is what was before, or what an undisturbed run
leads to, and the same command leads there once. A part of the points by default, all of them with
--whole-proofs. Purchases are in `tests/services/purchases/`, the stories in
`tests/support/change_stories.py`, and what else can disturb them in `test_disturbed.py`.
"""

from __future__ import annotations

import pytest

from seatctl.services.operations import handlers
from tests.support.both_sides import advance, charges
from tests.support.change_stories import STORIES, WAITING, Proof

pytestmark = pytest.mark.slow

ELSEWHERE = {"buy", "checkout", "plan_add", "plan_edit"}
"""Kinds whose stories are in the files of the purchases."""


def test_every_kind_of_operation_has_a_story():
    assert {story.kind for story in STORIES.values()} | ELSEWHERE == handlers.all_kinds()


@pytest.fixture(params=STORIES)
def proof(request, proofs) -> Proof:
    return proofs.of(STORIES[request.param])


def test_killed_anywhere_then_sync(proof):
    for way in proof.points(first=2, step=13):
        synced = way.seatctl("sync")
        assert synced.code == 0, (way.where, synced.err)
        proof.expect_done_once(way.seatctl, way.where)


def test_killed_anywhere_then_the_same_command(proof):
    for way in proof.points(first=6, step=29):
        again = way.seatctl(*proof.argv)
        assert again.code in {proof.story.code, *proof.story.again}, (way.where, again.err)
        proof.expect_done_once(way.seatctl, way.where)


def test_killed_anywhere_then_sync_after_stripe_has_forgotten_the_keys(proof):
    for way in proof.points(first=4, step=29):
        advance(way.seatctl, hours=25)
        synced = way.seatctl("sync")
        assert synced.code == 0, (way.where, synced.err)
        proof.expect_done_once(way.seatctl, way.where, late=True)


@pytest.mark.parametrize("name", WAITING)
@pytest.mark.parametrize("agrees", [True, False], ids=["the cardholder agrees", "nobody answers"])
def test_killed_anywhere_of_what_the_bank_wants_to_authenticate(proofs, name, agrees):
    proof = proofs.of(WAITING[name])
    for way in proof.points(first=3 if agrees else 8, step=19):
        assert way.seatctl("sync").code in {0, 10}, way.where
        proof.expect_authenticated_once(way.seatctl, way.where, agrees=agrees)


def test_an_invoice_is_not_charged_a_day_after_somebody_wanted_it(proofs):
    proof = proofs.of(STORIES["invoice paid"])
    way = next(proof.killing.at(proof.start, proof.argv, [proof.ended.points.index("after a commit") + 1]))
    advance(way.seatctl, hours=25)
    assert way.seatctl("sync", "-o", "json").rows[0]["result"] == "undone"
    assert charges(way.seatctl) == charges(proof.start)
