"""Which Stripe account a key belongs to."""

from __future__ import annotations

from seatctl.billing.endpoints import account
from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import Billing, InvalidRequest, KeyLacksPermission, MissingInStripe


def account_id(billing: Billing) -> str | None:
    """The id of the account behind the key; None if Stripe does not tell this key.

    A restricted key is answered 403. A server that speaks only a part of Stripe's API (a proxy, a mock)
    answers 404 or 400. Raises KeyRejected, UnreadableObject and what the port raises if no answer came.
    """
    try:
        found = billing.read(account()).get("id")
    except (KeyLacksPermission, MissingInStripe, InvalidRequest):
        return None
    if not isinstance(found, str):
        raise UnreadableObject("Stripe's account has no id")
    return found
