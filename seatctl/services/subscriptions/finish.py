"""The end of every operation on a running subscription: read Stripe again, store the mirror, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from seatctl.billing import endpoints
from seatctl.billing.objects import read_subscription
from seatctl.billing.port import stripe_now
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import departures, seats, subscriptions
from seatctl.ledger.mirror import invoices as mirrored_invoices
from seatctl.ledger.mirror import mirrored_subscriptions, subscription_updates
from seatctl.ledger.transaction import Transaction
from seatctl.ledger.undo import held_seats
from seatctl.models.call import format_time
from seatctl.models.stripe_objects import StripeInvoice, StripeItem
from seatctl.models.subscription import Subscription, SubscriptionState
from seatctl.rules.metadata import with_described_item
from seatctl.rules.tax import tax_fields_of
from seatctl.services.charging.pay_invoice import read_with_payment
from seatctl.services.notifications.reminders import queue_receipts
from seatctl.services.operations.handlers import Apply, OperationResult
from seatctl.services.operations.steps import OperationRun, Payload
from seatctl.services.subscriptions.snapshot import (
    ItemGone,
    TermPayload,
    has_item,
    item_and_state,
    mirror_update,
)
from seatctl.services.subscriptions.views import (
    SUBSCRIPTION_COLUMNS,
    due_sentence,
    processing_day,
    subscription_row,
)

_RENEWAL = "subscription_cycle"

After = Callable[[Transaction, Subscription], dict[str, JsonValue]]


def final_transaction(
    running: OperationRun[Payload],
    subscription: int,
    invoice_ids: Sequence[str | None],
    after: After | None = None,
    *,
    summary: str | None = None,
    columns: tuple[str, ...] = SUBSCRIPTION_COLUMNS,
    partly: bool = False,
    stripe_id: str | None = None,
    report_due: bool = False,
    include_latest: bool = False,
    invoice_before: str | None = None,
) -> Apply:
    """Return the final transaction of an operation: it stores the mirror and the invoices, and runs `after`.

    `summary` replaces the payload's, and `partly` tells that not everything was done. `stripe_id` is the new
    Stripe subscription if the operation made one. `report_due` reports what is due and when, if an invoice is
    on account. `include_latest` counts a latest invoice other than `invoice_before` as the operation's too.
    Stripe is read before the transaction, which makes no calls.
    """
    term = running.payload if isinstance(running.payload, TermPayload) else None
    own = set(invoice_ids)
    with running.ledger.reading() as reader:
        decided_on = subscriptions.by_id(reader, subscription, running.call.now)
        stripe_id_now = stripe_id or decided_on.stripe_subscription
        siblings = mirrored_subscriptions.of_stripe(reader, stripe_id_now)
    mirror = with_described_item(
        read_subscription(running.billing.read(endpoints.subscription(stripe_id_now))), siblings
    )
    item: StripeItem | None = None
    state: SubscriptionState | None = None
    with suppress(ItemGone):  # it was removed in Stripe
        at = stripe_now(running.billing, running.call)
        item, state = item_and_state(running.ledger, decided_on, mirror, at)
    text = running.payload.summary if summary is None else summary
    item_lost = stripe_id is None and term is not None and not has_item(mirror, term.item)
    if item_lost:
        outcome = "nothing is paid for any more" if item is None else "another item has replaced it"
        text = f"{text}; but then its item was removed in Stripe: {outcome}"
    ended = stripe_id is None and term is not None and mirror.status.is_over
    if ended:
        text = f"{text}; but then the subscription ended in Stripe: nothing is paid for any more"
    ids = dict.fromkeys(invoice for invoice in (*invoice_ids, mirror.latest_invoice) if invoice)
    latest = {mirror.latest_invoice} - {invoice_before} if include_latest else set[str | None]()
    invoices = [
        read_with_payment(running.billing, running.billing.read(endpoints.invoice(invoice)))
        for invoice in ids
    ]
    charged = [invoice for invoice in invoices if invoice.id in own]
    due = [
        invoice
        for invoice in charged
        if report_due and invoice.amount_remaining and (invoice.due_date or processing_day(invoice))
    ]

    def apply(tx: Transaction) -> OperationResult:
        before = subscriptions.by_id(tx, decided_on.id)
        mirrored = {
            invoice.id: mirrored_invoices.store(
                tx, invoice, customer_id=decided_on.customer_id, subscription_id=decided_on.id
            )
            for invoice in invoices
        }
        paid = (mirrored[invoice.id] for invoice in charged if invoice.amount_paid > 0)
        queue_receipts(tx, decided_on.id, paid)
        if item is None or state is None:
            now = mirrored_subscriptions.remove_item(tx, before, mirror)
        else:
            now = subscription_updates.apply(tx, before, mirror_update(tx, before, mirror, item, state))
        if term is not None and term.reserved:
            held_seats.reserve(tx, decided_on.id, term.reserved)
        extra = after(tx, now) if after is not None else {}
        now = subscriptions.by_id(tx, decided_on.id)  # read again: `after` may have revoked seats
        row = {
            **subscription_row(now),
            "next_seats": 0 if state is None else state.next.seats,
            **tax_fields_of(charged),
            "amount_paid": sum(invoice.amount_paid for invoice in charged),
            "invoice": charged[0].number if charged else None,
            **extra,
            "result": "partly" if partly else "done",
            **_due(due),
        }
        return OperationResult(
            text + "".join(map(due_sentence, due)),
            (row,),
            columns,
            ExitCode.PARTIAL if partly or item_lost or ended else ExitCode.DONE,
            charged=_total_due(invoices, own | latest),
        )

    return apply


def _total_due(invoices: list[StripeInvoice], own: set[str | None]) -> int:
    """Return the total of the invoices that a change made, in minor units, without renewals."""
    return sum(
        invoice.amount_due for invoice in invoices if invoice.id in own and invoice.billing_reason != _RENEWAL
    )


def _due(invoices: list[StripeInvoice]) -> dict[str, JsonValue]:
    if not invoices:
        return {}
    days = [invoice.due_date for invoice in invoices if invoice.due_date is not None]
    return {
        "amount_due": sum(invoice.amount_remaining for invoice in invoices),
        "due_date": format_time(min(days)) if days else None,
    }


def apply_departures(payload: TermPayload, *, at_once: bool) -> After:
    """Return the `after` of the final transaction that ends the seats of the users who leave.

    Their seats end now if `at_once`, else with the paid term. If the next term has room again, people
    selected by an earlier decrease keep their seats, most recently selected first.
    """
    users, until = [*payload.leaving], payload.term_end
    fields: dict[str, JsonValue] = {"not_seated": [*payload.not_seated]} if payload.not_seated else {}

    def apply(tx: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        if not users:
            return {**fields, **_keep_seats(tx, subscription, until)}
        if at_once:
            return {**fields, "revoked": seats.revoke_users(tx, subscription.id, users)}
        return {**fields, "leaving": seats.set_end(tx, subscription.id, users, until), "leaving_at": until}

    return apply


def _keep_seats(tx: Transaction, subscription: Subscription, until: str) -> dict[str, JsonValue]:
    leaving = departures.selected_by_decrease(tx, subscription.id, until)
    room = departures.next_seats(tx, subscription.id) - (subscription.assigned - len(leaving))
    staying = leaving[::-1][: max(0, room)]
    return {"staying": seats.clear_end(tx, subscription.id, staying)} if staying else {}
