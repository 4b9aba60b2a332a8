"""What only reads, with every answer damaged in every way: no bug, nothing lost, nothing taken for agreed.

One path is damaged while the command runs; a `sync` afterwards finds everything that the damage hid.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api.twin import Answer, Twin
from tests.support import ledgers
from tests.support.change_stories import change_card, contract, flexible, in_window
from tests.support.damage import KINDS, STILL_VALID, damaged
from tests.support.office import done
from tests.support.second_ledger import SecondLedger
from tests.support.state import assert_in_step, assert_sound, differences, state
from tests.support.subscriptions import ledger_place, query

pytestmark = pytest.mark.slow

FLEXIBLE = (
    "sync",
    "sync --full",
    "reconcile --check",
    "reconcile --fix",
    "doctor",
    "subs billing design",
    "subs add-seats design 2 --dry-run",
    "subs change-plan design team --dry-run",
    "subs cancel design --now --refund --dry-run",
    "plans add gold --price 30 --currency usd --dry-run",
)
COMMANDS = {
    **{command: (flexible, command) for command in FLEXIBLE},
    "add-on": (contract, "subs add-seats acme 5 --dry-run"),
    "renewal": (in_window, "subs renew acme --dry-run"),
    "contract": (in_window, "sync --full"),
}
ANSWERS_NO = {"doctor": 7, "reconcile --check": 7, "reconcile --fix": 7}
"""What a command answers that tells what it found: 7 where it could not see."""


def changed_in_stripe(seatctl) -> None:
    """Another ledger has bought, and the dashboard has changed a card, since the last sync."""
    other = SecondLedger(seatctl)
    assert other("sync").code == 0
    plan = other.rows("plans", "list")[0]["slug"]
    order = f"subs buy --plan {plan} --seats 5 --name other --owner lee@example.com --yes"
    payer = "--billing-email other@example.com --payment-method pm_card_visa"
    bought = other(*order.split(), *payer.split())
    assert bought.code == 0, bought.err
    change_card(seatctl, "pay@example.com", "pm_card_mastercard")


@pytest.fixture(scope="module")
def prepared(proofs):
    """Of each scene: a profile in which nothing was read since the changes, and what a sync makes of it."""
    known = {}

    def get(scene):
        if scene not in known:
            start = proofs.of_scene(scene)
            changed_in_stripe(start)
            synced = proofs.copy(start)
            done(synced, "sync")
            known[scene] = start, state(synced)
        return known[scene]

    return get


def watch(monkeypatch, kind: str | None = None, target: tuple[str, str] | None = None) -> list:
    """Damage the answers at `target` (method, path); all places called, or those damaged."""
    handle, met = Twin.handle, []

    def disturbed(self, method, url, headers, form):
        answer = handle(self, method, url, headers, form)
        place = (method, url.partition("?")[0])
        if kind is None:
            met.append(place)
            return answer
        status, body = damaged(kind, method, url, answer.status, answer.body)
        if place != target or (status, body) == (answer.status, answer.body):
            return answer
        met.append(place)
        return Answer(status, answer.headers, body)

    monkeypatch.setattr(Twin, "handle", disturbed)
    return met


def last_success(seatctl) -> list:
    return query(ledger_place(seatctl), "SELECT value FROM sync_state WHERE key = 'last_success'")


def some(name: str, places: list, whole: bool) -> list:
    every = [(place, kind) for place in places for kind in KINDS]
    return every if whole else every[list(COMMANDS).index(name) * 3 % 7 :: 31]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_damaged_is_told_and_read_again(prepared, proofs, whole, monkeypatch, name):
    scene, command = COMMANDS[name]
    start, synced = prepared(scene)
    calm = proofs.copy(start)
    with monkeypatch.context() as patch:
        places = watch(patch)
        usual = calm(*command.split()).code
    assert usual in {0, 7}
    cases = some(name, sorted(set(places)), whole)
    for place, kind in cases:
        seatctl = proofs.copy(start)
        with monkeypatch.context() as patch:
            hit = watch(patch, kind, place)
            ended = seatctl(*command.split())
        where = (place, kind, ended.code, ended.err, ended.out)
        codes = {usual} if not hit or kind in STILL_VALID else {usual, 75, ANSWERS_NO.get(command, 75)}
        assert ended.code in codes, where
        if ended.code == 75:
            assert last_success(seatctl) == last_success(start), where
        again = seatctl("sync", "-o", "json")
        assert (again.code, again.json["skipped"]) == (0, 0), where
        assert differences(synced, state(seatctl)) == [], where
        assert_in_step(seatctl)
        assert_sound(seatctl)
        ledgers.delete(seatctl.home)
    print(f"{name}: {len(cases)} damages")
