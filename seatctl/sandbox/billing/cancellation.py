"""The ends of a subscription: scheduled for its period's end or a moment, taken back, or carried out now."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.invoice_states import void_invoice
from seatctl.sandbox.billing.invoicing import save_invoice
from seatctl.sandbox.billing.periods import charge_item, credit_items, record_billed, save_pending
from seatctl.sandbox.billing.subscription_states import ENDED, emit_updated, period_end, save_subscription
from seatctl.sandbox.errors import mutually_exclusive
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view


def schedule_end(session: Session, subscription: Obj, params: Obj) -> None:
    """`cancel_at` and `cancel_at_period_end` of a request; a later one takes the place of an earlier."""
    wanted: Any = params.get("cancel_at")
    if wanted and params.get("cancel_at_period_end"):
        raise mutually_exclusive("cancel_at", "cancel_at_period_end")
    if not {"cancel_at", "cancel_at_period_end"} & set(params):
        return
    _bill_again(session, subscription)
    end = period_end(items_of(session, subscription["id"]))
    if params.get("cancel_at_period_end"):
        _mark(session, subscription, end, at_period_end=True)
    elif wanted:
        moment = wanted if isinstance(wanted, int) else end
        _cut_short(session, subscription, moment, prorate=params.get("proration_behavior") != "none")
        _mark(session, subscription, moment, at_period_end=False)
    else:
        subscription.update(cancel_at=None, cancel_at_period_end=False, canceled_at=None)
        subscription["cancellation_details"] = {**subscription["cancellation_details"], "reason": None}


def _mark(session: Session, subscription: Obj, moment: int, *, at_period_end: bool) -> None:
    """The subscription goes on until `moment`; `canceled_at` is the moment of the request."""
    subscription.update(cancel_at=moment, cancel_at_period_end=at_period_end, canceled_at=session.now)
    subscription["cancellation_details"] = {
        **subscription["cancellation_details"],
        "reason": "cancellation_requested",
    }


def _cut_short(session: Session, subscription: Obj, moment: int, *, prorate: bool) -> None:
    """An end within the running period gives back at once what was billed for the time after it."""
    subscription["_keeps_rest"] = not prorate
    given_back = credit_after(session, subscription, moment) if prorate else []
    save_pending(session, given_back)
    subscription["_cut"] = moment if given_back else None


def _bill_again(session: Session, subscription: Obj) -> None:
    """The end is moved or taken back: the time that was given back is charged again."""
    if subscription.get("_cut") is None:
        return
    made = []
    for item in items_of(session, subscription["id"]):
        # What changed since then was charged to the period's end already.
        reached = max((billed["until"] for billed in item["_billed"]), default=item["current_period_end"])
        if reached >= item["current_period_end"]:
            continue
        charged = charge_item(session, item, subscription["customer"], reached)
        record_billed(session, item, item["price"], charged)
        session.save(item)
        made.append(charged)
    save_pending(session, made)
    subscription["_cut"] = None


def credit_after(session: Session, subscription: Obj, moment: int) -> list[Obj]:
    """Credits for what was billed for the time after `moment`; not yet written."""
    made: list[Obj] = []
    for item in items_of(session, subscription["id"]):
        made += credit_items(session, item, subscription["customer"], moment)
        kept = [{**billed, "until": min(billed["until"], moment)} for billed in item["_billed"]]
        item["_billed"] = [billed for billed in kept if billed["from"] < billed["until"]]
        session.save(item)
    return made


def end_now(session: Session, subscription: Obj, reason: str) -> None:
    """Mark a subscription as ended now; the caller writes and announces it."""
    stop_retries(session, subscription)
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


def end_subscriptions_of(session: Session, customer: str) -> None:
    """A deleted customer's subscriptions end at once; nothing more is billed."""
    for subscription in list(session.store.walk("subscription", customer=customer)):
        if subscription["status"] not in ENDED:
            end_now(session, subscription, "cancellation_requested")
            save_subscription(session, subscription)
            session.emit("customer.subscription.deleted", view(session, subscription))


def expire(session: Session, subscription: Obj) -> None:
    """incomplete -> incomplete_expired, and its first invoice void."""
    before = view(session, subscription)
    subscription.update(status="incomplete_expired", canceled_at=session.now, ended_at=session.now)
    save_subscription(session, subscription)
    invoice = session.store.get("invoice", subscription["latest_invoice"] or "")
    if invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
    emit_updated(session, subscription, before)


def stop_retries(session: Session, subscription: Obj) -> None:
    """The open invoices of a subscription that ends are not tried again by themselves (API reference)."""
    for invoice in list(session.store.walk("invoice", parent=subscription["id"])):
        if invoice["status"] == "open" and invoice["auto_advance"]:
            before = view(session, invoice)
            invoice.update(auto_advance=False, next_payment_attempt=None)
            save_invoice(session, invoice)
            session.emit("invoice.updated", view(session, invoice), before)
