"""What the clock does by itself: renewals, finalizing drafts, retries, trial ends, expiries.

Each piece of work happens at its own moment, in order, so that a year of renewals is twelve renewals.
"""

from __future__ import annotations

from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store

_STUCK = 100  # that many pieces of work on one object at one moment never end


def work_until(store: Store, moment: int) -> None:
    """Do everything that is due until `moment`; inside the caller's transaction.

    Raises RuntimeError if work on an object leaves the same work behind.
    """
    last, again = None, 0
    while (due := store.next_due()) is not None and due[0] <= moment:
        last, again = due, again + 1 if due == last else 0
        if again > _STUCK:
            raise RuntimeError(f"the sandbox's clock found no end of work on {due[1]}")
        at, identifier = due
        obj = store.get_any(identifier)
        if obj is not None:
            _work(Session(store, at), obj)


def _work(session: Session, obj: Obj) -> None:
    if obj["object"] == "invoice":
        from seatctl.sandbox.billing.dunning import invoice_due

        invoice_due(session, obj)
    elif obj["object"] == "subscription":
        from seatctl.sandbox.billing.renewals import subscription_due

        subscription_due(session, obj)
    elif obj["object"] == "checkout.session":
        from seatctl.sandbox.resources.checkout_sessions import expire_session

        expire_session(session, obj)
    else:
        session.save(obj)
