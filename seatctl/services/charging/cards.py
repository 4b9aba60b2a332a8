"""What would be charged: whether there is a card at all, and whether it is one."""

from __future__ import annotations

from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_card, read_payer
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, refuse
from seatctl.models.stripe_objects import StripeCard, StripeSubscription
from seatctl.rules.payment_method_types import check_card, is_looked_up

_CARD_HINT = "give the id of a card: --payment-method pm_…"


def require_card(billing: Billing, mirror: StripeSubscription, name: str) -> None:
    """Raise `card_required` or `not_a_card`, before anything is made, where no card could be charged."""
    if can_be_charged(billing, mirror, name):
        return
    raise refuse(
        Code.CARD_REQUIRED,
        f"{name}: this is paid by card, and there is none",
        hint=f"seatctl subs billing {quote(name)} --payment-method ID",
        data={"subscription": name},
    )


def can_be_charged(billing: Billing, mirror: StripeSubscription, name: str) -> bool:
    """Whether there is something to charge a subscription to. Raises `not_a_card` where that is no card."""
    method, has_source = _charged_method(billing, mirror)
    if method is not None:
        check_card(method.id, method.type, f"seatctl subs billing {quote(name)} --payment-method ID")
    return has_source or method is not None


def require_given_card(billing: Billing, payment_method: str | None) -> None:
    """Raise `not_a_card` for a saved method that is no card; one that is not there is Stripe's to refuse."""
    if payment_method is None or not is_looked_up(payment_method):
        return
    try:
        card = read_card(billing.read(endpoints.payment_method(payment_method)))
    except MissingInStripe:
        return
    check_card(payment_method, card.type, _CARD_HINT)


def _charged_method(billing: Billing, mirror: StripeSubscription) -> tuple[StripeCard | None, bool]:
    """The method that Stripe would charge, the subscription's own first; whether there is an older source.

    Customers from before payment methods have a source, which Stripe charges like a card.
    """
    if mirror.default_payment_method is not None:
        return read_card(billing.read(endpoints.payment_method(mirror.default_payment_method))), False
    return read_payer(billing.read(endpoints.customer_with_card(mirror.customer_id)))
