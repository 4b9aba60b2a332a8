"""A 429 to a call and all its repetitions, at every call of every command that may move money.

Before money has moved, the command has come to nothing, and nothing is in the way of another one. Afterwards
the next command or `sync` finishes it. The stories are those that
`tests/services/subscriptions/test_crash.py` kills, and the purchases. By default two calls of each story; all
of them with --whole-proofs.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.services.operations.test_damaged_answers import EVERYTHING, calls_of
from tests.support import ledgers
from tests.support.both_sides import charges, faults_left
from tests.support.change_stories import Proof
from tests.support.state import assert_in_step, assert_sound, differences, state
from tests.support.subscriptions import ledger_place, query

pytestmark = pytest.mark.slow

TRIES = 4
KINDS = ({"kind": "429"}, {"kind": "lock_timeout", "retry_after": 1}, {"kind": "429", "retry_after": 2})


def refuse_call(monkeypatch, number: int, kind: dict) -> None:
    """Answer 429 to this call, the first being 1, and to each repetition of it; to no other call."""
    handle, count = Twin.handle, 0

    def counted(self, method, url, headers, form):
        nonlocal count
        count += 1
        if count == number:
            control.fail(self, times=TRIES, method=method, path=url.partition("?")[0], **kind)
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", counted)


def unfinished(seatctl) -> list[tuple]:
    """What is in the way of other commands."""
    return query(
        ledger_place(seatctl), "SELECT kind, state FROM operations WHERE state IN ('pending', 'waiting')"
    )


def some(proof: Proof, name: str, whole: bool) -> list[int]:
    """Numbers of calls: all of them; or one that writes and any other one, for each story another."""
    calls = calls_of(proof)
    numbers = range(1, len(calls) + 1)
    if whole:
        return [*numbers]
    place = [*EVERYTHING].index(name)
    writes = [number for number in numbers if not calls[number - 1].startswith("GET")]
    return [writes[place % len(writes)], numbers[place * 5 % len(numbers)]]


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_is_not_carried_out_is_in_nobodys_way(proofs, whole, monkeypatch, name):
    proof = proofs.of(EVERYTHING[name])
    numbers = some(proof, name, whole)
    stayed = sum(is_left_to_finish(proof, monkeypatch, number) for number in numbers)
    print(f"{name}: a 429 at {len(numbers)} calls, {stayed} times after something was done")


def is_left_to_finish(proof: Proof, monkeypatch, number: int) -> bool:
    """Run the story with this call refused; whether something had to be finished afterwards."""
    story, seatctl = proof.story, proof.killing.copy(proof.start)
    call = calls_of(proof)[number - 1]
    with monkeypatch.context() as patch:
        refuse_call(patch, number, KINDS[number % len(KINDS)])
        ended = seatctl(*proof.argv, "-o", "json")
    where = (number, call, ended.err)
    assert faults_left(seatctl) == 0, where
    assert ended.code in {75, story.code}, where
    moved = charges(seatctl) != charges(proof.start)
    left = unfinished(seatctl)
    if ended.code == 75:
        assert ended.error["code"] in {"rate_limited", "operation_pending"}, where
    if left and not moved and story.code != 10:
        # Money may not move at all, such as for fewer seats: then Stripe has the change already.
        assert (story.charged, story.code) == ((), 0), where
    if left:
        finish(proof, seatctl, where)
    elif not moved and ended.code == 75:
        again(proof, seatctl, where)
    assert_sound(seatctl)
    ledgers.delete(seatctl.home)
    return bool(left)


def finish(proof: Proof, seatctl, where) -> None:
    """What was begun is finished by `sync`, or by the next command, which then says so."""
    if proof.story.code == 10:
        assert seatctl("sync").code in {0, 10}, where
        proof.expect_authenticated_once(seatctl, str(where))
        return
    if where[0] % 2:
        assert seatctl("sync").code == 0, where
    else:
        assert seatctl(*proof.argv).code in {*proof.story.again, proof.story.code}, where
    assert unfinished(seatctl) == [], where
    assert differences(proof.after, state(seatctl)) == [], where
    assert_in_step(seatctl)


def again(proof: Proof, seatctl, where) -> None:
    """Nothing was done; the same command does it, once."""
    command = proof.story.command
    if "{draft}" in command or "--migrate" in command:
        # It may be final already, or migrated: that moves no money, and cannot be undone.
        assert seatctl(*proof.argv).code == 0, where
        assert differences(proof.after, state(seatctl)) == [], where
        return
    assert differences(proof.before, state(seatctl)) == [], where
    if proof.story.code == 10:
        proof.expect_authenticated_once(seatctl, str(where))
    else:
        proof.expect_done_once(seatctl, str(where))
