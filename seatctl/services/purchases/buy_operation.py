"""The operation that buys a subscription by card or on account (billing.md, "Purchases").

A declined card leaves nothing: the subscription is made with `error_if_incomplete`, and a customer that
this operation made is deleted again. A bank that wants authentication gets a second step with a key of
its own; the operation then waits at most 23 hours. On account the first invoice is sent at once.
"""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.billing.port import AuthenticationRequired, MissingInStripe, StripeJson, Write
from seatctl.errors import JsonValue, SeatctlError, StripeRefused
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.metadata import marks, subscription_metadata
from seatctl.rules.payment_method_types import cards_only
from seatctl.rules.policies import from_fields
from seatctl.services.charging.customer import delete_customer, known_customer, paying_customer, text
from seatctl.services.charging.own_invoice import send_if_draft
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import KEYS_LAST, NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import WaitingForCardholder
from seatctl.services.purchases.finish import add_bought

_UNPAID = frozenset((SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED))
_ENDED = frozenset((SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED))


def _run(running: OperationRun) -> Apply:
    customer = paying_customer(running)
    if running.payload.get("due_days") is not None:
        return add_bought(running, _on_account(running, customer))
    return add_bought(running, charge(running, customer, text(running, "card")))


def charge(running: OperationRun, customer: str, card: str | None) -> StripeSubscription:
    """The subscription, paid: by `card`, else by the customer's default.

    Raises WaitingForCardholder, and CameToNothing with nothing left behind.
    """
    resumed = running.was_sent("subscription")
    made = read_subscription(_subscription(running, customer, card))
    if resumed or made.status in _UNPAID:
        return _after_authentication(running, customer, made)
    return made


# The subscription -------------------------------------------------------------------------------------


def _subscription(running: OperationRun, customer: str, card: str | None) -> StripeJson:
    """Charged inside this call, or refused and nothing kept."""

    def find() -> StripeJson | None:
        return find_subscription(running, customer)

    def undo() -> None:
        delete_customer(running, customer)

    def create(behavior: str) -> Write:
        form = subscription_form(running, customer)
        form["payment_behavior"] = behavior
        if behavior == "default_incomplete":
            # The cardholder pays on the invoice's page, with whatever card: that one pays from then on.
            settings = form.get("payment_settings")
            form["payment_settings"] = {
                **(settings if isinstance(settings, dict) else {}),
                "save_default_payment_method": "on_subscription",
            }
        else:
            form["off_session"] = True
        if card is not None:
            form["default_payment_method"] = card
        return endpoints.create_subscription(form)

    try:
        return running.step_or_nothing(
            "subscription", create("error_if_incomplete"), find, undo, but=(AuthenticationRequired,)
        )
    except AuthenticationRequired:
        return running.step_or_nothing(
            "subscription-to-authenticate", create("default_incomplete"), find, undo
        )


def _on_account(running: OperationRun, customer: str) -> StripeSubscription:
    """The subscription with its first invoice sent: left alone it would stay a draft for an hour."""
    form = subscription_form(running, customer)
    form |= {"collection_method": "send_invoice", "days_until_due": running.payload["due_days"]}

    def undo() -> None:
        delete_customer(running, customer)

    made = read_subscription(
        running.step_or_nothing(
            "subscription",
            endpoints.create_subscription(form),
            lambda: find_subscription(running, customer),
            undo,
        )
    )
    if made.latest_invoice is not None:
        send_if_draft(running, made.latest_invoice)
    return read_subscription(running.billing.read(endpoints.subscription(made.id)))


def subscription_form(running: OperationRun, customer: str) -> dict[str, JsonValue]:
    """What every way of paying has in common; Checkout takes a part of it."""
    policy = from_fields(_policy(running))
    form: dict[str, JsonValue] = {
        "customer": customer,
        "items": [{"price": running.payload["price"], "quantity": running.payload["seats"]}],
        "metadata": new_metadata(running),
        "payment_settings": cards_only(),
    }
    if policy.renewal == "manual":
        # A contract that nobody renews ends by itself; the flag is never cleared (billing.md).
        form["cancel_at_period_end"] = True
    if running.payload.get("discounts"):
        form["discounts"] = running.payload["discounts"]
    if running.payload.get("automatic_tax") is True:
        form["automatic_tax"] = {"enabled": True}
    return form


def new_metadata(running: OperationRun) -> dict[str, JsonValue]:
    """What the metadata of the new subscription says: whose it is, its name, its owner, its policy."""
    policy = from_fields(_policy(running))
    return {
        **marks(running.ledger.id, running.reference, running.operation.request_id),
        **subscription_metadata(str(text(running, "name")), text(running, "owner"), policy),
    }


def _policy(running: OperationRun) -> dict[str, JsonValue]:
    policy = running.payload["policy"]
    return policy if isinstance(policy, dict) else {}


def find_subscription(running: OperationRun, customer: str) -> StripeJson | None:
    """The subscription that this operation made for a customer."""
    try:
        return running.find_in(endpoints.subscriptions_of(customer))
    except MissingInStripe:
        return None  # the customer is deleted, perhaps by the undo of this operation; nothing can be charged


# Authentication ---------------------------------------------------------------------------------------


def _after_authentication(
    running: OperationRun, customer: str, made: StripeSubscription
) -> StripeSubscription:
    """The subscription as it is now, paid. Raises WaitingForCardholder, or ends the operation."""
    now = read_subscription(running.billing.read(endpoints.subscription(made.id)))
    if _was_paid(running, now):
        return now
    require_no_payment_processing(running.billing, [now.latest_invoice])
    if now.status not in _ENDED and running.call.now - running.operation.created_at < KEYS_LAST:
        raise _waiting(running, now)
    _cancel(running, now, customer)
    raise NothingLeftInStripe(
        StripeRefused(
            "the payment was not authenticated in time; nothing was charged",
            hint="buy again with --payment-method",
        )
    )


def _was_paid(running: OperationRun, subscription: StripeSubscription) -> bool:
    """Whether the first payment went through, whatever became of the subscription since."""
    if subscription.status is SubscriptionStatus.CANCELED:
        billed = map(read_invoice, running.billing.every(endpoints.invoices_of(subscription.id)))
        return any(invoice.amount_paid for invoice in billed)
    return subscription.status not in _UNPAID


def _waiting(running: OperationRun, subscription: StripeSubscription) -> SeatctlError:
    url = None
    if subscription.latest_invoice:
        url = read_invoice(running.billing.read(endpoints.invoice(subscription.latest_invoice))).hosted_url
    return WaitingForCardholder(
        f"the bank wants the cardholder to authenticate: {url}",
        hint=hints.page(url),
        data={"url": url, "run": running.operation.run},
    )


def _cancel(running: OperationRun, subscription: StripeSubscription, customer: str) -> None:
    def gone() -> bool:
        found = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
        return found.status in _ENDED

    require_no_payment_processing(running.billing, [subscription.latest_invoice])
    if subscription.status not in _ENDED:
        running.delete("cancel-subscription", endpoints.cancel_subscription(subscription.id), gone)
    _void_first_invoice(running, subscription)
    delete_customer(running, customer)


def _void_first_invoice(running: OperationRun, subscription: StripeSubscription) -> None:
    """Its page would still take money for a subscription that is gone: canceling leaves it open."""
    invoice = subscription.latest_invoice
    if not invoice:
        return

    def unless_open() -> StripeJson | None:
        found = running.billing.read(endpoints.invoice(invoice))
        return None if read_invoice(found).status is InvoiceStatus.OPEN else found

    if unless_open() is None:
        running.step_at_last("void-first-invoice", endpoints.void_invoice(invoice), unless_open)


# Too late ---------------------------------------------------------------------------------------------


def _undo(running: OperationRun) -> str | None:
    """Too old to charge anybody for: keep what was paid, or runs on account; take back the rest."""
    customer = known_customer(running)
    return "nothing had reached Stripe" if customer is None else take_back(running, customer)


def take_back(running: OperationRun, customer: str) -> str | None:
    """Cancel what is unpaid and delete the customer made for it; None where it is paid for and stays."""
    found = find_subscription(running, customer)
    if found is None:
        delete_customer(running, customer)
        return "what had reached Stripe is deleted; nothing was charged"
    subscription = read_subscription(found)
    if _was_paid(running, subscription):
        return None
    _cancel(running, subscription, customer)
    return "the unpaid subscription is canceled; nothing was charged"


HANDLER = OperationHandler(_run, _undo)
