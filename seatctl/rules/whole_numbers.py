"""Whole numbers as typed: ASCII digits, and never so many that Python refuses to parse them. Pure."""

from __future__ import annotations

MOST = 2**63 - 1
"""The highest number that a ledger can hold."""


def whole_number(text: str, most: int) -> int | None:
    """Return the number from 0 to `most` that the text is, or None.

    Python would also parse digits of other scripts, and raises ValueError for more than 4,300 digits.
    """
    digits = text.lstrip("0") or text[:1]
    if not (text.isascii() and text.isdigit() and len(digits) <= len(str(most))):
        return None
    number = int(digits)
    return number if number <= most else None
