"""The operation that buys through a page that Stripe hosts (docs/billing.md#purchases).

If the policy renews by itself, the page sells the subscription. If it is renewed by hand, it must end by
itself, which Checkout cannot set: then the page only collects a card, and the purchase follows once the page
is completed. The money lock is held during a step, never while somebody is on a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from seatctl.billing import endpoints
from seatctl.billing.objects import read_collected_card, read_page, read_subscription
from seatctl.billing.port import Billing, InvalidRequest, stripe_now
from seatctl.errors import Code, JsonValue, StripeRefused
from seatctl.models.plan import TrialWithoutCard
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripePage, StripeSubscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.policies import FLEXIBLE
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import (
    KEYS_LAST,
    NothingLeftInStripe,
    OperationRun,
    WaitingForCardholder,
)
from seatctl.services.purchases.buy_operation import (
    PurchasePayload,
    add_bought,
    charge,
    delete_customer,
    known_customer,
    new_metadata,
    paying_customer,
    take_back,
)

_PAUSE = 2.0
"""Seconds between two reads of a page."""

_SHORTEST = timedelta(minutes=31)
"""Stripe refuses a page that is open for less than half an hour."""

_SUCCESS_URL = "https://stripe.com"
"""The address that the completed page leads to. Stripe requires one, and this program has none."""


class WaitingForPage(WaitingForCardholder):
    """Somebody must complete Stripe's page; nothing is charged until then."""

    kind = Code.WAITING_FOR_CHECKOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutPayload(PurchasePayload):
    """A purchase on a page that Stripe hosts."""

    kind = "checkout"


def _run(running: OperationRun[CheckoutPayload]) -> Apply:
    customer = paying_customer(running)
    session = running.step_or_fail(
        "checkout",
        endpoints.create_checkout({**page_form(running, customer), "expires_at": _expires_at(running)}),
        running.mine(endpoints.checkouts_of(customer)),
        lambda: delete_customer(running, customer),
    )
    return add_bought(running, _completed(running, customer, str(session["id"])))


def _completed(running: OperationRun[CheckoutPayload], customer: str, session: str) -> StripeSubscription:
    """Return what was bought on the page, or with the card that it collected.

    Raises WaitingForPage while the page is open, and NothingLeftInStripe once it has expired.
    """
    page = _read(running.billing, session)
    if page.status == "open" and running.keys_expired:
        page = _expire(running, session)
    if page.status == "open":
        raise _waiting(running, page, "pay on Stripe's page")
    if page.created_id is None:
        delete_customer(running, customer)
        raise NothingLeftInStripe(
            StripeRefused(
                "the page was not completed in time; nothing was charged",
                hint="run the same command again for a new page",
            )
        )
    if page.mode == "setup":
        card = read_collected_card(running.billing.read(endpoints.setup_intent(page.created_id)))
        return charge(running, customer, card)
    subscription = read_subscription(running.billing.read(endpoints.subscription(page.created_id)))
    if subscription.status is SubscriptionStatus.INCOMPLETE:
        raise _waiting(running, page, "Stripe still waits for the money")
    return subscription


def _waiting(running: OperationRun[CheckoutPayload], page: StripePage, what: str) -> WaitingForPage:
    return WaitingForPage(
        f"{what}: {page.url}" if page.url else what,
        hint=hints.checkout(page.url, page.id),
        data={"url": page.url, "run": running.operation.run, "checkout_session": page.id},
    )


def _read(billing: Billing, session: str) -> StripePage:
    return read_page(billing.read(endpoints.checkout(session)))


# The page ---------------------------------------------------------------------------------------------


def page_form(running: OperationRun[CheckoutPayload], customer: str) -> dict[str, JsonValue]:
    """The form of the page: one that charges, or one that only collects a card."""
    payload, policy = running.payload, running.payload.policy or FLEXIBLE
    form: dict[str, JsonValue] = {
        "customer": customer,
        "success_url": policy.sign_in_url or _SUCCESS_URL,
        "metadata": running.marks,
    }
    if payload.payment_method_types:
        form["allowed_payment_method_types"] = [*payload.payment_method_types]
    if policy.renewal == "manual":
        intent: JsonValue = {"metadata": running.marks}
        return {**form, "mode": "setup", "currency": payload.currency, "setup_intent_data": intent}
    billing_mode = endpoints.FLEXIBLE_BILLING if payload.flexible else {}
    form |= {
        "mode": "subscription",
        "line_items": [{"price": payload.price, "quantity": payload.seats}],
        "subscription_data": {"metadata": new_metadata(running), **billing_mode, **payload.trial},
    }
    if payload.trial_days and policy.trial_without_card is not TrialWithoutCard.NO:
        form["payment_method_collection"] = "if_required"
    if payload.in_currency is not None:
        form["currency"] = payload.in_currency
    if payload.discounts:
        form["discounts"] = [*payload.discounts]
    if payload.automatic_tax:
        # Stripe takes the location from the address that is typed on the page; a tax id needs the name, too.
        form |= {"automatic_tax": {"enabled": True}, "tax_id_collection": {"enabled": True}}
        form["customer_update"] = {"address": "auto", "name": "auto"}
    return form


def _expires_at(running: OperationRun[CheckoutPayload]) -> int:
    """When the page expires (unix seconds, Stripe's clock): before Stripe forgets the keys.

    A page that is completed later could not be told from a new one. Stripe allows at most a day.
    """
    remaining = KEYS_LAST - (running.call.now - running.operation.created_at)
    return int((stripe_now(running.billing, running.call) + max(remaining, _SHORTEST)).timestamp())


def _expire(running: OperationRun[CheckoutPayload], session: str) -> StripePage:
    """Close the page, and return it as it is then: it may be completed at the same moment."""
    closed = running.when(endpoints.checkout(session), lambda raw: read_page(raw).status != "open")
    try:
        running.step_must_succeed("expire", endpoints.expire_checkout(session), closed)
    except InvalidRequest:
        if closed() is None:
            raise
    return _read(running.billing, session)


def wait_for_page(billing: Billing, waiting: WaitingForPage, sleep: Callable[[float], None]) -> None:
    """Return once the page is completed or has expired. Holds no lock."""
    session = str(waiting.data["checkout_session"])
    sleep(_PAUSE)
    while _read(billing, session).status == "open":
        sleep(_PAUSE)


def _undo(running: OperationRun[CheckoutPayload]) -> str | None:
    """Close the page and undo everything; None if the page was completed, to finish the purchase."""
    customer = known_customer(running)
    if customer is None:
        return "nothing had reached Stripe"
    page = running.answered("checkout") or running.find_in(endpoints.checkouts_of(customer))
    if page is None:
        delete_customer(running, customer)
        return "what had reached Stripe is deleted; nothing was charged"
    session = str(page["id"])
    now = _read(running.billing, session)
    if now.status == "open":
        now = _expire(running, session)
    if now.status != "complete":
        delete_customer(running, customer)
        return "its page is closed; nothing was charged"
    if now.mode == "subscription" and now.created_id is not None:
        made = read_subscription(running.billing.read(endpoints.subscription(now.created_id)))
        if made.status is SubscriptionStatus.INCOMPLETE:
            return None
    return take_back(running, customer)


register(OperationHandler(CheckoutPayload, _run, _undo, action=Action.BUY))
