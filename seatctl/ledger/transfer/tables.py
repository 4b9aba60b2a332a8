"""The tables of a ledger that are copied, in an order in which every reference finds its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from seatctl.ledger.place_marks import OF_A_PLACE

META: Final = "meta"

TABLES: Final[Mapping[str, str]] = {
    "plans": "id",
    "customers": "id",
    "users": "id",
    "former_email_keys": "former_key",
    "runs": "number",
    "subscriptions": "id",
    "operations": "id",
    "steps": "operation_id, name, attempt",
    "capacity_changes": "id",
    "seats": "id",
    "requests": "number",
    "new_requests": "request",
    "invoices": "id",
    "invoice_lines": "id",
    "stripe_objects": "stripe_id",
    "batch_rows": "run, n",
    "changes": "entry, n",
    "audit": "seq",
    "outbox": "id",
    "held_seats": "run, subscription_id",
    "roles": "id",
    "activation_codes": "id",
    "sync_state": "key",
    META: "key",
}
"""The key of each table. Everything else on a server belongs to the server, not to the ledger: locks, leases,
the pace, staged rows, tokens of commits, and what its logins may do."""

_OF_THE_SCHEMA = ("schema_version", "min_client")
"""Keys of `meta` that belong to the schema of a place."""

NOT_COPIED: Final = (*_OF_THE_SCHEMA, *OF_A_PLACE)
"""Keys of `meta` that are not copied."""

_COPIED_KEYS = "key NOT IN ({})".format(", ".join(map("'{}'".format, NOT_COPIED)))


def selection(table: str) -> str:
    """Return the FROM clause of the rows of a table that are copied, with its conditions."""
    return f"{table} WHERE {_COPIED_KEYS}" if table == META else table
