"""The content of change rows for users, seats and requests.

An undo restores what a change row holds; a column that is missing here would be lost by an undo. A change row
therefore has every column that a command can change, and those that identify the row. Keys are in
alphabetical order and the text is compact JSON, as `Transaction.record` writes it. A column that holds JSON
holds it compact already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from seatctl.errors import JsonValue
from seatctl.ledger.json_text import json_flag, json_object
from seatctl.ledger.transaction import Reader

_USER = {
    "email": "json_quote({}email)",
    "group": "json_quote({}group_name)",
    "last_active": "json_quote({}last_active)",
    "name": "json_quote({}name)",
    "reclaim_exempt": json_flag("{}reclaim_exempt = 1"),
    "status": "json_quote({}status)",
}
_SEAT = {
    "assigned_at": "json_quote({}assigned_at)",
    "claimed_at": "json_quote({}claimed_at)",
    "subscription_id": "json_quote({}subscription_id)",
    "until": "json_quote({}until)",
    "user_id": "json_quote({}user_id)",
}
"""`revoked_at` is only in the change row that ends the seat."""
_REQUEST = {
    "decided_at": "json_quote({}decided_at)",
    "decided_by": "json_quote({}decided_by)",
    "expires_at": "json_quote({}expires_at)",
    "features": "{}features",
    "note": "json_quote({}note)",
    "priority": "json_quote({}priority)",
    "reason": "json_quote({}reason)",
    "status": "json_quote({}status)",
    "subscription_id": "json_quote({}subscription_id)",
    "user_id": "json_quote({}user_id)",
    "waitlisted_at": "json_quote({}waitlisted_at)",
}


def user(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `users`.

    `table` is the name or alias to read the columns from. `replacements` are other SQL expressions for some
    of the keys: the values that the row is about to get.
    """
    return _content(_USER, table, replacements)


def seat(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `seats`; see `user`."""
    return _content(_SEAT, table, replacements)


def request(table: str = "", /, **replacements: str) -> str:
    """Return an SQL expression for the content of a change row of `requests`; see `user`."""
    return _content(_REQUEST, table, replacements)


def _content(columns: Mapping[str, str], table: str, replacements: Mapping[str, str]) -> str:
    prefix = f"{table}." if table else ""
    values = {key: column.format(prefix) for key, column in columns.items()}
    return json_object({**values, **{key: f"json_quote({value})" for key, value in replacements.items()}})


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
