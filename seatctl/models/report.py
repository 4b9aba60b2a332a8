"""What a command that changes something returns: its run, one sentence, and a row per changed thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from seatctl.errors import ExitCode, JsonValue
from seatctl.models.call import Call, format_time

Record = Mapping[str, JsonValue]
"""One row of output: snake_case keys, times already in the written form, money in minor units."""


def record_of(model: object, names: str) -> dict[str, JsonValue]:
    """Return these attributes as a row: times in the written form, enums by value, tuples as lists."""
    record: dict[str, JsonValue] = {}
    for name in names.split():
        value = getattr(model, name)
        if isinstance(value, datetime):
            value = format_time(value)
        elif isinstance(value, Enum):
            value = value.value
        record[name] = list(value) if isinstance(value, tuple) else value
    return record


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a command. `rows` may be an iterator over the ledger's staging table; read them once.

    A change of the ledger makes its report with `Transaction.report`, any other change with `change_report`,
    and what finds nothing to do with `unchanged_report`: they word dry runs alike.
    """

    run: int | None
    """None for a dry run and if there was nothing to do."""
    dry_run: bool
    summary: str
    """What was done, in one sentence. In a dry run it begins with `would have`, if anything would be done."""
    rows: Iterable[Record] = ()
    exit_code: ExitCode = ExitCode.DONE
    undo: str | None = None
    """The command that takes the change back, if there is one."""
    columns: tuple[str, ...] = ()
    """The keys that a table shows, in order; empty: all keys of the first row."""
    data: dict[str, JsonValue] = field(default_factory=dict)
    """Further keys of the JSON object, besides run, dry_run, summary and rows."""
    warnings: tuple[str, ...] = ()
    """Printed on stderr whatever the format, and in JSON beside the summary."""
    bugs: tuple[Exception, ...] = ()
    """Unexpected errors that did not stop the rest of the command; for the log."""


def counted(number: int, noun: str) -> str:
    """Return `1 seat`, `2 seats`, `12,000 audit entries`."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{number:,} {plural}"


def would_have(summary: str) -> str:
    """Return the summary of a dry run for that of the real run: `would have added ann@example.com`."""
    return f"would have {summary}"


def change_report(
    summary: str,
    rows: Iterable[Record] = (),
    columns: tuple[str, ...] = (),
    *,
    dry_run: bool,
    unchanged: bool = False,
    exit_code: ExitCode = ExitCode.DONE,
    data: dict[str, JsonValue] | None = None,
    warnings: tuple[str, ...] = (),
) -> Report:
    """Return the report of a change outside the ledger's transactions, or of a dry run.

    `summary` and the `result` of the rows are those of the real run. `unchanged`: the summary says that there
    was nothing to do.
    """
    return Report(
        None,
        dry_run,
        would_have(summary) if dry_run and not unchanged else summary,
        rows,
        exit_code,
        columns=columns,
        data=data or {},
        warnings=warnings,
    )


def unchanged_report(
    call: Call, summary: str, rows: Iterable[Record] = (), columns: tuple[str, ...] = ()
) -> Report:
    """Return the report of a command that found nothing to do; a dry run says the same."""
    return change_report(summary, rows, columns, dry_run=call.dry_run, unchanged=True)
