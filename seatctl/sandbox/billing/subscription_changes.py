"""The changes an update can make to a subscription's items, trial and anchor, with their prorations."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.collection import method_for
from seatctl.sandbox.billing.items import build_item, check_prices, price_of, set_price
from seatctl.sandbox.billing.lines import new_invoice_item, pricing_of
from seatctl.sandbox.billing.periods import (
    charge_item,
    credit_items,
    next_end,
    product_name,
    record_billed,
    save_pending,
)
from seatctl.sandbox.billing.proration import prorated_amount, remaining_text
from seatctl.sandbox.billing.subscription_states import period_end
from seatctl.sandbox.clock import add_months
from seatctl.sandbox.errors import invalid, no_such
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import exact_price
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of

TOO_LATE = "Invalid timestamp: can be no more than two years in the future"


def change_items(session: Session, subscription: Obj, wanted: list[Obj], at: int, *, prorate: bool) -> bool:
    """Change, add and remove items; true if another interval begins a new period that is billed now."""
    free = subscription["status"] in ("trialing", "paused")
    changes: list[tuple[Obj, list[Obj], bool]] = []
    reset = False
    for place, each in enumerate(wanted):
        item, fresh = _item(session, subscription, each, f"items[{place}]")
        if each.get("deleted"):
            changes.append((item, credit_items(session, item, subscription["customer"], at), False))
            session.store.delete(item["id"])
            continue
        price, quantity = _target(session, item, each, f"items[{place}]", fresh=fresh)
        if "metadata" in each:
            item["metadata"] = merge_metadata(item["metadata"], each["metadata"])
        if fresh or (price["id"], quantity) != (item["price"]["id"], item["quantity"]):
            restarts = not fresh and not free and _interval(price) != _interval(item["price"])
            credited = credit_items(session, item, subscription["customer"], at)
            set_price(item, price)
            item["quantity"] = quantity
            reset = reset or restarts
            changes.append((item, credited, not free and not restarts))
        session.save(item, parent=subscription["id"])
    _check_left(session, subscription)
    if prorate:
        _prorate(session, subscription, changes, at)
    if reset:
        restart(session, subscription)
    return reset


def _prorate(
    session: Session, subscription: Obj, changes: list[tuple[Obj, list[Obj], bool]], at: int
) -> None:
    """Leave the credits and charges of all changes as pending items, the first one newest.

    The charges come last: a fixed discount is shared by the items as they are after the change.
    """
    prorations: list[Obj] = []
    for item, credited, charged in changes:
        prorations += credited
        if charged:
            made = charge_item(session, item, subscription["customer"], at)
            prorations.append(made)
            record_billed(session, item, item["price"], made)
            session.save(item, parent=subscription["id"])
    save_pending(session, prorations)


def restart(session: Session, subscription: Obj) -> None:
    """A new period begins now, and with it a new anchor."""
    subscription["billing_cycle_anchor"] = session.now
    for item in items_of(session, subscription["id"]):
        item["current_period_start"] = session.now
        item["current_period_end"] = next_end(session.now, item["price"], session.now)
        session.save(item)


def _interval(price: Obj) -> tuple[str, int]:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def _item(session: Session, subscription: Obj, wanted: Obj, param: str) -> tuple[Obj, bool]:
    if wanted.get("id"):
        found = session.store.get("subscription_item", wanted["id"])
        if found is None or found["subscription"] != subscription["id"]:
            raise no_such("subscription item", wanted["id"], f"{param}[id]")
        return found, False
    price = price_of(session, wanted, param)
    running = items_of(session, subscription["id"])
    period = (running[0]["current_period_start"], running[0]["current_period_end"])
    return build_item(session, subscription, price, wanted, period), True


def _target(session: Session, item: Obj, wanted: Obj, param: str, *, fresh: bool) -> tuple[Obj, int]:
    names = {"price", "plan", "price_data"} & set(wanted)
    price = item["price"] if fresh or not names else price_of(session, wanted, param)
    quantity: int = wanted["quantity"] if "quantity" in wanted else item["quantity"]
    if quantity < 0:
        raise invalid("Invalid non-negative integer", f"{param}[quantity]", code="parameter_invalid_integer")
    return price, quantity


def _check_left(session: Session, subscription: Obj) -> None:
    left = items_of(session, subscription["id"])
    if not left:
        message = "A subscription must have at least one active item. Cancel the subscription instead."
        raise invalid(message, "items")
    check_prices([item["price"] for item in left])


def change_trial(session: Session, subscription: Obj, params: Obj, *, prorate: bool) -> bool:
    """End the trial now, or set another end; true if an invoice is to be made at once."""
    wanted: Any = params["trial_end"]
    if wanted == "now":
        return subscription["status"] == "trialing" and _end_trial(session, subscription)
    latest: int = add_months(subscription["billing_cycle_anchor"], 24)
    if wanted > latest:
        raise invalid(TOO_LATE, "trial_end")
    prorations: list[Obj] = []
    for item in items_of(session, subscription["id"]):
        if prorate:
            prorations += credit_items(session, item, subscription["customer"], session.now)
        item.update(current_period_end=wanted, _billed=[])
        if subscription["status"] != "trialing":
            item["current_period_start"] = session.now
        session.save(item)
    save_pending(session, prorations)
    fresh: bool = subscription["status"] != "trialing"
    subscription.update(
        status="trialing",
        trial_end=wanted,
        trial_start=session.now if fresh else subscription["trial_start"],
        billing_cycle_anchor=wanted,
    )
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = wanted
    return fresh


def _end_trial(session: Session, subscription: Obj) -> bool:
    subscription["trial_end"] = session.now
    subscription["billing_cycle_anchor"] = session.now
    asks = {"default_payment_method": None, "customer": subscription["customer"],
            "parent": {"subscription_details": {"subscription": subscription["id"]}}}  # fmt: skip
    ending = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and ending != "create_invoice" and method_for(session, asks) is None:
        for item in items_of(session, subscription["id"]):
            item["current_period_end"] = session.now
            session.save(item)
        if ending == "pause":
            subscription["status"] = "paused"
        else:
            from seatctl.sandbox.billing.cancellation import end_now

            end_now(session, subscription, "payment_failed")
        return False
    subscription["status"] = "active"
    restart(session, subscription)
    return True


def change_anchor(session: Session, subscription: Obj, params: Obj, *, prorate: bool) -> None:
    """`billing_cycle_anchor`: now moves anchor and period; the paid time is not credited.

    What stays to be paid is the time from the old period's end to the new one's (recording probe).
    """
    wanted: Any = params.get("billing_cycle_anchor")
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind != "now" or "trial_end" in params:
        return
    for item in items_of(session, subscription["id"]):
        price = item["price"]
        old_end = item["current_period_end"]
        start, end = session.now, next_end(session.now, price, session.now)
        item.update(current_period_start=start, current_period_end=end)
        if prorate and subscription["status"] != "trialing" and old_end < end:
            quantity = item["quantity"]
            made = new_invoice_item(
                subscription["customer"],
                amount=prorated_amount(exact_price(price, quantity), 1, old_end, start, end),
                currency=price["currency"],
                now=session.now,
                description=remaining_text(quantity, product_name(session, price), old_end),
                period=(old_end, end),
                quantity=quantity,
                priced=pricing_of(price, unit=None),
                subscription=subscription["id"],
                subscription_item=item["id"],
                proration=True,
                discountable=False,
            )
            save_pending(session, [made])
            record_billed(session, item, price, made)
        session.save(item)
    subscription["billing_cycle_anchor"] = session.now
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = period_end(items_of(session, subscription["id"]))
