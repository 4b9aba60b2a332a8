"""A desired state compared with the ledger by set-based SQL.

The TEMP tables are `desired` (the rows), `desired_pools` (what they name) and `leaving` (seats to revoke).
`load` fills them without a lock, `judge` gives every row its verdict, within a change or in a snapshot that
is forgotten (`ledger.scratch`). What it came to is read by `differences.py` and decided upon by
`rules/desired_state.py`; what is then written is `write.py`.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this layer; every value is bound.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import groups, subscriptions
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.returning_users import UNDONE
from seatctl.ledger.subscription_handles import UnknownSubscription
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import parse_time
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import DesiredRow


class DesiredVerdict(StrEnum):
    """What a row comes to. `unknown`, once judged, is somebody who is made a user and seated."""

    UNKNOWN = "unknown"
    ASSIGN = "assign"
    SEATED = "seated"
    ENDS = "ends"
    """Sits there, until another moment than the row says."""
    REVOKE = "revoke"
    """Sits there, but `until` lies behind."""
    OVER = "over"
    """`until` lies behind, and there is no seat."""
    BACK = "back"
    """Was made a user by a run that was undone: comes back as somebody new."""
    SUSPENDED = "suspended"
    REMOVED = "removed"
    DUPLICATE = "duplicate"
    NO_SEAT = "no seat free"
    BAD = "bad"


WANTS = "d.verdict IN ('assign', 'unknown', 'back')"
"""Rows of `desired AS d` that are to get a seat."""

_TABLES = (
    """CREATE TEMP TABLE desired (
        n INTEGER PRIMARY KEY,
        line INTEGER NOT NULL,
        email TEXT NOT NULL,
        email_key TEXT,
        name TEXT,
        group_name TEXT,
        until TEXT,
        pool INTEGER NOT NULL,
        problem TEXT,
        verdict TEXT NOT NULL,
        user_id INTEGER,
        seat_id INTEGER,
        differs INTEGER
    )""",
    """CREATE TEMP TABLE desired_pools (
        n INTEGER PRIMARY KEY, handle TEXT NOT NULL, pool_id INTEGER, problem TEXT
    )""",
    "CREATE TEMP TABLE leaving (seat_id INTEGER PRIMARY KEY, pool INTEGER NOT NULL, line INTEGER)",
)

_LOAD = """INSERT INTO desired (line, email, email_key, name, group_name, until, pool, problem, verdict)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CASE WHEN ?8 IS NULL THEN 'unknown' ELSE 'bad' END)"""

_REPEATED = """SELECT 1 FROM desired WHERE problem IS NULL AND verdict = 'unknown'
    GROUP BY email_key HAVING count(*) > 1 LIMIT 1"""

_OTHER_PERSON = """UPDATE desired SET verdict = 'bad',
    problem = 'another row of this e-mail has another name or group'
    WHERE verdict = 'unknown' AND email_key IN (SELECT email_key FROM desired WHERE verdict = 'unknown'
        GROUP BY email_key HAVING count(DISTINCT name) > 1 OR count(DISTINCT group_key(group_name)) > 1)"""

_OTHER_END = """UPDATE desired SET verdict = 'bad',
    problem = 'another row of this e-mail and subscription has another until'
    WHERE verdict = 'unknown' AND (email_key, pool) IN (SELECT email_key, pool FROM desired
        WHERE verdict = 'unknown' GROUP BY email_key, pool
        HAVING min(coalesce(until, '')) <> max(coalesce(until, '')))"""

_SAME = """UPDATE desired SET verdict = 'duplicate' WHERE verdict = 'unknown' AND EXISTS (
    SELECT 1 FROM desired o WHERE o.email_key = desired.email_key AND o.pool = desired.pool
    AND o.problem IS NULL AND o.n < desired.n)"""

_KNOW = f"""UPDATE desired SET user_id = u.id, seat_id = t.id,
    differs = coalesce(desired.name <> coalesce(u.name, ''), 0)
        OR coalesce({groups.differ("desired.group_name", "coalesce(u.group_name, '')")}, 0),
    group_name = {groups.keep_spelling("desired.group_name", "u.group_name")},
    verdict = CASE
        WHEN desired.until <= :now THEN iif(t.id IS NULL, 'over', 'revoke')
        WHEN t.id IS NULL AND u.status = 'active' THEN 'assign'
        WHEN t.id IS NULL AND :create_users AND u.status = 'removed' AND {UNDONE} THEN 'back'
        WHEN t.id IS NULL THEN u.status
        WHEN desired.until IS NULL OR nullif(desired.until, 'never') IS t.until THEN 'seated'
        ELSE 'ends' END
    FROM desired_pools p CROSS JOIN users u LEFT JOIN seats t ON t.subscription_id = p.pool_id
        AND t.user_id = u.id AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)
    WHERE p.n = desired.pool AND u.email_key = desired.email_key AND desired.verdict = 'unknown'"""

_PRUNE = """INSERT INTO leaving (seat_id, pool) SELECT t.id, p.n
    FROM desired_pools p JOIN seats t ON t.subscription_id = p.pool_id JOIN users u ON u.id = t.user_id
    WHERE t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now) AND NOT EXISTS (
        SELECT 1 FROM desired d WHERE d.email_key = u.email_key AND d.pool = p.n AND d.problem IS NULL)
    AND (u.email_key, p.n) NOT IN (SELECT email_key, pool FROM desired
        WHERE verdict = 'bad' AND email_key IS NOT NULL)"""
"""Who stands in a bad row that can be read is named by it, and keeps the seat."""

_UNREADABLE = """verdict = 'bad' AND (email_key IS NULL
    OR pool NOT IN (SELECT n FROM desired_pools WHERE pool_id IS NOT NULL))"""
"""Rows that do not say who is meant, or where: it may be anybody who sits there."""

_ENDED = """INSERT INTO leaving (seat_id, pool, line)
    SELECT seat_id, pool, line FROM desired WHERE verdict = 'revoke'"""


def load(journal: Journal, rows: Iterable[DesiredRow], names: Iterable[str] = ()) -> int:
    """Take the rows of one file, one at a time, and the subscriptions it names besides; how many rows."""
    for table in ("desired", "desired_pools", "leaving"):
        journal.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for statement in _TABLES:
        journal.execute(statement)
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names), start=1)}

    def numbered() -> Iterator[tuple[SqlValue, ...]]:
        for row in rows:
            line, email, key, name, group, until, handle, problem = row
            # A bad row names no subscription that could be pruned on its word.
            subscription = 0 if problem else numbers.setdefault(handle, len(numbers) + 1)
            yield line, email, key, name, group, until, subscription, problem

    loaded = journal.execute_many(_LOAD, numbered())
    journal.execute_many(
        "INSERT INTO desired_pools (n, handle) VALUES (?, ?)", ((n, name) for name, n in numbers.items())
    )
    # After the rows: sorting once costs half of keeping the index sorted.
    journal.execute("CREATE INDEX desired_by_key ON desired (email_key, pool) WHERE problem IS NULL")
    return loaded


def set_verdicts(journal: Journal, now: str, *, create_users: bool, prune: bool) -> list[Subscription]:
    """Give every row its verdict, as things stand at `now` (written form); the subscriptions, in order."""
    groups.define_group_key(journal)
    pools = _resolve(journal, now)
    if journal.value(_REPEATED):
        for statement in (_OTHER_PERSON, _OTHER_END, _SAME):
            journal.execute(statement)
    journal.execute(_KNOW, {"now": now, "create_users": int(create_users)})
    journal.execute("UPDATE desired SET verdict = 'over' WHERE verdict = 'unknown' AND until <= ?", (now,))
    if not create_users:
        _refuse(journal, DesiredVerdict.UNKNOWN, "there is no user of this e-mail; --create-users makes one")
    _refuse(
        journal,
        DesiredVerdict.SUSPENDED,
        "the user is suspended; to bring them back: seatctl users reactivate EMAIL",
    )
    _refuse(
        journal, DesiredVerdict.REMOVED, "the user is removed; to bring them back: seatctl users add EMAIL"
    )
    journal.execute(_ENDED)
    if prune:
        journal.execute(_PRUNE, {"now": now})
    return pools


def _resolve(journal: Journal, now: str) -> list[Subscription]:
    """Find the subscriptions that the rows name; rows that name none there is are bad."""
    found: dict[int, tuple[int, Subscription]] = {}
    named = [
        (row["n"], row["handle"]) for row in journal.rows("SELECT n, handle FROM desired_pools ORDER BY n")
    ]
    unknown = False
    for n, handle in named:
        try:
            subscription = subscriptions.find(journal, handle, parse_time(now))
        except UnknownSubscription as error:
            journal.execute("UPDATE desired_pools SET problem = ? WHERE n = ?", (error.message, n))
            unknown = True
            continue
        first = found.setdefault(subscription.id, (n, subscription))[0]
        if first == n:
            journal.execute("UPDATE desired_pools SET pool_id = ? WHERE n = ?", (subscription.id, n))
        else:  # two handles of one subscription
            journal.execute("UPDATE desired SET pool = ? WHERE pool = ?", (first, n))
            journal.execute("DELETE FROM desired_pools WHERE n = ?", (n,))
    if unknown:
        journal.execute(
            "UPDATE desired SET verdict = 'bad', problem = p.problem FROM desired_pools p"
            " WHERE p.n = desired.pool AND p.problem IS NOT NULL AND desired.verdict = 'unknown'"
        )
    return [subscription for _, subscription in found.values()]


def _refuse(journal: Journal, verdict: DesiredVerdict, problem: str) -> None:
    journal.execute(
        "UPDATE desired SET verdict = 'bad', problem = ? WHERE verdict = ?", (problem, verdict.value)
    )


def require_good(reader: Reader, *, skip_bad: bool, prune: bool) -> int:
    """How many rows are bad. Raises `bad_rows` with all of them, unless they are to be skipped.

    Under `prune` none is skipped that cannot be read: who stands in it would be revoked.
    """
    bad = reader.count("SELECT count(*) FROM desired WHERE verdict = 'bad'")
    must_be_read = prune and bad and reader.count(f"SELECT count(*) FROM desired WHERE {_UNREADABLE}")
    if bad and (must_be_read or not skip_bad):
        total = reader.count("SELECT count(*) FROM desired")
        found = reader.rows("SELECT line, email, problem FROM desired WHERE verdict = 'bad' ORDER BY n")
        rows: list[JsonValue] = [
            {"line": row["line"], "email": row["email"], "error": row["problem"]} for row in found
        ]
        raise refuse(
            Code.BAD_ROWS,
            f"{bad:,} of {total:,} rows {'is' if bad == 1 else 'are'} bad; nothing was written",
            hint="correct them" if must_be_read else "correct them, or leave them out with --skip-bad",
            data={"rows": rows},
        )
    return bad
