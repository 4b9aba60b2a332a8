"""The check that facts agree with the audit: each row of the ledger is compared with its last change row.

Both are read side by side in the order of their ids, so that memory does not grow with the ledger. Older
change rows lack some keys, and some have only the keys that changed: only keys that are present are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from seatctl.errors import JsonValue
from seatctl.ledger import change_rows, plans, subscriptions
from seatctl.ledger.engines.port import SETTING, Row
from seatctl.ledger.hashes import text_hash
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, parse_time
from seatctl.rules.permissions import actor_key
from seatctl.rules.policies import FLEXIBLE, as_fields

Facts = dict[str, JsonValue]
_Grant = tuple[JsonValue, JsonValue, JsonValue]
"""(actor, role, subscription id)"""
Problem = tuple[str, str]
"""(subject, detail)"""


class _CurrentFacts(NamedTuple):
    """An entity as it is in the ledger now."""

    id: int
    facts: Facts | None
    """None: they are parsed from `text`, if they are needed at all."""
    text: str | None = None
    """The same facts as the text of a change row. Most texts are equal, so that nothing has to be parsed."""
    entries: tuple[int | None, int | None] = (None, None)
    """The audit entries that created and ended it, if it names them."""


@dataclass(slots=True)
class _AuditedFacts:
    """What the change rows of one entity say about it in the end."""

    id: int
    facts: Facts = field(default_factory=dict)
    rows: int = 0
    text: str | None = None
    """`after` of the last change row."""
    erased: bool = False
    """The last change row is blank, or says that the person was erased."""
    created_in: int | None = None
    ended_in: int | None = None


def differences(reader: Reader) -> Iterator[Problem]:
    """Yield each entity that differs from its audit, has none, or is missing although the audit has it."""
    for entity, read in _CURRENT.items():
        yield from _compare(entity, read(reader), _audited(reader, entity))
    yield from _roles(reader)
    yield from _operations(reader)
    yield from _settings(reader)


def _compare(
    entity: str, current: Iterator[_CurrentFacts], audited: Iterator[_AuditedFacts]
) -> Iterator[Problem]:
    """Walk through both in the order of their ids."""
    in_ledger, in_audit = next(current, None), next(audited, None)
    while in_ledger is not None or in_audit is not None:
        if in_ledger is not None and (in_audit is None or in_ledger.id < in_audit.id):
            yield f"{entity} {in_ledger.id}", "is in the ledger, but not in the audit"
            in_ledger = next(current, None)
        elif in_audit is not None and (in_ledger is None or in_audit.id < in_ledger.id):
            yield f"{entity} {in_audit.id}", "is in the audit, but not in the ledger"
            in_audit = next(audited, None)
        elif in_ledger is not None and in_audit is not None:
            for detail in _differences_of_one(entity, in_ledger, in_audit):
                yield f"{entity} {in_ledger.id}", detail
            in_ledger, in_audit = next(current, None), next(audited, None)


def _differences_of_one(entity: str, current: _CurrentFacts, audited: _AuditedFacts) -> Iterator[str]:
    if entity == "seat":
        yield from _wrong_entries(current, audited)
    if audited.rows == 1 and current.text is not None and current.text == audited.text:
        return
    facts = _object(current.text or "") if current.facts is None else current.facts
    if audited.erased:
        if entity == "user" and not str(facts["email"]).startswith("erased-"):
            yield "was erased by the audit, but is in the ledger"
        return
    yield from _different_keys(facts, audited.facts)


def _different_keys(current: Facts, audited: Facts) -> Iterator[str]:
    for key, value in audited.items():
        if key in current and not _is_same(key, current[key], value):
            yield f"{key} is {_shown(current[key])}, but {_shown(value)} by its last change"


def _wrong_entries(current: _CurrentFacts, audited: _AuditedFacts) -> Iterator[str]:
    """A seat names the audit entries that assigned and revoked it."""
    if current.entries[0] != audited.created_in:
        yield f"names entry {current.entries[0]} as its assignment, which was entry {audited.created_in}"
    if current.entries[1] != audited.ended_in:
        yield f"names entry {current.entries[1]} as its end, which was entry {audited.ended_in}"


def _is_same(key: str, current: JsonValue, audited: JsonValue) -> bool:
    if key == "plan" and isinstance(current, list):
        return audited in current
    if key in {"active", "reclaim_exempt"}:
        return bool(current) == bool(audited)
    if key == "policy" and isinstance(audited, dict):
        # A change row of an earlier version lacks the fields that were added since: they have their defaults.
        return current == {**as_fields(FLEXIBLE), **audited}
    return current == audited


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _audited(reader: Reader, entity: str) -> Iterator[_AuditedFacts]:
    """Yield what the audit says about each entity of a kind in the end, by id."""
    rows = reader.stream(
        "SELECT entity_id, entry, before, after, erased_at FROM changes WHERE entity = ?"
        " ORDER BY entity_id, entry, n",
        (entity,),
    )
    for number, group in groupby(rows, key=lambda row: int(row["entity_id"])):
        audited = _AuditedFacts(number)
        for row in group:
            _add_row(audited, row, is_complete=entity == "user")
        yield audited


def _add_row(audited: _AuditedFacts, row: Row, *, is_complete: bool) -> None:
    audited.rows += 1
    audited.text = row["after"]
    if row["erased_at"] is not None:
        audited.erased, audited.facts = True, {}
        return
    if audited.rows == 1 and row["before"] is None:
        audited.created_in = row["entry"]
    if row["after"] is None:
        return
    after = _object(row["after"])
    if after.get("erased") is True:
        audited.erased, audited.facts = True, {}
        return
    audited.erased = False
    if after.get("revoked_at") is not None and audited.ended_in is None:
        audited.ended_in = row["entry"]
    # A change row of a user is complete: older ones have the key `reclaim_exempt` only for exempt users.
    audited.facts = after if is_complete else {**audited.facts, **after}


def _object(text: str) -> Facts:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"a change row holds {text}")
    return value


# Current facts ----------------------------------------------------------------------------------------


def _users(reader: Reader) -> Iterator[_CurrentFacts]:
    rows = reader.stream(f"SELECT id, {change_rows.user()} AS text FROM users ORDER BY id")
    return (_CurrentFacts(row["id"], None, row["text"]) for row in rows)


def _seats(reader: Reader) -> Iterator[_CurrentFacts]:
    # The change row of a seat has `revoked_at` only if the seat has ended.
    ended = change_rows.seat(revoked_at="revoked_at")
    text = f"CASE WHEN revoked_at IS NULL THEN {change_rows.seat()} ELSE {ended} END"
    rows = reader.stream(f"SELECT id, assigned_entry, revoked_entry, {text} AS text FROM seats ORDER BY id")
    return (
        _CurrentFacts(row["id"], None, row["text"], (row["assigned_entry"], row["revoked_entry"]))
        for row in rows
    )


def _requests(reader: Reader) -> Iterator[_CurrentFacts]:
    rows = reader.stream(f"SELECT number, {change_rows.request()} AS text FROM requests ORDER BY number")
    return (_CurrentFacts(row["number"], None, row["text"]) for row in rows)


def _plans(reader: Reader) -> Iterator[_CurrentFacts]:
    for plan in sorted(plans.listing(reader, archived=True), key=lambda plan: plan.id):
        yield _CurrentFacts(plan.id, plans.snapshot(plan))


def _subscriptions(reader: Reader) -> Iterator[_CurrentFacts]:
    slugs = _slugs(reader)
    for subscription in sorted(subscriptions.listing(reader, _EPOCH), key=lambda listed: listed.id):
        facts = subscriptions.snapshot(subscription)
        # If the plan was renamed, older change rows have its former slug.
        facts["plan"] = [subscription.plan_slug, *slugs.get(subscription.plan_id, [])]
        facts["home_ledger"] = subscription.home_ledger
        facts["cancel_at"] = None if subscription.cancel_at is None else format_time(subscription.cancel_at)
        yield _CurrentFacts(subscription.id, facts)


def _slugs(reader: Reader) -> dict[int, list[JsonValue]]:
    """Return all slugs that each plan ever had, by plan id."""
    slugs: dict[int, list[JsonValue]] = {}
    for row in reader.rows(
        "SELECT entity_id, after FROM changes WHERE entity = 'plan' AND after IS NOT NULL"
    ):
        slugs.setdefault(row["entity_id"], []).append(_object(row["after"]).get("slug"))
    return slugs


_EPOCH = parse_time("1970-01-01T00:00:00Z")

_CURRENT: dict[str, Callable[[Reader], Iterator[_CurrentFacts]]] = {
    "user": _users,
    "seat": _seats,
    "request": _requests,
    "plan": _plans,
    "subscription": _subscriptions,
}


# Entities that need more than a comparison row by row -------------------------------------------------


def _roles(reader: Reader) -> Iterator[Problem]:
    """Compare the roles with those that the audit says were granted."""
    granted, unknown = _granted(reader)
    roles = {
        row["id"]: (row["actor"], row["role"], row["subscription_id"])
        for row in reader.rows("SELECT id, actor, role, subscription_id FROM roles ORDER BY id")
    }
    for number in sorted({*roles, *granted} - unknown):
        if number not in granted:
            yield f"role {number}", f"{roles[number][0]} is {roles[number][1]}, but not by the audit"
        elif number not in roles:
            yield f"role {number}", f"{granted[number][0]} is {granted[number][1]} by the audit, but not here"
        elif roles[number] != granted[number]:
            current, audited = (", ".join(map(_shown, grant)) for grant in (roles[number], granted[number]))
            yield f"role {number}", f"is {current}, but {audited} by its last change"


def _granted(reader: Reader) -> tuple[dict[int, _Grant], set[int]]:
    """Return the grants replayed from the audit, and the numbers of those whose change rows are blank.

    If the e-mail of a user changes, the roles go over to the new one without a change row of their own. The
    migration of e-mail keys did the same.
    """
    granted: dict[int, _Grant] = {}
    unknown: set[int] = set()
    last, key = email_keys.last_former_entry(reader), email_keys.former_actor_key
    rows = reader.rows(
        "SELECT entry, entity, entity_id, before, after, erased_at FROM changes WHERE entity = 'role'"
        " OR entity = 'user' AND json_extract(before, '$.email') <> json_extract(after, '$.email')"
        " ORDER BY entry, n"
    )
    for row in rows:
        if row["entry"] > last and key is not actor_key:
            key = actor_key
            _rekey_all(reader, granted)
        number = row["entity_id"]
        if row["entity"] == "user":
            before, after = (str(_object(row[column])["email"]) for column in ("before", "after"))
            _rename_actor(granted, key(before), key(after))
        elif row["erased_at"] is not None:
            granted.pop(number, None)
            unknown.add(number)
        elif row["after"] is None:
            granted.pop(number, None)
        else:
            unknown.discard(number)
            grant = _object(row["after"])
            granted[number] = (grant["actor"], grant["role"], grant["subscription_id"])
    if key is not actor_key:
        _rekey_all(reader, granted)
    return granted, unknown


def _rekey_all(reader: Reader, granted: dict[int, _Grant]) -> None:
    """Rename the actors as the migration of e-mail keys did."""
    for before, after in email_keys.former_keys(reader).items():
        _rename_actor(granted, before, after)


def _rename_actor(granted: dict[int, _Grant], before: str, after: str) -> None:
    """Rename an actor as `roles.rename_actor` does."""
    if before == after:
        return
    held = {(role, subscription) for actor, role, subscription in granted.values() if actor == after}
    for number, (actor, role, subscription) in list(granted.items()):
        if actor == before and (role, subscription) in held:
            del granted[number]
        elif actor == before:
            granted[number] = (after, role, subscription)


def _operations(reader: Reader) -> Iterator[Problem]:
    """Check that each finished operation has a change row, and that no other operation has one."""
    rows = reader.rows(
        "SELECT o.id, o.kind, o.state, o.payload, o.created_at, c.after FROM operations o LEFT JOIN changes c"
        " ON c.entity = 'operation' AND c.entity_id = o.id"
        " UNION ALL SELECT c.entity_id, NULL, NULL, NULL, NULL, c.after FROM changes c"
        " WHERE c.entity = 'operation' AND c.entity_id NOT IN (SELECT id FROM operations) ORDER BY 1"
    )
    for row in rows:
        subject = f"operation {row['id']}"
        audited = None if row["after"] is None else _object(row["after"])
        if row["kind"] is None:
            yield subject, "is in the audit, but not in the ledger"
        elif audited is None and row["state"] == "done":
            yield subject, "is done, but not in the audit"
        elif audited is not None:
            current: Facts = {
                "kind": row["kind"],
                "state": row["state"],
                "created_at": row["created_at"],
                "payload_hash": text_hash(row["payload"]),
            }
            yield from ((subject, detail) for detail in _different_keys(current, audited))


def _settings(reader: Reader) -> Iterator[Problem]:
    """Check the ledger's id against the one that the last restore recorded, and the settings."""
    audited: Facts = {}
    for row in reader.rows("SELECT before, after FROM changes WHERE entity = 'setting' ORDER BY entry, n"):
        for key in _object(row["before"] or "{}"):
            audited.pop(key, None)
        audited |= _object(row["after"] or "{}")
    meta = {str(row["key"]): row["value"] for row in reader.rows("SELECT key, value FROM meta")}
    current: Facts = {key.removeprefix(SETTING): meta[key] for key in meta if key.startswith(SETTING)}
    if "ledger_id" in audited:  # a ledger that was never restored has the id that it was created with
        current["ledger_id"] = meta.get("ledger_id")
    for key in sorted(audited.keys() | current.keys()):
        if audited.get(key) != current.get(key):
            yield key, f"is {current.get(key)!r}, but {audited.get(key)!r} by the audit"
