"""Subscription schedules: what each phase sets, and the step from one phase to the next.

The subscription carries the moment of that step as `_phase_ends`, so that it is taken before the renewal of
the same moment, which bills the new phase.
"""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import end_now, end_schedule
from seatctl.sandbox.billing.subscription_changes import change_items
from seatctl.sandbox.due import period_end
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.objects import Obj, pick
from seatctl.sandbox.session import Session


def managed(subscription: Obj) -> ApiError:
    """Return the refusal to end a subscription that a schedule manages, or to take its end back."""
    return invalid(
        f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and "
        "updating any cancelation behavior directly is not allowed. Please update the schedule instead."
    )


def enter_phase(session: Session, schedule: Obj, subscription: Obj, number: int) -> None:
    """Set the items of the subscription as a phase has them; both are written."""
    phase = schedule["phases"][number]
    items = session.items_of(subscription["id"])
    kept = {item["price"]["id"]: item for item in items}
    entries = [_entry(kept.pop(entry["price"], None), entry) for entry in phase["items"]]
    gone: list[Obj] = [{"id": item["id"], "deleted": True} for item in kept.values()]
    prorate = phase["proration_behavior"] != "none" and session.now < period_end(items)
    change_items(session, subscription, [*entries, *gone], session.now, prorate=prorate, restart_now=False)
    schedule["current_phase"] = pick(phase, "start_date", "end_date")
    subscription["_phase_ends"] = phase["end_date"]
    session.save_changed(schedule, "subscription_schedule.updated")
    session.save_changed(subscription, "customer.subscription.updated")


def _entry(item: Obj | None, wanted: Obj) -> Obj:
    quantity = pick(wanted, "quantity")
    return {"id": item["id"], **quantity} if item else {"price": wanted["price"], **quantity}


def phase_over(session: Session, subscription: Obj) -> None:
    """Begin the next phase, or end the schedule after its last one."""
    schedule = session.find("subscription_schedule", subscription["schedule"], None)
    ends = [phase["end_date"] for phase in schedule["phases"]]
    following = sum(end <= session.now for end in ends)
    if following < len(ends):
        enter_phase(session, schedule, subscription, following)
    elif schedule["end_behavior"] == "cancel":
        end_schedule(session, subscription, "completed")
        end_now(session, subscription, "cancellation_requested")
        session.save_and_emit(subscription, "customer.subscription.deleted")
    else:
        end_schedule(session, subscription, "released")
        session.save_changed(subscription, "customer.subscription.updated")
