"""The customer who pays for a purchase: an existing one, or one made for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.subscription import Subscription
from seatctl.rules import hints
from seatctl.services.operations.payload import Payload
from seatctl.services.operations.steps import OperationRun


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerPayload(Payload):
    """What a purchase stores of the customer who pays; a new one is made if none is given."""

    payment_method: str | None = None
    billing_email: str | None = None
    billing_name: str | None = None
    address: dict[str, JsonValue] | None = None


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


def paying_customer(running: OperationRun[PayerPayload]) -> str:
    """Return the Stripe id of the customer who pays: the one given, or a new one.

    If a card is given, it becomes the new customer's default.
    """
    payload = running.payload
    if payload.customer:
        return payload.customer
    payment_method = payload.payment_method and saved_method(running, payload.payment_method)
    answer = running.step_or_fail(
        "customer",
        endpoints.create_customer(_form(running, payment_method)),
        lambda: find_customer(running),
    )
    return str(answer["id"])


def saved_method(running: OperationRun[Payload], given: str, undo: Callable[[], None] = lambda: None) -> str:
    """Return the saved method, or one made from a token. A token works only once, so that is a step."""
    if not given.startswith("tok_"):
        return given
    form: dict[str, JsonValue] = {"type": "card", "card": {"token": given}}
    answer = running.step_or_fail("payment-method", endpoints.create_payment_method(form), lambda: None, undo)
    return str(answer["id"])


def _form(running: OperationRun[PayerPayload], payment_method: str | None) -> dict[str, JsonValue]:
    payload = running.payload
    form: dict[str, JsonValue] = {"metadata": running.marks}
    if payment_method:
        form["payment_method"] = payment_method
        form["invoice_settings"] = {"default_payment_method": payment_method}
    details: dict[str, JsonValue] = {
        "email": payload.billing_email,
        "name": payload.billing_name,
        "address": payload.address,
    }
    return {**form, **{name: value for name, value in details.items() if value}}


def find_customer(running: OperationRun[Payload]) -> StripeJson | None:
    """Find the customer that this operation made, in Stripe's list: its search lags behind."""
    return running.find_in(endpoints.customers(created_since=running.earliest()))


def known_customer(running: OperationRun[Payload]) -> str | None:
    """Return the customer of an operation that may have been interrupted, None if it has none yet."""
    if running.payload.customer:
        return running.payload.customer
    answer = running.answered("customer") or find_customer(running)
    return None if answer is None else str(answer["id"])


def delete_customer(running: OperationRun[PayerPayload], customer: str) -> None:
    """Delete the customer if this operation made it."""
    if not running.payload.customer:
        found = endpoints.customer(customer)
        running.delete(
            "delete-customer", endpoints.delete_customer(customer), lambda: running.is_missing(found)
        )
