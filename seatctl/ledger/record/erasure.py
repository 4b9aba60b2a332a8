"""Taking a person out of the record: what the ledger and its audit hold of them is blanked, hashes stay.

Change rows lose before, after and salt together, which the schema allows and `audit verify` counts. The text
of a command goes too, since it is kept beside its hash. Who acted is part of the chain and cannot be taken
out; what was sent to Stripe (operations, invoices, customers) is the record of money and stays.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.ledger import user_search
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.schema import email_keys
from seatctl.ledger.transaction import Transaction
from seatctl.models.user import User
from seatctl.rules.permissions import actor_key

_BLANK = """UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at = :now
    WHERE erased_at IS NULL AND """

_OF_MESSAGE = """SELECT 1 FROM changes c JOIN seats t ON t.id = c.entity_id WHERE c.entry = outbox.entry_id
    AND c.entity = 'seat'
    AND c.n BETWEEN json_extract(ids, '$.from_change') AND json_extract(ids, '$.to_change')"""

_HOLD_THEIRS = f"""UPDATE outbox SET state = 'held' WHERE state = 'waiting'
    AND json_extract(ids, '$.from_change') IS NOT NULL
    AND EXISTS ({_OF_MESSAGE} AND t.user_id = :user) AND NOT EXISTS ({_OF_MESSAGE} AND t.user_id <> :user)"""
"""Messages that are not spread out yet, and all of which would go to them."""

_ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was blanked, and how much names the person for good."""

    changes: int
    commands: int
    acted: int
    """Audit entries of which the person was the actor: they are part of the chain."""


def is_erased(user: User) -> bool:
    """Whether nothing of this user is left but a number."""
    return user.email.endswith(".invalid") and user.email.startswith("erased-")


def erase(tx: Transaction, user: User) -> Erased:
    """Blank what is held of a removed user. The record of it holds no more than their number."""
    tx.engine.overwrite_deleted()
    tx.open_run()  # so that the text of this very command, which names them, is blanked with the others
    # SQLite folds the case of ASCII alone, and actors stand there as they were typed.
    tx.engine.define("actor_key", lambda actor: None if actor is None else actor_key(actor))
    emails, words = _known_as(tx, user)
    keys = set(map(actor_key, emails))
    acted = sum(tx.count("SELECT count(*) FROM audit WHERE actor_key(actor) = ?", (key,)) for key in keys)
    changes = _blank_changes(tx, user, emails)
    runs, lines = _blank_runs(tx, words)
    tx.execute("UPDATE requests SET note = NULL, reason = NULL WHERE user_id = ?", (user.id,))
    _blank_messages(tx, user, emails)
    _blank_user(tx, user)
    # How much it was, so that `ledger check` tells it from what somebody has blanked by hand.
    tx.record("user", user.id, {"erased": False}, {"erased": True, "changes": changes, "commands": runs})
    return Erased(changes, runs + lines, acted)


def _known_as(tx: Transaction, user: User) -> tuple[set[str], set[str]]:
    """Every e-mail the person had, and every word that names them: e-mails and names."""
    emails, names = {user.email}, {user.name} if user.name else set()
    for facts in _facts(tx, user.id):
        emails |= {str(facts["email"])} if facts.get("email") else set()
        names |= {str(facts["name"])} if facts.get("name") else set()
    return emails, emails | names | set(map(actor_key, emails))  # roles are told of by the key


def _facts(tx: Transaction, user_id: int) -> Iterator[dict[str, object]]:
    rows = tx.rows("SELECT before, after FROM changes WHERE entity = 'user' AND entity_id = ?", (user_id,))
    for row in rows:
        for text in (row["before"], row["after"]):
            if text is not None:
                yield json.loads(text)


def _blank_changes(tx: Transaction, user: User, emails: set[str]) -> int:
    params: dict[str, SqlValue] = {"now": tx.now, "user": user.id}
    blanked = tx.execute(f"{_BLANK} entity = 'user' AND entity_id = :user", params)
    blanked += tx.execute(  # they hold its note and the reason that it was given
        f"{_BLANK} entity = 'request' AND entity_id IN (SELECT number FROM requests WHERE user_id = :user)",
        params,
    )
    last = email_keys.last_former_entry(tx)
    tx.execute("DELETE FROM former_email_keys WHERE user_id = ?", (user.id,))
    for email in emails:
        # Roles and decisions name an actor, not a user.
        key, former = actor_key(email), email_keys.former_actor_key(email)
        blanked += tx.execute(
            f"{_BLANK} entity IN ('role', 'request') AND ("
            " :key IN (actor_key(json_extract(before, '$.actor')), actor_key(json_extract(after, '$.actor')))"
            " OR entry <= :last AND :former IN"
            "   (json_extract(before, '$.actor'), json_extract(after, '$.actor'))"
            " OR actor_key(json_extract(before, '$.decided_by')) = :key"
            " OR actor_key(json_extract(after, '$.decided_by')) = :key)",
            {"now": tx.now, "key": key, "last": last, "former": former},
        )
        tx.execute(
            "UPDATE requests SET decided_by = :gone WHERE actor_key(decided_by) = :key",
            {"gone": _ERASED, "key": key},
        )
    return blanked


def _blank_runs(tx: Transaction, words: set[str]) -> tuple[int, int]:
    """Commands and summaries that name the person; how many commands of runs, and of lines of batches.

    A command loses its text, whose hash stays.
    """
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    named = [
        (row["number"], pattern.search(row["command"]), pattern.sub(_ERASED, row["summary"] or ""))
        for row in tx.rows("SELECT number, command, summary FROM runs")
        if pattern.search(row["command"]) or pattern.search(row["summary"] or "")
    ]
    for number, in_command, summary in named:
        tx.execute(
            "UPDATE runs SET command = iif(?, '', command), summary = ? WHERE number = ?",
            (int(in_command is not None), summary or None, number),
        )
    batch = tx.rows("SELECT rowid, command FROM batch_rows")
    rows = [row["rowid"] for row in batch if pattern.search(row["command"])]
    for rowid in rows:
        tx.execute("UPDATE batch_rows SET command = '', error = NULL WHERE rowid = ?", (rowid,))
    return sum(1 for _, in_command, _ in named if in_command is not None), len(rows)


def _blank_messages(tx: Transaction, user: User, emails: set[str]) -> None:
    """What waits for them is not sent any more; what was sent forgets where it went."""
    tx.execute(
        "UPDATE outbox SET state = iif(state = 'waiting', 'held', state), last_error = NULL"
        " WHERE recipient_id = ?",
        (user.id,),
    )
    tx.execute(_HOLD_THEIRS, {"user": user.id})
    for email in emails:
        tx.execute(
            "UPDATE outbox SET state = iif(state = 'waiting', 'held', state), last_error = NULL,"
            " recipient_actor = NULL WHERE actor_key(recipient_actor) = ?",
            (actor_key(email),),
        )


def _blank_user(tx: Transaction, user: User) -> None:
    nobody = f"erased-{user.id}@erased.invalid"
    user_search.remove(tx, "SELECT :id", {"id": user.id})
    tx.execute(
        "UPDATE users SET email = :email, email_key = :email, name = NULL, group_name = NULL,"
        " last_active = NULL, status = 'removed', reclaim_exempt = 0 WHERE id = :id",
        {"email": nobody, "id": user.id},
    )
    user_search.index(tx, "SELECT :id", {"id": user.id})
    user_search.purge(tx)
