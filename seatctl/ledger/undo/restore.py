"""Restoring what a run changed, from the staged table `undoing` that `inverse.py` fills.

Seats and new users are restored by set-based SQL, since a run may have changed a hundred thousand of them;
changed users, requests and roles are restored one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from seatctl.errors import JsonValue
from seatctl.ledger import bulk_users, change_rows, roles, seats, users
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import parse_time
from seatctl.models.request import RequestStatus
from seatctl.models.role import Grant, Role
from seatctl.models.user import User, UserStatus

Facts = Mapping[str, JsonValue]


def restore_users(tx: Transaction) -> None:
    """Restore changed users, and remove those that the run created."""
    bulk_users.update(
        tx,
        "undoing x JOIN users u ON u.id = x.entity_id WHERE x.kind IN ('made', 'status') ORDER BY u.id",
        status="CASE x.kind WHEN 'made' THEN 'removed' ELSE json_extract(x.before, '$.status') END",
    )
    changed = list(tx.rows("SELECT before, after FROM undoing WHERE kind = 'changed' ORDER BY entity_id"))
    for row in changed:
        after = json.loads(row["after"])
        user = users.require(tx, after["email"])
        users.change(tx, user, _restored(user, json.loads(row["before"]), after))


def _restored(user: User, before: Facts, after: Facts) -> User:
    """Return the user with the values from before the run; values that its change rows lack stay.

    Change rows of earlier versions have `reclaim_exempt` only if it is true, and those of bulk changes never.
    """
    last_active = before["last_active"]
    exempt = before.get("reclaim_exempt", False if "reclaim_exempt" in after else user.exempt)
    return replace(
        user,
        email=str(before["email"]),
        name=_text(before["name"]),
        group=_text(before["group"]),
        status=UserStatus(str(before["status"])),
        last_active=None if last_active is None else parse_time(str(last_active)),
        exempt=bool(exempt),
    )


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def revoke_given(tx: Transaction) -> int:
    """Revoke the seats that the run assigned; return how many."""
    return seats.revoke_where(
        tx,
        "revoked_at IS NULL"
        " AND id IN (SELECT coalesce(seat_id, entity_id) FROM undoing WHERE kind = 'given')",
        {},
        ":now",
    )


def assign_again(tx: Transaction) -> int:
    """Assign new seats to the people whose seats the run revoked; return how many.

    The new seats have the same ends as the old ones, and stay claimed. They are assigned now: in between,
    nobody had the seat.
    """
    return seats.assign_each(
        tx,
        "undoing u JOIN seats t ON t.id = u.entity_id WHERE u.kind = 'taken'"
        " AND (u.until IS NULL OR u.until > :now) ORDER BY u.entity_id",
        subscription="u.subscription_id",
        user="u.user_id",
        until="u.until",
        claimed_at="t.claimed_at",
    )


def restore_ends(tx: Transaction) -> None:
    """Restore the ends of seats from before the run. Seats that would have ended by now end at once."""
    seats.set_ends(
        tx,
        "undoing u JOIN seats t ON u.kind = 'ends' AND t.id = coalesce(u.seat_id, u.entity_id)"
        " AND t.revoked_at IS NULL ORDER BY t.id",
        until="u.until",
    )


def restore_requests(tx: Transaction) -> None:
    """Restore decided requests, and cancel the open requests that the run created."""
    rows = list(
        tx.rows(
            "SELECT u.entity_id, u.before, u.kind, r.status FROM undoing u JOIN requests r"
            " ON r.number = u.entity_id WHERE u.kind IN ('asked', 'decided') ORDER BY u.entity_id"
        )
    )
    for row in rows:
        if row["kind"] == "decided":
            _restore_request(tx, row["entity_id"], json.loads(row["before"]))
        elif RequestStatus(row["status"]).is_open:
            canceled = {"status": "canceled", "decided_by": tx.call.actor, "decided_at": tx.now}
            _restore_request(tx, row["entity_id"], {**canceled, "reason": None})


_OF_A_DECISION = ("status", "decided_by", "decided_at", "reason", "subscription_id", "waitlisted_at")
"""The columns of a request that a decision changes."""


def _restore_request(tx: Transaction, number: int, old: Facts) -> None:
    """Restore a request. Values that `old` lacks stay, except the decision if it was undecided."""
    before = change_rows.of_request(tx, number)
    undecided = {"decided_at": None, "reason": None} if old["decided_by"] is None else {}
    values = {**before, **undecided, **old}
    tx.may_wait = tx.may_wait or values["status"] == RequestStatus.WAITLISTED.value
    tx.execute(
        "UPDATE requests SET status = :status, decided_by = :decided_by, decided_at = :decided_at,"
        " reason = :reason, subscription_id = :subscription_id, waitlisted_at = :waitlisted_at"
        " WHERE number = :number",
        {"number": number, **{key: _scalar(values[key]) for key in _OF_A_DECISION}},
    )
    tx.record("request", number, before, change_rows.of_request(tx, number))


def _scalar(value: JsonValue) -> str | int | None:
    return value if isinstance(value, str | int) else None


def restore_roles(tx: Transaction) -> None:
    """Revoke the roles that the run granted, and grant those that it revoked."""
    new_keys, last_former = email_keys.former_keys(tx), email_keys.last_former_entry(tx)
    rows = tx.rows("SELECT entity_id, before, after, last_entry FROM undoing WHERE kind = 'role'")
    for row in list(rows):
        if row["after"] is not None:
            roles.revoke_by_id(tx, row["entity_id"])
        if row["before"] is not None:
            old = json.loads(row["before"])
            actor = old["actor"]
            if row["last_entry"] <= last_former:
                actor = new_keys.get(actor, actor)
            roles.grant(tx, Grant(actor, Role(old["role"]), old["subscription_id"]))
