"""Free seats that the waitlist does not get for a while.

These are the seats that a run revoked from several people, and seats that were bought for the people of a
file. During the `undo_window` a run that revoked too many seats can be undone: the seats are still free, and
the messages to the people were not sent yet. Explicit assignments may use held seats; the waitlist may not.

Stored as JSON in `meta`: the holds are short-lived, read only by transactions, and not audited.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TypeAlias, TypedDict

from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time

_KEY = "held_seats"

_RESERVED_FOR = timedelta(hours=1)
"""How long seats are held between a purchase and the assignments that it was made for: if the process dies in
between, the command can be run again within this time."""

_HOLD_MESSAGES = """UPDATE outbox SET state = 'held', next_attempt = NULL, last_error = 'the run was undone'
    WHERE template = 'seat_revoked' AND state = 'waiting' AND attempts = 0 AND next_attempt > :now
    AND entry_id IN (SELECT seq FROM audit WHERE run = :run)"""


class HeldSeats(TypedDict):
    """The seats that one run freed, by subscription id, and until when they are held (written form)."""

    until: str
    pools: dict[str, int]


Holds: TypeAlias = dict[str, HeldSeats]
"""By run number, as text: a run is what can be undone, and a batch with thousands of lines is one run."""


def update(tx: Transaction) -> None:
    """Hold the seats that this transaction revoked from several people, and release expired holds.

    Seats that were assigned meanwhile are no longer held: in each subscription at most the free seats are
    held.
    """
    holds = {run: hold for run, hold in _read(tx).items() if hold["until"] > tx.now}
    if _is_bulk(tx):
        until = format_time(tx.call.now + timedelta(minutes=tx.call.undo_window))
        holds[_run(tx)] = {"until": until, "pools": _with_freed(tx, holds.get(_run(tx)))}
        for message in tx.freed_mails:
            tx.execute("UPDATE outbox SET next_attempt = ? WHERE id = ?", (until, message))
    _limit(tx, holds)
    _write(tx, holds)


def _with_freed(tx: Transaction, hold: HeldSeats | None) -> dict[str, int]:
    """Return what the run holds already plus what this transaction freed since the last call."""
    subscriptions = {} if hold is None else dict(hold["pools"])
    for subscription, seats in tx.freed.items():
        subscriptions[str(subscription)] = (
            subscriptions.get(str(subscription), 0) + seats - tx.held.get(subscription, 0)
        )
    tx.held = dict(tx.freed)
    return subscriptions


def _run(tx: Transaction) -> str:
    return str(tx.opened_run)


def reserve(tx: Transaction, subscription_id: int, seats: int) -> None:
    """Hold seats that were just bought for the people they were bought for.

    Otherwise the waitlist would get them at the end of the purchase, and the buyer would have to pay again.
    """
    until = format_time(tx.call.now + _RESERVED_FOR)
    hold: HeldSeats = {"until": until, "pools": {str(subscription_id): seats}}
    _write(tx, {**_read(tx), _run(tx): hold})


def release(tx: Transaction, run: int) -> None:
    """Release the seats that a run freed or reserved."""
    _write(tx, {holder: hold for holder, hold in _read(tx).items() if holder != str(run)})


def held(reader: Reader, subscription_id: int, now: str) -> int:
    """Return how many free seats of the subscription are held at `now` (written form)."""
    return sum(
        hold["pools"].get(str(subscription_id), 0) for hold in _read(reader).values() if hold["until"] > now
    )


def held_until(tx: Transaction) -> str | None:
    """Return until when this transaction holds the seats it freed (written form); None if it holds none."""
    hold = _read(tx).get(_run(tx))
    return None if hold is None or not tx.freed else hold["until"]


def release_undone(tx: Transaction, run: int) -> None:
    """Release the seats of a run that is being undone, and do not send its messages."""
    release(tx, run)
    tx.execute(_HOLD_MESSAGES, {"run": run, "now": tx.now})


def _is_bulk(tx: Transaction) -> bool:
    """Return whether the run revoked seats from several people and can be undone.

    Seats freed by an operation are given up in Stripe and are not held. All lines of a batch are one run, so
    that a line that revokes one seat may be one of many.
    """
    if not tx.freed_users or tx.call.undo_window <= 0:
        return False
    if tx.call.run is None:
        return len(tx.freed_users) > 1
    return tx.exists("batch_rows WHERE run = ?", (tx.call.run,))


def _limit(tx: Transaction, holds: Holds) -> None:
    free_seats: dict[str, int] = {}
    for hold in holds.values():
        subscriptions = hold["pools"]
        for subscription, seats in subscriptions.items():
            if subscription not in free_seats:
                free = "SELECT capacity - assigned FROM subscriptions WHERE id = ?"
                free_seats[subscription] = max(0, tx.count(free, (int(subscription),)))
            subscriptions[subscription] = min(seats, free_seats[subscription])
            free_seats[subscription] -= subscriptions[subscription]


def _read(reader: Reader) -> Holds:
    text = reader.value("SELECT value FROM meta WHERE key = ?", (_KEY,))
    holds: Holds = {} if text is None else json.loads(str(text))
    return holds


def _write(tx: Transaction, holds: Holds) -> None:
    if holds == _read(tx):
        return
    if not holds:
        tx.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
        return
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY, json.dumps(holds)),
    )
