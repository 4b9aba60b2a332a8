"""Pure arithmetic and texts of proration.

Under flexible billing, a change credits each amount that was billed for the rest of the period and charges
the whole new quantity for it. Each line is rounded once, a half towards minus infinity.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from seatctl.sandbox.money import round_half_down


def prorated_amount(
    full: Fraction, sign: int, at: int, start: int, end: int, *, until: int | None = None
) -> int:
    """Return sign x full x (until - at) / (end - start), rounded once; minor units, times in epoch seconds.

    `until` is the end of the period by default.
    """
    if end <= start:
        return 0
    duration = min(max((end if until is None else until) - at, 0), end - start)
    return round_half_down(sign * full * Fraction(duration, end - start))


def day_text(moment: int) -> str:
    """Format a day as in descriptions: `21 Oct 2026`."""
    date = datetime.fromtimestamp(moment, UTC)
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{date.day:02d} {months[date.month - 1]} {date.year}"


def quantity_text(quantity: int, name: str) -> str:
    """Return `3 × NAME`, or the name alone for a single unit."""
    return name if quantity == 1 else f"{quantity} × {name}"


def unused_text(quantity: int, name: str, at: int) -> str:
    """Return the description of a credit."""
    return f"Unused time on {quantity_text(quantity, name)} after {day_text(at)}"


def remaining_text(quantity: int, name: str, at: int) -> str:
    """Return the description of a charge."""
    return f"Remaining time on {quantity_text(quantity, name)} after {day_text(at)}"
