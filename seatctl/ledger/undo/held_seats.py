"""Free seats that are kept from the waitlist for a while: those that a revoke of several people has freed,
with its mails, and those that were bought for the people of a file.

For the setting `undo_window` a run that revoked too much can be undone with nobody seated in its place and
nobody told. Kept in `meta`, one JSON value: it is gone after minutes, nobody asks for it but a change, and
the audit has nothing to say of it. Explicit assignments may take these seats; automatic ones may not.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TypeAlias, TypedDict

from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time

_KEY = "held_seats"

_RESERVED_FOR = timedelta(hours=1)
"""Between a purchase and those it was made for: a process that dies in between can be run again so long."""

_TAKE_BACK = """UPDATE outbox SET state = 'held', next_attempt = NULL, last_error = 'the run was undone'
    WHERE template = 'seat_revoked' AND state = 'waiting' AND attempts = 0 AND next_attempt > :now
    AND entry_id IN (SELECT seq FROM audit WHERE run = :run)"""


class HeldSeats(TypedDict):
    """What one run has freed: until when it is held (written form), how many seats of which pool."""

    until: str
    pools: dict[str, int]


Holds: TypeAlias = dict[str, HeldSeats]
"""By run: that is what is undone, and a batch of thousands of lines is one. Keys are texts, as in JSON."""


def update(tx: Transaction) -> None:
    """Hold what this change has freed, if it was several people's; let go of what is past its time.

    What somebody was assigned meanwhile is held no more: of each subscription at most what is free.
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
    """What the run holds already, and what this transaction has freed since it was asked last."""
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
    """Keep seats that this change has added for those they were bought for.

    Without it the waitlist would be seated with them as the purchase ends: the buyer would have paid for
    other people, and would pay again.
    """
    until = format_time(tx.call.now + _RESERVED_FOR)
    hold: HeldSeats = {"until": until, "pools": {str(subscription_id): seats}}
    _write(tx, {**_read(tx), _run(tx): hold})


def release(tx: Transaction, run: int) -> None:
    """Let go of the seats that a run freed or reserved."""
    _write(tx, {holder: hold for holder, hold in _read(tx).items() if holder != str(run)})


def held(reader: Reader, subscription_id: int, now: str) -> int:
    """How many of the free seats there nobody may get by themselves at `now` (written form)."""
    return sum(
        hold["pools"].get(str(subscription_id), 0) for hold in _read(reader).values() if hold["until"] > now
    )


def held_until(tx: Transaction) -> str | None:
    """Until when this change holds what it has freed, in the written form; None where it holds nothing."""
    hold = _read(tx).get(_run(tx))
    return None if hold is None or not tx.freed else hold["until"]


def release_undone(tx: Transaction, run: int) -> None:
    """Let go of the seats that a run freed, which is undone now, and do not send what it had to say."""
    release(tx, run)
    tx.execute(_TAKE_BACK, {"run": run, "now": tx.now})


def _is_bulk(tx: Transaction) -> bool:
    """Several people's, by a run that can be undone: what an operation in Stripe frees is given up there.

    All lines of a batch are one run, so that each of them may be one of many.
    """
    if not tx.freed_people or tx.call.undo_window <= 0:
        return False
    if tx.call.run is None:
        return len(tx.freed_people) > 1
    return tx.value("SELECT 1 FROM batch_rows WHERE run = ? LIMIT 1", (tx.call.run,)) is not None


def _limit(tx: Transaction, holds: Holds) -> None:
    left: dict[str, int] = {}
    for hold in holds.values():
        subscriptions = hold["pools"]
        for subscription, seats in subscriptions.items():
            if subscription not in left:
                free = "SELECT max(0, capacity - assigned) FROM subscriptions WHERE id = ?"
                left[subscription] = tx.count(free, (int(subscription),))
            subscriptions[subscription] = min(seats, left[subscription])
            left[subscription] -= subscriptions[subscription]


def _read(reader: Reader) -> Holds:
    found = reader.value("SELECT value FROM meta WHERE key = ?", (_KEY,))
    holds: Holds = {} if found is None else json.loads(str(found))
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
