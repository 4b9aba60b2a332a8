"""What a command that changes something returns: a run, one sentence, and a row per changed thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seatctl.errors import ExitCode, JsonValue

Record = Mapping[str, JsonValue]
"""One row of output: snake_case keys, times already in the written form, money in minor units."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run. `rows` may be an iterator over the ledger's staging table and is read once."""

    run: int | None
    """None for a dry run and where there was nothing to do."""
    dry_run: bool
    summary: str
    rows: Iterable[Record] = ()
    exit_code: ExitCode = ExitCode.DONE
    undo: str | None = None
    """The command that takes it back, where there is one."""
    columns: tuple[str, ...] = ()
    """Which keys a table shows, in order; empty: all of the first row."""
    data: dict[str, JsonValue] = field(default_factory=dict)
    """Further keys of the JSON object, beside run, dry_run, summary and rows."""
    warnings: tuple[str, ...] = ()
    """What somebody has to know whatever the format: told on stderr, and in JSON beside the summary."""
    bugs: tuple[Exception, ...] = ()
    """Errors that nobody raised on purpose and that were not allowed to stop the rest; for the log."""
