"""`subs resume` of a subscription that Stripe paused because its trial ended without a card.

Stripe begins a new period and charges its invoice; the subscription stays paused until that is paid. A pause
of collection is different: the subscription runs, and `cancel.py` ends the pause by an update.
"""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview, read_subscription
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import JsonValue
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import format_money
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.purchases import address_hint, check_spend, check_tax
from seatctl.services.charging.cards import require_card
from seatctl.services.charging.customer import text
from seatctl.services.charging.pay_invoice import current_invoice, pay_invoice
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.proposal import Proposal
from seatctl.services.operations.steps import OperationRun
from seatctl.services.operations.submit import OperationRequest
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.proposal import ChangeOptions, unless_changed
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

_COLUMNS = ("name", "plan", "seats", "due_now", "currency")


def prepare_restart(
    billing: Billing, snapshot: SubscriptionSnapshot, requested: dict[str, JsonValue], options: ChangeOptions
) -> Proposal:
    """Price the period that begins now. Raises `card_required`, `max_spend_exceeded`."""
    if snapshot.mirror.collection_method != "send_invoice":
        require_card(billing, snapshot.mirror, snapshot.name)
    form: dict[str, JsonValue] = {
        "subscription": snapshot.mirror.id,
        "subscription_details": {"resume_at": "now"},
    }
    preview = read_preview(billing.read(endpoints.preview_invoice(form)))
    check_tax(preview.tax_status, address_hint(snapshot.name))
    check_spend(preview.amount_due, preview.currency, options.max_spend)
    price = format_money(preview.amount_due, preview.currency)
    summary = f"resumed {snapshot.name} with a new period for {price}"
    details: dict[str, JsonValue] = {
        "subscription": snapshot.subscription.id,
        "stripe_id": snapshot.mirror.id,
        "latest_invoice": snapshot.mirror.latest_invoice,
        "due_now": preview.amount_due,
        "summary": summary,
    }
    row: dict[str, JsonValue] = {
        "name": snapshot.name,
        "plan": snapshot.subscription.plan_slug,
        "seats": snapshot.subscription.capacity,
        "due_now": preview.amount_due,
        "currency": preview.currency,
    }
    return Proposal(
        OperationRequest(
            "resume", requested, details, snapshot.subscription.id, request_id=options.request_id
        ),
        row,
        summary,
        f"Resume {snapshot.name}?",
        (f"Stripe begins a new period and charges {price} now.",),
        due=preview.amount_due,
        currency=preview.currency,
        limited=preview.amount_due > 0,
        columns=_COLUMNS,
        guard=unless_changed(snapshot),
    )


def _run(running: OperationRun) -> Apply:
    stripe_id = str(running.payload["stripe_id"])
    running.step_or_nothing(
        "resume", endpoints.resume_subscription(stripe_id), lambda: _resumed(running, stripe_id)
    )
    mirror = read_subscription(running.billing.read(endpoints.subscription(stripe_id)))
    invoice = _new_invoice(running, mirror.latest_invoice)
    if mirror.status is SubscriptionStatus.PAUSED and invoice is not None:
        # The card was declined or the bank asks: it stays paused, and its invoice can be paid for a day.
        pay_invoice(running, invoice, None, lambda: _void(running, invoice))
    return final_transaction(running, [invoice], str(running.payload["summary"]), report_due=True)


def _new_invoice(running: OperationRun, latest: str | None) -> str | None:
    """Return the invoice that resuming made, None if there is none."""
    return None if latest == text(running, "latest_invoice") else latest


def _resumed(running: OperationRun, stripe_id: str) -> StripeJson | None:
    """Return the subscription if Stripe has carried out the call: it runs, or has a new invoice."""
    raw = running.billing.read(endpoints.subscription(stripe_id))
    mirror = read_subscription(raw)
    has_new_invoice = _new_invoice(running, mirror.latest_invoice) is not None
    return raw if has_new_invoice or mirror.status is not SubscriptionStatus.PAUSED else None


def _void(running: OperationRun, invoice: str) -> None:
    """Void the invoice of a period that did not begin."""

    def find() -> StripeJson | None:
        raw = running.billing.read(endpoints.invoice(invoice))
        return raw if raw.get("status") == InvoiceStatus.VOID else None

    if current_invoice(running, invoice).status is InvoiceStatus.OPEN:
        require_no_payment_processing(running.billing, [invoice])
        running.step_at_last("void", endpoints.void_invoice(invoice), find)


def _undo(running: OperationRun) -> str | None:
    """Void an unpaid invoice after a day; return None if the subscription runs, so that it is finished."""
    stripe_id = str(running.payload["stripe_id"])
    mirror = read_subscription(running.billing.read(endpoints.subscription(stripe_id)))
    if mirror.status is not SubscriptionStatus.PAUSED:
        return None
    invoice = _new_invoice(running, mirror.latest_invoice)
    if invoice is not None:
        _void(running, invoice)
    return "it was not paid, so the subscription is still paused"


HANDLER = OperationHandler(_run, _undo)
