"""The search index over users, SQLite's own (FTS5, trigrams, external content): fill it, ask it.

`users_search` holds no text, so that whoever changes a name or an e-mail must first take the old values
out of the index (`forget`) and put the new ones in afterwards (`index`). Both take many users at once,
which is five times faster than a trigger.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from seatctl.ledger.engine import SqlValue
from seatctl.ledger.transaction import Journal

SHORTEST = 3
"""Letters that make a trigram; fewer are looked for at the beginning of the e-mail."""

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """What to add to a query on `users AS u`. `indexed`: whether `:match` asks the index."""

    indexed: bool
    where: str
    params: dict[str, SqlValue]

    @property
    def source(self) -> str:
        """The FROM clause that streams what the index finds, rather than collecting it first."""
        if not self.indexed:
            return "users AS u"
        return (
            "users_search AS found CROSS JOIN users AS u ON u.id = found.rowid AND users_search MATCH :match"
        )

    @property
    def condition(self) -> str:
        """The same as a condition alone, for a query that comes from somewhere else (seats)."""
        match = "u.id IN (SELECT rowid FROM users_search WHERE users_search MATCH :match)"
        return f"({match} AND {self.where})" if self.indexed else f"({self.where})"


def index(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Put the users whose ids the statement `users` selects into the index, as they are now."""
    tx.execute(
        "INSERT INTO users_search (rowid, name, email)"  # noqa: S608 - a statement of ours
        f" SELECT id, name, email FROM users WHERE id IN ({users})",
        params,
    )


def forget(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Take the users whose ids the statement selects out of the index, while their old values stand."""
    tx.execute(
        "INSERT INTO users_search (users_search, rowid, name, email)"  # noqa: S608 - a statement of ours
        f" SELECT 'delete', id, name, email FROM users WHERE id IN ({users})",
        params,
    )


def index_after(tx: Journal, last: int) -> None:
    """Put every user with an id above `last` into the index: those that a bulk insert has just made."""
    tx.execute(
        "INSERT INTO users_search (rowid, name, email) SELECT id, name, email FROM users WHERE id > :last",
        {"last": last},
    )


def purge(tx: Journal) -> None:
    """Merge the index, so that nothing is left in it of what was taken out."""
    tx.execute("INSERT INTO users_search (users_search) VALUES ('optimize')")


def matching(text: str) -> Search:
    """Users in whose name or e-mail every word of `text` stands; case does not count.

    Words of three letters and more come from the index. Where no word is that long: the e-mails that
    begin with the text.
    """
    words = unicodedata.normalize("NFC", text).split()
    long = [word for word in words if len(word) >= SHORTEST]
    if not long:
        prefix = " ".join(words).casefold()
        where = "u.email_key >= :prefix AND u.email_key < :beyond"
        return Search(False, where, {"prefix": prefix, "beyond": prefix + _LAST})
    where = "TRUE"
    params: dict[str, SqlValue] = {"match": " AND ".join(map(_phrase, long))}
    for n, word in enumerate(word for word in words if len(word) < SHORTEST):
        where += f" AND (u.name LIKE :word{n} ESCAPE '\\' OR u.email LIKE :word{n} ESCAPE '\\')"
        params[f"word{n}"] = f"%{_literal(word)}%"
    return Search(True, where, params)


def resembling(text: str) -> Search:
    """Users who share any three letters with `text`: candidates for the nearest name."""
    grams = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
    match = " OR ".join(map(_phrase, sorted(grams)))
    return Search(bool(grams), "TRUE" if grams else "FALSE", {"match": match} if grams else {})


def _phrase(word: str) -> str:
    """The word as an FTS5 string: nothing in it is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
