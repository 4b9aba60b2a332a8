"""The audit entry that a transaction on SQLite is writing. Reads do not import this module."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping

from seatctl.ledger import hashes
from seatctl.ledger.engines.port import Engine, EntryValues, SqlValue

# The entries of a server were linked in the order of their commits, which need not be that of their ids.
_LAST = """SELECT (SELECT max(seq) FROM audit) AS seq, place, hash FROM audit ORDER BY place DESC LIMIT 1"""


class EntryInProgress:
    """The entry after the last one. It computes the hashes of its change rows as they are inserted."""

    def __init__(self, engine: Engine, connection: sqlite3.Connection) -> None:
        self._engine, self._connection = engine, connection
        last = next(engine.rows(_LAST), None)
        self.seq: int = 1 if last is None else last["seq"] + 1
        self._place: int = 1 if last is None else last["place"] + 1
        self._previous: str = hashes.NO_HASH if last is None else last["hash"]
        self._digest = hashes.sha256()
        self._last = 0

    def insert_change(
        self, n: int, entity: str, entity_id: int, before: str | None, after: str | None
    ) -> None:
        """Insert change row `n` with a new salt."""
        salt = os.urandom(16).hex()
        hashed = self._hash(n, entity, entity_id, before, after, salt)
        self._engine.execute(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.seq, n, entity, entity_id, before, after, salt, hashed),
        )

    def insert_changes(self, last: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Insert a change row with a new salt for every (entity_id, before, after) of `select`.

        The window function keeps SQLite from merging the inner query into the outer one: `randomblob` would
        be called twice, and the stored salt would not be the one that was hashed.
        """
        self._connection.create_function("hash_of_change", 6, self._hash)
        return self._engine.changed(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
            " SELECT :change_entry, n, :change_entity, entity_id, before, after, salt,"
            " hash_of_change(n, :change_entity, entity_id, before, after, salt)"
            " FROM (SELECT :change_last + row_number() OVER () AS n, entity_id, before, after,"
            f" lower(hex(randomblob(16))) AS salt FROM ({select}))",
            {**params, "change_entry": self.seq, "change_last": last, "change_entity": entity},
        )

    def _hash(self, n: int, *change: *tuple[str, int, str | None, str | None, str]) -> str:
        """Return the hash of the next change row, and add it to the digest of the entry."""
        if n != self._last + 1:
            raise ValueError(f"change {n} does not follow change {self._last}")
        self._last = n
        hashed = hashes.change_hash(*change)
        self._digest.update(hashed.encode())
        return hashed

    def append(self, values: EntryValues) -> None:
        """Insert the entry."""
        # A run that was opened earlier (of an operation, perhaps finished by `sync`) has its own command.
        run = next(self._engine.rows("SELECT command FROM runs WHERE number = ?", (values.run,)))
        command = hashes.text_hash(str(run["command"]))
        fields = (self.seq, values.run, values.at, values.actor, values.os_user, command)
        chained = (*fields, self._digest.hexdigest(), self._previous)
        origin = () if values.origin is None else (values.origin,)
        self._engine.execute(
            "INSERT INTO audit"
            " (seq, run, at, actor, os_user, command_hash, digest, prev_hash, hash, place, origin)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*chained, hashes.entry_hash(*chained, *origin), self._place, values.origin),
        )
