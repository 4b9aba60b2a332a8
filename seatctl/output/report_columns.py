"""The columns of reports: how the keys of their rows are called and shown in tables.

Lists name their own columns; the rows of a change are many, and use the same keys throughout.
"""

from __future__ import annotations

from seatctl.output.style import Column, Kind

_TITLES = {
    "amount_due": "Due",
    "auto_approval": "Automatic approval",
    "billing_email": "Billed to",
    "due_days": "Days to pay",
    "email": "E-mail",
    "interval_count": "Every",
    "leaving_emails": "Without a seat then",
    "next_invoice": "Next invoice",
    "owed_less": "Owed less",
    "renews_at": "Renews",
    "seats_after": "Seats then",
    "sign_in_url": "Sign in",
    "slug": "Plan",
    "term_end": "Term ends",
    "term_start": "Term begins",
    "to_balance": "To the balance",
    "unit_amount": "Seat price",
}
_MONEY = frozenset(
    (
        "total",
        "amount",
        "price",
        "due_now",
        "carried_over",
        "next_invoice",
        "given_back",
        "to_balance",
        "owed",
        "owed_less",
    )
)
_TIMES = frozenset(("until", "since", "term_start", "term_end", "seats_until", "due_date"))
_NUMBERS = frozenset(
    (
        *("line", "number", "run", "place", "seats", "assigned", "free", "seats_after", "next_seats"),
        *("interval_count", "requests", "due_days"),
    )
)


def column_for(key: str) -> Column:
    """The column of a report's key, its kind by the names that records use throughout."""
    return Column(key, _TITLES.get(key) or key.replace("_", " ").capitalize(), _kind(key))


def _kind(key: str) -> Kind:
    if key in _MONEY or key.startswith("amount_") or key.endswith("_amount"):
        return "money"
    if key in _TIMES or key.endswith("_at"):
        return "time"
    return "integer" if key in _NUMBERS else "text"
