"""The inverse of what a run changed, from its change rows: staged in a TEMP table and judged.

Only people, seats, requests and granted roles have an inverse here: what stands in Stripe has a command of
its own. What is then written is `restore.py`; who may undo, and what is told:
services/runs/undo_changes.py.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.report import Record

_STAGE = """CREATE TEMP TABLE undoing AS
    WITH mine AS (
        SELECT c.entity, c.entity_id, c.before, c.after, c.entry, c.erased_at,
            row_number() OVER (PARTITION BY c.entity, c.entity_id ORDER BY c.entry, c.n) AS up,
            row_number() OVER (PARTITION BY c.entity, c.entity_id ORDER BY c.entry DESC, c.n DESC) AS down
        FROM audit a JOIN changes c ON c.entry = a.seq WHERE a.run = :run
    )
    SELECT entity, entity_id, max(CASE WHEN up = 1 THEN before END) AS before,
        max(CASE WHEN down = 1 THEN after END) AS after, max(entry) AS last_entry,
        max(erased_at) AS erased_at,
        '' AS kind, NULL AS pool, NULL AS person, NULL AS until, NULL AS seat_id
    FROM mine GROUP BY entity, entity_id"""

_KINDS = """UPDATE undoing SET pool = json_extract(before, '$.subscription_id'),
    person = json_extract(before, '$.user_id'), until = json_extract(before, '$.until'), kind = CASE
    WHEN erased_at IS NOT NULL THEN 'erased'
    WHEN entity = 'user' AND json_extract(after, '$.erased') IS NOT NULL THEN 'erased'
    WHEN before IS after THEN 'nothing'
    WHEN entity = 'seat' THEN CASE
        WHEN before IS NULL AND json_extract(after, '$.revoked_at') IS NOT NULL THEN 'nothing'
        WHEN before IS NULL THEN 'given'
        WHEN json_extract(before, '$.user_id') IS NULL
            OR json_extract(before, '$.claimed_at') IS NOT json_extract(after, '$.claimed_at') THEN 'other'
        WHEN json_extract(after, '$.revoked_at') IS NULL THEN 'ends'
        WHEN json_extract(after, '$.revoked_at') = json_extract(after, '$.until') THEN 'nothing'
        ELSE 'taken' END
    WHEN entity = 'user' THEN CASE WHEN before IS NULL THEN 'made'
        WHEN json_remove(before, '$.status') = json_remove(after, '$.status') THEN 'status'
        ELSE 'changed' END
    WHEN entity = 'request' THEN CASE
        WHEN before IS NULL THEN 'asked'
        WHEN json_extract(after, '$.status') = 'expired' THEN 'nothing'
        WHEN json_extract(after, '$.status') = 'denied' AND json_extract(after, '$.decided_by') = 'auto'
            THEN 'nothing'
        ELSE 'decided' END
    WHEN entity = 'role' AND json_extract(coalesce(before, after), '$.actor') IS NOT NULL THEN 'role'
    WHEN entity = 'subscription' AND before IS NOT NULL AND json_extract(before, '$.capacity') IS NOT NULL
        AND json_extract(before, '$.name') IS NULL AND json_extract(before, '$.status') IS NULL THEN 'nothing'
    ELSE 'other' END"""
"""What time alone has done (a seat that expired, seats paid for from a date on, a request of a subscription
that has ended) is not the run's."""

_FIND_SEATS = """UPDATE undoing SET seat_id = (SELECT t.id FROM seats t
        JOIN audit a ON a.seq = t.assigned_entry JOIN runs r ON r.number = a.run
        WHERE t.revoked_at IS NULL AND t.subscription_id = json_extract(after, '$.subscription_id')
        AND t.user_id = json_extract(after, '$.user_id') AND t.until IS json_extract(after, '$.until')
        AND (t.id = undoing.entity_id OR r.undo_of IS NOT NULL))
    WHERE kind IN ('given', 'ends')"""
"""A seat that a later run took away, and whose undo gave it back as a new one, stands for the first: runs
can be undone one after the other, the latest first."""

_LATER_CHANGE = """SELECT u.entity, u.entity_id, a.run FROM undoing u
    JOIN changes c ON c.entity = u.entity AND c.entity_id = u.entity_id AND c.entry > u.last_entry
    JOIN audit a ON a.seq = c.entry
    WHERE u.kind <> 'nothing' AND u.seat_id IS NULL AND NOT (u.kind = 'role' AND u.after IS NULL)
        AND NOT (u.entity = 'seat' AND (json_extract(c.after, '$.user_id') IS NULL
            OR json_extract(c.before, '$.claimed_at') IS NOT json_extract(c.after, '$.claimed_at')
            OR json_extract(c.after, '$.revoked_at') IS NOT NULL
            AND json_extract(c.after, '$.revoked_at') IS json_extract(c.after, '$.until')))
        AND NOT (u.entity = 'request' AND coalesce(json_extract(c.after, '$.status'), '') = 'expired')
        AND NOT (u.entity = 'user' AND EXISTS (SELECT 1 FROM users p WHERE p.id = u.entity_id
            AND p.email = json_extract(u.after, '$.email') AND p.status = json_extract(u.after, '$.status')
            AND p.name IS json_extract(u.after, '$.name')
            AND p.group_name IS json_extract(u.after, '$.group')
            AND p.last_active IS json_extract(u.after, '$.last_active')
            AND p.reclaim_exempt = coalesce(json_extract(u.after, '$.reclaim_exempt'),
                iif(json_extract(u.before, '$.reclaim_exempt'), 0, p.reclaim_exempt))))
        AND NOT (u.entity = 'request' AND EXISTS (SELECT 1 FROM requests r WHERE r.number = u.entity_id
            AND r.status = json_extract(u.after, '$.status')
            AND r.subscription_id IS json_extract(u.after, '$.subscription_id')))
    ORDER BY a.run DESC LIMIT 1"""
"""A claimed seat and an expired one do not stand in the way; a change of this very transaction
neither, nor a user or a request that is again what the run made of it. The number of a role that was taken
away may be another one's by now, which it has nothing to do with."""

_USERS_TO_REMOVE = """(SELECT entity_id FROM undoing WHERE kind = 'made'
        OR kind IN ('changed', 'status') AND json_extract(before, '$.status') = 'removed')"""

# `+t.id` has no affinity, as the TEMP column has none: else its index is not used, which is quadratic.
_DEPENDENTS = (
    f"""SELECT 'seat' AS entity, t.id AS entity_id, a.run FROM seats t
        JOIN audit a ON a.seq = t.assigned_entry
        WHERE t.revoked_at IS NULL AND t.user_id IN {_USERS_TO_REMOVE} AND a.run <> :run
        AND NOT EXISTS (SELECT 1 FROM undoing u WHERE u.seat_id = +t.id) LIMIT 1""",
    f"""SELECT 'request' AS entity, r.number AS entity_id, a.run FROM requests r
        JOIN changes c ON c.entity = 'request' AND c.entity_id = r.number AND c.before IS NULL
        JOIN audit a ON a.seq = c.entry WHERE r.status IN ('pending', 'waitlisted')
        AND r.user_id IN {_USERS_TO_REMOVE} AND a.run <> :run AND NOT EXISTS (SELECT 1 FROM undoing u
            WHERE u.entity = 'request' AND u.entity_id = r.number AND u.kind = 'decided'
            AND json_extract(u.before, '$.status') NOT IN ('pending', 'waitlisted')) LIMIT 1""",
    f"""SELECT 'subscription' AS entity, s.id AS entity_id, max(a.run) AS run FROM subscriptions s
        JOIN changes c ON c.entity = 'subscription' AND c.entity_id = s.id JOIN audit a ON a.seq = c.entry
        WHERE s.owner_id IN {_USERS_TO_REMOVE} AND s.status NOT IN ('canceled', 'incomplete_expired')
        GROUP BY s.id LIMIT 1""",
    """SELECT 'seat' AS entity, t.id AS entity_id, a.run FROM undoing u JOIN seats t
        ON t.subscription_id = u.pool AND t.user_id = u.person
        AND t.revoked_at IS NULL JOIN audit a ON a.seq = t.assigned_entry
        WHERE u.kind = 'taken' AND a.run <> :run LIMIT 1""",
    """SELECT entity, entity_id, run FROM (SELECT 'user' AS entity, p.id AS entity_id,
        (SELECT max(a.run) FROM changes c JOIN audit a ON a.seq = c.entry
            WHERE c.entity = 'user' AND c.entity_id = p.id) AS run
        FROM users p WHERE p.status = 'removed'
        AND p.id IN (SELECT person FROM undoing WHERE kind = 'taken')) AS gone
        WHERE run <> :run LIMIT 1""",
    """SELECT 'request' AS entity, o.number AS entity_id, a.run FROM undoing u JOIN requests r
        ON r.number = u.entity_id JOIN requests o ON o.user_id = r.user_id AND o.number <> r.number
        AND coalesce(o.subscription_id, 0) = coalesce(u.pool, 0)
        AND o.status IN ('pending', 'waitlisted') JOIN changes c ON c.entity = 'request'
        AND c.entity_id = o.number AND c.before IS NULL JOIN audit a ON a.seq = c.entry
        WHERE u.kind = 'decided' AND a.run <> :run LIMIT 1""",
)


@dataclass(frozen=True, slots=True)
class UndoConflict:
    """A later run that built on what would be taken back."""

    what: str
    run: int


def stage(tx: Transaction, run: int) -> set[str]:
    """What the run made of each thing in all, into TEMP table `undoing`; which kinds of change those are."""
    tx.execute("DROP TABLE IF EXISTS temp.undoing")
    tx.execute(_STAGE, {"run": run})
    tx.execute(_KINDS)
    tx.execute(_FIND_SEATS)
    tx.execute("CREATE INDEX temp.undoing_by_seat ON undoing (seat_id)")
    return {row[0] for row in tx.rows("SELECT DISTINCT kind FROM undoing")}


def first_conflict(tx: Transaction, run: int) -> UndoConflict | None:
    """The first later run that an undo would cut the ground from under, if there is one."""
    for query in (_LATER_CHANGE, *_DEPENDENTS):
        row = tx.row(query, {"run": run} if ":run" in query else {})
        if row is not None:
            return UndoConflict(_subject(tx, row["entity"], row["entity_id"]), row["run"])
    return None


def _subject(reader: Reader, entity: str, entity_id: int) -> str:
    queries = {
        "user": "SELECT email FROM users WHERE id = ?",
        "seat": "SELECT 'the seat of ' || u.email || ' in ' || s.name FROM seats t"
        " JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id WHERE t.id = ?",
        "subscription": "SELECT name FROM subscriptions WHERE id = ?",
    }
    found = reader.value(queries[entity], (entity_id,)) if entity in queries else None
    return str(found) if found is not None else f"{entity} {entity_id}"


def subscriptions(reader: Reader) -> list[int]:
    """The subscriptions whose seats or requests would change."""
    found = reader.rows(
        "SELECT DISTINCT json_extract(coalesce(before, after), '$.subscription_id') AS pool FROM undoing"
        " WHERE kind IN ('given', 'taken', 'ends', 'asked', 'decided')"
    )
    return [row["pool"] for row in found if row["pool"] is not None]


def seats_needed(reader: Reader, subscription: int) -> int:
    """How many seats would be taken again there."""
    return reader.count("SELECT count(*) FROM undoing WHERE kind = 'taken' AND pool = ?", (subscription,))


def results(reader: Reader) -> Iterator[Record]:
    """What became of each thing: entity, subject, result."""
    found = reader.rows(
        "SELECT u.entity, CASE u.entity WHEN 'user' THEN (SELECT email FROM users WHERE id = u.entity_id)"
        " WHEN 'seat' THEN (SELECT p.email || ' in ' || s.name FROM seats t JOIN users p ON p.id = t.user_id"
        " JOIN subscriptions s ON s.id = t.subscription_id WHERE t.id = u.entity_id)"
        " WHEN 'role' THEN json_extract(coalesce(u.after, u.before), '$.actor')"
        " ELSE 'request ' || u.entity_id END AS subject,"
        " CASE u.kind WHEN 'role' THEN CASE WHEN u.before IS NULL THEN 'no longer '"
        " || json_extract(u.after, '$.role') ELSE json_extract(u.before, '$.role') || ' again' END"
        " WHEN 'given' THEN 'revoked' WHEN 'taken' THEN 'seated again' WHEN 'made' THEN 'removed'"
        " WHEN 'ends' THEN 'ends as before' WHEN 'asked' THEN 'canceled' ELSE 'as before' END AS result"
        " FROM undoing u WHERE u.kind <> 'nothing' ORDER BY u.entity, u.entity_id"
    )
    for row in found:
        yield {"entity": row["entity"], "subject": row["subject"], "result": row["result"]}
