"""The customer who pays for a purchase: an existing one, or one made for it."""

from __future__ import annotations

from collections.abc import Callable

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer
from seatctl.billing.port import Billing, MissingInStripe, StripeJson
from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.subscription import Subscription
from seatctl.rules import hints
from seatctl.rules.metadata import marks
from seatctl.services.operations.steps import OperationRun


def text(running: OperationRun, name: str) -> str | None:
    """Return a text of the payload, None if it is missing or empty."""
    value = running.payload.get(name)
    return value if isinstance(value, str) and value else None


def require_customer(
    billing: Billing, subscription: Subscription, customer: str, hint: str | None = None
) -> StripeJson:
    """Return the customer of a subscription as Stripe has it now. Raises `customer_deleted`."""
    raw = billing.read(endpoints.customer(customer))
    if not read_customer(raw).deleted:
        return raw
    buy_again = f"to bill a new customer: {hints.buy(subscription.plan_slug)}"
    raise refuse(
        Code.CUSTOMER_DELETED,
        f"the customer of {subscription.name} was deleted in Stripe, which ended its subscriptions",
        hint=hint or buy_again,
        data={"subscription": subscription.name, "customer": customer},
    )


def paying_customer(running: OperationRun) -> str:
    """Return the Stripe id of the customer who pays: the one given, or a new one.

    If a card is given, it becomes the new customer's default.
    """
    existing = text(running, "customer")
    if existing:
        return existing
    payment_method = _payment_method(running)
    answer = running.step_or_nothing(
        "customer",
        endpoints.create_customer(_form(running, payment_method)),
        lambda: find_customer(running),
    )
    return str(answer["id"])


def _payment_method(running: OperationRun) -> str | None:
    given = text(running, "payment_method")
    return None if given is None else saved_method(running, given)


def saved_method(running: OperationRun, given: str, undo: Callable[[], None] = lambda: None) -> str:
    """Return the saved method, or one made from a token. A token works only once, so that is a step."""
    if not given.startswith("tok_"):
        return given
    form: dict[str, JsonValue] = {"type": "card", "card": {"token": given}}
    answer = running.step_or_nothing(
        "payment-method", endpoints.create_payment_method(form), lambda: None, undo
    )
    return str(answer["id"])


def _form(running: OperationRun, payment_method: str | None) -> dict[str, JsonValue]:
    form: dict[str, JsonValue] = {
        "metadata": marks(running.ledger.id, running.reference, running.operation.request_id)
    }
    if payment_method is not None:
        form["payment_method"] = payment_method
        form["invoice_settings"] = {"default_payment_method": payment_method}
    for field, name in (("email", "billing_email"), ("name", "billing_name")):
        value = text(running, name)
        if value:
            form[field] = value
    address = running.payload.get("address")
    if address:
        form["address"] = address
    return form


def find_customer(running: OperationRun) -> StripeJson | None:
    """Find the customer that this operation made, in Stripe's list: its search lags behind."""
    return running.find_in(endpoints.customers(created_since=running.earliest()))


def known_customer(running: OperationRun) -> str | None:
    """Return the customer of an operation that may have been interrupted, None if it has none yet."""
    given = text(running, "customer")
    if given is not None:
        return given
    answer = running.answered("customer") or find_customer(running)
    return None if answer is None else str(answer["id"])


def delete_customer(running: OperationRun, customer: str) -> None:
    """Delete the customer if this operation made it."""
    if text(running, "customer"):
        return

    def is_deleted() -> bool:
        try:
            return read_customer(running.billing.read(endpoints.customer(customer))).deleted
        except MissingInStripe:
            return True

    running.delete("delete-customer", endpoints.delete_customer(customer), is_deleted)
