"""A file of people in the staged table `incoming`: read first, then judged and applied by set-based SQL.

How the bulk commands use it:

    with ledger.staging() as journal:                   # no lock is held while the file is read
        staged = staging.load(journal, rows)            # rules/people.py yields them
    with ledger.change(call) as tx:
        staging.set_verdicts(tx, staged)                # duplicates, conflicts, known users
        staging.refuse_bad_rows(tx, RowVerdict.UNKNOWN, "there is no such user")   # what this command refuses
        staging.require_good(tx, skip_bad)       # raises `bad_rows` with all bad rows
        …                                        # SQL of the command, which sets `result`
        rows = staging.report_rows(tx, staged)

Columns of `incoming`: line (the key: a line of the file, or the position of an argument), email, email_key,
name, group_name, last_active, until, problem, group_key, verdict, user_id (set for known users), other_line
(of a duplicate or conflict), result (what the command did). Values that were not given are NULL, never ''.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import groups
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.row_values import record
from seatctl.ledger.schema.staged import INCOMING, REPEATED
from seatctl.ledger.transaction import Journal, Later, Reader, Transaction
from seatctl.models.report import Record
from seatctl.rules.people import PersonRow

_COLUMNS = (
    "line",
    "email",
    "email_key",
    "name",
    "group_name",
    "last_active",
    "until",
    "problem",
    "group_key",
    "verdict",
)

_FIND_REPEATED = """INSERT INTO repeated (email_key, line, same)
    SELECT email_key, min(line),
        CASE WHEN min(coalesce(name, '')) = max(coalesce(name, ''))
        AND min(coalesce(group_key, '')) = max(coalesce(group_key, ''))
        AND min(coalesce(last_active, '')) = max(coalesce(last_active, ''))
        AND min(coalesce(until, '')) = max(coalesce(until, '')) THEN 1 ELSE 0 END
    FROM incoming WHERE problem IS NULL AND email_key IN (SELECT email_key FROM incoming
        WHERE problem IS NULL GROUP BY email_key HAVING count(*) > 1) GROUP BY email_key"""

_MERGE = """UPDATE incoming SET verdict = 'duplicate', other_line = repeated.line FROM repeated
    WHERE incoming.email_key = repeated.email_key AND incoming.problem IS NULL
    AND repeated.same = 1 AND incoming.line > repeated.line"""

_NAME_THE_OTHER = """UPDATE incoming SET other_line = CASE
        WHEN incoming.line > repeated.line THEN repeated.line
        ELSE (SELECT min(other.line) FROM incoming AS other
            WHERE other.email_key = incoming.email_key AND other.problem IS NULL
            AND (coalesce(other.name, ''), coalesce(other.group_key, ''),
                 coalesce(other.last_active, ''), coalesce(other.until, ''))
             <> (coalesce(incoming.name, ''), coalesce(incoming.group_key, ''),
                 coalesce(incoming.last_active, ''), coalesce(incoming.until, ''))) END
    FROM repeated WHERE incoming.email_key = repeated.email_key AND incoming.problem IS NULL
    AND repeated.same = 0"""

_REFUSE_CONFLICTS = """UPDATE incoming SET verdict = 'bad',
    problem = 'line ' || other_line || ' has the same address with other values'
    WHERE verdict = 'unknown' AND other_line IS NOT NULL"""

_KNOW = f"""UPDATE incoming SET user_id = users.id,
        group_name = {groups.keep_spelling("incoming", "users")},
        verdict = CASE users.status WHEN 'active' THEN 'known' ELSE users.status END
    FROM users WHERE users.email_key = incoming.email_key AND incoming.verdict = 'unknown'"""


_FEW_RESULTS = 200
"""So many rows of a report are kept in memory until it is printed."""

_COMPARED = 1000
"""Among so many rows, repeated addresses are found while they are loaded."""


class RowVerdict(StrEnum):
    """The verdict on a row, before the command acts on it."""

    UNKNOWN = "unknown"
    """A good row of a person who is not a user yet."""
    KNOWN = "known"
    """A good row of an active user."""
    SUSPENDED = "suspended"
    REMOVED = "removed"
    DUPLICATE = "duplicate"
    """A row with the same values as the earlier line `other_line`; it is skipped."""
    BAD = "bad"
    """A row that cannot be used; `problem` says why."""


_UNKNOWN, _BAD = RowVerdict.UNKNOWN.value, RowVerdict.BAD.value


class Staged(NamedTuple):
    """The rows that were loaded into `incoming`."""

    rows: int
    has_repeats: bool | None
    """Whether an address occurs twice; None if there are too many rows to tell while they are loaded."""


def load(journal: Journal, rows: Iterable[PersonRow]) -> Staged:
    """Fill `incoming` with the rows of a file, one at a time."""
    keys: list[str | None] = []

    def values() -> Iterator[tuple[SqlValue, ...]]:
        for row in rows:
            if len(keys) <= _COMPARED and row.problem is None:
                keys.append(row.email_key)
            yield _values(row)

    journal.stage(INCOMING)
    loaded = journal.load("incoming", _COLUMNS, values())
    journal.index_staged(INCOMING)
    return Staged(loaded, None if len(keys) > _COMPARED else len(set(keys)) < len(keys))


def _values(row: PersonRow) -> tuple[SqlValue, ...]:
    """Return the values of a row as a plain tuple, which sqlite3 binds faster than a named one."""
    return (*row, groups.group_key(row.group), _UNKNOWN if row.problem is None else _BAD)


def set_verdicts(tx: Journal, staged: Staged) -> None:
    """Set the verdict of every row: first conflicts and duplicates, then known users.

    If a known user has the same group in another spelling, the row takes the user's spelling.
    """
    has_repeats = staged.has_repeats
    if has_repeats is None:
        repeated = (
            "SELECT 1 FROM incoming WHERE problem IS NULL GROUP BY email_key HAVING count(*) > 1 LIMIT 1"
        )
        has_repeats = tx.value(repeated) is not None
    if has_repeats:
        tx.stage(REPEATED)
        for statement in (_FIND_REPEATED, _MERGE, _NAME_THE_OTHER, _REFUSE_CONFLICTS):
            tx.execute(statement)
    tx.execute(_KNOW)


def refuse_bad_rows(tx: Journal, verdict: RowVerdict, problem: str) -> int:
    """Turn the rows with a verdict into bad rows with this problem; return how many."""
    return tx.changed(
        "UPDATE incoming SET verdict = 'bad', problem = :problem WHERE verdict = :verdict",
        {"problem": problem, "verdict": verdict.value},
    )


def refuse_past(tx: Journal, now: str) -> int:
    """Turn rows whose `until` is not after `now` (in the written form) into bad rows; return how many."""
    return tx.changed(
        "UPDATE incoming SET verdict = 'bad', problem = 'until is in the past'"
        " WHERE until <= :now AND verdict <> 'bad'",
        {"now": now},
    )


def require_good(reader: Reader, skip_bad: bool) -> int:
    """Return how many rows are bad. Raises `bad_rows` with all of them unless `skip_bad`."""
    bad = count(reader, RowVerdict.BAD)
    if bad and not skip_bad:
        total = reader.count("SELECT count(*) FROM incoming")
        raise refuse(
            Code.BAD_ROWS,
            f"{bad:,} of {total:,} rows {'is' if bad == 1 else 'are'} bad; nothing was written",
            hint="correct them, or leave them out with --skip-bad",
            data={"rows": bad_rows(reader)},
        )
    return bad


def bad_rows(reader: Reader) -> list[JsonValue]:
    """Return all bad rows in file order: line, email, error."""
    rows = reader.rows(
        "SELECT line, email, problem AS error FROM incoming WHERE verdict = 'bad' ORDER BY line"
    )
    return [*map(record, rows)]


def count(reader: Reader, verdict: RowVerdict) -> int:
    """Return how many rows have this verdict."""
    return reader.count("SELECT count(*) FROM incoming WHERE verdict = ?", (verdict.value,))


def emails(reader: Reader, verdict: RowVerdict) -> list[str]:
    """Return the e-mail addresses of the rows with a verdict, in file order. For arguments, which are few."""
    return reader.column("SELECT email FROM incoming WHERE verdict = ? ORDER BY line", (verdict.value,))


class Tally:
    """How many rows of `incoming` have each verdict and result, and an `until`."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str | None, int, int, int]] = []

    def count(self, rows: Iterable[Row]) -> None:
        """Take over the answer to `_TALLY`."""
        self._rows = [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    def number(self, verdict: RowVerdict, result: str | None) -> int:
        """Return how many rows have this verdict and this result, or none."""
        return sum(row[2] for row in self._rows if (row[0], row[1]) == (verdict, result))

    def verdict(self, *verdicts: RowVerdict) -> int:
        """Return how many rows have one of these verdicts."""
        return sum(number for verdict, _, number, _, _ in self._rows if verdict in verdicts)

    def result(self, wanted: str) -> int:
        """Return how many rows have this result."""
        return sum(number for _, result, number, _, _ in self._rows if result == wanted)

    def ends(self, wanted: str) -> int:
        """Return how many rows with this result have an `until`."""
        return sum(ends for _, result, _, ends, _ in self._rows if result == wanted)

    @property
    def past(self) -> int:
        """Return how many rows that are not bad have an `until` that has passed."""
        return sum(past for _, _, _, _, past in self._rows)


_TALLY = """SELECT verdict, result, count(*) AS number, count(until) AS ends,
    count(CASE WHEN until <= :now AND verdict <> 'bad' THEN 1 END) AS past
    FROM incoming GROUP BY verdict, result"""


def tally(reader: Reader, now: str) -> Tally:
    """Count the rows in one question; `now` is in the written form."""
    counted = Tally()
    counted.count(list(reader.rows(_TALLY, {"now": now})))
    return counted


def tally_later(tx: Transaction, now: str) -> Tally:
    """Return a tally that is complete with the next answer of the ledger."""
    counted = Tally()
    tx.engine.ask_all(_TALLY, {"now": now}, counted.count)
    return counted


_RESULTS = "SELECT line, email, coalesce(result, verdict) AS result, problem FROM incoming ORDER BY line"


def report_rows(tx: Transaction, staged: Staged, names: Mapping[str, str] | None = None) -> Iterable[Record]:
    """Return an output record per row in file order, to be read after the transaction has ended.

    `names` maps verdicts to results, for rows without a result: {"unknown": "added"}.
    """

    def read() -> Iterator[Record]:
        return _records(tx.stream(_RESULTS), names or {})

    def few() -> Iterable[Record]:
        found: list[Row] = []
        tx.engine.ask_all(_RESULTS, (), found.extend)
        # Nothing was found if the commit got no answer: then they are read.
        return Later(lambda: _records(found, names or {}) if found else read())

    return tx.report_rows(read, few if staged.rows <= _FEW_RESULTS else None)


def _records(rows: Iterable[Row], names: Mapping[str, str]) -> Iterator[Record]:
    for row in rows:
        result = names.get(row[2], row[2])
        yield {"line": row[0], "email": row[1], "result": result, "error": row[3]}
