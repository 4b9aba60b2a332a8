"""Taking back what a run changed, once `inverse.py` has staged and judged it in TEMP table `undoing`.

Seats and new users are set-based, since a run may have changed a hundred thousand; changed users, requests
and roles go one by one.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from seatctl.errors import JsonValue
from seatctl.ledger import change_rows, roles, seats, users
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import parse_time
from seatctl.models.role import Grant, Role
from seatctl.models.user import User, UserStatus

Facts = Mapping[str, JsonValue]


def restore_users(tx: Transaction) -> None:
    """Users as they were before; those whom the run made are removed."""
    was = "CASE u.kind WHEN 'made' THEN 'removed' ELSE json_extract(u.before, '$.status') END"
    tx.record_many(
        "user",
        f"SELECT p.id AS entity_id, {change_rows.user('p')} AS before,"
        f" {change_rows.user('p', status=was)} AS after"
        " FROM undoing u JOIN users p ON p.id = u.entity_id WHERE u.kind IN ('made', 'status')"
        " ORDER BY p.id",
        {},
    )
    tx.execute(
        f"UPDATE users SET status = {was} FROM undoing u"
        " WHERE u.kind IN ('made', 'status') AND users.id = u.entity_id"
    )
    changed = list(tx.rows("SELECT before, after FROM undoing WHERE kind = 'changed' ORDER BY entity_id"))
    for row in changed:
        after = json.loads(row["after"])
        user = users.require(tx, after["email"])
        users.change(tx, user, _as_it_was(user, json.loads(row["before"]), after))


def _as_it_was(user: User, before: Facts, after: Facts) -> User:
    """The user with what the run changed as it was; what its rows do not say stays as it is.

    Older rows name `reclaim_exempt` only if it is so, and bulk changes of then not at all.
    """
    last = before["last_active"]
    exempt = before.get("reclaim_exempt", False if "reclaim_exempt" in after else user.exempt)
    return replace(
        user,
        email=str(before["email"]),
        name=_text(before["name"]),
        group=_text(before["group"]),
        status=UserStatus(str(before["status"])),
        last_active=None if last is None else parse_time(str(last)),
        exempt=bool(exempt),
    )


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def revoke_given(tx: Transaction) -> int:
    """Give back the seats that the run gave; how many."""
    return seats.revoke_where(
        tx,
        "revoked_at IS NULL"
        " AND id IN (SELECT coalesce(seat_id, entity_id) FROM undoing WHERE kind = 'given')",
        {},
        ":now",
    )


def assign_again(tx: Transaction) -> int:
    """Seat those again who lost a seat by the run, as new seats; how many.

    They end when the old ones would have, and who had claimed the old one need not claim it again. They are
    assigned now: in between, nobody had the seat.
    """
    before, last = tx.recorded, seats.last_id(tx)
    seated = tx.execute(
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until, claimed_at, assigned_entry)"
        " SELECT u.pool, u.person, :now, u.until, t.claimed_at, :entry"
        " FROM undoing u JOIN seats t ON t.id = u.entity_id WHERE u.kind = 'taken'"
        " AND (u.until IS NULL OR u.until > :now) ORDER BY u.entity_id",
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
        f"SELECT t.id AS entity_id, {change_rows.seat('t')} AS before,"
        f" {change_rows.seat('t', until='u.until')} AS after"
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
            canceled = {"status": "canceled", "decided_by": tx.call.actor, "decided_at": tx.now}
            _restore(tx, row["entity_id"], {**canceled, "reason": None})


_OF_A_DECISION = ("status", "decided_by", "decided_at", "reason", "subscription_id", "waitlisted_at")
"""What a decision changes of a request."""


def _restore(tx: Transaction, number: int, was: Facts) -> None:
    """Give a request what it was. What `was` does not say stays, but for the decision on an undecided one."""
    before = change_rows.of_request(tx, number)
    undecided = {"decided_at": None, "reason": None} if was["decided_by"] is None else {}
    becomes = {**before, **undecided, **was}
    tx.execute(
        "UPDATE requests SET status = :status, decided_by = :decided_by, decided_at = :decided_at,"
        " reason = :reason, subscription_id = :subscription_id, waitlisted_at = :waitlisted_at"
        " WHERE number = :number",
        {"number": number, **{key: _scalar(becomes[key]) for key in _OF_A_DECISION}},
    )
    tx.record("request", number, before, change_rows.of_request(tx, number))


def _scalar(value: JsonValue) -> str | int | None:
    return value if isinstance(value, str | int) else None


def restore_roles(tx: Transaction) -> None:
    """Take away the roles that the run granted, and grant those again that it took away."""
    now, last = email_keys.former_keys(tx), email_keys.last_former_entry(tx)
    undone = tx.rows("SELECT entity_id, before, after, last_entry FROM undoing WHERE kind = 'role'")
    for row in list(undone):
        if row["after"] is not None:
            roles.revoke_by_id(tx, row["entity_id"])
        if row["before"] is not None:
            was = json.loads(row["before"])
            actor = now.get(was["actor"], was["actor"]) if row["last_entry"] <= last else was["actor"]
            roles.grant(tx, Grant(actor, Role(was["role"]), was["subscription_id"]))
