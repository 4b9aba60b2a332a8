"""What a comparison with a desired state came to, read from the TEMP tables that `compare.py` has filled."""

# ruff: noqa: S608 - what is put into statements here are conditions of this layer; every value is bound.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from seatctl.errors import JsonValue
from seatctl.ledger.desired.compare import WANTS, DesiredVerdict
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
"""What a row that changes something is called in the report."""


def comparisons(reader: Reader, subscriptions: Iterable[Subscription]) -> tuple[SubscriptionComparison, ...]:
    """What was found for each subscription."""
    numbers = {row["pool_id"]: row["n"] for row in reader.rows("SELECT n, pool_id FROM desired_pools")}
    tally: dict[tuple[int, str], int] = {
        (row[0], row[1]): row[2]
        for row in reader.rows("SELECT pool, verdict, count(*) FROM desired GROUP BY pool, verdict")
    }
    leaving = {row[0]: row[1] for row in reader.rows("SELECT pool, count(*) FROM leaving GROUP BY pool")}

    def of(n: int, *verdicts: DesiredVerdict) -> int:
        return sum(tally.get((n, verdict.value), 0) for verdict in verdicts)

    found = []
    for subscription in subscriptions:
        n = numbers[subscription.id]
        found.append(
            SubscriptionComparison(
                subscription=subscription,
                rows=sum(many for (number, _), many in tally.items() if number == n),
                seated=of(n, DesiredVerdict.SEATED),
                new=of(n, DesiredVerdict.ASSIGN, DesiredVerdict.UNKNOWN, DesiredVerdict.BACK),
                ends=of(n, DesiredVerdict.ENDS),
                leaving=leaving.get(n, 0),
            )
        )
    return tuple(found)


def users_to_add(reader: Reader) -> int:
    """How many people are to be made users."""
    # Only where there are several subscriptions can one person stand in several good rows.
    people = "DISTINCT email_key" if len(handles(reader)) > 1 else "*"
    made = reader.count(f"SELECT count({people}) FROM desired WHERE verdict = 'unknown'")
    return made + reader.count("SELECT count(DISTINCT user_id) FROM desired WHERE verdict = 'back'")


def users_to_update(reader: Reader) -> int:
    """How many users have another name or group in the file."""
    return reader.count("SELECT count(DISTINCT user_id) FROM desired WHERE differs AND verdict <> 'bad'")


def rows_without_seat(reader: Reader, short: Iterable[SubscriptionComparison]) -> list[dict[str, JsonValue]]:
    """The rows that would go without a seat: in each subscription those beyond its room, in file order."""
    found: list[dict[str, JsonValue]] = []
    for one in short:
        good_rows = reader.rows(
            "SELECT d.line, d.email FROM desired d JOIN desired_pools p ON p.n = d.pool"
            f" WHERE p.pool_id = ? AND {WANTS} ORDER BY d.n LIMIT -1 OFFSET ?",
            (one.subscription.id, max(0, one.room)),
        )
        found += [
            {
                "line": row["line"],
                "email": row["email"],
                "subscription": one.subscription.name,
                "error": DesiredVerdict.NO_SEAT.value,
            }
            for row in good_rows
        ]
    return found


def mark_without_seat(journal: Journal, short: Iterable[SubscriptionComparison]) -> None:
    """Take the rows beyond the room of their subscription, in file order, out of the running."""
    for one in short:
        journal.execute(
            "UPDATE desired SET verdict = ? WHERE n IN (SELECT d.n FROM desired d"
            f" JOIN desired_pools p ON p.n = d.pool WHERE p.pool_id = ? AND {WANTS}"
            " ORDER BY d.n LIMIT -1 OFFSET ?)",
            (DesiredVerdict.NO_SEAT.value, one.subscription.id, max(0, one.room)),
        )


def records(reader: Reader) -> Iterator[Record]:
    """A record per difference: revoked seats first, then the rows of the file that change something."""
    revoked = reader.rows(
        "SELECT l.line, u.email, s.name AS subscription, t.until FROM leaving l"
        " JOIN seats t ON t.id = l.seat_id JOIN users u ON u.id = t.user_id"
        " JOIN subscriptions s ON s.id = t.subscription_id"
        " ORDER BY l.pool, l.seat_id"
    )
    for row in revoked:
        yield _record(row["line"], row["email"], row["subscription"], "revoked", row["until"], None)
    changed = reader.rows(
        "SELECT d.line, d.email, s.name AS subscription, d.verdict, d.until, d.problem FROM desired d"
        " LEFT JOIN desired_pools p ON p.n = d.pool LEFT JOIN subscriptions s ON s.id = p.pool_id"
        " WHERE d.verdict IN ('assign', 'unknown', 'back', 'ends', 'no seat free', 'bad')"
        " OR d.differs AND d.verdict IN ('seated', 'over') ORDER BY d.n"
    )
    for row in changed:
        yield _record(row[0], row[1], row[2], RESULTS[row[3]], row[4], row[5])


def _record(
    line: int | None, email: str, subscription: str | None, result: str, until: str | None, error: str | None
) -> Record:
    return {
        "line": line,
        "email": email,
        "subscription": subscription,
        "result": result,
        "until": until,
        "error": error,
    }


def audit_head(reader: Reader) -> str:
    """The head of the audit, `SEQ:HASH`; within a change that of what was committed before."""
    row = reader.row("SELECT seq || ':' || hash FROM audit ORDER BY seq DESC LIMIT 1")
    return "0:" if row is None else str(row[0])


def good_rows(reader: Reader) -> Iterator[DesiredRow]:
    """The good rows as they were staged, in file order: what a kept plan holds."""
    found = reader.rows(
        "SELECT d.line, d.email, d.email_key, d.name, d.group_name, d.until, p.handle, NULL FROM desired d"
        " JOIN desired_pools p ON p.n = d.pool WHERE d.verdict <> 'bad' ORDER BY d.n"
    )
    return (DesiredRow(*row) for row in found)


def handles(reader: Reader) -> list[str]:
    """The subscriptions of the file, as it names them."""
    return [row["handle"] for row in reader.rows("SELECT handle FROM desired_pools ORDER BY n")]
