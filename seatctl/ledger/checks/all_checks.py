"""The checks of a ledger's file and rows: schema, contents, rules and audit.

SQLite itself finds broken pages and broken references. It cannot tell whether the schema is ours, whether a
column holds a value that seatctl writes, or whether the facts agree with their audit; that is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from seatctl.errors import NotAllowed, SeatctlError
from seatctl.ledger.checks import contents, facts, runs_and_erasures, structure
from seatctl.ledger.record import audit
from seatctl.ledger.transaction import Reader

Problem = tuple[str, str, str]
"""(check, subject, detail)"""

# Each yields (subject, detail) for a row that must not exist.
_RULES: Final = {
    "assigned": """SELECT s.name, s.assigned || ' counted, ' || count(t.id) || ' seats are active'
        FROM subscriptions s LEFT JOIN seats t ON t.subscription_id = s.id AND t.revoked_at IS NULL
        GROUP BY s.id, s.name, s.assigned HAVING s.assigned <> count(t.id)""",
    "one_seat_per_user": """SELECT s.name, u.email || ' has ' || count(*) || ' active seats' FROM seats t
        JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id
        WHERE t.revoked_at IS NULL GROUP BY t.subscription_id, t.user_id, s.name, u.email
        HAVING count(*) > 1""",
    "seat_entries": """SELECT 'seat ' || t.id, 'its audit entry is missing' FROM seats t
        WHERE NOT EXISTS (SELECT 1 FROM audit WHERE seq = t.assigned_entry)
        OR t.revoked_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM audit WHERE seq = t.revoked_entry)""",
    "removed_users": """SELECT u.email, 'was removed, but has a seat in ' || s.name FROM seats t
        JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id
        WHERE t.revoked_at IS NULL AND u.status = 'removed'""",
    "capacity_to_come": """SELECT s.name, c.seats || ' seats are planned from ' || c.effective_at
        || ' on, but its Stripe item has ' || s.quantity || ' from ' || s.term_end
        FROM capacity_changes c JOIN subscriptions s ON s.id = c.subscription_id
        WHERE c.applied_at IS NULL AND (c.seats <> s.quantity OR c.effective_at <> s.term_end)""",
}

_Check = Callable[[Reader], Iterator[tuple[str, str]]]

_CONTENTS: Final[dict[str, _Check]] = {
    "structure": lambda reader: structure.differences(reader.engine),
    "meta": contents.bad_meta,
    "text": contents.not_utf8,
    "values": contents.bad_values,
    "lists": contents.unreadable_lists,
    "names": contents.wrong_keys,
}
_RECORD: Final[dict[str, _Check]] = {
    "facts": facts.differences,
    "runs": runs_and_erasures.runs,
    "erasures": runs_and_erasures.erasures,
}


def problems(reader: Reader) -> Iterator[Problem]:
    """Yield (check, subject, detail) for each problem of the file and its rows, as it is found."""
    has_problems = False
    for name, check in _all().items():
        for subject, detail in _run_check(reader, check, already_reported=has_problems):
            has_problems = True
            yield name, subject, detail


def first_damage(reader: Reader) -> Problem | None:
    """Return the first problem of the rows; the file and the hashes are not checked.

    Called after an error that may have been caused by a damaged ledger.
    """
    for name, check in _all().items():
        if name not in _NOT_ABOUT_ROWS:
            for subject, detail in _run_check(reader, check, already_reported=False):
                return name, subject, detail
    return None


def _run_check(reader: Reader, check: _Check, *, already_reported: bool) -> Iterator[tuple[str, str]]:
    """Yield what one check finds. A check that fails is a problem too, unless one was reported already.

    Raises NotAllowed for a database role that may not read everything.
    """
    failures: tuple[type[Exception], ...] = (SeatctlError, *reader.engine.damage, *contents.UNREADABLE)
    try:
        yield from check(reader)
    except NotAllowed:
        raise
    except failures as error:
        reader.engine.read_on()
        if not already_reported:
            yield "ledger", f"cannot be read: {error}"


def _integrity(reader: Reader) -> Iterator[tuple[str, str]]:
    return (("file", problem) for problem in reader.engine.integrity_problems())


def _references(reader: Reader) -> Iterator[tuple[str, str]]:
    return (("file", problem) for problem in reader.engine.reference_problems())


def _rule(rule: str) -> _Check:
    return lambda reader: ((str(row[0]), str(row[1])) for row in reader.rows(rule))


def _chain(reader: Reader) -> Iterator[tuple[str, str]]:
    verification = audit.verify(reader)
    if verification.problem is not None:
        yield f"entry {verification.bad_entry}", verification.problem


_NOT_ABOUT_ROWS: Final = ("integrity", "audit")


def _all() -> dict[str, _Check]:
    rules = {name: _rule(rule) for name, rule in _RULES.items()}
    return {
        "integrity": _integrity,
        **_CONTENTS,
        "references": _references,
        **rules,
        "audit": _chain,
        **_RECORD,
    }


def check_names() -> tuple[str, ...]:
    """Return the names of these checks, in order."""
    return tuple(_all())
