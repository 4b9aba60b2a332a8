"""The content of change rows for users, seats and requests.

An undo restores what a change row holds; a column that is missing here would be lost by an undo. A change row
therefore has every column that a command can change, and those that identify the row. Keys are in
alphabetical order and the text is compact JSON, as `Transaction.record` writes it.
"""

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
"""`revoked_at` is only in the change row that ends the seat."""
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


def user(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `users`.

    `table` is the name or alias to read the columns from. `replacements` are other SQL expressions for some
    of the keys: the values that the row is about to get.
    """
    return _json_object(_USER, table, replacements)


def seat(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `seats`; see `user`."""
    return _json_object(_SEAT, table, replacements)


def request(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `requests`; see `user`."""
    return _json_object(_REQUEST, table, replacements)


def _json_object(columns: Mapping[str, str], table: str, replacements: Mapping[str, str]) -> str:
    prefix = f"{table}." if table else ""
    expressions = {**{key: column.format(prefix) for key, column in columns.items()}, **replacements}
    pairs = (f"'{key}', {expressions[key]}" for key in sorted(expressions))
    return f"json_object({', '.join(pairs)})"


def of_user(reader: Reader, user_id: int) -> dict[str, JsonValue]:
    """Return the content of a change row for this user, as the user is now."""
    return _read(reader, f"SELECT {user()} FROM users WHERE id = ?", user_id)


def of_seat(reader: Reader, seat_id: int) -> dict[str, JsonValue]:
    """Return the content of a change row for this seat, as the seat is now."""
    return _read(reader, f"SELECT {seat()} FROM seats WHERE id = ?", seat_id)


def of_request(reader: Reader, number: int) -> dict[str, JsonValue]:
    """Return the content of a change row for this request, as the request is now."""
    return _read(reader, f"SELECT {request()} FROM requests WHERE number = ?", number)


def _read(reader: Reader, query: str, key: int) -> dict[str, JsonValue]:
    content: dict[str, JsonValue] = json.loads(str(reader.value(query, (key,))))
    return content
