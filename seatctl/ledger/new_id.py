"""A new id for a ledger that is a copy of another: restored, dumped and restored, or copied to be kept.

The id names a ledger in Stripe. With the same id, two ledgers would assign the same seats, and send the
operations that were unfinished a second time.
"""

from __future__ import annotations

import json

from seatctl.ledger import place_marks as marks
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.operations import IS_OPEN
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call

_UNFINISHED = "it was unfinished when {}; run seatctl sync to see its outcome"


def give_new_id(ledger: Ledger, call: Call, *, summary: str, since: str) -> str:
    """Give a ledger a new id, and return the id.

    Everything that was unfinished when the copy was made is ended: its operations may have been completed
    since, and with the new id they would be sent to Stripe a second time. Its messages may have been sent.
    `summary` is that of the run, with `{old}` and `{new}`; `since` says when the copy was made.
    """
    old, new = ledger.id, marks.new_ledger_id()
    with ledger.change(call) as tx:
        _end_unfinished(tx, _UNFINISHED.format(since))
        tx.execute("UPDATE meta SET value = ? WHERE key = 'ledger_id'", (new,))
        marks.unmark_moved(tx.engine)
        marks.mark_finished(tx.engine)
        tx.record("setting", 0, {"ledger_id": old}, {"ledger_id": new})
        tx.summarise(summary.format(old=old, new=new))
    ledger.forget_meta()
    return new


def _end_unfinished(tx: Transaction, outcome: str) -> None:
    tx.execute(
        "UPDATE runs SET state = 'failed', finished_at = ?, summary = ? WHERE number IN"
        f" (SELECT run FROM operations WHERE {IS_OPEN})",
        (tx.now, outcome),
    )
    tx.execute(
        f"UPDATE operations SET state = 'failed', finished_at = ?, outcome = ? WHERE {IS_OPEN}",
        (tx.now, json.dumps({"summary": outcome})),
    )
    tx.execute("UPDATE outbox SET state = 'held' WHERE state = 'waiting'")
