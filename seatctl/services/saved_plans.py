"""`seats apply --save` and `--saved`: a comparison kept in a file, and whether it still holds.

The file is JSON Lines: what it was made of, a row per line, and a hash over all of it at the end. It is
written and read as a stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from seatctl.errors import BadInput, JsonValue, Refused
from seatctl.ledger import desired_result
from seatctl.ledger.transaction import Journal
from seatctl.models.call import format_time
from seatctl.models.subscription import Subscription
from seatctl.output_files import new_file
from seatctl.rules.desired import Changes, Row
from seatctl.rules.emails import email_key
from seatctl.rules.revocations import Limit
from seatctl.services.desired_state import Checked, How

VERSION = 1


class StalePlan(Refused):
    """The ledger, a price or a renewal date has moved on since the plan was saved."""

    code = "stale_plan"


class BadPlan(BadInput):
    """The file is no saved plan, or not as it was saved."""

    code = "bad_plan"


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved plan without its rows."""

    path: Path
    ledger: str
    head: str
    how: How
    buy: bool
    max_spend: str | None
    handles: tuple[str, ...]
    terms: JsonValue
    differences: str

    def rows(self) -> Iterator[Row]:
        """What it says of who sits where."""
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                row = json.loads(line)
                if isinstance(row, list):
                    line_number, email, _, name, group, until, subscription = row
                    # The key of today's rule, whatever the one was by which the plan was saved.
                    yield Row(line_number, email, email_key(email), name, group, until, subscription, None)


def save(
    path: Path,
    journal: Journal,
    changes: Changes,
    *,
    ledger: str,
    how: How,
    buy: bool,
    max_spend: str | None,
) -> None:
    """Write the comparison at hand to a file that only its owner can read, over one that is there.

    Whether that may be is decided before (`check_target`). Raises CannotWrite.
    """
    header: dict[str, JsonValue] = {
        "seatctl_plan": VERSION,
        "ledger": ledger,
        "head": desired_result.head(journal),
        "how": {**_how(how)},
        "buy": buy,
        "max_spend": max_spend,
        "subscriptions": [*desired_result.handles(journal)],
        "terms": _terms(changes),
        "differences": _digest(journal),
    }
    with new_file(path, overwrite=True) as part, part.open("w", encoding="utf-8") as file:
        _write(file, header, desired_result.rows(journal))


def _write(file: TextIO, header: dict[str, JsonValue], rows: Iterator[Row]) -> None:
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


def read(path: Path) -> Saved:
    """A plan as it was saved. Raises BadPlan, FileNotThere."""
    from seatctl.textlines import open_bytes

    stream, name = open_bytes(str(path), None)
    with stream:
        header, whole = _verified(stream.readline(), stream)
    if not whole or not isinstance(header, dict) or header.get("seatctl_plan") != VERSION:
        raise BadPlan(
            f"{name} is no plan that seats apply --save has written, or it was changed",
            hint="make it again: seatctl seats apply FILE --save PLAN",
        )
    how = dict(header["how"])
    most = Limit(how.pop("max_revoke"), how.pop("percent"))
    return Saved(
        path=path,
        ledger=header["ledger"],
        head=header["head"],
        how=How(max_revoke=most, **how),
        buy=header["buy"],
        max_spend=header["max_spend"],
        handles=tuple(header["subscriptions"]),
        terms=header["terms"],
        differences=header["differences"],
    )


def _verified(first: bytes, rest: Iterable[bytes]) -> tuple[Any, bool]:
    """The first line, and whether the last one is the hash of all before it."""
    import hashlib

    digest, last = hashlib.sha256(), first
    for line in rest:
        digest.update(last)
        last = line
    try:
        return json.loads(first), json.loads(last) == {"sha256": digest.hexdigest()}
    except ValueError:
        return None, False


def still_holds(saved: Saved, ledger_id: str, *, bought: bool = False) -> Checked:
    """What raises StalePlan where the plan no longer says what would be done.

    After our own purchase (`bought`) the head has moved, and with it nothing else may have.
    """

    def check(journal: Journal, changes: Changes) -> None:
        if saved.ledger != ledger_id:
            raise _stale("it was made on another ledger")
        if saved.terms != _terms(changes):
            raise _stale("the price or the renewal date of a subscription is another one now")
        if not bought and saved.head != desired_result.head(journal):
            raise _stale(f"the ledger has changed since entry {saved.head.partition(':')[0]} of its audit")
        if saved.differences != _digest(journal):
            raise _stale("something else would be done now")

    return check


def _stale(why: str) -> StalePlan:
    return StalePlan(
        f"the saved plan is stale: {why}; nothing was written",
        hint="make it again: seatctl seats apply FILE --save PLAN",
    )


def _terms(changes: Changes) -> list[JsonValue]:
    return [_term(one.pool) for one in changes.pools]


def _term(pool: Subscription) -> JsonValue:
    return [pool.id, pool.price_id, pool.unit_amount, pool.currency, format_time(pool.term_end)]


def _how(how: How) -> dict[str, JsonValue]:
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
    for row in desired_result.differences(journal):
        digest.update(json.dumps([*row.values()]).encode())
    return digest.hexdigest()
