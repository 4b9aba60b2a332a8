"""The people who go with seats that are given back: at once, or at the end of what is paid for."""

from __future__ import annotations

from seatctl.errors import JsonValue
from seatctl.ledger import seats
from seatctl.ledger.transaction import Transaction
from seatctl.models.subscription import Subscription
from seatctl.services.applying import After
from seatctl.services.steps import Running


def people_leave(running: Running) -> After | None:
    """What the operation's last transaction does to the seats of those named; None where nobody is.

    Where the seats stay paid for until the term's end, theirs end with them; otherwise now.
    """
    named = running.payload.get("leaving")
    users = [one for one in named if isinstance(one, int)] if isinstance(named, list) else []
    if not users:
        return None

    def apply(tx: Transaction, pool: Subscription) -> dict[str, JsonValue]:
        if running.payload.get("bill") is True:
            return {"revoked": seats.revoke_users(tx, pool.id, users)}
        until = str(running.payload["term_end"])
        return {"leaving": seats.end_at(tx, pool.id, users, until), "leaving_at": until}

    return apply
