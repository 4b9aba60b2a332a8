"""The staged tables: rows of a file, or of a computation, that belong to one process only.

The modules that use a table explain its columns. `ledger/engines/port.py` says how an engine keeps them.
"""

from __future__ import annotations

from typing import Final

from seatctl.ledger.engines.port import StagedTable

INCOMING: Final = StagedTable(
    "incoming",
    {
        "line": "INTEGER NOT NULL",
        "email": "TEXT NOT NULL",
        "email_key": "TEXT",
        "name": "TEXT",
        "group_name": "TEXT",
        "group_key": "TEXT",
        "last_active": "TEXT",
        "until": "TEXT",
        "problem": "TEXT",
        "verdict": "TEXT NOT NULL",
        "user_id": "INTEGER",
        "other_line": "INTEGER",
        "result": "TEXT",
    },
    key="line",
    indexes={"incoming_by_key": "(email_key, line) WHERE problem IS NULL"},
)
"""People: `ledger/incoming/staging.py`."""

REPEATED: Final = StagedTable("repeated", {"email_key": "TEXT", "line": "INTEGER", "same": "INTEGER"})
"""Addresses that are in several rows of `incoming`: `ledger/incoming/staging.py`."""

DESIRED: Final = StagedTable(
    "desired",
    {
        "n": "INTEGER NOT NULL",
        "line": "INTEGER NOT NULL",
        "email": "TEXT NOT NULL",
        "email_key": "TEXT",
        "name": "TEXT",
        "group_name": "TEXT",
        "group_key": "TEXT",
        "until": "TEXT",
        "subscription": "INTEGER NOT NULL",
        "problem": "TEXT",
        "verdict": "TEXT NOT NULL",
        "user_id": "INTEGER",
        "seat_id": "INTEGER",
        "differs": "INTEGER",
    },
    key="n",
    indexes={"desired_by_key": "(email_key, subscription) WHERE problem IS NULL"},
)
"""The wanted seats: `ledger/desired/compare.py`."""

DESIRED_SUBSCRIPTIONS: Final = StagedTable(
    "desired_subscriptions",
    {"n": "INTEGER NOT NULL", "handle": "TEXT NOT NULL", "subscription_id": "INTEGER", "problem": "TEXT"},
    key="n",
)
"""The subscriptions that the rows of `desired` name: `ledger/desired/compare.py`."""

LEAVING: Final = StagedTable(
    "leaving",
    {"seat_id": "INTEGER NOT NULL", "subscription": "INTEGER NOT NULL", "line": "INTEGER"},
    key="seat_id",
)
"""The seats to revoke: `ledger/desired/compare.py`."""

IDLE: Final = StagedTable(
    "idle",
    {"seat_id": "INTEGER NOT NULL", "why": "TEXT NOT NULL", "warned_at": "TEXT", "result": "TEXT"},
    key="seat_id",
)
"""Idle seats: `ledger/idle_seats.py`."""

UNDOING: Final = StagedTable(
    "undoing",
    {
        "entity": "TEXT NOT NULL",
        "entity_id": "INTEGER NOT NULL",
        "before": "TEXT",
        "after": "TEXT",
        "last_entry": "INTEGER NOT NULL",
        "erased_at": "TEXT",
        "kind": "TEXT NOT NULL",
        "subscription_id": "INTEGER",
        "user_id": "INTEGER",
        "until": "TEXT",
        "seat_id": "INTEGER",
    },
    indexes={"undoing_by_seat": "(seat_id)"},
)
"""The inverse of a run: `ledger/undo/inverse.py`."""

STAGED: Final = (INCOMING, REPEATED, DESIRED, DESIRED_SUBSCRIPTIONS, LEAVING, IDLE, UNDOING)
