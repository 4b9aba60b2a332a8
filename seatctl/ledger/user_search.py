"""The search index over users, SQLite's own (FTS5, trigrams, external content): fill it, ask it.

Names are indexed with a space before and after (the view `users_searched`): two letters find those whose
names begin with them or consist of them. `users_search` holds no text, so that whoever changes a name or an
e-mail must first take the old values out of the index (`forget`) and put the new ones in afterwards
(`index`). Both take many users at once, which is five times faster than a trigger.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Journal
from seatctl.rules.emails import email_key

SHORTEST = 3
"""Letters that make a trigram."""
_SHORT = 2
"""Letters that make one with the space at an end of a word."""

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """What to add to a query on `users AS u`."""

    source: str
    """The FROM clause that streams what the index finds, rather than collecting it first."""
    where: str
    """The condition on it."""
    condition: str
    """Both as a condition alone, for a query that comes from somewhere else (seats)."""
    params: dict[str, SqlValue]


def _search(match: str | None, where: str, params: dict[str, SqlValue]) -> Search:
    """Whom the index finds by `match`, and of them whom `where` is true of; without `match` of all."""
    if match is None:
        return Search("users AS u", where, f"({where})", params)
    found = "u.id IN (SELECT rowid FROM users_search WHERE users_search MATCH :match)"
    streamed = (
        "users_search AS found CROSS JOIN users AS u ON u.id = found.rowid AND users_search MATCH :match"
    )
    return Search(streamed, where, f"({found} AND {where})", {**params, "match": match})


EVERYBODY = _search(None, "TRUE", {})


def index(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Put the users whose ids the statement `users` selects into the index, as they are now."""
    tx.execute(
        "INSERT INTO users_search (rowid, name, email)"  # noqa: S608 - a statement of ours
        f" SELECT id, name, email FROM users_searched WHERE id IN ({users})",
        params,
    )


def remove(tx: Journal, users: str, params: dict[str, SqlValue]) -> None:
    """Take the users whose ids the statement selects out of the index, while their old values stand."""
    tx.execute(
        "INSERT INTO users_search (users_search, rowid, name, email)"  # noqa: S608 - a statement of ours
        f" SELECT 'delete', id, name, email FROM users_searched WHERE id IN ({users})",
        params,
    )


def index_after(tx: Journal, last: int) -> None:
    """Put every user with an id above `last` into the index: those that a bulk insert has just made."""
    tx.execute(
        "INSERT INTO users_search (rowid, name, email)"
        " SELECT id, name, email FROM users_searched WHERE id > :last",
        {"last": last},
    )


def purge(tx: Journal) -> None:
    """Merge the index, so that nothing is left in it of what was taken out."""
    tx.execute("INSERT INTO users_search (users_search) VALUES ('optimize')")


def matching(text: str) -> Search:
    """Users in whose name or e-mail every word of `text` stands; case does not count.

    Words of three letters and more come from the index. Where no word is that long: those whose names have
    words that begin so, and the e-mails that begin with the text.
    """
    words = unicodedata.normalize("NFC", text).split()
    long = [word for word in words if len(word) >= SHORTEST]
    if not long:
        return _short(words)
    where, params = _containing([word for word in words if len(word) < SHORTEST])
    return _search(" AND ".join(map(_phrase, long)), where, params)


def _short(words: list[str]) -> Search:
    """As `matching`, of words of which none makes a trigram by itself."""
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
    """Two letters that begin a word; without case (李明) they may end it, as such scripts join names."""
    begins = _phrase(f" {pair}")
    return f"({begins} OR {_phrase(f'{pair} ')})" if pair.lower() == pair.upper() else begins


def _containing(words: list[str]) -> tuple[str, dict[str, SqlValue]]:
    """The condition that each of these words, too short for the index, stands in a name or an e-mail."""
    where, params = "TRUE", dict[str, SqlValue]()
    for n, word in enumerate(words):
        where += f" AND (u.name LIKE :word{n} ESCAPE '\\' OR u.email LIKE :word{n} ESCAPE '\\')"
        params[f"word{n}"] = f"%{_literal(word)}%"
    return where, params


def resembling(text: str) -> Search:
    """Users who share any three letters with `text`: candidates for the nearest name."""
    grams = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
    match = " OR ".join(map(_phrase, sorted(grams)))
    return _search(match or None, "TRUE" if grams else "FALSE", {})


def _phrase(word: str) -> str:
    """The word as an FTS5 string: nothing in it is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
