"""Requests of a person for themselves, made and canceled by functions of a server.

`schema/postgres/own_requests.py` has the functions. They take the locks that they need, and append the audit
entries.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import json_list
from seatctl.ledger.transaction import Journal
from seatctl.models.call import Call, format_time, optional_text


class Outcome(NamedTuple):
    """What became of a request: a word, its number if there is one, and the run if anything was recorded."""

    word: str
    number: int | None
    run: int | None


def request_seat(
    journal: Journal,
    call: Call,
    subscription_id: int | None,
    features: tuple[str, ...],
    note: str | None,
    expires_at: datetime | None,
) -> Outcome:
    """Request a seat; the word is `requested`, `already requested`, `already seated` or a refusal's code."""
    row = journal.row(
        "SELECT outcome, request, run FROM request_seat(:subscription, :features, :note, :expires_at,"
        " :command, :os_user, :origin, :now)",
        {
            "subscription": subscription_id,
            "features": json_list(features),
            "note": note,
            "expires_at": optional_text(expires_at),
            **_said(call),
        },
    )
    return Outcome("", None, None) if row is None else Outcome(*row)


def cancel(journal: Journal, call: Call, number: int) -> Outcome:
    """Cancel a request; the word is `canceled now`, `unknown_request`, or the status that it has already."""
    row = journal.row(
        "SELECT outcome, run FROM cancel_own_request(:number, :command, :os_user, :origin, :now)",
        {"number": number, **_said(call)},
    )
    return Outcome("", None, None) if row is None else Outcome(row["outcome"], number, row["run"])


def _said(call: Call) -> dict[str, SqlValue]:
    """Return what a client says about itself. The server sets the actor and, outside a sandbox, the time."""
    return {
        "command": call.command,
        "os_user": call.os_user,
        "origin": call.origin,
        "now": format_time(call.now),
    }
