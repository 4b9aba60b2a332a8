"""Work that is due by the clock: renewals, finalizing drafts, retries, ends of trials, expiries.

Each piece of work is done as of its own moment, in order: a year of monthly renewals is twelve renewals.
"""

from __future__ import annotations

from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store

_MOST_REPEATS = 100
"""Work that is repeated on one object at one moment more often than this would never end."""


def work_until(store: Store, moment: int) -> None:
    """Do all work that is due until `moment`, in the caller's transaction.

    Raises RuntimeError if work on an object leaves the same work due again.
    """
    last, repeats = None, 0
    while (due := store.next_due()) is not None and due[0] <= moment:
        last, repeats = due, repeats + 1 if due == last else 0
        if repeats > _MOST_REPEATS:
            raise RuntimeError(f"the sandbox's clock never finishes its work on {due[1]}")
        due_at, identifier = due
        obj = store.get_any(identifier)
        if obj is not None:
            _work(Session(store, due_at), obj)


def _work(session: Session, obj: Obj) -> None:
    if obj["object"] == "invoice":
        from seatctl.sandbox.billing.due_work import invoice_due

        invoice_due(session, obj)
    elif obj["object"] == "subscription":
        from seatctl.sandbox.billing.due_work import subscription_due

        subscription_due(session, obj)
    elif obj["object"] == "checkout.session":
        from seatctl.sandbox.resources.checkout_sessions import expire_session

        expire_session(session, obj)
    else:
        session.save(obj)
