"""How records are printed: formats, columns, the style of an invocation. Nothing is printed here.

A list, a page or a report names its keys; what a key means is said once, here. Without an entry a key is
text, and its title is its name: `claimed_at` is "Claimed". To add a column, name it in the list and, if its
title or its kind is another, in the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from seatctl.errors import JsonValue
from seatctl.rules.terminal_text import JSON_ESCAPES

if TYPE_CHECKING:
    from datetime import datetime

    from seatctl.models.report import Record

Kind = Literal["text", "prose", "integer", "money", "time", "lines"]
"""`lines` is a list of sentences or commands: a table puts each on its own line. `prose` is text of several
lines, such as a mail, which `emit_one` keeps."""


class Format(StrEnum):
    """The values of `--output`. `output/emit.py` prints them; `seatctl help formats` explains each."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"


FORMAT_NAMES = " or ".join(", ".join(Format).rsplit(", ", 1))
"""All formats in words, for help: table, json, … or markdown."""

JSON_FORMATS = frozenset((Format.JSON, Format.JSONL))
"""The formats in which an error is JSON, too."""


class Column(NamedTuple):
    """One key of a record. `money` is minor units and needs `currency` in the record."""

    key: str
    title: str
    kind: Kind = "text"
    table: bool = True
    """False: only in machine formats, because a table would get too wide."""
    wide: bool = False
    """Left out of a table, last first, if the terminal is too narrow for all columns."""


_TITLES = {
    "active": "Sold",
    "amount_due": "Due",
    "amount_paid": "Paid",
    "amount_remaining": "Open",
    "armed": "Faults armed",
    "auto_approval": "Approval rules",
    "auto_approve": "Automatic approval",
    "bad_entry": "First bad entry",
    "billing_email": "Billed to",
    "billing_name": "Made out to",
    "billing_reason": "Reason",
    "collection": "Paid",
    "config": "Configuration",
    "current": "In use",
    "customer": "Stripe customer",
    "daily_limit": "A day",
    "differences": "How",
    "due_date": "Due by",
    "due_days": "Days to pay",
    "email": "E-mail",
    "ends": "Ends with the term",
    "entity": "Changed",
    "entity_id": "Id",
    "exempt": "Exempt from reclaim",
    "exit_code": "Exit",
    "failed_messages": "Messages failed",
    "hosted_url": "Page",
    "html": "HTML",
    "interval_count": "Every",
    "items": "Lines",
    "keep_free": "Kept free",
    "leaving_emails": "Without a seat then",
    "ledger_id": "Id",
    "next_due": "Next thing due",
    "next_plan": "Plan next term",
    "next_seats": "Seats next term",
    "now": "Clock",
    "ok": "OK",
    "os_user": "OS user",
    "over_assigned": "Over-assigned",
    "paid_outside_stripe": "Paid outside of Stripe",
    "pdf": "PDF",
    "pending_requests": "Requests pending",
    "policy": "Fields",
    "recipient": "To",
    "rule": "Decided by",
    "rules": "Policy",
    "seats_after": "Seats then",
    "seq": "Entry",
    "shared_with": "Also bills",
    "sign_in_url": "Sign in",
    "slug": "Plan",
    "source": "From",
    "stripe_subscription": "Stripe id",
    "sync_lag": "Seconds since",
    "template": "What",
    "term_end": "Term ends",
    "term_start": "Term begins",
    "to_balance": "To the balance",
    "totals": "Tax, discounts, payments",
    "unit_amount": "Seat price",
    "unpaid": "Unpaid invoices",
    "unreadable": "Not readable in Stripe",
    "waiting_messages": "Messages to send",
    "waitlisted_requests": "On the waitlist",
    "ways_out": "What helps",
}
_KINDS: Mapping[Kind, str] = {
    "money": "net tax total amount price due_now carried_over next_invoice given_back tax_given_back"
    " to_balance owed owed_less credited refunded disputed paid_outside_stripe",
    "time": "until since term_start term_end seats_until due_date last_active as_of last_sync next_attempt"
    " now next_due at",
    "integer": "line number run place seats assigned free seats_after next_seats over_assigned interval_count"
    " requests due_days days_late id seq entry entity_id entries erased changes bad_entry attempt attempts"
    " exit_code priority daily_limit keep_free objects armed assigned_run revoked_run plans subscriptions"
    " users rows seated new ends revoked short to_buy sync_lag unreadable pending_requests waiting_messages"
    " waitlisted_requests unpaid_invoices disputed_invoices unfinished_operations failed_messages",
    "lines": "attention ways_out rules calendar items totals",
    "prose": "text",
}
"""The keys of each kind. A money amount has `currency` beside it; other kinds are in `style.Kind`."""

_KIND: Mapping[str, Kind] = {key: kind for kind, keys in _KINDS.items() for key in keys.split()}


def column(key: str, title: str | None = None, *, table: bool = True, wide: bool = False) -> Column:
    """Return the column of a key. `title` is for a list in which the registered one would mislead."""
    named = title or _TITLES.get(key) or key.removesuffix("_at").replace("_", " ").capitalize()
    return Column(key, named, _kind(key), table, wide)


def columns(
    keys: str, *, machine: str = "", wide: str = "", titles: Mapping[str, str] | None = None
) -> tuple[Column, ...]:
    """Return the columns of a list, from the names of its keys.

    `machine`: only in machine formats. `wide`: left out of a table, last first, if the terminal is narrow.
    """
    hidden, dropped, renamed = machine.split(), wide.split(), titles or {}
    return tuple(
        column(key, renamed.get(key), table=key not in hidden, wide=key in dropped) for key in keys.split()
    )


def _kind(key: str) -> Kind:
    if key.startswith("amount_") or key.endswith("_amount"):
        return "money"
    return _KIND.get(key) or ("time" if key.endswith("_at") else "text")


class Style(NamedTuple):
    """How this invocation prints: decided once from options, settings and streams."""

    format: Format
    fields: tuple[str, ...]
    header: bool
    quiet: bool
    terminal: bool
    """stdout is a terminal: tables show relative times and local money."""
    color: bool
    now: Callable[[], datetime]

    @property
    def shows_page(self) -> bool:
        """Whether only the first page of a list is printed."""
        return self.format is Format.TABLE and not self.quiet


def use_color(
    flag: str | None, setting: Callable[[], str | None], environment: Mapping[str, str], terminal: bool
) -> bool:
    """Return whether to use colors: --color, NO_COLOR, CLICOLOR_FORCE, the setting, TERM=dumb, in that order.

    See https://bixense.com/clicolors.
    """
    choice = flag or "auto"
    if choice == "auto" and environment.get("NO_COLOR"):
        choice = "never"
    if choice == "auto" and environment.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        choice = "always"
    if choice == "auto":
        choice = setting() or "auto"
    return terminal and environment.get("TERM") != "dumb" if choice == "auto" else choice == "always"


def plain_cell(value: JsonValue) -> str:
    """Return a value as text in delimited formats: empty for null, true/false, lists with commas.

    Sentences are joined with spaces; a list with commas in its items becomes JSON.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        items = [plain_cell(item) for item in value]
        if items and all(item.endswith(".") for item in items):
            return " ".join(items)
        if not any("," in item for item in items):
            return ",".join(items)
    return dump(value) if isinstance(value, (list, dict)) else str(value)


def dump(value: JsonValue | Record, indent: int | None = None) -> str:
    """Return JSON text in which no character acts on a terminal."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if text.isascii() and "\x7f" not in text else text.translate(JSON_ESCAPES)
