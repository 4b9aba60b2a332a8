"""Subscriptions as rows of output. Times in the written form, money in minor units."""

from __future__ import annotations

from datetime import datetime, timedelta

from seatctl.ledger.subscriptions import NextTerm
from seatctl.ledger.trials import TrialAndSchedule
from seatctl.models.call import format_time, optional_text
from seatctl.models.collection import Trial
from seatctl.models.invoice import PROCESSING_UNTIL
from seatctl.models.money import format_money
from seatctl.models.plan import Policy, Renewal
from seatctl.models.report import Record, counted
from seatctl.models.stripe_objects import StripeInvoice
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import trials
from seatctl.rules.approval import auto_approval_fields
from seatctl.rules.payment_states import STOPPED, troubles_of
from seatctl.rules.policies import as_fields, sentences

SUBSCRIPTION_COLUMNS = ("name", "plan", "status", "seats", "assigned", "free", "owner", "term_end", "result")


def subscription_row(subscription: Subscription) -> Record:
    """Return one row of `subs list`; `over_assigned` counts people beyond the paid seats."""
    return {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "status": shown_status(subscription),
        "seats": subscription.capacity,
        "assigned": subscription.assigned,
        "free": subscription.free,
        "over_assigned": max(0, subscription.assigned - subscription.capacity),
        "owner": subscription.owner_email,
        "unit_amount": subscription.unit_amount,
        "currency": subscription.currency,
        "term_start": format_time(subscription.term_start),
        "term_end": format_time(subscription.term_end),
        "ends": subscription.cancel_at is not None,
        "ends_at": None if subscription.cancel_at is None else format_time(subscription.cancel_at),
        "auto_approve": subscription.auto_approval.enabled,
        "stripe_subscription": subscription.stripe_subscription,
    }


def due_sentence(invoice: StripeInvoice | None, email: str | None = None) -> str:
    """Return what is still to be paid, by when, and where it was sent; empty if the card has paid."""
    if invoice is None or not invoice.amount_remaining:
        return ""
    amount, until = format_money(invoice.amount_remaining, invoice.currency), processing_day(invoice)
    if until is not None:
        return f": the payment of {amount} (invoice {invoice.number}) is processing until about {until}"
    if invoice.due_date is None:
        return ""
    sent_to = f", sent to {email}" if email else ""
    return f": invoice {invoice.number} over {amount} is due {invoice.due_date:%Y-%m-%d}{sent_to}"


def processing_day(invoice: StripeInvoice) -> str | None:
    """Return the day until which a bank is about to process the payment, None if none is under way."""
    until = invoice.details.get(PROCESSING_UNTIL)
    return until[:10] if isinstance(until, str) else None


def with_troubles(row: Record, subscription: Subscription, at: datetime) -> Record:
    """Return the row with what needs attention at `at` (UTC), and the commands that help."""
    troubles = troubles_of(subscription, at)
    commands = dict.fromkeys(command for trouble in troubles for command in trouble.ways_out)
    return {**row, "attention": [trouble.message for trouble in troubles], "ways_out": [*commands]}


def shown_status(subscription: Subscription) -> str:
    """Return Stripe's status, but `paid` for a term renewed by hand, which is a trial to Stripe."""
    policy = subscription.policy
    if subscription.status is SubscriptionStatus.TRIALING and policy and policy.renewal is Renewal.MANUAL:
        return "paid"
    return str(subscription.status)


def subscription_page(
    subscription: Subscription,
    billing_email: str | None,
    next_term: NextTerm,
    of_plan: Policy | None,
    more: TrialAndSchedule,
) -> Record:
    """Return the record of `subs show`: the row, its policy in sentences, and its calendar.

    A subscription bought outside seatctl has no policy of its own and follows its plan's.
    """
    policy = subscription.policy or of_plan
    trial, pause = more.trial, subscription.pause
    return {
        **subscription_row(subscription),
        "next_seats": next_term.seats,
        "next_plan": next_term.plan,
        "billing_email": billing_email,
        "auto_approval": auto_approval_fields(subscription.auto_approval),
        "policy": None if policy is None else as_fields(policy),
        "rules": [] if policy is None else [*sentences(policy)],
        "calendar": [] if policy is None else [*calendar(subscription, policy, next_term, more)],
        "trial": None if trial is None else {"ends_at": format_time(trial.ends), "then": trial.then},
        "pause": None
        if pause is None
        else {"behavior": pause.behavior, "resumes_at": optional_text(pause.resumes_at)},
        "schedule": more.schedule,
        "stripe_item": subscription.stripe_item,
        "home_ledger": subscription.home_ledger,
    }


def calendar(
    subscription: Subscription, policy: Policy, next_term: NextTerm, more: TrialAndSchedule
) -> list[str]:
    """Return what the policy means for this subscription, with its dates (UTC days)."""
    if subscription.status.is_over:
        return ["It has ended; nobody is entitled through it."]
    lines = _terms(subscription, policy, next_term, more.trial)
    if more.schedule is None:
        return lines
    return [*lines, f"The schedule {more.schedule} in Stripe sets its seats when its next phase begins."]


def _terms(subscription: Subscription, policy: Policy, next_term: NextTerm, trial: Trial | None) -> list[str]:
    end, cancel_at = subscription.term_end, subscription.cancel_at
    lines = [f"The term runs from {subscription.term_start:%Y-%m-%d} to {end:%Y-%m-%d}."]
    if trial is not None:
        ways = "".join(f" ({way})" for way in trials.ways_out(subscription.name, trial))
        lines = [f"It began on {subscription.term_start:%Y-%m-%d}; {trials.ending(trial)}{ways}."]
    if cancel_at is not None and policy.renewal is Renewal.AUTOMATIC:
        return [*lines, f"It is canceled and ends on {cancel_at:%Y-%m-%d}."]
    renewed = cancel_at is not None and cancel_at > end
    if renewed and cancel_at is not None:
        lines.append(f"It is renewed until {cancel_at:%Y-%m-%d}, and ends then unless it is renewed again.")
    elif subscription.status in STOPPED:
        lines.append("It renews no seats before it runs again.")
    elif policy.renewal is Renewal.AUTOMATIC:
        lines += [f"It renews on {end:%Y-%m-%d}."] if trial is None else []
    else:
        lines.append(f"It ends on {end:%Y-%m-%d} unless it is renewed.")
    if (next_term.seats, next_term.plan) != (subscription.capacity, subscription.plan_slug):
        lines.append(f"From {end:%Y-%m-%d} on it has {counted(next_term.seats, 'seat')} of {next_term.plan}.")
    return lines if renewed else [*lines, *_deadlines(end, policy)]


def _deadlines(end: datetime, policy: Policy) -> list[str]:
    """Return the deadlines of a term that is not renewed yet."""
    opens = end - timedelta(days=policy.renewal_window_days)
    lines = [f"The renewal window opens on {opens:%Y-%m-%d}."]
    if policy.addon_cutoff_days:
        last = end - timedelta(days=policy.addon_cutoff_days)
        lines.append(f"Seats can be added until {last:%Y-%m-%d}, then only after a renewal.")
    return lines
