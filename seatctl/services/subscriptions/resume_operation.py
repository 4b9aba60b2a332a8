"""Begins a new period of a subscription that Stripe has paused: `subs resume`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview, read_subscription
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue, StripeRefused
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import format_money
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.purchases import check_spend
from seatctl.rules.tax import tax_fields, tax_note
from seatctl.services.charging.pay_invoice import (
    current_invoice,
    pay_invoice,
    require_no_payment_processing,
    void_if_payable,
)
from seatctl.services.charging.payer import require_card
from seatctl.services.operations.handlers import Apply, OperationHandler, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, SubscriptionPayload
from seatctl.services.operations.submit import Proposal
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.proposal import change_proposal
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

_COLUMNS = ("name", "plan", "seats", "net", "tax", "total", "due_now", "currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePayload(SubscriptionPayload):
    """A new period of a paused subscription."""

    kind = "resume"
    latest_invoice: str | None = None
    """The latest invoice before the new period."""


def prepare_new_period(snapshot: SubscriptionSnapshot) -> Proposal:
    """Price the period that begins now. Raises `card_required`, `max_spend_exceeded`."""
    if snapshot.mirror.collection_method != "send_invoice":
        require_card(snapshot.billing, snapshot.mirror, snapshot.name, snapshot.accepted)
    preview = read_preview(snapshot.preview({"resume_at": "now"}))
    snapshot.require_tax(preview)
    check_spend(preview.amount_due, preview.currency, snapshot.change.max_spend)
    price = format_money(preview.amount_due, preview.currency)
    payload = ResumePayload(
        subscription=snapshot.subscription.id,
        stripe_id=snapshot.mirror.id,
        latest_invoice=snapshot.mirror.latest_invoice,
        due_now=preview.amount_due,
        summary=f"resumed {snapshot.name} with a new period for {price}",
    )
    row: dict[str, JsonValue] = {
        "name": snapshot.name,
        "plan": snapshot.subscription.plan_slug,
        "seats": snapshot.subscription.capacity,
        **tax_fields(preview),
        "due_now": preview.amount_due,
        "currency": preview.currency,
    }
    notes = (f"Stripe begins a new period and charges {price} now.", *tax_note(preview))
    proposal = change_proposal(
        snapshot, payload, row, f"Resume {snapshot.name}?", notes, _COLUMNS, preview.currency
    )
    return replace(proposal, limited=preview.amount_due > 0)


def _run(running: OperationRun[ResumePayload]) -> Apply:
    payload = running.payload
    found = running.when(endpoints.subscription(payload.stripe_id), lambda raw: _is_resumed(payload, raw))
    running.step_or_fail("resume", endpoints.resume_subscription(payload.stripe_id), found)
    mirror = running.subscription()
    invoice = _new_invoice(payload, mirror)
    if mirror.status.is_over and invoice is not None and not _is_paid_after_all(running, invoice):
        raise NothingLeftInStripe(StripeRefused("the subscription has ended in Stripe; nothing was charged"))
    if mirror.status is SubscriptionStatus.PAUSED and invoice is not None:
        # The card was declined or the bank asks: it stays paused, and its invoice can be paid for a day.
        pay_invoice(running, invoice, None, lambda: _void_new_invoice(running, invoice))
    return final_transaction(running, payload.subscription, [invoice], report_due=True)


def _new_invoice(payload: ResumePayload, mirror: StripeSubscription) -> str | None:
    """Return the invoice that resuming made, None if there is none."""
    return None if mirror.latest_invoice == payload.latest_invoice else mirror.latest_invoice


def _is_resumed(payload: ResumePayload, raw: StripeJson) -> bool:
    """Whether Stripe has carried out the call: the subscription runs, or has a new invoice."""
    mirror = read_subscription(raw)
    runs = mirror.status is not SubscriptionStatus.PAUSED and not mirror.status.is_over
    return runs or _new_invoice(payload, mirror) is not None


def _is_paid_after_all(running: OperationRun[ResumePayload], invoice: str) -> bool:
    """Void the invoice of a period that can no longer begin; return True if it was paid and stays."""
    _void_new_invoice(running, invoice)
    return current_invoice(running, invoice).status is InvoiceStatus.PAID


def _void_new_invoice(running: OperationRun[ResumePayload], invoice: str) -> None:
    """Void the invoice of a period that did not begin, unless it is paid."""
    require_no_payment_processing(running.billing, [invoice])
    void_if_payable(running, invoice)


def _undo(running: OperationRun[ResumePayload]) -> str | None:
    """Void an unpaid invoice after a day; return None if the subscription runs, so that it is finished."""
    mirror = running.subscription()
    if mirror.status is not SubscriptionStatus.PAUSED and not mirror.status.is_over:
        return None
    invoice = _new_invoice(running.payload, mirror)
    if invoice is not None and _is_paid_after_all(running, invoice):
        return None
    return f"it was not paid, so the subscription is still {mirror.status}"


register(OperationHandler(ResumePayload, _run, _undo, action=Action.MANAGE_SUBSCRIPTION))
