"""A process that loses its lease or its connection in the middle of an operation, on a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from seatctl.ledger import operations
from seatctl.ledger.engines import postgres_leases
from seatctl.ledger.engines.postgres_link import Link
from seatctl.ledger.ledger import open_ledger
from seatctl.models.ledger_url import ServerUrl
from seatctl.models.operation import OperationState
from seatctl.sandbox.api.twin import Twin
from tests.support.places import At, database, expire_leases
from tests.support.subscriptions import ledger_place

SUSPENDED_SECONDS = 40
BUY = (
    *("subs", "buy", "--plan", "pro", "--seats", "1", "--name", "late", "--owner", "ann@example.com"),
    *("--billing-email", "pay@example.com", "--yes", "--payment-method"),
)


@pytest.fixture
def shared(sandbox, team):
    """A profile whose ledger is on a server, with one subscription."""
    with database() as url:
        yield At(sandbox, ledger_place(sandbox)).move(url)


@pytest.fixture
def after_a_write(monkeypatch):
    """Lets something happen once, after Stripe has carried out a write and before its answer is read."""

    def let(act: Callable[[], None]) -> None:
        handle, acts = Twin.handle, [act]

        def handled(twin, method, url, headers, form):
            answer = handle(twin, method, url, headers, form)
            if method != "GET" and not url.endswith("/create_preview") and acts:
                acts.pop()()
            return answer

        monkeypatch.setattr(Twin, "handle", handled)

    return let


def test_an_operation_that_another_process_has_ended_is_not_applied_again(
    shared, team, after_a_write, monkeypatch
):
    """The canceling process is suspended; meanwhile another one finishes its run and takes it back."""

    def suspended() -> None:
        expire_leases(shared.place)
        shared.done("sync")
        shared.done(f"subs resume {team} --yes")
        uptime = time.monotonic() + SUSPENDED_SECONDS
        monkeypatch.setattr(postgres_leases, "_uptime", lambda: uptime)

    after_a_write(suspended)
    canceled = shared("subs", "cancel", team, "--yes", "-o", "json")
    assert (canceled.code, canceled.json["summary"].partition(":")[0]) == (0, "already done"), canceled.err
    monkeypatch.undo()
    [row] = shared.rows("subs", "list")
    assert row["ends_at"] is None
    assert [row["drift"] for row in shared.rows("reconcile")] == [None]
    ended = [row for row in shared.rows("audit", "log") if "cancel" in row["command"]]
    assert len(ended) == 1
    shared.assert_sound(shared.head())


def test_what_is_said_of_an_operation_whose_connection_is_lost(shared, team, after_a_write, monkeypatch):
    """Not that nothing was changed: Stripe has done its part."""

    def cut() -> None:
        def exchange(link: Link, *_: object) -> None:
            link.drop()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(Link, "exchange", exchange)

    after_a_write(cut)
    added = shared("subs", "add-seats", team, "2", "--yes", "-o", "json")
    assert (added.code, added.error["code"]) == (75, "ledger_unreachable")
    run = added.error["run"]
    assert f"run {run} " in added.error["message"]
    assert "nothing was changed" not in added.error["message"]
    assert added.error["hint"].endswith("seatctl sync")
    monkeypatch.undo()
    expire_leases(shared.place)
    shared.done("sync")
    [row] = shared.rows("subs", "list")
    assert row["seats"] == 7


def test_an_operation_that_another_process_has_ended_is_not_opened_again(shared):
    """The buying process was suspended before it could record that the bank asks the cardholder."""
    asked = shared(*BUY, "pm_card_authenticationRequired", "-o", "json")
    assert (asked.code, asked.error["code"]) == (10, "authentication_required")
    run = int(asked.error["run"])
    shared.done(f"runs undo {run} --yes")
    late = {"summary": "late"}
    with closing(open_ledger(ServerUrl(shared.place))) as ledger:
        with ledger.reading() as reader:
            before = operations.of_run(reader, run)
        with ledger.journal() as journal:
            operations.set_waiting(journal, before, late)
            assert not operations.close(journal, before, OperationState.DONE, late, datetime.now(UTC))
        with ledger.reading() as reader:
            assert operations.of_run(reader, run) == before
    assert before.state is OperationState.FAILED
    shared.assert_sound(shared.head())
