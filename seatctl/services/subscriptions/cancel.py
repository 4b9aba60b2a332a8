"""`subs cancel` and `subs resume`: checked, and what they give back said before they are done.

The operation itself is in `cancel_operation.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger import subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call, format_time
from seatctl.models.money import plain_amount
from seatctl.models.plan import Renewal
from seatctl.models.role import Action
from seatctl.models.subscription import SubscriptionStatus
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules import hints, open_invoices
from seatctl.rules.refunds import CreditShare
from seatctl.rules.subscription_changes import NotRunning, window_opens
from seatctl.services.charging.processing import require_none
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.subscriptions.cancel_operation import share_fields
from seatctl.services.subscriptions.classic_billing import require_true_credit
from seatctl.services.subscriptions.previews import total_after
from seatctl.services.subscriptions.proposal import ChangeOptions, Proposal, repeated
from seatctl.services.subscriptions.refunds import (
    SubscriptionInvoices,
    billed_at_the_end,
    bills_of,
    given_back,
)
from seatctl.services.subscriptions.resume_paused import prepare_restart
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot, gather, look, require_alone

PREVIEW_COLUMNS = (
    *("name", "plan", "seats", "seats_until"),
    *(
        "given_back",
        "to_balance",
        "owed_less",
        "owed",
        "open_invoices",
        "renews_at",
        "next_invoice",
        "currency",
    ),
)


_GO_ON_ASKING = frozenset((SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED))
"""They entitle nobody, but Stripe goes on making invoices for them until they are canceled."""


_OVER = frozenset((SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED))


def prepare_cancel(
    ledger: Ledger, billing: Billing, call: Call, handle: str, *, now: bool, refund: bool
) -> Proposal:
    """Check a cancellation and say what it gives back and until when the seats hold.

    Raises UnknownSubscription, RoleRequired, ForeignLedger, `nothing_to_give_back`, `not_refundable`.
    """
    asked: dict[str, JsonValue] = {"cancel": "now" if now else "at_period_end", "refund": refund}
    under_way = repeated(ledger, call, handle, asked, Action.MANAGE_SUBSCRIPTION)
    if under_way is not None:
        return under_way
    found = look(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    if found.standing.status not in _GO_ON_ASKING:
        try:
            found = gather(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
        except NotRunning as error:
            return _over_already(ledger, call, handle, asked, error)
    require_alone(ledger, found, "canceling it")
    if now:
        return _cancel_now(billing, found, asked, refund=refund)
    return _cancel_at_end(billing, found, asked)


def prepare_resume(
    ledger: Ledger, billing: Billing, call: Call, handle: str, wishes: ChangeOptions | None = None
) -> Proposal:
    """Check taking back a cancellation at the period's end, or ending a pause.

    Raises `ends_by_itself`, NotRunning; of what Stripe has paused `card_required` and `max_spend_exceeded`.
    """
    wishes = wishes or ChangeOptions()
    asked: dict[str, JsonValue] = {"resume": True}
    under_way = repeated(ledger, call, handle, asked, Action.MANAGE_SUBSCRIPTION, wishes)
    if under_way is not None:
        return under_way
    found = look(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    if found.standing.status is SubscriptionStatus.PAUSED:
        return prepare_restart(billing, found, asked, wishes)
    if found.mirror.pause is not None and found.standing.status not in _OVER:
        return _collect_again(found, asked)
    found = gather(ledger, billing, call, handle, Action.MANAGE_SUBSCRIPTION)
    require_alone(ledger, found, "resuming it")
    stands = found.standing
    if stands.policy.renewal is Renewal.MANUAL:
        raise _ends_by_itself(stands, found.at)
    if stands.ends_at is None:
        return _nothing(
            found, asked, f"{stands.name} is not canceled; it renews on {_day(stands.period_end)}"
        )
    form: dict[str, JsonValue] = {"cancel_at_period_end": False}
    if not found.mirror.cancel_at_period_end:
        form = {"cancel_at": ""}  # the customer portal and the dashboard set only this one
    summary = f"resumed {stands.name}; it renews on {_day(stands.period_end)}"
    details: dict[str, JsonValue] = {**_details(found, summary), "update": form}
    following = total_after(billing, found, form)
    row: dict[str, JsonValue] = {
        **_row(found),
        "seats_until": None,
        "renews_at": format_time(stands.period_end),
        "next_invoice": following,
    }
    code = found.subscription.currency.upper()
    costs = "" if following is None else f": {plain_amount(following, found.subscription.currency)} {code}"
    notes = (f"Nothing is charged now; it renews on {_day(stands.period_end)}{costs}.",)
    prepared = _prepared(found, OperationRequest("cancel", asked, details, found.subscription.id), row, notes)
    return replace(prepared, undo=hints.command("subs", "cancel", found.subscription.name))


def _ends_by_itself(stands: SubscriptionState, at: datetime) -> SeatctlError:
    """What keeps a contract from ending is its renewal: now, or from the day on which its window opens."""
    opens = window_opens(stands)
    opened = at >= opens and not stands.renewed
    from_then = "" if opened else f", from {_day(opens)} on"
    return refuse(
        Code.ENDS_BY_ITSELF,
        f"{stands.name} is renewed by hand: it ends on {_day(stands.period_end)} unless it is renewed"
        f"{from_then}",
        hint=hints.command("subs", "renew" if opened else "show", stands.name),
        data={"subscription": stands.name, "allowed_from": None if opened else format_time(opens)},
    )


def _collect_again(found: SubscriptionSnapshot, asked: dict[str, JsonValue]) -> Proposal:
    """End a pause in collection: from the next invoice on Stripe collects again. Charges nothing now."""
    name, drafts = found.subscription.name, [one.handle for one in found.subscription.owed if one.draft]
    ends = found.mirror.cancel_at
    after = f"; its next invoice is collected on {_day(found.standing.period_end)}"
    if ends is not None and ends <= found.standing.period_end:
        after = f"; it is canceled all the same, and ends on {_day(ends)}"
    left = f"; left to pay: {', '.join(f'seatctl invoices pay {one}' for one in drafts)}" if drafts else ""
    summary = f"resumed the collection of {name}{after}{left}"
    details: dict[str, JsonValue] = {**_details(found, summary), "update": {"pause_collection": ""}}
    return _prepared(
        found, OperationRequest("cancel", asked, details, found.subscription.id), _row(found), ()
    )


def _cancel_at_end(billing: Billing, found: SubscriptionSnapshot, asked: dict[str, JsonValue]) -> Proposal:
    stands = found.standing
    end = found.mirror.cancel_at
    bills = bills_of(billing, found)
    left = open_invoices.still_open(bills.open, {})
    remark = open_invoices.in_summary(left, at_once=False)
    if stands.policy.renewal is Renewal.MANUAL:
        ends = _day(end or stands.period_end)
        return _nothing(found, asked, f"{stands.name} ends by itself on {ends} unless it is renewed{remark}")
    if end is not None and end <= stands.period_end:
        return _nothing(found, asked, f"{stands.name} is canceled already; it ends on {_day(end)}{remark}")
    is_late = found.mirror.status is SubscriptionStatus.PAST_DUE
    owed = open_invoices.owed_since(bills.open, past_due=is_late)
    hold = open_invoices.holds_until(stands.period_end, owed, stands.policy.grace_days)
    if stands.status in _GO_ON_ASKING:
        hold = found.at
    summary = f"canceled {stands.name} at the end of its period, {_day(stands.period_end)}"
    if hold < stands.period_end:
        until = "entitle nobody" if hold <= found.at else f"hold until {_day(hold)}"
        summary += f"; its seats {until} unless it is paid"
    summary += remark
    details: dict[str, JsonValue] = {
        **_details(found, summary),
        "update": {"cancel_at_period_end": True},
        "seats_until": format_time(hold),
        "open_invoices": [one.as_record() for one in left],
    }
    row: dict[str, JsonValue] = {
        **_row(found),
        "seats_until": format_time(hold),
        "given_back": 0,
        "owed": sum(one.amount for one in left),
        "open_invoices": [one.as_record() for one in left],
    }
    notes = (_holding(stands, hold, found.at), *open_invoices.notes(left, at_once=False))
    prepared = _prepared(found, OperationRequest("cancel", asked, details, found.subscription.id), row, notes)
    if stands.status in _GO_ON_ASKING or found.mirror.pause is not None:
        return prepared  # `subs resume` refuses the one, and ends the other's pause instead
    return replace(prepared, undo=hints.command("subs", "resume", found.subscription.name))


def _holding(stands: SubscriptionState, hold: datetime, at: datetime) -> str:
    """Until when the seats hold; those of a period that was never paid for do not hold until its end."""
    end = _day(stands.period_end)
    if hold >= stands.period_end:
        return f"Its seats hold until {end}; nothing is given back."
    until = "entitle nobody now" if hold <= at else f"hold until {_day(hold)}"
    paid = f"if it is paid, they hold until {end}"
    return f"Its running period is not paid for: its seats {until}; {paid}. Nothing is given back."


def _cancel_now(
    billing: Billing, found: SubscriptionSnapshot, asked: dict[str, JsonValue], *, refund: bool
) -> Proposal:
    subscription, bills = found.subscription, bills_of(billing, found)
    require_none(billing, [one.id for one in bills.open])
    billed = billed_at_the_end(billing, found) if bills.waiting and not refund else 0
    if refund:
        require_true_credit(billing, found, "the refund would be reckoned", bills)
    shares = given_back(billing, found, bills) if refund else ()
    to_card, to_balance = sum(one.refund for one in shares), sum(one.credit for one in shares)
    less = sum(one.less for one in shares)
    left = open_invoices.still_open(bills.open, {one.invoice: one.less for one in shares})
    details: dict[str, JsonValue] = {
        **_details(
            found,
            f"canceled {subscription.name} at once{open_invoices.in_summary(left, at_once=True)}"
            f"{_coming(found, bills)}",
        ),
        "open_invoices": [one.as_record() for one in left],
        "shares": [share_fields(share) for share in shares],
        # With a refund Stripe's preview has set the waiting lines off against it: they must go.
        "drop": [str(line["id"]) for line in bills.waiting] if refund else [],
        "open": [one.id for one in bills.open],
        "invoice_now": bool(bills.waiting) and not refund,
    }
    row: dict[str, JsonValue] = {
        **_row(found),
        "seats_until": format_time(found.at),
        "given_back": to_card,
        "to_balance": to_balance,
        "owed_less": less,
        "owed": bills.owed - less,
        "open_invoices": [one.as_record() for one in left],
        "billed_now": billed,
        "billed_within_the_hour": sum(draft.total for draft in bills.drafts),
        "invoices": [share_fields(share) for share in shares],
    }
    request = OperationRequest("cancel", asked, details, subscription.id)
    return _prepared(
        found,
        request,
        row,
        _notes(found.standing, subscription.currency, shares, bills, billed, refund=refund),
    )


def _coming(found: SubscriptionSnapshot, bills: SubscriptionInvoices) -> str:
    """What a summary says of a renewal that is not charged yet: the end does not stop it."""
    total = sum(draft.total for draft in bills.drafts)
    amount = f"{plain_amount(total, found.subscription.currency)} {found.subscription.currency.upper()}"
    return f"; {amount} of its last renewal is charged all the same, within the hour" if total else ""


def _notes(
    stands: SubscriptionState,
    currency: str,
    shares: tuple[CreditShare, ...],
    bills: SubscriptionInvoices,
    billed: int,
    *,
    refund: bool,
) -> tuple[str, ...]:
    """What a person should know before it ends."""

    def money(amount: int) -> str:
        return f"{plain_amount(amount, currency)} {currency.upper()}"

    notes = [f"{stands.name} ends at once: {stands.assigned} people lose their seats."]
    for share in shares:
        if share.refund:
            notes.append(f"{money(share.refund)} of invoice {share.number} goes back to the card.")
        if share.credit:
            notes.append(f"{money(share.credit)} of invoice {share.number} goes to the customer's balance.")
        if share.less:
            notes.append(f"{money(share.less)} of the open invoice {share.number} need not be paid any more.")
    if not shares:
        notes.append("Nothing is given back." if refund else "Nothing is given back without --refund.")
    left = open_invoices.still_open(bills.open, {share.invoice: share.less for share in shares})
    notes += open_invoices.notes(left, at_once=True)
    for draft in bills.drafts if not refund else ():
        notes.append(
            f"{money(draft.total)} of the draft {draft.id} is charged all the same, within the hour."
        )
    if billed:
        notes.append(f"{money(billed)} that waited for the next invoice is billed now.")
    return tuple(notes)


def _details(found: SubscriptionSnapshot, summary: str) -> dict[str, JsonValue]:
    return {
        "subscription": found.subscription.id,
        "stripe_id": found.mirror.id,
        "customer": found.mirror.customer_id,
        "summary": summary,
    }


def _row(found: SubscriptionSnapshot) -> dict[str, JsonValue]:
    stands = found.standing
    return {
        "name": stands.name,
        "plan": stands.now.plan,
        "seats": stands.now.seats,
        "currency": found.subscription.currency,
    }


def _prepared(
    found: SubscriptionSnapshot, request: OperationRequest, row: dict[str, JsonValue], notes: tuple[str, ...]
) -> Proposal:
    summary, currency = str(request.details["summary"]), found.subscription.currency
    return Proposal(
        request,
        row,
        0,
        currency,
        summary,
        found.subscription,
        found.read_at,
        notes=notes,
        columns=PREVIEW_COLUMNS,
        operation=found.operation,
        would="would have",
    )


def _nothing(found: SubscriptionSnapshot, asked: dict[str, JsonValue], why: str) -> Proposal:
    request = OperationRequest("cancel", asked, {}, found.subscription.id)
    row, currency = _row(found), found.subscription.currency
    return Proposal(request, row, 0, currency, why, found.subscription, found.read_at, nothing=True)


def _over_already(
    ledger: Ledger, call: Call, handle: str, asked: dict[str, JsonValue], error: NotRunning
) -> Proposal:
    """A cancellation of what has ended is done already. Raises `error` where it stands otherwise."""
    if error.data.get("status") not in {
        SubscriptionStatus.CANCELED.value,
        SubscriptionStatus.INCOMPLETE_EXPIRED.value,
    }:
        raise error
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
    row: dict[str, JsonValue] = {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "seats": subscription.capacity,
    }
    request = OperationRequest("cancel", asked, {}, subscription.id)
    why = f"{subscription.name} has ended already"
    return Proposal(request, row, 0, subscription.currency, why, subscription, call.now, nothing=True)


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
