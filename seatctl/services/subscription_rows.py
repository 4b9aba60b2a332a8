"""Subscriptions as rows of output. Times in the written form, money in minor units."""

from __future__ import annotations

from datetime import datetime, timedelta

from seatctl.ledger.subscriptions import Planned
from seatctl.models.call import format_time
from seatctl.models.plan import Policy, Renewal
from seatctl.models.report import Record
from seatctl.models.subscription import Subscription, SubscriptionStatus
from seatctl.rules.approval_rules import auto_approval_fields
from seatctl.rules.policies import as_fields
from seatctl.rules.policy_text import sentences
from seatctl.rules.wording import counted

SUBSCRIPTION_COLUMNS = ("name", "plan", "status", "seats", "assigned", "free", "owner", "term_end", "result")


def subscription_row(subscription: Subscription) -> Record:
    """One line of `subs list`; `over_assigned` counts people beyond what is paid for (design rule 3)."""
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
        "auto_approve": subscription.auto_approval.enabled,
        "stripe_subscription": subscription.stripe_subscription,
    }


def shown_status(subscription: Subscription) -> str:
    """Stripe's status; a term that was renewed by hand is a trial to Stripe, and paid to everybody else."""
    policy = subscription.policy
    manual = policy is not None and policy.renewal is Renewal.MANUAL
    return (
        "paid" if manual and subscription.status is SubscriptionStatus.TRIALING else str(subscription.status)
    )


def subscription_page(subscription: Subscription, billing_email: str | None, planned: Planned) -> Record:
    """Everything about one subscription: its row, its rules in sentences, and its own calendar."""
    policy = subscription.policy
    return {
        **subscription_row(subscription),
        "next_seats": planned.seats,
        "next_plan": planned.plan,
        "billing_email": billing_email,
        "auto_approval": auto_approval_fields(subscription.auto_approval),
        "policy": None if policy is None else as_fields(policy),
        "rules": [] if policy is None else [*sentences(policy)],
        "calendar": [] if policy is None else [*calendar(subscription, policy, planned)],
        "stripe_item": subscription.stripe_item,
        "home_ledger": subscription.home_ledger,
    }


def calendar(subscription: Subscription, policy: Policy, planned: Planned) -> list[str]:
    """What the policy means for this subscription, with its dates (UTC days)."""
    end = subscription.term_end
    window = end - timedelta(days=policy.renewal_window_days)
    lines = [f"The term runs from {_day(subscription.term_start)} to {_day(end)}."]
    if subscription.cancel_at is not None and policy.renewal is Renewal.AUTOMATIC:
        lines.append(f"It is canceled and ends on {_day(subscription.cancel_at)}.")
    elif policy.renewal is Renewal.AUTOMATIC:
        lines.append(f"It renews on {_day(end)}.")
    else:
        lines.append(f"It ends on {_day(end)} unless it is renewed.")
    if (planned.seats, planned.plan) != (subscription.capacity, subscription.plan_slug):
        lines.append(f"From {_day(end)} on it has {counted(planned.seats, 'seat')} of {planned.plan}.")
    lines.append(f"The renewal window opens on {_day(window)}.")
    if policy.addon_cutoff_days:
        last = end - timedelta(days=policy.addon_cutoff_days)
        lines.append(f"Seats can be added until {_day(last)}, then only after a renewal.")
    return lines


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
