"""The interface of the index over the names and e-mails of users; each engine has its own.

Names are indexed with a space before and after, so that two letters find names that begin with them or
consist of them. Upper and lower case are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

TRIGRAM = 3
"""The shortest text that the index finds."""


class Match(NamedTuple):
    """What the index finds, as parts of a query on `users AS u`."""

    condition: str
    """The condition for users whom the index finds."""
    params: Mapping[str, str]
    source: str | None = None
    """A FROM clause that selects them alone, one at a time; None if the condition does that."""


class UserIndex(Protocol):
    """Queries and updates of the index.

    Before a name or an e-mail changes, the user must be removed from the index, and inserted again
    afterwards. The updates take many users at once, which is five times faster than a trigger.
    """

    def containing(self, words: Sequence[str]) -> Match:
        """Find the users whose name or e-mail contains each of these words of three letters and more."""
        ...

    def beginning(self, pairs: Sequence[str]) -> Match:
        """Find the users whose names have, for each of these pairs of letters, a word that begins with it.

        In scripts without case (李明), which write names as one word, it may also end with it.
        """
        ...

    def sharing(self, text: str) -> Match:
        """Find the users whose name or e-mail shares three letters with this text of at least three."""
        ...

    def insert(self, users: str, params: Mapping[str, int]) -> None:
        """Insert the users whose ids the query `users` yields, with their current values."""
        ...

    def insert_new(self, entry: int) -> None:
        """Insert the users that were created by this audit entry."""
        ...

    def remove(self, users: str, params: Mapping[str, int]) -> None:
        """Remove the users whose ids the query yields, before their values change."""
        ...

    def purge(self) -> None:
        """Leave nothing of removed values in the index."""
        ...


def may_end(pair: str) -> bool:
    """Return whether two letters may also end a word: those of a script without case."""
    return pair.lower() == pair.upper()
