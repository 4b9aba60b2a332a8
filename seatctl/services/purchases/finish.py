"""The end of every purchase: what Stripe made is read, and becomes a subscription of the ledger."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject, read_customer, read_invoice
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions, users
from seatctl.ledger.mirror import customers, invoices
from seatctl.ledger.mirror import subscription_updates as mirror
from seatctl.ledger.subscriptions import NewSubscription
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.rules.plural import counted
from seatctl.services.charging.customer import text
from seatctl.services.notifications.reminders import queue_receipts
from seatctl.services.operations.kinds import Apply, OperationResult
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.finish import due_sentence
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, subscription_row


def add_bought(running: OperationRun, subscription: StripeSubscription) -> Apply:
    """The last transaction of a purchase. Everything Stripe says is read before it: it spans no call."""
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
        owner = text(running, "owner")
        added = subscriptions.add(
            tx,
            NewSubscription(
                name=str(text(running, "name")),
                plan_id=int(str(running.payload["plan_id"])),
                price_id=item.price.id,
                customer_id=customer_row,
                subscription=subscription,
                item=item,
                capacity=item.quantity or 0,
                policy=running.payload["policy"],
                owner_id=users.add(tx, owner).id if owner else None,
                home_ledger=running.ledger.id,
            ),
        )
        if invoice is not None:
            kept = invoices.store(tx, invoice, customer_id=customer_row, subscription_id=added.id)
            queue_receipts(tx, added.id, [kept] if invoice.amount_paid > 0 else [])
            mirror.update_unpaid_since(tx, added.id, subscription)
        row = {
            **subscription_row(added),
            "billing_email": customer.email,
            **_invoiced(invoice),
            "result": "bought",
        }
        seats = counted(int(str(running.payload["seats"])), "seat")
        summary = f"bought {seats} of {added.plan_slug} as {added.name}"
        told = summary + due_sentence(invoice, customer.email)
        return OperationResult(told, (row,), SUBSCRIPTION_COLUMNS, charged=_asked_for(invoice))

    return apply


def _asked_for(invoice: StripeInvoice | None) -> int | None:
    """What the first invoice asks for, in minor units; None where a later one hides it."""
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
