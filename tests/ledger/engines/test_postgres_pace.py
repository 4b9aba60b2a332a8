"""The pace of requests to Stripe: all clients of a ledger on a server share it."""

from __future__ import annotations

import threading
import time

import pytest

from seatctl.billing import pace
from seatctl.billing.pace import Pace
from seatctl.ledger.engines.postgres import connect
from seatctl.models.ledger_url import ServerUrl
from tests.app.test_server_ledger import database, two_secrets, with_subscription
from tests.support.engines import new_ledger
from tests.support.postgres import server

__all__ = ["database", "two_secrets"]

CUSTOMERS, INVOICES = "/v1/customers", "/v1/invoices"


@pytest.fixture
def clients(tmp_path):
    """Two clients of one ledger."""
    with new_ledger("postgres", tmp_path) as client:
        yield client(), client()


def test_clients_take_turns(clients):
    one, other = clients
    started = time.monotonic()
    waits = [client.take_turns(CUSTOMERS, 5, 5) or 0.0 for client in (one, other, one, other)]
    spent = time.monotonic() - started
    for number, wait in enumerate(waits):
        assert 5 * number - spent <= wait <= 5 * number


def test_an_endpoint_has_its_own_pace_and_all_share_one(clients):
    one, other = clients
    one.take_turns(CUSTOMERS, 2, 20)
    started = time.monotonic()
    assert 0 < (other.take_turns(INVOICES, 2, 20) or 0.0) <= 2
    assert 19 - (time.monotonic() - started) < (other.take_turns(CUSTOMERS, 2, 20) or 0.0) <= 20


def test_a_turn_is_never_more_than_a_minute_away(clients):
    one, other = clients
    one.take_turns(CUSTOMERS, 10_000, 10_000)
    assert 55 < (other.take_turns(CUSTOMERS, 1, 1) or 0.0) <= 60


class Clock:
    """A clock that goes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_time_in_which_the_server_answers_is_not_waited_again(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)

    def turns(_endpoint: str, _gap: float, _endpoint_gap: float) -> float:
        clock.sleep(0.5)
        return 0.25

    Pace(10, 10, turns)(CUSTOMERS)
    assert clock.now == 0.75


def test_threads_take_turns(clients):
    waits: list[float] = []

    def take() -> None:
        waits.extend(clients[0].take_turns(CUSTOMERS, 3, 3) or 0.0 for _ in range(5))

    threads = [threading.Thread(target=take) for _ in range(4)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - started
    assert len(waits) == 20
    for number, wait in enumerate(sorted(waits)):
        assert 3 * number - spent <= wait <= 3 * number


def test_without_an_answer_a_process_keeps_its_own_pace(tmp_path):
    engine = connect(ServerUrl("postgresql://postgres@127.0.0.1:1/none"))
    assert engine.take_turns(CUSTOMERS, 1, 1) is None
    with new_ledger("sqlite", tmp_path) as client:
        assert client().take_turns(CUSTOMERS, 1, 1) is None


class Turns:
    """Stands for the ledger: every request could be sent at once."""

    def __init__(self, answer: float | None = 0.0) -> None:
        self.answer = answer
        self.taken: list[float] = []

    def __call__(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        self.taken.append(round(gap, 6))
        return self.answer


def test_a_process_that_sends_many_requests_reserves_several_turns_at_once():
    turns = Turns()
    keep = Pace(1000, 1000, turns)
    for _ in range(10):
        keep(CUSTOMERS)
    assert turns.taken == [0.001, 0.008, 0.008]
    keep(INVOICES)
    assert turns.taken[3:] == [0.001]


def test_turns_that_were_not_used_are_given_up(monkeypatch):
    turns = Turns()
    keep = Pace(1000, 1000, turns)
    for _ in range(2):
        keep(CUSTOMERS)
    monkeypatch.setattr(pace, "_STALE_SECONDS", -60.0)
    keep(CUSTOMERS)
    assert turns.taken == [0.001, 0.008, 0.001]


def test_a_ledger_that_does_not_answer_is_not_asked_again():
    turns = Turns(None)
    keep = Pace(1000, 1000, turns)
    for _ in range(3):
        keep(CUSTOMERS)
    assert turns.taken == [0.001]


def test_requests_of_a_machine_are_counted(two_secrets, database):
    with_subscription(two_secrets)
    with server().connect(database) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM seatctl.pace").fetchall()}
    assert names >= {"", "/v1/subscriptions", "/v1/products"}
