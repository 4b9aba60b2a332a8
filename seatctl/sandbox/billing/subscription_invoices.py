"""The drafts of a subscription: of its first period, of a renewal, of a change, and at its end."""

from __future__ import annotations

from seatctl.sandbox.billing.invoicing import add_pending_items, new_draft, pending_items, save_draft
from seatctl.sandbox.billing.periods import bill_period
from seatctl.sandbox.due import period_start
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def first_invoice(session: Session, subscription: Obj, reason: str) -> Obj:
    """Return the draft of the period that begins now, with the pending items; not yet written."""
    is_sent = subscription["collection_method"] == "send_invoice"
    invoice = _draft(session, subscription, reason, (session.now, session.now), auto_advance=is_sent)
    trial = subscription["status"] == "trialing"
    cut_short = subscription["billing_cycle_anchor"] > session.now and not trial
    _bill_periods(session, subscription, invoice, trial=trial, cut_short=cut_short)
    return invoice


def cycle_invoice(session: Session, subscription: Obj, period: tuple[int, int]) -> Obj:
    """Return the draft of a renewal: each item's new period and the pending items; not yet written.

    `period` is the one that has ended.
    """
    advance = subscription["status"] != "unpaid"
    invoice = _draft(session, subscription, "subscription_cycle", period, auto_advance=advance)
    _bill_periods(session, subscription, invoice)
    return invoice


def pending_invoice(
    session: Session, subscription: Obj, reason: str, pending: list[Obj], *, auto_advance: bool = False
) -> Obj:
    """Return a draft with pending items only; not yet written."""
    start = period_start(session.items_of(subscription["id"]))
    invoice = _draft(session, subscription, reason, (start, session.now), auto_advance=auto_advance)
    add_pending_items(session, invoice, pending)
    return invoice


def final_invoice(session: Session, subscription: Obj) -> None:
    """Write a draft with the items that are pending for this subscription only, if there are any."""
    pending = pending_for(session, subscription)
    pending = [item for item in pending if item["parent"] is not None and item["_subscription"]]
    if pending:
        invoice = pending_invoice(session, subscription, "subscription_cycle", pending, auto_advance=True)
        subscription["latest_invoice"] = invoice["id"]
        save_draft(session, invoice)


def pending_for(session: Session, subscription: Obj) -> list[Obj]:
    """Return the items without an invoice, of this subscription and of no subscription, newest first."""
    return [
        item
        for item in pending_items(session, subscription["customer"], subscription["currency"])
        if item["parent"] is None or item["_subscription"] in (None, subscription["id"])
    ]


def _draft(
    session: Session, subscription: Obj, reason: str, period: tuple[int, int], *, auto_advance: bool
) -> Obj:
    """Return a draft of a subscription; it has the subscription's discounts, as every invoice of it has."""
    invoice = new_draft(
        session,
        session.find("customer", subscription["customer"], "customer"),
        currency=subscription["currency"],
        reason=reason,
        period=period,
        subscription=subscription,
        auto_advance=auto_advance,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    invoice["discounts"] = list(subscription["discounts"])
    return invoice


def _bill_periods(
    session: Session, subscription: Obj, invoice: Obj, *, trial: bool = False, cut_short: bool = False
) -> None:
    """Put the pending items and then each item's period on an invoice: Stripe's order, newest first."""
    add_pending_items(session, invoice, pending_for(session, subscription))
    for item in reversed(session.items_of(subscription["id"])):
        bill_period(session, invoice, item, trial=trial, cut_short=cut_short)
