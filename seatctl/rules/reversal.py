"""Which command takes back what a run has done, where one does. Pure: from what the run changed.

`seatctl runs undo` itself abandons only what waits; a finished run is reversed by its opposite, which is
checked, priced and recorded like any other command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from seatctl.errors import JsonValue

Facts = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed thing: what it is called today, and the facts before and after."""

    entity: str
    subject: str | None
    before: Facts | None
    after: Facts | None


def reversal(payload: Facts | None, name: str | None, changes: Sequence[Changed]) -> str | None:
    """The command to type, None where no single one takes it back.

    `payload` is what the run's operation was decided as, `name` what its subscription is called today.
    """
    if payload is not None and name is not None and (waits := _waiting(payload, quote(name))):
        return waits
    pools = [change for change in changes if change.entity == "subscription"]
    if len(pools) == 1:
        return _of_subscription(pools[0])
    rest = [change for change in changes if change.entity in {"user", "plan"}]
    return _of_entity(rest[0]) if len(rest) == 1 and len(changes) == 1 else None


def _waiting(payload: Facts, name: str) -> str | None:
    """What takes back a change that waits for the renewal: setting what runs for the next term too."""
    asked, now, after = payload.get("asked"), payload.get("now"), payload.get("next")
    if not (isinstance(asked, dict) and isinstance(now, dict) and isinstance(after, dict)):
        return None
    if now == after or payload.get("bill"):
        return None
    if "set_seats" in asked:
        return f"seatctl subs set-seats {name} {now.get('seats')}"
    if "change_plan" in asked:
        return f"seatctl subs change-plan {name} {quote(str(now.get('plan')))} --at-renewal"
    return None


def _of_subscription(change: Changed) -> str | None:
    name, before, after = _name(change), change.before, change.after
    if name is None or after is None or after.get("status") == "canceled":
        return None
    if before is None:
        return f"seatctl subs cancel {name} --now --refund"
    opposites = {
        "name": f"rename {name} {quote(str(before.get('name')))}",
        "cancel_at": f"resume {name}" if after.get("cancel_at") else f"cancel {name}",
        "plan": f"change-plan {name} {quote(str(before.get('plan')))}",
        "capacity": f"set-seats {name} {before.get('capacity')}",
    }
    found = (verb for key, verb in opposites.items() if before.get(key) != after.get(key))
    verb = next(found, None)
    return None if verb is None else f"seatctl subs {verb}"


def _of_entity(change: Changed) -> str | None:
    if change.before is not None or change.subject is None:
        return None
    verb = "users remove" if change.entity == "user" else "plans archive"
    return f"seatctl {verb} {quote(change.subject)}"


def _name(change: Changed) -> str | None:
    after = change.after or {}
    name = after.get("name") or change.subject
    return quote(str(name)) if name else None
