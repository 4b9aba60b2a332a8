"""What a run has changed: the differences in words, and the command that reverses it, if there is one. Pure.

`seatctl runs undo` itself abandons only waiting operations in Stripe. A finished run is reversed by the
opposite command, which is checked, priced and recorded like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from seatctl.errors import JsonValue
from seatctl.models.money import plain_amount
from seatctl.rules.policies import typed_form

Facts = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ChangedFact:
    """One changed thing: its current name, and its facts before and after.

    The facts of a subscription have its owner's e-mail as `owner`, if it has one.
    """

    entity: str
    subject: str | None
    before: Facts | None
    after: Facts | None


def reversal(payload: Facts | None, name: str | None, changes: Sequence[ChangedFact]) -> str | None:
    """Return the command to type, or None if no single command reverses the run.

    `payload` is that of the run's operation; `name` is the current name of its subscription.
    """
    if payload is not None and name is not None and (waits := _waiting(payload, quote(name))):
        return waits
    subscriptions = [change for change in changes if change.entity == "subscription"]
    if len(subscriptions) == 1:
        return _of_subscription(subscriptions[0])
    rest = [change for change in changes if change.entity in {"user", "plan"}]
    return _of_entity(rest[0]) if len(rest) == 1 and len(changes) == 1 else None


def _waiting(payload: Facts, name: str) -> str | None:
    """Return what reverses a change that waits for the renewal: the current values for the next term."""
    request, now, after = payload.get("asked"), payload.get("now"), payload.get("next")
    if not (isinstance(request, dict) and isinstance(now, dict) and isinstance(after, dict)):
        return None
    if now == after or payload.get("bill"):
        return None
    if "set_seats" in request:
        return f"seatctl subs set-seats {name} {now.get('seats')}"
    if "change_plan" in request:
        return f"seatctl subs change-plan {name} {quote(str(now.get('plan')))} --at-renewal"
    return None


def _of_subscription(change: ChangedFact) -> str | None:
    before, after = change.before, change.after
    subject = (after or {}).get("name") or change.subject
    if not subject or after is None or after.get("status") == "canceled":
        return None
    name = quote(str(subject))
    if before is None:
        return f"seatctl subs cancel {name} --now --refund"
    opposites = {
        "name": f"subs rename {name} {quote(str(before.get('name')))}",
        "cancel_at": f"subs resume {name}" if after.get("cancel_at") else f"subs cancel {name}",
        "plan": f"subs change-plan {name} {quote(str(before.get('plan')))}",
        "capacity": f"subs set-seats {name} {before.get('capacity')}",
        "auto_approval": f"config auto-approve {name} {_approval(before.get('auto_approval'))}",
    }
    if before.get("owner"):
        opposites["owner_id"] = f"subs transfer {name} {quote(str(before['owner']))}"
    if before.get("cancel_at") and after.get("cancel_at"):
        del opposites["cancel_at"]  # a renewal by hand moves the end and is not reversed
    commands = (verb for key, verb in opposites.items() if before.get(key) != after.get(key))
    verb = next(commands, None)
    return None if verb is None else f"seatctl {verb}"


def _approval(before: JsonValue) -> str:
    """Return `on` or `off` and the earlier rules, as `config auto-approve` takes them."""
    rules = before if isinstance(before, dict) else {}
    words = ["on" if rules.get("enabled") else "off", "--reset"]
    for option, key in (("--domain", "domains"), ("--group", "groups")):
        listed = rules.get(key)
        words += [f"{option} {quote(str(entry))}" for entry in (listed if isinstance(listed, list) else ())]
    for option, key in (("--daily-limit", "daily_limit"), ("--until", "until"), ("--keep-free", "keep_free")):
        value = rules.get(key)
        words += [f"{option} {value}"] if value is not None and (value or key == "daily_limit") else []
    return " ".join(words)


def _of_entity(change: ChangedFact) -> str | None:
    if change.subject is None:
        return None
    if change.before is None:
        verb = "users remove" if change.entity == "user" else "plans archive"
        return f"seatctl {verb} {quote(change.subject)}"
    return _of_plan(change.subject, change.before, change.after or {}) if change.entity == "plan" else None


def _of_plan(slug: str, before: Facts, after: Facts) -> str | None:
    """Return the edit that restores the earlier values, or the command that archives or sells it again."""
    if before.get("active") != after.get("active"):
        return f"seatctl plans archive {quote(slug)}{'' if after.get('active') else ' --undo'}"
    words = []
    if before.get("name") != after.get("name"):
        words.append(f"--name {quote(str(before.get('name')))}")
    if before.get("unit_amount") != after.get("unit_amount"):
        amount = plain_amount(int(str(before.get("unit_amount"))), str(before.get("currency")))
        words.append(f"--price {amount}")
    words += [f"--set {quote(f'{key}={value}')}" for key, value in _settings(before, after)]
    return f"seatctl plans edit {quote(slug)} {' '.join(words)}" if words else None


def _settings(before: Facts, after: Facts) -> Iterator[tuple[str, str]]:
    """Yield the fields of the policy that differ, with their earlier values in the form of `--set`."""
    old_policy, new_policy = before.get("policy"), after.get("policy")
    if not (isinstance(old_policy, dict) and isinstance(new_policy, dict)):
        return
    for key, value in old_policy.items():
        if value != new_policy.get(key):
            yield key, typed_form(value)


def differences(before: JsonValue, after: JsonValue) -> list[str]:
    """Return `capacity: 25 → 27` for each changed field, `policy.pack_size: 5` for an added one.

    Unchanged fields and added fields without a value are left out. A state is None if the thing did not
    exist.
    """
    old_fields, new_fields = dict(_fields(before)), dict(_fields(after))
    texts = []
    for name in sorted({*old_fields, *new_fields}):
        old, new = old_fields.get(name), new_fields.get(name)
        if old == new:
            continue
        texts.append(f"{name}: {_text(new)}" if old is None else f"{name}: {_text(old)} → {_text(new)}")
    return texts


def _fields(state: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield the fields that have a value; nested fields are named with dots."""
    if not isinstance(state, Mapping):
        return
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        elif value not in (None, "", []):
            yield f"{prefix}{name}", value


def _text(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(map(_text, value)) if isinstance(value, list) else str(value)
