"""Who pays and how: the customer, the card, coupons and promotion codes, as Stripe has them."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_card, read_customer, read_payer
from seatctl.billing.port import Billing, MissingInStripe, StripeJson
from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.stripe_objects import StripeCard, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules import hints
from seatctl.rules.payment_methods import CARD, Accepted
from seatctl.rules.purchases import is_looked_up
from seatctl.services.operations.steps import OperationRun, Payload

_OTHER_METHOD = "give the id of another one: --payment-method pm_…"


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


def saved_method(running: OperationRun[Payload], given: str, undo: Callable[[], None] = lambda: None) -> str:
    """Return the saved method, or one made from a token. A token works only once, so that is a step."""
    if not given.startswith("tok_"):
        return given
    form: dict[str, JsonValue] = {"type": "card", "card": {"token": given}}
    answer = running.step_or_fail("payment-method", endpoints.create_payment_method(form), lambda: None, undo)
    return str(answer["id"])


def require_card(billing: Billing, mirror: StripeSubscription, name: str, accepted: Accepted) -> None:
    """Raise `card_required` unless something can be charged, and what `can_be_charged` raises."""
    if can_be_charged(billing, mirror, name, accepted):
        return
    raise refuse(
        Code.CARD_REQUIRED,
        f"{name} has no card or other payment method, and this is charged to one",
        hint=f"seatctl subs billing {quote(name)} --payment-method ID",
        data={"subscription": name},
    )


def can_be_charged(billing: Billing, mirror: StripeSubscription, name: str, accepted: Accepted) -> bool:
    """Whether Stripe can charge the subscription to something.

    Raises `not_a_card` or `payment_method_not_accepted` if the plan does not take it.
    """
    method, has_source = charged_method(billing, mirror)
    if method is not None:
        accepted.check(method.id, method.type, f"seatctl subs billing {quote(name)} --payment-method ID")
    return has_source or method is not None


def check_given_method(billing: Billing, payment_method: str | None, accepted: Accepted) -> str:
    """Return the type of a saved method; if it does not exist, Stripe refuses it later.

    Raises `not_a_card` or `payment_method_not_accepted` if the plan does not take it.
    """
    kind = CARD  # tokens and Stripe's test cards
    if payment_method is None:
        return kind
    if is_looked_up(payment_method):
        try:
            kind = read_card(billing.read(endpoints.payment_method(payment_method))).type
        except MissingInStripe:
            return kind
    accepted.check(payment_method, kind, _OTHER_METHOD)
    return kind


def charged_method(billing: Billing, mirror: StripeSubscription) -> tuple[StripeCard | None, bool]:
    """Return the method that Stripe would charge, and whether there is an older source.

    The subscription's own method comes first. Customers from before payment methods have a source, which
    Stripe charges like a card.
    """
    if mirror.default_payment_method is not None:
        return read_card(billing.read(endpoints.payment_method(mirror.default_payment_method))), False
    return read_payer(billing.read(endpoints.customer_with_card(mirror.customer_id)))


def find_discounts(billing: Billing, promo: str | None, coupon: str | None) -> tuple[tuple[str, str], ...]:
    """Return (`coupon` or `promotion_code`, its id) of each one given.

    Raises `unknown_promotion_code`, `unknown_coupon`. Stripe checks whether it is still valid when it is
    used.
    """
    discounts: list[tuple[str, str]] = []
    if coupon:
        try:
            discounts.append(("coupon", str(billing.read(endpoints.coupon(coupon))["id"])))
        except MissingInStripe:
            raise refuse(
                Code.UNKNOWN_COUPON,
                f"there is no coupon {coupon!r}",
                hint="a code that customers type is given with --promo",
                data={"coupon": coupon},
            ) from None
    if promo:
        codes = list(billing.every(endpoints.promotion_codes(promo)))
        if not codes:
            raise refuse(
                Code.UNKNOWN_PROMOTION_CODE,
                f"there is no active promotion code {promo!r}",
                hint="a coupon's id is given with --coupon",
                data={"promotion_code": promo},
            )
        discounts.append(("promotion_code", str(codes[0]["id"])))
    return tuple(discounts)


def discount_forms(discounts: tuple[tuple[str, str], ...], existing: tuple[str, ...] = ()) -> list[JsonValue]:
    """Return the discounts in Stripe's words, after the `existing` ones of the subscription."""
    if not discounts:
        return []
    old: list[JsonValue] = [{"discount": discount} for discount in existing]
    new: list[JsonValue] = [{kind: identifier} for kind, identifier in discounts]
    return [*old, *new]
