"""Ends a subscription: `subs cancel`. `subs pause` and `subs resume` use the same operation.

A cancellation at the end of the period is one update. A cancellation now is a DELETE without proration; a
refund is made by credit notes over exactly the amounts that were shown. (`prorate` beside a refund would pay
twice.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.port import MissingInStripe
from seatctl.errors import JsonValue, NotAllowed, StripeRefused
from seatctl.ledger import subscriptions
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import format_time
from seatctl.models.money import format_money
from seatctl.models.plan import Renewal
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription, SubscriptionState
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints, open_invoices
from seatctl.rules.refunds import CreditShare
from seatctl.rules.typed_json import dump, stored_as
from seatctl.services.charging.pay_invoice import require_no_payment_processing
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, SubscriptionPayload
from seatctl.services.operations.submit import Proposal
from seatctl.services.subscriptions.finish import After, final_transaction
from seatctl.services.subscriptions.previews import require_true_credit
from seatctl.services.subscriptions.proposal import (
    change_proposal,
    content_row,
    repeated_proposal,
    unchanged_proposal,
)
from seatctl.services.subscriptions.refunds import (
    credit_note_form,
    credit_shares,
    final_invoice_total,
    read_invoices,
)
from seatctl.services.subscriptions.snapshot import (
    ChangeRequest,
    SubscriptionSnapshot,
    check_running,
    read_snapshot,
    require_unscheduled,
    require_unshared,
)

PREVIEW_COLUMNS = (
    *("name", "plan", "seats", "seats_until", "given_back", "to_balance", "owed_less", "tax_given_back"),
    *("owed", "open_invoices", "renews_at", "next_invoice", "currency"),
)

_STILL_INVOICED = frozenset((SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED))
"""Nobody is entitled through these, but Stripe keeps making invoices until they are canceled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayload(SubscriptionPayload):
    """The end of a subscription or of its cancellation, or the beginning or end of a pause of collection."""

    kind = "cancel"
    customer: str
    update: dict[str, JsonValue] | None = None
    """The form that changes the Stripe subscription; None cancels it at once."""
    seats_until: str | None = None
    """Until when the seats hold (written form, UTC)."""
    open_invoices: tuple[JsonValue, ...] | None = None
    """The invoices that are still to be paid, as rows."""
    shares: tuple[CreditShare, ...] = ()
    """What each invoice gives back."""
    waiting_items: tuple[str, ...] = field(default=(), metadata=stored_as("drop"))
    """The waiting lines that the refund has been reduced by."""
    unpaid: tuple[str, ...] = field(default=(), metadata=stored_as("open"))
    """The invoices of the subscription that can still be paid."""
    invoice_now: bool = False


def prepare_cancel(change: ChangeRequest, *, now: bool, refund: bool) -> Proposal:
    """Check a cancellation, and show what it gives back and until when the seats hold.

    Raises UnknownSubscription, RoleRequired, ForeignLedger, `nothing_to_give_back`, `not_refundable`.
    """
    change = change.asking({"cancel": "now" if now else "at_period_end", "refund": refund})
    if (repetition := repeated_proposal(change)) is not None:
        return repetition
    snapshot = read_snapshot(change)
    require_unscheduled(snapshot)
    if snapshot.state.status.is_over:
        row = {**cancel_row(snapshot), "seats": snapshot.subscription.capacity}
        return unchanged_proposal(snapshot, CancelPayload.kind, f"{snapshot.name} has already ended", row)
    if snapshot.state.status not in _STILL_INVOICED:
        check_running(snapshot)
    require_unshared(snapshot, "canceling it")
    return _cancel_now(snapshot, refund=refund) if now else _cancel_at_end(snapshot)


def _cancel_at_end(snapshot: SubscriptionSnapshot) -> Proposal:
    state = snapshot.state
    end = snapshot.mirror.cancel_at
    invoices = read_invoices(snapshot)
    still_open = open_invoices.still_open(invoices.open, {})
    remark = open_invoices.summary_clause(still_open, at_once=False)
    if state.policy.renewal is Renewal.MANUAL:
        ends = end or state.period_end
        return unchanged_cancel(snapshot, f"ends by itself on {ends:%Y-%m-%d} unless it is renewed{remark}")
    if end is not None and end <= state.period_end:
        return unchanged_cancel(snapshot, f"is already canceled; it ends on {end:%Y-%m-%d}{remark}")
    is_past_due = snapshot.mirror.status is SubscriptionStatus.PAST_DUE
    owed = open_invoices.owed_since(invoices.open, past_due=is_past_due)
    seats_until = open_invoices.holds_until(state.period_end, owed, state.policy.grace_days)
    if state.status in _STILL_INVOICED:
        seats_until = snapshot.stripe_time
    summary = f"canceled {state.name} at the end of its period, {state.period_end:%Y-%m-%d}"
    if seats_until < state.period_end:
        until = (
            "entitle nobody" if seats_until <= snapshot.stripe_time else f"hold until {seats_until:%Y-%m-%d}"
        )
        summary += f"; its seats {until} unless it is paid"
    summary += remark
    payload = replace(
        cancel_payload(snapshot, summary),
        update={"cancel_at_period_end": True},
        seats_until=format_time(seats_until),
        open_invoices=tuple(invoice.as_record() for invoice in still_open),
    )
    row: dict[str, JsonValue] = {
        **cancel_row(snapshot),
        "seats_until": format_time(seats_until),
        "given_back": 0,
        "owed": sum(invoice.amount for invoice in still_open),
        "open_invoices": [invoice.as_record() for invoice in still_open],
    }
    notes = (
        _seats_note(state, seats_until, snapshot.stripe_time),
        *open_invoices.notes(still_open, at_once=False),
    )
    question = f"Cancel {state.name} at the end of its period?"
    # `subs resume` would refuse a final one, and has to be told which one if collection is paused.
    only = () if snapshot.mirror.pause is None else ("--cancellation",)
    is_final = state.status in _STILL_INVOICED
    undo = None if is_final else hints.command("subs", "resume", state.name, *only)
    return cancel_proposal(snapshot, payload, row, question, notes, undo)


def _seats_note(state: SubscriptionState, seats_until: datetime, at: datetime) -> str:
    """Until when the seats hold. Seats of an unpaid period do not hold until its end."""
    end = f"{state.period_end:%Y-%m-%d}"
    if seats_until >= state.period_end:
        return f"Its seats hold until {end}; nothing is given back."
    until = "entitle nobody now" if seats_until <= at else f"hold until {seats_until:%Y-%m-%d}"
    paid = f"if it is paid, they hold until {end}"
    return f"Its running period is not paid for: its seats {until}; {paid}. Nothing is given back."


def _cancel_now(snapshot: SubscriptionSnapshot, *, refund: bool) -> Proposal:
    def money(amount: int) -> str:
        return format_money(amount, snapshot.currency)

    invoices = read_invoices(snapshot)
    unpaid = tuple(invoice.id for invoice in (*invoices.open, *invoices.written_off))
    require_no_payment_processing(snapshot.billing, unpaid)
    billed_now = final_invoice_total(snapshot) if invoices.waiting and not refund else 0
    if refund:
        require_true_credit(snapshot, "the refund would be reckoned", invoices)
    shares = credit_shares(snapshot, invoices) if refund else ()
    owed_less = sum(share.less for share in shares)
    still_open = open_invoices.still_open(invoices.open, {share.invoice: share.less for share in shares})
    clause = open_invoices.summary_clause(still_open, at_once=True)
    summary = f"canceled {snapshot.name} at once{clause}"
    drafted = sum(draft.total for draft in invoices.drafts)
    if drafted:  # a renewal not charged yet, which the cancellation does not stop
        summary += f"; {money(drafted)} of its last renewal is still charged, within the hour"
    payload = replace(
        cancel_payload(snapshot, summary),
        open_invoices=tuple(invoice.as_record() for invoice in still_open),
        shares=tuple(shares),
        # Stripe's preview has subtracted the waiting lines from the refund, so they must not be billed.
        waiting_items=tuple(str(line["id"]) for line in invoices.waiting) if refund else (),
        unpaid=unpaid,
        invoice_now=bool(invoices.waiting) and not refund,
    )
    row: dict[str, JsonValue] = {
        **cancel_row(snapshot),
        "seats_until": format_time(snapshot.stripe_time),
        "given_back": sum(share.refund for share in shares),
        "to_balance": sum(share.credit for share in shares),
        "owed_less": owed_less,
        **_tax_given_back(shares),
        "owed": sum(invoice.amount_remaining for invoice in invoices.open) - owed_less,
        "open_invoices": [invoice.as_record() for invoice in still_open],
        "billed_now": billed_now,
        "billed_within_the_hour": drafted,
        "invoices": [dump(share) for share in shares],
    }
    notes = [f"{snapshot.name} ends at once: {snapshot.state.assigned} people lose their seats."]
    for share in shares:
        notes += _given_back(share, snapshot.currency)
    if not shares:
        notes.append("Nothing is given back." if refund else "Nothing is given back without --refund.")
    notes += open_invoices.notes(still_open, at_once=True)
    for draft in invoices.drafts if not refund else ():
        notes.append(f"{money(draft.total)} of the draft {draft.id} is still charged, within the hour.")
    if billed_now:
        notes.append(f"{money(billed_now)} that waited for the next invoice is billed now.")
    return cancel_proposal(snapshot, payload, row, f"Cancel {snapshot.name} now?", tuple(notes))


def _given_back(share: CreditShare, currency: str) -> list[str]:
    """What one invoice gives back, told before the subscription ends."""
    parts = (
        (share.refund, f"of invoice {share.number} goes back to the card"),
        (share.credit, f"of invoice {share.number} goes to the customer's balance"),
        (share.less, f"of the open invoice {share.number} no longer has to be paid"),
    )
    told = [f"{format_money(amount, currency)} {what}." for amount, what in parts if amount]
    if share.tax is not None:
        told.append(f"{format_money(share.tax, currency)} of it is tax.")
    return told


def _tax_given_back(shares: Iterable[CreditShare]) -> dict[str, JsonValue]:
    """Return the tax in all shares as a field of a row; none if their invoices have no tax."""
    taxes = [share.tax for share in shares if share.tax is not None]
    return {"tax_given_back": sum(taxes)} if taxes else {}


def cancel_payload(snapshot: SubscriptionSnapshot, summary: str) -> CancelPayload:
    """Return the payload of an operation that does nothing yet but cancel at once."""
    return CancelPayload(
        subscription=snapshot.subscription.id,
        stripe_id=snapshot.mirror.id,
        customer=snapshot.mirror.customer_id,
        summary=summary,
    )


def cancel_row(snapshot: SubscriptionSnapshot) -> dict[str, JsonValue]:
    """Return the fields that all previews of this operation show."""
    return {**content_row(snapshot), "currency": snapshot.currency}


def cancel_proposal(
    snapshot: SubscriptionSnapshot,
    payload: CancelPayload,
    row: dict[str, JsonValue],
    question: str,
    notes: tuple[str, ...] = (),
    undo: str | None = None,
) -> Proposal:
    """Return the proposal of an operation that never charges; `undo` is the command that takes it back."""
    proposal = change_proposal(snapshot, payload, row, question, notes, PREVIEW_COLUMNS)
    return replace(proposal, limited=False, undo=undo)


def unchanged_cancel(snapshot: SubscriptionSnapshot, what: str) -> Proposal:
    """Propose nothing, because of `what` the subscription is or does already."""
    return unchanged_proposal(snapshot, CancelPayload.kind, f"{snapshot.name} {what}", cancel_row(snapshot))


DONE_COLUMNS = ("name", "plan", "status", "seats", "seats_until", "given_back", "currency", "result")


def _run(running: OperationRun[CancelPayload]) -> Apply:
    payload = running.payload
    if payload.update is not None:
        write = endpoints.update_subscription(
            payload.stripe_id, {**payload.update, "metadata": running.marks}
        )
        running.step_or_fail("update", write, running.changed())
        return final_transaction(
            running, payload.subscription, [], _row_fields(running, {}), columns=DONE_COLUMNS
        )
    _delete(running)
    for number, item in enumerate(payload.waiting_items, 1):
        is_gone = running.gone_from(endpoints.pending_invoice_items(payload.customer), item)
        running.delete(f"drop-{number}", endpoints.delete_invoice_item(item), is_gone)
    refused = [share for share in payload.shares if not _write_credit_note(running, share)]
    credited = [share for share in payload.shares if share not in refused]
    summary, fields = _outcome(running, credited, refused)
    return final_transaction(
        running,
        payload.subscription,
        [share.invoice for share in payload.shares],
        _row_fields(running, fields),
        summary=summary,
        columns=DONE_COLUMNS,
        partly=bool(refused),
    )


def _delete(running: OperationRun[CancelPayload]) -> None:
    """Cancel now.

    Keys have no effect on DELETE: "no such subscription" means done if a GET says that it is canceled.
    """
    payload = running.payload
    write = endpoints.cancel_subscription(payload.stripe_id, invoice_now=payload.invoice_now)
    if not running.was_sent("cancel"):
        require_no_payment_processing(running.billing, payload.unpaid)
    try:
        running.step_or_fail(
            "cancel",
            write,
            lambda: {"deleted": True} if _is_over(running) else None,
            but=(MissingInStripe,),
        )
    except MissingInStripe as missing:
        if not _is_over(running):
            raise NothingLeftInStripe(missing) from missing


def _is_over(running: OperationRun[CancelPayload]) -> bool:
    return running.subscription().status is SubscriptionStatus.CANCELED


def _write_credit_note(running: OperationRun[CancelPayload], share: CreditShare) -> bool:
    """Write the credit note of one invoice; return False if Stripe refuses it after all."""
    form: dict[str, JsonValue] = {
        **credit_note_form(share),
        "memo": "Unused time of a canceled subscription",
        "metadata": running.marks,
    }
    step = f"credit-note:{share.invoice}"
    try:
        running.step_must_succeed(
            step, endpoints.credit_note(form), running.mine(endpoints.credit_notes_of(share.invoice))
        )
    except (StripeRefused, NotAllowed):
        if not running.was_refused(step):
            raise
        return False  # the subscription has ended: give back the rest, and report what was refused
    return True


def _outcome(
    running: OperationRun[CancelPayload], credited: list[CreditShare], refused: list[CreditShare]
) -> tuple[str, dict[str, JsonValue]]:
    """Return the summary and the row fields of what was given back."""
    with running.ledger.reading() as reader:
        currency = subscriptions.by_id(reader, running.payload.subscription).currency
    to_card, to_balance = sum(share.refund for share in credited), sum(share.credit for share in credited)
    owed_less = sum(share.less for share in credited)
    summary = running.payload.summary
    if to_card or to_balance:
        summary += f" and gave {format_money(to_card + to_balance, currency)} back"
    if owed_less:
        summary += f"; {format_money(owed_less, currency)} no longer has to be paid"
    if refused:
        numbers = ", ".join(share.number for share in refused)
        summary += f"; Stripe refused to give back what is unused of {numbers}"
    return summary, {
        "given_back": to_card,
        "to_balance": to_balance,
        "owed_less": owed_less,
        **_tax_given_back(credited),
        "invoices": [dump(share) for share in credited],
        "refused": [dump(share) for share in refused],
    }


def _row_fields(running: OperationRun[CancelPayload], outcome: dict[str, JsonValue]) -> After:
    """Return the `after` of the final transaction. Its invoices are those given back, not a charge."""
    payload = running.payload

    def row_fields(_: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        end = (
            running.call.now if subscription.status is SubscriptionStatus.CANCELED else subscription.cancel_at
        )
        seats_until = None if end is None else format_time(end)
        fields: dict[str, JsonValue] = {"seats_until": payload.seats_until or seats_until, "given_back": 0}
        if payload.open_invoices is not None:
            fields["open_invoices"] = [*payload.open_invoices]
        return {**fields, **outcome, "amount_paid": 0, "invoice": None}

    return row_fields


def _undo(running: OperationRun[CancelPayload]) -> str | None:
    """Forget a cancellation that never reached Stripe; return None if it did, so that it is finished."""
    reached = running.changed()() if running.payload.update is not None else _is_over(running)
    return None if reached else "it had not reached Stripe; the subscription is as it was"


register(OperationHandler(CancelPayload, _run, _undo, action=Action.MANAGE_SUBSCRIPTION))
