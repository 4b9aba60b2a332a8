"""The limits of one subscription, as Stripe documents them: new invoices, and updates of quantities.

A request beyond them is answered 429 and changes nothing. What the clock does is not limited.
"""

from __future__ import annotations

from itertools import islice

from seatctl.sandbox.clock import DAY, HOUR
from seatctl.sandbox.errors import rate_limited
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

_NEW_INVOICES = ((60, 10), (DAY, 20))
"""Seconds, and how many new invoices of one subscription are made in them."""
_QUANTITY_UPDATES = 200
"""How often the quantities of one subscription are updated in an hour."""


def check_new_invoice(session: Session, subscription: str) -> None:
    """Refuse an invoice more than Stripe makes for a subscription in a minute or a day."""
    if session.preview or session.request_id is None:
        return
    most = max(count for _, count in _NEW_INVOICES)
    made = [
        invoice["created"] for invoice in islice(session.store.walk("invoice", parent=subscription), most)
    ]
    for seconds, count in _NEW_INVOICES:
        if sum(created > session.now - seconds for created in made) >= count:
            raise rate_limited()


def note_quantity_update(session: Session, subscription: Obj) -> None:
    """Count an update of quantities, and refuse one more than Stripe accepts in an hour."""
    if session.preview:
        return
    times = [moment for moment in subscription.get("_quantity_updates", []) if moment > session.now - HOUR]
    if len(times) >= _QUANTITY_UPDATES:
        raise rate_limited()
    subscription["_quantity_updates"] = [*times, session.now]
