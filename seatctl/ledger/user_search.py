"""The full-text index over users (SQLite FTS5 with trigrams and external content): updates and queries.

Names are indexed with a space before and after (the view `users_searched`), so that two letters find names
that begin with them or consist of them. `users_search` stores no text: before a name or an e-mail changes,
its old values must be removed from the index (`remove`), and the new ones inserted afterwards (`index`). Both
take many users at once, which is five times faster than a trigger.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Journal, Transaction
from seatctl.rules.emails import email_key

SHORTEST = 3
"""The length of a trigram."""
_SHORT = 2
"""The length of words that make a trigram with the space before or after them."""

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """The parts of a query on `users AS u`."""

    source: str
    """The FROM clause. It streams the results of the index instead of collecting them first."""
    where: str
    """The condition for this FROM clause."""
    condition: str
    """Both as one condition, for a query with another FROM clause (of seats)."""
    params: dict[str, SqlValue]


def _search(match: str | None, where: str, params: dict[str, SqlValue]) -> Search:
    """Return the search for users that the index finds by `match` (None: all) and that fulfil `where`."""
    if match is None:
        return Search("users AS u", where, f"({where})", params)
    found = "u.id IN (SELECT rowid FROM users_search WHERE users_search MATCH :match)"
    streamed = (
        "users_search AS found CROSS JOIN users AS u ON u.id = found.rowid AND users_search MATCH :match"
    )
    return Search(streamed, where, f"({found} AND {where})", {**params, "match": match})


EVERYBODY = _search(None, "TRUE", {})


def index(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Insert the users whose ids the statement `users` selects into the index, with their current values."""
    tx.execute(
        "INSERT INTO users_search (rowid, name, email)"
        f" SELECT id, name, email FROM users_searched WHERE id IN ({users})",
        params,
    )


def remove(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Remove the users whose ids the statement selects from the index, before their values change."""
    tx.execute(
        "INSERT INTO users_search (users_search, rowid, name, email)"
        f" SELECT 'delete', id, name, email FROM users_searched WHERE id IN ({users})",
        params,
    )


def index_new(tx: Transaction) -> None:
    """Insert the users that a transaction has created into the index."""
    # Not by a list of their ids, which would be collected first: a file may have a million people.
    tx.execute(
        "INSERT INTO users_search (rowid, name, email) SELECT u.id, s.name, s.email FROM users u"
        " JOIN users_searched s ON s.id = u.id WHERE u.created_entry = :entry ORDER BY u.id",
        {"entry": tx.entry},
    )


def purge(tx: Journal) -> None:
    """Merge the index, so that nothing of the removed values is left in it."""
    tx.execute("INSERT INTO users_search (users_search) VALUES ('optimize')")


def matching(text: str) -> Search:
    """Return the search for users whose name or e-mail contains every word of `text`, in any case.

    Words of three letters and more are looked up in the index. If no word is that long, the search finds
    names with words that begin with them, and e-mails that begin with the text.
    """
    words = unicodedata.normalize("NFC", text).split()
    long = [word for word in words if len(word) >= SHORTEST]
    if not long:
        return _short(words)
    where, params = _containing([word for word in words if len(word) < SHORTEST])
    return _search(" AND ".join(map(_phrase, long)), where, params)


def _short(words: list[str]) -> Search:
    """Like `matching`, for words shorter than a trigram."""
    prefix = email_key(" ".join(words))
    params: dict[str, SqlValue] = {"prefix": prefix, "beyond": prefix + _LAST}
    pairs = [word for word in words if len(word) == _SHORT]
    if not pairs:
        return _search(None, "u.email_key >= :prefix AND u.email_key < :beyond", params)
    found = (
        "u.id IN (SELECT rowid FROM users_search WHERE users_search MATCH :match"
        " UNION SELECT id FROM users WHERE email_key >= :prefix AND email_key < :beyond)"
    )
    where, of_letters = _containing([word for word in words if len(word) < _SHORT])
    match = f"name : ({' AND '.join(map(_at_an_end, pairs))})"
    return _search(None, f"{found} AND {where}", {**params, **of_letters, "match": match})


def _at_an_end(pair: str) -> str:
    """Return the match for two letters at the beginning of a word; in scripts without case (李明) also at its
    end, because they write names as one word."""
    begins = _phrase(f" {pair}")
    return f"({begins} OR {_phrase(f'{pair} ')})" if pair.lower() == pair.upper() else begins


def _containing(words: list[str]) -> tuple[str, dict[str, SqlValue]]:
    """Return the condition that a name or e-mail contains each of these words, too short for the index."""
    where, params = "TRUE", dict[str, SqlValue]()
    for n, word in enumerate(words):
        where += f" AND (lower(u.name) LIKE lower(:word{n}) ESCAPE '\\'"
        where += f" OR lower(u.email) LIKE lower(:word{n}) ESCAPE '\\')"
        params[f"word{n}"] = f"%{_literal(word)}%"
    return where, params


def resembling(text: str) -> Search:
    """Return the search for users who share three letters with `text`: candidates for a suggestion."""
    grams = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
    match = " OR ".join(map(_phrase, sorted(grams)))
    return _search(match or None, "TRUE" if grams else "FALSE", {})


def _phrase(word: str) -> str:
    """Return the word as an FTS5 string, in which nothing is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
