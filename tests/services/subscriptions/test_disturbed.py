"""Changes disturbed by Stripe, by the network and by other processes: done once or not at all.

The stories are those that `test_crash.py` kills. A part of the disturbances by default, all of them
with --whole-proofs.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.support.both_sides import charges, sandbox_path
from tests.support.change_stories import STORIES, Proof
from tests.support.racing import codes, start
from tests.support.state import assert_in_step, assert_sound, differences, state
from tests.support.subscriptions import query

pytestmark = pytest.mark.slow

FAULTS = ("lost", "500", "timeout", "429")


@pytest.fixture(params=STORIES)
def proof(request, proofs) -> Proof:
    return proofs.of(STORIES[request.param])


# Faults -----------------------------------------------------------------------------------------------


def writes(proof: Proof) -> list[int]:
    """Which of the calls to Stripe change something there, the first call being 1."""
    calls = [name.split()[1:] for name in proof.ended.points if name.startswith("before ") and "/" in name]
    return [
        number
        for number, (method, path) in enumerate(calls, 1)
        if method != "GET" and not path.endswith("/create_preview")
    ]


def some(proof: Proof, whole: bool) -> list[tuple[int, str]]:
    """(the call at which it begins, the fault): all of them, or one for each story, another for each."""
    every = [(number, kind) for number in writes(proof) for kind in FAULTS]
    if whole:
        return every
    place = list(STORIES.values()).index(proof.story)
    return [every[place * 3 % len(every)]]


def begin_fault(monkeypatch, number: int, kind: str, times: int) -> None:
    """From this call on, so many calls fail."""
    handle, count = Twin.handle, 0

    def counted(self, method, url, headers, form):
        nonlocal count
        count += 1
        if count == number:
            control.fail(self, kind, times=times)
        return handle(self, method, url, headers, form)

    monkeypatch.setattr(Twin, "handle", counted)


def calm(seatctl) -> None:
    query(sandbox_path(seatctl), "DELETE FROM faults")


def test_a_burst_of_faults_is_not_noticed(proof, whole, monkeypatch):
    for number, kind in some(proof, whole):
        seatctl = proof.killing.copy(proof.start)
        with monkeypatch.context() as patch:
            begin_fault(patch, number, kind, times=2)
            assert seatctl(*proof.argv).code == proof.story.code, (number, kind)
        assert seatctl("sync").code == 0
        assert_in_step(seatctl)
        assert differences(proof.after, state(seatctl)) == [], (number, kind)
        assert_sound(seatctl)


def test_a_fault_that_lasts_leaves_it_to_sync(proof, whole, monkeypatch):
    for number, kind in some(proof, whole):
        seatctl = proof.killing.copy(proof.start)
        with monkeypatch.context() as patch:
            begin_fault(patch, number, kind, times=1000)
            assert seatctl(*proof.argv).code == 75, (number, kind)
            assert seatctl("sync").code == 75, (number, kind)
        calm(seatctl)
        assert seatctl("sync").code == 0, (number, kind)
        proof.expect_done_once(seatctl, f"{kind} from call {number} on")


def test_add_seats_repeated_after_a_lost_answer_adds_once(proofs, monkeypatch):
    """Without a request id: the interrupted one is finished, not another one begun."""
    proof = proofs.of(STORIES["increase"])
    seatctl = proof.killing.copy(proof.start)
    command = ["subs", "add-seats", "design", "2", "--yes"]
    with monkeypatch.context() as patch:
        begin_fault(patch, writes(proof)[0], "lost", times=1000)
        assert seatctl(*command).code == 75
    calm(seatctl)
    assert seatctl(*command).code == 0
    assert charges(seatctl) == [*charges(proof.start), *proof.story.charged]
    assert differences(proof.after, state(seatctl)) == []


# Others at the same time ------------------------------------------------------------------------------

ONE_OF_EACH = (
    "increase after a decrease that waits",
    "add-on at full price",
    "renewal",
    "cancel now with a refund",
    "billing by another card",
)


@pytest.fixture(params=STORIES)
def raced(request, proofs, whole) -> Proof:
    if request.param not in ONE_OF_EACH and not whole:
        pytest.skip("with --whole-proofs")
    return proofs.of(STORIES[request.param])


def test_recovery_does_not_disturb_what_is_under_way(raced):
    seatctl = raced.killing.copy(raced.start)
    command = start(seatctl, *raced.argv, pause=0.1)
    syncs = [start(seatctl, "sync") for _ in range(2)]
    assert codes(command) == [raced.story.code], command.stderr
    assert set(codes(*syncs)) <= {0, 75}
    assert seatctl("sync").code == 0
    assert_in_step(seatctl)
    assert_sound(seatctl)
    assert differences(raced.after, state(seatctl)) == []


def test_two_administrators_want_the_same(raced):
    """One does it; the other is told that it is done, that it is too late, or to try again."""
    seatctl = raced.killing.copy(raced.start)
    story = raced.story
    both = codes(*(start(seatctl, *raced.argv, pause=0.1) for _ in range(2)))
    assert story.code in both
    # 5: Stripe itself says that what the other has ended is no more.
    assert set(both) <= {story.code, *story.again, 4, 5, 75}
    assert seatctl("sync").code == 0
    assert_in_step(seatctl)
    assert_sound(seatctl)
    assert differences(raced.after, state(seatctl)) == []


@pytest.mark.parametrize(
    "other", ["subs set-seats design 3 --revoke newest", "subs cancel design", "subs change-plan design team"]
)
def test_two_administrators_want_different_things(proofs, other):
    """One after the other, or the second is told to look again; never a mixture that nobody asked for."""
    proof = proofs.of(STORIES["increase"])
    mine, theirs = proof.argv, (*other.split(), "--yes")
    results = []
    for commands in ((mine, theirs), (theirs, mine)):
        seatctl = proof.killing.copy(proof.start)
        for command in commands:
            assert seatctl(*command).code in {0, 4}
        results.append(state(seatctl))
    alone = proof.killing.copy(proof.start)
    assert alone(*theirs).code == 0
    results += [proof.after, state(alone)]
    seatctl = proof.killing.copy(proof.start)
    both = codes(start(seatctl, *mine, pause=0.1), start(seatctl, *theirs, pause=0.1))
    assert both[0] == 0
    assert both[1] in {0, 4, 75}
    assert_in_step(seatctl)
    assert_sound(seatctl)
    found = state(seatctl)
    assert any(differences(one, found) == [] for one in results)
