"""The people who go with seats that are given back: at once, or at the end of what is paid for."""

from __future__ import annotations

from seatctl.errors import JsonValue
from seatctl.ledger import leaving, seats, staging
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.staging import Verdict
from seatctl.ledger.transaction import Transaction
from seatctl.models.subscription import Subscription
from seatctl.services.applying import After
from seatctl.services.people import People, stage
from seatctl.services.steps import Running


def named_in_file(ledger: Ledger, subscription_id: int, source: str) -> tuple[int, ...]:
    """The ids of the people of a file (`-`: stdin) who sit in the subscription; others of it stay out.

    Raises BadInput and BadRows, also for a person whom the ledger does not know.
    """
    stage(ledger, People(source=source))
    with ledger.staging() as journal:
        staging.judge(journal)
        staging.refuse(journal, Verdict.UNKNOWN, "there is no user of this e-mail")
    with ledger.reading() as reader:
        staging.require_good(reader, skip_bad=False)
        return leaving.seated_in_file(reader, subscription_id)


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
