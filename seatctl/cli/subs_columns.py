"""The columns of `subs list` and `subs show`."""

from __future__ import annotations

from seatctl.output.style import Column

LIST_COLUMNS = (
    Column("name", "Name"),
    Column("plan", "Plan"),
    Column("status", "Status"),
    Column("seats", "Seats", "integer"),
    Column("assigned", "Assigned", "integer"),
    Column("free", "Free", "integer"),
    Column("over_assigned", "Over", "integer", table=False),
    Column("owner", "Owner", wide=True),
    Column("unit_amount", "Seat price", "money", wide=True),
    Column("currency", "Currency", table=False),
    Column("term_start", "Term start", "time", table=False),
    Column("term_end", "Term ends", "time"),
    Column("ends", "Does not renew", "flag", table=False),
    Column("ends_at", "Ends", "time"),
    Column("auto_approve", "Auto-approval", "flag", table=False),
    Column("attention", "Attention", "lines"),
    Column("ways_out", "What helps", "lines", table=False),
    Column("stripe_subscription", "Stripe id", table=False),
)

SHOW_COLUMNS = (
    *LIST_COLUMNS[:6],
    Column("attention", "Attention", "lines"),
    Column("ways_out", "What helps", "lines"),
    Column("next_seats", "Seats next term", "integer", table=False),
    Column("next_plan", "Plan next term", table=False),
    Column("over_assigned", "Over-assigned", "integer"),
    Column("owner", "Owner"),
    Column("billing_email", "Billed to"),
    Column("unit_amount", "Seat price", "money"),
    Column("currency", "Currency", table=False),
    Column("term_start", "Term start", "time"),
    Column("term_end", "Term ends", "time"),
    Column("ends", "Ends with the term", "flag", table=False),
    Column("ends_at", "Ends", "time"),
    Column("auto_approve", "Automatic approval", "flag"),
    Column("rules", "Policy", "lines"),
    Column("calendar", "Calendar", "lines"),
    Column("stripe_subscription", "Stripe id"),
    Column("stripe_item", "Stripe item", table=False),
    Column("auto_approval", "Approval rules", "list", table=False),
    Column("policy", "Fields", "list", table=False),
    Column("home_ledger", "Home ledger", table=False),
)
