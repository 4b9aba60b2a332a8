"""Purchases that begin with a free trial: what is due now, what is charged at its end, and without a card."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview
from seatctl.billing.port import Billing, StripeJson, stripe_now
from seatctl.billing.previews import RECURRING, read_pending_amount, read_terms
from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.call import Call, format_time
from seatctl.models.money import format_money
from seatctl.models.plan import Plan, TrialWithoutCard
from seatctl.models.report import Record
from seatctl.models.stripe_objects import Preview
from seatctl.rules import hints
from seatctl.rules.policies import FLEXIBLE
from seatctl.services.purchases.buy_operation import PurchasePayload

_A_WHILE = timedelta(hours=1)


def check_trial_without_card(plan: Plan, *, trial: bool) -> None:
    """Raise `card_required` unless a purchase of the plan begins with a trial that needs no card."""
    policy = plan.policy or FLEXIBLE
    if trial and policy.trial_days and policy.trial_without_card is not TrialWithoutCard.NO:
        return
    if not trial:
        why = "without the trial, the first term is charged now"
    elif policy.trial_days:
        why = f"the trial of plan {plan.slug} needs a card"
    else:
        why = f"plan {plan.slug} has no trial"
    raise refuse(Code.CARD_REQUIRED, f"--no-card: {why}", hint=hints.buy(plan.slug), data={"plan": plan.slug})


def priced_trial(
    billing: Billing,
    call: Call,
    form: dict[str, JsonValue],
    payload: PurchasePayload,
    whole: tuple[Preview, Record],
) -> tuple[Preview, Record]:
    """Return the preview and the row of a purchase with a trial; `whole` has those without the trial.

    Stripe may preview the invoice of today, or the first one with an amount instead: then only what waits for
    the customer's next invoice is due now.
    """
    preview, row = whole
    ends = stripe_now(billing, call) + timedelta(days=payload.trial_days)
    details = {**dict(_object(form["subscription_details"])), "trial_end": int(ends.timestamp())}
    trial: dict[str, JsonValue] = {**form, "subscription_details": details}

    def read(extra: dict[str, JsonValue]) -> StripeJson:
        return billing.read(endpoints.preview_invoice({**trial, **extra}))

    raw = read({})
    today = read_preview(raw)
    if any(line.period_start >= ends - _A_WHILE for line in read_terms(raw)):
        due = max(0, read_pending_amount(raw, lambda: read(RECURRING)))
        tax = today.tax - read_preview(read(RECURRING)).tax if due else 0
        today = replace(today, amount_due=due, total=due, tax=tax, carried_over=0)
    first = preview.total
    if payload.customer is not None:  # without what waits for the customer's next invoice
        first = read_preview(billing.read(endpoints.preview_invoice({**form, **RECURRING}))).total
    return today, {
        **row,
        "due_now": today.amount_due,
        "carried_over": today.carried_over,
        "renews_at": format_time(ends),
        # Whether the invoice of the trial uses up a coupon for one invoice is not known of Stripe.
        "first_charge": None if payload.discounts or preview.whole_total is None else first,
    }


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def trial_notes(payload: PurchasePayload, row: Record, *, has_card: bool) -> tuple[str, ...]:
    """Return the sentences about the trial that are shown before the question."""
    if not payload.trial_days:
        return ()
    begins = f"It begins with a free trial of {payload.trial_days} days"
    if not has_card and payload.policy is not None:
        pauses = payload.policy.trial_without_card is TrialWithoutCard.PAUSE
        then = "is paused" if pauses else "is canceled"
        return (f"{begins}; then it {then} unless a payment method is given.",)
    first, currency = row["first_charge"], str(row["currency"])
    amount = f" {format_money(first, currency)}" if isinstance(first, int) else ""
    verb = "invoices" if payload.due_days is not None else "charges"
    return (f"{begins}; then Stripe {verb} the first term{':' if amount else ''}{amount}.",)
