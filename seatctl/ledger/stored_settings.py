"""The settings that a ledger stores, so that all machines that use it follow the same policy.

They are rows of `meta`. Whoever opened the ledger before a change reads the new value when opening it again.
"""

from __future__ import annotations

from seatctl.ledger.engines.port import SETTING
from seatctl.ledger.transaction import Transaction

ENTITY = "setting"
"""The entity of the change rows; a restore records the new id of the ledger under it, too."""


def change(tx: Transaction, key: str, value: str | None) -> None:
    """Store a setting, or remove it with None, unless the ledger has this value already."""
    before = tx.text("SELECT value FROM meta WHERE key = ?", (SETTING + key,))
    if value == before:
        return
    if value is None:
        tx.execute("DELETE FROM meta WHERE key = ?", (SETTING + key,))
    else:
        tx.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (SETTING + key, value),
        )
    tx.record(ENTITY, 0, None if before is None else {key: before}, None if value is None else {key: value})
