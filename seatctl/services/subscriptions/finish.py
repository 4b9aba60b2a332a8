"""The end that every operation on a running subscription shares: read Stripe again, take it over, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from seatctl.billing import endpoints
from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import subscriptions
from seatctl.ledger.mirror import invoices as mirrored_invoices
from seatctl.ledger.mirror import pools, subscription
from seatctl.ledger.transaction import Transaction
from seatctl.ledger.undo import held_seats
from seatctl.models.call import format_time
from seatctl.models.money import plain_amount
from seatctl.models.stripe_objects import StripeInvoice, StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules.item_metadata import as_known
from seatctl.services.notifications.reminders import queue_receipts
from seatctl.services.operations.kinds import Apply, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.snapshot import ItemGone, has_item, seen, stand
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row

_RENEWAL = "subscription_cycle"

After = Callable[[Transaction, Subscription], dict[str, JsonValue]]


def take_over(
    running: OperationRun,
    invoice_ids: Iterable[str | None],
    summary: str,
    after: After | None = None,
    *,
    stripe_id: str | None = None,
    tell_owed: bool = False,
    and_latest: bool = False,
) -> Apply:
    """The last transaction of an operation: the mirror, these invoices, and what `after` adds.

    `stripe_id` is given where the operation made a new subscription; `tell_owed` where its invoices may be
    on account, so that what is to be paid until when is part of the answer; `and_latest` where a new latest
    invoice of the subscription is the operation's too. Everything is read from Stripe before the
    transaction, which spans no call.
    """
    asked = tuple(invoice_ids)
    ours = set(asked)
    with running.ledger.reading() as reader:
        pool = subscriptions.by_id(reader, int(str(running.payload["subscription"])), running.call.now)
        place = stripe_id or pool.stripe_subscription
        known = pools.of_stripe(reader, place)
    found = as_known(read_subscription(running.billing.read(endpoints.subscription(place))), known)
    item, stands = _stand(running, pool, found)
    was = running.payload.get("item")
    told = summary if stripe_id or was is None or has_item(found, was) else _without(summary, item)
    wanted = dict.fromkeys(one for one in (*asked, found.latest_invoice) if one)
    also = (
        {found.latest_invoice} - {running.payload.get("latest_invoice")} if and_latest else set[str | None]()
    )
    read = [read_invoice(running.billing.read(endpoints.invoice(one))) for one in wanted]

    due = [one for one in read if tell_owed and one.id in ours and one.due_date and one.amount_remaining]

    def apply(tx: Transaction) -> OperationResult:
        before = subscriptions.by_id(tx, pool.id)
        kept = {
            invoice.id: mirrored_invoices.upsert(
                tx, invoice, customer_id=pool.customer_id, subscription_id=pool.id
            )
            for invoice in read
        }
        paid = (kept[one.id] for one in read if one.amount_paid > 0 and one.id in ours)
        queue_receipts(tx, pool.id, paid)
        if item is None or stands is None:
            now = pools.empty(tx, before, found)
        else:
            now = subscription.refresh(tx, before, seen(tx, before, found, item, stands))
        if reserved := running.payload.get("reserved"):
            held_seats.reserve(tx, pool.id, int(str(reserved)))
        extra = after(tx, now) if after is not None else {}
        now = subscriptions.by_id(tx, pool.id)  # those who have left by that are not in it any more
        charged = _charged(read, ours=ours)
        next_seats = 0 if stands is None else stands.next.seats
        row = {**subscription_row(now), "next_seats": next_seats, **charged, **extra, "result": "done"}
        code = ExitCode.DONE if told == summary else ExitCode.PARTIAL
        whole, rows = told + "".join(map(owed, due)), ({**row, **_due(due)},)
        return OperationResult(whole, rows, SUBSCRIPTION_COLUMNS, code, charged=_asked_for(read, ours | also))

    return apply


def _stand(
    running: OperationRun, pool: Subscription, found: StripeSubscription
) -> tuple[StripeItem, SubscriptionState] | tuple[None, None]:
    """The subscription's item and how it stands; None of both if it was taken off in Stripe."""
    try:
        return stand(running.ledger, pool, found, stripe_now(running.billing, running.call))
    except ItemGone:
        return None, None


def _without(summary: str, item: StripeItem | None) -> str:
    """What to tell of a change whose item was taken off in Stripe meanwhile; `item` has taken its place."""
    became = "nothing is paid for any more" if item is None else "another one has taken its place"
    return f"{summary}; but then it was taken off its subscription in Stripe: {became}"


def _asked_for(read: list[StripeInvoice], made: set[str | None]) -> int:
    """What the invoices that a change has made ask for, in minor units; a renewal's is of another day."""
    return sum(one.amount_due for one in read if one.id in made and one.billing_reason != _RENEWAL)


def owed(invoice: StripeInvoice | None, email: str | None = None) -> str:
    """What is still to be paid, by when, and who was told; nothing where the card has paid."""
    if invoice is None or invoice.due_date is None or not invoice.amount_remaining:
        return ""
    amount = f"{plain_amount(invoice.amount_remaining, invoice.currency)} {invoice.currency.upper()}"
    told = f", sent to {email}" if email else ""
    return f": invoice {invoice.number} over {amount} is due {invoice.due_date:%Y-%m-%d}{told}"


def _due(invoices: list[StripeInvoice]) -> dict[str, JsonValue]:
    if not invoices:
        return {}
    days = [one.due_date for one in invoices if one.due_date is not None]
    return {
        "amount_due": sum(one.amount_remaining for one in invoices),
        "due_date": format_time(min(days)),
    }


def _charged(read: list[StripeInvoice], ours: set[str | None]) -> dict[str, JsonValue]:
    """What this operation charged, in minor units, and by which invoice."""
    made = [invoice for invoice in read if invoice.id in ours]
    return {
        "amount_paid": sum(invoice.amount_paid for invoice in made),
        "invoice": made[0].number if made else None,
    }
