"""The operation `billing`: e-mail, name, address, tax ids and card of the customer who pays.

Everything that can be refused is done first and undone after a refusal, so that a declined card changes
nothing: details, tax ids, attaching the card, paying an unpaid invoice with it. Last, the card becomes the
default. `billing.py` checks and prices the change.
"""

from __future__ import annotations

from collections.abc import Callable

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer, read_subscription
from seatctl.billing.port import MissingInStripe, StripeJson, Write
from seatctl.errors import JsonValue
from seatctl.ledger.mirror import customers
from seatctl.ledger.transaction import Transaction
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.subscription import Subscription
from seatctl.services.charging.customer import saved_method, text
from seatctl.services.charging.pay_invoice import current_invoice, pay_invoice
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import OperationRun
from seatctl.services.subscriptions.finish import After, final_transaction


def _run(running: OperationRun) -> Apply:
    customer, invoice = str(running.payload["customer"]), text(running, "pay")

    def undo() -> None:
        _take_back(running)

    _set_details(running, customer)
    _add_tax_ids(running, customer, undo)
    card = text(running, "payment_method")
    if card is not None:
        attached = _attach(running, customer, card, undo)
        if invoice is not None:
            pay_invoice(running, invoice, attached, undo)
        _make_default(running, customer, attached, undo)
    return final_transaction(running, [invoice], str(running.payload["summary"]), _mirror(running, customer))


def _set_details(running: OperationRun, customer: str) -> None:
    """Send the details. They are absolute, so sending them again after a lost answer is harmless."""
    details = running.payload.get("details")
    if isinstance(details, dict) and details:
        running.step_or_nothing("details", endpoints.update_customer(customer, details), lambda: None)


def _tax_ids(running: OperationRun) -> list[tuple[str, dict[str, JsonValue]]]:
    listed = running.payload.get("tax_ids")
    forms = listed if isinstance(listed, list) else []
    return [(f"tax-id-{n}", form) for n, form in enumerate(forms, 1) if isinstance(form, dict)]


def _add_tax_ids(running: OperationRun, customer: str, undo: Callable[[], None]) -> None:
    for name, form in _tax_ids(running):

        def find(form: dict[str, JsonValue] = form) -> StripeJson | None:
            listed = running.billing.every(endpoints.tax_ids(customer))
            same = (
                tax_id
                for tax_id in listed
                if (tax_id.get("type"), tax_id.get("value")) == tuple(form.values())
            )
            return next(same, None)

        running.step_or_nothing(name, endpoints.create_tax_id(customer, form), find, undo)


def _attach(running: OperationRun, customer: str, card: str, undo: Callable[[], None]) -> str:
    """Attach the card and return its id at Stripe; a bank may refuse it here."""
    method = saved_method(running, card, undo)

    def find() -> StripeJson | None:
        listed = running.billing.every(endpoints.payment_methods(customer))
        return next((tax_id for tax_id in listed if _is_attached(running, tax_id.get("id"), method)), None)

    write = endpoints.attach_payment_method(method, customer)
    return str(running.step_or_nothing("attach", write, find, undo)["id"])


def _is_attached(running: OperationRun, saved: JsonValue, method: str) -> bool:
    """Whether a saved card is this one. A shared test card gets a new id when it is attached."""
    before = running.payload.get("cards")
    is_new = isinstance(before, list) and saved not in before
    return saved == method or (method.startswith("pm_card_") and is_new)


def _make_default(running: OperationRun, customer: str, card: str, undo: Callable[[], None]) -> None:
    """Make the card the default. A card of the subscription itself precedes the customer's."""
    form: dict[str, JsonValue] = {"invoice_settings": {"default_payment_method": card}}
    charged = running.payload.get("charged")  # the customer's card, the subscription's own card
    of_customer, of_subscription = charged if isinstance(charged, list) else (None, None)
    if card != of_customer:
        _make_default_of(running, endpoints.update_customer(customer, form), undo)
    if running.payload.get("own_card") is True and card != of_subscription:
        write = endpoints.update_subscription(
            str(running.payload["stripe_id"]), {"default_payment_method": card}
        )
        running.step_at_last("subscription-default", write, lambda: _if_over(running))


def _if_over(running: OperationRun) -> StripeJson | None:
    """Return the subscription if it has ended: Stripe then refuses it a card, and needs none."""
    raw = running.billing.read(endpoints.subscription(str(running.payload["stripe_id"])))
    return raw if read_subscription(raw).status.is_over else None


def _make_default_of(running: OperationRun, write: Write, undo: Callable[[], None]) -> None:
    if text(running, "pay") is None:
        running.step_or_nothing("default", write, lambda: None, undo)
    else:  # the card has paid, so it must become the default
        running.step_at_last("default", write, lambda: None)


def _mirror(running: OperationRun, customer: str) -> After:
    """Return the `after` that stores the customer, who is read before the transaction."""
    details = read_customer(running.billing.read(endpoints.customer(customer)))

    def apply(tx: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        before = customers.snapshot(tx, subscription.customer_id)
        customers.store(tx, details)
        after = customers.snapshot(tx, subscription.customer_id)
        if before != after:
            tx.record("customer", subscription.customer_id, before, after)
        return {"billing_email": details.email, "payment_method": details.default_payment_method}

    return apply


# Taking back ------------------------------------------------------------------------------------------


def _take_back(running: OperationRun) -> None:
    """Undo what was done before the refusal, last step first."""
    attached = running.answered("attach")
    if attached is not None and running.payload.get("was_attached") is not True:
        _detach(running, str(attached["id"]))
    customer = str(running.payload["customer"])
    for name, _ in reversed(_tax_ids(running)):
        made = running.answered(name)
        if made is not None:
            _delete_tax_id(running, name, customer, str(made["id"]))
    before = running.payload.get("before")
    if isinstance(before, dict) and running.answered("details") is not None:
        running.step_at_last("restore-details", endpoints.update_customer(customer, before), lambda: None)


def _detach(running: OperationRun, card: str) -> None:
    def detached() -> StripeJson | None:
        raw = running.billing.read(endpoints.payment_method(card))
        return raw if raw.get("customer") is None else None

    running.step_at_last("detach", endpoints.detach_payment_method(card), detached)


def _delete_tax_id(running: OperationRun, name: str, customer: str, tax_id: str) -> None:
    def is_gone() -> bool:
        listed = running.billing.every(endpoints.tax_ids(customer))
        return all(each.get("id") != tax_id for each in listed)

    running.delete(f"delete-{name}", endpoints.delete_tax_id(customer, tax_id), is_gone)


def _undo(running: OperationRun) -> str | None:
    """Take the new card back after a day unless it has paid; return None if the change is to be finished."""
    invoice = text(running, "pay")
    try:
        if invoice is None or current_invoice(running, invoice).status is InvoiceStatus.PAID:
            return None
        require_no_payment_processing(running.billing, [invoice])
    except MissingInStripe:
        return None
    _take_back(running)
    return "the new card was removed; nothing was charged or changed"


def _abandon(running: OperationRun) -> str | None:
    """Like `_undo`, also without a charge; return None if the card has become the default."""
    if text(running, "pay") is not None:
        return _undo(running)
    if running.was_sent("default") or running.was_sent("subscription-default"):
        return None
    _take_back(running)
    return "the changes were undone"


HANDLER = OperationHandler(_run, _undo, _abandon)
