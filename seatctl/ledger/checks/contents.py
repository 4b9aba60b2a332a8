"""Checks of the values in columns: text, times, choices, JSON, and what `meta` says about the ledger.

To SQLite all of these are text, and any text is good; the commands that read them would fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from seatctl.errors import SeatctlError
from seatctl.ledger import invoices, operations, outbox, plans, requests, subscriptions
from seatctl.ledger.checks.structure import TableContents, tables
from seatctl.ledger.engines.port import MODES
from seatctl.ledger.groups import group_key
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.record import batches
from seatctl.ledger.requests import RequestFilter
from seatctl.ledger.schema.email_keys import LAST_FORMER_ENTRY, doubled_key
from seatctl.ledger.transaction import Reader
from seatctl.models.call import parse_time
from seatctl.models.message import Template
from seatctl.models.stripe_objects import Kind
from seatctl.rules.emails import email_key
from seatctl.rules.names import name_key

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a row raises if it does not hold what this program wrote."""

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
"""Every column that holds JSON, and the type of its value."""

_UNDECLARED_CHOICES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("outbox", "template"): tuple(Template),
    ("stripe_objects", "kind"): tuple(Kind),
}
"""The allowed values of columns for which the schema declares none."""

_REQUIRED_META: Final = {
    "ledger_id": r"led_[0-9a-f]{24}",
    "mode": "|".join(MODES),
    "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
}
"""The keys that `meta` must have, with the pattern of their values."""

_OPTIONAL_META: Final = {"applied": r"\[(\d{1,18}(, \d{1,18})*)?\]", LAST_FORMER_ENTRY: r"\d{1,18}"}
"""Further keys that `meta` may have: the subscriptions that files have described, an entry of the audit."""

_KEY = {
    "audit": "seq",
    "batch_rows": "run || '.' || n",
    "changes": "entry || '.' || n",
    "former_email_keys": "former_key",
    "held_seats": "run || '.' || subscription_id",
    "meta": "key",
    "new_requests": "request",
    "requests": "number",
    "runs": "number",
    "steps": "operation_id || '.' || name || '.' || attempt",
    "stripe_objects": "stripe_id",
    "sync_state": "key",
}
"""What names a row of a table whose key is not `id`."""


def not_utf8(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (table, detail) for every row with text that is not UTF-8."""
    for table in (each for each in tables() if each.texts):
        for key in reader.engine.undecodable(table.name, _key(table.name), table.texts):
            yield table.name, f"row {key} has text that is not UTF-8"


def bad_values(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (table, detail) for every row with an invalid time, choice or JSON value."""
    for table in tables():
        tests = [*_time_tests(reader, table), *_tests(table)]
        if not tests:
            continue
        cases = " ".join(f"WHEN {test} THEN '{column}'" for column, test in tests)
        rows = reader.stream(
            f"SELECT key, wrong FROM (SELECT {_key(table.name)} AS key, CASE {cases} END AS wrong"
            f" FROM {table.name}) AS judged WHERE wrong IS NOT NULL"
        )
        for row in rows:
            yield table.name, f"column {row['wrong']} of row {row['key']} has an invalid value"


def _time_tests(reader: Reader, table: TableContents) -> Iterator[tuple[str, str]]:
    for column in table.times:
        yield column, f"{column} IS NOT NULL AND {reader.engine.not_a_time(column)}"


def _tests(table: TableContents) -> Iterator[tuple[str, str]]:
    """Yield (column, condition that is true for an invalid value)."""
    undeclared = {
        column: values for (name, column), values in _UNDECLARED_CHOICES.items() if name == table.name
    }
    for column, values in {**table.choices, **undeclared}.items():
        listed = ", ".join(f"'{value}'" for value in values)
        yield column, f"{column} NOT IN ({listed})"
    for column, kind in _JSON.get(table.name, {}).items():
        # CASE, because json_type fails on text that is not JSON.
        kind_of = f"CASE WHEN json_valid({column}) = 1 THEN json_type({column}) ELSE 'none' END"
        yield column, f"{column} IS NOT NULL AND {kind_of} <> '{kind}'"
    if table.name == "operations":
        yield "payload", "json_type(payload, '$.asked') IS DISTINCT FROM 'object'"
    if table.name == "steps":
        form, path = "json_type(form, '$.form')", "json_type(form, '$.path')"
        yield "form", f"{path} IS DISTINCT FROM 'text' OR {form} IS DISTINCT FROM 'object'"


def unreadable_lists(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (list, detail) for each list that cannot be read to its end in the way that commands read it."""
    for name, read in _LISTS.items():
        try:
            for _ in read(reader):
                pass
        except SeatctlError as error:
            yield name, f"cannot be read: {error.message}"
        except UNREADABLE as error:
            yield name, f"cannot be read: {error!r}"


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
"""How commands read each list. Users and seats are not read here, only checked column by column: there may be
a million of them."""


def bad_meta(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (key, detail) for keys of `meta` that are missing or have an invalid value."""
    meta = {str(row["key"]): str(row["value"]) for row in reader.rows("SELECT key, value FROM meta")}
    for key, pattern in _REQUIRED_META.items():
        if key not in meta:
            yield key, "is missing"
        elif not re.fullmatch(pattern, meta[key]):
            yield key, f"{meta[key]!r} is not a valid value"
    for key, pattern in _OPTIONAL_META.items():
        if key in meta and not re.fullmatch(pattern, meta[key]):
            yield key, "cannot be read"


def wrong_keys(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (subject, detail) for users and subscriptions whose lookup key does not match their name."""
    for row in reader.stream("SELECT id, email, email_key, group_name, group_key FROM users"):
        key = email_key(row["email"])
        if row["email_key"] not in (key, doubled_key(key, row["id"])):
            yield f"user {row['id']}", f"{row['email']} is stored under the key {row['email_key']}"
        if row["group_key"] != group_key(row["group_name"]):
            yield f"user {row['id']}", f"the group {row['group_name']} has the key {row['group_key']}"
    for row in reader.rows("SELECT name, name_key FROM subscriptions"):
        if name_key(row["name"]) != row["name_key"]:
            yield str(row["name"]), f"is stored under the key {row['name_key']}"


def _key(table: str) -> str:
    return _KEY.get(table, "id")
