"""Groups in statements: compared without case and doubled spaces, and kept as they were first spelled.

SQLite folds the case of ASCII alone, so the statements call `group_key` of rules/names.py.
"""

from __future__ import annotations

from seatctl.ledger.transaction import Reader
from seatctl.rules.names import group_key


def define_group_key(reader: Reader) -> None:
    """Let the statements that follow call `group_key`."""
    reader.engine.define("group_key", lambda text: None if text is None else group_key(text))


def differ(one: str, other: str) -> str:
    """The condition that two columns, neither of them NULL, name two groups. Equal texts call nothing."""
    return f"({one} <> {other} AND group_key({one}) <> group_key({other}))"


def keep_spelling(given: str, held: str) -> str:
    """The value of a column `given` (NULL: nothing), or `held` where that is the same group."""
    same = f"{given} <> {held} AND group_key({given}) = group_key({held})"
    return f"CASE WHEN {same} THEN {held} ELSE {given} END"
