"""The Stripe account of a key."""

from __future__ import annotations

from http import HTTPStatus

from seatctl.billing.endpoints import account
from seatctl.billing.port import (
    Billing,
    InvalidRequest,
    KeyLacksPermission,
    MissingInStripe,
    UnreadableAnswer,
)


def account_id(billing: Billing) -> str | None:
    """Return the id of the account behind the key; None if Stripe does not tell this key.

    A restricted key gets 403. A server that speaks only part of Stripe's API (a proxy, a mock) answers 404 or
    400, a 404 in any form. Raises KeyRejected, and the port's errors if no answer came.
    """
    try:
        return str(billing.read(account())["id"])
    except (KeyLacksPermission, MissingInStripe, InvalidRequest):
        return None
    except UnreadableAnswer as answer:
        if answer.data.get("stripe_status") != HTTPStatus.NOT_FOUND:
            raise
        return None
