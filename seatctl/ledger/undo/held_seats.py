"""Free seats that the waitlist does not get for a while.

These are the seats that a run revoked from several people, and seats that were bought for the people of a
file. During the `undo_window` a run that revoked too many seats can be undone: the seats are still free, and
the messages to the people were not sent yet. Explicit assignments may use held seats; the waitlist may not.

They are rows of the table `held_seats`, one per run and subscription: short-lived, read only by
transactions, and not audited. A run is what can be undone, and a batch with many lines is one run.
"""

from __future__ import annotations

from datetime import timedelta

from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time

_RESERVED_FOR = timedelta(hours=1)
"""How long seats are held between a purchase and the assignments that it was made for: if the process dies in
between, the command can be run again within this time."""

_HOLD_MESSAGES = """UPDATE outbox SET state = 'held', next_attempt = NULL, last_error = 'the run was undone'
    WHERE template = 'seat_revoked' AND state = 'waiting' AND attempts = 0 AND next_attempt > :now
    AND entry_id IN (SELECT seq FROM audit WHERE run = :run)"""


_HOLD = """INSERT INTO held_seats (run, subscription_id, until, seats)
    VALUES (:run, :subscription, :until, :seats) ON CONFLICT (run, subscription_id)
    DO UPDATE SET until = excluded.until, seats = held_seats.seats + excluded.seats"""

_FREE = """SELECT h.run, h.subscription_id, h.seats, s.capacity - s.assigned AS free FROM held_seats h
    JOIN subscriptions s ON s.id = h.subscription_id WHERE h.until > :now ORDER BY h.subscription_id, h.run"""


def update(tx: Transaction) -> None:
    """Hold the seats that this transaction revoked from several people, and release expired holds.

    Seats that were assigned meanwhile are no longer held: in each subscription at most the free seats are
    held.
    """
    if _is_bulk(tx):
        _hold_freed(tx)
    if tx.may_hold:
        if not tx.is_shared:  # else two transactions would wait for each other's rows
            tx.execute("DELETE FROM held_seats WHERE until <= :now", {"now": tx.now})
        _limit(tx)


def _hold_freed(tx: Transaction) -> None:
    """Hold what this transaction freed since the last call, with what the run holds already."""
    until = format_time(tx.call.now + timedelta(minutes=tx.call.undo_window))
    for subscription, seats in tx.freed.items():
        _hold(tx, subscription, until, seats - tx.held.get(subscription, 0))
    tx.held = dict(tx.freed)
    tx.execute("UPDATE held_seats SET until = ? WHERE run = ?", (until, tx.opened_run))
    for message in tx.freed_mails:
        tx.execute(
            "UPDATE outbox SET next_attempt = ? WHERE entry_id = ? AND n = ?", (until, tx.entry, message)
        )


def _hold(tx: Transaction, subscription_id: int, until: str, seats: int) -> None:
    tx.may_hold = True
    values = {"run": tx.opened_run, "subscription": subscription_id, "until": until, "seats": seats}
    tx.execute(_HOLD, values)


def reserve(tx: Transaction, subscription_id: int, seats: int) -> None:
    """Hold seats that were just bought for the people they were bought for.

    Otherwise the waitlist would get them at the end of the purchase, and the buyer would have to pay again.
    """
    tx.execute("DELETE FROM held_seats WHERE run = ?", (tx.opened_run,))
    _hold(tx, subscription_id, format_time(tx.call.now + _RESERVED_FOR), seats)


def release(tx: Transaction, run: int) -> None:
    """Release the seats that a run freed or reserved."""
    tx.execute("DELETE FROM held_seats WHERE run = ?", (run,))


def held(reader: Reader, subscription_id: int, now: str) -> int:
    """Return how many free seats of the subscription are held at `now` (written form)."""
    return reader.count(
        "SELECT coalesce(sum(seats), 0) FROM held_seats WHERE subscription_id = ? AND until > ?",
        (subscription_id, now),
    )


def held_until(tx: Transaction) -> str | None:
    """Return until when this transaction holds the seats it freed (written form); None if it holds none."""
    if not (tx.freed and tx.may_hold):
        return None
    return tx.text("SELECT max(until) FROM held_seats WHERE run = ?", (tx.opened_run,))


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


def _limit(tx: Transaction) -> None:
    """Let each subscription hold at most its free seats; the earliest runs keep theirs first."""
    left: dict[int, int] = {}
    for row in list(tx.rows(_FREE, {"now": tx.now})):
        subscription = row["subscription_id"]
        if tx.is_shared and subscription not in tx.locked:
            continue
        free = left.get(subscription, max(0, row["free"]))
        seats = min(row["seats"], free)
        left[subscription] = free - seats
        if seats != row["seats"]:
            tx.execute(
                "UPDATE held_seats SET seats = ? WHERE run = ? AND subscription_id = ?",
                (seats, row["run"], subscription),
            )
