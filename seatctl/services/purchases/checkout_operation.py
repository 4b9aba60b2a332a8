"""The operation that buys through Stripe's hosted page (billing.md, "Purchases").

A policy that renews by itself is bought on the page. One that is renewed by hand ends by itself, which
Checkout cannot set: there the page only collects a card, and the purchase follows when it is completed.
The money lock is held while a step is made, never while a page is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from seatctl.billing import endpoints, pages
from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import read_collected_card, read_page, read_subscription
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, StripeJson
from seatctl.errors import Code, JsonValue, StripeRefused
from seatctl.models.stripe_objects import StripePage, StripeSubscription
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.metadata import marks
from seatctl.rules.payment_method_types import CARD
from seatctl.rules.policies import from_fields
from seatctl.services.charging.customer import delete_customer, known_customer, paying_customer
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import KEYS_LAST, NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import WaitingForCardholder
from seatctl.services.purchases.buy_operation import charge, new_metadata, take_back
from seatctl.services.purchases.finish import add_bought

_PAUSE = 2.0
"""Seconds between two looks at a page."""

_LEAST = timedelta(minutes=31)
"""Stripe takes no page that is open for less than half an hour."""

_AFTERWARDS = "https://stripe.com"
"""Where the page leads when it is done; Stripe wants an address, and the program has none."""


class WaitingForPage(WaitingForCardholder):
    """Somebody has to complete Stripe's page; nothing is charged until then."""

    kind = Code.WAITING_FOR_CHECKOUT


def _run(running: OperationRun) -> Apply:
    customer = paying_customer(running)
    session = running.step_or_nothing(
        "checkout",
        pages.create_checkout({**page_form(running, customer), "expires_at": _expires_at(running)}),
        lambda: _find(running, customer),
        lambda: delete_customer(running, customer),
    )
    return add_bought(running, _completed(running, customer, str(session["id"])))


def _completed(running: OperationRun, customer: str, session: str) -> StripeSubscription:
    """What was bought on the page, or with the card it collected.

    Raises WaitingForPage while the page is open, and CameToNothing once it has expired.
    """
    page = _read(running.billing, session)
    if page.status == "open" and running.call.now - running.operation.created_at >= KEYS_LAST:
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
        card = read_collected_card(running.billing.read(pages.setup_intent(page.created_id)))
        return charge(running, customer, card)
    made = read_subscription(running.billing.read(endpoints.subscription(page.created_id)))
    if made.status is SubscriptionStatus.INCOMPLETE:
        raise _waiting(running, page, "Stripe still waits for the money")
    return made


def _waiting(running: OperationRun, page: StripePage, what: str) -> WaitingForPage:
    return WaitingForPage(
        f"{what}: {page.url}" if page.url else what,
        hint=hints.checkout(page.url, page.id),
        data={"url": page.url, "run": running.operation.run, "checkout_session": page.id},
    )


def _read(billing: Billing, session: str) -> StripePage:
    return read_page(billing.read(pages.checkout(session)))


# The page ---------------------------------------------------------------------------------------------


def page_form(running: OperationRun, customer: str) -> dict[str, JsonValue]:
    """The page as it is asked for: one that charges, or one that only collects a card."""
    known = running.payload["policy"]
    policy = from_fields(known if isinstance(known, dict) else {})
    marked = marks(running.ledger.id, running.reference, running.operation.request_id)
    form: dict[str, JsonValue] = {
        "customer": customer,
        "success_url": policy.sign_in_url or _AFTERWARDS,
        "metadata": marked,
        "allowed_payment_method_types": [CARD],
    }
    if policy.renewal == "manual":
        currency = running.payload["currency"]
        return {**form, "mode": "setup", "currency": currency, "setup_intent_data": {"metadata": marked}}
    form |= {
        "mode": "subscription",
        "line_items": [{"price": running.payload["price"], "quantity": running.payload["seats"]}],
        "subscription_data": {"metadata": new_metadata(running)},
    }
    if running.payload.get("discounts"):
        form["discounts"] = running.payload["discounts"]
    if running.payload.get("automatic_tax") is True:
        # Stripe takes the place from the address that is typed on the page.
        form |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
    return form


def _expires_at(running: OperationRun) -> int:
    """Before Stripe forgets the keys: what is completed later could not be told from what is new.

    Unix seconds of Stripe's clock, which refuses a page that would be open for more than a day.
    """
    left = KEYS_LAST - (running.call.now - running.operation.created_at)
    return int((stripe_now(running.billing, running.call) + max(left, _LEAST)).timestamp())


def _find(running: OperationRun, customer: str) -> StripeJson | None:
    try:
        return running.find_in(pages.checkouts_of(customer))
    except MissingInStripe:
        return None


def _expire(running: OperationRun, session: str) -> StripePage:
    """Close the page; it may be completed in this very moment, so what counts is read afterwards."""

    def closed() -> StripeJson | None:
        page = running.billing.read(pages.checkout(session))
        return None if read_page(page).status == "open" else page

    try:
        running.step_at_last("expire", pages.expire_checkout(session), closed)
    except InvalidRequest:
        if closed() is None:
            raise
    return _read(running.billing, session)


def wait_for_page(billing: Billing, waiting: WaitingForPage, sleep: Callable[[float], None]) -> None:
    """Return once the page that is waited for is completed or has expired. Holds no lock."""
    session = str(waiting.data["checkout_session"])
    sleep(_PAUSE)
    while _read(billing, session).status == "open":
        sleep(_PAUSE)


def _undo(running: OperationRun) -> str | None:
    """Close the page; what was completed on it is finished, everything else is taken back."""
    customer = known_customer(running)
    if customer is None:
        return "nothing had reached Stripe"
    page = running.answered("checkout") or _find(running, customer)
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
    return None if now.mode == "subscription" else take_back(running, customer)


HANDLER = OperationHandler(_run, _undo)
