"""Questions of a large ledger that concern few of its rows: what they cost must not grow with the rest."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.measure import Figure, Sample, expect, paired
from bench.stage import Stage, new_stage, with_subscription, write_people

UNDO_BUDGET = 1.5
SAME = 1.5
"""Ten times as much makes an index one level deeper, and the caches of the machine smaller."""
REPEATED = 20

_INVOICES = """INSERT INTO invoices (stripe_id, number, status, currency, subtotal, total, amount_due,
    amount_paid, amount_remaining, customer_id, subscription_id, created_at, finalized_at,
    stripe_subscription)
    WITH RECURSIVE n (i) AS (VALUES (:first) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
    SELECT 'in_' || i, 'N-' || i, :status, 'usd', 1200, 1200, 1200, 1200 - :owed, :owed, 1, :subscription,
    strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + i * 60, 'unixepoch'), '2026-01-01T00:00:00Z',
    CASE WHEN :subscription IS NULL THEN 'sub_' || (i % 20000) END FROM n"""


def questions(work: Path, users: int, rounds: int) -> list[Figure]:
    """Undo of one change against making it; the invoices of one subscription and the unpaid ones, SQL alone.

    A fifth of the users sit, so that there are 1.2 changes a user, and a fifth as many invoices as users.
    """
    stage = _populated(work / "few", users)
    put_invoices(stage.ledger, 1, users // 50)
    large = stage.copy(work / "many")
    put_invoices(large.ledger, users // 50 + 1, users // 5)
    expect(large.count("SELECT count(*) > 1.2 * (SELECT count(*) FROM users) - 9 FROM changes"), 1, "changes")
    number = iter(range(10 * rounds))

    def added() -> Sample:
        return large.seatctl("users", "add", f"new{next(number)}@example.com")

    def undone() -> Sample:
        last = large.count("SELECT max(number) FROM runs")
        sample = large.seatctl("runs", "undo", str(last))
        expect(large.count("SELECT undo_of FROM runs ORDER BY number DESC LIMIT 1"), last, "the run undone")
        return sample

    floor, ours = paired(added, undone, rounds, warm=True)
    figures = [Figure(f"undo of one of {users * 12 // 10:,} changes", ours, floor, UNDO_BUDGET, "ms")]
    for name, asked in (("of one subscription", {"subscription_id": 1}), ("unpaid", {"unpaid": True})):
        figures.append(
            Figure(
                f"invoices {name}: {users // 5:,}, {users // 50:,}", *_sql(large, stage, asked), SAME, "µs"
            )
        )
    return figures


def put_invoices(ledger: Path, first: int, last: int) -> None:
    """Invoices of other subscriptions; with the first one, ten of the ledger's own, one of them unpaid."""
    with closing(sqlite3.connect(ledger)) as db, db:
        paid = {"status": "paid", "owed": 0, "subscription": None}
        db.execute(_INVOICES, {**paid, "first": first, "last": last})
        if first == 1:
            db.execute(_INVOICES, {**paid, "first": -9, "last": -1, "subscription": 1})
            db.execute(_INVOICES, {"first": 0, "last": 0, "subscription": 1, "status": "open", "owed": 1200})


def _sql(large: Stage, small: Stage, asked: dict[str, int]) -> tuple[float, float]:
    """Seconds of processor time that the list of invoices costs in both ledgers, in turns."""
    from seatctl.ledger import invoices
    from seatctl.ledger.ledger import open_ledger

    def timed(stage: Stage) -> Callable[[], float]:
        ledger = open_ledger(stage.ledger)

        def once() -> float:
            with ledger.reading() as reader:
                started = time.process_time()
                for _ in range(REPEATED):
                    found = list(invoices.listing(reader, **asked))
                seconds = (time.process_time() - started) / REPEATED
            expect(0 < len(found) < REPEATED, True, "a few invoices")
            return seconds

        once()
        return once

    both = timed(large), timed(small)
    pairs = [(both[0](), both[1]()) for _ in range(REPEATED)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _populated(home: Path, users: int) -> Stage:
    stage = new_stage(home)
    stage.prepare("users", "import", write_people(home / "people.csv", users))
    with_subscription(stage, users // 5)
    stage.prepare("seats", "assign", "design", "--from", write_people(home / "some.csv", users // 5))
    return stage
