"""The result of a comparison, read from the staged tables of `compare.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from seatctl.errors import JsonValue
from seatctl.ledger.conditions import ALL_ROWS
from seatctl.ledger.desired.compare import WANTS, DesiredVerdict
from seatctl.ledger.row_values import record
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.report import Record
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import DesiredRow, SubscriptionComparison

RESULTS: Mapping[str, str] = {
    DesiredVerdict.ASSIGN: "seated",
    DesiredVerdict.UNKNOWN: "added and seated",
    DesiredVerdict.BACK: "added and seated",
    DesiredVerdict.ENDS: "until changed",
    DesiredVerdict.SEATED: "user updated",
    DesiredVerdict.OVER: "user updated",
    DesiredVerdict.NO_SEAT: "no seat free",
    DesiredVerdict.BAD: "bad",
}
"""The results in the report, by verdict, for rows that change something."""


def comparisons(reader: Reader, subscriptions: Iterable[Subscription]) -> tuple[SubscriptionComparison, ...]:
    """Return the comparison of each subscription."""
    numbers = {
        row["subscription_id"]: row["n"]
        for row in reader.rows("SELECT n, subscription_id FROM desired_subscriptions")
    }
    counts: dict[tuple[int, str], int] = {
        (row[0], row[1]): row[2]
        for row in reader.rows(
            "SELECT subscription, verdict, count(*) FROM desired GROUP BY subscription, verdict"
        )
    }
    leaving = {
        row[0]: row[1]
        for row in reader.rows("SELECT subscription, count(*) FROM leaving GROUP BY subscription")
    }

    def of(n: int, *verdicts: DesiredVerdict) -> int:
        return sum(counts.get((n, verdict.value), 0) for verdict in verdicts)

    result = []
    for subscription in subscriptions:
        n = numbers[subscription.id]
        result.append(
            SubscriptionComparison(
                subscription=subscription,
                rows=sum(count for (number, _), count in counts.items() if number == n),
                seated=of(n, DesiredVerdict.SEATED),
                new=of(n, DesiredVerdict.ASSIGN, DesiredVerdict.UNKNOWN, DesiredVerdict.BACK),
                ends=of(n, DesiredVerdict.ENDS),
                leaving=leaving.get(n, 0),
            )
        )
    return tuple(result)


def users_to_add(reader: Reader) -> int:
    """Return how many people will become users."""
    # A person can be in several good rows only if there are several subscriptions.
    people = "DISTINCT email_key" if len(handles(reader)) > 1 else "*"
    new = reader.count(f"SELECT count({people}) FROM desired WHERE verdict = 'unknown'")
    return new + reader.count("SELECT count(DISTINCT user_id) FROM desired WHERE verdict = 'back'")


def users_to_update(reader: Reader) -> int:
    """Return how many users have another name or group in the file."""
    return reader.count("SELECT count(DISTINCT user_id) FROM desired WHERE differs = 1 AND verdict <> 'bad'")


def rows_without_seat(reader: Reader, short: Iterable[SubscriptionComparison]) -> list[dict[str, JsonValue]]:
    """Return the rows that would get no seat: in each subscription those beyond its room, in file order."""
    result: list[dict[str, JsonValue]] = []
    for comparison in short:
        good_rows = reader.rows(
            "SELECT d.line, d.email FROM desired d JOIN desired_subscriptions w ON w.n = d.subscription"
            f" WHERE w.subscription_id = ? AND {WANTS} ORDER BY d.n LIMIT {ALL_ROWS} OFFSET ?",
            (comparison.subscription.id, max(0, comparison.room)),
        )
        result += [
            {
                "line": row["line"],
                "email": row["email"],
                "subscription": comparison.subscription.name,
                "error": DesiredVerdict.NO_SEAT.value,
            }
            for row in good_rows
        ]
    return result


def mark_without_seat(journal: Journal, short: Iterable[SubscriptionComparison]) -> None:
    """Mark the rows beyond the room of their subscription, in file order, as without a seat."""
    for comparison in short:
        journal.execute(
            "UPDATE desired SET verdict = ? WHERE n IN (SELECT d.n FROM desired d"
            f" JOIN desired_subscriptions w ON w.n = d.subscription WHERE w.subscription_id = ? AND {WANTS}"
            f" ORDER BY d.n LIMIT {ALL_ROWS} OFFSET ?)",
            (DesiredVerdict.NO_SEAT.value, comparison.subscription.id, max(0, comparison.room)),
        )


def records(reader: Reader) -> Iterator[Record]:
    """Yield an output record per difference: revoked seats first, then rows that change something."""
    revoked = reader.stream(
        "SELECT l.line, u.email, s.name AS subscription, 'revoked' AS result, t.until, NULL AS error"
        " FROM leaving l JOIN seats t ON t.id = l.seat_id JOIN users u ON u.id = t.user_id"
        " JOIN subscriptions s ON s.id = t.subscription_id ORDER BY l.subscription, l.seat_id"
    )
    yield from map(record, revoked)
    changed = reader.stream(
        "SELECT d.line, d.email, s.name AS subscription, d.verdict AS result, d.until, d.problem AS error"
        " FROM desired d LEFT JOIN desired_subscriptions w ON w.n = d.subscription"
        " LEFT JOIN subscriptions s ON s.id = w.subscription_id"
        " WHERE d.verdict IN ('assign', 'unknown', 'back', 'ends', 'no seat free', 'bad')"
        " OR d.differs = 1 AND d.verdict IN ('seated', 'over') ORDER BY d.n"
    )
    yield from ({**record(row), "result": RESULTS[row["result"]]} for row in changed)


def audit_head(reader: Reader) -> str:
    """Return what differs after any change of the ledger; in a transaction, what it was before.

    The number of entries counts too: on a server an entry may be committed after one of a higher id.
    """
    row = reader.row(
        "SELECT seq || ':' || digest || ':' || (SELECT count(*) FROM audit)"
        " FROM audit ORDER BY seq DESC LIMIT 1"
    )
    return "0:" if row is None else str(row[0])


def good_rows(reader: Reader) -> Iterator[DesiredRow]:
    """Return the good rows as they were loaded, in file order, for a saved comparison."""
    staged = reader.stream(
        "SELECT d.line, d.email, d.email_key, d.name, d.group_name, d.until, w.handle, NULL FROM desired d"
        " JOIN desired_subscriptions w ON w.n = d.subscription WHERE d.verdict <> 'bad' ORDER BY d.n"
    )
    return (DesiredRow(*row) for row in staged)


def handles(reader: Reader) -> list[str]:
    """Return the handles by which the file names its subscriptions."""
    return reader.column("SELECT handle FROM desired_subscriptions ORDER BY n")
