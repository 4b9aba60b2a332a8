"""Searches for users by parts of their names and e-mails. `engines/search.py` says what the index finds."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.engines.search import TRIGRAM, Match
from seatctl.ledger.transaction import Reader
from seatctl.rules.emails import email_key

_PAIR = 2
"""The length of words that make a trigram with the space before or after them."""

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """The parts of a query on `users AS u`."""

    source: str
    """The FROM clause."""
    where: str
    """The condition for this FROM clause."""
    condition: str
    """Both as one condition, for a query with another FROM clause (of seats)."""
    params: dict[str, SqlValue]


def _search(where: str, params: dict[str, SqlValue], match: Match | None = None) -> Search:
    """Return the search for users whom the index finds (`match` None: all) and who fulfil `where`."""
    if match is None:
        return Search("users AS u", where, f"({where})", params)
    condition = f"({match.condition} AND {where})"
    everything = {**params, **match.params}
    if match.source is None:
        return Search("users AS u", condition, condition, everything)
    return Search(match.source, where, condition, everything)


EVERYBODY = _search("TRUE", {})


def matching(reader: Reader, text: str) -> Search:
    """Return the search for users whose name or e-mail contains every word of `text`, in any case.

    Words of three letters and more are looked up in the index. If no word is that long, the search finds
    names with words that begin with them, and e-mails that begin with the text.
    """
    words = unicodedata.normalize("NFC", text).split()
    long = [word for word in words if len(word) >= TRIGRAM]
    if not long:
        return _short(reader, words)
    where, params = _containing([word for word in words if len(word) < TRIGRAM])
    return _search(where, params, reader.engine.users.containing(long))


def _short(reader: Reader, words: list[str]) -> Search:
    """Like `matching`, for words shorter than a trigram."""
    prefix = email_key(" ".join(words))
    params: dict[str, SqlValue] = {"prefix": prefix, "beyond": prefix + _LAST}
    pairs = [word for word in words if len(word) == _PAIR]
    if not pairs:
        return _search("u.email_key >= :prefix AND u.email_key < :beyond", params)
    match = reader.engine.users.beginning(pairs)
    found = (
        f"u.id IN (SELECT u.id FROM users u WHERE {match.condition}"
        " UNION SELECT id FROM users WHERE email_key >= :prefix AND email_key < :beyond)"
    )
    where, of_letters = _containing([word for word in words if len(word) < _PAIR])
    return _search(f"{found} AND {where}", {**params, **of_letters, **match.params})


def _containing(words: list[str]) -> tuple[str, dict[str, SqlValue]]:
    """Return the condition that a name or e-mail contains each of these words, too short for the index."""
    where, params = "TRUE", dict[str, SqlValue]()
    for n, word in enumerate(words):
        where += f" AND (lower(u.name) LIKE lower(:word{n}) ESCAPE '\\'"
        where += f" OR lower(u.email) LIKE lower(:word{n}) ESCAPE '\\')"
        params[f"word{n}"] = f"%{_literal(word)}%"
    return where, params


def resembling(reader: Reader, text: str) -> Search:
    """Return the search for users who share three letters with `text`: candidates for a suggestion."""
    if len(text) < TRIGRAM:
        return _search("FALSE", {})
    return _search("TRUE", {}, reader.engine.users.sharing(text))


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
