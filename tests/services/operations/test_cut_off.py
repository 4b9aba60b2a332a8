"""Each step of each purchase, disturbed by the ledger's server: charged once or not at all.

The connection is cut, or the server is away, at a round trip to the ledger or while Stripe answers; then the
server is there again and `sync` runs. The stories are those that are killed at each of their points in
`tests/services/purchases/test_crash.py` and `tests/services/subscriptions/test_crash.py`. By default one
fault in each story; with --whole-proofs every fault at each commit, two at each other round trip and at each
call to Stripe. They run with `--ledger postgres` and `--ledger pgbouncer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from seatctl.sandbox.api.twin import Twin
from tests.conftest import Result, Seatctl
from tests.services.purchases import test_crash as purchases
from tests.support import ledgers
from tests.support.both_sides import charges
from tests.support.change_stories import STORIES, WAITING
from tests.support.fault_relay import Fault, FaultRelay, commits, fault_relay
from tests.support.faults import NAMES, STOPS, Disturbed, less_patience
from tests.support.killing import Killing
from tests.support.postgres import server
from tests.support.server_state import expire_leases
from tests.support.subscriptions import ledger_place, query

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ledgers.on_server(), reason="a file has no connection: --ledger postgres"),
]

CALLS = {"cut": Fault(arrives=False), "away": Fault(arrives=False, away=float("inf"))}
"""What happens to the connection while Stripe answers."""


@pytest.fixture(scope="module")
def relay() -> Iterator[FaultRelay]:
    with fault_relay(ledgers.port()) as opened:
        yield opened


@dataclass
class Purchase:
    """A command that moves money or writes to Stripe, and how it is seen that this was done once."""

    start: Seatctl
    argv: tuple[str, ...]
    code: int
    expect: Callable[[Seatctl, str], object]
    killing: Killing
    relay: FaultRelay
    queries: list[bytes] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        calm = self.killing.copy(self.start)
        with called(lambda number: None) as count:
            ended = self.on(calm).calm()
        assert ended.code == self.code, ended.err
        self.queries, self.calls = list(self.relay.queries), count()
        self.charged = charges(calm)
        ledgers.delete(calm.home)

    def on(self, seatctl: Seatctl) -> Disturbed:
        place = seatctl.environment()["SEATCTL_LEDGER"]
        database = place.partition("?")[0].rpartition("/")[2]
        far = {"SEATCTL_LEDGER": server().tcp_url(database, ledgers.OWNER, self.relay.port)}
        return Disturbed(seatctl, self.argv, far, database, self.relay)

    def at_query(self, number: int, fault: str) -> None:
        """Disturb it at a round trip to the ledger."""
        seatctl = self.killing.copy(self.start)
        disturbed = self.on(seatctl)
        result = disturbed.at(number, fault)
        assert self.relay.broken.wait(10), (number, fault)
        where = f"{fault}, round trip {number} of {len(self.queries)}"
        self.see(seatctl, disturbed.database, result, where)

    def at_call(self, number: int, fault: str) -> None:
        """Disturb it while Stripe answers."""
        seatctl = self.killing.copy(self.start)
        disturbed = self.on(seatctl)

        def breaks(call: int) -> None:
            if call == number:
                self.relay.break_now(CALLS[fault])

        with called(breaks), less_patience():
            result = disturbed.calm()
        self.relay.reach()
        self.see(seatctl, disturbed.database, result, f"{fault}, call {number} of {self.calls}")

    def see(self, seatctl: Seatctl, database: str, result: Result, where: str) -> None:
        """What was said, and what `sync` and the same command make of it."""
        assert "Traceback" not in result.err, (where, result.err)
        assert result.code in {self.code, 75} or result.code < 0, (where, result)
        if result.code == 75:
            assert "hint: " in result.err, where
            if "nothing was changed" in result.err:
                assert charges(seatctl) == charges(self.start), (where, result.err)
                pending = "SELECT kind FROM operations WHERE state = 'pending'"
                assert query(ledger_place(seatctl), pending) == query(ledger_place(self.start), pending), (
                    where,
                    result.err,
                )
        elif result.code == self.code:
            assert charges(seatctl) == self.charged, where
        expire_leases(database)
        self.expect(seatctl, where)
        ledgers.delete(seatctl.home)


@contextmanager
def called(act: Callable[[int], object]) -> Iterator[Callable[[], int]]:
    """Call `act` with the number of each call to Stripe, once it is answered; yield how many there were."""
    handle, number = Twin.handle, 0

    def counted(twin, method, url, headers, form):
        nonlocal number
        answer = handle(twin, method, url, headers, form)
        number += 1
        act(number)
        return answer

    Twin.handle = counted
    try:
        yield lambda: number
    finally:
        Twin.handle = handle


Case = tuple[Callable[[int, str], None], int, str]


def some(
    purchase: Purchase, place: int, whole: bool
) -> Iterator[tuple[Callable[[int, str], None], int, str]]:
    """What disturbs it: something at each round trip and call, or one thing, another one for each story."""
    calls = [(purchase.at_call, number, fault) for number in range(1, purchase.calls + 1) for fault in CALLS]
    ends = commits(purchase.queries)
    if whole:
        for number in range(1, len(purchase.queries) + 1):
            at_commit = (
                NAMES if number in ends else (NAMES[number % len(NAMES)], NAMES[(number + 3) % len(NAMES)])
            )
            yield from ((purchase.at_query, number, fault) for fault in at_commit)
        yield from calls
        yield from ((purchase.at_query, ends[-1], fault) for fault in STOPS)
    elif place % 3 == 0:
        yield calls[place * 5 % len(calls)]
    else:
        yield purchase.at_query, ends[place * 5 % len(ends)], NAMES[place % len(NAMES)]


@pytest.mark.parametrize("name", STORIES)
def test_a_change_of_a_subscription_is_made_once(proofs, relay, name, whole):
    proof = proofs.of(STORIES[name])

    def expect(seatctl: Seatctl, where: str) -> None:
        synced = seatctl("sync")
        assert synced.code in {0, proof.story.code}, (where, synced.err)
        proof.expect_done_once(seatctl, where)

    purchase = Purchase(proof.start, proof.argv, proof.story.code, expect, proof.killing, relay)
    for disturb, number, fault in some(purchase, [*STORIES].index(name), whole):
        disturb(number, fault)


@pytest.mark.parametrize("name", WAITING)
def test_what_the_bank_wants_to_authenticate_is_paid_once(proofs, relay, name, whole):
    proof = proofs.of(WAITING[name])

    def expect(seatctl: Seatctl, where: str) -> None:
        assert seatctl("sync").code in {0, 10}, where
        proof.expect_authenticated_once(seatctl, where)

    purchase = Purchase(proof.start, proof.argv, proof.story.code, expect, proof.killing, relay)
    for disturb, number, fault in some(purchase, [*WAITING].index(name) + 1, whole):
        disturb(number, fault)


@pytest.mark.parametrize("name", purchases.STORIES)
def test_a_purchase_is_made_once(sandbox, team, tmp_path, relay, name, whole):
    story = purchases.STORIES[name]

    def expect(seatctl: Seatctl, where: str) -> None:
        synced = seatctl("sync")
        assert synced.code == 0, (where, synced.err)
        purchases.expect_once(story, seatctl, where)

    killing = Killing(tmp_path / "copies", whole)
    purchase = Purchase(sandbox, story.argv, story.code, expect, killing, relay)
    for disturb, number, fault in some(purchase, [*purchases.STORIES].index(name), whole):
        disturb(number, fault)
