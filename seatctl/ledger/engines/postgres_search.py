"""The index over users on a server: a GIN index over their trigrams. The server keeps it.

The index finds the users who have all the trigrams of a word; the condition then looks for the word itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatctl.ledger.engines.search import Match, may_end

_INDEXED = "user_trigrams(u.name, u.email)"
_NAME = "folded(' ' || u.name || ' ')"


class PostgresUserIndex:
    """The index on a server."""

    def containing(self, words: Sequence[str]) -> Match:
        """Find the users whose name or e-mail contains each of these words."""
        conditions, params = [], dict[str, str]()
        for n, word in enumerate(words):
            text = f"folded(:part{n})"
            params[f"part{n}"] = word
            conditions.append(
                f"{_INDEXED} @> trigrams({text})"
                f" AND (strpos({_NAME}, {text}) > 0 OR strpos(folded(u.email), {text}) > 0)"
            )
        return Match(f"({' AND '.join(conditions)})", params)

    def beginning(self, pairs: Sequence[str]) -> Match:
        """Find the users whose names have, for each of these pairs of letters, a word that begins with it."""
        conditions, params = [], dict[str, str]()
        for n, pair in enumerate(pairs):
            forms = {f"part{n}": f" {pair}"} | ({f"end{n}": f"{pair} "} if may_end(pair) else {})
            params |= forms
            found = " OR ".join(
                f"({_INDEXED} @> trigrams(folded(:{name})) AND strpos({_NAME}, folded(:{name})) > 0)"
                for name in forms
            )
            conditions.append(f"({found})")
        return Match(f"({' AND '.join(conditions)})", params)

    def sharing(self, text: str) -> Match:
        """Find the users whose name or e-mail shares three letters with this text."""
        return Match(f"{_INDEXED} && trigrams(folded(:part))", {"part": text})

    def insert(self, users: str, params: Mapping[str, int]) -> None:
        """Do nothing: the server has indexed the users."""

    def insert_new(self, entry: int) -> None:
        """Do nothing: the server has indexed the users."""

    def remove(self, users: str, params: Mapping[str, int]) -> None:
        """Do nothing: the server updates the index when values change."""

    def purge(self) -> None:
        """Do nothing: old entries go with the old rows, when the server vacuums the table."""
