"""Why a subscription does not run as it should, and the way out of each state. Pure; times are aware UTC.

`status`, `check`, `subs list`, `subs show` and every refusal take their reason and their commands from here,
so that they all name the same invoice and none of them advises a second purchase.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from seatctl.models.collection import OwedInvoice, Pause, Trouble

if TYPE_CHECKING:
    from seatctl.models.subscription import Subscription

STOPPED: Final = frozenset(("unpaid", "paused", "incomplete"))
"""Statuses that entitle nobody and that have a way back."""

_ASKING: Final = timedelta(days=1)
"""For so long an open invoice may just wait for its cardholder: operations wait for 23 hours."""

_NAMED: Final = 3
"""More invoices than that are counted, not named."""

_INVOICES_OF_A_PAUSE: Final = {
    "void": "its invoices are made void, and nothing is charged",
    "keep_as_draft": "its invoices stay drafts, and nothing is charged until each is paid by hand",
    "mark_uncollectible": "its invoices are written off, and nothing is charged",
}


class Payments(NamedTuple):
    """How a subscription stands with what it has to pay."""

    name: str
    status: str
    pause: Pause | None = None
    owed: tuple[OwedInvoice, ...] = ()
    """Newest first."""
    unpaid_since: datetime | None = None
    grace_days: int = 0


def payments_of(subscription: Subscription) -> Payments:
    """The payments of a subscription of the ledger."""
    return Payments(
        subscription.name,
        subscription.status.value,
        subscription.pause,
        subscription.owed,
        subscription.unpaid_since,
        subscription.policy.grace_days if subscription.policy is not None else 0,
    )


def troubles_of(subscription: Subscription, at: datetime) -> tuple[Trouble, ...]:
    """Everything that needs somebody, the most pressing first; nothing of one that has ended."""
    if subscription.status in {"canceled", "incomplete_expired"}:
        return ()
    payments = payments_of(subscription)
    found = [payment_trouble(payments, at), pause_trouble(payments, at)]
    if subscription.assigned > subscription.capacity:
        over = subscription.assigned - subscription.capacity
        message = over_assigned(subscription)
        revoke = f"seatctl seats revoke {_quoted(subscription.name)} EMAIL..."
        pack = 1 if subscription.policy is None else subscription.policy.pack_size
        buy = f"seatctl subs add-seats {_quoted(subscription.name)} {-(-over // pack) * pack}"
        # Seats added while something is unpaid would be a second purchase; to none, none can be added.
        is_sound = not any(found) and subscription.capacity > 0 and not is_cut_off(subscription, at)
        found.append(Trouble("over_assigned", message, (revoke, buy) if is_sound else (revoke,)))
    return tuple(one for one in found if one is not None)


def is_cut_off(subscription: Subscription, at: datetime) -> bool:
    """Whether the term is so near to its end that the policy adds no seats; not once the next one is paid."""
    cut_off = timedelta(days=0 if subscription.policy is None else subscription.policy.addon_cutoff_days)
    renewed = subscription.cancel_at is not None and subscription.cancel_at > subscription.term_end
    return bool(cut_off) and not renewed and at >= subscription.term_end - cut_off


def unpaid_trouble(subscription: Subscription, at: datetime) -> Trouble | None:
    """What is the matter with its payments, else with its collection; None if nothing, or it has ended."""
    found = (one for one in troubles_of(subscription, at) if one.reason != "over_assigned")
    return next(found, None)


def over_assigned(subscription: Subscription) -> str:
    """That more people have a seat than are paid for, with the numbers."""
    paid = f"{subscription.capacity} {'seat is' if subscription.capacity == 1 else 'seats are'} paid for"
    return f"{subscription.name} is over-assigned: {subscription.assigned} people have a seat, {paid}"


def payment_trouble(payments: Payments, at: datetime) -> Trouble | None:
    """What is not paid that should be, and how it is paid; None if nothing is late at `at`."""
    stopped = stopped_trouble(payments)
    if stopped is not None:
        return stopped
    name, since = payments.name, payments.unpaid_since
    if payments.status == "past_due" or (since is not None and since <= at):
        return past_due_trouble(payments, at)
    late = tuple(one for one in payments.owed if _is_left(one, payments.pause, at))
    if not late:
        return None
    verb = "is" if len(late) == 1 else "are"
    what = f"open since {_day(late[-1].since)}"
    if all(one.draft for one in late):
        what = (
            "a draft that nobody is asked to pay" if len(late) == 1 else "drafts that nobody is asked to pay"
        )
    return Trouble("open_invoice", f"{name}: {_amount(late)} {verb} {what}", _ways(name, late))


def past_due_trouble(payments: Payments, at: datetime) -> Trouble:
    """What is owed of a subscription that is past due, or on account past its due date."""
    name, since = payments.name, payments.unpaid_since
    late = tuple(one for one in payments.owed if one.due is None or one.due <= at)
    owing = f": {_amount(late)} is to be paid" if late else ""
    began = f"{name} is past due" if since is None else f"{name} has been past due since {_day(since)}"
    ends = "" if since is None else _access(since + timedelta(days=payments.grace_days), at)
    return Trouble("past_due", f"{began}{owing}{ends}", _ways(name, late))


def stopped_trouble(payments: Payments) -> Trouble | None:
    """Why nobody is entitled although it has not ended, and how it runs again; None if it runs or is over."""
    name, owed = payments.name, payments.owed
    if payments.status == "unpaid":
        verb = "has given up collecting" if any(one.amount for one in owed) else "waits for"
        what = f": Stripe {verb} {_amount(owed)}" if owed else ""
        return Trouble("unpaid", f"{name} is unpaid{what}", _ways(name, owed))
    if payments.status == "incomplete":
        what = f" of {_amount(owed)}" if owed else ""
        ways = ("seatctl sync", *(_ways(name, owed) if owed else ()))
        return Trouble("incomplete", f"{name} is incomplete: its first payment{what} did not come", ways)
    if payments.status == "paused":
        ways = (_card(name), f"seatctl subs resume {_quoted(name)}")
        message = f"{name} is paused: nothing is billed until it is resumed, which needs a card"
        return Trouble("paused", message, ways)
    return None


def pause_trouble(payments: Payments, at: datetime) -> Trouble | None:
    """A pause in collection that lasts at `at`: it runs on and entitles, and nobody pays for it."""
    pause = payments.pause
    if pause is None or (pause.resumes_at is not None and pause.resumes_at <= at):
        return None
    until = "" if pause.resumes_at is None else f" until {_day(pause.resumes_at)}"
    what = _INVOICES_OF_A_PAUSE.get(pause.behavior, "nothing is charged")
    message = f"collection of {payments.name} is paused{until}: {what}"
    return Trouble("collection_paused", message, (f"seatctl subs resume {_quoted(payments.name)}",))


def first_way(payments: Payments) -> str:
    """The command that pays what a past due subscription owes."""
    return _ways(payments.name, payments.owed)[0]


def hint_of(trouble: Trouble) -> str:
    """The ways out as one hint."""
    return ", or ".join(trouble.ways_out)


def sentence(trouble: Trouble) -> str:
    """The trouble in one line that ends with the commands that help."""
    return f"{trouble.message}: {hint_of(trouble)}"


def _is_left(one: OwedInvoice, pause: Pause | None, at: datetime) -> bool:
    """Whether an invoice of a subscription in good standing is left over, and nobody asks for it."""
    if one.draft:
        return pause is None
    return one.due <= at if one.due is not None else one.since + _ASKING <= at


def _ways(name: str, owed: Sequence[OwedInvoice]) -> tuple[str, ...]:
    """To pay the newest invoice, which brings the subscription back, then the others; or a new card."""
    if not owed:
        return (f"seatctl invoices list {_quoted(name)} --unpaid", _card(name))
    ways = [way for one in owed[:_NAMED] for way in _pay(one)]
    return (*ways, _card(name)) if any(one.due is None for one in owed) else tuple(ways)


def _pay(one: OwedInvoice) -> tuple[str, ...]:
    pay = f"seatctl invoices pay {one.handle}"
    if one.due is None:
        return (pay,)
    # Bought on account there may be no card to charge: the invoice is mailed again, or a card is named.
    return f"seatctl invoices send {one.handle}", f"{pay} --payment-method PM"


def _card(name: str) -> str:
    return f"seatctl subs billing {_quoted(name)} --payment-method PM"


def _amount(owed: Sequence[OwedInvoice]) -> str:
    """What is owed, and by which invoices."""
    from seatctl.models.money import plain_amount

    total, currency = sum(one.amount for one in owed), owed[0].currency.upper()
    more = "" if len(owed) <= _NAMED else f" and {len(owed) - _NAMED} more"
    named = ", ".join(one.handle for one in owed[:_NAMED]) + more
    noun = "invoice" if len(owed) == 1 else "invoices"
    return f"{plain_amount(total, owed[0].currency)} {currency} ({noun} {named})"


def _access(end: datetime, at: datetime) -> str:
    return f"; access ends on {_day(end)}" if at < end else f"; access ended on {_day(end)}"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _quoted(name: str) -> str:
    from shlex import quote

    return quote(name)
