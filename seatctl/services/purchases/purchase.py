"""What every purchase stores, and its final transaction, which adds the subscription to the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject, read_customer, read_invoice
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions, users
from seatctl.ledger.mirror import customers, invoices
from seatctl.ledger.mirror import subscription_updates as mirror
from seatctl.ledger.subscriptions import NewSubscription
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.plan import Policy
from seatctl.models.report import counted
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.services.charging.customer import PayerPayload
from seatctl.services.notifications.reminders import queue_receipts
from seatctl.services.operations.handlers import Apply, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.finish import due_sentence
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasePayload(PayerPayload):
    """A purchase, by whichever way it is paid."""

    name: str
    owner: str | None = None
    """An e-mail."""
    seats: int
    plan_id: int
    price: str
    """The plan's price in Stripe."""
    currency: str
    policy: Policy | None = None
    discounts: tuple[JsonValue, ...] = ()
    """In Stripe's words."""
    automatic_tax: bool = False
    card: str | None = None
    """The card of the subscription whose customer pays; None: the customer's default."""
    due_days: int | None = None
    """Days until an invoice on account is due; None charges the card."""


def add_bought(running: OperationRun[PurchasePayload], subscription: StripeSubscription) -> Apply:
    """Return the final transaction of a purchase. Stripe is read before it, because it makes no calls."""
    payload = running.payload
    customer = read_customer(running.billing.read(endpoints.customer(subscription.customer_id)))
    invoice = (
        read_invoice(running.billing.read(endpoints.invoice(subscription.latest_invoice)))
        if subscription.latest_invoice
        else None
    )
    if not subscription.items:
        raise UnreadableObject(f"Stripe's subscription {subscription.id} has no items")
    item = subscription.items[0]

    def apply(tx: Transaction) -> OperationResult:
        customer_row = customers.store(tx, customer)
        added = subscriptions.add(
            tx,
            NewSubscription(
                name=payload.name,
                plan_id=payload.plan_id,
                customer_id=customer_row,
                mirror=subscription,
                item=item,
                policy=payload.policy,
                owner_id=users.add(tx, payload.owner).id if payload.owner else None,
                home_ledger=running.ledger.id,
            ),
        )
        subscriptions.record_added(tx, added)
        if invoice is not None:
            stored = invoices.store(tx, invoice, customer_id=customer_row, subscription_id=added.id)
            queue_receipts(tx, added.id, [stored] if invoice.amount_paid > 0 else [])
            mirror.update_unpaid_since(tx, added.id, subscription)
        row = {
            **subscription_row(added),
            "billing_email": customer.email,
            **_invoiced(invoice),
            "result": "bought",
        }
        summary = f"bought {counted(payload.seats, 'seat')} of {added.plan_slug} as {added.name}"
        summary += due_sentence(invoice, customer.email)
        return OperationResult(summary, (row,), SUBSCRIPTION_COLUMNS, charged=_total_due(invoice))

    return apply


def _total_due(invoice: StripeInvoice | None) -> int | None:
    """The total of the first invoice, in minor units; None if a later one is the latest."""
    if invoice is None:
        return 0
    return invoice.amount_due if invoice.billing_reason == "subscription_create" else None


def _invoiced(invoice: StripeInvoice | None) -> dict[str, JsonValue]:
    if invoice is None:
        return {"invoice": None, "amount_paid": 0}
    return {
        "invoice": invoice.number,
        "amount_paid": invoice.amount_paid,
        "amount_due": invoice.amount_remaining,
        "due_date": None if invoice.due_date is None else format_time(invoice.due_date),
        "invoice_url": invoice.hosted_url,
    }
