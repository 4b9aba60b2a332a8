"""`seats apply --save` and `--saved`: a comparison kept in a file, and whether it still holds.

The file is JSON Lines: what it was made of, a row per line, and a hash over all of it at the end. It is
written and read as a stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.desired import differences as result
from seatctl.ledger.transaction import Journal
from seatctl.models.call import format_time
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import Changes, DesiredRow
from seatctl.rules.emails import email_key
from seatctl.rules.revocations import RevocationLimit
from seatctl.services.seats.apply import ApplyOptions, Checked
from seatctl.system.files import new_file

VERSION = 1
_FLAGS = ("percent", "prune", "create_users", "fill", "skip_bad", "named")
"""The keys of `how` that are true or false, in the order of the fields of `ApplyOptions`."""
_CELLS = 7
"""Values of a row."""


@dataclass(frozen=True, slots=True)
class SavedComparison:
    """A saved plan without its rows."""

    path: Path
    ledger: str
    head: str
    how: ApplyOptions
    buy: bool
    max_spend: str | None
    handles: tuple[str, ...]
    terms: JsonValue
    differences: str

    def rows(self) -> Iterator[DesiredRow]:
        """What it says of who sits where."""
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                row = _loads(line)
                if isinstance(row, list):
                    yield _row(row, self.path)
                elif not isinstance(row, dict):  # the last line, which is the hash
                    raise _bad_plan(self.path)


def save(
    path: Path,
    journal: Journal,
    changes: Changes,
    *,
    ledger: str,
    how: ApplyOptions,
    buy: bool,
    max_spend: str | None,
) -> None:
    """Write the comparison at hand to a file that only its owner can read, over one that is there.

    Whether that may be is decided before (`check_target`). Raises CannotWrite.
    """
    header: dict[str, JsonValue] = {
        "seatctl_plan": VERSION,
        "ledger": ledger,
        "head": result.audit_head(journal),
        "how": {**_how(how)},
        "buy": buy,
        "max_spend": max_spend,
        "subscriptions": [*result.handles(journal)],
        "terms": _terms(changes),
        "differences": _digest(journal),
    }
    with new_file(path, overwrite=True) as part, part.open("w", encoding="utf-8") as file:
        _write(file, header, result.good_rows(journal))


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
    """A plan as it was saved. Raises `bad_plan`, `file_not_found`."""
    from seatctl.input.lines import open_bytes

    stream, name = open_bytes(str(path), None)
    with stream:
        header, whole = _verified(stream.readline(), stream)
    found = _saved(path, header) if whole and isinstance(header, dict) else None
    if found is None:
        raise _bad_plan(name)
    return found


def _bad_plan(name: object) -> SeatctlError:
    return refuse(
        Code.BAD_PLAN,
        f"{name} is not a plan that seats apply --save has written, or it was changed",
        hint="make it again: seatctl seats apply FILE --save PLAN",
    )


def _saved(path: Path, header: dict[str, object]) -> SavedComparison | None:
    """What a header says; None if this program has not written it."""
    how, handles, limit = header.get("how"), header.get("subscriptions"), header.get("max_spend")
    texts = [header.get(key) for key in ("ledger", "head", "differences")]
    if header.get("seatctl_plan") != VERSION or not isinstance(how, dict) or not isinstance(handles, list):
        return None
    most, flags = how.get("max_revoke"), [how.get(name) for name in _FLAGS] + [header.get("buy")]
    if type(most) is not int or most < 0 or not all(isinstance(flag, bool) for flag in flags):
        return None
    if not all(isinstance(text, str) for text in (*texts, *handles)) or not isinstance(limit, str | None):
        return None
    percent, prune, create_users, fill, skip_bad, named, buy = map(bool, flags)
    ledger, head, differences = map(str, texts)
    most_revoked = RevocationLimit(most, percent)
    return SavedComparison(
        path=path,
        ledger=ledger,
        head=head,
        how=ApplyOptions(most_revoked, prune, create_users, fill, skip_bad, named),
        buy=buy,
        max_spend=limit,
        handles=tuple(handles),
        terms=_json(header.get("terms")),
        differences=differences,
    )


def _json(value: object) -> JsonValue:
    """A value that was read from JSON."""
    return cast("JsonValue", value)


def _row(row: list[object], path: Path) -> DesiredRow:
    """A row of the file. Raises `bad_plan`."""
    if len(row) != _CELLS or type(row[0]) is not int:
        raise _bad_plan(path)
    line, email, _, name, group, until, subscription = row
    optional = (name, group, until)
    if not isinstance(email, str) or not isinstance(subscription, str):
        raise _bad_plan(path)
    if not all(isinstance(value, str | None) for value in optional):
        raise _bad_plan(path)
    name, group, until = (None if value is None else str(value) for value in optional)
    # The key of today's rule, whatever the one was by which the plan was saved.
    return DesiredRow(int(str(line)), email, email_key(email), name, group, until, subscription, None)


def _verified(first: bytes, rest: Iterable[bytes]) -> tuple[object, bool]:
    """The first line, and whether the last one is the hash of all before it."""
    import hashlib

    digest, last = hashlib.sha256(), first
    for line in rest:
        digest.update(last)
        last = line
    return _loads(first), _loads(last) == {"sha256": digest.hexdigest()}


def _loads(line: str | bytes) -> object:
    """A line as JSON; None if it is something else."""
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found


def still_holds(saved: SavedComparison, ledger_id: str, *, bought: bool = False) -> Checked:
    """What raises `stale_plan` where the plan no longer says what would be done.

    After our own purchase (`bought`) the head has moved, and with it nothing else may have.
    """

    def check(journal: Journal, changes: Changes) -> None:
        if saved.ledger != ledger_id:
            raise _stale("it was made on another ledger")
        if saved.terms != _terms(changes):
            raise _stale("the price or the renewal date of a subscription is another one now")
        if not bought and saved.head != result.audit_head(journal):
            raise _stale(f"the ledger has changed since entry {saved.head.partition(':')[0]} of its audit")
        if saved.differences != _digest(journal):
            raise _stale("something else would be done now")

    return check


def _stale(why: str) -> SeatctlError:
    return refuse(
        Code.STALE_PLAN,
        f"the saved plan is stale: {why}; nothing was written",
        hint="make it again: seatctl seats apply FILE --save PLAN",
    )


def _terms(changes: Changes) -> list[JsonValue]:
    return [_term(one.subscription) for one in changes.subscriptions]


def _term(subscription: Subscription) -> JsonValue:
    return [
        subscription.id,
        subscription.price_id,
        subscription.unit_amount,
        subscription.currency,
        format_time(subscription.term_end),
    ]


def _how(how: ApplyOptions) -> dict[str, JsonValue]:
    return {
        "max_revoke": how.max_revoke.number,
        "percent": how.max_revoke.percent,
        "prune": how.prune,
        "create_users": how.create_users,
        "fill": how.fill,
        "skip_bad": how.skip_bad,
        "named": how.named,
    }


def _digest(journal: Journal) -> str:
    """A hash over everything that would be done."""
    import hashlib

    digest = hashlib.sha256()
    for row in result.records(journal):
        digest.update(json.dumps([*row.values()]).encode())
    return digest.hexdigest()
