"""The index over users in a file: FTS5 with trigrams and external content (the view `users_searched`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from seatctl.ledger.engines.search import TRIGRAM, Match, may_end

Execute = Callable[[str, Mapping[str, int]], None]

_FOUND = "u.id IN (SELECT rowid FROM users_search WHERE users_search MATCH :match)"
# CROSS JOIN makes SQLite stream the results of the index instead of collecting them first.
_STREAMED = "users_search AS found CROSS JOIN users AS u ON u.id = found.rowid AND users_search MATCH :match"


class SqliteUserIndex:
    """The index of one file. It stores no text. `execute` runs a statement in the file."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def containing(self, words: Sequence[str]) -> Match:
        """Find the users whose name or e-mail contains each of these words."""
        return _match(" AND ".join(map(_phrase, words)))

    def beginning(self, pairs: Sequence[str]) -> Match:
        """Find the users whose names have, for each of these pairs of letters, a word that begins with it."""
        return _match(f"name : ({' AND '.join(map(_at_an_end, pairs))})")

    def sharing(self, text: str) -> Match:
        """Find the users whose name or e-mail shares three letters with this text."""
        grams = {text[at : at + TRIGRAM] for at in range(len(text) - TRIGRAM + 1)}
        return _match(" OR ".join(map(_phrase, sorted(grams))))

    def insert(self, users: str, params: Mapping[str, int]) -> None:
        """Insert the users whose ids the query `users` yields, with their current values."""
        self._execute(
            "INSERT INTO users_search (rowid, name, email)"
            f" SELECT id, name, email FROM users_searched WHERE id IN ({users})",
            params,
        )

    def insert_new(self, entry: int) -> None:
        """Insert the users that were created by this audit entry."""
        # Not by a list of their ids, which would be collected first: a file may have a million people.
        self._execute(
            "INSERT INTO users_search (rowid, name, email) SELECT u.id, s.name, s.email FROM users u"
            " JOIN users_searched s ON s.id = u.id WHERE u.created_entry = :entry ORDER BY u.id",
            {"entry": entry},
        )

    def remove(self, users: str, params: Mapping[str, int]) -> None:
        """Remove the users whose ids the query yields, before their values change."""
        self._execute(
            "INSERT INTO users_search (users_search, rowid, name, email)"
            f" SELECT 'delete', id, name, email FROM users_searched WHERE id IN ({users})",
            params,
        )

    def purge(self) -> None:
        """Merge the index, so that nothing of the removed values is left in it."""
        self._execute("INSERT INTO users_search (users_search) VALUES ('optimize')", {})


def _match(match: str) -> Match:
    return Match(_FOUND, {"match": match}, _STREAMED)


def _at_an_end(pair: str) -> str:
    begins = _phrase(f" {pair}")
    return f"({begins} OR {_phrase(f'{pair} ')})" if may_end(pair) else begins


def _phrase(word: str) -> str:
    """Return the word as an FTS5 string, in which nothing is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'
