"""Checks that there is something to charge, and that it is a card."""

from __future__ import annotations

from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_card, read_payer
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, refuse
from seatctl.models.stripe_objects import StripeCard, StripeSubscription
from seatctl.rules.purchases import check_card, is_looked_up

_CARD_HINT = "give the id of a card: --payment-method pm_…"


def require_card(billing: Billing, mirror: StripeSubscription, name: str) -> None:
    """Raise `card_required` or `not_a_card` unless a card could be charged, before anything is made."""
    if can_be_charged(billing, mirror, name):
        return
    raise refuse(
        Code.CARD_REQUIRED,
        f"{name} has no card, and this is charged to one",
        hint=f"seatctl subs billing {quote(name)} --payment-method ID",
        data={"subscription": name},
    )


def can_be_charged(billing: Billing, mirror: StripeSubscription, name: str) -> bool:
    """Whether Stripe can charge the subscription to something. Raises `not_a_card` unless that is a card."""
    method, has_source = _charged_method(billing, mirror)
    if method is not None:
        check_card(method.id, method.type, f"seatctl subs billing {quote(name)} --payment-method ID")
    return has_source or method is not None


def require_given_card(billing: Billing, payment_method: str | None) -> None:
    """Raise `not_a_card` for a saved method that is not a card; if it does not exist, Stripe refuses it
    later.
    """
    if payment_method is None or not is_looked_up(payment_method):
        return
    try:
        card = read_card(billing.read(endpoints.payment_method(payment_method)))
    except MissingInStripe:
        return
    check_card(payment_method, card.type, _CARD_HINT)


def _charged_method(billing: Billing, mirror: StripeSubscription) -> tuple[StripeCard | None, bool]:
    """Return the method that Stripe would charge, and whether there is an older source.

    The subscription's own method comes first. Customers from before payment methods have a source, which
    Stripe charges like a card.
    """
    if mirror.default_payment_method is not None:
        return read_card(billing.read(endpoints.payment_method(mirror.default_payment_method))), False
    return read_payer(billing.read(endpoints.customer_with_card(mirror.customer_id)))
