"""`subs pause` pauses the collection; `subs resume` ends a pause, or takes a cancellation back.

Each is one update, done by the operation of `cancel_operation.py`. A subscription that Stripe has paused
because its trial ended without a card needs a new period: `resume_operation.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from seatctl.billing.objects import read_preview
from seatctl.billing.port import InvalidRequest, MissingInStripe
from seatctl.errors import Code, JsonValue, SeatctlError, UsageError, refuse
from seatctl.models.call import format_time, optional_text
from seatctl.models.collection import Pause, PauseBehavior
from seatctl.models.money import format_money
from seatctl.models.plan import Renewal
from seatctl.models.subscription import SubscriptionState
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.dates import moment_after
from seatctl.rules.payment_states import Payments, pause_trouble
from seatctl.rules.subscription_changes import window_opens
from seatctl.services.operations.submit import Proposal
from seatctl.services.subscriptions.cancel_operation import (
    cancel_payload,
    cancel_proposal,
    cancel_row,
    unchanged_cancel,
)
from seatctl.services.subscriptions.proposal import repeated_proposal
from seatctl.services.subscriptions.resume_operation import prepare_new_period
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    SubscriptionSnapshot,
    check_running,
    read_snapshot,
    require_unscheduled,
    require_unshared,
)


class Resumed(StrEnum):
    """What `subs resume` is asked for."""

    COLLECTION = "collection"
    CANCELLATION = "cancellation"


def prepare_pause(change: ChangeRequest, behavior: PauseBehavior, until: str | None) -> Proposal:
    """Check a pause of collection, until a moment as typed or until it is resumed. Charges nothing.

    A schedule does not overwrite it. Raises `bad_time`, `ends_by_itself`, NotRunning.
    """
    change = change.asking({"pause": behavior.value, "until": until})
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_snapshot(change)
    check_running(snapshot)
    require_unshared(snapshot, "pausing it")
    name, state = snapshot.name, snapshot.state
    resumes_at = None if until is None else moment_after(until, snapshot.stripe_time)
    if resumes_at is not None and resumes_at <= snapshot.stripe_time:
        raise refuse(
            Code.BAD_TIME, f"{resumes_at:%Y-%m-%d} is not in the future", hint="give a later --until DATE"
        )
    if state.policy.renewal is Renewal.MANUAL:
        raise refuse(
            Code.ENDS_BY_ITSELF,
            f"{name} is renewed by hand: Stripe collects nothing that could be paused",
            hint=hints.command("subs", "show", name),
            data={"subscription": name},
        )
    pause = Pause(behavior.value, resumes_at)
    told = _told(snapshot, pause)
    if snapshot.mirror.pause == pause:
        return unchanged_cancel(snapshot, f"is unchanged: {told}")
    form: dict[str, JsonValue] = {"behavior": behavior.value}
    if resumes_at is not None:
        form["resumes_at"] = int(resumes_at.timestamp())
    payload = replace(
        cancel_payload(snapshot, f"paused the collection of {name}: {told}"),
        update={"pause_collection": form},
    )
    row: dict[str, JsonValue] = {
        **cancel_row(snapshot),
        "pause_collection": behavior.value,
        "resumes_at": optional_text(resumes_at),
    }
    notes = (f"{told[:1].upper()}{told[1:]}.", "Invoices that are open already are still collected.")
    undo = hints.command("subs", "resume", name, "--collection")
    return cancel_proposal(snapshot, payload, row, f"Pause the collection of {name}?", notes, undo)


def _told(snapshot: SubscriptionSnapshot, pause: Pause) -> str:
    trouble = pause_trouble(Payments(snapshot.name, "active", pause), snapshot.stripe_time)
    return "" if trouble is None else trouble.message


def prepare_resume(change: ChangeRequest, what: Resumed | None = None) -> Proposal:
    """Check taking back a cancellation at the end of the period, or ending a pause.

    Raises UsageError if both apply and `what` does not say which, `ends_by_itself`, NotRunning. One that
    Stripe has paused also raises `card_required` and `max_spend_exceeded`.
    """
    change = change.asking({"resume": True if what is None else what.value})
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_snapshot(change)
    status, pause = snapshot.state.status, snapshot.mirror.pause
    if status is SubscriptionStatus.PAUSED and what is not Resumed.CANCELLATION:
        require_unscheduled(snapshot)
        return prepare_new_period(snapshot)
    if what is None and pause is not None and not status.is_over:
        if _is_canceled(snapshot):
            raise _which(snapshot.name)
        what = Resumed.COLLECTION
    if what is not Resumed.COLLECTION:
        return _take_back_cancellation(snapshot)
    if pause is None or status.is_over:
        return unchanged_cancel(snapshot, "is not paused: Stripe collects its invoices")
    require_unshared(snapshot, "resuming it")
    return _resume_collection(snapshot)


def _is_canceled(snapshot: SubscriptionSnapshot) -> bool:
    """Whether a cancellation could be taken back. A term that is renewed by hand ends by itself."""
    state = snapshot.state
    return state.ends_at is not None and state.policy.renewal is Renewal.AUTOMATIC


def _which(name: str) -> UsageError:
    ways = [hints.command("subs", "resume", name, f"--{what}") for what in Resumed]
    return UsageError(
        f"{name} is canceled and its collection is paused: say which of the two to take back",
        hint=hints.either(*ways),
        data={"subscription": name, "flags": [f"--{what}" for what in Resumed]},
    )


def _take_back_cancellation(snapshot: SubscriptionSnapshot) -> Proposal:
    require_unscheduled(snapshot)
    check_running(snapshot)
    require_unshared(snapshot, "resuming it")
    state = snapshot.state
    if state.policy.renewal is Renewal.MANUAL:
        raise _ends_by_itself(state, snapshot.stripe_time)
    if state.ends_at is None:
        return unchanged_cancel(snapshot, f"is not canceled; it renews on {state.period_end:%Y-%m-%d}")
    form: dict[str, JsonValue] = {"cancel_at_period_end": False}
    if not snapshot.mirror.cancel_at_period_end:
        form = {"cancel_at": ""}  # the customer portal and the dashboard set only `cancel_at`
    summary = f"resumed {state.name}; it renews on {state.period_end:%Y-%m-%d}"
    payload = replace(cancel_payload(snapshot, summary), update=form)
    next_invoice = _total_after(snapshot, form)
    row: dict[str, JsonValue] = {
        **cancel_row(snapshot),
        "seats_until": None,
        "renews_at": format_time(state.period_end),
        "next_invoice": next_invoice,
    }
    price = "" if next_invoice is None else f": {format_money(next_invoice, snapshot.currency)}"
    notes = (f"Nothing is charged now; it renews on {state.period_end:%Y-%m-%d}{price}.",)
    undo = hints.command("subs", "cancel", state.name)
    return cancel_proposal(snapshot, payload, row, f"Resume {state.name}?", notes, undo)


def _ends_by_itself(state: SubscriptionState, at: datetime) -> SeatctlError:
    """Refuse to resume a subscription that is renewed by hand; the hint says when it can be renewed."""
    opening = window_opens(state)
    is_open = at >= opening and not state.renewed
    from_date = "" if is_open else f", from {opening:%Y-%m-%d} on"
    return refuse(
        Code.ENDS_BY_ITSELF,
        f"{state.name} is renewed by hand: it ends on {state.period_end:%Y-%m-%d} unless it is renewed"
        f"{from_date}",
        hint=hints.command("subs", "renew" if is_open else "show", state.name),
        data={"subscription": state.name, "allowed_from": None if is_open else format_time(opening)},
    )


def _resume_collection(snapshot: SubscriptionSnapshot) -> Proposal:
    """End a pause of collection: Stripe collects again from the next invoice on. Charges nothing now."""
    name, cancel_at = snapshot.name, snapshot.mirror.cancel_at
    summary = f"resumed the collection of {name}"
    if cancel_at is not None and cancel_at <= snapshot.state.period_end:
        summary += f"; it is still canceled, and ends on {cancel_at:%Y-%m-%d}"
    else:
        summary += f"; its next invoice is collected on {snapshot.state.period_end:%Y-%m-%d}"
    to_pay = [f"seatctl invoices pay {draft.handle}" for draft in snapshot.subscription.owed if draft.draft]
    if to_pay:
        summary += f"; still to pay: {', '.join(to_pay)}"
    payload = replace(cancel_payload(snapshot, summary), update={"pause_collection": ""})
    undo = None if snapshot.mirror.pause is None else _pause_again(name, snapshot.mirror.pause)
    question = f"Resume the collection of {name}?"
    return cancel_proposal(snapshot, payload, cancel_row(snapshot), question, undo=undo)


def _pause_again(name: str, pause: Pause) -> str:
    until = () if pause.resumes_at is None else ("--until", format_time(pause.resumes_at))
    return hints.command("subs", "pause", name, "--behavior", pause.behavior, *until)


def _total_after(snapshot: SubscriptionSnapshot, form: dict[str, JsonValue]) -> int | None:
    """Return the next invoice's total after an update with `form`, in minor units.

    None if none follows, or if its tax is not known.
    """
    try:
        return read_preview(snapshot.preview(form)).whole_total
    except (MissingInStripe, InvalidRequest):
        return None
