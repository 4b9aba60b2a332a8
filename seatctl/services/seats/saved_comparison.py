"""`seats apply --save` and `--saved`: a plan file that holds a comparison, and whether it is still valid.

The file is JSON Lines: a header with the options, one row per line, and a hash of everything at the end. It
is written and read as a stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.desired import differences
from seatctl.ledger.transaction import Journal
from seatctl.models.call import format_time
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import RevocationLimit
from seatctl.rules.desired_state import Changes, DesiredRow
from seatctl.rules.emails import email_key
from seatctl.rules.typed_json import load, stored_as
from seatctl.services.seats.apply import ApplyOptions, ComparisonCheck
from seatctl.system.files import new_file

VERSION = 1
_FLAGS = ("prune", "create_users", "fill", "skip_bad", "named")
"""The fields of `ApplyOptions` that are in the header's `how` and are true or false."""
_CELLS = 7
"""The number of values of a row."""


@dataclass(frozen=True, slots=True)
class SavedComparison:
    """The header of a plan file."""

    path: Path
    ledger: str
    head: str
    """The last audit entry of the ledger at that time."""
    options: ApplyOptions
    handles: tuple[str, ...] = field(metadata=stored_as("subscriptions"))
    """The subscriptions that the file named, as typed."""
    terms: JsonValue
    """Price and end of term of each subscription."""
    differences: str
    """A hash of all differences."""

    def rows(self) -> Iterator[DesiredRow]:
        """Yield the rows of the file. Raises `bad_plan`."""
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                row = _loads(line)
                if isinstance(row, list):
                    yield _row(row, self.path)
                elif not isinstance(row, dict):  # the last line, which is the hash
                    raise _bad_plan(self.path)


def save(path: Path, journal: Journal, changes: Changes, *, ledger: str, options: ApplyOptions) -> None:
    """Write the current comparison to a file that only its owner can read, replacing an existing file.

    The caller has checked that the file may be replaced (`check_target`). Raises CannotWrite.
    """
    header: dict[str, JsonValue] = {
        "seatctl_plan": VERSION,
        "ledger": ledger,
        "head": differences.audit_head(journal),
        "how": {
            "max_revoke": options.max_revoke.number,
            "percent": options.max_revoke.percent,
            **{flag: getattr(options, flag) for flag in _FLAGS},
        },
        "buy": options.buy,
        "max_spend": options.max_spend,
        "subscriptions": [*differences.handles(journal)],
        "terms": _terms(changes),
        "differences": _hash_differences(journal),
    }
    with new_file(path, overwrite=True) as part, part.open("w", encoding="utf-8") as file:
        _write(file, header, differences.good_rows(journal))


def _write(file: TextIO, header: dict[str, JsonValue], rows: Iterator[DesiredRow]) -> None:
    import hashlib

    digest = hashlib.sha256()

    def line(value: JsonValue) -> None:
        text = json.dumps(value) + "\n"
        digest.update(text.encode())
        file.write(text)

    line(header)
    for row in rows:
        line([*row[:-1]])
    file.write(json.dumps({"sha256": digest.hexdigest()}) + "\n")


def read(path: Path) -> SavedComparison:
    """Read and verify a plan file. Raises `bad_plan`, `file_not_found`."""
    from seatctl.input.lines import open_bytes

    stream, name = open_bytes(str(path), None)
    with stream:
        header, complete = _verified(stream.readline(), stream)
    try:
        if complete and isinstance(header, dict):
            return _parse_header(path, header)
    except (KeyError, TypeError):
        pass
    raise _bad_plan(name)


def _bad_plan(name: object) -> SeatctlError:
    return refuse(
        Code.BAD_PLAN,
        f"{name} was not written by seats apply --save, or was changed since",
        hint="make it again: seatctl seats apply FILE --save PLAN",
    )


def _parse_header(path: Path, header: dict[str, Any]) -> SavedComparison:
    """Return the header's values. Raises KeyError or TypeError if this program has not written it."""
    number, percent = header["how"]["max_revoke"], header["how"]["percent"]
    if (
        header["seatctl_plan"] != VERSION
        or type(number) is not int
        or number < 0
        or type(percent) is not bool
    ):
        raise TypeError("not a header of this version")
    options = {flag: header["how"][flag] for flag in _FLAGS}
    options |= {"max_revoke": RevocationLimit(number, percent)}
    options |= {"buy": header["buy"], "max_spend": header["max_spend"]}
    values: dict[str, Any] = {**header, "path": path, "options": options}
    return load(SavedComparison, values)


def _row(row: list[object], path: Path) -> DesiredRow:
    """Return a row of the file. Raises `bad_plan`."""
    if len(row) != _CELLS or type(row[0]) is not int:
        raise _bad_plan(path)
    line, email, _, name, group, until, subscription = row
    optional = (name, group, until)
    if not isinstance(email, str) or not isinstance(subscription, str):
        raise _bad_plan(path)
    if not all(isinstance(value, str | None) for value in optional):
        raise _bad_plan(path)
    name, group, until = (None if value is None else str(value) for value in optional)
    # The key is computed again: an older version of the program may have computed keys differently.
    return DesiredRow(int(str(line)), email, email_key(email), name, group, until, subscription, None)


def _verified(first: bytes, rest: Iterable[bytes]) -> tuple[object, bool]:
    """Return the first line, and whether the last line is the hash of all lines before it."""
    import hashlib

    digest, last = hashlib.sha256(), first
    for line in rest:
        digest.update(last)
        last = line
    return _loads(first), _loads(last) == {"sha256": digest.hexdigest()}


def _loads(line: str | bytes) -> object:
    """Return a line parsed as JSON, or None if it is not JSON."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value


def require_current(saved: SavedComparison, ledger_id: str, *, bought: bool = False) -> ComparisonCheck:
    """Return the check that raises `stale_plan` if applying the plan would no longer do what it says.

    With `bought`, the audit's head may differ, because our own purchase changed it; nothing else may.
    """

    def check(journal: Journal, changes: Changes) -> None:
        if saved.ledger != ledger_id:
            raise _stale("it was made on another ledger")
        if saved.terms != _terms(changes):
            raise _stale("the price or the renewal date of a subscription has changed")
        if not bought and saved.head != differences.audit_head(journal):
            raise _stale(f"the ledger has changed since audit entry {saved.head.partition(':')[0]}")
        if saved.differences != _hash_differences(journal):
            raise _stale("the differences have changed")

    return check


def _stale(why: str) -> SeatctlError:
    return refuse(
        Code.STALE_PLAN,
        f"the saved plan is stale: {why}; nothing was written",
        hint="make it again: seatctl seats apply FILE --save PLAN",
    )


def _terms(changes: Changes) -> list[JsonValue]:
    return [_term(compared.subscription) for compared in changes.subscriptions]


def _term(subscription: Subscription) -> JsonValue:
    return [
        subscription.id,
        subscription.price_id,
        subscription.unit_amount,
        subscription.currency,
        format_time(subscription.term_end),
    ]


def _hash_differences(journal: Journal) -> str:
    """Return a hash of all differences."""
    import hashlib

    digest = hashlib.sha256()
    for row in differences.records(journal):
        digest.update(json.dumps([*row.values()]).encode())
    return digest.hexdigest()
