"""Nouns with their number. Pure."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return `1 seat`, `2 seats`, `12,000 audit entries`."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{number:,} {plural}"
