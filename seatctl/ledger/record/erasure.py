"""Erasure of a person: their data in the ledger and its audit is blanked, the hashes stay.

Change rows lose before, after and salt together, which the schema allows and `audit verify` counts. Commands
lose their text, because the audit needs only its hash. The actor of an entry is part of the hash chain and
cannot be removed. Operations, invoices and customers are the record of money and stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.ledger.conditions import texts_in
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import json_list
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Transaction
from seatctl.models.user import User
from seatctl.rules.permissions import actor_key

_OF_MESSAGE = """SELECT 1 FROM changes c JOIN seats t ON t.id = c.entity_id WHERE c.entry = outbox.entry_id
    AND c.entity = 'seat'
    AND c.n BETWEEN CAST(json_extract(ids, '$.from_change') AS BIGINT)
        AND CAST(json_extract(ids, '$.to_change') AS BIGINT)"""

_HOLD_MESSAGES = f"""UPDATE outbox SET state = 'held' WHERE state = 'waiting'
    AND json_extract(ids, '$.from_change') IS NOT NULL
    AND EXISTS ({_OF_MESSAGE} AND t.user_id = :user) AND NOT EXISTS ({_OF_MESSAGE} AND t.user_id <> :user)"""
"""Holds messages to many that are not expanded yet and have only this person as recipient."""

_HELD = "state = CASE WHEN state = 'waiting' THEN 'held' ELSE state END, last_error = NULL"

# Roles and decisions name an actor rather than a user.
_NAMES = f"""entity IN ('role', 'request') AND (
    json_extract(before, '$.actor') IN {texts_in(":spellings")}
    OR json_extract(after, '$.actor') IN {texts_in(":spellings")}
    OR entry <= :last AND (json_extract(before, '$.actor') IN {texts_in(":formers")}
        OR json_extract(after, '$.actor') IN {texts_in(":formers")})
    OR json_extract(before, '$.decided_by') IN {texts_in(":spellings")}
    OR json_extract(after, '$.decided_by') IN {texts_in(":spellings")})"""

_ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was blanked, and how many audit entries still name the person."""

    changes: int
    commands: int
    acted: int
    """Audit entries with the person as actor, which is part of the hash chain."""


def is_erased(user: User) -> bool:
    """Return whether this user was erased."""
    return user.email.endswith(".invalid") and user.email.startswith("erased-")


def erase(tx: Transaction, user: User) -> Erased:
    """Blank the data of a removed user, and record that as a change of the user's id."""
    tx.engine.overwrite_deleted()
    tx.open_run()  # so that the command of this run, which names the person, is blanked too
    emails, words = _known_as(tx, user)
    spellings = _spellings(tx, "SELECT DISTINCT actor FROM audit", emails)
    acted = tx.count(f"SELECT count(*) FROM audit WHERE actor IN {texts_in('?')}", (json_list(spellings),))
    changes = _blank_changes(tx, user, emails)
    runs, lines = _blank_runs(tx, words)
    tx.execute("UPDATE requests SET note = NULL, reason = NULL WHERE user_id = ?", (user.id,))
    _blank_messages(tx, user, emails)
    _blank_user(tx, user)
    # The numbers let `ledger check` recognise rows that were blanked by hand.
    tx.record("user", user.id, {"erased": False}, {"erased": True, "changes": changes, "commands": runs})
    return Erased(changes, runs + lines, acted)


def _known_as(tx: Transaction, user: User) -> tuple[set[str], set[str]]:
    """Return all e-mails of the person, and all texts that name them: e-mails, names and actor keys."""
    emails, names = {user.email}, {user.name} if user.name else set()
    for facts in _facts(tx, user.id):
        emails |= {str(facts["email"])} if facts.get("email") else set()
        names |= {str(facts["name"])} if facts.get("name") else set()
    return emails, emails | names | set(map(actor_key, emails))


def _spellings(tx: Transaction, query: str, emails: set[str]) -> list[str]:
    """Return the texts of the query that name one of these people: actors are stored as they were typed."""
    keys = set(map(actor_key, emails))
    return [text for text in tx.column(query) if isinstance(text, str) and actor_key(text) in keys]


def _facts(tx: Transaction, user_id: int) -> Iterator[dict[str, object]]:
    rows = tx.rows("SELECT before, after FROM changes WHERE entity = 'user' AND entity_id = ?", (user_id,))
    for row in rows:
        for text in (row["before"], row["after"]):
            if text is not None:
                yield json.loads(text)


def _blank_changes(tx: Transaction, user: User, emails: set[str]) -> int:
    # Those of requests have the note and the reason.
    of_user = """entity = 'user' AND entity_id = :user
        OR entity = 'request' AND entity_id IN (SELECT number FROM requests WHERE user_id = :user)"""
    blanked = tx.engine.blank_changes(of_user, {"user": user.id}, tx.now)
    tx.execute("DELETE FROM former_email_keys WHERE user_id = ?", (user.id,))
    blanked += tx.engine.blank_changes(_NAMES, _named_in_changes(tx, emails), tx.now)
    decided = _spellings(tx, "SELECT DISTINCT decided_by FROM requests", emails)
    tx.execute(
        f"UPDATE requests SET decided_by = ? WHERE decided_by IN {texts_in('?')}",
        (_ERASED, json_list(decided)),
    )
    return blanked


def _named_in_changes(tx: Transaction, emails: set[str]) -> dict[str, SqlValue]:
    """Return the parameters of `_NAMES` for a person: the texts by which change rows name them."""
    named = " UNION ".join(
        f"SELECT json_extract({column}, '$.{key}') FROM changes WHERE entity IN ('role', 'request')"
        for column in ("before", "after")
        for key in ("actor", "decided_by")
    )
    return {
        "spellings": json_list(_spellings(tx, named, emails)),
        "formers": json_list(map(email_keys.former_actor_key, emails)),
        "last": email_keys.last_former_entry(tx),
    }


def _blank_runs(tx: Transaction, words: set[str]) -> tuple[int, int]:
    """Blank commands and summaries that name the person.

    Returns how many commands of runs, and of lines of batches, were blanked. Their hashes stay.
    """
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    named = [
        (row["number"], pattern.search(row["command"]), pattern.sub(_ERASED, row["summary"] or ""))
        for row in tx.stream("SELECT number, command, summary FROM runs")
        if pattern.search(row["command"]) or pattern.search(row["summary"] or "")
    ]
    for number, in_command, summary in named:
        tx.execute(
            "UPDATE runs SET summary = :summary, command = CASE WHEN :named = 1 THEN '' ELSE command END"
            " WHERE number = :number",
            {"summary": summary or None, "named": int(in_command is not None), "number": number},
        )
    batch = tx.stream("SELECT run, n, command FROM batch_rows")
    lines = [(row["run"], row["n"]) for row in batch if pattern.search(row["command"])]
    for line in lines:
        tx.execute("UPDATE batch_rows SET command = '', error = NULL WHERE run = ? AND n = ?", line)
    return sum(1 for _, in_command, _ in named if in_command is not None), len(lines)


def _blank_messages(tx: Transaction, user: User, emails: set[str]) -> None:
    """Hold the messages that wait for the person, and blank the address of those that were sent."""
    tx.execute(f"UPDATE outbox SET {_HELD} WHERE recipient_id = ?", (user.id,))
    tx.execute(_HOLD_MESSAGES, {"user": user.id})
    spellings = _spellings(tx, "SELECT DISTINCT recipient_actor FROM outbox", emails)
    tx.execute(
        f"UPDATE outbox SET {_HELD}, recipient_actor = NULL WHERE recipient_actor IN {texts_in('?')}",
        (json_list(spellings),),
    )


def _blank_user(tx: Transaction, user: User) -> None:
    placeholder = f"erased-{user.id}@erased.invalid"
    tx.engine.users.remove("SELECT :id", {"id": user.id})
    tx.execute(
        "UPDATE users SET email = :email, email_key = :email, name = NULL, group_name = NULL,"
        " group_key = NULL, last_active = NULL, status = 'removed', reclaim_exempt = 0 WHERE id = :id",
        {"email": placeholder, "id": user.id},
    )
    tx.engine.users.insert("SELECT :id", {"id": user.id})
    tx.engine.users.purge()
