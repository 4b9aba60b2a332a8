"""Checking a ledger from within: the file, its references, the counters, design section 5, the audit."""

from __future__ import annotations

from collections.abc import Iterator

from seatctl.ledger import audit
from seatctl.ledger.transaction import Reader

# Each yields (what, detail) for a row that must not exist.
_RULES = {
    "assigned": """SELECT s.name, s.assigned || ' counted, ' || count(t.id) || ' seats are active'
        FROM subscriptions s LEFT JOIN seats t ON t.subscription_id = s.id AND t.revoked_at IS NULL
        GROUP BY s.id HAVING s.assigned <> count(t.id)""",
    "one_seat_per_user": """SELECT s.name, u.email || ' sits there ' || count(*) || ' times' FROM seats t
        JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id
        WHERE t.revoked_at IS NULL GROUP BY t.subscription_id, t.user_id HAVING count(*) > 1""",
    "seat_entries": """SELECT 'seat ' || t.id, 'its audit entry is missing' FROM seats t
        WHERE t.assigned_entry IS NOT NULL AND NOT EXISTS (SELECT 1 FROM audit WHERE seq = t.assigned_entry)
        OR t.revoked_entry IS NOT NULL AND NOT EXISTS (SELECT 1 FROM audit WHERE seq = t.revoked_entry)""",
    "seat_times": """SELECT 'seat ' || id, 'it ends before it begins' FROM seats
        WHERE revoked_at < assigned_at""",
    "removed_users": """SELECT u.email, 'was removed, but has a seat in ' || s.name FROM seats t
        JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id
        WHERE t.revoked_at IS NULL AND u.status = 'removed'""",
    "search_index": """SELECT 'users_search', 'it knows ' || (SELECT count(*) FROM users_search_docsize)
        || ' users, the ledger ' || (SELECT count(*) FROM users)
        WHERE (SELECT count(*) FROM users_search_docsize) <> (SELECT count(*) FROM users)""",
}

_OVER_ASSIGNED = """SELECT name, assigned, capacity FROM subscriptions WHERE assigned > capacity"""


def problems(reader: Reader) -> Iterator[tuple[str, str, str]]:
    """(check, subject, detail) of everything that is wrong, as it is found."""
    for problem in reader.engine.integrity_problems():
        yield "integrity", "file", problem
    for name, rule in _RULES.items():
        for row in reader.rows(rule):
            yield name, str(row[0]), str(row[1])
    found = audit.verify(reader)
    if found.problem is not None:
        yield "audit", f"entry {found.bad_entry}", found.problem


def over_assigned(reader: Reader) -> list[str]:
    """Subscriptions in which more sit than are paid for: allowed (rule 3), but worth a word."""
    return [f"{row[0]}: {row[1]} sit in {row[2]} seats" for row in reader.rows(_OVER_ASSIGNED)]


def checks() -> tuple[str, ...]:
    """The names of all checks, in order."""
    return ("integrity", *_RULES, "audit")
