"""Reminders of subscriptions: the end of a term, a failed payment, a paid renewal. Each is sent once.

A sent reminder is recorded in the audit as a change row of the entity `notice` with the subscription's id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from seatctl.errors import JsonValue
from seatctl.ledger.conditions import flag, numbers_in
from seatctl.ledger.row_values import mapper
from seatctl.ledger.subscription_handles import IS_RUNNING
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.rules.emails import email_key
from seatctl.rules.permissions import is_address

ENTITY = "notice"

END_IS_OPEN = f"""(coalesce(json_extract(s.metadata, '$.seatctl_renewed_by'), '') = ''
    AND s.{IS_RUNNING}
    AND (s.cancel_at IS NULL OR json_extract(s.policy, '$.renewal') = 'manual'))"""
"""The condition that the end of the term needs a reminder: there will be a charge, or somebody has to renew.

It does not hold if the subscription was canceled, or if the next term is already paid.
"""

_RENEWS = "s.status <> 'trialing' AND coalesce(json_extract(s.policy, '$.renewal'), '') <> 'manual'"

_OURS = f"""s.{IS_RUNNING}
    AND s.home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id')"""


@dataclass(frozen=True, slots=True)
class WatchedSubscription:
    """What the reminders need of a running subscription of this ledger. Times are UTC."""

    id: int
    term_start: datetime
    term_end: datetime
    end_is_open: bool
    """The end of the term needs a reminder, see `END_IS_OPEN`."""
    renews_automatically: bool
    """It is renewed by Stripe and is not in a trial."""
    unpaid_since: str | None


_watched = mapper(WatchedSubscription)


def watched(reader: Reader) -> Iterator[WatchedSubscription]:
    """Return the running subscriptions that belong to this ledger."""
    rows = reader.rows(
        f"SELECT s.id, s.term_start, s.term_end, s.unpaid_since, {flag(END_IS_OPEN)} AS end_is_open,"
        f" {flag(_RENEWS)} AS renews_automatically FROM subscriptions s WHERE {_OURS} ORDER BY s.id"
    )
    return map(_watched, rows)


def was_sent(reader: Reader, subscription_id: int, notice: dict[str, JsonValue]) -> bool:
    """Return whether exactly this notice was sent before."""
    rows = reader.rows(
        "SELECT after FROM changes WHERE entity = ? AND entity_id = ? AND after IS NOT NULL",
        (ENTITY, subscription_id),
    )
    return any(json.loads(row["after"]) == notice for row in rows)


def paid_renewals_without_receipt(reader: Reader, since: str) -> Iterator[tuple[int, int]]:
    """Yield (subscription id, invoice id) of paid renewals that no receipt was sent for.

    Only invoices created after `since` (written form), and since the subscription belongs to this ledger: its
    previous ledger sent the earlier receipts, or they were sent before this ledger was rebuilt.
    """
    paid = list(
        reader.rows(
            f"SELECT s.id AS subscription, i.id AS invoice FROM subscriptions s"
            " JOIN invoices i ON i.subscription_id = s.id AND i.created_at >= :since"
            f" WHERE {_OURS} AND i.billing_reason = 'subscription_cycle' AND i.status = 'paid'"
            " AND i.amount_paid > 0 AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.entity = 'notice'"
            " AND c.entity_id = s.id AND CAST(json_extract(c.after, '$.invoice') AS BIGINT) = i.id)"
            " AND i.created_at > coalesce((SELECT max(a.at) FROM changes c JOIN audit a ON a.seq = c.entry"
            " WHERE c.entity = 'subscription' AND c.entity_id = s.id AND c.erased_at IS NULL"
            " AND (c.before IS NULL OR json_extract(c.after, '$.home_ledger')"
            " <> coalesce(json_extract(c.before, '$.home_ledger'), ''))), s.created_at)"
            " ORDER BY i.created_at, i.id",
            {"since": since},
        )
    )
    with_receipt = _with_receipt(reader, [row["invoice"] for row in paid]) if paid else set[int]()
    return ((row["subscription"], row["invoice"]) for row in paid if row["invoice"] not in with_receipt)


def _with_receipt(reader: Reader, invoices: list[int]) -> set[int]:
    """Return the invoices that have a receipt in the outbox. They should be few: no index helps."""
    invoice = "CAST(json_extract(ids, '$.invoice') AS BIGINT)"
    found = reader.column(
        f"SELECT {invoice} FROM outbox WHERE template = 'receipt' AND {invoice} IN {numbers_in('?')}",
        (json.dumps(invoices),),
    )
    return set(found)


def notify(
    tx: Transaction,
    template: str,
    subscription_id: int,
    *,
    ids: dict[str, int] | None = None,
    billing: bool = False,
) -> int:
    """Queue a message to the owner of a subscription, and if `billing` to the payer; return how many.

    If there is neither, the message goes to the admins.
    """
    row = tx.row(
        "SELECT s.owner_id, u.email AS owner, c.email AS payer FROM subscriptions s"
        " LEFT JOIN users u ON u.id = s.owner_id JOIN customers c ON c.id = s.customer_id WHERE s.id = ?",
        (subscription_id,),
    )
    all_ids = {"subscription": subscription_id, **(ids or {})}
    if row is None:
        return 0
    queued = 0
    if row["owner_id"] is not None:
        queued += tx.mail(template, all_ids, recipient_id=row["owner_id"]) is not None
    if billing and row["payer"] and email_key(row["payer"]) != email_key(row["owner"] or ""):
        queued += tx.mail(template, all_ids, recipient_actor=row["payer"]) is not None
    return queued or _notify_admins(tx, template, all_ids)


def _notify_admins(tx: Transaction, template: str, ids: dict[str, int]) -> int:
    admins = tx.rows(
        "SELECT actor FROM roles WHERE role = 'admin' AND subscription_id IS NULL ORDER BY actor"
    )
    addresses = [row["actor"] for row in admins if is_address(row["actor"])]
    return sum(tx.mail(template, ids, recipient_actor=address) is not None for address in addresses)
