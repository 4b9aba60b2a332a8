"""Users: queries and lists, and changes of single users. Many at once: `bulk_users.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from seatctl.errors import Code, JsonValue, NotFound, refuse
from seatctl.ledger import change_rows, roles, user_search
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.groups import group_key
from seatctl.ledger.row_values import mapper, record
from seatctl.ledger.schema import email_keys
from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_text, parse_time
from seatctl.models.report import Record
from seatctl.models.user import User, UserStatus
from seatctl.rules.emails import check_email, email_key
from seatctl.rules.names import same_group
from seatctl.rules.typed_values import did_you_mean

_COLUMNS = """u.id, u.email, u.name, u.group_name AS "group", u.status, u.last_active, u.created_at,
    u.reclaim_exempt AS exempt"""

_CANDIDATES = 200
"""How many candidates for a suggestion are read."""


class UnknownUser(NotFound):
    """There is no user with this e-mail address."""

    kind = Code.UNKNOWN_USER


def find(reader: Reader, email: str) -> User | None:
    """Return the user with this e-mail, even if removed, or None."""
    row = reader.row(f"SELECT {_COLUMNS} FROM users AS u WHERE u.email_key = ?", (email_key(email),))
    return None if row is None else _user(row)


def email_of(reader: Reader, user_id: int) -> str | None:
    """Return the e-mail of the user with this id, or None."""
    return reader.text("SELECT email FROM users WHERE id = ?", (user_id,))


def require(reader: Reader, email: str) -> User:
    """Return the user with this e-mail, in any status. Raises UnknownUser with similar e-mails."""
    user = find(reader, email)
    if user is None:
        otherwise = "seatctl users list" if check_email(email) else f"seatctl users add {quoted(email)}"
        hint = did_you_mean(email, similar_emails(reader, email), otherwise)
        raise UnknownUser(f"there is no user {email!r}", hint=hint, data={"email": email})
    return user


def quoted(text: str) -> str:
    """Return a text quoted as an argument of a command."""
    from shlex import quote

    return f"-- {quote(text)}" if text.startswith("-") else quote(text)


def similar_emails(reader: Reader, email: str) -> list[str]:
    """Return candidates for a suggestion: e-mails with the same first letter, or some of the same letters."""
    key = email_key(email)
    emails: list[str] = []
    local = key.partition("@")[0]
    for search in (user_search.matching(reader, key[:1]), user_search.resembling(reader, local)):
        rows = reader.rows(
            f"SELECT u.email FROM {search.source} WHERE {search.where} AND u.status <> 'removed' LIMIT :most",
            {**search.params, "most": _CANDIDATES},
        )
        emails += [row["email"] for row in rows]
    return emails


def records(
    reader: Reader,
    *,
    text: str = "",
    status: UserStatus | None = None,
    group: str | None = None,
    now: datetime,
) -> Iterator[Record]:
    """Return users as output records; without `status`, all except removed ones.

    They are sorted by e-mail; results of a search are not sorted. `seats` counts active seats at `now` (UTC).
    """
    source, where, params = _selection(reader, text, status, group)
    rows = reader.stream(
        'SELECT u.email, u.name, u.group_name AS "group", u.status, (SELECT count(*) FROM seats AS s'
        " WHERE s.user_id = u.id AND s.revoked_at IS NULL AND (s.until IS NULL OR s.until > :now)) AS seats,"
        f" u.last_active, u.created_at FROM {source} WHERE {where} {'' if text else 'ORDER BY u.email_key'}",
        {**params, "now": format_time(now)},
    )
    return map(record, rows)


def total(
    reader: Reader, *, text: str = "", status: UserStatus | None = None, group: str | None = None
) -> int:
    """Return how many users `records` yields."""
    source, where, params = _selection(reader, text, status, group)
    return reader.count(f"SELECT count(*) FROM {source} WHERE {where}", params)


def _selection(
    reader: Reader, text: str, status: UserStatus | None, group: str | None
) -> tuple[str, str, dict[str, SqlValue]]:
    search = user_search.matching(reader, text) if text else user_search.EVERYBODY
    params = dict(search.params)
    where = [search.where]
    if status is None:
        where.append("u.status <> 'removed'")
    else:
        where.append("u.status = :status")
        params["status"] = status.value
    if group is not None:
        where.append("u.group_key = :group")
        params["group"] = group_key(group)
    return search.source, " AND ".join(where), params


def add(tx: Transaction, email: str, *, name: str | None = None, group: str | None = None) -> User:
    """Create a user, or bring back a removed one; an existing user is returned unchanged.

    E-mail, name and group must have been checked (rules/people.py).
    """
    user = find(tx, email)
    if user is None:
        return _create(tx, email, name, group)
    if user.status is not UserStatus.REMOVED:
        return user
    group = user.group if group is None or same_group(group, user.group) else group
    return change(tx, user, replace(user, status=UserStatus.ACTIVE, name=name or user.name, group=group))


def _create(tx: Transaction, email: str, name: str | None, group: str | None) -> User:
    user_id = tx.insert_row(
        "users",
        {
            "email": email,
            "email_key": email_key(email),
            "name": name,
            "group_name": group,
            "group_key": group_key(group),
            "created_at": tx.now,
            "created_entry": tx.entry,
        },
    )
    user = User(user_id, email, name, group, UserStatus.ACTIVE, None, parse_time(tx.now))
    tx.engine.users.insert("SELECT :id", {"id": user_id})
    content = change_rows.user()
    select = f"SELECT id AS entity_id, NULL AS before, {content} AS after FROM users WHERE id = :id"
    tx.record_row("user", select, {"id": user_id})
    return user


def change(tx: Transaction, before: User, after: User) -> User:
    """Store and record the changes of a user, if there are any. Raises `email_taken`."""
    if before == after:
        return before
    key = email_key(after.email)
    other = find(tx, after.email)
    if other is not None and other.id != before.id and before.email == after.email:
        key = email_keys.doubled_key(key, before.id)  # as before: both users existed before the rule changed
    elif other is not None and other.id != before.id:
        raise refuse(
            Code.EMAIL_TAKEN,
            f"{other.email} is the address of another user",
            hint=f"seatctl users show {other.email}",
            data={"email": other.email, "status": other.status.value},
        )
    tx.engine.users.remove("SELECT :id", {"id": before.id})
    old = change_rows.of_user(tx, before.id)
    tx.update_row(
        "users",
        before.id,
        {
            "email": after.email,
            "email_key": key,
            "name": after.name,
            "group_name": after.group,
            "group_key": group_key(after.group),
            "status": after.status.value,
            "last_active": optional_text(after.last_active),
            "reclaim_exempt": int(after.exempt),
        },
    )
    tx.engine.users.insert("SELECT :id", {"id": before.id})
    roles.rename_actor(tx, before.email, after.email)
    tx.record("user", before.id, old, change_rows.of_user(tx, before.id))
    return after


def had_email(reader: Reader, user_id: int, email: str) -> bool:
    """Return whether the user had this e-mail before."""
    rows = reader.rows(
        "SELECT json_extract(before, '$.email') AS email FROM changes"
        " WHERE entity = 'user' AND entity_id = ? AND before IS NOT NULL",
        (user_id,),
    )
    return any(email_key(row["email"] or "") == email_key(email) for row in rows)


def owned_subscriptions(reader: Reader, user: User) -> list[str]:
    """Return the names of subscriptions that the user owns and that have not ended."""
    return reader.column(
        f"SELECT name FROM subscriptions WHERE owner_id = ? AND NOT {HAS_ENDED} ORDER BY name_key",
        (user.id,),
    )


def active_seats(reader: Reader, user: User, now: datetime) -> list[dict[str, JsonValue]]:
    """Return the active seats of a user at `now` (UTC): subscription, assigned_at, until."""
    rows = reader.rows(
        "SELECT p.name AS subscription, s.assigned_at, s.until FROM seats AS s"
        " JOIN subscriptions AS p ON p.id = s.subscription_id"
        " WHERE s.user_id = ? AND s.revoked_at IS NULL AND (s.until IS NULL OR s.until > ?)"
        " ORDER BY p.name_key",
        (user.id, format_time(now)),
    )
    return [*map(record, rows)]


_user = mapper(User)
