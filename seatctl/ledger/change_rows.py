"""What a change row says of a user, a seat and a request: written once, here.

An undo gives back what the row says, so that a column which is left out here is lost by undoing. Whatever a
command can change is in it, and what says whose the thing is. Keys are in alphabetical order and the text is
compact JSON, as `Transaction.record` writes it.
"""

# ruff: noqa: S608 - what is put into statements here are the columns of this module; every value is bound.

from __future__ import annotations

import json
from collections.abc import Mapping

from seatctl.errors import JsonValue
from seatctl.ledger.transaction import Reader

_USER = {
    "email": "{}email",
    "group": "{}group_name",
    "last_active": "{}last_active",
    "name": "{}name",
    "reclaim_exempt": "json(iif({}reclaim_exempt, 'true', 'false'))",
    "status": "{}status",
}
_SEAT = {
    "assigned_at": "{}assigned_at",
    "claimed_at": "{}claimed_at",
    "subscription_id": "{}subscription_id",
    "until": "{}until",
    "user_id": "{}user_id",
}
"""`revoked_at` is named only by the change that ends the seat: until then there is none."""
_REQUEST = {
    "decided_at": "{}decided_at",
    "decided_by": "{}decided_by",
    "expires_at": "{}expires_at",
    "features": "json({}features)",
    "note": "{}note",
    "priority": "{}priority",
    "reason": "{}reason",
    "status": "{}status",
    "subscription_id": "{}subscription_id",
    "user_id": "{}user_id",
    "waitlisted_at": "{}waitlisted_at",
}


def user(table: str = "", /, **becomes: str) -> str:
    """An SQL expression: what a change row says of a row of `users`.

    `table` is the name or alias to read the columns from; `becomes` gives keys another SQL expression, for
    what the row is about to be.
    """
    return _said(_USER, table, becomes)


def seat(table: str = "", /, **becomes: str) -> str:
    """An SQL expression: what a change row says of a row of `seats`; see `user`."""
    return _said(_SEAT, table, becomes)


def request(table: str = "", /, **becomes: str) -> str:
    """An SQL expression: what a change row says of a row of `requests`; see `user`."""
    return _said(_REQUEST, table, becomes)


def _said(columns: Mapping[str, str], table: str, becomes: Mapping[str, str]) -> str:
    prefix = f"{table}." if table else ""
    expressions = {**{key: column.format(prefix) for key, column in columns.items()}, **becomes}
    pairs = (f"'{key}', {expressions[key]}" for key in sorted(expressions))
    return f"json_object({', '.join(pairs)})"


def of_user(reader: Reader, user_id: int) -> dict[str, JsonValue]:
    """What a change row says of this user, as the row is now."""
    return _read(reader, f"SELECT {user()} FROM users WHERE id = ?", user_id)


def of_seat(reader: Reader, seat_id: int) -> dict[str, JsonValue]:
    """What a change row says of this seat, as the row is now."""
    return _read(reader, f"SELECT {seat()} FROM seats WHERE id = ?", seat_id)


def of_request(reader: Reader, number: int) -> dict[str, JsonValue]:
    """What a change row says of this request, as the row is now."""
    return _read(reader, f"SELECT {request()} FROM requests WHERE number = ?", number)


def _read(reader: Reader, query: str, key: int) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = json.loads(str(reader.value(query, (key,))))
    return found
