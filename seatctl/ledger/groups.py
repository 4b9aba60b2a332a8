"""SQL for groups, which are compared without case and repeated spaces and keep their first spelling.

SQLite folds the case of ASCII only; therefore statements call `group_key` of rules/names.py.
"""

from __future__ import annotations

from seatctl.ledger.transaction import Reader
from seatctl.rules.names import group_key


def define_group_key(reader: Reader) -> None:
    """Make `group_key` available to the statements that follow."""
    reader.engine.define("group_key", lambda text: None if text is None else group_key(text))


def differ(first: str, second: str) -> str:
    """Return the condition that two columns, both not NULL, name different groups.

    Texts are compared first, because the function is slow.
    """
    return f"({first} <> {second} AND group_key({first}) <> group_key({second}))"


def keep_spelling(new: str, stored: str) -> str:
    """Return an expression for the column `new` that yields `stored` if both name the same group."""
    same = f"{new} <> {stored} AND group_key({new}) = group_key({stored})"
    return f"CASE WHEN {same} THEN {stored} ELSE {new} END"
