"""Queries on the audit: the log, the changes of a run, and the verification of the hash chain.

`ledger/transaction.py` writes the audit. Verification streams: memory does not grow with the audit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from seatctl.ledger.conditions import ALL_ROWS, where
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.hashes import NO_HASH, change_hash, entry_hash, sha256, text_hash
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader
from seatctl.models.run import AuditEntry, Change


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying the hash chain. `problem` describes the first bad entry; None: no problem."""

    entries: int
    changes: int
    erased: int
    """Change rows with erased contents, of which only the hashes were verified."""
    head: str
    """`SEQ:HASH` of the last entry; `0:000…` for an empty audit."""
    unlinked: int
    """Entries that are not part of the chain yet: on a server they are linked after their commit."""
    problem: str | None = None
    bad_entry: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry with command and summary of its run, for `audit log`."""

    entry: AuditEntry
    command: str
    summary: str | None
    changes: int


def log(
    reader: Reader, *, actor: str | None = None, since: str | None = None, limit: int | None = None
) -> Iterator[LogLine]:
    """Yield entries, newest first; `since` is in the written form."""
    condition, params = _condition(actor, since)
    rows = reader.rows(
        "SELECT a.*, r.command, r.summary,"
        " (SELECT count(*) FROM changes c WHERE c.entry = a.seq) AS changes"
        f" FROM audit a LEFT JOIN runs r ON r.number = a.run{condition}"
        " ORDER BY a.seq DESC LIMIT :limit",
        {**params, "limit": ALL_ROWS if limit is None else limit},
    )
    for row in rows:
        yield LogLine(_entry(row), row["command"] or "", row["summary"], row["changes"])


def count(reader: Reader, *, actor: str | None = None, since: str | None = None) -> int:
    """Return how many entries `log` yields without a limit."""
    condition, params = _condition(actor, since)
    return reader.count(f"SELECT count(*) FROM audit a{condition}", params)


def _condition(actor: str | None, since: str | None) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"actor": actor, "since": since}
    # The log is ordered by number: with a condition on `at` alone every entry would be scanned. The condition
    # on `at` is still needed, because a clock may have been set back.
    first = "(SELECT min(+seq) FROM audit WHERE at >= :since)"
    since_then = f"a.at >= :since AND a.seq >= {first}"
    return where(params, actor="a.actor = :actor", since=since_then), params


def count_changes(reader: Reader, run: int) -> int:
    """Return how many change rows a run has."""
    return reader.count(
        "SELECT count(*) FROM audit a JOIN changes c ON c.entry = a.seq WHERE a.run = ?", (run,)
    )


_SUBJECT = """CASE c.entity
    WHEN 'user' THEN (SELECT email FROM users WHERE id = c.entity_id)
    WHEN 'seat' THEN (SELECT u.email || ' in ' || s.name FROM seats t JOIN users u ON u.id = t.user_id
        JOIN subscriptions s ON s.id = t.subscription_id WHERE t.id = c.entity_id)
    WHEN 'request' THEN (SELECT u.email || coalesce(' for ' || s.name, '') FROM requests r
        JOIN users u ON u.id = r.user_id LEFT JOIN subscriptions s ON s.id = r.subscription_id
        WHERE r.number = c.entity_id)
    WHEN 'subscription' THEN (SELECT name FROM subscriptions WHERE id = c.entity_id)
    WHEN 'plan' THEN (SELECT slug FROM plans WHERE id = c.entity_id)
    WHEN 'role' THEN json_extract(coalesce(c.after, c.before), '$.actor')
    END"""


def changes_of_run(reader: Reader, run: int) -> Iterator[tuple[str | None, Change]]:
    """Yield the changes of a run in order, each with the current name of its subject."""
    rows = reader.rows(
        f"SELECT c.*, {_SUBJECT} AS subject FROM audit a JOIN changes c ON c.entry = a.seq"
        " WHERE a.run = ? ORDER BY c.entry, c.n",
        (run,),
    )
    for row in rows:
        yield row["subject"], _change(row)


_change = mapper(Change)
_entry = mapper(AuditEntry)


def verify(reader: Reader, *, expect: str | None = None) -> Verification:
    """Recompute every hash, digest and link, and stop at the first bad entry.

    `expect` is an earlier head (`SEQ:HASH`) that must be part of the chain. On a server, entries are linked
    with `Engine.link_entries` first.
    """
    unlinked = reader.count("SELECT count(*) FROM audit WHERE place IS NULL")
    chain = _ChainVerifier(expect, unlinked)
    rows = reader.stream(
        "SELECT a.*, c.n, c.entity, c.entity_id, c.before, c.after, c.salt, c.erased_at,"
        " c.hash AS change_hash, r.command FROM audit a LEFT JOIN changes c ON c.entry = a.seq"
        " LEFT JOIN runs r ON r.number = a.run WHERE a.place IS NOT NULL ORDER BY a.place, c.n"
    )
    for _, entry_rows in groupby(rows, key=lambda row: int(row["seq"])):
        if problem := chain.verify_entry(entry_rows):
            return chain.result(problem, chain.seq)
    if loose := _loose_changes(reader):
        return chain.result(*loose)
    return chain.result(chain.missing_expected(), None)


def _loose_changes(reader: Reader) -> tuple[str, int] | None:
    row = reader.row(
        "SELECT entry FROM changes c WHERE NOT EXISTS (SELECT 1 FROM audit WHERE seq = c.entry)"
        " ORDER BY entry LIMIT 1"
    )
    return None if row is None else (f"entry {row[0]} is missing, but its changes exist", row[0])


class _ChainVerifier:
    """Verifies the entries of the chain one by one, and counts them."""

    def __init__(self, expect: str | None, unlinked: int) -> None:
        self._expect, self._unlinked = expect, unlinked
        self._expect_seen = expect is None or expect == f"0:{NO_HASH}"
        self.seq, self._place, self._hash = 0, 0, NO_HASH
        self._entries = self._changes = self._erased = 0

    def verify_entry(self, rows: Iterable[Row]) -> str | None:
        """Verify the next entry with its changes; return its problem, or None."""
        digest, first = sha256(), None
        problem = None
        for row in rows:
            first = first or row
            if row["n"] is not None and problem is None:
                problem = self._verify_change(row)
                digest.update(row["change_hash"].encode())
        if first is None:
            return None
        place, expected = int(first["place"]), self._place + 1
        self.seq = seq = int(first["seq"])
        self._place = place
        if place != expected:
            return f"entry {expected} is missing"
        problem = problem or self._verify_hashes(first, digest.hexdigest())
        self._hash = first["hash"]
        self._entries += 1
        self._expect_seen = self._expect_seen or self._expect == f"{seq}:{self._hash}"
        return problem

    def _verify_change(self, row: Row) -> str | None:
        self._changes += 1
        where = f"change {row['n']} of entry {row['seq']}"
        if row["erased_at"] is not None:
            self._erased += 1
            blank = row["before"] is None and row["after"] is None and row["salt"] is None
            return None if blank else f"{where} is marked as erased, but is not empty"
        fields = (row["entity"], row["entity_id"], row["before"], row["after"], row["salt"] or "")
        return None if change_hash(*fields) == row["change_hash"] else f"{where} was altered"

    def _verify_hashes(self, entry: Row, digest: str) -> str | None:
        seq = entry["seq"]
        if digest != entry["digest"]:
            return f"changes of entry {seq} were altered, added, removed or reordered"
        if entry["prev_hash"] != self._hash:
            return f"entry {seq} does not follow the entry before it"
        fields = [entry[name] for name in ("seq", "run", "at", "actor", "os_user", "command_hash")]
        origin = () if entry["origin"] is None else (entry["origin"],)
        if entry_hash(*fields, digest, entry["prev_hash"], *origin) != entry["hash"]:
            return f"entry {seq} was altered"
        command = entry["command"]
        if command and text_hash(command) != entry["command_hash"]:
            return f"the command of run {entry['run']}, entry {seq}, was altered"
        return None

    def missing_expected(self) -> str | None:
        """Return a problem if the expected head is not in the chain."""
        if self._expect_seen:
            return None
        return f"the expected head {self._expect} is not in the audit: its end was cut off or rewritten"

    def result(self, problem: str | None, bad_entry: int | None) -> Verification:
        """Return the result so far."""
        head = f"{self.seq}:{self._hash}"
        counts = (self._entries, self._changes, self._erased)
        return Verification(*counts, head, self._unlinked, problem, bad_entry)
