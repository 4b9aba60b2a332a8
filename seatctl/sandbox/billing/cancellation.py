"""Ending a subscription: at the end of its period, at a moment, or now; and taking a scheduled end back."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.collection import lacks_method_after_trial
from seatctl.sandbox.billing.invoice_states import void_invoice
from seatctl.sandbox.billing.periods import (
    billed_before,
    charge_item,
    credit_items,
    save_pending,
)
from seatctl.sandbox.due import ENDED, period_end
from seatctl.sandbox.errors import mutually_exclusive
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def schedule_end(session: Session, subscription: Obj, params: Obj) -> None:
    """Apply `cancel_at` and `cancel_at_period_end` of a request, instead of what was scheduled before."""
    cancel_at: Any = params.get("cancel_at")
    if cancel_at and params.get("cancel_at_period_end"):
        raise mutually_exclusive("cancel_at", "cancel_at_period_end")
    if not {"cancel_at", "cancel_at_period_end"} & set(params):
        return
    _charge_credited_time(session, subscription)
    end = period_end(session.items_of(subscription["id"]))
    if params.get("cancel_at_period_end"):
        _set_end(session, subscription, end, at_period_end=True)
    elif cancel_at:
        moment = cancel_at if isinstance(cancel_at, int) else end
        _credit_time_after(session, subscription, moment, prorate=params.get("proration_behavior") != "none")
        _set_end(session, subscription, moment, at_period_end=False)
    else:
        subscription.update(cancel_at=None, cancel_at_period_end=False, canceled_at=None)
        subscription["cancellation_details"] = {**subscription["cancellation_details"], "reason": None}


def _set_end(session: Session, subscription: Obj, moment: int, *, at_period_end: bool) -> None:
    """Let the subscription end at `moment`; `canceled_at` is when that was requested."""
    subscription.update(cancel_at=moment, cancel_at_period_end=at_period_end, canceled_at=session.now)
    subscription["cancellation_details"] = {
        **subscription["cancellation_details"],
        "reason": "cancellation_requested",
    }


def _credit_time_after(session: Session, subscription: Obj, moment: int, *, prorate: bool) -> None:
    """Credit now what was billed for the time after an end within the current period."""
    subscription["_keeps_rest"] = not prorate
    credits = credit_after(session, subscription, moment) if prorate else []
    save_pending(session, credits)
    subscription["_cut"] = moment if credits else None


def _charge_credited_time(session: Session, subscription: Obj) -> None:
    """Charge the time again that was credited for a scheduled end, which is moved or taken back."""
    if subscription.get("_cut") is None:
        return
    charges = []
    for item in session.items_of(subscription["id"]):
        # An item that has changed since then is billed until the period's end already.
        billed_until = max(
            (billed["until"] for billed in item["_billed"]), default=item["current_period_end"]
        )
        if billed_until >= item["current_period_end"]:
            continue
        charges.append(charge_item(session, item, billed_until))
    save_pending(session, charges)
    subscription["_cut"] = None


def credit_after(session: Session, subscription: Obj, moment: int) -> list[Obj]:
    """Return credits for what was billed for the time after `moment`; not yet written."""
    credits: list[Obj] = []
    for item in session.items_of(subscription["id"]):
        credits += credit_items(session, item, moment)
        item["_billed"] = billed_before(item, moment)
        session.save(item)
    return credits


_STAMPS = {"released": "released_at", "canceled": "canceled_at", "completed": "completed_at"}


def end_schedule(session: Session, subscription: Obj, status: str) -> None:
    """End the schedule of a subscription, if it has one; the caller writes the subscription."""
    schedule = session.store.get("subscription_schedule", subscription["schedule"] or "")
    subscription.update(schedule=None, _phase_ends=None)
    if schedule is None:
        return
    schedule.update({"status": status, _STAMPS[status]: session.now}, current_phase=None)
    if status == "released":
        schedule.update(subscription=None, released_subscription=subscription["id"])
    session.save_changed(schedule, f"subscription_schedule.{status}")


def end_now(session: Session, subscription: Obj, reason: str) -> None:
    """Mark a subscription as ended now; the caller writes it and emits the event."""
    stop_retries(session, subscription)
    end_schedule(session, subscription, "canceled")
    subscription.update(
        status="canceled",
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=session.now,
        ended_at=session.now,
        pending_update=None,
    )
    details = subscription["cancellation_details"]
    subscription["cancellation_details"] = {**details, "reason": reason}


def end_trial_without_method(session: Session, subscription: Obj) -> bool:
    """Pause or end a subscription whose trial is over, if it is set up so and has no payment method.

    Return whether that was done; the caller writes the subscription and emits the events.
    """
    if not lacks_method_after_trial(session, subscription):
        return False
    if subscription["trial_settings"]["end_behavior"]["missing_payment_method"] == "pause":
        subscription["status"] = "paused"
    else:
        end_now(session, subscription, "payment_failed")
    return True


def end_subscriptions_of(session: Session, customer: str) -> None:
    """End the subscriptions of a deleted customer now; nothing more is billed."""
    for subscription in list(session.store.walk("subscription", customer=customer)):
        if subscription["status"] not in ENDED:
            end_now(session, subscription, "cancellation_requested")
            session.save_and_emit(subscription, "customer.subscription.deleted")


def expire(session: Session, subscription: Obj) -> None:
    """Expire an incomplete subscription (`incomplete_expired`) and void its first invoice."""
    before = session.view(subscription)
    subscription.update(status="incomplete_expired", canceled_at=session.now, ended_at=session.now)
    session.save(subscription)
    invoice = session.store.get("invoice", subscription["latest_invoice"] or "")
    if invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
    session.emit_change(subscription, "customer.subscription.updated", before)


def stop_retries(session: Session, subscription: Obj) -> None:
    """Stop the automatic payments of a subscription's open invoices, as documented for one that ends."""
    for invoice in list(session.store.walk("invoice", parent=subscription["id"])):
        if invoice["status"] == "open" and invoice["auto_advance"]:
            invoice.update(auto_advance=False, next_payment_attempt=None)
            session.save_changed(invoice, "invoice.updated")
