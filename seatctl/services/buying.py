"""The operation that buys a subscription by card: customer, subscription, ledger (billing.md, "Purchases").

A declined card leaves nothing: the subscription is made with `error_if_incomplete`, and a customer that
this operation made is deleted again. A bank that wants authentication gets a second step with a key of
its own; the operation then waits at most 23 hours.
"""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer, read_invoice, read_subscription
from seatctl.billing.port import AuthenticationRequired, MissingInStripe, StripeJson, Write
from seatctl.errors import JsonValue, SeatctlError, StripeRefused
from seatctl.ledger import customers, invoices, subscriptions, users
from seatctl.ledger.subscriptions import Bought
from seatctl.ledger.transaction import Transaction
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.metadata import made_by, marks, subscription_metadata
from seatctl.rules.policies import from_fields
from seatctl.services.operations import Apply, Ending, Handler, WaitingForCardholder
from seatctl.services.steps import KEYS_LAST, CameToNothing, Running
from seatctl.services.subscription_rows import SUBSCRIPTION_COLUMNS, subscription_row

_CLOCKS_DIFFER = 300
"""Seconds by which Stripe's clock may be behind ours."""

_UNPAID = frozenset((SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED))
_ENDED = frozenset((SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED))


def _run(running: Running) -> Apply:
    customer = _customer(running)
    resumed = running.was_sent("subscription")
    made = read_subscription(_subscription(running, customer))
    if resumed or made.status in _UNPAID:
        made = _after_authentication(running, customer, made)
    return _apply(running, customer, made)


def _text(running: Running, name: str) -> str | None:
    value = running.payload.get(name)
    return value if isinstance(value, str) and value else None


# The customer -----------------------------------------------------------------------------------------


def _customer(running: Running) -> str:
    """The Stripe id of who pays: the one named, or one made here with its card as the default."""
    existing = _text(running, "customer")
    if existing:
        return existing
    payment_method = _payment_method(running)
    made = running.step_or_nothing(
        "customer",
        endpoints.create_customer(_customer_form(running, payment_method)),
        lambda: find_customer(running),
    )
    return str(made["id"])


def _payment_method(running: Running) -> str:
    """The saved method, or one made of a token; a token can be used only once, so it is a step."""
    given = str(_text(running, "payment_method"))
    if not given.startswith("tok_"):
        return given
    form: dict[str, JsonValue] = {"type": "card", "card": {"token": given}}
    made = running.step_or_nothing("payment-method", endpoints.create_payment_method(form), lambda: None)
    return str(made["id"])


def _customer_form(running: Running, payment_method: str) -> dict[str, JsonValue]:
    form: dict[str, JsonValue] = {
        "payment_method": payment_method,
        "invoice_settings": {"default_payment_method": payment_method},
        "metadata": _marks(running),
    }
    for field, name in (("email", "billing_email"), ("name", "billing_name")):
        value = _text(running, name)
        if value:
            form[field] = value
    return form


def _marks(running: Running) -> dict[str, JsonValue]:
    return marks(running.ledger.id, running.reference, running.operation.request_id)


def find_customer(running: Running) -> StripeJson | None:
    """The customer that this operation made, as Stripe lists it (never by search, which lags)."""
    since = int(running.operation.created_at.timestamp()) - _CLOCKS_DIFFER
    listed = running.billing.every(endpoints.customers(created_since=since))
    return next((customer for customer in listed if made_by(customer, running.reference)), None)


def _delete_customer(running: Running, customer: str) -> None:
    """Leave no customer behind that this operation made; one that was there before stays."""
    if _text(running, "customer"):
        return

    def gone() -> bool:
        try:
            return read_customer(running.billing.read(endpoints.customer(customer))).deleted
        except MissingInStripe:
            return True

    running.delete("delete-customer", endpoints.delete_customer(customer), gone)


# The subscription -------------------------------------------------------------------------------------


def _subscription(running: Running, customer: str) -> StripeJson:
    """Charged inside this call, or refused and nothing kept."""

    def find() -> StripeJson | None:
        return _find_subscription(running, customer)

    def undo() -> None:
        _delete_customer(running, customer)

    def create(behavior: str) -> Write:
        return endpoints.create_subscription(_subscription_form(running, customer, behavior))

    try:
        return running.step_or_nothing(
            "subscription", create("error_if_incomplete"), find, undo, but=(AuthenticationRequired,)
        )
    except AuthenticationRequired:
        return running.step_or_nothing(
            "subscription-to-authenticate", create("default_incomplete"), find, undo
        )


def _subscription_form(running: Running, customer: str, behavior: str) -> dict[str, JsonValue]:
    policy = from_fields(_policy(running))
    form: dict[str, JsonValue] = {
        "customer": customer,
        "items": [{"price": running.payload["price"], "quantity": running.payload["seats"]}],
        "payment_behavior": behavior,
        "metadata": {
            **_marks(running),
            **subscription_metadata(str(_text(running, "name")), _text(running, "owner"), policy),
        },
    }
    if policy.renewal == "manual":
        # A contract that nobody renews ends by itself; the flag is never cleared (billing.md).
        form["cancel_at_period_end"] = True
    return form


def _policy(running: Running) -> dict[str, JsonValue]:
    policy = running.payload["policy"]
    return policy if isinstance(policy, dict) else {}


def _find_subscription(running: Running, customer: str) -> StripeJson | None:
    listed = running.billing.every(endpoints.subscriptions_of(customer))
    try:
        return next((found for found in listed if made_by(found, running.reference)), None)
    except MissingInStripe:
        return None  # the customer is deleted, perhaps by the undo of this operation; nothing can be charged


def _after_authentication(running: Running, customer: str, made: StripeSubscription) -> StripeSubscription:
    """The subscription as it is now, paid. Raises WaitingForCardholder, or ends the operation."""
    now = read_subscription(running.billing.read(endpoints.subscription(made.id)))
    if _was_paid(running, now):
        return now
    if now.status not in _ENDED and running.call.now - running.operation.created_at < KEYS_LAST:
        raise _waiting(running, now)
    _cancel(running, now, customer)
    raise CameToNothing(
        StripeRefused(
            "the payment was not authenticated in time; nothing was charged",
            hint="buy again with --payment-method",
        )
    )


def _was_paid(running: Running, subscription: StripeSubscription) -> bool:
    """Whether the first payment went through, whatever became of the subscription since."""
    if subscription.status is SubscriptionStatus.CANCELED:
        billed = map(read_invoice, running.billing.every(endpoints.invoices_of(subscription.id)))
        return any(invoice.amount_paid for invoice in billed)
    return subscription.status not in _UNPAID


def _waiting(running: Running, subscription: StripeSubscription) -> SeatctlError:
    url = None
    if subscription.latest_invoice:
        url = read_invoice(running.billing.read(endpoints.invoice(subscription.latest_invoice))).hosted_url
    return WaitingForCardholder(
        f"the bank wants the cardholder to authenticate: {url}",
        hint="open the page, then: seatctl sync",
        data={"url": url, "run": running.operation.run},
    )


def _cancel(running: Running, subscription: StripeSubscription, customer: str) -> None:
    def gone() -> bool:
        found = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
        return found.status in _ENDED

    if subscription.status not in _ENDED:
        running.delete("cancel-subscription", endpoints.cancel_subscription(subscription.id), gone)
    _delete_customer(running, customer)


# The ledger -------------------------------------------------------------------------------------------


def _apply(running: Running, customer_id: str, mirror: StripeSubscription) -> Apply:
    """Everything Stripe says is read before the transaction: none spans a call."""
    customer = read_customer(running.billing.read(endpoints.customer(customer_id)))
    invoice = (
        read_invoice(running.billing.read(endpoints.invoice(mirror.latest_invoice)))
        if mirror.latest_invoice
        else None
    )
    item, seats = mirror.items[0], running.payload["seats"]

    def apply(tx: Transaction) -> Ending:
        customer_row = customers.upsert(tx, customer)
        owner = _text(running, "owner")
        added = subscriptions.add(
            tx,
            Bought(
                name=str(_text(running, "name")),
                plan_id=int(str(running.payload["plan_id"])),
                price_id=item.price.id,
                customer_id=customer_row,
                subscription=mirror,
                item=item,
                capacity=item.quantity or 0,
                policy=_policy(running),
                owner_id=users.add(tx, owner).id if owner else None,
                home_ledger=running.ledger.id,
            ),
        )
        if invoice is not None:
            invoices.upsert(tx, invoice, customer_id=customer_row, subscription_id=added.id)
        row = {
            **subscription_row(added),
            "invoice": None if invoice is None else invoice.number,
            "amount_paid": 0 if invoice is None else invoice.amount_paid,
            "result": "bought",
        }
        return Ending(
            f"bought {seats} seats of {added.plan_slug} as {added.name}", (row,), SUBSCRIPTION_COLUMNS
        )

    return apply


def _undo(running: Running) -> str | None:
    """Too old to charge anybody for: keep what was paid, take back the rest."""
    customer = _text(running, "customer")
    if customer is None:
        made = running.answered("customer") or find_customer(running)
        if made is None:
            return "nothing had reached Stripe"
        customer = str(made["id"])
    found = _find_subscription(running, customer)
    if found is None:
        _delete_customer(running, customer)
        return "what had reached Stripe is deleted; nothing was charged"
    subscription = read_subscription(found)
    if _was_paid(running, subscription):
        return None
    _cancel(running, subscription, customer)
    return "the unpaid subscription is canceled; nothing was charged"


HANDLER = Handler(_run, _undo)
