"""The operation `billing`: e-mail, name, address, tax ids and card of the customer who pays.

Everything that can be refused is done first and undone after a refusal, so that a declined card changes
nothing: details, tax ids, attaching the card, paying an unpaid invoice with it. Last, the card becomes the
default. `billing.py` checks and prices the change.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer, read_subscription
from seatctl.billing.port import MissingInStripe, StripeJson
from seatctl.errors import JsonValue
from seatctl.ledger.mirror import customers
from seatctl.ledger.transaction import Transaction
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.rules.typed_json import dump
from seatctl.services.charging.customer import saved_method
from seatctl.services.charging.pay_invoice import current_invoice, pay_invoice
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.payload import SubscriptionPayload
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.finish import After, final_transaction


@dataclass(frozen=True, slots=True)
class TaxId:
    """A tax id, in Stripe's words."""

    type: str
    value: str


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

    @property
    def payer(self) -> str | None:
        """The customer whose details change."""
        return self.customer


def _run(running: OperationRun[BillingPayload]) -> Apply:
    payload = running.payload
    if payload.details:  # absolute, so sending them again after a lost answer is harmless
        write = endpoints.update_customer(payload.customer, payload.details)
        running.step_or_fail("details", write, lambda: None)
    _add_tax_ids(running)
    if payload.payment_method is not None:
        attached = _attach(running, payload.payment_method)
        if payload.pay is not None:
            pay_invoice(running, payload.pay, attached, lambda: _take_back(running))
        _make_default(running, attached)
    return final_transaction(running, payload.subscription, [payload.pay], payload.summary, _mirror(running))


def _add_tax_ids(running: OperationRun[BillingPayload]) -> None:
    customer = running.payload.customer
    for number, tax_id in enumerate(running.payload.tax_ids, 1):

        def find(tax_id: TaxId = tax_id) -> StripeJson | None:
            listed = running.billing.every(endpoints.tax_ids(customer))
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
        listed = running.billing.every(endpoints.payment_methods(customer))
        return next((raw for raw in listed if _is_attached(running.payload, raw.get("id"), method)), None)

    write = endpoints.attach_payment_method(method, customer)
    return str(running.step_or_fail("attach", write, find, lambda: _take_back(running))["id"])


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
        else:  # the card has paid, so it must become the default
            running.step_must_succeed("default", write, lambda: None)
    if payload.own_card and card != of_subscription:
        write = endpoints.update_subscription(payload.stripe_id, {"default_payment_method": card})
        # Stripe refuses a card to a subscription that has ended, which needs none.
        if_over = running.when(
            endpoints.subscription(payload.stripe_id), lambda raw: read_subscription(raw).status.is_over
        )
        running.step_must_succeed("subscription-default", write, if_over)


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
    """Undo what was done before the refusal, last step first."""
    payload = running.payload
    attached = running.answered("attach")
    if attached is not None and not payload.was_attached:
        _detach(running, str(attached["id"]))
    for number in range(len(payload.tax_ids), 0, -1):
        made = running.answered(f"tax-id-{number}")
        if made is not None:
            _delete_tax_id(running, number, str(made["id"]))
    if payload.before is not None and running.answered("details") is not None:
        write = endpoints.update_customer(payload.customer, payload.before)
        running.step_must_succeed("restore-details", write, lambda: None)


def _detach(running: OperationRun[BillingPayload], card: str) -> None:
    detached = running.when(endpoints.payment_method(card), lambda raw: raw.get("customer") is None)
    running.step_must_succeed("detach", endpoints.detach_payment_method(card), detached)


def _delete_tax_id(running: OperationRun[BillingPayload], number: int, tax_id: str) -> None:
    customer = running.payload.customer

    def is_gone() -> bool:
        return all(raw.get("id") != tax_id for raw in running.billing.every(endpoints.tax_ids(customer)))

    running.delete(f"delete-tax-id-{number}", endpoints.delete_tax_id(customer, tax_id), is_gone)


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
