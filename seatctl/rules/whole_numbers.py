"""Whole numbers that people type: ASCII digits, never so many that Python refuses to read them. Pure."""

from __future__ import annotations

MOST = 2**63 - 1
"""The highest number that a ledger can hold."""


def whole_number(text: str, most: int) -> int | None:
    """The number from 0 to `most` that a text is; None if it is anything else.

    Python reads other scripts' digits too, and raises ValueError for more than 4,300 of them.
    """
    digits = text.lstrip("0") or text[:1]
    if not (text.isascii() and text.isdigit() and len(digits) <= len(str(most))):
        return None
    number = int(digits)
    return number if number <= most else None
