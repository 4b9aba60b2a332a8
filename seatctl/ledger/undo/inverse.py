"""The inverse of a run, computed from its change rows into the staged table `undoing`, and its conflicts.

Only changes of users, seats, requests and roles can be undone; changes in Stripe have commands of their own.
`restore.py` writes the inverse; services/runs/undo.py decides who may undo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.ledger.locks import OPEN
from seatctl.ledger.requests import IS_OPEN
from seatctl.ledger.row_values import record
from seatctl.ledger.schema.staged import UNDOING
from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.report import Record

_STAGE = """INSERT INTO undoing
    (entity, entity_id, before, after, last_entry, erased_at, kind)
    WITH mine AS (
        SELECT c.entity, c.entity_id, c.before, c.after, c.entry, c.erased_at,
            row_number() OVER (PARTITION BY c.entity, c.entity_id ORDER BY c.entry, c.n) AS up,
            row_number() OVER (PARTITION BY c.entity, c.entity_id ORDER BY c.entry DESC, c.n DESC) AS down
        FROM audit a JOIN changes c ON c.entry = a.seq WHERE a.run = :run
    )
    SELECT entity, entity_id, max(CASE WHEN up = 1 THEN before END) AS before,
        max(CASE WHEN down = 1 THEN after END) AS after, max(entry) AS last_entry,
        max(erased_at) AS erased_at, ''
    FROM mine GROUP BY entity, entity_id"""

_KINDS = """UPDATE undoing SET
    subscription_id = CAST(json_extract(before, '$.subscription_id') AS BIGINT),
    user_id = CAST(json_extract(before, '$.user_id') AS BIGINT),
    until = json_extract(before, '$.until'),
    kind = CASE
    WHEN erased_at IS NOT NULL THEN 'erased'
    WHEN entity = 'user' AND json_extract(after, '$.erased') IS NOT NULL THEN 'erased'
    WHEN before IS NOT DISTINCT FROM after THEN 'nothing'
    WHEN entity = 'seat' THEN CASE
        WHEN before IS NULL AND json_extract(after, '$.revoked_at') IS NOT NULL THEN 'nothing'
        WHEN before IS NULL THEN 'given'
        WHEN json_extract(before, '$.user_id') IS NULL
            OR json_extract(before, '$.claimed_at') IS DISTINCT FROM json_extract(after, '$.claimed_at')
            THEN 'other'
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
"""Changes that were due by time alone (expired seats, planned capacities, requests for ended subscriptions)
were
not made by the run and are not undone."""

_FIND_SEATS = """UPDATE undoing SET seat_id = (SELECT t.id FROM seats t
        JOIN audit a ON a.seq = t.assigned_entry JOIN runs r ON r.number = a.run
        WHERE t.revoked_at IS NULL
        AND t.subscription_id = CAST(json_extract(after, '$.subscription_id') AS BIGINT)
        AND t.user_id = CAST(json_extract(after, '$.user_id') AS BIGINT)
        AND t.until IS NOT DISTINCT FROM json_extract(after, '$.until')
        AND (t.id = undoing.entity_id OR r.undo_of IS NOT NULL))
    WHERE kind IN ('given', 'ends')"""
"""If a later run revoked a seat and was undone, the undo assigned a new seat, which replaces the first one
here:
runs can be undone one after the other, the latest first."""

_LATER_CHANGE = """SELECT u.entity, u.entity_id, a.run FROM undoing u
    JOIN changes c ON c.entity = u.entity AND c.entity_id = u.entity_id AND c.entry > u.last_entry
    JOIN audit a ON a.seq = c.entry
    WHERE u.kind <> 'nothing' AND u.seat_id IS NULL AND NOT (u.kind = 'role' AND u.after IS NULL)
        AND NOT (u.entity = 'seat' AND (json_extract(c.after, '$.user_id') IS NULL
            OR json_extract(c.before, '$.claimed_at') IS DISTINCT FROM json_extract(c.after, '$.claimed_at')
            OR json_extract(c.after, '$.revoked_at') IS NOT NULL AND json_extract(c.after, '$.revoked_at')
                IS NOT DISTINCT FROM json_extract(c.after, '$.until')))
        AND NOT (u.entity = 'request' AND coalesce(json_extract(c.after, '$.status'), '') = 'expired')
        AND NOT (u.entity = 'user' AND EXISTS (SELECT 1 FROM users p WHERE p.id = u.entity_id
            AND p.email = json_extract(u.after, '$.email') AND p.status = json_extract(u.after, '$.status')
            AND p.name IS NOT DISTINCT FROM json_extract(u.after, '$.name')
            AND p.group_name IS NOT DISTINCT FROM json_extract(u.after, '$.group')
            AND p.last_active IS NOT DISTINCT FROM json_extract(u.after, '$.last_active')
            AND p.reclaim_exempt = coalesce(CAST(json_extract(u.after, '$.reclaim_exempt') AS BIGINT),
                CASE WHEN CAST(json_extract(u.before, '$.reclaim_exempt') AS BIGINT) = 1 THEN 0 END,
                p.reclaim_exempt)))
        AND NOT (u.entity = 'request' AND EXISTS (SELECT 1 FROM requests r WHERE r.number = u.entity_id
            AND r.status = json_extract(u.after, '$.status')
            AND r.subscription_id IS NOT DISTINCT FROM
                CAST(json_extract(u.after, '$.subscription_id') AS BIGINT)))
    ORDER BY a.run DESC LIMIT 1"""
"""Later changes that do not conflict: a claim or expiry of a seat, changes of this transaction, and changes
of a user or request that is again as the run left it. The number of a revoked role may be in use for another
role by now."""

_USERS_TO_REMOVE = """(SELECT entity_id FROM undoing WHERE kind = 'made'
        OR kind IN ('changed', 'status') AND json_extract(before, '$.status') = 'removed')"""

_DEPENDENTS = (
    f"""SELECT 'seat' AS entity, t.id AS entity_id, a.run FROM seats t
        JOIN audit a ON a.seq = t.assigned_entry
        WHERE t.revoked_at IS NULL AND t.user_id IN {_USERS_TO_REMOVE} AND a.run <> :run
        AND NOT EXISTS (SELECT 1 FROM undoing u WHERE u.seat_id = t.id) LIMIT 1""",
    f"""SELECT 'request' AS entity, r.number AS entity_id, a.run FROM requests r
        JOIN changes c ON c.entity = 'request' AND c.entity_id = r.number AND c.before IS NULL
        JOIN audit a ON a.seq = c.entry WHERE r.{IS_OPEN}
        AND r.user_id IN {_USERS_TO_REMOVE} AND a.run <> :run AND NOT EXISTS (SELECT 1 FROM undoing u
            WHERE u.entity = 'request' AND u.entity_id = r.number AND u.kind = 'decided'
            AND json_extract(u.before, '$.status') NOT IN {OPEN}) LIMIT 1""",
    f"""SELECT 'subscription' AS entity, s.id AS entity_id, max(a.run) AS run FROM subscriptions s
        JOIN changes c ON c.entity = 'subscription' AND c.entity_id = s.id JOIN audit a ON a.seq = c.entry
        WHERE s.owner_id IN {_USERS_TO_REMOVE} AND NOT s.{HAS_ENDED}
        GROUP BY s.id LIMIT 1""",
    """SELECT 'seat' AS entity, t.id AS entity_id, a.run FROM undoing u JOIN seats t
        ON t.subscription_id = u.subscription_id AND t.user_id = u.user_id
        AND t.revoked_at IS NULL JOIN audit a ON a.seq = t.assigned_entry
        WHERE u.kind = 'taken' AND a.run <> :run LIMIT 1""",
    """SELECT entity, entity_id, run FROM (SELECT 'user' AS entity, p.id AS entity_id,
        (SELECT max(a.run) FROM changes c JOIN audit a ON a.seq = c.entry
            WHERE c.entity = 'user' AND c.entity_id = p.id) AS run
        FROM users p WHERE p.status = 'removed'
        AND p.id IN (SELECT user_id FROM undoing WHERE kind = 'taken')) AS removed
        WHERE run <> :run LIMIT 1""",
    f"""SELECT 'request' AS entity, o.number AS entity_id, a.run FROM undoing u JOIN requests r
        ON r.number = u.entity_id JOIN requests o ON o.user_id = r.user_id AND o.number <> r.number
        AND coalesce(o.subscription_id, 0) = coalesce(u.subscription_id, 0)
        AND o.{IS_OPEN} JOIN changes c ON c.entity = 'request'
        AND c.entity_id = o.number AND c.before IS NULL JOIN audit a ON a.seq = c.entry
        WHERE u.kind = 'decided' AND a.run <> :run LIMIT 1""",
)


@dataclass(frozen=True, slots=True)
class UndoConflict:
    """A later run that depends on what would be undone, and the entity that shows it."""

    subject: str
    run: int


def stage(tx: Transaction, run: int) -> set[str]:
    """Fill the staged table `undoing` with the inverse of a run, a row per entity; return kinds of change."""
    tx.stage(UNDOING)
    tx.execute(_STAGE, {"run": run})
    tx.execute(_KINDS)
    tx.execute(_FIND_SEATS)
    tx.index_staged(UNDOING)
    return {row[0] for row in tx.rows("SELECT DISTINCT kind FROM undoing")}


def first_conflict(tx: Transaction, run: int) -> UndoConflict | None:
    """Return the first later run that depends on what would be undone, or None."""
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
    subject = reader.value(queries[entity], (entity_id,)) if entity in queries else None
    return str(subject) if subject is not None else f"{entity} {entity_id}"


def subscriptions(reader: Reader) -> list[int]:
    """Return the ids of subscriptions whose seats or requests would change."""
    rows = reader.rows(
        "SELECT DISTINCT CAST(json_extract(coalesce(before, after), '$.subscription_id') AS BIGINT) AS id"
        " FROM undoing"
        " WHERE kind IN ('given', 'taken', 'ends', 'asked', 'decided')"
    )
    return [row["id"] for row in rows if row["id"] is not None]


def seats_needed(reader: Reader, subscription_id: int) -> int:
    """Return how many seats of the subscription would be assigned again."""
    return reader.count(
        "SELECT count(*) FROM undoing WHERE kind = 'taken' AND subscription_id = ?", (subscription_id,)
    )


def results(reader: Reader) -> Iterator[Record]:
    """Return an output record per entity: entity, subject, result."""
    rows = reader.stream(
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
    return map(record, rows)
