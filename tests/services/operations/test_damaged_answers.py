"""Every answer of every story, damaged in every way: nothing is charged twice, nothing is stuck, no bug.

Stripe has done its work; what arrives is half a body, a login page, another object, an object without its
fields. From one call on, all answers to the same method and path are damaged until the command has ended.
The stories are those that `tests/services/subscriptions/test_crash.py` kills, and the purchases. By
default one damage for each story, and another for each; all of them with --whole-proofs.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api.twin import Answer, Twin
from tests.support import ledgers
from tests.support.change_stories import (
    ONCE,
    REFUSED,
    STORIES,
    WAITING,
    Proof,
    Story,
    contract,
    flexible,
)
from tests.support.damage import KINDS, STILL_VALID, damaged
from tests.support.state import differences, state
from tests.support.subscriptions import ledger_place, query

pytestmark = pytest.mark.slow

LAB = "subs buy --plan {} --seats 5 --name lab --owner lee@example.com --billing-email lab@example.com"
BY_CARD, BY_TOKEN = "--payment-method pm_card_visa", "--payment-method tok_visa"
BY_BAD_CARD, ON_ACCOUNT = f"--payment-method {REFUSED}", f"--on-account{ONCE}"

ON_PAGE = f"--checkout{ONCE}"
GOLD = "plans add gold --price 30 --currency usd --policy flexible"

PURCHASES = {
    "purchase": Story("buy", flexible, f"{LAB.format('pro')} {BY_CARD}{ONCE}", (6000,)),
    "purchase with a token": Story("buy", flexible, f"{LAB.format('pro')} {BY_TOKEN}{ONCE}", (6000,)),
    "purchase of a contract": Story("buy", contract, f"{LAB.format('year')} {BY_CARD}{ONCE}", (2500,)),
    "purchase on account": Story("buy", contract, f"{LAB.format('year')} {ON_ACCOUNT}"),
    "purchase that is declined": Story("buy", flexible, f"{LAB.format('pro')} {BY_BAD_CARD}", code=5),
    "page that charges": Story("checkout", flexible, f"{LAB.format('pro')} {ON_PAGE}", (6000,), code=10),
    "page for a card": Story("checkout", contract, f"{LAB.format('year')} {ON_PAGE}", (2500,), code=10),
    "plan added": Story("plan_add", flexible, GOLD, again=(4,)),
    "plan with another price": Story("plan_edit", flexible, "plans edit pro --price 15"),
}  # fmt: skip

EVERYTHING = {**STORIES, **{f"{name} to authenticate": one for name, one in WAITING.items()}, **PURCHASES}


def damage_from(monkeypatch, number: int, kind: str) -> list[str]:
    """Damage the answers to this call, the first being 1, and to later ones like it; those damaged."""
    handle, count, target, hit = Twin.handle, 0, None, []

    def disturbed(self, method, url, headers, form):
        nonlocal count, target
        answer = handle(self, method, url, headers, form)
        count += 1
        place = (method, url.partition("?")[0])
        target = place if count == number else target
        if place != target:
            return answer
        status, body = damaged(kind, method, url, answer.status, answer.body)
        if (status, body) == (answer.status, answer.body):
            return answer
        hit.append(" ".join(place))
        return Answer(status, answer.headers, body)

    monkeypatch.setattr(Twin, "handle", disturbed)
    return hit


def calls_of(proof: Proof) -> list[str]:
    """The calls to Stripe that the command makes undisturbed, each as its method and path."""
    points = (name.partition(" ")[2] for name in proof.ended.points if name.startswith("after "))
    return [name for name in points if "/v1/" in name]


def some(proof: Proof, name: str, whole: bool) -> list[tuple[int, str]]:
    """(the call from which on, the kind): all, or one for each story, mostly of what changes Stripe."""
    calls = calls_of(proof)
    if whole:
        return [(number, kind) for number in range(1, len(calls) + 1) for kind in KINDS]
    place = list(EVERYTHING).index(name)
    every = list(enumerate(calls, 1))
    writes = [
        (number, call) for number, call in every if not call.startswith("GET") and "preview" not in call
    ]
    chosen = every if place % 4 == 3 else writes
    return [(chosen[place % len(chosen)][0], KINDS[place * 3 % len(KINDS)])]


def begun(seatctl) -> int:
    return query(ledger_place(seatctl), "SELECT count(*) FROM operations")[0][0]


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_answer_that_proves_nothing_is_a_lost_answer(proofs, whole, monkeypatch, name):
    proof = proofs.of(EVERYTHING[name])
    cases = some(proof, name, whole)
    changed = sum(is_lost(proof, monkeypatch, number, kind) for number, kind in cases)
    print(f"{name}: {len(cases)} damages, {changed} of which changed an answer")


def is_lost(proof: Proof, monkeypatch, number: int, kind: str) -> bool:
    """Run the story with this damage, and see that it is done once; whether an answer was another one."""
    seatctl = proof.killing.copy(proof.start)
    with monkeypatch.context() as patch:
        hit = damage_from(patch, number, kind)
        ended = seatctl(*proof.argv)
    where = (number, kind, hit[:1], ended.err)
    usual = {proof.story.code}
    assert ended.code in (usual if not hit or kind in STILL_VALID else {*usual, 75}), where
    if begun(seatctl) == begun(proof.start):
        assert differences(proof.before, state(seatctl)) == [], where
    elif hit:
        expect_finished(proof, seatctl, where)
    ledgers.delete(seatctl.home)
    return bool(hit)


def expect_finished(proof: Proof, seatctl, where) -> None:
    """`sync` ends what was begun, and the command repeated charges nothing more."""
    story = proof.story
    synced = seatctl("sync")
    assert synced.code in ({0, 10} if story.code == 10 else {0}), (where, synced.err, synced.out)
    if story.code == 10:
        proof.expect_authenticated_once(seatctl, str(where))
    else:
        proof.expect_done_once(seatctl, str(where))
