"""What the clock does by itself: renewals, finalizing drafts, retries, trial ends, expiries.

Each piece of work happens at its own moment, in order, so that a year of renewals is twelve renewals.
"""

from __future__ import annotations

from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store

_LIMIT = 100_000


def work_until(store: Store, moment: int) -> None:
    """Do everything that is due until `moment`; inside the caller's transaction."""
    for _ in range(_LIMIT):
        due = store.next_due()
        if due is None or due[0] > moment:
            break
        at, identifier = due
        obj = store.any(identifier)
        if obj is None:
            break
        session = Session(store, at)
        if obj["object"] == "invoice":
            from seatctl.sandbox.dunning import invoice_due

            invoice_due(session, obj)
        elif obj["object"] == "subscription":
            from seatctl.sandbox.renewals import subscription_due

            subscription_due(session, obj)
        elif obj["object"] == "checkout.session":
            from seatctl.sandbox.checkout import close

            close(session, obj)
        else:
            session.save(obj)
    else:
        raise RuntimeError("the sandbox's clock found no end of work")
