"""What stands in the columns of a ledger, row by row: text, times, choices, JSON, what it knows of itself.

SQLite holds all of it as text and finds nothing wrong with it; whoever reads it would fail.
"""

# ruff: noqa: S608 - what is put into statements here are names of our own schema; every value is bound.

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from seatctl.errors import SeatctlError
from seatctl.ledger import invoices, operations, outbox, plans, requests, subscriptions
from seatctl.ledger.checks.structure import TableContents, tables
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.record import batches
from seatctl.ledger.requests import RequestFilter
from seatctl.ledger.schema.email_keys import LAST_FORMER_ENTRY, doubled_key
from seatctl.ledger.schema.migrate import MODES
from seatctl.ledger.transaction import Reader
from seatctl.models.call import parse_time
from seatctl.models.message import Template
from seatctl.models.mirror import Kind
from seatctl.rules.emails import email_key
from seatctl.rules.names import name_key

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a row raises that does not hold what was written there."""

_JSON: Final[dict[str, dict[str, str]]] = {
    "plans": {"policy": "object"},
    "customers": {"data": "object"},
    "subscriptions": {"policy": "object", "auto_approval": "object", "metadata": "object"},
    "requests": {"features": "array"},
    "invoices": {"data": "object"},
    "invoice_lines": {"data": "object"},
    "stripe_objects": {"data": "object"},
    "operations": {"payload": "object", "outcome": "object"},
    "steps": {"form": "object", "answer": "object"},
    "batch_rows": {"error": "object"},
    "changes": {"before": "object", "after": "object"},
    "outbox": {"ids": "object"},
}
"""Every column that holds JSON, and what kind."""

_UNDECLARED_CHOICES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("outbox", "template"): tuple(Template),
    ("stripe_objects", "kind"): tuple(Kind),
}
"""Columns of which the schema does not say what they may hold."""

_REQUIRED_META: Final = {
    "ledger_id": r"led_[0-9a-f]{24}",
    "mode": "|".join(MODES),
    "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
}
"""What `meta` must hold."""

_OPTIONAL_META: Final = {"applied": r"\[(\d{1,18}(, \d{1,18})*)?\]", LAST_FORMER_ENTRY: r"\d{1,18}"}
"""What it may hold besides: a list of subscriptions that files have described, an entry of the audit."""

_KEY = {"changes": "entry || '.' || n", "sync_state": "key", "meta": "key"}


def not_utf8(reader: Reader) -> Iterator[tuple[str, str]]:
    """(table, detail) of every row with text that is not UTF-8."""
    for table in tables():
        texts = " || char(10) || ".join(f"coalesce({column}, '')" for column in table.texts)
        for key in reader.engine.undecodable(f"SELECT {_key(table.name)}, {texts} FROM {table.name}"):
            yield table.name, f"row {key} holds text that is not UTF-8"


def bad_values(reader: Reader) -> Iterator[tuple[str, str]]:
    """(table, detail) of every row with a time, a choice or JSON that nobody can read."""
    for table in tables():
        tests = list(_tests(table))
        if not tests:
            continue
        what = " ".join(f"WHEN {test} THEN '{column}'" for column, test in tests)
        rows = reader.rows(
            f"SELECT key, wrong FROM (SELECT {_key(table.name)} AS key, CASE {what} END AS wrong"
            f" FROM {table.name}) WHERE wrong IS NOT NULL"
        )
        for row in rows:
            yield table.name, f"{row['wrong']} of row {row['key']} is not what can stand there"


def _tests(table: TableContents) -> Iterator[tuple[str, str]]:
    """(column, condition that is true of what cannot stand there)."""
    for column in table.times:
        # "+0 days" has it counted: the 30th of February becomes another day.
        counted = f"strftime('%Y-%m-%dT%H:%M:%SZ', {column}, '+0 days')"
        yield column, f"{column} IS NOT NULL AND {counted} IS NOT {column}"
    more = {column: values for (name, column), values in _UNDECLARED_CHOICES.items() if name == table.name}
    for column, values in {**table.choices, **more}.items():
        listed = ", ".join(f"'{value}'" for value in values)
        yield column, f"{column} NOT IN ({listed})"
    for column, kind in _JSON.get(table.name, {}).items():
        # CASE, because json_type fails on what is no JSON at all.
        kind_of = f"CASE WHEN json_valid({column}) THEN json_type({column}) ELSE 'none' END"
        yield column, f"{column} IS NOT NULL AND {kind_of} <> '{kind}'"
    if table.name == "operations":
        yield "payload", "json_type(payload, '$.asked') IS NOT 'object'"
    if table.name == "steps":
        yield "form", "json_type(form, '$.path') IS NOT 'text' OR json_type(form, '$.form') IS NOT 'object'"


def unreadable_lists(reader: Reader) -> Iterator[tuple[str, str]]:
    """(what, detail) of each list that cannot be read to its end as the commands read it."""
    for what, read in _LISTS.items():
        try:
            for _ in read(reader):
                pass
        except SeatctlError as error:
            yield what, f"they cannot be read: {error.message}"
        except UNREADABLE as error:
            yield what, f"they cannot be read: {error!r}"


def _batch_failures(reader: Reader) -> Iterator[object]:
    for row in list(reader.rows("SELECT error FROM batch_rows WHERE state = 'failed'")):
        yield batches.failure_fields(row["error"])


def _steps(reader: Reader) -> Iterator[object]:
    for row in list(reader.rows("SELECT DISTINCT operation_id FROM steps")):
        yield from operations.steps(reader, row["operation_id"])


def _sync_state(reader: Reader) -> Iterator[object]:
    yield sync_state.as_json(reader)
    yield sync_state.cursor(reader)
    yield sync_state.seen_events(reader)
    yield sync_state.last_success_at(reader)
    yield from (sync_state.todo(reader, kind) for kind in Kind)


def _invoice_lines(reader: Reader) -> Iterator[object]:
    for row in list(reader.rows("SELECT id FROM invoices")):
        yield from invoices.lines(reader, row["id"])


_EPOCH: Final = parse_time("1970-01-01T00:00:00Z")

_LISTS: Final[dict[str, Callable[[Reader], Iterable[object]]]] = {
    "plans": lambda reader: plans.listing(reader, archived=True),
    "subscriptions": lambda reader: subscriptions.listing(reader, _EPOCH),
    "requests": lambda reader: requests.listing(reader, RequestFilter("1970-01-01T00:00:00Z")),
    "operations": operations.all_operations,
    "steps": _steps,
    "batch_rows": _batch_failures,
    "outbox": outbox.listing,
    "sync_state": _sync_state,
    "invoices": invoices.listing,
    "invoice_lines": _invoice_lines,
}
"""What commands read with more than a look at each column. People and seats are looked at column by column
alone: there may be a million."""


def bad_meta(reader: Reader) -> Iterator[tuple[str, str]]:
    """(key, detail) of what the ledger should know of itself and does not."""
    found = {str(row["key"]): str(row["value"]) for row in reader.rows("SELECT key, value FROM meta")}
    for key, pattern in _REQUIRED_META.items():
        if key not in found:
            yield key, "it is missing"
        elif not re.fullmatch(pattern, found[key]):
            yield key, f"{found[key]!r} cannot be"
    for key, pattern in _OPTIONAL_META.items():
        if key in found and not re.fullmatch(pattern, found[key]):
            yield key, "it cannot be read"
    holds = found.get("held_seats")
    if holds is not None and not _is_readable_hold(holds):
        yield "held_seats", "it cannot be read"


def _is_readable_hold(text: str) -> bool:
    """Whether `ledger/undo/held_seats.py` can read this."""
    try:
        for run, hold in json.loads(text).items():
            int(run)
            parse_time(hold["until"])
            for subscription, seats in hold["pools"].items():
                int(subscription)
                int(seats)
    except UNREADABLE:
        return False
    return True


def wrong_keys(reader: Reader) -> Iterator[tuple[str, str]]:
    """(subject, detail) of whoever is found under another name than their own."""
    for row in reader.rows("SELECT id, email, email_key FROM users"):
        key = email_key(row["email"])
        if row["email_key"] not in (key, doubled_key(key, row["id"])):
            yield f"user {row['id']}", f"{row['email']} is found as {row['email_key']}"
    for row in reader.rows("SELECT name, name_key FROM subscriptions"):
        if name_key(row["name"]) != row["name_key"]:
            yield str(row["name"]), f"it is found as {row['name_key']}"


def _key(table: str) -> str:
    return _KEY.get(table, "rowid")
