"""Messages that `sync` queues on its own: renewal reminders, failed payments, receipts of renewals.

`queue_receipts` also queues the receipt of an operation that charged, in its last transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from seatctl.errors import JsonValue
from seatctl.ledger import reminders
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.reminders import WatchedSubscription
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call, format_time, parse_time
from seatctl.models.message import Template
from seatctl.models.report import counted
from seatctl.rules.notifications import reminder_due

Notice = dict[str, JsonValue]

_LATEST_RECEIPT = timedelta(days=100)
"""No receipt is sent for an invoice that is older than this."""


def queue_notices(ledger: Ledger, call: Call) -> int:
    """Queue the messages that are due now and were not queued before; return how many."""
    if not call.notify:
        return 0
    with ledger.reading() as reader:
        due = list(_due(reader, call))
        paid = list(_renewals_paid(reader, call))
    if not due and not paid:
        return 0
    with ledger.change(call) as tx:
        queued = sum(_queue(tx, subscription, notice) for subscription, notice in due)
        for subscription_id, invoice in _renewals_paid(tx, call) if paid else ():
            receipts = queue_receipts(tx, subscription_id, [invoice])
            if receipts:
                tx.record(
                    reminders.ENTITY,
                    subscription_id,
                    None,
                    {"template": Template.RECEIPT, "invoice": invoice},
                )
            queued += receipts
        tx.summarise(f"queued {counted(queued, 'message')} about terms and payments")
    return queued


def queue_receipts(tx: Transaction, subscription_id: int, paid: Iterable[int]) -> int:
    """Queue receipts for paid invoices (ids of the ledger) to the payer and the owner; return how many."""
    return sum(
        reminders.notify(tx, Template.RECEIPT, subscription_id, ids={"invoice": invoice}, billing=True)
        for invoice in paid
    )


def _renewals_paid(reader: Reader, call: Call) -> Iterable[tuple[int, int]]:
    return reminders.paid_renewals_without_receipt(reader, format_time(call.now - _LATEST_RECEIPT))


def _due(reader: Reader, call: Call) -> Iterable[tuple[WatchedSubscription, Notice]]:
    for subscription in reminders.watched(reader):
        for notice in _notices(subscription, call):
            if not reminders.was_sent(reader, subscription.id, notice):
                yield subscription, notice


def _notices(subscription: WatchedSubscription, call: Call) -> Iterable[Notice]:
    days = None
    if subscription.end_is_open:
        days = reminder_due(
            call.now,
            subscription.term_start,
            subscription.term_end,
            renews_automatically=subscription.renews_automatically,
        )
    if days is not None:
        ends = format_time(subscription.term_end)
        yield {"template": Template.RENEWAL_REMINDER.value, "days": days, "term_end": ends}
    if subscription.unpaid_since is not None:
        yield {"template": Template.PAYMENT_FAILED.value, "unpaid_since": subscription.unpaid_since}


def _queue(tx: Transaction, subscription: WatchedSubscription, notice: Notice) -> int:
    if reminders.was_sent(tx, subscription.id, notice):
        return 0  # another sync has queued it meanwhile
    template = str(notice["template"])
    key = "term_end" if template == Template.RENEWAL_REMINDER else "unpaid_since"
    # If the message is sent later, this moment tells whether it is overtaken.
    moment = int(parse_time(str(notice[key])).timestamp())
    queued = reminders.notify(tx, template, subscription.id, ids={key: moment}, billing=True)
    if queued:
        tx.record(reminders.ENTITY, subscription.id, None, notice)
    return queued
