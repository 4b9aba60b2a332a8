"""Refusals in Stripe's classic billing mode, which credits what the item holds, not what was billed.

seatctl sets quantities without proration: the seats of the next term in advance, and seats billed by an
invoice of our own. There the two differ. Flexible mode, which new subscriptions have, credits what was
billed.
"""

from __future__ import annotations

from shlex import quote

from seatctl.billing.port import Billing
from seatctl.errors import Code, SeatctlError, refuse
from seatctl.models.call import parse_time
from seatctl.models.report import counted
from seatctl.rules.metadata import COVERS_UNTIL
from seatctl.services.subscriptions.refunds import SubscriptionInvoices, read_invoices
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot


def require_true_credit(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    action: str,
    invoices: SubscriptionInvoices | None = None,
) -> None:
    """Return if Stripe would credit what was billed when it prorates now. Raises `classic_billing`.

    `action` is what would be refused ("seats would be changed"). `invoices` are read if not given.
    """
    if snapshot.mirror.flexible:
        return
    name, state = quote(snapshot.name), snapshot.state
    if state.now != state.next:
        content = f"{counted(state.next.seats, 'seat')} of {state.next.plan}"
        why = f"its item already holds the {content} of the next term"
        command = f"seatctl subs set-seats {name} {state.now.seats}"
        if state.now.plan != state.next.plan:
            command = f"seatctl subs change-plan {name} {state.now.plan}"
        raise _refused(snapshot, action, why, f"to take the waiting change back: {command}")
    own = [invoice for invoice, _ in (invoices or read_invoices(billing, snapshot)).own]
    covering = [
        invoice.number or invoice.id
        for invoice in own
        if (until := invoice.metadata.get(COVERS_UNTIL)) and parse_time(until) > snapshot.stripe_time
    ]
    if covering:
        why = f"{covering[0]} has billed seats that Stripe itself has not"
        raise _refused(snapshot, action, why, f"to see when the term ends: seatctl subs show {name}")


def _refused(snapshot: SubscriptionSnapshot, action: str, why: str, hint: str) -> SeatctlError:
    return refuse(
        Code.CLASSIC_BILLING,
        f"{snapshot.name}: {action} in Stripe's classic billing mode, which credits what the"
        f" item holds now, and {why}; nothing was changed",
        hint=f"{hint}; or migrate it to flexible billing mode in Stripe",
        data={"subscription": snapshot.name, "stripe_subscription": snapshot.mirror.id},
    )
