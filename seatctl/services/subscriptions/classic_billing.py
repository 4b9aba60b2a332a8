"""Stripe's classic billing mode, which credits by what the item holds, and not by what was billed.

What seatctl sets without proration (the next term's seats in advance, seats that an invoice of ours has
billed) is not what was billed. Flexible mode, which new subscriptions have, looks at what was.
"""

from __future__ import annotations

from shlex import quote

from seatctl.billing.port import Billing
from seatctl.errors import Code, SeatctlError, refuse
from seatctl.models.call import parse_time
from seatctl.rules.metadata import COVERS_UNTIL
from seatctl.rules.plural import counted
from seatctl.services.subscriptions.refunds import SubscriptionInvoices, bills_of
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot


def require_true_credit(
    billing: Billing, found: SubscriptionSnapshot, what: str, bills: SubscriptionInvoices | None = None
) -> None:
    """Return if Stripe credits what was billed when it prorates now. Raises `classic_billing`.

    `what` would be done ("seats would be changed"); `bills` are read where they are not given.
    """
    if found.mirror.flexible:
        return
    name, stands = quote(found.subscription.name), found.standing
    if stands.now != stands.next:
        holds = f"{counted(stands.next.seats, 'seat')} of {stands.next.plan}"
        why = f"its item holds the {holds} of the next term already"
        back = f"seatctl subs set-seats {name} {stands.now.seats}"
        if stands.now.plan != stands.next.plan:
            back = f"seatctl subs change-plan {name} {stands.now.plan}"
        raise _refused(found, what, why, f"{back} takes back what waits")
    ours = [invoice for invoice, _ in (bills or bills_of(billing, found)).ours]
    covering = [
        one.number or one.id
        for one in ours
        if (until := one.metadata.get(COVERS_UNTIL)) and parse_time(until) > found.at
    ]
    if covering:
        why = f"{covering[0]} has billed seats that Stripe itself has not"
        raise _refused(found, what, why, f"to see when the term ends: seatctl subs show {name}")


def _refused(found: SubscriptionSnapshot, what: str, why: str, hint: str) -> SeatctlError:
    return refuse(
        Code.CLASSIC_BILLING,
        f"{found.subscription.name}: {what} by Stripe's classic billing mode, which credits by what the item"
        f" holds now, and {why}; nothing was changed",
        hint=f"{hint}; or migrate it to flexible billing mode in Stripe",
        data={"subscription": found.subscription.name, "stripe_subscription": found.mirror.id},
    )
