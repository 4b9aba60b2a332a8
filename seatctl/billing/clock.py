"""The time that counts where ours is compared with Stripe's: that of Stripe's last answer."""

from __future__ import annotations

from datetime import datetime

from seatctl.billing.port import Billing
from seatctl.models.call import Call


def stripe_now(billing: Billing, call: Call) -> datetime:
    """Stripe's time when it last answered, UTC; ours while it has not.

    A machine's clock may be hours off. A `proration_date` of it may lie outside of the period, which Stripe
    refuses, and at a border it would take the next term for the running one.
    """
    return billing.clock() or call.now
