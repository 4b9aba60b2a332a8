"""What must hold of billing modes and of changes of the interval."""

from __future__ import annotations

import json

from tests.simulator.actions import Step
from tests.simulator.books import ENDED, Books, Obj
from tests.simulator.invariants import Violation
from tests.simulator.world import Result

_ASKED = {
    "/v1/subscriptions": "billing_mode[type]=flexible",
    "/v1/checkout/sessions": "subscription_data[billing_mode][type]=flexible",
}


def check_modes(step: Step, result: Result, before: Books, after: Books) -> None:
    """Flexible billing is asked for, and a migration moves no money and leaves nothing classic behind."""
    for method, path, form in result.calls:
        words = form.split("&")
        if method == "POST" and path in _ASKED and _ASKED[path] not in words and "mode=setup" not in words:
            raise Violation("bought in whatever billing mode", f"{path}: {form[:300]}")
    shapes = {one["id"]: one for one in after.stripe["subscription"]}
    for one in before.stripe["subscription"]:
        mode = shapes.get(one["id"], one)["billing_mode"]["type"]
        asked = "--migrate" in _asked(step) or any(open_.kind == "adopt" for open_ in before.open_operations)
        if mode != one["billing_mode"]["type"] and not (mode == "flexible" and asked):
            raise Violation("another billing mode unasked", f"{one['id']}: {mode}")
    if step.words[:2] != ("ledger", "adopt") or before.open_operations or result.met:
        return
    if before.money() != after.money():
        raise Violation("an adoption has moved money", str(step))
    # The simulator makes flexible ones classic, which the ledger may not know yet.
    named = [ours["name"] for ours in before.subscriptions if ours["name"] in step.words]
    known = {
        ours["stripe_subscription"]
        for ours in before.subscriptions
        if ours["status"] not in ENDED
        and (not named or ours["name"] in named)
        and json.loads(ours["metadata"]).get("[billing_mode]") != "flexible"
    }
    left = [
        one["id"]
        for one in after.stripe["subscription"]
        if one["id"] in known and one["billing_mode"]["type"] == "classic" and one["status"] not in ENDED
    ]
    if left and _is_done(step, result) and "--migrate" in step.words:
        raise Violation("classic after a migration", str(left))


def check_interval(step: Step, result: Result, before: Books, after: Books) -> None:
    """Another interval begins when it is asked for, is paid at once, and keeps a flexible anchor."""
    if before.open_operations or after.open_operations or result.met:
        return
    was = {item["id"]: item for items in before.items.values() for item in items}
    shapes = {one["id"]: one for one in before.stripe["subscription"]}
    for one in after.stripe["subscription"]:
        for item in after.items.get(one["id"], []):
            old = was.get(item["id"])
            if old is not None and _interval(old) != _interval(item) and one["status"] == "active":
                _check_changed(step, shapes[one["id"]], one, item, before, after)


def _check_changed(step: Step, old: Obj, one: Obj, item: Obj, before: Books, after: Books) -> None:
    asked = _asked(step)
    if "change-plan" not in asked or "--at-renewal" in asked:
        if "renew" in asked:
            return  # paid by an invoice of our own
        raise Violation("another interval unasked", f"{one['id']}: {step}")
    waited = {entry["id"] for entry in before.stripe["invoiceitem"]}
    pending = [
        entry["id"]
        for entry in after.stripe["invoiceitem"]
        if entry["_subscription"] == one["id"] and entry["id"] not in waited and not entry["invoice"]
    ]
    if pending or one["latest_invoice"] == old["latest_invoice"]:
        raise Violation("another interval that is not billed now", f"{one['id']}: {pending}")
    kept = one["billing_cycle_anchor"] == old["billing_cycle_anchor"]
    if kept == (one["billing_mode"]["type"] == "classic"):
        raise Violation("the anchor of another interval", f"{one['id']}: {old['billing_cycle_anchor']}")
    if item["current_period_end"] <= after.now:
        raise Violation("a period that is over", f"{one['id']}: {item['current_period_end']}")


def _interval(item: Obj) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _asked(step: Step) -> str:
    """The words of the command, and of the batch that it reads."""
    return f"{' '.join(step.words)} {step.stdin}"


def _is_done(step: Step, result: Result) -> bool:
    """Whether the command took all subscriptions and was not disturbed."""
    return result.code == 0 and not result.hit and "--dry-run" not in step.words
