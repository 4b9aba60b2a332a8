"""Changes of a subscription's items, trial and anchor, with their prorations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatctl.sandbox.billing.cancellation import end_trial_without_method
from seatctl.sandbox.billing.catalog import build_item, check_prices, interval_of, price_of, set_price
from seatctl.sandbox.billing.periods import (
    begin_period,
    charge_item,
    charge_rest,
    credit_items,
    is_classic,
    keep_anchor,
    next_end,
    prorated_amount,
    save_pending,
)
from seatctl.sandbox.clock import add_months
from seatctl.sandbox.due import period_end
from seatctl.sandbox.errors import check_not_negative, invalid, no_such
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.money import exact_price
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

TOO_LATE = "Invalid timestamp: can be no more than two years in the future"


@dataclass(frozen=True, slots=True)
class _Change:
    """A changed item, the credits for what was billed for it, and whether its new state is charged."""

    item: Obj
    credits: list[Obj]
    is_charged: bool


def change_items(
    session: Session, subscription: Obj, entries: list[Obj], at: int, *, prorate: bool, restart_now: bool
) -> bool:
    """Change, add and delete items as the entries of a request say; prorations begin at `at`.

    Return whether a new period begins, which is billed now: an item's price has another interval, and the
    billing mode is classic or the request sets the anchor (`restart_now`). Otherwise the anchor stays.
    """
    is_free = subscription["status"] in ("trialing", "paused")
    changes: list[_Change] = []
    restarts = False
    for position, entry in enumerate(entries):
        param = f"items[{position}]"
        item, is_new = _find_or_build(session, subscription, entry, param)
        if entry.get("deleted"):
            changes.append(_Change(item, credit_items(session, item, at), is_charged=False))
            session.store.delete(item["id"])
            continue
        price, quantity = _new_price_and_quantity(session, item, entry, param, is_new=is_new)
        update_metadata(item, entry)
        if is_new or (price["id"], quantity) != (item["price"]["id"], item["quantity"]):
            is_other = not is_new and not is_free and interval_of(price) != interval_of(item["price"])
            item_restarts = is_other and (restart_now or is_classic(subscription))
            credits = [] if is_new else credit_items(session, item, at)
            set_price(item, price)
            item["quantity"] = quantity
            if is_other and not item_restarts:
                keep_anchor(item, min(at, session.now), subscription["billing_cycle_anchor"])
            restarts = restarts or item_restarts
            changes.append(_Change(item, credits, is_charged=not is_free and not item_restarts))
        session.save(item)
    _check_items(session, subscription)
    if prorate:
        _prorate(session, changes, at)
    if restarts:
        restart(session, subscription)
    _move_end(session, subscription)
    return restarts


def _prorate(session: Session, changes: list[_Change], at: int) -> None:
    """Write the credits and charges of all changes as pending items.

    The charges are computed last: the items as they are after all changes share a fixed discount.
    """
    prorations: list[Obj] = []
    for change in changes:
        prorations += change.credits
        if change.is_charged:
            prorations.append(charge_item(session, change.item, at))
    save_pending(session, prorations)


def restart(session: Session, subscription: Obj) -> None:
    """Begin a new period now, which is the new anchor too."""
    subscription["billing_cycle_anchor"] = session.now
    for item in session.items_of(subscription["id"]):
        begin_period(session, item, session.now, session.now)
    _move_end(session, subscription)


def _find_or_build(session: Session, subscription: Obj, entry: Obj, param: str) -> tuple[Obj, bool]:
    """Return the item that an entry names, or a new one; and whether it is new."""
    if entry.get("id"):
        item = session.store.get("subscription_item", entry["id"])
        if item is None or item["subscription"] != subscription["id"]:
            raise no_such("subscription item", entry["id"], f"{param}[id]")
        return item, False
    price = price_of(session, entry, param, subscription["currency"])
    first = session.items_of(subscription["id"])[0]
    period = (first["current_period_start"], first["current_period_end"])
    return build_item(session, subscription, price, entry, period), True


def _new_price_and_quantity(
    session: Session, item: Obj, entry: Obj, param: str, *, is_new: bool
) -> tuple[Obj, int]:
    names = {"price", "plan", "price_data"} & set(entry)
    price = item["price"]
    if not is_new and names:
        currency = session.find("subscription", item["subscription"], None)["currency"]
        price = price_of(session, entry, param, currency)
    quantity: int = entry["quantity"] if "quantity" in entry else item["quantity"]
    check_not_negative(quantity, f"{param}[quantity]")
    return price, quantity


def _check_items(session: Session, subscription: Obj) -> None:
    items = session.items_of(subscription["id"])
    if not items:
        message = "A subscription must have at least one active item. Cancel the subscription instead."
        raise invalid(message, "items")
    check_prices([item["price"] for item in items], one_interval=is_classic(subscription))


def change_trial(session: Session, subscription: Obj, params: Obj, *, prorate: bool) -> bool:
    """End the trial now, or set another end of it. Return whether an invoice must be made now."""
    trial_end: Any = params["trial_end"]
    if trial_end == "now":
        return subscription["status"] == "trialing" and _end_trial(session, subscription)
    latest: int = add_months(subscription["billing_cycle_anchor"], 24)
    if trial_end > latest:
        raise invalid(TOO_LATE, "trial_end")
    prorations: list[Obj] = []
    for item in session.items_of(subscription["id"]):
        if prorate:
            prorations += credit_items(session, item, session.now)
        item.update(current_period_end=trial_end, _billed=[])
        if subscription["status"] != "trialing":
            item["current_period_start"] = session.now
        session.save(item)
    save_pending(session, prorations)
    is_new: bool = subscription["status"] != "trialing"
    subscription.update(
        status="trialing",
        trial_end=trial_end,
        trial_start=session.now if is_new else subscription["trial_start"],
        billing_cycle_anchor=trial_end,
    )
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = trial_end
    return is_new


def _end_trial(session: Session, subscription: Obj) -> bool:
    """End the trial now. Return False if the subscription is paused or canceled instead of billed."""
    subscription["trial_end"] = session.now
    subscription["billing_cycle_anchor"] = session.now
    if end_trial_without_method(session, subscription):
        for item in session.items_of(subscription["id"]):
            item["current_period_end"] = session.now
            session.save(item)
        return False
    subscription["status"] = "active"
    restart(session, subscription)
    return True


def is_anchored_now(params: Obj) -> bool:
    """Return whether a request sets `billing_cycle_anchor` to now."""
    anchor: Any = params.get("billing_cycle_anchor")
    return bool((anchor.get("type") if isinstance(anchor, dict) else anchor) == "now")


def change_anchor(session: Session, subscription: Obj, params: Obj, *, prorate: bool) -> bool:
    """Begin a new period now if `billing_cycle_anchor` is `now`. Return whether it is billed now, whole.

    Classic billing bills it and credits the rest of the old one. As recorded, flexible billing credits
    nothing, and charges the time from the end of the old period to the end of the new one.
    """
    if not is_anchored_now(params) or "trial_end" in params:
        return False
    items = session.items_of(subscription["id"])
    if is_classic(subscription) and subscription["status"] != "trialing":
        credits = [credit for item in items if prorate for credit in credit_items(session, item, session.now)]
        save_pending(session, credits)
        restart(session, subscription)
        return True
    for item in items:
        price = item["price"]
        old_end = item["current_period_end"]
        start, end = session.now, next_end(session.now, price, session.now)
        item.update(current_period_start=start, current_period_end=end)
        if prorate and subscription["status"] != "trialing" and old_end < end:
            amount = prorated_amount(exact_price(price, item["quantity"]), 1, old_end, start, end)
            save_pending(session, [charge_rest(session, item, amount, old_end)])
        session.save(item)
    subscription["billing_cycle_anchor"] = session.now
    _move_end(session, subscription)
    return False


def _move_end(session: Session, subscription: Obj) -> None:
    """Let a subscription that ends with its period end with the changed period."""
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = period_end(session.items_of(subscription["id"]))
