"""Whether there is a card at all: what was bought on account has none."""

from __future__ import annotations

from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_customer
from seatctl.billing.port import Billing
from seatctl.rules.changing import CardRequired
from seatctl.services.gathering import Gathered


def require_card(billing: Billing, found: Gathered) -> None:
    """Raise CardRequired, before anything is made, where nothing could be charged."""
    if found.mirror.default_payment_method is not None:
        return
    customer = billing.read(endpoints.customer(found.mirror.customer_id))
    # Customers from before payment methods have a source; Stripe charges it like a card.
    if read_customer(customer).default_payment_method or customer.get("default_source"):
        return
    name = found.standing.name
    raise CardRequired(
        f"{name}: this is paid by card, and there is none",
        hint=f"seatctl subs billing {quote(name)} --payment-method ID",
        data={"subscription": name},
    )
