"""Taking back what a run changed, once `undoing.py` has staged and judged it in TEMP table `undoing`.

Seats and new users are set-based, since a run may have changed a hundred thousand; changed users, requests
and roles go one by one.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

import json
from dataclasses import replace

from seatctl.errors import JsonValue
from seatctl.ledger import requests, roles, seats, users
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import parse_time
from seatctl.models.role import Grant, Role
from seatctl.models.user import User, UserStatus


def restore_people(tx: Transaction) -> None:
    """Users as they were before; those whom the run made are removed."""
    tx.record_many(
        "user",
        "SELECT entity_id, after AS before, json_set(after, '$.status', 'removed') AS after FROM undoing"
        " WHERE kind = 'made' ORDER BY entity_id",
        {},
    )
    tx.execute(
        "UPDATE users SET status = 'removed' WHERE id IN (SELECT entity_id FROM undoing WHERE kind = 'made')"
    )
    tx.record_many(
        "user",
        "SELECT entity_id, after AS before, before AS after FROM undoing WHERE kind = 'status'"
        " ORDER BY entity_id",
        {},
    )
    tx.execute(
        "UPDATE users SET status = json_extract(u.before, '$.status') FROM undoing u"
        " WHERE u.kind = 'status' AND users.id = u.entity_id"
    )
    changed = list(tx.rows("SELECT before, after FROM undoing WHERE kind = 'changed' ORDER BY entity_id"))
    for row in changed:
        user = users.require(tx, json.loads(row["after"])["email"])
        users.change(tx, user, _as_it_was(user, json.loads(row["before"])))


def _as_it_was(user: User, facts: dict[str, JsonValue]) -> User:
    last = facts["last_active"]
    return replace(
        user,
        email=str(facts["email"]),
        name=_text(facts["name"]),
        group=_text(facts["group"]),
        status=UserStatus(str(facts["status"])),
        last_active=None if last is None else parse_time(str(last)),
        exempt=bool(facts.get("reclaim_exempt")),
    )


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def give_back(tx: Transaction) -> int:
    """Give back the seats that the run gave; how many."""
    return seats.revoke_where(
        tx,
        "revoked_at IS NULL"
        " AND id IN (SELECT coalesce(seat_id, entity_id) FROM undoing WHERE kind = 'given')",
        {},
        ":now",
    )


def seat_again(tx: Transaction) -> int:
    """Seat those again who lost a seat by the run, as new seats; ends as they were before. How many."""
    before, last = tx.recorded, seats.last_id(tx)
    seated = tx.execute(
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until, assigned_entry)"
        " SELECT pool, person, :now, until, :entry"
        " FROM undoing WHERE kind = 'taken'"
        " AND (until IS NULL OR until > :now) ORDER BY entity_id",
        {"now": tx.now, "entry": tx.entry},
    )
    if seated:
        seats.record_new(tx, last)
        tx.mail_each("seat_assigned", before)
    return seated


def restore_ends(tx: Transaction) -> None:
    """Seats end when they did before the run; one that would have ended by now ends at once."""
    where = "u.kind = 'ends' AND t.id = coalesce(u.seat_id, u.entity_id) AND t.revoked_at IS NULL"
    tx.record_many(
        "seat",
        "SELECT t.id AS entity_id, json_remove(u.after, '$.revoked_at') AS before, u.before AS after"
        f" FROM undoing u JOIN seats t ON {where} ORDER BY entity_id",
        {},
    )
    tx.execute("UPDATE seats AS t SET until = u.until FROM undoing u WHERE " + where)


def restore_requests(tx: Transaction) -> None:
    """Requests as they were before; those that the run made are canceled, if they are still open."""
    rows = list(
        tx.rows(
            "SELECT u.entity_id, u.before, u.kind, r.status FROM undoing u JOIN requests r"
            " ON r.number = u.entity_id WHERE u.kind IN ('asked', 'decided') ORDER BY u.entity_id"
        )
    )
    for row in rows:
        if row["kind"] == "decided":
            _restore(tx, row["entity_id"], json.loads(row["before"]))
        elif row["status"] in {"pending", "waitlisted"}:
            _restore(tx, row["entity_id"], {"status": "canceled", "decided_by": tx.call.actor})


def _restore(tx: Transaction, number: int, facts: dict[str, JsonValue]) -> None:
    before = requests.facts(tx, number)
    params = {"number": number, "status": facts["status"], "by": facts["decided_by"], "now": tx.now}
    params["pool"] = facts.get("subscription_id", before["subscription_id"])
    tx.execute(
        "UPDATE requests SET status = :status, decided_by = :by, subscription_id = :pool, reason = NULL,"
        " decided_at = CASE WHEN :by IS NULL THEN NULL ELSE :now END WHERE number = :number",
        {key: value for key, value in params.items() if not isinstance(value, list | dict)},
    )
    tx.record("request", number, before, requests.facts(tx, number))


def restore_roles(tx: Transaction) -> None:
    """Take away the roles that the run granted, and grant those again that it took away."""
    for row in list(tx.rows("SELECT entity_id, before, after FROM undoing WHERE kind = 'role'")):
        if row["after"] is not None:
            roles.take_away(tx, row["entity_id"])
        if row["before"] is not None:
            was = json.loads(row["before"])
            roles.grant(tx, Grant(was["actor"], Role(was["role"]), was["subscription_id"]))
