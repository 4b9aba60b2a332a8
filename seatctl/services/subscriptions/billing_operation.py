"""`subs billing`: shows who pays for a subscription, and changes it: e-mail, name, address, tax ids, card.

Everything that can be refused is done first and undone after a refusal, so that a declined card changes
nothing: details, tax ids, attaching the card, paying an unpaid invoice with it. Last, the card becomes the
default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import (
    read_address,
    read_card,
    read_customer,
    read_invoice,
    read_subscription,
)
from seatctl.billing.port import Billing, MissingInStripe, Read, StripeJson, Write
from seatctl.errors import JsonValue, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import format_money
from seatctl.models.report import Record
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.billing_details import ADDRESS_PARTS, Details, TaxId
from seatctl.rules.metadata import SUBSCRIPTION
from seatctl.rules.purchases import check_spend
from seatctl.rules.typed_json import dump
from seatctl.services.charging.pay_invoice import (
    current_invoice,
    is_payment_processing,
    pay_invoice,
    require_no_payment_processing,
)
from seatctl.services.charging.payer import check_given_method, require_customer, saved_method
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import OperationRun, SubscriptionPayload
from seatctl.services.operations.submit import Proposal, charge_note
from seatctl.services.subscriptions.finish import After, final_transaction
from seatctl.services.subscriptions.proposal import change_proposal, repeated_proposal
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    SubscriptionSnapshot,
    read_snapshot,
    require_unscheduled,
)

_COLUMNS = ("name", "billing_email", "due_now", "currency", "pays", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPayload(SubscriptionPayload):
    """A change of billing details or of the card."""

    kind = "billing"
    customer: str
    details: dict[str, JsonValue] | None = None
    """The customer's details that change, as a form."""
    before: dict[str, JsonValue] | None = None
    """The same details as they were, as a form."""
    tax_ids: tuple[TaxId, ...] = ()
    payment_method: str | None = None
    """The new card; None keeps the card."""
    was_attached: bool = False
    """Whether the customer already had the new card."""
    cards: tuple[str, ...] | None = None
    """The cards that the customer had."""
    own_card: bool = False
    """Whether the subscription has a card of its own, which must change too."""
    charged: tuple[str | None, str | None] = (None, None)
    """The customer's card and the subscription's own card, as they were."""
    pay: str | None = None
    """The unpaid invoice that the new card pays."""
    payment_method_types: tuple[str, ...] = ()
    """The types that the subscription has to take from now on; empty: nothing has to change."""
    turn_on_tax: bool = False
    """Whether automatic tax, which Stripe has turned off for want of an address, is turned on again."""


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
            f"{tax_id.get('type')}:{tax_id.get('value')}"
            for tax_id in billing.every(endpoints.tax_ids(customer_id))
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


def prepare_billing(change: ChangeRequest, details: Details) -> Proposal:
    """Check a change of billing details. A new card pays the oldest unpaid invoice at once.

    Raises UnknownSubscription, RoleRequired, ForeignLedger, `max_spend_exceeded`.
    """
    change = change.asking(
        {
            "email": details.email,
            "name": details.name,
            "address": dict(details.address),
            "tax_ids": [[tax_id.type, tax_id.value] for tax_id in details.tax_ids],
            "payment_method": details.payment_method,
        }
    )
    billing = change.billing
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_snapshot(change)
    own_card = details.payment_method is not None and snapshot.mirror.default_payment_method is not None
    if own_card or _turns_on_tax(snapshot, details):  # both are part of the Stripe subscription
        require_unscheduled(snapshot)
    customer = snapshot.mirror.customer_id
    raw = require_customer(billing, snapshot.subscription, customer)
    kind = check_given_method(billing, details.payment_method, snapshot.accepted)
    unpaid = [invoice for invoice in _unpaid(billing, snapshot.mirror) if invoice.due_date is None]
    paid_invoice, due, currency = None, 0, snapshot.currency
    if details.payment_method is not None:  # a bank may still pay an invoice with a payment in progress
        charged = (invoice for invoice in unpaid if not is_payment_processing(billing, invoice.id))
        paid_invoice = next(charged, None)
    if paid_invoice is not None:
        due, currency = paid_invoice.amount_remaining, paid_invoice.currency
    check_spend(due, currency, change.max_spend)
    # A declined card must not remove a card that the customer already has.
    listed = billing.every(endpoints.payment_methods(customer)) if details.payment_method else ()
    cards = tuple(str(card.get("id")) for card in listed)
    # Stripe would store a tax id that the customer has a second time.
    current = {(each.get("type"), each.get("value")) for each in billing.every(endpoints.tax_ids(customer))}
    form = _form(details, raw)
    name, changes = snapshot.name, _changes(snapshot, details, paid_invoice, unpaid)
    payload = BillingPayload(
        subscription=snapshot.subscription.id,
        stripe_id=snapshot.mirror.id,
        customer=customer,
        details=form,
        before=_before(form, raw),
        tax_ids=tuple(given for given in details.tax_ids if (given.type, given.value) not in current),
        payment_method=details.payment_method,
        was_attached=details.payment_method in cards,
        cards=cards,
        # Stripe refuses changes of a subscription that has ended.
        own_card=snapshot.mirror.default_payment_method is not None and not snapshot.mirror.status.is_over,
        charged=(read_customer(raw).default_payment_method, snapshot.mirror.default_payment_method),
        pay=None if paid_invoice is None else paid_invoice.id,
        payment_method_types=_types_with(snapshot.mirror, kind),
        turn_on_tax=_turns_on_tax(snapshot, details),
        due_now=due,
        summary=f"changed the billing of {name}: {changes}",
    )
    row: dict[str, JsonValue] = {
        "name": name,
        "billing_email": details.email or read_customer(raw).email,
        "due_now": due,
        "currency": currency,
        "pays": None if paid_invoice is None else paid_invoice.number,
    }
    notes = (f"Changes: {changes}", charge_note(due, currency))
    return change_proposal(
        snapshot, payload, row, f"Change the billing of {name}?", notes, _COLUMNS, currency
    )


def _types_with(mirror: StripeSubscription, kind: str) -> tuple[str, ...]:
    """Return the types of payment methods with a new one, empty if nothing has to change.

    A subscription that was bought while its plan took cards only is limited to them in Stripe.
    """
    types = mirror.payment_method_types
    return (*types, kind) if types and kind not in types and not mirror.status.is_over else ()


def _turns_on_tax(snapshot: SubscriptionSnapshot, details: Details) -> bool:
    """Whether the address that is given lets Stripe compute the tax again."""
    mirror = snapshot.mirror
    return bool(details.address) and mirror.tax_turned_off and not mirror.status.is_over


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
        "Stripe's tax is turned on again" if _turns_on_tax(snapshot, details) else "",
        "a tax id" if details.tax_ids else "",
        "a new card" if details.payment_method else "",
        f"which pays invoice {_owed(paid_invoice)}" if paid_invoice is not None else "",
        f"{len(unpaid) - 1} more unpaid" if paid_invoice is not None and len(unpaid) > 1 else "",
    ]
    paid = None if paid_invoice is None else paid_invoice.number
    left_to_pay = [
        f"; still to be paid: seatctl invoices pay {invoice.handle}"
        for invoice in snapshot.subscription.owed
        if details.payment_method is not None and invoice.due is None and invoice.handle != paid
    ]
    return ", ".join(part for part in parts if part) + "".join(left_to_pay[:3])


def _run(running: OperationRun[BillingPayload]) -> Apply:
    payload = running.payload
    if payload.details:  # absolute, so sending them again after a lost answer is harmless
        write = endpoints.update_customer(payload.customer, payload.details)
        running.step_or_fail("details", write, lambda: None)
    if payload.turn_on_tax:
        write = endpoints.update_subscription(payload.stripe_id, {"automatic_tax": {"enabled": True}})
        subscription = endpoints.subscription(payload.stripe_id)
        is_on = running.when(subscription, lambda raw: read_subscription(raw).automatic_tax)
        running.step_or_fail("automatic-tax", write, is_on, lambda: _take_back(running))
    _add_tax_ids(running)
    if payload.payment_method is not None:
        attached = _attach(running, payload.payment_method)
        if payload.pay is not None:
            pay_invoice(running, payload.pay, attached, lambda: _take_back(running))
        _make_default(running, attached)
    return final_transaction(running, payload.subscription, [payload.pay], _mirror(running))


def _add_tax_ids(running: OperationRun[BillingPayload]) -> None:
    customer = running.payload.customer
    for number, tax_id in enumerate(running.payload.tax_ids, 1):

        def find(tax_id: TaxId = tax_id) -> StripeJson | None:
            listed = _listed(running, endpoints.tax_ids(customer))
            same = (
                raw for raw in listed if (raw.get("type"), raw.get("value")) == (tax_id.type, tax_id.value)
            )
            return next(same, None)

        write = endpoints.create_tax_id(customer, dump(tax_id))
        running.step_or_fail(f"tax-id-{number}", write, find, lambda: _take_back(running))


def _attach(running: OperationRun[BillingPayload], card: str) -> str:
    """Attach the card and return its id at Stripe; a bank may refuse it here."""
    customer, method = running.payload.customer, saved_method(running, card, lambda: _take_back(running))

    def find() -> StripeJson | None:
        listed = _listed(running, endpoints.payment_methods(customer))
        return next((raw for raw in listed if _is_attached(running.payload, raw.get("id"), method)), None)

    write = endpoints.attach_payment_method(method, customer)
    return str(running.step_or_fail("attach", write, find, lambda: _take_back(running))["id"])


def _listed(running: OperationRun[BillingPayload], listing: Read) -> Iterator[StripeJson]:
    """Yield what a list has of the customer: nothing if it was deleted in Stripe meanwhile."""
    with suppress(MissingInStripe):
        yield from running.billing.every(listing)


def _is_attached(payload: BillingPayload, saved: JsonValue, method: str) -> bool:
    """Whether a saved card is this one. A shared test card gets a new id when it is attached."""
    is_new = payload.cards is not None and saved not in payload.cards
    return saved == method or (method.startswith("pm_card_") and is_new)


def _make_default(running: OperationRun[BillingPayload], card: str) -> None:
    """Make the card the default. A card of the subscription itself precedes the customer's."""
    payload = running.payload
    of_customer, of_subscription = payload.charged
    if card != of_customer:
        write = endpoints.update_customer(
            payload.customer, {"invoice_settings": {"default_payment_method": card}}
        )
        if payload.pay is None:
            running.step_or_fail("default", write, lambda: None, lambda: _take_back(running))
        else:  # the card has paid, so it must become the default, unless the customer was deleted
            customer = endpoints.customer(payload.customer)
            _unless(running, "default", write, lambda: running.is_missing(customer))
    form: dict[str, JsonValue] = {"default_payment_method": card} if payload.own_card else {}
    if payload.payment_method_types:
        form["payment_settings"] = {"payment_method_types": [*payload.payment_method_types]}
    if payload.payment_method_types or (payload.own_card and card != of_subscription):
        write = endpoints.update_subscription(payload.stripe_id, form)
        # Stripe refuses a card to a subscription that has ended, which needs none.
        _unless(running, "subscription-default", write, lambda: running.subscription().status.is_over)


def _unless(
    running: OperationRun[BillingPayload], step: str, write: Write, needless: Callable[[], bool]
) -> None:
    """Make a write that must succeed, unless it is refused and is not needed any more."""
    try:
        running.step_must_succeed(step, write, lambda: None)
    except StripeRefused:
        if not needless():
            raise


def _mirror(running: OperationRun[BillingPayload]) -> After:
    """Return the `after` that stores the customer, who is read before the transaction."""
    details = read_customer(running.billing.read(endpoints.customer(running.payload.customer)))

    def apply(tx: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        before = customers.snapshot(tx, subscription.customer_id)
        customers.store(tx, details)
        after = customers.snapshot(tx, subscription.customer_id)
        if before != after:
            tx.record("customer", subscription.customer_id, before, after)
        return {"billing_email": details.email, "payment_method": details.default_payment_method}

    return apply


# Taking back ------------------------------------------------------------------------------------------


def _take_back(running: OperationRun[BillingPayload]) -> None:
    """Undo what was done before the refusal, last step first; nothing of a deleted customer is left."""
    payload = running.payload
    if running.is_missing(endpoints.customer(payload.customer)):
        return
    attached = running.answered("attach")
    if attached is not None and not payload.was_attached:
        card = str(attached["id"])
        detached = running.when(endpoints.payment_method(card), lambda raw: raw.get("customer") is None)
        running.step_must_succeed("detach", endpoints.detach_payment_method(card), detached)
    for number in range(len(payload.tax_ids), 0, -1):
        made = running.answered(f"tax-id-{number}")
        if made is not None:
            tax_id, listing = str(made["id"]), endpoints.tax_ids(payload.customer)
            write = endpoints.delete_tax_id(payload.customer, tax_id)
            running.delete(f"delete-tax-id-{number}", write, running.gone_from(listing, tax_id))
    if payload.before is not None and running.answered("details") is not None:
        write = endpoints.update_customer(payload.customer, payload.before)
        running.step_must_succeed("restore-details", write, lambda: None)


def _undo(running: OperationRun[BillingPayload]) -> str | None:
    """Take the new card back after a day unless it has paid; return None if the change is to be finished."""
    invoice = running.payload.pay
    try:
        if invoice is None or current_invoice(running, invoice).status is InvoiceStatus.PAID:
            return None
        require_no_payment_processing(running.billing, [invoice])
    except MissingInStripe:
        return None
    _take_back(running)
    return "the new card was removed; nothing was charged or changed"


def _abandon(running: OperationRun[BillingPayload]) -> str | None:
    """Like `_undo`, also without a charge; return None if the card has become the default."""
    if running.payload.pay is not None:
        return _undo(running)
    if running.was_sent("default") or running.was_sent("subscription-default"):
        return None
    _take_back(running)
    return "the changes were undone"


register(OperationHandler(BillingPayload, _run, _undo, _abandon, action=Action.MANAGE_SUBSCRIPTION))
