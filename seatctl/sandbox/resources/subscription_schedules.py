"""Subscription schedules: made from a subscription, then given phases, released or canceled."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.cancellation import end_schedule
from seatctl.sandbox.billing.catalog import price_of
from seatctl.sandbox.billing.periods import next_end
from seatctl.sandbox.billing.schedules import enter_phase
from seatctl.sandbox.due import ENDED, period_end, period_start
from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata, update_metadata
from seatctl.sandbox.objects import Obj, new_id, nulls, pick, set_fields
from seatctl.sandbox.resources.subscriptions import cancel as cancel_subscription
from seatctl.sandbox.session import Session

_PHASE = {"items", "start_date", "end_date", "duration", "proration_behavior", "metadata"}
_ITEM = {"price", "quantity", "metadata"}
_RUNNING = ("active", "not_started")


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscription_schedules. The first phase is the subscription's running period."""
    if not params.get("from_subscription"):
        raise invalid("The sandbox makes a schedule from a subscription only.", "from_subscription")
    if params.get("phases"):
        raise invalid("You cannot set `phases` if `from_subscription` is set.", "phases")
    subscription = session.find("subscription", params["from_subscription"], "from_subscription")
    if subscription["status"] in ENDED:
        message = "You cannot migrate a subscription that is canceled or has expired."
        raise invalid(message, "from_subscription")
    if subscription["schedule"]:
        message = f"The subscription is already attached to the schedule `{subscription['schedule']}`."
        raise invalid(message, "from_subscription")
    items = session.items_of(subscription["id"])
    entries = [{"price": item["price"]["id"], "quantity": item["quantity"]} for item in items]
    first = _phase(session, {"items": entries}, period_start(items), period_end(items), subscription)
    schedule = session.new(
        "subscription_schedule",
        new_id("sub_sched"),
        null=(
            "application canceled_at completed_at customer_account released_at released_subscription "
            "test_clock"
        ),
        empty="pause_schedules",
        billing_mode=subscription["billing_mode"],
        current_phase=pick(first, "start_date", "end_date"),
        customer=subscription["customer"],
        default_settings=_defaults(subscription),
        end_behavior=_after_cancellation(subscription),
        metadata=merge_metadata({}, params.get("metadata")),
        phases=[first],
        status="active",
        subscription=subscription["id"],
    )
    subscription.update(schedule=schedule["id"], _phase_ends=first["end_date"])
    session.save_and_emit(schedule, "subscription_schedule.created")
    session.save_changed(subscription, "customer.subscription.updated")
    return session.view(schedule)


def _after_cancellation(subscription: Obj) -> str:
    return "cancel" if subscription["cancel_at"] else "release"


def _defaults(subscription: Obj) -> Obj:
    return {
        **nulls(
            "application_fee_percent billing_thresholds default_payment_method on_behalf_of transfer_data"
        ),
        **pick(subscription, "automatic_tax", "collection_method", "description"),
        "billing_cycle_anchor": "automatic",
        "invoice_settings": {
            **nulls("account_tax_ids custom_fields days_until_due description footer"),
            "issuer": {"type": "self"},
        },
    }


def _phase(session: Session, entry: Obj, start: int, end: int, subscription: Obj) -> Obj:
    return {
        **nulls(
            "application_fee_percent automatic_tax billing_cycle_anchor billing_thresholds collection_method "
            "default_payment_method description invoice_settings on_behalf_of transfer_data trial trial_end"
        ),
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "discounts": [],
        "end_date": end,
        "items": [_item(session, item, f"items[{place}]") for place, item in enumerate(entry["items"])],
        "metadata": entry.get("metadata") or {},
        "proration_behavior": entry.get("proration_behavior", "create_prorations"),
        "start_date": start,
    }


def _item(session: Session, entry: Obj, param: str) -> Obj:
    _refuse_other(entry, _ITEM, f"phases[{param}]")
    price = price_of(session, entry, f"phases[{param}]")
    return {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": entry.get("metadata") or {},
        "plan": price["id"],
        "price": price["id"],
        "quantity": entry.get("quantity", 1),
        "tax_rates": [],
    }


def _refuse_other(entry: Obj, known: set[str], param: str) -> None:
    other = sorted(set(entry) - known)
    if other:
        raise invalid(f"The sandbox does not support `{other[0]}` of a phase.", f"{param}[{other[0]}]")


def update(session: Session, params: Obj, schedule: Obj) -> Obj:
    """POST /v1/subscription_schedules/ID. The first phase given is the running one, unless it is past."""
    _check_running(schedule, "update")
    set_fields(schedule, params, "end_behavior")
    update_metadata(schedule, params)
    if "phases" not in params:
        return session.save_changed(schedule, "subscription_schedule.updated")
    subscription = session.find("subscription", schedule["subscription"], None)
    schedule["phases"] = _phases(session, params["phases"], schedule, subscription)
    running = sum(phase["end_date"] <= session.now for phase in schedule["phases"])
    if running == len(schedule["phases"]):
        raise invalid("The last phase must end in the future.", "phases")
    enter_phase(session, schedule, subscription, running)
    return session.view(schedule)


def _phases(session: Session, entries: list[Obj], schedule: Obj, subscription: Obj) -> list[Obj]:
    phases: list[Obj] = []
    start: Any = entries[0].get("start_date")
    if start is None:
        message = (
            "The subscription schedule update is missing at least one phase with a `start_date` to anchor "
            "end dates to."
        )
        raise invalid(message, "phases")
    for number, entry in enumerate(entries):
        _refuse_other(entry, _PHASE, f"phases[{number}]")
        if not entry.get("items"):
            raise missing_param(f"phases[{number}][items]")
        start = session.now if start == "now" else int(start)
        end = _end(session, entry, start, number)
        phases.append(_phase(session, entry, start, end, subscription))
        start = end
    current = schedule["current_phase"]["start_date"]
    if not any(phase["start_date"] == current for phase in phases):
        message = "You can not modify the start date of the current phase."
        raise invalid(message, "phases[0][start_date]")
    return phases


def _end(session: Session, entry: Obj, start: int, number: int) -> int:
    """Return when a phase ends: as it says, after its duration, or after one period of its first item."""
    end = entry.get("end_date")
    if end == "now":
        return session.now
    if end is not None and end <= start:
        raise invalid(
            "The `end_date` of a phase must be after its `start_date`.", f"phases[{number}][end_date]"
        )
    if end is not None:
        return int(end)
    price = price_of(session, entry["items"][0], f"phases[{number}][items][0]")
    length = entry.get("duration") or {}
    recurring = {**price["recurring"], **pick(length, "interval", "interval_count")}
    return next_end(start, {**price, "recurring": recurring}, start)


def _check_running(schedule: Obj, what: str) -> None:
    if schedule["status"] not in _RUNNING:
        raise invalid(
            f"You cannot {what} a subscription schedule that is currently in the `{schedule['status']}` "
            "status. It must be in `not_started` or `active` status."
        )


def release(session: Session, params: Obj, schedule: Obj) -> Obj:
    """POST /v1/subscription_schedules/ID/release: the subscription stays as it is."""
    _check_running(schedule, "release")
    subscription = session.find("subscription", schedule["subscription"], None)
    end_schedule(session, subscription, "released")
    session.save_changed(subscription, "customer.subscription.updated")
    return session.view(session.find("subscription_schedule", schedule["id"], None))


def cancel(session: Session, params: Obj, schedule: Obj) -> Obj:
    """POST /v1/subscription_schedules/ID/cancel: the subscription ends now, too."""
    _check_running(schedule, "cancel")
    subscription = session.find("subscription", schedule["subscription"], None)
    end_schedule(session, subscription, "canceled")
    how = {"prorate": params.get("prorate", True), "invoice_now": params.get("invoice_now", True)}
    cancel_subscription(session, how, subscription)
    return session.view(session.find("subscription_schedule", schedule["id"], None))
