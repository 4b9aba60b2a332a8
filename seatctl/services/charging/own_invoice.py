"""The steps that charge an invoice of our own: seats at full price, and renewals by hand.

The draft takes no other waiting items and inherits no discounts; it has one line. Its total is compared with
the limit before it is finalized. If the card is declined, it is voided and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.billing.port import MissingInStripe, StripeJson, Write
from seatctl.errors import Code, JsonValue, SeatctlError, StripeRefused, refuse
from seatctl.ledger import subscriptions
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import plain_amount
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.payment_methods import CARD
from seatctl.rules.subscription_changes import NotRunning
from seatctl.rules.tax import address_hint, check_tax
from seatctl.services.charging.pay_invoice import (
    PAYABLE,
    PaymentProcessing,
    current_invoice,
    pay_invoice,
    payment_problem,
    require_no_payment_processing,
    unless,
    void_if_payable,
)
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, Payload


@dataclass(frozen=True, slots=True)
class OwnInvoice:
    """The contents of the invoice; `unit_amount` and `max_spend` in minor units."""

    customer: str
    stripe_subscription: str
    payment_method: str | None
    product: str
    currency: str
    unit_amount: int
    quantity: int
    description: str
    discounts: JsonValue
    """`""` inherits none, which is right for added seats."""
    max_spend: int | None
    due_days: int | None
    """Days until an invoice on account is due. None charges the card at once."""
    covers_from: str = ""
    covers_until: str = ""
    """The term that it pays for (written form, UTC); refunds are calculated from it."""
    tax_behavior: str | None = None
    automatic_tax: bool = False
    """As on the subscription and its price: our invoices are taxed like Stripe's own."""
    tax_rates: tuple[str, ...] = ()
    payment_method_types: tuple[str, ...] = (CARD,)
    """The types that may pay it, in Stripe's words; empty: those that the account allows."""
    shown: int | None = None
    """The amount that was shown or is the limit, in minor units. The draft may not exceed it."""


@dataclass(frozen=True, slots=True)
class Trust:
    """For a policy that gives seats while a bank processes their payment: gives them, and takes them back."""

    give: Callable[[str], None]
    """Gets the id of the invoice."""
    take: Callable[[], None]
    """Does nothing if nothing was given."""


def collect_own_invoice(
    running: OperationRun[Payload], own_invoice: OwnInvoice, trust: Trust | None = None
) -> str:
    """Make and charge the invoice; return its id once it is paid, or sent if on account.

    With `trust`, what it pays for is given while a bank processes the payment. Raises WaitingForCardholder,
    and NothingLeftInStripe with CardDeclined or `max_spend_exceeded`, or with NotRunning if the subscription
    has ended since an earlier run.
    """
    if not running.fresh:
        _require_subscription(running, own_invoice)
    draft = str(
        running.step_or_fail(
            "invoice",
            _draft(running, own_invoice),
            running.mine(endpoints.invoices_of_customer(own_invoice.customer)),
        )["id"]
    )

    def discard() -> None:
        if not _discard(running, draft) and trust is not None:
            trust.take()

    has_lines = running.when(endpoints.invoice(draft), lambda raw: bool(read_invoice(raw).lines))
    running.step_or_fail("invoice-item", _item(own_invoice, draft), has_lines, undo=discard)
    _check_total(running, own_invoice, draft)
    running.step_or_fail(
        "finalize",
        endpoints.finalize_invoice(draft) if own_invoice.due_days is None else endpoints.send_invoice(draft),
        unless(running, draft, InvoiceStatus.DRAFT),
        undo=discard,
    )
    if own_invoice.due_days is None:
        try:
            pay_invoice(running, draft, None, discard)
        except PaymentProcessing:
            if trust is not None:
                trust.give(draft)
            raise
    return draft


def _require_subscription(running: OperationRun[Payload], own_invoice: OwnInvoice) -> None:
    """Return if the subscription still runs, or if its invoice is paid or was sent on account.

    Such an invoice stays: what it pays for is given or refunded. If the subscription has ended, any other
    invoice would be paid for nothing: it is discarded. Raises NothingLeftInStripe.
    """
    if not _has_ended(running, own_invoice):
        return
    raw = _made_invoice(running, own_invoice)
    if raw is not None and not running.is_missing(endpoints.invoice(str(raw["id"]))):
        invoice = str(raw["id"])
        status = current_invoice(running, invoice).status
        sent = own_invoice.due_days is not None and status is not InvoiceStatus.DRAFT
        if sent or status is InvoiceStatus.PAID or _discard(running, invoice):
            return
    raise NothingLeftInStripe(NotRunning("the subscription has ended in Stripe; nothing was charged"))


def _made_invoice(running: OperationRun[Payload], own_invoice: OwnInvoice) -> StripeJson | None:
    """Return the invoice as it was made, None if none was."""
    return running.answered("invoice") or running.find_in(
        endpoints.invoices_of_customer(own_invoice.customer)
    )


def _has_ended(running: OperationRun[Payload], own_invoice: OwnInvoice) -> bool:
    found = endpoints.subscription(own_invoice.stripe_subscription)
    return running.is_missing(found) or read_subscription(running.billing.read(found)).status.is_over


def _draft(running: OperationRun[Payload], own_invoice: OwnInvoice) -> Write:
    form: dict[str, JsonValue] = {
        "customer": own_invoice.customer,
        "currency": own_invoice.currency,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "discounts": own_invoice.discounts,
        "collection_method": "charge_automatically" if own_invoice.due_days is None else "send_invoice",
        "description": own_invoice.description,
        **payment_settings(own_invoice),
        "metadata": {
            **running.marks,
            SUBSCRIPTION: own_invoice.stripe_subscription,
            COVERS_FROM: own_invoice.covers_from,
            COVERS_UNTIL: own_invoice.covers_until,
        },
    }
    if own_invoice.due_days is not None:
        form["days_until_due"] = own_invoice.due_days
    elif own_invoice.payment_method is not None:
        form["default_payment_method"] = own_invoice.payment_method
    if own_invoice.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    return endpoints.create_invoice(form)


def _item(own_invoice: OwnInvoice, invoice: str) -> Write:
    return endpoints.create_invoice_item(
        {
            "customer": own_invoice.customer,
            "invoice": invoice,  # else the line would wait for the customer's next invoice
            "price_data": price_data(own_invoice),
            "quantity": own_invoice.quantity,
            "description": own_invoice.description,
            "discountable": own_invoice.discounts != "",
            **tax_fields(own_invoice),
        }
    )


def payment_settings(own_invoice: OwnInvoice) -> dict[str, JsonValue]:
    """Return the types that may pay, in Stripe's words; nothing if the account decides."""
    types = own_invoice.payment_method_types
    return {"payment_settings": {"payment_method_types": [*types]}} if types else {}


def tax_fields(own_invoice: OwnInvoice) -> dict[str, JsonValue]:
    """Return the tax rates of a line, in Stripe's words; empty if the subscription has none."""
    return {"tax_rates": [*own_invoice.tax_rates]} if own_invoice.tax_rates else {}


def price_data(own_invoice: OwnInvoice) -> dict[str, JsonValue]:
    """Return the price of a line, in Stripe's words."""
    price: dict[str, JsonValue] = {
        "currency": own_invoice.currency,
        "product": own_invoice.product,
        "unit_amount": own_invoice.unit_amount,
    }
    return price if own_invoice.tax_behavior is None else {**price, "tax_behavior": own_invoice.tax_behavior}


def _check_total(running: OperationRun[Payload], own_invoice: OwnInvoice, draft: str) -> None:
    """Compare the draft's total with the limit, before anything is owed."""
    limit = own_invoice.shown if own_invoice.max_spend is None else own_invoice.max_spend
    if (limit is None and not own_invoice.automatic_tax) or running.was_sent("finalize"):
        return
    try:
        invoice = current_invoice(running, draft)
    except MissingInStripe as missing:  # deleted in the dashboard, or by an earlier run that was killed here
        reason = "the draft was deleted, or exceeded the agreed amount; nothing was charged"
        raise NothingLeftInStripe(
            refuse(Code.PRICE_CHANGED, reason, hint="run the same command again")
        ) from missing
    try:
        check_tax(invoice.tax_status, _to_give_an_address(running))
    except SeatctlError as unknown:  # the address was removed since the preview
        _discard(running, draft)
        raise NothingLeftInStripe(unknown) from unknown
    if limit is None or invoice.amount_due <= limit:
        return
    _discard(running, draft)
    due, most = (
        plain_amount(invoice.amount_due, own_invoice.currency),
        plain_amount(limit, own_invoice.currency),
    )
    amount = f"{due} {own_invoice.currency.upper()}"
    if own_invoice.max_spend is None:
        raise NothingLeftInStripe(
            refuse(
                Code.PRICE_CHANGED,
                f"the price has risen from {most} to {amount} since the preview; nothing was charged",
                hint=f"to see it, add --dry-run to the command; to allow it, add --max-spend {due}",
                data={"due_now": invoice.amount_due, "shown": limit},
            )
        )
    raise NothingLeftInStripe(
        refuse(
            Code.MAX_SPEND_EXCEEDED,
            f"this would charge {amount}, more than the {most} of --max-spend",
            hint=f"use --max-spend {due} to allow it",
            data={"due_now": invoice.amount_due, "max_spend": limit},
        )
    )


def _to_give_an_address(running: OperationRun[Payload]) -> str:
    with running.ledger.reading() as reader:
        subscription = subscriptions.by_id(reader, running.operation.subscription_id or 0)
    return address_hint(subscription.name)


def _discard(running: OperationRun[Payload], invoice: str) -> bool:
    """Delete a draft or void an unpaid invoice. Return True if it was paid meanwhile and stays.

    Raises PaymentProcessing.
    """
    found = endpoints.invoice(invoice)
    if running.is_missing(found):
        return False
    status = current_invoice(running, invoice).status
    if status is InvoiceStatus.DRAFT:
        running.delete("delete-draft", endpoints.delete_draft(invoice), lambda: running.is_missing(found))
        return False
    if status in PAYABLE:
        require_no_payment_processing(running.billing, [invoice])
        try:
            void_if_payable(running, invoice)
        except StripeRefused:
            if current_invoice(running, invoice).status in PAYABLE:
                raise
        status = current_invoice(running, invoice).status
    return status is InvoiceStatus.PAID


def refund_invoice(running: OperationRun[Payload], invoice: str) -> str:
    """Refund the whole invoice because what it paid for cannot be given; return what was done.

    Money goes back to the card. What came from the customer's balance goes back there, and so does what was
    paid outside Stripe: there is no charge that could be refunded.
    """
    if not _discard(running, invoice):
        return "its invoice is void"
    paid = current_invoice(running, invoice)
    form: dict[str, JsonValue] = {
        "invoice": invoice,
        "amount": paid.total,
        "memo": "The subscription ended before this could be given",
        "metadata": running.marks,
    }
    by_card = min(paid.amount_paid, paid.total)
    refund: dict[str, JsonValue] = {"refund_amount": by_card} if by_card else {}
    refund |= {"credit_amount": paid.total - by_card} if paid.total > by_card else {}
    if not paid.total:
        return f"invoice {paid.number} is refunded in full"
    is_first = not running.was_sent("credit-note") or running.was_refused("credit-note")
    if by_card and is_first and not _is_accepted(running, {**form, **refund}):
        refund = {"credit_amount": paid.total}
    noted = running.mine(endpoints.credit_notes_of(invoice))
    note = running.step_must_succeed("credit-note", endpoints.credit_note({**form, **refund}), noted)
    if note.get("customer_balance_transaction") is not None and not note.get("refunds"):
        return f"invoice {paid.number} is credited to the customer's balance in full"
    return f"invoice {paid.number} is refunded in full"


def _is_accepted(running: OperationRun[Payload], form: dict[str, JsonValue]) -> bool:
    """Whether Stripe would make this credit note."""
    try:
        running.billing.read(endpoints.preview_credit_note(form))
    except StripeRefused:
        return False
    return True


def undo_invoice(
    running: OperationRun[Payload], own_invoice: OwnInvoice, trust: Trust | None = None
) -> str | None:
    """Take back the invoice of an operation that is too old; None if it is paid and must be finished."""
    raw = _made_invoice(running, own_invoice)
    if raw is None:
        return "nothing had reached Stripe"
    invoice = str(raw["id"])
    if running.is_missing(endpoints.invoice(invoice)):
        return "its draft was deleted"
    status = current_invoice(running, invoice).status
    if status is InvoiceStatus.PAID or (own_invoice.due_days is not None and status is InvoiceStatus.OPEN):
        return None
    problem = payment_problem(running.billing, invoice) if status in PAYABLE else None
    if _discard(running, invoice):
        return None
    if trust is not None:
        trust.take()
    why = "" if problem is None else f", because the payment failed: {problem.removesuffix('.')}"
    return f"its invoice is void{why}; nothing was charged"
