"""The operation that buys a subscription by card or on account (docs/billing.md#purchases).

A declined card leaves nothing behind: the subscription is made with `error_if_incomplete`, and a customer who
was made for the purchase is deleted again. If the bank wants authentication, a second step with its own key
makes the subscription, and the operation waits for up to 23 hours. On account, the first invoice is sent at
once.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.billing.port import AuthenticationRequired, MissingInStripe, StripeJson, Write
from seatctl.errors import JsonValue, StripeRefused
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.metadata import subscription_metadata
from seatctl.rules.policies import FLEXIBLE
from seatctl.rules.purchases import cards_only
from seatctl.services.charging.customer import delete_customer, known_customer, paying_customer
from seatctl.services.charging.own_invoice import send_if_draft
from seatctl.services.charging.pay_invoice import current_invoice
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun
from seatctl.services.purchases.purchase import PurchasePayload, add_bought

_UNPAID = frozenset((SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyPayload(PurchasePayload):
    """A purchase by card or on account."""

    kind = "buy"


def _run(running: OperationRun[BuyPayload]) -> Apply:
    customer = paying_customer(running)
    if running.payload.due_days is not None:
        return add_bought(running, _on_account(running, customer, running.payload.due_days))
    return add_bought(running, charge(running, customer, running.payload.card))


def charge(running: OperationRun[PurchasePayload], customer: str, card: str | None) -> StripeSubscription:
    """Make the subscription, paid by `card` or else by the customer's default.

    Raises WaitingForCardholder, and NothingLeftInStripe.
    """
    resumed = running.was_sent("subscription")
    subscription = read_subscription(_subscription(running, customer, card))
    if resumed or subscription.status in _UNPAID:
        return _after_authentication(running, customer, subscription)
    return subscription


# The subscription -------------------------------------------------------------------------------------


def _subscription(running: OperationRun[PurchasePayload], customer: str, card: str | None) -> StripeJson:
    """Make the subscription; Stripe charges in the same call, or refuses and makes nothing."""

    def undo() -> None:
        delete_customer(running, customer)

    def create(behavior: str) -> Write:
        form = subscription_form(running, customer)
        form["payment_behavior"] = behavior
        if behavior == "default_incomplete":
            # The cardholder may pay with any card on the invoice's page: it becomes the subscription's card.
            form["payment_settings"] = {
                **cards_only(),
                "save_default_payment_method": "on_subscription",
            }
        else:
            form["off_session"] = True
        if card:
            form["default_payment_method"] = card
        return endpoints.create_subscription(form)

    def find() -> StripeJson | None:
        return find_subscription(running, customer)

    try:
        return running.step_or_fail(
            "subscription", create("error_if_incomplete"), find, undo, but=(AuthenticationRequired,)
        )
    except AuthenticationRequired:
        return running.step_or_fail("subscription-to-authenticate", create("default_incomplete"), find, undo)


def _on_account(running: OperationRun[BuyPayload], customer: str, due_days: int) -> StripeSubscription:
    """Make the subscription and send its first invoice, which Stripe would leave a draft for an hour."""
    form = subscription_form(running, customer)
    form |= {"collection_method": "send_invoice", "days_until_due": due_days}
    subscription = read_subscription(
        running.step_or_fail(
            "subscription",
            endpoints.create_subscription(form),
            lambda: find_subscription(running, customer),
            lambda: delete_customer(running, customer),
        )
    )
    if subscription.latest_invoice is not None:
        send_if_draft(running, subscription.latest_invoice)
    return read_subscription(running.billing.read(endpoints.subscription(subscription.id)))


def subscription_form(running: OperationRun[PurchasePayload], customer: str) -> dict[str, JsonValue]:
    """The form of the subscription, the same for every way of paying; Checkout uses a part of it."""
    payload = running.payload
    form: dict[str, JsonValue] = {
        "customer": customer,
        "items": [{"price": payload.price, "quantity": payload.seats}],
        "metadata": new_metadata(running),
        "payment_settings": cards_only(),
    }
    if (payload.policy or FLEXIBLE).renewal == "manual":
        # A contract that nobody renews ends by itself: the flag is never cleared (docs/billing.md#purchases).
        form["cancel_at_period_end"] = True
    if payload.discounts:
        form["discounts"] = [*payload.discounts]
    if payload.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    return form


def new_metadata(running: OperationRun[PurchasePayload]) -> dict[str, JsonValue]:
    """The metadata of the new subscription: its mark, ledger, name, owner and policy."""
    payload = running.payload
    settings = subscription_metadata(payload.name, payload.owner or None, payload.policy or FLEXIBLE)
    return {**running.marks, **settings}


def find_subscription(running: OperationRun[PurchasePayload], customer: str) -> StripeJson | None:
    """Find the subscription that this operation made for a customer."""
    try:
        return running.find_in(endpoints.subscriptions_of(customer))
    except MissingInStripe:
        return None  # the customer was deleted, perhaps by this operation: nothing can be charged


# Authentication ---------------------------------------------------------------------------------------


def _after_authentication(
    running: OperationRun[PurchasePayload], customer: str, subscription: StripeSubscription
) -> StripeSubscription:
    """Return the subscription once it is paid. Raises WaitingForCardholder, or ends the operation."""
    now = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
    if _was_paid(running, now):
        return now
    require_no_payment_processing(running.billing, [now.latest_invoice])
    if not now.status.is_over and not running.keys_expired:
        url = current_invoice(running, now.latest_invoice).hosted_url if now.latest_invoice else None
        running.wait_for_cardholder("the bank wants the cardholder to authenticate", url)
    _cancel(running, now, customer)
    raise NothingLeftInStripe(
        StripeRefused(
            "the payment was not authenticated in time; nothing was charged",
            hint="buy again with --payment-method",
        )
    )


def _was_paid(running: OperationRun[PurchasePayload], subscription: StripeSubscription) -> bool:
    """Whether the first payment went through, whatever happened to the subscription since."""
    if subscription.status is SubscriptionStatus.CANCELED:
        invoices = map(read_invoice, running.billing.every(endpoints.invoices_of(subscription.id)))
        return any(invoice.amount_paid for invoice in invoices)
    return subscription.status not in _UNPAID


def _cancel(running: OperationRun[PurchasePayload], subscription: StripeSubscription, customer: str) -> None:
    def has_ended() -> bool:
        now = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
        return now.status.is_over

    require_no_payment_processing(running.billing, [subscription.latest_invoice])
    if not subscription.status.is_over:
        running.delete("cancel-subscription", endpoints.cancel_subscription(subscription.id), has_ended)
    if subscription.latest_invoice:
        _void_first_invoice(running, subscription.latest_invoice)
    delete_customer(running, customer)


def _void_first_invoice(running: OperationRun[PurchasePayload], invoice: str) -> None:
    """Void the invoice, which canceling leaves open: its page would still take money."""
    unless_open = running.when(
        endpoints.invoice(invoice), lambda raw: read_invoice(raw).status is not InvoiceStatus.OPEN
    )
    if unless_open() is None:
        running.step_must_succeed("void-first-invoice", endpoints.void_invoice(invoice), unless_open)


# Too late ---------------------------------------------------------------------------------------------


def _undo(running: OperationRun[BuyPayload]) -> str | None:
    """Undo a purchase that is too old to charge for; None if it is paid or on account, and stays."""
    customer = known_customer(running)
    return "nothing had reached Stripe" if customer is None else take_back(running, customer)


def take_back(running: OperationRun[PurchasePayload], customer: str) -> str | None:
    """Cancel the unpaid subscription and delete the customer made for it; None if it is paid and stays."""
    raw = find_subscription(running, customer)
    if raw is None:
        delete_customer(running, customer)
        return "what had reached Stripe is deleted; nothing was charged"
    subscription = read_subscription(raw)
    if _was_paid(running, subscription):
        return None
    _cancel(running, subscription, customer)
    return "the unpaid subscription is canceled; nothing was charged"


register(OperationHandler(BuyPayload, _run, _undo, action=Action.BUY))
