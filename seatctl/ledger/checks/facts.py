"""Facts compared with their audit: what the ledger says of each thing, and what its last change row says.

Both are read in the order of their ids, side by side, so that memory does not grow with the ledger. An older
change row may lack a key, and some name only what changed: the keys that are there are compared.
"""

# ruff: noqa: S608 - what is put into statements here are names of our own schema; every value is bound.

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from seatctl.errors import JsonValue
from seatctl.ledger import change_rows, plans, subscriptions
from seatctl.ledger.engines.port import Row
from seatctl.ledger.hashes import text_hash
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, parse_time
from seatctl.rules.permissions import actor_key

Facts = dict[str, JsonValue]
_Grant = tuple[JsonValue, JsonValue, JsonValue]
"""Actor, role, subscription."""
Problem = tuple[str, str]
"""(subject, detail)"""


class _CurrentFacts(NamedTuple):
    """A thing as the ledger has it now."""

    id: int
    facts: Facts | None
    """None: parsed from the text, where that is needed at all."""
    text: str | None = None
    """The same as a change row would have it: most are equal."""
    entries: tuple[int | None, int | None] = (None, None)
    """The entries that made and ended it, where it names them."""


@dataclass(slots=True)
class _AuditedFacts:
    """What the change rows of one thing say of it in the end."""

    id: int
    facts: Facts = field(default_factory=dict)
    rows: int = 0
    text: str | None = None
    """The last `after`."""
    erased: bool = False
    """The last row is blank, or says that the person was erased."""
    made: int | None = None
    ended: int | None = None


def differences(reader: Reader) -> Iterator[Problem]:
    """Whatever differs from its audit, is there without one, or is gone although the audit has it."""
    for entity, stands in _CURRENT.items():
        yield from _compare(entity, stands(reader), _audited(reader, entity))
    yield from _roles(reader)
    yield from _operations(reader)
    yield from _settings(reader)


def _compare(
    entity: str, stands: Iterator[_CurrentFacts], told: Iterator[_AuditedFacts]
) -> Iterator[Problem]:
    """Walk both in the order of their ids."""
    one, other = next(stands, None), next(told, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one.id < other.id):
            yield f"{entity} {one.id}", "it is in the ledger, but the audit does not know it"
            one = next(stands, None)
        elif other is not None and (one is None or other.id < one.id):
            yield f"{entity} {other.id}", "the audit knows it, but it is not in the ledger"
            other = next(told, None)
        elif one is not None and other is not None:
            yield from ((f"{entity} {one.id}", detail) for detail in _differences_of_one(entity, one, other))
            one, other = next(stands, None), next(told, None)


def _differences_of_one(entity: str, now: _CurrentFacts, told: _AuditedFacts) -> Iterator[str]:
    if entity == "seat":
        yield from _wrong_entries(now, told)
    if told.rows == 1 and now.text is not None and now.text == told.text:
        return
    facts = _object(now.text or "") if now.facts is None else now.facts
    if told.erased:
        if entity == "user" and not str(facts["email"]).startswith("erased-"):
            yield "it was erased, but is there"
        return
    yield from _different_keys(facts, told.facts)


def _different_keys(now: Facts, told: Facts) -> Iterator[str]:
    for key, value in told.items():
        if key in now and not _is_same(key, now[key], value):
            yield f"its {key} is {_shown(now[key])}, but {_shown(value)} by its last change"


def _wrong_entries(now: _CurrentFacts, told: _AuditedFacts) -> Iterator[str]:
    """A seat names the entries that gave and took it."""
    if now.entries[0] != told.made:
        yield f"it names entry {now.entries[0]} as the one that gave it, which was {told.made}"
    if now.entries[1] != told.ended:
        yield f"it names entry {now.entries[1]} as the one that took it, which was {told.ended}"


def _is_same(key: str, now: JsonValue, told: JsonValue) -> bool:
    if key == "plan" and isinstance(now, list):
        return told in now
    if key in {"active", "reclaim_exempt"}:
        return bool(now) == bool(told)
    return now == told


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _audited(reader: Reader, entity: str) -> Iterator[_AuditedFacts]:
    """What the audit says in the end of each thing of a kind, by id."""
    rows = reader.rows(
        "SELECT entity_id, entry, before, after, erased_at FROM changes WHERE entity = ?"
        " ORDER BY entity_id, entry, n",
        (entity,),
    )
    for number, group in groupby(rows, key=lambda row: int(row["entity_id"])):
        told = _AuditedFacts(number)
        for row in group:
            _add_row(told, row, whole=entity == "user")
        yield told


def _add_row(told: _AuditedFacts, row: Row, *, whole: bool) -> None:
    told.rows += 1
    told.text = row["after"]
    if row["erased_at"] is not None:
        told.erased, told.facts = True, {}
        return
    if told.rows == 1 and row["before"] is None:
        told.made = row["entry"]
    if row["after"] is None:
        return
    after = _object(row["after"])
    if after.get("erased") is True:
        told.erased, told.facts = True, {}
        return
    told.erased = False
    if after.get("revoked_at") is not None and told.ended is None:
        told.ended = row["entry"]
    # What a row of a user leaves out is not so: whoever is not exempt any more is told without the key.
    told.facts = after if whole else {**told.facts, **after}


def _object(text: str) -> Facts:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"a change row holds {text}")
    return found


# What stands in the ledger ----------------------------------------------------------------------------


def _users(reader: Reader) -> Iterator[_CurrentFacts]:
    rows = reader.rows(f"SELECT id, {change_rows.user()} AS text FROM users ORDER BY id")
    return (_CurrentFacts(row["id"], None, row["text"]) for row in rows)


def _seats(reader: Reader) -> Iterator[_CurrentFacts]:
    # A seat names its end only where it has one.
    text = f"iif(revoked_at IS NULL, {change_rows.seat()}, {change_rows.seat(revoked_at='revoked_at')})"
    rows = reader.rows(f"SELECT id, assigned_entry, revoked_entry, {text} AS text FROM seats ORDER BY id")
    return (
        _CurrentFacts(row["id"], None, row["text"], (row["assigned_entry"], row["revoked_entry"]))
        for row in rows
    )


def _requests(reader: Reader) -> Iterator[_CurrentFacts]:
    rows = reader.rows(f"SELECT number, {change_rows.request()} AS text FROM requests ORDER BY number")
    return (_CurrentFacts(row["number"], None, row["text"]) for row in rows)


def _plans(reader: Reader) -> Iterator[_CurrentFacts]:
    for plan in sorted(plans.listing(reader, archived=True), key=lambda one: one.id):
        yield _CurrentFacts(plan.id, plans.snapshot(plan))


def _subscriptions(reader: Reader) -> Iterator[_CurrentFacts]:
    slugs = _slugs(reader)
    found = sorted(subscriptions.listing(reader, _EPOCH), key=lambda one: one.id)
    for subscription in found:
        facts = subscriptions.snapshot(subscription)
        # A plan that was renamed since is told under the slug that it had.
        facts["plan"] = [subscription.plan_slug, *slugs.get(subscription.plan_id, [])]
        facts["home_ledger"] = subscription.home_ledger
        facts["cancel_at"] = None if subscription.cancel_at is None else format_time(subscription.cancel_at)
        yield _CurrentFacts(subscription.id, facts)


def _slugs(reader: Reader) -> dict[int, list[JsonValue]]:
    """Every slug that a plan ever had."""
    found: dict[int, list[JsonValue]] = {}
    for row in reader.rows(
        "SELECT entity_id, after FROM changes WHERE entity = 'plan' AND after IS NOT NULL"
    ):
        found.setdefault(row["entity_id"], []).append(_object(row["after"]).get("slug"))
    return found


_EPOCH = parse_time("1970-01-01T00:00:00Z")

_CURRENT: dict[str, Callable[[Reader], Iterator[_CurrentFacts]]] = {
    "user": _users,
    "seat": _seats,
    "request": _requests,
    "plan": _plans,
    "subscription": _subscriptions,
}


# What has no row of its own for each change -----------------------------------------------------------


def _roles(reader: Reader) -> Iterator[Problem]:
    """Grants as the audit tells them, beside those that are there."""
    granted, unknown = _granted(reader)
    found = {
        row["id"]: (row["actor"], row["role"], row["subscription_id"])
        for row in reader.rows("SELECT id, actor, role, subscription_id FROM roles ORDER BY id")
    }
    for number in sorted({*found, *granted} - unknown):
        if number not in granted:
            yield f"role {number}", f"{found[number][0]} is {found[number][1]}, which the audit does not know"
        elif number not in found:
            yield f"role {number}", f"{granted[number][0]} is {granted[number][1]} by the audit, but not here"
        elif found[number] != granted[number]:
            now, told = (", ".join(map(_shown, some)) for some in (found[number], granted[number]))
            yield f"role {number}", f"it is {now}, but {told} by its last change"


def _granted(reader: Reader) -> tuple[dict[int, _Grant], set[int]]:
    """Grants replayed from the audit, and those of which it tells nothing any more.

    A user's new e-mail takes the roles along, and so did the migration of the keys, without a row of theirs.
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
            was, now = (str(_object(row[column])["email"]) for column in ("before", "after"))
            _rename_actor(granted, key(was), key(now))
        elif row["erased_at"] is not None:
            granted.pop(number, None)
            unknown.add(number)
        elif row["after"] is None:
            granted.pop(number, None)
        else:
            unknown.discard(number)
            given = _object(row["after"])
            granted[number] = (given["actor"], given["role"], given["subscription_id"])
    if key is not actor_key:
        _rekey_all(reader, granted)
    return granted, unknown


def _rekey_all(reader: Reader, granted: dict[int, _Grant]) -> None:
    """As the migration of the keys did."""
    for before, after in email_keys.former_keys(reader).items():
        _rename_actor(granted, before, after)


def _rename_actor(granted: dict[int, _Grant], before: str, after: str) -> None:
    """As `roles.follow` does."""
    if before == after:
        return
    held = {(role, subscription) for actor, role, subscription in granted.values() if actor == after}
    for number, (actor, role, subscription) in list(granted.items()):
        if actor == before and (role, subscription) in held:
            del granted[number]
        elif actor == before:
            granted[number] = (after, role, subscription)


def _operations(reader: Reader) -> Iterator[Problem]:
    """An operation that is done has a change row that says so, and no other has."""
    rows = reader.rows(
        "SELECT o.id, o.kind, o.state, o.payload, o.created_at, c.after FROM operations o LEFT JOIN changes c"
        " ON c.entity = 'operation' AND c.entity_id = o.id"
        " UNION ALL SELECT c.entity_id, NULL, NULL, NULL, NULL, c.after FROM changes c"
        " WHERE c.entity = 'operation' AND c.entity_id NOT IN (SELECT id FROM operations) ORDER BY 1"
    )
    for row in rows:
        subject = f"operation {row['id']}"
        told = None if row["after"] is None else _object(row["after"])
        if row["kind"] is None:
            yield subject, "the audit knows it, but it is not in the ledger"
        elif told is None and row["state"] == "done":
            yield subject, "it is done, but the audit does not know it"
        elif told is not None:
            now: Facts = {
                "kind": row["kind"],
                "state": row["state"],
                "created_at": row["created_at"],
                "payload_hash": text_hash(row["payload"]),
            }
            yield from ((subject, detail) for detail in _different_keys(now, told))


def _settings(reader: Reader) -> Iterator[Problem]:
    """The id that a restore gave the ledger."""
    row = reader.row("SELECT after FROM changes WHERE entity = 'setting' ORDER BY entry DESC, n DESC LIMIT 1")
    told = None if row is None else _object(row["after"]).get("ledger_id")
    now = reader.value("SELECT value FROM meta WHERE key = 'ledger_id'")
    if told is not None and told != now:
        yield "ledger_id", f"it is {now!r}, but {told!r} by the audit"
