"""The SQL that gives a database role its rights. `ledger grants` prints it; the ledger's owner runs it.

It needs no superuser: the owner of the ledger's tables may grant privileges on them and create policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seatctl.ledger.schema.postgres.rights import LIMITED
from seatctl.ledger.schema.postgres.tables import columns_by_table, tables
from seatctl.ledger.schema.staged import STAGED
from seatctl.models.database_role import DatabaseRole

_HIDDEN = frozenset(("activation_codes", "leases", "commits", "locks", "staged_loads"))
"""Tables with codes and with secrets of other clients: only roles that write read them in full."""

_INSERTED = (
    *("runs", "audit", "changes", "outbox", "leases", "held_seats", "operations", "steps"),
    *("batch_rows", "capacity_changes", "invoices", "invoice_lines", "customers", "activation_codes"),
    *("seats", "requests", "meta"),
)
_UPDATED = {
    "runs": "state, finished_at, summary, undo_of",
    "seats": "until, claimed_at, revoked_at, revoked_entry",
    "requests": "status, decided_by, decided_at, reason, subscription_id, waitlisted_at, note",
    "activation_codes": "used_at",
    "operations": "state, outcome, finished_at",
    "steps": "answer, answered_at",
    "batch_rows": "state, entry_id, error",
    **dict.fromkeys(
        ("outbox", "leases", "held_seats", "capacity_changes", "invoices", "customers", "meta"), ""
    ),
}
"""The columns of each table that may be changed; empty: all of them."""
_DELETED = (
    *("outbox", "leases", "held_seats", "capacity_changes", "invoices", "invoice_lines", "new_requests"),
)

_COUNTED = ("assigned", "last_counted")
"""The columns of subscriptions that the triggers on seats keep."""

_FIXED = (*_COUNTED, "id", "created_at")

_REQUESTS_SEEN = "number, user_id, subscription_id, features, status, priority, created_at, expires_at,"
_SEEN = {
    "users": "id, email_key, status",
    "seats": "id, subscription_id, user_id, assigned_at, until, claimed_at, revoked_at",
    "requests": f"{_REQUESTS_SEEN} waitlisted_at",
    "subscriptions": "id, name, name_key, plan_id, stripe_subscription, stripe_item, status, policy,"
    " capacity, cancel_at, unpaid_since, pause_collection, home_ledger",
    "plans": "id, slug, product_id, price_id",
    "invoices": "",
    "sync_state": "",
    "meta": "",
}
"""The columns that requesters, and roles that only check, may read. The policies choose the rows."""


class DatabaseGrant(NamedTuple):
    """A right to give to a database role."""

    role: DatabaseRole
    db_role: str
    subscription_id: int | None = None
    actor: str | None = None
    actor_key: str | None = None


def grant(schema: str, given: DatabaseGrant) -> str:
    """Return the SQL that gives the right; running it again changes nothing."""
    to = _name(given.db_role)
    return _script(
        schema,
        [
            f"GRANT USAGE ON SCHEMA {_name(schema)} TO {to}",
            *(f"{privileges} TO {to}" for privileges in _privileges(given)),
            *_policies(given),
            *_rows(given),
        ],
    )


def revoke(schema: str, db_role: str) -> str:
    """Return the SQL that takes every right in the ledger from a database role."""
    quoted, of = _name(db_role), _name(schema)
    kinds = ("TABLES", "SEQUENCES", "FUNCTIONS")
    return _script(
        schema,
        [
            f"DELETE FROM database_grants WHERE db_role = {_text(db_role)}",
            *(f"REVOKE ALL ON ALL {kind} IN SCHEMA {of} FROM {quoted}" for kind in kinds),
            *(f"DROP POLICY IF EXISTS {_policy(db_role)} ON {table}" for table in LIMITED),
            f"REVOKE USAGE ON SCHEMA {of} FROM {quoted}",
        ],
    )


def _script(schema: str, statements: Sequence[str]) -> str:
    # psql would print a notice for each policy that does not exist yet.
    quiet = "SET LOCAL client_min_messages TO warning"
    lines = ["BEGIN", quiet, f"SET LOCAL search_path TO {_name(schema)}, pg_temp", *statements, "COMMIT"]
    return "".join(f"{line};\n" for line in lines)


def _privileges(given: DatabaseGrant) -> Iterator[str]:
    """Yield GRANT statements without their grantee."""
    role = given.role
    yield from _functions("own_grants()", "visible_user()")
    if not role.reads_everything:
        yield from _of_limited(role)
        return
    hidden = () if role.writes else _HIDDEN
    read = [name for name in table_names() if name not in {*hidden, "locks", "staged_loads"}]
    yield f"GRANT SELECT ON {', '.join(read)}"
    if not role.writes:
        codes = [column for column in _columns("activation_codes") if column != "code_hash"]
        yield f"GRANT SELECT ({', '.join(codes)}) ON activation_codes"
    yield from _functions(
        "link_audit(bigint, boolean)", "take_turns(text, double precision, double precision)"
    )
    yield from _of_comparing()
    if role.writes:
        yield from _of_writers()
    if role is DatabaseRole.ADMIN or (role is DatabaseRole.ASSIGNOR and given.subscription_id is None):
        yield from _of_the_whole_ledger()
    if role is DatabaseRole.ADMIN:
        yield "GRANT UPDATE (command) ON runs, batch_rows"
        yield "GRANT DELETE ON meta, former_email_keys"
        yield from _functions("blank_change(bigint, bigint, text)")


def _of_limited(role: DatabaseRole) -> Iterator[str]:
    own = {"users": "", "requests": ""} if role is DatabaseRole.REQUESTER else {}
    for table, columns in {**_SEEN, **own}.items():
        yield f"GRANT SELECT{_listed(columns)} ON {table}"
    yield from _functions("place_on_waitlist(bigint, text)")
    if role is DatabaseRole.REQUESTER:
        yield "GRANT INSERT ON commits"
        yield from _functions(
            "request_seat(bigint, text, text, text, text, text, text, text)",
            "cancel_own_request(bigint, text, text, text, text)",
            "link_audit(bigint, boolean)",
        )


def _of_writers() -> Iterator[str]:
    yield f"GRANT INSERT ON {', '.join(_INSERTED)}"
    for table, columns in _UPDATED.items():
        yield f"GRANT UPDATE{_listed(columns)} ON {table}"
    changed = [column for column in _columns("subscriptions") if column not in _FIXED]
    yield f"GRANT UPDATE ({', '.join(changed)}) ON subscriptions"
    yield f"GRANT DELETE ON {', '.join(_DELETED)}"
    yield "GRANT USAGE ON SEQUENCE audit_seq_seq, runs_number_seq"
    yield from _functions("permitted(text, bigint)", "lock_ledger(boolean)", "lock_users()")


def _of_comparing() -> Iterator[str]:
    """Yield what `seats apply --check` needs: staged rows, which are not part of the ledger.

    A client reaches only those rows whose number it knows, and the numbers are random.
    """
    for staged in STAGED:
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {staged.name}"
        yield f"GRANT INSERT ({', '.join(staged.columns)}) ON staged_{staged.name}"
    yield "GRANT INSERT ON commits"
    yield from _functions(
        "begin_load(bigint)", "require_load(bigint)", "forget_loads(bigint)", "index_staged(text)"
    )


def _of_the_whole_ledger() -> Iterator[str]:
    """Yield what a role of one subscription does not get: users, new subscriptions, and what a sync adds."""
    new = [column for column in _columns("subscriptions") if column not in _COUNTED]
    yield "GRANT INSERT, UPDATE ON users, plans"
    yield "GRANT INSERT, UPDATE, DELETE ON stripe_objects, sync_state"
    yield f"GRANT INSERT ({', '.join(new)}) ON subscriptions"
    # Triggers let an assignor change none of these rows; the statement for an e-mail address finds none.
    yield "GRANT INSERT, UPDATE, DELETE ON roles"


def _functions(*signatures: str) -> Iterator[str]:
    for signature in signatures:
        yield f"GRANT EXECUTE ON FUNCTION {signature}"


def _policies(given: DatabaseGrant) -> Iterator[str]:
    """Yield the policies for a role that sees all rows.

    The condition is a constant: the planner then treats the tables as if they had no policies. A condition
    that asks for the rights would keep it from using the index for searches.
    """
    if not given.role.reads_everything:
        return
    name, to = _policy(given.db_role), _name(given.db_role)
    for table in LIMITED:
        yield f"DROP POLICY IF EXISTS {name} ON {table}"
        yield f"CREATE POLICY {name} ON {table} TO {to} USING (true) WITH CHECK (true)"


def _rows(given: DatabaseGrant) -> Iterator[str]:
    """Yield the statements that store the right; the actor is that of all rights of the database role."""
    subscription = "NULL" if given.subscription_id is None else f"{given.subscription_id:d}"
    yield (
        "INSERT INTO database_grants (db_role, role, subscription_id, actor, actor_key) VALUES"
        f" ({_text(given.db_role)}, '{given.role}', {subscription}, {_text(given.actor)},"
        f" {_text(given.actor_key)}) ON CONFLICT (db_role, role, coalesce(subscription_id, 0))"
        " DO UPDATE SET actor = excluded.actor, actor_key = excluded.actor_key"
    )
    if given.actor is not None:
        yield (
            f"UPDATE database_grants SET actor = {_text(given.actor)}, actor_key = {_text(given.actor_key)}"
            f" WHERE db_role = {_text(given.db_role)}"
        )


def table_names() -> list[str]:
    """Return the names of the tables of a ledger, without those of staged rows and of grants."""
    found = (re.match(r"CREATE TABLE (\w+)", statement) for statement in tables())
    return [match[1] for match in found if match is not None]


def _columns(table: str) -> list[str]:
    return columns_by_table(tables())[table]


def _listed(columns: str) -> str:
    return f" ({columns})" if columns else ""


def _policy(db_role: str) -> str:
    return _name(f"rows of {db_role}")


def _name(text: str) -> str:
    """Return an identifier, quoted."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _text(text: str | None) -> str:
    """Return a text as a literal."""
    if text is None:
        return "NULL"
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
