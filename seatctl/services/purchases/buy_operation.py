"""The operation that buys a subscription by card or on account (docs/billing.md#purchases).

A declined card leaves nothing behind: the subscription is made with `error_if_incomplete`, and a customer who
was made for the purchase is deleted again. If the bank wants authentication, a second step with its own key
makes the subscription, and the operation waits for up to 23 hours. On account, the first invoice is sent at
once.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import UnreadableObject, read_customer, read_invoice, read_subscription
from seatctl.billing.port import AuthenticationRequired, StripeJson
from seatctl.errors import JsonValue, StripeRefused
from seatctl.ledger import subscriptions, users
from seatctl.ledger.mirror import customers, invoices
from seatctl.ledger.mirror import subscription_updates as mirror
from seatctl.ledger.subscriptions import NewSubscription
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.plan import Policy, TrialWithoutCard
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.billing_details import TaxId
from seatctl.rules.metadata import subscription_metadata
from seatctl.rules.payment_methods import CARD
from seatctl.rules.policies import FLEXIBLE
from seatctl.rules.tax import tax_fields
from seatctl.rules.typed_json import dump
from seatctl.services.charging.pay_invoice import (
    PAYABLE,
    current_invoice,
    is_payment_processing,
    payment_failed,
    payment_problem,
    read_with_payment,
    require_no_payment_processing,
    send_if_draft,
    void_if_payable,
)
from seatctl.services.charging.payer import saved_method
from seatctl.services.notifications.reminders import queue_receipts
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, Payload
from seatctl.services.plans.prices import with_amounts
from seatctl.services.subscriptions.views import SUBSCRIPTION_COLUMNS, due_sentence, subscription_row

_UNPAID = frozenset((SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED))


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasePayload(Payload):
    """A purchase, by whichever way it is paid. Without a `customer`, a new one is made."""

    payment_method: str | None = None
    billing_email: str | None = None
    billing_name: str | None = None
    address: dict[str, JsonValue] | None = None
    tax_ids: tuple[TaxId, ...] = ()
    name: str
    owner: str | None = None
    """An e-mail."""
    seats: int
    plan_id: int
    price: str
    """The plan's price in Stripe."""
    currency: str
    policy: Policy | None = None
    discounts: tuple[JsonValue, ...] = ()
    """In Stripe's words."""
    automatic_tax: bool = False
    card: str | None = None
    """The card of the subscription whose customer pays; None: the customer's default."""
    due_days: int | None = None
    """Days until an invoice on account is due; None charges the card."""
    in_currency: str | None = None
    """The currency to name to Stripe, if the price has several."""
    flexible: bool = False
    """Whether flexible billing is asked for; earlier versions left it to the account."""
    payment_method_types: tuple[str, ...] = (CARD,)
    """The types that may pay, in Stripe's words; empty: those that the account allows."""
    trial_days: int = 0
    """The days of a free trial with which it begins."""

    @property
    def payment_settings(self) -> dict[str, JsonValue]:
        """`payment_settings` of the subscription; they limit the pages of its invoices, too."""
        return {"payment_method_types": [*self.payment_method_types]} if self.payment_method_types else {}

    @property
    def trial(self) -> dict[str, JsonValue]:
        """The trial of the new subscription in Stripe's words; nothing if it has none."""
        if not self.trial_days:
            return {}
        without_card = (self.policy or FLEXIBLE).trial_without_card
        if without_card is TrialWithoutCard.NO:
            return {"trial_period_days": self.trial_days}
        end: JsonValue = {"missing_payment_method": without_card.value}
        return {"trial_period_days": self.trial_days, "trial_settings": {"end_behavior": end}}


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


# The customer -----------------------------------------------------------------------------------------


def paying_customer(running: OperationRun[PurchasePayload]) -> str:
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
        lambda: _find_customer(running),
    )
    return str(answer["id"])


def _form(running: OperationRun[PurchasePayload], payment_method: str | None) -> dict[str, JsonValue]:
    payload = running.payload
    form: dict[str, JsonValue] = {"metadata": running.marks}
    if payment_method:
        form["payment_method"] = payment_method
        form["invoice_settings"] = {"default_payment_method": payment_method}
    details: dict[str, JsonValue] = {
        "email": payload.billing_email,
        "name": payload.billing_name,
        "address": payload.address,
        "tax_id_data": [dump(tax_id) for tax_id in payload.tax_ids],
    }
    return {**form, **{name: value for name, value in details.items() if value}}


def _find_customer(running: OperationRun[Payload]) -> StripeJson | None:
    """Find the customer that this operation made, in Stripe's list: its search lags behind."""
    return running.find_in(endpoints.customers(created_since=running.earliest()))


def known_customer(running: OperationRun[Payload]) -> str | None:
    """Return the customer of an operation that may have been interrupted, None if it has none yet."""
    if running.payload.customer:
        return running.payload.customer
    answer = running.answered("customer") or _find_customer(running)
    return None if answer is None else str(answer["id"])


def delete_customer(running: OperationRun[PurchasePayload], customer: str) -> None:
    """Delete the customer if this operation made it."""
    if not running.payload.customer:
        found = endpoints.customer(customer)
        running.delete(
            "delete-customer", endpoints.delete_customer(customer), lambda: running.is_missing(found)
        )


# The subscription -------------------------------------------------------------------------------------


def _subscription(running: OperationRun[PurchasePayload], customer: str, card: str | None) -> StripeJson:
    """Make the subscription; Stripe charges in the same call, or refuses and makes nothing."""
    paid_by: dict[str, JsonValue] = {"default_payment_method": card} if card else {}
    try:
        at_once = {"payment_behavior": "error_if_incomplete", "off_session": True, **paid_by}
        return _create(running, customer, "subscription", at_once, but=(AuthenticationRequired,))
    except AuthenticationRequired:
        # The cardholder may pay with any card on the invoice's page: it becomes the subscription's card.
        settings: JsonValue = {
            **running.payload.payment_settings,
            "save_default_payment_method": "on_subscription",
        }
        later = {"payment_behavior": "default_incomplete", "payment_settings": settings, **paid_by}
        return _create(running, customer, "subscription-to-authenticate", later)


def _on_account(running: OperationRun[BuyPayload], customer: str, due_days: int) -> StripeSubscription:
    """Make the subscription and send its first invoice, which Stripe would leave a draft for an hour."""
    way: dict[str, JsonValue] = {"collection_method": "send_invoice", "days_until_due": due_days}
    subscription = read_subscription(_create(running, customer, "subscription", way))
    if subscription.latest_invoice is not None:
        try:
            send_if_draft(running, subscription.latest_invoice)
        except StripeRefused as refusal:  # no invoice is sent to a customer who was deleted meanwhile
            now = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
            if not now.status.is_over:
                raise
            _cancel(running, now, customer)
            raise NothingLeftInStripe(refusal) from refusal
    return read_subscription(running.billing.read(endpoints.subscription(subscription.id)))


def _create(
    running: OperationRun[PurchasePayload],
    customer: str,
    step: str,
    way_to_pay: dict[str, JsonValue],
    but: tuple[type[StripeRefused], ...] = (),
) -> StripeJson:
    """Make the subscription; if it is refused, a customer made for it is deleted again."""
    return running.step_or_fail(
        step,
        endpoints.create_subscription({**subscription_form(running, customer), **way_to_pay}),
        running.mine(endpoints.subscriptions_of(customer)),
        lambda: delete_customer(running, customer),
        but,
    )


def subscription_form(running: OperationRun[PurchasePayload], customer: str) -> dict[str, JsonValue]:
    """The form of the subscription, the same for every way of paying; Checkout uses a part of it."""
    payload = running.payload
    form: dict[str, JsonValue] = {
        "customer": customer,
        "items": [{"price": payload.price, "quantity": payload.seats}],
        "metadata": new_metadata(running),
        **({"payment_settings": payload.payment_settings} if payload.payment_settings else {}),
        **payload.trial,
    }
    if (payload.policy or FLEXIBLE).renewal == "manual":
        # A contract that nobody renews ends by itself: the flag is never cleared (docs/billing.md#purchases).
        form["cancel_at_period_end"] = True
    if payload.in_currency is not None:
        form["currency"] = payload.in_currency
    if payload.discounts:
        form["discounts"] = [*payload.discounts]
    if payload.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    if payload.flexible:
        form |= endpoints.FLEXIBLE_BILLING
    return form


def new_metadata(running: OperationRun[PurchasePayload]) -> dict[str, JsonValue]:
    """The metadata of the new subscription: its mark, ledger, name, owner and policy."""
    payload = running.payload
    settings = subscription_metadata(payload.name, payload.owner or None, payload.policy or FLEXIBLE)
    return {**running.marks, **settings}


# Authentication ---------------------------------------------------------------------------------------


def _after_authentication(
    running: OperationRun[PurchasePayload], customer: str, subscription: StripeSubscription
) -> StripeSubscription:
    """Return the subscription once it is paid. Raises WaitingForCardholder, or ends the operation."""
    now = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
    if _was_paid(running, now):
        return now
    require_no_payment_processing(running.billing, [now.latest_invoice])
    problem = payment_problem(running.billing, now.latest_invoice) if now.latest_invoice else None
    if now.status in _UNPAID and not now.status.is_over and not running.keys_expired:
        url = current_invoice(running, now.latest_invoice).hosted_url if now.latest_invoice else None
        running.wait_for_cardholder("the bank wants the cardholder to authenticate", url)
    _cancel(running, now, customer)
    buy_again = "buy again with --payment-method"
    if problem is not None:
        raise NothingLeftInStripe(payment_failed(problem, hint=buy_again))
    reason = "the payment was not authenticated in time; nothing was charged"
    raise NothingLeftInStripe(StripeRefused(reason, hint=buy_again))


def _was_paid(running: OperationRun[PurchasePayload], subscription: StripeSubscription) -> bool:
    """Whether the first payment went through, whatever happened to the subscription since.

    Stripe makes a subscription active while a bank processes its first payment. That counts as paid only if
    the policy gives the seats on trust, and never once that payment has failed.
    """
    if subscription.status in _UNPAID:
        return False
    is_canceled = subscription.status is SubscriptionStatus.CANCELED
    if running.payload.due_days is not None and not is_canceled:
        return True
    invoices = [*map(read_invoice, running.billing.every(endpoints.invoices_of(subscription.id)))]
    if any(invoice.amount_paid for invoice in invoices) or is_canceled:
        return any(invoice.amount_paid for invoice in invoices)
    unpaid = [invoice.id for invoice in invoices if invoice.status in PAYABLE and invoice.amount_remaining]
    if any(is_payment_processing(running.billing, invoice) for invoice in unpaid):
        return (running.payload.policy or FLEXIBLE).seats_while_processing
    return not any(payment_problem(running.billing, invoice) for invoice in unpaid)


def _cancel(running: OperationRun[PurchasePayload], subscription: StripeSubscription, customer: str) -> None:
    def has_ended() -> bool:
        now = read_subscription(running.billing.read(endpoints.subscription(subscription.id)))
        return now.status.is_over

    invoices = [str(raw["id"]) for raw in running.billing.every(endpoints.invoices_of(subscription.id))]
    require_no_payment_processing(running.billing, invoices)
    if not subscription.status.is_over:
        running.delete("cancel-subscription", endpoints.cancel_subscription(subscription.id), has_ended)
    for invoice in invoices:
        # Canceling leaves it open, and its page would still take money.
        is_latest = invoice == subscription.latest_invoice
        void_if_payable(running, invoice, "void-first-invoice" if is_latest else f"void:{invoice}")
    delete_customer(running, customer)


# Too late ---------------------------------------------------------------------------------------------


def _undo(running: OperationRun[BuyPayload]) -> str | None:
    """Undo a purchase that is too old to charge for; None if it is paid or on account, and stays."""
    customer = known_customer(running)
    return "nothing had reached Stripe" if customer is None else take_back(running, customer)


def take_back(running: OperationRun[PurchasePayload], customer: str) -> str | None:
    """Cancel the unpaid subscription and delete the customer made for it; None if it is paid and stays."""
    raw = running.find_in(endpoints.subscriptions_of(customer))
    if raw is None:
        delete_customer(running, customer)
        return "what had reached Stripe is deleted; nothing was charged"
    subscription = read_subscription(raw)
    if _was_paid(running, subscription):
        return None
    _cancel(running, subscription, customer)
    return "the unpaid subscription is canceled; nothing was charged"


# What was bought --------------------------------------------------------------------------------------


def add_bought(running: OperationRun[PurchasePayload], subscription: StripeSubscription) -> Apply:
    """Return the final transaction of a purchase. Stripe is read before it, because it makes no calls."""
    payload = running.payload
    customer = read_customer(running.billing.read(endpoints.customer(subscription.customer_id)))
    invoice = (
        read_with_payment(
            running.billing, running.billing.read(endpoints.invoice(subscription.latest_invoice))
        )
        if subscription.latest_invoice
        else None
    )
    if invoice is not None and invoice.status in PAYABLE and not _was_paid(running, subscription):
        _after_authentication(running, subscription.customer_id, subscription)
    if not subscription.items:
        raise UnreadableObject(f"Stripe's subscription {subscription.id} has no items")

    def apply(tx: Transaction) -> OperationResult:
        bought = with_amounts(tx, subscription)
        customer_row = customers.store(tx, customer)
        added = subscriptions.add(
            tx,
            NewSubscription(
                name=payload.name,
                plan_id=payload.plan_id,
                customer_id=customer_row,
                mirror=bought,
                item=bought.items[0],
                policy=payload.policy,
                owner_id=users.add(tx, payload.owner).id if payload.owner else None,
                home_ledger=running.ledger.id,
            ),
        )
        subscriptions.record_added(tx, added)
        if invoice is not None:
            stored = invoices.store(tx, invoice, customer_id=customer_row, subscription_id=added.id)
            queue_receipts(tx, added.id, [stored] if invoice.amount_paid > 0 else [])
            mirror.update_unpaid_since(tx, added.id, subscription)
        row = {
            **subscription_row(added),
            "billing_email": customer.email,
            **_invoiced(invoice),
            "result": "bought",
        }
        summary = f"bought {counted(payload.seats, 'seat')} of {added.plan_slug} as {added.name}"
        if payload.trial_days:
            summary += f"; its trial ends on {added.term_end:%Y-%m-%d}"
        summary += due_sentence(invoice, customer.email)
        return OperationResult(summary, (row,), SUBSCRIPTION_COLUMNS, charged=_total_due(invoice))

    return apply


def _total_due(invoice: StripeInvoice | None) -> int | None:
    """The total of the first invoice, in minor units; None if a later one is the latest."""
    if invoice is None:
        return 0
    return invoice.amount_due if invoice.billing_reason == "subscription_create" else None


def _invoiced(invoice: StripeInvoice | None) -> dict[str, JsonValue]:
    if invoice is None:
        return {"invoice": None, "amount_paid": 0}
    return {
        "invoice": invoice.number,
        **tax_fields(invoice),
        "amount_paid": invoice.amount_paid,
        "amount_due": invoice.amount_remaining,
        "due_date": None if invoice.due_date is None else format_time(invoice.due_date),
        "invoice_url": invoice.hosted_url,
    }


register(OperationHandler(BuyPayload, _run, _undo, action=Action.BUY))
