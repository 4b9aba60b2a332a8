"""`subs billing`: shows who pays for a subscription, and prepares a change of it.

`billing_operation.py` makes the change; `portal.py` opens the page on which customers do it themselves.
"""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_address, read_card, read_customer, read_invoice, read_subscription
from seatctl.billing.port import Billing, MissingInStripe, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers
from seatctl.models.call import Call
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import format_money
from seatctl.models.report import Record
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.rules.billing_details import ADDRESS_PARTS, Details
from seatctl.rules.metadata import SUBSCRIPTION
from seatctl.rules.purchases import check_spend
from seatctl.services.charging.cards import require_given_card
from seatctl.services.charging.customer import require_customer
from seatctl.services.charging.processing import is_payment_processing
from seatctl.services.operations.proposal import Proposal, charge_note
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.subscriptions.billing_operation import BillingPayload, TaxId
from seatctl.services.subscriptions.proposal import ChangeOptions, repeated_proposal, unless_changed
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot, read_snapshot, require_unscheduled

_COLUMNS = ("name", "billing_email", "due_now", "currency", "pays", "result")


def show(ledger: Ledger, billing: Billing, call: Call, handle: str) -> Record:
    """Return the billing details as Stripe has them now, as one record."""
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
        customer_id = customers.stripe_id(reader, subscription.customer_id)
        shared = customers.subscriptions_of(reader, subscription.customer_id)
    mirror = read_subscription(billing.read(endpoints.subscription(subscription.stripe_subscription)))
    raw = require_customer(billing, subscription, customer_id)
    customer = read_customer(raw)
    card = mirror.default_payment_method or customer.default_payment_method
    unpaid = _unpaid(billing, mirror)
    return {
        "name": subscription.name,
        "billing_email": customer.email,
        "billing_name": customer.name,
        "address": [part for name in ADDRESS_PARTS if (part := read_address(raw).get(name))],
        "tax_ids": [
            f"{tax_id.get('type')}:{tax_id.get('value')}" for tax_id in _tax_ids(billing, customer_id)
        ],
        "collection": "on account" if mirror.collection_method == "send_invoice" else "by card",
        "card": None if card is None else _card(billing, card),
        "payment_method": card,
        "unpaid": [
            *(_owed(invoice) for invoice in unpaid),
            *(
                f"{invoice.handle}: a draft that Stripe does not collect"
                for invoice in subscription.owed
                if invoice.draft
            ),
        ],
        "shared_with": [name for name in shared if name != subscription.name],
        "customer": customer_id,
    }


def _tax_ids(billing: Billing, customer: str) -> list[StripeJson]:
    return list(billing.every(endpoints.tax_ids(customer)))


def _card(billing: Billing, payment_method: str) -> str | None:
    """Return the card's brand and last four digits."""
    try:
        card = read_card(billing.read(endpoints.payment_method(payment_method)))
    except MissingInStripe:
        return None
    return f"{card.brand} {card.last4}".strip()


def _owed(invoice: StripeInvoice) -> str:
    amount = format_money(invoice.amount_remaining, invoice.currency)
    due = "" if invoice.due_date is None else f", due {invoice.due_date:%Y-%m-%d}"
    return f"{invoice.number}: {amount}{due}"


def _unpaid(billing: Billing, mirror: StripeSubscription) -> list[StripeInvoice]:
    """Return the open invoices of a subscription, Stripe's and our own, the oldest first."""

    invoices = map(read_invoice, billing.every(endpoints.invoices_of_customer(mirror.customer_id)))
    unpaid = (
        invoice
        for invoice in invoices
        if mirror.id in {invoice.subscription_id, invoice.metadata.get(SUBSCRIPTION)}
        and invoice.status is InvoiceStatus.OPEN
        and invoice.amount_remaining
    )
    return sorted(unpaid, key=lambda invoice: invoice.finalized_at or invoice.created_at)


# Changing ---------------------------------------------------------------------------------------------


def prepare_billing(
    ledger: Ledger, billing: Billing, call: Call, handle: str, details: Details, options: ChangeOptions
) -> Proposal:
    """Check a change of billing details. A new card pays the oldest unpaid invoice at once.

    Raises UnknownSubscription, RoleRequired, ForeignLedger, `max_spend_exceeded`.
    """
    requested = _requested(details)
    repetition = repeated_proposal(ledger, call, handle, requested, Action.MANAGE_SUBSCRIPTION, options)
    if repetition is not None:
        return repetition
    snapshot = read_snapshot(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    if details.payment_method is not None and snapshot.mirror.default_payment_method is not None:
        require_unscheduled(snapshot)  # a subscription's own card is part of the Stripe subscription
    raw = require_customer(billing, snapshot.subscription, snapshot.mirror.customer_id)
    require_given_card(billing, details.payment_method)
    unpaid = [invoice for invoice in _unpaid(billing, snapshot.mirror) if invoice.due_date is None]
    paid_invoice, due, currency = None, 0, snapshot.currency
    if details.payment_method is not None:  # a bank may still pay an invoice with a payment in progress
        charged = (invoice for invoice in unpaid if not is_payment_processing(billing, invoice.id))
        paid_invoice = next(charged, None)
    if paid_invoice is not None:
        due, currency = paid_invoice.amount_remaining, paid_invoice.currency
    check_spend(due, currency, options.max_spend)
    cards = _cards(billing, snapshot, details.payment_method)
    form = _form(details, raw)
    name, changes = snapshot.name, _changes(snapshot, details, paid_invoice, unpaid)
    payload = BillingPayload(
        subscription=snapshot.subscription.id,
        stripe_id=snapshot.mirror.id,
        customer=snapshot.mirror.customer_id,
        details=form,
        before=_before(form, raw),
        tax_ids=_new_tax_ids(billing, snapshot.mirror.customer_id, details),
        payment_method=details.payment_method,
        was_attached=details.payment_method in cards,
        cards=cards,
        # Stripe refuses changes of a subscription that has ended.
        own_card=snapshot.mirror.default_payment_method is not None and not snapshot.mirror.status.is_over,
        charged=(read_customer(raw).default_payment_method, snapshot.mirror.default_payment_method),
        pay=None if paid_invoice is None else paid_invoice.id,
        due_now=due,
        summary=f"changed the billing of {name}: {changes}",
    )
    request = OperationRequest(
        payload.kind, requested, payload, snapshot.subscription.id, request_id=options.request_id
    )
    row: dict[str, JsonValue] = {
        "name": name,
        "billing_email": details.email or read_customer(raw).email,
        "due_now": due,
        "currency": currency,
        "pays": None if paid_invoice is None else paid_invoice.number,
    }
    return Proposal(
        request,
        row,
        payload.summary,
        f"Change the billing of {name}?",
        (f"Changes: {changes}", charge_note(due, currency)),
        due=due,
        currency=currency,
        columns=_COLUMNS,
        guard=unless_changed(snapshot),
    )


def _requested(details: Details) -> dict[str, JsonValue]:
    return {
        "email": details.email,
        "name": details.name,
        "address": dict(details.address),
        "tax_ids": [[kind, value] for kind, value in details.tax_ids],
        "payment_method": details.payment_method,
    }


def _form(details: Details, customer: StripeJson) -> dict[str, JsonValue]:
    """Return the details that differ from the customer's: nothing else is sent."""
    current, address = read_customer(customer), read_address(customer)
    form: dict[str, JsonValue] = {}
    if details.email not in {None, current.email}:
        form["email"] = details.email
    if details.name not in {None, current.name}:
        form["name"] = details.name
    address_after = {**address, **dict(details.address)}
    if address_after != address:  # Stripe replaces the whole address: send the other parts too
        form["address"] = {**address_after}
    return form


def _before(form: dict[str, JsonValue], customer: StripeJson) -> dict[str, JsonValue]:
    """Return the form that restores these details; an empty text clears a field."""
    current = read_customer(customer)
    before: dict[str, JsonValue] = {
        "email": current.email or "",
        "name": current.name or "",
        "address": dict(read_address(customer)) or "",
    }
    return {name: before[name] for name in form}


def _new_tax_ids(billing: Billing, customer: str, details: Details) -> tuple[TaxId, ...]:
    """Return the tax ids that the customer does not have yet: Stripe would store a duplicate."""
    current = {(tax_id.get("type"), tax_id.get("value")) for tax_id in _tax_ids(billing, customer)}
    return tuple(TaxId(*given) for given in details.tax_ids if given not in current)


def _cards(billing: Billing, snapshot: SubscriptionSnapshot, payment_method: str | None) -> tuple[str, ...]:
    """Return the cards that the customer already has: a declined card must not remove one of them."""
    if payment_method is None:
        return ()
    saved = billing.every(endpoints.payment_methods(snapshot.mirror.customer_id))
    return tuple(str(card.get("id")) for card in saved)


def _changes(
    snapshot: SubscriptionSnapshot,
    details: Details,
    paid_invoice: StripeInvoice | None,
    unpaid: list[StripeInvoice],
) -> str:
    parts = [
        f"billed to {details.email}" if details.email else "",
        f"made out to {details.name}" if details.name else "",
        "a new address" if details.address else "",
        "a tax id" if details.tax_ids else "",
        "a new card" if details.payment_method else "",
        f"which pays invoice {_owed(paid_invoice)}" if paid_invoice is not None else "",
        f"{len(unpaid) - 1} more unpaid" if paid_invoice is not None and len(unpaid) > 1 else "",
    ]
    to_pay = _left_to_pay(snapshot, details, paid_invoice)
    return f"{', '.join(part for part in parts if part)}{to_pay}"


def _left_to_pay(snapshot: SubscriptionSnapshot, details: Details, paid_invoice: StripeInvoice | None) -> str:
    """What the summary says of invoices that the new card does not pay, each with the command that does."""
    if details.payment_method is None:
        return ""
    paid = None if paid_invoice is None else paid_invoice.number
    others = [
        invoice for invoice in snapshot.subscription.owed if invoice.due is None and invoice.handle != paid
    ]
    return "".join(f"; still to be paid: seatctl invoices pay {invoice.handle}" for invoice in others[:3])
