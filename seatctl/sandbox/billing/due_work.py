"""Work that is due by the clock: renewals, finalizing drafts, retries, ends of trials, expiries.

Each piece of work is done as of its own moment, in order: a year of monthly renewals is twelve renewals.

A subscription gets a new period, ends, or its trial does. A draft is finalized after an hour, a failed
payment is tried again, and a bank debit succeeds or fails after days. Stripe chooses the moments of retries
by a model. The sandbox tries again 3, 5 and 7 days after the attempt before, and then cancels the
subscription or leaves it unpaid or past due (`control.after_retries`).
"""

from __future__ import annotations

from collections.abc import Callable

from seatctl.sandbox.billing import debits
from seatctl.sandbox.billing.cancellation import credit_after, end_now, end_trial_without_method, expire
from seatctl.sandbox.billing.collection import collect, end_debit, method_for
from seatctl.sandbox.billing.discounts import remaining_discounts
from seatctl.sandbox.billing.invoice_states import (
    finalize_invoice,
    open_intent,
    set_delinquent,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.invoicing import cycle_invoice, final_invoice, save_draft
from seatctl.sandbox.billing.periods import begin_period, save_pending
from seatctl.sandbox.billing.schedules import phase_over
from seatctl.sandbox.billing.subscription_states import set_status
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.due import ENDED, INCOMPLETE_FOR, period_end, period_start
from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import Obj, pick, subscription_of
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store
from seatctl.sandbox.test_clocks import KIND as TEST_CLOCK
from seatctl.sandbox.test_clocks import finish_advance, next_due_on

_MOST_REPEATS = 100
"""Work that is repeated on one object at one moment more often than this would never end."""


def work_until(store: Store, moment: int) -> None:
    """Do all work that is due until `moment`, in the caller's transaction.

    Raises RuntimeError if work on an object leaves the same work due again.
    """
    _work_off(store, moment, store.next_due, lambda due_at: Session(store, due_at))


def _work_off(
    store: Store,
    moment: int,
    next_due: Callable[[], tuple[int, str] | None],
    session_at: Callable[[int], Session],
) -> None:
    last, repeats = None, 0
    while (due := next_due()) is not None and due[0] <= moment:
        last, repeats = due, repeats + 1 if due == last else 0
        if repeats > _MOST_REPEATS:
            raise RuntimeError(f"the sandbox's clock never finishes its work on {due[1]}")
        due_at, identifier = due
        obj = store.get_any(identifier)
        if obj is not None:
            _work(session_at(due_at), obj)


def _work(session: Session, obj: Obj) -> None:
    if obj["object"] == "invoice":
        invoice_due(session, obj)
    elif obj["object"] == "subscription":
        subscription_due(session, obj)
    elif obj["object"] == "checkout.session":
        expire_checkout(session, obj)
    elif obj["object"] == "payment_intent":
        end_debit(session, obj, succeeds=obj["_failure"] is None)
    elif obj["object"] == TEST_CLOCK:
        advance_clock(session, obj)
    else:
        session.save(obj)


def advance_clock(session: Session, clock: Obj) -> None:
    """Do the work of a test clock until the time that it advances to."""
    store, name, real_now = session.store, clock["id"], session.now
    _work_off(
        store,
        clock["status_details"]["advancing"]["target_frozen_time"],
        lambda: next_due_on(store, name),
        lambda due_at: Session(store, due_at, clock=name, real_now=real_now),
    )
    finish_advance(session, clock)


def expire_checkout(session: Session, checkout: Obj) -> Obj:
    """Expire an open Checkout session: the client asked for it, or its time has come."""
    checkout.update(status="expired", url=None)
    return session.save_and_emit(checkout, "checkout.session.expired")


def subscription_due(session: Session, subscription: Obj) -> None:
    """Do the work that is due on a subscription now."""
    if subscription["status"] == "incomplete":
        _expire(session, subscription)
    elif _is_pending_update_expired(session, subscription):  # at the period's end: before what follows it
        _drop_pending_update(session, subscription)
    elif subscription["cancel_at"] and subscription["cancel_at"] <= session.now:
        _end(session, subscription)
    elif subscription["schedule"] and subscription["_phase_ends"] <= session.now:
        phase_over(session, subscription)
    elif _is_pause_over(session, subscription):
        subscription["pause_collection"] = None
        session.save_changed(subscription, "customer.subscription.updated")
    else:
        _renew(session, subscription)


def _expire(session: Session, subscription: Obj) -> None:
    """Expire a subscription whose first payment was not made within 23 hours."""
    if subscription["created"] + INCOMPLETE_FOR > session.now:
        session.save(subscription)
        return
    expire(session, subscription)


def _end(session: Session, subscription: Obj) -> None:
    """End a subscription as scheduled."""
    request = pick(subscription, "cancel_at", "cancel_at_period_end")
    canceled_at = subscription["canceled_at"] or session.now
    if not subscription.get("_keeps_rest"):
        save_pending(session, credit_after(session, subscription, session.now))
    end_now(session, subscription, "cancellation_requested")
    subscription.update(request, canceled_at=canceled_at)
    final_invoice(session, subscription)
    session.save_and_emit(subscription, "customer.subscription.deleted")


def _is_pending_update_expired(session: Session, subscription: Obj) -> bool:
    update = subscription["pending_update"]
    return bool(update) and update["expires_at"] <= session.now


def _drop_pending_update(session: Session, subscription: Obj) -> None:
    invoice = session.store.get("invoice", subscription.get("_pending_invoice") or "")
    intent = None if invoice is None else open_intent(session, invoice["id"])
    if intent is not None and intent["status"] == "processing":  # a bank decides about it first
        expires_at = max(intent["_settles_at"] or 0, session.now) + INCOMPLETE_FOR
        subscription["pending_update"] = {**subscription["pending_update"], "expires_at": expires_at}
    elif invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
        return
    else:
        subscription.update(pending_update=None, _pending_invoice=None)
    session.save(subscription)


def _is_pause_over(session: Session, subscription: Obj) -> bool:
    pause = subscription["pause_collection"]
    return bool(pause and pause["resumes_at"] and pause["resumes_at"] <= session.now)


def _renew(session: Session, subscription: Obj) -> None:
    """Begin the next period; its invoice is a draft for an hour."""
    before = session.view(subscription)
    items = session.items_of(subscription["id"])
    is_trial_over = subscription["status"] == "trialing"
    if is_trial_over and end_trial_without_method(session, subscription):
        if subscription["status"] == "canceled":
            session.save_and_emit(subscription, "customer.subscription.deleted")
        else:
            session.save_and_emit(subscription, "customer.subscription.paused")
            session.emit_change(subscription, "customer.subscription.updated", before)
        return
    period = (period_start(items), period_end(items))
    for item in items:
        if item["current_period_end"] <= session.now:
            begin_period(session, item, item["current_period_end"], subscription["billing_cycle_anchor"])
    if is_trial_over:
        subscription["status"] = "active"
    invoice = cycle_invoice(session, subscription, period)
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = remaining_discounts(session, subscription["discounts"])
    save_draft(session, invoice)
    _apply_pause(session, subscription, invoice)
    session.save(subscription)
    session.emit_change(subscription, "customer.subscription.updated", before)


def _apply_pause(session: Session, subscription: Obj, invoice: Obj) -> None:
    pause = subscription["pause_collection"]
    if not pause:
        return
    invoice["_paused"] = pause["behavior"]
    if pause["behavior"] == "keep_as_draft":
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    session.save(invoice)


RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)
_OUTCOMES = ("cancel", "unpaid", "past_due")


def invoice_due(session: Session, invoice: Obj) -> None:
    """Do the work that is due on an invoice now."""
    if session.store.get("customer", invoice["customer"]) is None:
        # The customer was deleted: there is nobody to bill, and the invoice must not stay due.
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
        invoice["_overdue"] = True
        session.save(invoice)
    elif invoice["status"] == "draft":
        _finalize(session, invoice)
    elif invoice["collection_method"] == "send_invoice":
        _mark_overdue(session, invoice)
    else:
        _attempt(session, invoice)


def _finalize(session: Session, invoice: Obj) -> None:
    try:
        finalize_invoice(session, invoice)
    except ApiError as error:
        # It stays a draft, and is not tried again by itself.
        refusal = pick(error.body("")["error"], "code", "doc_url", "message", "type")
        invoice = session.find("invoice", invoice["id"], None)
        invoice.update(last_finalization_error=refusal, automatically_finalizes_at=None)
        session.save_and_emit(invoice, "invoice.finalization_failed")
        return
    pause = invoice.get("_paused")
    if invoice["status"] != "open":
        return
    if pause == "void":
        void_invoice(session, invoice)
    elif pause == "mark_uncollectible":
        write_off(session, invoice)
    elif invoice["collection_method"] == "charge_automatically":
        _attempt(session, invoice)
    else:
        session.emit("invoice.sent", session.view(invoice))


def _mark_overdue(session: Session, invoice: Obj) -> None:
    """Mark an invoice that is sent as overdue: it was not paid by its due date."""
    invoice["_overdue"] = True
    session.save_and_emit(invoice, "invoice.overdue")
    set_delinquent(session, invoice, owing=True)
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is not None and subscription["status"] == "active":
        set_status(session, subscription, "past_due")


def _attempt(session: Session, invoice: Obj) -> None:
    method = method_for(session, invoice)
    if method is None or debits.refusal(method["type"], invoice["currency"]):
        _count_attempt(session, invoice)
    else:
        outcome = collect(session, invoice, method, automatic=True)
        if outcome.paid or outcome.processing:
            return
    set_delinquent(session, invoice, owing=True)
    attempts = invoice["attempt_count"]
    is_last = attempts > len(RETRIES)
    invoice["next_payment_attempt"] = None if is_last else session.now + RETRIES[attempts - 1]
    invoice["auto_advance"] = not is_last
    session.save(invoice)
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is None or subscription["status"] in (*ENDED, "paused"):
        return
    if is_last:
        _stop_collecting(session, subscription)
    elif subscription["status"] == "active":
        set_status(session, subscription, "past_due")


def _count_attempt(session: Session, invoice: Obj) -> None:
    """Count an attempt that fails because there is no payment method."""
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    shown = session.save_changed(invoice, "invoice.updated")
    session.emit("invoice.payment_failed", shown)


def _stop_collecting(session: Session, subscription: Obj) -> None:
    outcome = _OUTCOMES[session.store.setting("after_retries") or 0]
    if outcome == "cancel":
        end_now(session, subscription, "payment_failed")
        session.save_and_emit(subscription, "customer.subscription.deleted")
    elif outcome == "unpaid":
        set_status(session, subscription, "unpaid")
