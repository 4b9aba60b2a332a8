"""Activation codes, stored as hashes. A seat may have several usable codes until one of them is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from seatctl.ledger import change_rows
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Journal, Reader, Transaction
from seatctl.models.call import format_time


@dataclass(frozen=True, slots=True)
class Activation:
    """A code that was sent, with the current state of its seat. Times are UTC."""

    id: int
    seat_id: int
    user_id: int
    email: str
    subscription: str
    expires_at: datetime
    used_at: datetime | None
    claimed_at: datetime | None
    revoked_at: datetime | None


_activation = mapper(Activation)


def add(journal: Journal, seat_id: int, code_hash: str, *, now: datetime, expires: datetime) -> None:
    """Store the hash of a code that is about to be sent; earlier codes stay usable."""
    times = {"created_at": format_time(now), "expires_at": format_time(expires)}
    journal.insert_row("activation_codes", {"seat_id": seat_id, "code_hash": code_hash, **times})


def find(reader: Reader, code_hash: str) -> Activation | None:
    """Return the code with this hash and its seat; None if no such code was ever made."""
    row = reader.row(
        "SELECT c.id, c.seat_id, t.user_id, u.email, s.name AS subscription, c.expires_at, c.used_at,"
        " t.claimed_at, t.revoked_at FROM activation_codes c JOIN seats t ON t.id = c.seat_id"
        " JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id"
        " WHERE c.code_hash = ?",
        (code_hash,),
    )
    return None if row is None else _activation(row)


def claim(tx: Transaction, activation: Activation) -> None:
    """Mark the code as used and its seat as claimed. The seat's other codes can no longer be used."""
    before = change_rows.of_seat(tx, activation.seat_id)
    tx.execute("UPDATE activation_codes SET used_at = ? WHERE id = ?", (tx.now, activation.id))
    tx.execute("UPDATE seats SET claimed_at = ? WHERE id = ?", (tx.now, activation.seat_id))
    tx.record("seat", activation.seat_id, before, change_rows.of_seat(tx, activation.seat_id))


def unclaimed_of(reader: Reader, user_id: int) -> list[tuple[int, str]]:
    """Return the user's active, unclaimed seats as (seat id, subscription name)."""
    rows = reader.rows(
        "SELECT t.id, s.name FROM seats t JOIN subscriptions s ON s.id = t.subscription_id"
        " WHERE t.user_id = ? AND t.revoked_at IS NULL AND t.claimed_at IS NULL ORDER BY t.id",
        (user_id,),
    )
    return [(row["id"], row["name"]) for row in rows]
