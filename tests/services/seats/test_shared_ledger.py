"""Many clients of one ledger on a server: what each of them decides stays true until it is committed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from threading import Barrier

import pytest

from seatctl.errors import SeatctlError
from seatctl.ledger import roles, users
from seatctl.ledger.desired import applied
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.models.call import Call
from seatctl.models.ledger_url import ServerUrl
from seatctl.models.role import Grant, Role
from seatctl.services.requests.decide import (
    SeatRequestOptions,
    approve_requests,
    cancel_requests,
    create_request,
    deny_requests,
)
from seatctl.services.seats.assign import assign_seats, move_seats, revoke_seats
from seatctl.services.users.edit import add_users, import_users
from seatctl.services.users.people import People
from tests.support.engines import closed, database, empty, open_postgres, query
from tests.support.subscriptions import add_subscription

ROUNDS = 8
ADMIN = "ann@example.com"


def call(command: str = "seatctl") -> Call:
    return Call(ADMIN, "ann", command, datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def url() -> Iterator[ServerUrl]:
    with database(empty()) as made:
        with closing(open_ledger(made)) as ledger, ledger.change(call()) as tx:
            roles.grant(tx, Grant(ADMIN, Role.ADMIN))
            for n in range(1, 13):
                users.add(tx, email(n))
        yield made


def email(n: int) -> str:
    return f"u{n:02}@example.com"


def rows(url: ServerUrl, sql: str) -> list[tuple]:
    with closed(open_postgres(url)) as engine:
        return query(engine, sql)


Command = Callable[[Ledger], object]


def at_once(url: ServerUrl, *commands: Command) -> list[str]:
    """Run the commands at once, with a connection each; the code of each refusal, or `done`."""
    start = Barrier(len(commands))

    def run(command: Command) -> str:
        with closing(open_ledger(url)) as ledger:
            assert ledger.id
            start.wait()
            try:
                command(ledger)
            except SeatctlError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(run, commands))


def assign(subscription: str, *emails: str) -> Command:
    return lambda ledger: assign_seats(ledger, call(), subscription, People(emails))


def revoke(subscription: str, *emails: str) -> Command:
    return lambda ledger: revoke_seats(ledger, call(), subscription, People(emails))


def move(old: str, new: str, *emails: str) -> Command:
    return lambda ledger: move_seats(ledger, call(), old, new, People(emails))


def ask(address: str, subscription: str | None = None) -> Command:
    return lambda ledger: create_request(ledger, call(), SeatRequestOptions(address, subscription))


def sound(url: ServerUrl) -> None:
    """Counters equal recounts, nobody has two seats, and for each subscription entries are in order."""
    assert (
        rows(
            url,
            "SELECT s.name FROM subscriptions s WHERE s.assigned <> (SELECT count(*) FROM seats t"
            " WHERE t.subscription_id = s.id AND t.revoked_at IS NULL) OR s.assigned > s.capacity",
        )
        == []
    )
    assert (
        rows(
            url,
            "SELECT user_id FROM seats WHERE revoked_at IS NULL GROUP BY subscription_id, user_id"
            " HAVING count(*) > 1",
        )
        == []
    )
    taken = rows(url, "SELECT subscription_id, id, assigned_entry FROM seats ORDER BY subscription_id, id")
    for before, after in pairwise(taken):
        assert before[0] != after[0] or before[2] <= after[2]


def test_the_last_seats_are_assigned_once(url):
    add_subscription(url, "design", seats=5)
    codes = at_once(url, *(assign("design", email(n)) for n in range(1, 13)))
    assert sorted(codes) == ["done"] * 5 + ["no_seats_left"] * 7
    sound(url)


def test_two_that_move_in_opposite_directions_do_not_wait_for_each_other(url):
    for name in ("design", "sales"):
        add_subscription(url, name, seats=9)
    for number in range(ROUNDS):
        there, back = email(1), email(2)
        at_once(url, assign("design", there), assign("sales", back))
        codes = at_once(url, move("design", "sales", there), move("sales", "design", back))
        assert codes == ["done", "done"], number
        at_once(url, revoke("sales", there), revoke("design", back))
    sound(url)


def test_who_joins_the_waitlist_while_a_seat_is_freed_gets_it(url):
    add_subscription(url, "design", seats=1, auto_approval=json.dumps({"enabled": True}))
    for number in range(ROUNDS):
        holder, waiting = email(1 + number % 2), email(2 - number % 2)
        if not number:
            assert at_once(url, assign("design", holder)) == ["done"]
        assert at_once(url, revoke("design", holder), ask(waiting, "design")) == ["done", "done"]
        assert rows(url, "SELECT user_id FROM seats WHERE revoked_at IS NULL") == [
            (rows(url, f"SELECT id FROM users WHERE email = '{waiting}'")[0][0],)
        ], number
    assert rows(url, "SELECT count(*) FROM requests WHERE status = 'approved'") == [(ROUNDS,)]
    sound(url)


def test_a_request_for_any_subscription_gets_one_seat_though_two_are_freed(url):
    for name in ("design", "sales"):
        add_subscription(url, name, seats=1, auto_approval=json.dumps({"enabled": True}))
    for number in range(ROUNDS):
        at_once(url, assign("design", email(1)), assign("sales", email(2)))
        assert at_once(url, ask(email(3))) == ["done"]
        (request,) = rows(url, "SELECT number FROM requests WHERE status IN ('pending', 'waitlisted')")[0]
        at_once(url, lambda ledger, request=request: approve_requests(ledger, call(), [request]))
        codes = at_once(url, revoke("design", email(1)), revoke("sales", email(2)))
        assert codes == ["done", "done"], number
        seated = rows(
            url,
            "SELECT s.name FROM seats t JOIN users u ON u.id = t.user_id"
            " JOIN subscriptions s ON s.id = t.subscription_id"
            f" WHERE u.email = '{email(3)}' AND t.revoked_at IS NULL",
        )
        assert len(seated) == 1, number
        at_once(url, revoke(seated[0][0], email(3)))
    sound(url)


def test_one_request_is_decided_once(url):
    add_subscription(url, "design", seats=9)
    for number in range(ROUNDS):
        assert at_once(url, ask(email(4), "design")) == ["done"]
        (request,) = rows(url, "SELECT max(number) FROM requests")[0]
        codes = at_once(
            url,
            lambda ledger, request=request: approve_requests(ledger, call(), [request]),
            lambda ledger, request=request: deny_requests(ledger, call(), [request], None),
            lambda ledger, request=request: cancel_requests(ledger, call(), [request]),
            assign("design", email(4)),
        )
        assert set(codes) <= {"done", "request_closed"}, number
        decided = rows(
            url,
            f"SELECT count(*) FROM changes WHERE entity = 'request' AND entity_id = {request}"
            " AND before IS NOT NULL",
        )
        assert decided == [(1,)], number
        at_once(url, revoke("design", email(4)))
    sound(url)


def test_files_that_are_applied_at_once_are_all_remembered(url):
    def remember(subscription: int) -> Command:
        def command(ledger: Ledger) -> None:
            with ledger.journal() as journal:
                applied.remember(journal, [subscription])

        return command

    for first in range(1, 40, 5):
        assert at_once(url, *map(remember, range(first, first + 5))) == ["done"] * 5
    with closing(open_ledger(url)) as ledger, ledger.reading() as reader:
        assert applied.described(reader) == set(range(1, 41))


def test_clients_that_import_the_same_people_take_turns(url):
    from seatctl.rules.people import PersonRow

    def file(order: int) -> Command:
        people = [
            PersonRow(n, f"new{n:02}@example.com", f"new{n:02}@example.com", f"Name {order}", *[None] * 4)
            for n in range(40)
        ]
        return lambda ledger: import_users(ledger, call(), people[::order])

    codes = at_once(
        url,
        file(1),
        file(-1),
        lambda ledger: add_users(ledger, call(), ["new05@example.com", "new03@example.com"]),
        assign_new("design", url),
    )
    assert codes == ["done"] * 4
    assert rows(url, "SELECT count(*) FROM users WHERE email LIKE 'new%'") == [(40,)]
    assert len(rows(url, "SELECT DISTINCT name FROM users WHERE email LIKE 'new%'")) == 1
    sound(url)


def assign_new(name: str, url: ServerUrl) -> Command:
    add_subscription(url, name, seats=9)
    return lambda ledger: assign_seats(
        ledger, call(), name, People(("new07@example.com",)), create_users=True
    )
