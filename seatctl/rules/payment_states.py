"""Why a subscription is not paid as it should be, and the commands that help. Pure; times are aware UTC.

`status`, `check`, `subs list`, `subs show` and every refusal take their reasons and commands from here, so
that they all name the same invoice and none of them suggests a second purchase.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from seatctl.models.collection import OwedInvoice, Pause, Trouble
from seatctl.rules import hints

if TYPE_CHECKING:
    from seatctl.models.subscription import Subscription

STOPPED: Final = frozenset(("unpaid", "paused", "incomplete"))
"""Statuses in which nobody is entitled, but from which the subscription can be brought back."""

_ASKING: Final = timedelta(days=1)
"""How long an open invoice may wait for its cardholder: operations wait a little less (`KEYS_LAST`)."""

_NAMED: Final = 3
"""At most so many invoices are named; the others are counted."""

_INVOICES_OF_A_PAUSE: Final = {
    "void": "its invoices are voided, and nothing is charged",
    "keep_as_draft": "its invoices stay drafts, and nothing is charged until each is paid by hand",
    "mark_uncollectible": "its invoices are written off, and nothing is charged",
}


class Payments(NamedTuple):
    """What decides whether a subscription is paid: status, pause, unpaid invoices, grace."""

    name: str
    status: str
    pause: Pause | None = None
    owed: tuple[OwedInvoice, ...] = ()
    """Newest first."""
    unpaid_since: datetime | None = None
    grace_days: int = 0


def payments_of(subscription: Subscription) -> Payments:
    """Return the payments of a subscription of the ledger."""
    return Payments(
        subscription.name,
        subscription.status.value,
        subscription.pause,
        subscription.owed,
        subscription.unpaid_since,
        subscription.policy.grace_days if subscription.policy is not None else 0,
    )


def troubles_of(subscription: Subscription, at: datetime) -> tuple[Trouble, ...]:
    """Return everything that needs attention, most urgent first; nothing for an ended subscription."""
    if subscription.status in {"canceled", "incomplete_expired"}:
        return ()
    payments = payments_of(subscription)
    troubles = [payment_trouble(payments, at), pause_trouble(payments, at)]
    processing = processing_trouble(payments, at)
    if subscription.assigned > subscription.capacity:
        over = subscription.assigned - subscription.capacity
        message = over_assigned(subscription)
        revoke = hints.command("seats", "revoke", subscription.name, hints.Blank.EMAILS)
        buy = hints.command("subs", "add-seats", subscription.name, subscription.in_packs(over))
        # While something is unpaid, adding seats would be a second purchase; a capacity of 0 cannot grow.
        is_sound = not any(troubles) and subscription.capacity > 0 and not is_cut_off(subscription, at)
        troubles.append(Trouble("over_assigned", message, (revoke, buy) if is_sound else (revoke,)))
    troubles.append(processing)
    return tuple(trouble for trouble in troubles if trouble is not None)


def is_cut_off(subscription: Subscription, at: datetime) -> bool:
    """Return whether it is so close to the term's end that the policy adds no seats.

    Once the next term is paid, seats can be added again.
    """
    cut_off = timedelta(days=0 if subscription.policy is None else subscription.policy.addon_cutoff_days)
    renewed = subscription.cancel_at is not None and subscription.cancel_at > subscription.term_end
    return bool(cut_off) and not renewed and at >= subscription.term_end - cut_off


def unpaid_trouble(subscription: Subscription, at: datetime) -> Trouble | None:
    """Return the problem with its payments or its collection, or None. An ended subscription has none."""
    troubles = (trouble for trouble in troubles_of(subscription, at) if trouble.reason != "over_assigned")
    return next(troubles, None)


def over_assigned(subscription: Subscription) -> str:
    """Return the sentence that more people have seats than are paid for, with the numbers."""
    paid = f"{subscription.capacity} {'seat is' if subscription.capacity == 1 else 'seats are'} paid for"
    return f"{subscription.name} is over-assigned: {subscription.assigned} people have a seat, {paid}"


def payment_trouble(payments: Payments, at: datetime) -> Trouble | None:
    """Return what is overdue and how to pay it, or None if nothing is overdue at `at`."""
    stopped = stopped_trouble(payments)
    if stopped is not None:
        return stopped
    name, since = payments.name, payments.unpaid_since
    if payments.status == "past_due" or (since is not None and since <= at):
        return past_due_trouble(payments, at)
    late = tuple(invoice for invoice in payments.owed if _is_left(invoice, payments.pause, at))
    if not late:
        return None
    verb = "is" if len(late) == 1 else "are"
    what = f"open since {_day(late[-1].since)}"
    if all(invoice.draft for invoice in late):
        what = (
            "a draft that Stripe does not collect"
            if len(late) == 1
            else "drafts that Stripe does not collect"
        )
    return Trouble("open_invoice", f"{name}: {_amount(late)} {verb} {what}", _ways(name, late))


def processing_trouble(payments: Payments, at: datetime) -> Trouble | None:
    """Return what a bank is processing, for which nobody has to do anything, or None."""
    under_way = tuple(invoice for invoice in payments.owed if invoice.processing_until is not None)
    if not under_way:
        return None
    from seatctl.rules.payment_methods import processing_until

    until = max(invoice.processing_until for invoice in under_way if invoice.processing_until is not None)
    message = f"{payments.name}: {_amount(under_way)} is {processing_until(until, at)}"
    shown = tuple(f"seatctl invoices show {invoice.handle}" for invoice in under_way[:_NAMED])
    return Trouble("payment_processing", message, shown)


def past_due_trouble(payments: Payments, at: datetime) -> Trouble:
    """Return what is owed for a subscription that is past due, or on account after its due date."""
    name, since = payments.name, payments.unpaid_since
    late = tuple(invoice for invoice in _payable(payments.owed) if invoice.due is None or invoice.due <= at)
    owed = f": {_amount(late)} is unpaid" if late else ""
    state = f"{name} is past due" if since is None else f"{name} has been past due since {_day(since)}"
    ends = "" if since is None else _access(since + timedelta(days=payments.grace_days), at)
    return Trouble("past_due", f"{state}{owed}{ends}", _ways(name, late))


def stopped_trouble(payments: Payments) -> Trouble | None:
    """Return why nobody is entitled although it has not ended, and how to bring it back.

    None if it is running or has ended.
    """
    name, owed = payments.name, payments.owed
    if payments.status == "unpaid":
        verb = "has stopped collecting" if any(invoice.amount for invoice in owed) else "waits for"
        what = f": Stripe {verb} {_amount(owed)}" if owed else ""
        return Trouble("unpaid", f"{name} is unpaid{what}", _ways(name, owed))
    if payments.status == "incomplete":
        what = f" of {_amount(owed)}" if owed else ""
        ways = ("seatctl sync", *(_ways(name, owed) if owed else ()))
        made = "was not made" if _payable(owed) or not owed else "is being processed by a bank"
        return Trouble("incomplete", f"{name} is incomplete: its first payment{what} {made}", ways)
    if payments.status == "paused":
        ways = (_card(name), _resume(name))
        message = f"{name} is paused: nothing is billed until it is resumed; resuming needs a card"
        return Trouble("paused", message, ways)
    return None


def pause_trouble(payments: Payments, at: datetime) -> Trouble | None:
    """Return the pause in collection that lasts at `at`, or None: people stay entitled, and nobody pays."""
    pause = payments.pause
    if pause is None or (pause.resumes_at is not None and pause.resumes_at <= at):
        return None
    until = "" if pause.resumes_at is None else f" until {_day(pause.resumes_at)}"
    what = _INVOICES_OF_A_PAUSE.get(pause.behavior, "nothing is charged")
    message = f"collection of {payments.name} is paused{until}: {what}"
    return Trouble("collection_paused", message, (f"{_resume(payments.name)} --collection",))


def why_not_running(payments: Payments, plan: str) -> tuple[str, str]:
    """Return why a subscription is not running, and the hint: what gets it running, or a new purchase."""
    trouble = stopped_trouble(payments)
    if trouble is None:
        return f"{payments.name} is {payments.status.replace('_', ' ')}", hints.buy(plan)
    return trouble.message, hint_of(trouble)


def payment_command(payments: Payments) -> str:
    """Return the command that pays what a past due subscription owes."""
    return _ways(payments.name, payments.owed)[0]


def hint_of(trouble: Trouble) -> str:
    """Return the commands that help as one hint."""
    return hints.either(*trouble.ways_out)


def sentence(trouble: Trouble) -> str:
    """Return the problem as one line that ends with the commands that help."""
    return f"{trouble.message}: {hint_of(trouble)}"


def _is_left(invoice: OwedInvoice, pause: Pause | None, at: datetime) -> bool:
    """Return whether an open invoice of a subscription in good standing is overdue."""
    if invoice.processing_until is not None:
        return False
    if invoice.draft:
        return pause is None
    return invoice.due <= at if invoice.due is not None else invoice.since + _ASKING <= at


def _ways(name: str, owed: Sequence[OwedInvoice]) -> tuple[str, ...]:
    """Return the commands that pay the newest invoice, which reactivates it, then others, or set a card.

    What a bank is processing is not paid again: its invoice is shown.
    """
    payable = _payable(owed)
    if owed and not payable:
        return tuple(f"seatctl invoices show {invoice.handle}" for invoice in owed[:_NAMED])
    owed = payable
    if not owed:
        return (hints.command("invoices", "list", name, "--unpaid"), _card(name))
    ways = [way for invoice in owed[:_NAMED] for way in _pay(invoice)]
    return (*ways, _card(name)) if any(invoice.due is None for invoice in owed) else tuple(ways)


def _payable(owed: Sequence[OwedInvoice]) -> tuple[OwedInvoice, ...]:
    """Return the invoices that can be paid: those whose payment no bank is processing."""
    return tuple(invoice for invoice in owed if invoice.processing_until is None)


def _pay(invoice: OwedInvoice) -> tuple[str, ...]:
    pay = f"seatctl invoices pay {invoice.handle}"
    if invoice.due is None:
        return (pay,)
    # On account the customer may not have a card: mail the invoice again, or name a card.
    return f"seatctl invoices send {invoice.handle}", f"{pay} --payment-method PM"


def _card(name: str) -> str:
    return hints.command("subs", "billing", name, "--payment-method", "PM")


def _resume(name: str) -> str:
    return hints.command("subs", "resume", name)


def _amount(owed: Sequence[OwedInvoice]) -> str:
    """Return the sum of these invoices, and their numbers."""
    from seatctl.models.money import plain_amount

    total, currency = sum(invoice.amount for invoice in owed), owed[0].currency.upper()
    more = "" if len(owed) <= _NAMED else f" and {len(owed) - _NAMED} more"
    named = ", ".join(invoice.handle for invoice in owed[:_NAMED]) + more
    noun = "invoice" if len(owed) == 1 else "invoices"
    return f"{plain_amount(total, owed[0].currency)} {currency} ({noun} {named})"


def _access(end: datetime, at: datetime) -> str:
    return f"; access ends on {_day(end)}" if at < end else f"; access ended on {_day(end)}"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
