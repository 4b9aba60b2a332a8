"""What is still to be paid for a subscription and whether collection is paused, as columns of its row."""

from __future__ import annotations

import json

from seatctl.models.call import format_time, parse_time
from seatctl.models.collection import OwedInvoice, Pause

UNSETTLED = "status IN ('draft', 'open', 'uncollectible')"
"""Of an invoice: something may still be owed. In the words of the partial indexes, which SQLite uses for no
others."""

OWED = f"""(SELECT json_group_array(json_array(coalesce(i.number, i.stripe_id), i.status = 'draft',
        i.amount_remaining, i.currency, i.due_date, coalesce(i.finalized_at, i.created_at))) FROM invoices i
    WHERE (i.subscription_id = s.id OR i.stripe_subscription = s.stripe_subscription)
    AND i.{UNSETTLED} AND (i.amount_remaining > 0 OR i.status = 'draft' AND s.status = 'unpaid')
    AND (i.status = 'open' OR i.status = 'draft' AND json_extract(i.data, '$.held') = 1))"""  # noqa: S608 - ours
"""An expression for `read_owed`, in a query in which `s` is the subscription.

An unpaid one runs again when its newest draft is paid, be it by credit that leaves nothing to pay.
"""


def read_owed(text: str | None) -> tuple[OwedInvoice, ...]:
    """The invoices that `OWED` found, the newest first."""
    if text is None or text == "[]":
        return ()  # nearly always
    found = [_owed(*fields) for fields in json.loads(text)]
    return tuple(sorted(found, key=lambda one: (one.since, one.handle), reverse=True))


def _owed(handle: str, draft: int, amount: int, currency: str, due: str | None, since: str) -> OwedInvoice:
    return OwedInvoice(
        handle, bool(draft), amount, currency, None if due is None else parse_time(due), parse_time(since)
    )


def read_pause(text: str | None) -> Pause | None:
    """The column `pause_collection`."""
    if text is None:
        return None
    behavior, resumes_at = json.loads(text)
    return Pause(behavior, None if resumes_at is None else parse_time(resumes_at))


def pause_text(pause: Pause | None) -> str | None:
    """A pause as the column `pause_collection` keeps it."""
    if pause is None:
        return None
    return json.dumps([pause.behavior, None if pause.resumes_at is None else format_time(pause.resumes_at)])
