"""The question that every change begins with: is anything due, does a free seat fit somebody who waits?"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from seatctl.ledger import due_changes, requests, seats
from seatctl.ledger.creation import create_ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.request import RequestStatus
from tests.support import ledgers
from tests.support.subscriptions import add_subscription, query

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-11-21T11:00:00Z", "2026-11-21T13:00:00Z"


def call(**options) -> Call:
    return Call("ann@example.com", "ann", "seatctl x", NOW, **options)


@pytest.fixture
def ledger(tmp_path):
    path = ledgers.new_place(tmp_path, "ledger")
    with closing(
        create_ledger(path, mode="sandbox", stripe_account=None, now=NOW - timedelta(days=9))
    ) as made:
        add_subscription(path, seats=2)
        for user in range(1, 6):
            person(made, user)
        yield made


def person(ledger, user: int) -> None:
    """The user of this number, which must be the next one."""
    email = f"{user}@example.com"
    query(
        ledger.place,
        "INSERT INTO users (email, email_key, created_at) VALUES (?, ?, ?)",
        *(email, email, BEFORE),
    )


def wait(ledger, user: int, subscription: int | None = 1, **values) -> None:
    row = {"user_id": user, "subscription_id": subscription, "status": "waitlisted", **values}
    row = {"created_at": BEFORE, "waitlisted_at": BEFORE, "decided_by": "ann@example.com", **row}
    marks = ", ".join("?" * len(row))
    query(ledger.place, f"INSERT INTO requests ({', '.join(row)}) VALUES ({marks})", *row.values())


def sit(ledger, user: int, until: str | None = None) -> None:
    query(
        ledger.place,
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until) VALUES (1, ?, ?, ?)",
        *(user, BEFORE, until),
    )


def is_due(ledger) -> bool:
    with ledger.scratch() as journal:
        return due_changes.begin(Transaction(journal.engine, call())).is_due


def records(ledger) -> int:
    """How many changes the next change records by itself."""
    with ledger.change(call(dry_run=True)) as tx:
        return tx.recorded


def hold(ledger, number: int, until: str = AFTER) -> None:
    query(ledger.place, "INSERT INTO held_seats VALUES (1, 1, ?, ?)", until, number)


def sql(statement: str):
    return lambda ledger: query(ledger.place, statement)


NOTHING_DUE = {
    "nothing": lambda ledger: None,
    "a seat that ends later": lambda ledger: sit(ledger, 1, AFTER),
    "a request that expires later": lambda ledger: wait(ledger, 1, status="pending", expires_at=AFTER),
    "nobody waits": lambda ledger: wait(ledger, 1, status="pending"),
    "no seat is free": lambda ledger: [sit(ledger, 1), sit(ledger, 2), wait(ledger, 3)],
    "the free seats are held": lambda ledger: [wait(ledger, 1), hold(ledger, 2)],
    "the user is suspended": lambda ledger: [
        wait(ledger, 1),
        query(ledger.place, "UPDATE users SET status = 'suspended'"),
    ],
    "seats are kept from automatic approval": lambda ledger: [
        wait(ledger, 1, decided_by="auto"),
        query(ledger.place, """UPDATE subscriptions SET auto_approval = '{"keep_free": 2}'"""),
    ],
    "no subscription has the feature": lambda ledger: wait(ledger, 1, None, features='["sso"]'),
    "the subscription is of another ledger": lambda ledger: [
        wait(ledger, 1),
        query(ledger.place, "UPDATE subscriptions SET home_ledger = 'led_other'"),
    ],
    "the subscription is not running": lambda ledger: [
        wait(ledger, 1),
        query(ledger.place, "UPDATE subscriptions SET status = 'paused'"),
    ],
    "a capacity that is planned for later": sql(
        f"INSERT INTO capacity_changes (subscription_id, effective_at, seats) VALUES (1, '{AFTER}', 9)"
    ),
}

DUE = {
    "an expired seat": lambda ledger: sit(ledger, 1, BEFORE),
    "an expired request": lambda ledger: wait(ledger, 1, status="pending", expires_at=BEFORE),
    "a free seat for a request": lambda ledger: wait(ledger, 1),
    "a seat that is free besides the held ones": lambda ledger: [wait(ledger, 1), hold(ledger, 1)],
    "seats that are held no more": lambda ledger: [wait(ledger, 1), hold(ledger, 2, BEFORE)],
    "more free seats than are kept": lambda ledger: [
        wait(ledger, 1, decided_by="auto"),
        query(ledger.place, """UPDATE subscriptions SET auto_approval = '{"keep_free": 1}'"""),
    ],
    "a subscription with the feature": lambda ledger: [
        wait(ledger, 1, None, features='["sso"]'),
        query(ledger.place, """UPDATE subscriptions SET policy = '{"features": ["api", "sso"]}'"""),
    ],
    "a request for a subscription that has ended": lambda ledger: [
        wait(ledger, 1, status="pending"),
        query(ledger.place, "UPDATE subscriptions SET status = 'canceled'"),
    ],
    "a planned capacity": sql(
        f"INSERT INTO capacity_changes (subscription_id, effective_at, seats) VALUES (1, '{BEFORE}', 9)"
    ),
}


@pytest.mark.parametrize("name", NOTHING_DUE)
def test_nothing_is_due(ledger, name):
    NOTHING_DUE[name](ledger)
    assert (is_due(ledger), records(ledger)) == (False, 0)


@pytest.mark.parametrize("name", DUE)
def test_it_is_due_and_the_next_change_records_it(ledger, name):
    DUE[name](ledger)
    assert is_due(ledger)
    assert records(ledger) > 0
    with ledger.change(call()):
        pass
    assert not is_due(ledger)


def test_seats_assigned_in_parts_are_recorded_once_each(ledger):
    query(ledger.place, "UPDATE subscriptions SET capacity = 9")
    wait(ledger, 1)
    with ledger.change(call()) as tx:
        seats.assign(tx, 1, 2)
        for user in (3, 4):
            assigned = seats.assign_each(
                tx, "users u WHERE u.id = :id", {"id": user}, subscription="1", user="u.id", until="NULL"
            )
            assert assigned == 1
    recorded = query(ledger.place, "SELECT entity_id FROM changes WHERE entity = 'seat' ORDER BY n")
    assert recorded == [(1,), (2,), (3,), (4,)]
    assert query(ledger.place, "SELECT id, user_id FROM seats") == [(n, n) for n in range(1, 5)]


def test_a_request_that_joins_the_waitlist_in_this_change_gets_a_free_seat(ledger):
    wait(ledger, 1, status="pending")
    with ledger.change(call()) as tx:
        assert not tx.may_wait
        requests.decide(tx, 1, RequestStatus.WAITLISTED, by="ann@example.com")
    assert query(ledger.place, "SELECT user_id FROM seats") == [(1,)]
