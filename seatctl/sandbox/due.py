"""When the clock has work on an object: an end, a renewal, a retry, an expiry, the end of a debit."""

from __future__ import annotations

from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.objects import Obj

INCOMPLETE_FOR = 23 * HOUR
ENDED = ("canceled", "incomplete_expired")


def next_due(obj: Obj, items: list[Obj]) -> int | None:
    """Return when the clock has work on an object, or None; `items` are those of a subscription."""
    moment: int | None = None
    if obj["object"] == "subscription":
        moment = _subscription_due(obj, items)
    elif obj["object"] == "invoice":
        moment = _invoice_due(obj)
    elif obj["object"] == "checkout.session" and obj["status"] == "open":
        moment = obj["expires_at"]
    elif obj["object"] == "payment_intent" and obj["status"] == "processing":
        moment = obj.get("_settles_at")
    elif obj["object"] == "test_helpers.test_clock" and obj["status"] == "advancing":
        moment = obj["_ready_at"]
    return moment


def _subscription_due(subscription: Obj, items: list[Obj]) -> int | None:
    status = subscription["status"]
    if status in ENDED:
        return None
    if status == "incomplete":
        return int(subscription["created"]) + INCOMPLETE_FOR
    moments = [subscription["cancel_at"]]
    if status != "paused":
        moments.append(period_end(items))
        moments.append(subscription["trial_end"] if status == "trialing" else None)
    if subscription["pending_update"]:
        moments.append(subscription["pending_update"]["expires_at"])
    if subscription["pause_collection"]:
        moments.append(subscription["pause_collection"]["resumes_at"])
    moments.append(subscription.get("_phase_ends"))
    return min((moment for moment in moments if moment), default=None)


def _invoice_due(invoice: Obj) -> int | None:
    """Return when the clock finalizes an invoice, tries its payment again or marks it as overdue."""
    due: int | None = None
    if invoice["status"] == "draft":
        due = invoice["automatically_finalizes_at"]
    elif invoice["status"] == "open" and invoice["collection_method"] == "send_invoice":
        due = None if invoice.get("_overdue") else invoice["due_date"]
    elif invoice["status"] == "open" and invoice["auto_advance"]:
        due = invoice["next_payment_attempt"]
    return due


def period_end(items: list[Obj]) -> int:
    """Return when the current period of a subscription ends."""
    return max((int(item["current_period_end"]) for item in items), default=0)


def period_start(items: list[Obj]) -> int:
    """Return when the current period of a subscription began."""
    return min((int(item["current_period_start"]) for item in items), default=0)
