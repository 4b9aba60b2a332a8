"""Columns about collection: what is still owed for a subscription, and whether collection is paused."""

from __future__ import annotations

import json

from seatctl.ledger.json_text import json_array, json_flag, json_rows
from seatctl.models.call import format_time, parse_time
from seatctl.models.collection import OwedInvoice, Pause

UNSETTLED = "status IN ('draft', 'open', 'uncollectible')"
"""The condition that something may still be owed for an invoice. It repeats the condition of the partial
indexes word for word, because SQLite uses them for no other wording."""

_OWED_INVOICE = json_array(
    "json_quote(coalesce(i.number, i.stripe_id))",
    json_flag("i.status = 'draft'"),
    "json_quote(i.amount_remaining)",
    "json_quote(i.currency)",
    "json_quote(i.due_date)",
    "json_quote(coalesce(i.finalized_at, i.created_at))",
    "json_quote(json_extract(i.data, '$.processing_until'))",
)

OWED = f"""(SELECT {json_rows(_OWED_INVOICE)} FROM invoices i
    WHERE (i.subscription_id = s.id OR i.stripe_subscription = s.stripe_subscription)
    AND i.{UNSETTLED} AND (i.amount_remaining > 0 OR i.status = 'draft' AND s.status = 'unpaid')
    AND (i.status = 'open'
        OR i.status = 'draft' AND CAST(json_extract(i.data, '$.held') AS BIGINT) = 1))"""
"""An SQL expression for `read_owed`, for queries in which `s` is the subscription.

For an unpaid subscription it includes drafts with nothing left to pay: paying the newest draft makes the
subscription active again, even if credit covers it.
"""


def read_owed(text: str | None) -> tuple[OwedInvoice, ...]:
    """Return the invoices that `OWED` selected, newest first."""
    if text is None or text == "[]":
        return ()  # nearly always
    invoices = [_owed(*fields) for fields in json.loads(text)]
    return tuple(sorted(invoices, key=lambda invoice: (invoice.since, invoice.handle), reverse=True))


def _owed(
    handle: str, draft: bool, amount: int, currency: str, due: str | None, since: str, until: str | None
) -> OwedInvoice:
    return OwedInvoice(
        handle,
        draft,
        amount,
        currency,
        None if due is None else parse_time(due),
        parse_time(since),
        None if until is None else parse_time(until),
    )


def read_pause(text: str | None) -> Pause | None:
    """Return the pause that the column `pause_collection` holds."""
    if text is None:
        return None
    behavior, resumes_at = json.loads(text)
    return Pause(behavior, None if resumes_at is None else parse_time(resumes_at))


def pause_text(pause: Pause | None) -> str | None:
    """Return a pause as text for the column `pause_collection`."""
    if pause is None:
        return None
    return json.dumps([pause.behavior, None if pause.resumes_at is None else format_time(pause.resumes_at)])
