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


def people_leave(running: Running) -> After:
    """What the operation's last transaction does to the seats of those who go, or need not go any more.

    Where the seats stay paid for until the term's end, theirs end with them; otherwise now. Whom an earlier
    decrease named stays as far as the next term has room for more people again: who was named last, first.
    """
    named = running.payload.get("leaving")
    users = [one for one in named if isinstance(one, int)] if isinstance(named, list) else []
    until = str(running.payload["term_end"])

    def apply(tx: Transaction, pool: Subscription) -> dict[str, JsonValue]:
        if not users:
            return _stay(tx, pool, until)
        if running.payload.get("bill") is True:
            return {"revoked": seats.revoke_users(tx, pool.id, users)}
        return {"leaving": seats.end_at(tx, pool.id, users, until), "leaving_at": until}

    return apply


def _stay(tx: Transaction, pool: Subscription, until: str) -> dict[str, JsonValue]:
    told = leaving.told_to_leave(tx, pool.id, until)
    room = leaving.next_seats(tx, pool.id) - (pool.assigned - len(told))
    staying = told[::-1][: max(0, room)]
    return {"staying": seats.stay(tx, pool.id, staying)} if staying else {}
