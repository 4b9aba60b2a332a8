"""Messages that nobody's command causes: reminders of a term's end, payments that failed. Queued by `sync`.

And the receipt, which every operation that charged queues in its last transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.errors import JsonValue
from seatctl.ledger import notices
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.notices import Watched
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call, format_time
from seatctl.models.message import Template
from seatctl.rules.notices import reminder_due
from seatctl.rules.wording import counted

Notice = dict[str, JsonValue]


def queue_notices(ledger: Ledger, call: Call) -> int:
    """Queue what is due at the call's moment and was not told before; how many messages."""
    if not call.notify:
        return 0
    with ledger.reading() as reader:
        due = list(_due(reader, call))
    if not due:
        return 0
    with ledger.change(call) as tx:
        queued = sum(_tell(tx, pool, notice) for pool, notice in due)
        tx.summarise(f"queued {counted(queued, 'message')} about terms and payments")
    return queued


def queue_receipts(tx: Transaction, subscription_id: int, paid: Iterable[int]) -> None:
    """A receipt for each paid invoice (ids of the ledger), to who pays and to the owner."""
    for invoice in paid:
        notices.tell(tx, Template.RECEIPT, subscription_id, ids={"invoice": invoice}, billing=True)


def _due(reader: Reader, call: Call) -> Iterable[tuple[Watched, Notice]]:
    for pool in notices.watched(reader):
        for notice in _notices(pool, call):
            if not notices.was_told(reader, pool.id, notice):
                yield pool, notice


def _notices(pool: Watched, call: Call) -> Iterable[Notice]:
    days = reminder_due(call.now, pool.term_start, pool.term_end) if pool.reminds else None
    if days is not None:
        ends = format_time(pool.term_end)
        yield {"template": Template.RENEWAL_REMINDER.value, "days": days, "term_end": ends}
    if pool.unpaid_since is not None:
        yield {"template": Template.PAYMENT_FAILED.value, "unpaid_since": pool.unpaid_since}


def _tell(tx: Transaction, pool: Watched, notice: Notice) -> int:
    if notices.was_told(tx, pool.id, notice):
        return 0  # another sync was faster
    template = str(notice["template"])
    ids = {"term_end": int(pool.term_end.timestamp())} if template == Template.RENEWAL_REMINDER else {}
    queued = notices.tell(tx, template, pool.id, ids=ids, billing=True)
    if queued:
        tx.record(notices.ENTITY, pool.id, None, notice)
    return queued
