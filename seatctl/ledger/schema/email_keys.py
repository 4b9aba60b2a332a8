"""The migration of `users.email_key` from the rule of the earlier versions to that of rules/emails.py.

The earlier rule folded the domain by IDNA 2003 and the rest by Unicode's full case folding: `a@straße.de`
was found as `a@strasse.de`, which is another domain, and its mails went there. What was typed decides now.
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
"""What was found under which key before; the user is NULL for an actor who is no user."""

LAST_FORMER_ENTRY = "last_entry_of_former_email_keys"
"""The key in `meta` of the last audit entry that the earlier rule wrote; missing if there is none."""

_NOT_ASCII = "GLOB '*[^' || char(1) || '-' || char(127) || ']*'"


def rekey(database: Database) -> None:
    """Give every user and role the key of their e-mail, inside the migration's transaction.

    Of two users who are one address now, the one who comes later gets a key that no address has
    (`doubled_key`): nobody is merged, and nothing can fail.
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
        database.execute("DELETE FROM roles WHERE actor = ?", (former,))  # what the new key held already


def _move_users(database: Database) -> list[tuple[str, str, int]]:
    """(former key, new key, user) of everybody whose key is another one now."""
    rows = database.execute(
        f"SELECT id, email, email_key FROM users WHERE email {_NOT_ASCII} ORDER BY id"  # noqa: S608
    ).fetchall()
    moved = [(former, email_key(email), user) for user, email, former in rows if email_key(email) != former]
    # First all of them out of each other's way, since one may want the key that another one leaves.
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
    """The same of those who have acted here and are no user: they keep the roles they have."""
    found: dict[str, str] = {}
    for (actor,) in database.execute(f"SELECT DISTINCT actor FROM runs WHERE actor {_NOT_ASCII}"):  # noqa: S608
        former = former_actor_key(actor)
        is_user = database.execute("SELECT 1 FROM users WHERE email_key = ?", (former,)).fetchone()
        if former != actor_key(actor) and former not in known and not is_user:
            found.setdefault(former, actor_key(actor))
    return [(former, key, None) for former, key in found.items()]


def doubled_key(key: str, user_id: int) -> str:
    """The key of a user whose address is another user's too: no address is like that, and it can be typed."""
    return f"{key}#{user_id}"


def doubled(reader: Reader) -> Iterator[tuple[str, str]]:
    """(e-mail, the handle to type) of every user, not removed, whose address is another user's too."""
    rows = reader.rows(
        "SELECT id, email, email_key FROM users WHERE id IN (SELECT user_id FROM former_email_keys)"
        " AND status <> 'removed' ORDER BY id"
    )
    for row in rows:
        if row["email_key"] == doubled_key(email_key(row["email"]), row["id"]):
            yield row["email"], f"{row['email']}#{row['id']}"


def separated(reader: Reader) -> Iterator[tuple[str, str]]:
    """(e-mail, the address it was taken for) of every user, not removed, whom the earlier rule misnamed."""
    rows = reader.rows(
        "SELECT u.email, f.former_key FROM former_email_keys f JOIN users u ON u.id = f.user_id"
        " WHERE u.status <> 'removed' AND u.email_key = f.email_key ORDER BY u.id"
    )
    return ((row["email"], row["former_key"]) for row in rows)


def last_former_entry(reader: Reader) -> int:
    """The last audit entry that was written by the earlier rule; 0 if there is none."""
    return int(str(reader.value("SELECT value FROM meta WHERE key = ?", (LAST_FORMER_ENTRY,)) or 0))


def former_keys(reader: Reader) -> dict[str, str]:
    """The key now of every former key that is another one now."""
    return {row[0]: row[1] for row in reader.rows("SELECT former_key, email_key FROM former_email_keys")}


def former_actor_key(actor: str) -> str:
    """What made two actors the same until then."""
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
