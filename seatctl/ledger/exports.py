"""The ledger's tables as plain rows, with names instead of ids: one stream per file of `ledger export`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatctl.ledger.invoices import REMAINING
from seatctl.ledger.row_values import record
from seatctl.ledger.transaction import Reader
from seatctl.models.report import Record

TABLES: Mapping[str, str] = {
    "plans": """SELECT slug, name, product_id, price_id, currency, unit_amount, interval, interval_count,
        policy, active, created_at FROM plans ORDER BY slug""",
    "customers": "SELECT stripe_id, email, name, deleted FROM customers ORDER BY id",
    "subscriptions": """SELECT s.name, p.slug AS plan, c.stripe_id AS customer, s.stripe_subscription,
        s.stripe_item, s.status, s.currency, s.unit_amount, s.collection_method, s.term_start, s.term_end,
        s.quantity, s.capacity, s.assigned, u.email AS owner, s.policy, s.auto_approval, s.cancel_at,
        s.unpaid_since, s.pause_collection, s.home_ledger, s.created_at
        FROM subscriptions s JOIN plans p ON p.id = s.plan_id
        JOIN customers c ON c.id = s.customer_id LEFT JOIN users u ON u.id = s.owner_id
        ORDER BY s.name_key""",
    "users": """SELECT email, name, group_name AS "group", status, last_active, reclaim_exempt AS exempt,
        created_at FROM users ORDER BY id""",
    "seats": """SELECT u.email, s.name AS subscription, u.name, u.group_name AS "group", t.assigned_at,
        t.until, t.claimed_at, t.revoked_at, given.run AS assigned_run, taken.run AS revoked_run
        FROM seats t JOIN users u ON u.id = t.user_id JOIN subscriptions s ON s.id = t.subscription_id
        LEFT JOIN audit given ON given.seq = t.assigned_entry
        LEFT JOIN audit taken ON taken.seq = t.revoked_entry ORDER BY t.id""",
    "requests": """SELECT r.number, u.email, s.name AS subscription, r.features, r.status, r.priority, r.note,
        r.created_at, r.expires_at, r.waitlisted_at, r.decided_by, r.decided_at, r.reason FROM requests r
        JOIN users u ON u.id = r.user_id LEFT JOIN subscriptions s ON s.id = r.subscription_id
        ORDER BY r.number""",
    "invoices": f"""SELECT i.stripe_id, i.number, i.status, i.currency, i.subtotal, i.total, i.amount_due,
        i.amount_paid,
        {REMAINING} AS amount_remaining, c.stripe_id AS customer, s.name AS subscription, i.created_at,
        i.due_date, i.finalized_at, i.paid_at, i.billing_reason, i.hosted_url FROM invoices i
        LEFT JOIN customers c ON c.id = i.customer_id LEFT JOIN subscriptions s ON s.id = i.subscription_id
        ORDER BY i.id""",
    "invoice_lines": """SELECT i.stripe_id AS invoice, l.n, l.description, l.quantity, l.amount, l.currency,
        l.period_start, l.period_end, l.proration FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
        ORDER BY l.invoice_id, l.n""",
    "roles": """SELECT r.actor, r.role, s.name AS subscription FROM roles r
        LEFT JOIN subscriptions s ON s.id = r.subscription_id ORDER BY r.actor, r.role, r.id""",
    "runs": """SELECT number, command, actor, os_user, state, started_at, finished_at, summary, undo_of
        FROM runs ORDER BY number""",
    "audit": """SELECT seq, run, at, actor, os_user, command_hash, digest, prev_hash, hash
        FROM audit ORDER BY seq""",
    "changes": """SELECT entry, n, entity, entity_id, before, after, salt, erased_at, hash
        FROM changes ORDER BY entry, n""",
}
"""The query of each file, by file name: all that is needed to move to another tool. What only Stripe has is
not exported."""


def columns(reader: Reader, table: str) -> list[str]:
    """Return the columns of a file, in order."""
    return reader.engine.columns(TABLES[table])


def rows(reader: Reader, table: str) -> Iterator[Record]:
    """Return the rows of a file."""
    return map(record, reader.stream(TABLES[table]))
