"""`seatctl status`: the state of the profile, and what needs attention, with the command that helps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands
from seatctl.models.report import Record, record_of
from seatctl.output.style import columns

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from datetime import datetime

    from seatctl.ledger.overview import Overview
    from seatctl.ledger.transaction import Reader
    from seatctl.models.invoice import Invoice
    from seatctl.models.subscription import Subscription

app = Commands()

COLUMNS = columns(
    "profile mode actor ledger as_of last_sync sync_lag unreadable plans subscriptions seats assigned"
    " free users pending_requests waitlisted_requests unpaid_invoices disputed_invoices"
    " unfinished_operations mail_server waiting_messages failed_messages attention",
    machine="sync_lag attention",
)


ENDED = ("canceled", "incomplete_expired")
_WITHOUT_A_NEXT_TERM = (*ENDED, "paused")
"""One that is paused has no new term until it is resumed, however often it is synced."""
_SOON = timedelta(days=7)


@app.command("status")
def status(ctx: Context) -> None:
    """Show the state of this profile and what needs attention.

    Examples:
      seatctl status
      seatctl status -o json
    """
    from seatctl.ledger import invoices, subscriptions
    from seatctl.ledger.overview import overview

    with ctx.ledger.reading() as reader:
        all_subscriptions = list(subscriptions.listing(reader, ctx.now))
        counts = overview(reader, ctx.now)
        disputed = invoices.in_dispute(reader)
        trials = [*_trials(reader, all_subscriptions, ctx.now)]
        told = {owed.handle for each in all_subscriptions for owed in each.owed if owed.processing_until}
        unfinished = [*_unfinished(reader, told, ctx.now)] if counts.unfinished_operations else []
    troubles = _attention(all_subscriptions, counts, ctx.now)
    attention = [*unfinished, *troubles, *trials, *_disputes(disputed)]
    record: Record = {
        **_record(ctx, all_subscriptions, counts),
        "disputed_invoices": len(disputed),
        "attention": [*attention],
    }
    ctx.emit_one(record, COLUMNS, handle="profile")
    for line in attention:
        ctx.note(line)
    if counts.waiting_messages and not ctx.policy.text("mail.host", ctx.environment):
        ctx.note("no mail server is configured, so no notifications are sent: seatctl help notifications")


def _record(ctx: Context, all_subscriptions: Iterable[Subscription], counts: Overview) -> Record:
    from seatctl.models.call import format_time

    current = [subscription for subscription in all_subscriptions if subscription.status not in ENDED]
    return {
        "profile": ctx.profile.name,
        "mode": ctx.profile.mode.value,
        "actor": ctx.actor,
        "ledger": ctx.ledger.place,
        "as_of": format_time(ctx.now),
        "last_sync": counts.last_sync,
        "sync_lag": _lag(ctx, counts.last_sync),
        **record_of(counts, "unreadable plans"),
        "subscriptions": len(current),
        "seats": sum(subscription.capacity for subscription in current),
        "assigned": sum(subscription.assigned for subscription in current),
        "free": sum(subscription.free for subscription in current),
        **record_of(counts, "users pending_requests waitlisted_requests unpaid_invoices"),
        "unfinished_operations": counts.unfinished_operations,
        "mail_server": ctx.policy.text("mail.host", ctx.environment) or None,
        **record_of(counts, "waiting_messages failed_messages"),
    }


def _unfinished(reader: Reader, told: Container[str], now: datetime) -> Iterator[str]:
    """Yield a line for each operation that waits for a bank, which nobody can finish, and one for the others.

    `told` are the invoices that a subscription's own line names. The subscription of a purchase has none: it
    is not in the ledger yet.
    """
    from seatctl.ledger import operations
    from seatctl.models.call import parse_time
    from seatctl.rules.payment_methods import processing_until

    unfinished = operations.unfinished(reader)
    at_bank = [operation for operation in unfinished if operation.waits_for_bank]
    if others := len(unfinished) - len(at_bank):
        waits = "operations wait or were" if others > 1 else "operation waits or was"
        yield f"{others} {waits} interrupted: seatctl sync"
    for operation in at_bank:
        outcome = operation.outcome or {}
        invoice, until = str(outcome["invoice"]), parse_time(str(outcome["processing_until"]))
        if invoice in told:
            continue
        what = f"run {operation.run} waits for a bank: the payment of invoice {invoice}"
        yield f"{what} is {processing_until(until, now)}: seatctl runs show {operation.run}"


def _trials(reader: Reader, all_subscriptions: Iterable[Subscription], now: datetime) -> Iterator[str]:
    """Yield a line for each trial that soon ends without a payment method."""
    for subscription in all_subscriptions:
        if subscription.status != "trialing" or not now < subscription.term_end <= now + _SOON:
            continue
        from seatctl.ledger.trials import trial_and_schedule
        from seatctl.rules.trials import ending, ways_out

        trial = trial_and_schedule(reader, subscription.id).trial
        if trial is not None:
            for way in ways_out(subscription.name, trial):
                yield f"{subscription.name}: {ending(trial)}: {way}"


def _disputes(invoices: Iterable[Invoice]) -> Iterator[str]:
    """Yield a line for each payment that a cardholder's bank disputes."""
    from shlex import quote

    from seatctl.models.money import format_money

    for invoice in invoices:
        number = invoice.number or invoice.stripe_id
        for dispute in (dispute for dispute in invoice.disputes if dispute.is_open):
            currency = dispute.currency or invoice.currency
            money = format_money(dispute.amount, currency)
            waits = "the bank decides"
            if dispute.wants_answer:
                by = f" by {dispute.answer_by:%Y-%m-%d}" if dispute.answer_by is not None else ""
                waits = f"answer it in Stripe's dashboard{by}"
            yield f"{money} of invoice {number} is disputed, {waits}: seatctl invoices show {quote(number)}"


def _lag(ctx: Context, last: str | None) -> int | None:
    """Return the seconds since the last sync, or None before the first."""
    from seatctl.models.call import parse_time

    return None if last is None else max(0, int((ctx.now - parse_time(last)).total_seconds()))


def _attention(all_subscriptions: Iterable[Subscription], counts: Overview, now: datetime) -> Iterator[str]:
    """Yield a line for each problem, ending with the command that shows or solves it."""
    from seatctl.models.report import counted
    from seatctl.rules.payment_states import sentence, troubles_of

    if counts.backfilling:
        yield "reading Stripe was interrupted; to continue: seatctl sync"
    if counts.unreadable:
        yield f"{counted(counts.unreadable, 'object')} in Stripe could not be read: seatctl sync lists them"
    for subscription in all_subscriptions:
        if subscription.term_end <= now and subscription.status not in _WITHOUT_A_NEXT_TERM:
            yield f"the term of {subscription.name} has ended; to see whether it renewed: seatctl sync"
        yield from map(sentence, troubles_of(subscription, now))
    if counts.pending_requests:
        waiting = "requests wait" if counts.pending_requests > 1 else "request waits"
        yield f"{counts.pending_requests} {waiting} for a decision: seatctl requests list"
    if counts.failed_messages:
        undelivered = counted(counts.failed_messages, "message")
        yield f"{undelivered} could not be delivered: seatctl notify list --failed"
