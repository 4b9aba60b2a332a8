"""What subscriptions have to tell by themselves: a term that ends, a payment that failed; each told once.

That it was told stands in the audit, as a change row of the entity `notice` with the subscription's id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from seatctl.errors import JsonValue
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import parse_time
from seatctl.rules.emails import email_key

ENTITY = "notice"


@dataclass(frozen=True, slots=True)
class Watched:
    """A running subscription of this ledger, as its reminders see it. Times are UTC."""

    id: int
    term_start: datetime
    term_end: datetime
    reminds: bool
    """Its term ends with a charge or with an end that somebody can still avert."""
    unpaid_since: str | None


def watched(reader: Reader) -> Iterator[Watched]:
    """The running subscriptions whose home this ledger is.

    Who has canceled needs no reminder, nor who has paid the next term already.
    """
    rows = reader.rows(
        "SELECT id, term_start, term_end, unpaid_since, coalesce(json_extract(metadata,"
        " '$.seatctl_renewed_by'), '') = '' AND (cancel_at IS NULL OR json_extract(policy, '$.renewal')"
        " = 'manual') AS reminds FROM subscriptions WHERE status IN ('active', 'trialing', 'past_due')"
        " AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id') ORDER BY id"
    )
    for row in rows:
        yield Watched(
            id=row["id"],
            term_start=parse_time(row["term_start"]),
            term_end=parse_time(row["term_end"]),
            reminds=bool(row["reminds"]),
            unpaid_since=row["unpaid_since"],
        )


def was_told(reader: Reader, subscription_id: int, notice: dict[str, JsonValue]) -> bool:
    """Whether exactly this was told before."""
    rows = reader.rows(
        "SELECT after FROM changes WHERE entity = ? AND entity_id = ? AND after IS NOT NULL",
        (ENTITY, subscription_id),
    )
    return any(json.loads(row["after"]) == notice for row in rows)


def tell(
    tx: Transaction,
    template: str,
    subscription_id: int,
    *,
    ids: dict[str, int] | None = None,
    billing: bool = False,
) -> int:
    """A message to the owner of a subscription, and with `billing` to who pays; how many were queued.

    Where there is neither, to the admins.
    """
    row = tx.row(
        "SELECT s.owner_id, u.email AS owner, c.email AS payer FROM subscriptions s"
        " LEFT JOIN users u ON u.id = s.owner_id JOIN customers c ON c.id = s.customer_id WHERE s.id = ?",
        (subscription_id,),
    )
    what = {"subscription": subscription_id, **(ids or {})}
    if row is None:
        return 0
    queued = 0
    if row["owner_id"] is not None:
        queued += tx.mail(template, what, recipient_id=row["owner_id"]) is not None
    if billing and row["payer"] and email_key(row["payer"]) != email_key(row["owner"] or ""):
        queued += tx.mail(template, what, recipient_actor=row["payer"]) is not None
    return queued or _tell_admins(tx, template, what)


def _tell_admins(tx: Transaction, template: str, ids: dict[str, int]) -> int:
    admins = tx.rows(
        "SELECT actor FROM roles WHERE role = 'admin' AND subscription_id IS NULL AND actor LIKE '%@%'"
        " AND actor NOT LIKE '%:%'"
    )
    return sum(tx.mail(template, ids, recipient_actor=row["actor"]) is not None for row in list(admins))
