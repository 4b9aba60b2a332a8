"""Comparison of a file that describes the wanted seats with the ledger, by set-based SQL.

The staged tables are `desired` (the rows), `desired_subscriptions` (the subscriptions that they name) and
`leaving` (seats to revoke). `load` fills them without a lock. `set_verdicts` sets the verdict of every row,
in a transaction or in a snapshot that is rolled back (`ledger.scratch`). `differences.py` reads the result,
`rules/desired_state.py` decides on it, and `write.py` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import groups, subscriptions
from seatctl.ledger.bulk_users import REMOVED_BY_UNDO
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import record
from seatctl.ledger.schema.staged import DESIRED, DESIRED_SUBSCRIPTIONS, LEAVING
from seatctl.ledger.subscription_handles import UnknownSubscription
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import parse_time
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import DesiredRow


class DesiredVerdict(StrEnum):
    """The verdict on a row. After `set_verdicts`, `unknown` is a person who becomes a user with a seat."""

    UNKNOWN = "unknown"
    ASSIGN = "assign"
    SEATED = "seated"
    ENDS = "ends"
    """Has a seat that ends at another time than the row says."""
    REVOKE = "revoke"
    """Has a seat, but `until` is in the past."""
    OVER = "over"
    """Has no seat, and `until` is in the past."""
    BACK = "back"
    """Was removed only by an undo, and comes back like a new user."""
    SUSPENDED = "suspended"
    REMOVED = "removed"
    DUPLICATE = "duplicate"
    NO_SEAT = "no seat free"
    BAD = "bad"


WANTS = "d.verdict IN ('assign', 'unknown', 'back')"
"""The condition for rows of `desired AS d` that are to get a seat."""

_COLUMNS = (
    "n",
    "line",
    "email",
    "email_key",
    "name",
    "group_name",
    "group_key",
    "until",
    "subscription",
    "problem",
    "verdict",
)

_REPEATED = """SELECT 1 FROM desired WHERE problem IS NULL AND verdict = 'unknown'
    GROUP BY email_key HAVING count(*) > 1 LIMIT 1"""

_OTHER_PERSON = """UPDATE desired SET verdict = 'bad',
    problem = 'another row of this e-mail has another name or group'
    WHERE verdict = 'unknown' AND email_key IN (SELECT email_key FROM desired WHERE verdict = 'unknown'
        GROUP BY email_key HAVING count(DISTINCT name) > 1 OR count(DISTINCT group_key) > 1)"""

_OTHER_END = """UPDATE desired SET verdict = 'bad',
    problem = 'another row of this e-mail and subscription has another until'
    WHERE verdict = 'unknown' AND (email_key, subscription) IN (SELECT email_key, subscription FROM desired
        WHERE verdict = 'unknown' GROUP BY email_key, subscription
        HAVING min(coalesce(until, '')) <> max(coalesce(until, '')))"""

_SAME = """UPDATE desired SET verdict = 'duplicate' WHERE verdict = 'unknown' AND EXISTS (
    SELECT 1 FROM desired o WHERE o.email_key = desired.email_key AND o.subscription = desired.subscription
    AND o.problem IS NULL AND o.n < desired.n)"""

_KNOW = f"""UPDATE desired SET user_id = u.id, seat_id = t.id,
    differs = CASE WHEN desired.name <> coalesce(u.name, '')
        OR desired.group_key <> coalesce(u.group_key, '') THEN 1 ELSE 0 END,
    group_name = {groups.keep_spelling("desired", "u")},
    verdict = CASE
        WHEN desired.until <= :now THEN CASE WHEN t.id IS NULL THEN 'over' ELSE 'revoke' END
        WHEN t.id IS NULL AND u.status = 'active' THEN 'assign'
        WHEN t.id IS NULL AND :create_users = 1 AND u.status = 'removed' AND {REMOVED_BY_UNDO} THEN 'back'
        WHEN t.id IS NULL THEN u.status
        WHEN desired.until IS NULL OR nullif(desired.until, 'never') IS NOT DISTINCT FROM t.until
            THEN 'seated'
        ELSE 'ends' END
    FROM desired_subscriptions w CROSS JOIN users u LEFT JOIN seats t ON t.subscription_id = w.subscription_id
        AND t.user_id = u.id AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)
    WHERE w.n = desired.subscription AND u.email_key = desired.email_key AND desired.verdict = 'unknown'"""

_PRUNE = """INSERT INTO leaving (seat_id, subscription) SELECT t.id, w.n
    FROM desired_subscriptions w JOIN seats t ON t.subscription_id = w.subscription_id JOIN users u ON u.id =
    t.user_id WHERE t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now) AND NOT EXISTS (
        SELECT 1 FROM desired d
        WHERE d.email_key = u.email_key AND d.subscription = w.n AND d.problem IS NULL)
    AND (u.email_key, w.n) NOT IN (SELECT email_key, subscription FROM desired
        WHERE verdict = 'bad' AND email_key IS NOT NULL)"""
"""A person in a bad row whose address can be read keeps the seat."""

_UNREADABLE = """verdict = 'bad' AND (email_key IS NULL
    OR subscription NOT IN (SELECT n FROM desired_subscriptions WHERE subscription_id IS NOT NULL))"""
"""Rows without a readable address or subscription: they may mean anybody with a seat."""

_ENDED = """INSERT INTO leaving (seat_id, subscription, line)
    SELECT seat_id, subscription, line FROM desired WHERE verdict = 'revoke'"""


def load(journal: Journal, rows: Iterable[DesiredRow], names: Iterable[str] = ()) -> int:
    """Load the rows of a file and further subscriptions that it names; return the number of rows."""
    for table in (DESIRED, DESIRED_SUBSCRIPTIONS, LEAVING):
        journal.stage(table)
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names), start=1)}

    def numbered() -> Iterator[tuple[SqlValue, ...]]:
        for n, row in enumerate(rows, start=1):
            line, email, key, name, group, until, handle, problem = row
            # A bad row does not count as naming its subscription, which would allow pruning it.
            subscription = 0 if problem else numbers.setdefault(handle, len(numbers) + 1)
            verdict = (DesiredVerdict.BAD if problem else DesiredVerdict.UNKNOWN).value
            of_group = groups.group_key(group)
            yield n, line, email, key, name, group, of_group, until, subscription, problem, verdict

    loaded = journal.load("desired", _COLUMNS, numbered())
    named = ((n, name) for name, n in numbers.items())
    journal.load("desired_subscriptions", ("n", "handle"), named)
    for table in (DESIRED, DESIRED_SUBSCRIPTIONS, LEAVING):
        journal.index_staged(table)
    return loaded


def set_verdicts(journal: Journal, now: str, *, create_users: bool, prune: bool) -> list[Subscription]:
    """Set the verdict of every row as of `now` (written form), and return the subscriptions in order."""

    named = _resolve(journal, now)
    if journal.value(_REPEATED):
        for statement in (_OTHER_PERSON, _OTHER_END, _SAME):
            journal.execute(statement)
    journal.execute(_KNOW, {"now": now, "create_users": int(create_users)})
    journal.execute("UPDATE desired SET verdict = 'over' WHERE verdict = 'unknown' AND until <= ?", (now,))
    if not create_users:
        _refuse(
            journal,
            DesiredVerdict.UNKNOWN,
            "there is no user with this e-mail address; to create users: --create-users",
        )
    _refuse(
        journal,
        DesiredVerdict.SUSPENDED,
        "the user is suspended; to reactivate them: seatctl users reactivate EMAIL",
    )
    _refuse(
        journal, DesiredVerdict.REMOVED, "the user is removed; to bring them back: seatctl users add EMAIL"
    )
    journal.execute(_ENDED)
    if prune:
        journal.execute(_PRUNE, {"now": now})
    return named


def _resolve(journal: Journal, now: str) -> list[Subscription]:
    """Look up the subscriptions that the rows name. Rows that name an unknown one are bad."""
    resolved: dict[int, tuple[int, Subscription]] = {}
    named = [
        (row["n"], row["handle"])
        for row in journal.rows("SELECT n, handle FROM desired_subscriptions ORDER BY n")
    ]
    has_unknown = False
    for n, handle in named:
        try:
            subscription = subscriptions.find(journal, handle, parse_time(now))
        except UnknownSubscription as error:
            journal.execute("UPDATE desired_subscriptions SET problem = ? WHERE n = ?", (error.message, n))
            has_unknown = True
            continue
        first = resolved.setdefault(subscription.id, (n, subscription))[0]
        if first == n:
            journal.execute(
                "UPDATE desired_subscriptions SET subscription_id = ? WHERE n = ?", (subscription.id, n)
            )
        else:  # two handles for one subscription
            journal.execute("UPDATE desired SET subscription = ? WHERE subscription = ?", (first, n))
            journal.execute("DELETE FROM desired_subscriptions WHERE n = ?", (n,))
    if has_unknown:
        journal.execute(
            "UPDATE desired SET verdict = 'bad', problem = w.problem FROM desired_subscriptions w"
            " WHERE w.n = desired.subscription AND w.problem IS NOT NULL AND desired.verdict = 'unknown'"
        )
    return [subscription for _, subscription in resolved.values()]


def _refuse(journal: Journal, verdict: DesiredVerdict, problem: str) -> None:
    journal.execute(
        "UPDATE desired SET verdict = 'bad', problem = ? WHERE verdict = ?", (problem, verdict.value)
    )


def require_good(reader: Reader, *, skip_bad: bool, prune: bool) -> int:
    """Return how many rows are bad. Raises `bad_rows` with all of them unless `skip_bad`.

    With `prune`, unreadable rows are never skipped: the people in them would lose their seats.
    """
    bad = reader.count("SELECT count(*) FROM desired WHERE verdict = 'bad'")
    unreadable = prune and bad and reader.count(f"SELECT count(*) FROM desired WHERE {_UNREADABLE}")
    if bad and (unreadable or not skip_bad):
        total = reader.count("SELECT count(*) FROM desired")
        bad_rows = reader.rows(
            "SELECT line, email, problem AS error FROM desired WHERE verdict = 'bad' ORDER BY n"
        )
        rows: list[JsonValue] = [*map(record, bad_rows)]
        raise refuse(
            Code.BAD_ROWS,
            f"{bad:,} of {total:,} rows {'is' if bad == 1 else 'are'} bad; nothing was written",
            hint="correct them" if unreadable else "correct them, or leave them out with --skip-bad",
            data={"rows": rows},
        )
    return bad
