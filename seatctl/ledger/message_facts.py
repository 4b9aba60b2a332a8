"""The facts for a message, read by its ids when it is sent. Names, times and amounts; no text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from seatctl.errors import JsonValue
from seatctl.ledger import invoices, requests
from seatctl.ledger.conditions import flag
from seatctl.ledger.reminders import END_IS_OPEN
from seatctl.ledger.row_values import record
from seatctl.ledger.transaction import Reader
from seatctl.ledger.trials import trial_and_schedule
from seatctl.models.call import format_time
from seatctl.models.invoice import Invoice, InvoiceLine
from seatctl.models.message import Message
from seatctl.models.money import format_money
from seatctl.models.report import record_of

Facts = dict[str, JsonValue]

_SEAT = """SELECT t.assigned_at, t.until, t.claimed_at, t.revoked_at, u.email, u.name,
    s.name AS subscription, p.name AS plan, s.policy,
    (SELECT json_extract(c.after, '$.reclaim_at') FROM changes c WHERE c.entity = 'seat'
        AND c.entity_id = t.id AND json_extract(c.after, '$.reclaim_at') IS NOT NULL
        ORDER BY c.entry DESC LIMIT 1) AS reclaim_at
    FROM seats t JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id
    JOIN plans p ON p.id = s.plan_id WHERE t.id = ?"""
_SUBSCRIPTION = f"""SELECT s.name, p.name AS plan, s.status, s.capacity AS seats, s.currency, s.unit_amount,
    s.term_end, s.cancel_at, s.unpaid_since, s.policy, u.email AS owner, {flag(END_IS_OPEN)} AS end_is_open
    FROM subscriptions s JOIN plans p ON p.id = s.plan_id LEFT JOIN users u ON u.id = s.owner_id
    WHERE s.id = ?"""
_UNPAID = """SELECT stripe_id FROM invoices WHERE subscription_id = ? AND status = 'open'
    AND amount_remaining > 0 ORDER BY created_at, id LIMIT 1"""


def read_facts(reader: Reader, message: Message, now: datetime) -> Facts:
    """Return the facts of a message to one recipient, as they are at `now` (UTC).

    They are `recipient`, `ids`, and the things that the ids name; None for a thing that no id names.
    """
    facts: Facts = {"recipient": {"email": message.email, "name": message.name}, "ids": {**message.ids}}
    for key, read in _READERS.items():
        facts[key] = read(reader, message.ids[key]) if key in message.ids else None
    facts["request"] = _request(reader, message.ids["request"], now) if "request" in message.ids else None
    return facts


def _seat(reader: Reader, seat_id: int) -> Facts | None:
    return _with_policy(reader, _SEAT, seat_id)


def _subscription(reader: Reader, subscription_id: int) -> Facts | None:
    facts = _with_policy(reader, _SUBSCRIPTION, subscription_id)
    if facts is None:
        return None
    unpaid = reader.value(_UNPAID, (subscription_id,))
    trial = trial_and_schedule(reader, subscription_id).trial
    facts["trial"] = None if trial is None else trial.then
    return {**facts, "unpaid_invoice": _invoice_of(reader, str(unpaid)) if unpaid else None}


def _with_policy(reader: Reader, sql: str, number: int) -> Facts | None:
    """Return a row with the parts of its policy that concern a person with a seat."""
    facts = _row_facts(reader, sql, number)
    if facts is None:
        return None
    policy = json.loads(str(facts.pop("policy") or "{}"))
    return {
        **facts,
        "sign_in_url": policy.get("sign_in_url"),
        "features": policy.get("features") or [],
        "renewal": policy.get("renewal", "automatic"),
        "grace_days": policy.get("grace_days"),
        "support_contact": policy.get("support_contact"),
    }


def _request(reader: Reader, number: int, now: datetime) -> Facts | None:
    try:
        request = requests.find(reader, number, now)
    except requests.UnknownRequest:
        return None
    name = reader.value("SELECT name FROM users WHERE id = ?", (request.user_id,))
    return {
        **record_of(request, "number status note reason expires_at features decided_by email subscription"),
        "name": None if name is None else str(name),
        "place": requests.place(reader, request.number, now),
    }


def _user(reader: Reader, user_id: int) -> Facts | None:
    return _row_facts(reader, "SELECT email, name FROM users WHERE id = ?", user_id)


def _invoice(reader: Reader, invoice_id: int) -> Facts | None:
    stripe_id = reader.value("SELECT stripe_id FROM invoices WHERE id = ?", (invoice_id,))
    return None if stripe_id is None else _invoice_of(reader, str(stripe_id))


def _invoice_of(reader: Reader, stripe_id: str) -> Facts:
    invoice = invoices.find(reader, stripe_id)
    lines = invoices.lines(reader, invoice.id)
    balance = _balance_applied(invoice)
    return {
        **_purchase_facts(reader, invoice, lines),
        "number": invoice.number or invoice.stripe_id,
        "total": _money(invoice.total, invoice.currency),
        "net": None if invoice.net is None else _money(invoice.net, invoice.currency),
        "tax": None if invoice.tax is None else _money(invoice.tax, invoice.currency),
        "amount_paid": _money(invoice.amount_paid, invoice.currency),
        "balance": _money(balance, invoice.currency) if balance else None,
        "amount_remaining": _money(invoice.amount_remaining, invoice.currency),
        "created_at": f"{invoice.created_at:%Y-%m-%d}",
        "due_date": None if invoice.due_date is None else f"{invoice.due_date:%Y-%m-%d}",
        "url": invoice.hosted_url,
        "lines": [
            {"description": line.description, "amount": _money(line.amount, line.currency)} for line in lines
        ],
    }


def _purchase_facts(reader: Reader, invoice: Invoice, lines: Sequence[InvoiceLine]) -> Facts:
    """Return what an invoice was for: `plan`, `seats`, `paid_from` and `paid_until`, from its lines.

    The subscription may have changed since. A value is None if the lines do not determine it, such as lines
    for several plans or several changes within a period.
    """
    facts: Facts = {"plan": None, "seats": None, "paid_from": None, "paid_until": None}
    charged = [line for line in lines if line.amount > 0]
    if not charged:
        return facts
    newest = max(line.period_end for line in charged)
    latest = [line for line in charged if line.period_end == newest]
    whole = [line for line in latest if not line.proration] or latest
    details = invoice.details
    if details.get("covers_until"):  # created by seatctl, with lines that have no period
        facts.update(paid_from=details.get("covers_from"), paid_until=details["covers_until"])
    elif all(line.period_start < line.period_end for line in whole):
        start = min(line.period_start for line in whole)
        facts.update(paid_from=format_time(start), paid_until=format_time(newest))
    if len(whole) == 1:
        plan = reader.value("SELECT name FROM plans WHERE product_id = ?", (_product(whole[0]),))
        facts.update(plan=None if plan is None else str(plan), seats=whole[0].quantity)
    return facts


def _balance_applied(invoice: Invoice) -> int:
    """Return what the customer's balance or credit notes added to the total; negative if they reduced it."""
    return invoice.amount_paid + invoice.amount_remaining - invoice.total


def _product(line: InvoiceLine) -> str:
    return str(line.details.get("product"))


def _money(amount: int, currency: str) -> str:
    return format_money(amount, currency)


def _row_facts(reader: Reader, sql: str, number: int) -> Facts | None:
    row = reader.row(sql, (number,))
    return None if row is None else record(row)


_READERS: Mapping[str, Callable[[Reader, int], Facts | None]] = {
    "seat": _seat,
    "subscription": _subscription,
    "invoice": _invoice,
    "from_user": _user,
    "to_user": _user,
}
