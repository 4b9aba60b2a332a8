"""The migration of `users.email_key` from the rule of earlier versions to that of rules/emails.py.

The earlier rule folded the domain by IDNA 2003 and the rest by Unicode's full case folding: `a@straße.de` was
treated as `a@strasse.de`, which is another domain, and its messages went there. Now the typed address
decides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from seatctl.ledger.transaction import Reader
from seatctl.rules.emails import email_key
from seatctl.rules.permissions import actor_key, is_address

if TYPE_CHECKING:
    from sqlite_utils import Database

TABLE = """CREATE TABLE former_email_keys (
    former_key TEXT PRIMARY KEY,
    email_key TEXT NOT NULL,
    user_id INTEGER REFERENCES users (id)
) STRICT"""
"""The former keys and the keys now; `user_id` is NULL for an actor who is not a user."""

LAST_FORMER_ENTRY = "last_entry_of_former_email_keys"
"""The key in `meta` of the last audit entry written under the earlier rule; missing if there is none."""

_NOT_ASCII = "GLOB '*[^' || char(1) || '-' || char(127) || ']*'"


def rekey(database: Database) -> None:
    """Set the keys of all users and roles by the new rule, inside the migration's transaction.

    If two users have the same address now, the later one gets a key that no address has (`doubled_key`):
    users are never merged, and the migration cannot fail.
    """
    database.execute(TABLE)
    database.execute(
        "INSERT INTO meta (key, value) SELECT ?, seq FROM audit ORDER BY seq DESC LIMIT 1",
        (LAST_FORMER_ENTRY,),
    )
    moved = _move_users(database)
    for former, key, user in moved + _actors(database, {former for former, _, _ in moved}):
        database.execute("INSERT INTO former_email_keys VALUES (?, ?, ?)", (former, key, user))
        database.execute("UPDATE OR IGNORE roles SET actor = ? WHERE actor = ?", (key, former))
        database.execute("DELETE FROM roles WHERE actor = ?", (former,))  # roles that the new key had already


def _move_users(database: Database) -> list[tuple[str, str, int]]:
    """Change the keys of users, and return (former key, new key, user id) for each changed one."""
    rows = database.execute(
        f"SELECT id, email, email_key FROM users WHERE email {_NOT_ASCII} ORDER BY id"
    ).fetchall()
    moved = [(former, email_key(email), user) for user, email, former in rows if email_key(email) != former]
    # First give all of them unique temporary keys, since one may get the former key of another.
    for _, key, user in moved:
        database.execute("UPDATE users SET email_key = ? WHERE id = ?", (doubled_key(key, user), user))
    for _, key, user in moved:
        database.execute(
            "UPDATE users SET email_key = :key WHERE id = :user"
            " AND NOT EXISTS (SELECT 1 FROM users WHERE email_key = :key)",
            {"key": key, "user": user},
        )
    return moved


def _actors(database: Database, known: set[str]) -> list[tuple[str, str, None]]:
    """Return (former key, new key, None) for actors who are not users, so that they keep their roles."""
    keys: dict[str, str] = {}
    for (actor,) in database.execute(f"SELECT DISTINCT actor FROM runs WHERE actor {_NOT_ASCII}"):
        former = former_actor_key(actor)
        is_user = database.execute("SELECT 1 FROM users WHERE email_key = ?", (former,)).fetchone()
        if former != actor_key(actor) and former not in known and not is_user:
            keys.setdefault(former, actor_key(actor))
    return [(former, key, None) for former, key in keys.items()]


def doubled_key(key: str, user_id: int) -> str:
    """Return the key of a user whose address another user has too. It is not an address, and can be typed."""
    return f"{key}#{user_id}"


def doubled(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (e-mail, the handle to type) for each user, not removed, whose address another user has too."""
    rows = reader.rows(
        "SELECT id, email, email_key FROM users WHERE id IN (SELECT user_id FROM former_email_keys)"
        " AND status <> 'removed' ORDER BY id"
    )
    for row in rows:
        if row["email_key"] == doubled_key(email_key(row["email"]), row["id"]):
            yield row["email"], f"{row['email']}#{row['id']}"


def separated(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (e-mail, former address) for each user, not removed, whose address the earlier rule changed."""
    rows = reader.rows(
        "SELECT u.email, f.former_key FROM former_email_keys f JOIN users u ON u.id = f.user_id"
        " WHERE u.status <> 'removed' AND u.email_key = f.email_key ORDER BY u.id"
    )
    return ((row["email"], row["former_key"]) for row in rows)


def last_former_entry(reader: Reader) -> int:
    """Return the last audit entry written under the earlier rule; 0 if there is none."""
    return int(str(reader.value("SELECT value FROM meta WHERE key = ?", (LAST_FORMER_ENTRY,)) or 0))


def former_keys(reader: Reader) -> dict[str, str]:
    """Return the new keys by the former keys, for keys that changed."""
    return {row[0]: row[1] for row in reader.rows("SELECT former_key, email_key FROM former_email_keys")}


def former_actor_key(actor: str) -> str:
    """Return the key of an actor by the earlier rule."""
    if not is_address(actor):
        return actor.strip()
    if actor.isascii():
        return actor.strip().lower()
    local, _, domain = actor.strip().rpartition("@")
    labels = _full_fold(domain).translate(str.maketrans("。．｡", "...")).split(".")
    return f"{_full_fold(local)}@{'.'.join(map(_idna_2003, labels))}"


def _full_fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _idna_2003(label: str) -> str:
    from encodings.idna import ToASCII

    try:
        return label if label.isascii() else ToASCII(label).decode("ascii").lower()
    except UnicodeError:
        return label
