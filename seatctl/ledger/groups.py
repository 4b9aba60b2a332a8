"""SQL for groups, which are compared without case and repeated spaces and keep their first spelling.

No statement can fold the case of every script; therefore users and staged rows have the column `group_key`.
"""

from __future__ import annotations

from seatctl.rules import names


def group_key(group: str | None) -> str | None:
    """Return the value of the column `group_key` for a group."""
    return None if group is None else names.group_key(group)


def keep_spelling(new: str, stored: str) -> str:
    """Return an expression for the group of the table `new`: as `stored` spells it if it is the same one."""
    same = f"{new}.group_key = {stored}.group_key"
    return f"CASE WHEN {same} THEN {stored}.group_name ELSE {new}.group_name END"
