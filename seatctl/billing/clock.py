"""The clock for comparisons with Stripe's times: the time of Stripe's last answer."""

from __future__ import annotations

from datetime import datetime

from seatctl.billing.port import Billing
from seatctl.models.call import Call


def stripe_now(billing: Billing, call: Call) -> datetime:
    """Return Stripe's time at its last answer, UTC; our own time before the first answer.

    The machine's clock may be hours off. A `proration_date` from it could be outside of the period, which
    Stripe refuses, or in the wrong term.
    """
    return billing.clock() or call.now
