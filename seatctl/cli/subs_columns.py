"""The columns of `subs list` and `subs show`."""

from __future__ import annotations

from seatctl.output.columns import columns

LIST_COLUMNS = columns(
    "name plan status seats assigned free over_assigned owner unit_amount currency term_start term_end"
    " ends ends_at auto_approve attention ways_out stripe_subscription",
    machine="over_assigned currency term_start ends auto_approve ways_out stripe_subscription",
    wide="owner unit_amount",
)

SHOW_COLUMNS = columns(
    "name plan status seats assigned free attention ways_out next_seats next_plan over_assigned owner"
    " billing_email unit_amount currency term_start term_end ends ends_at auto_approve rules calendar"
    " stripe_subscription stripe_item auto_approval policy home_ledger",
    machine="next_seats next_plan currency ends stripe_item auto_approval policy home_ledger",
)
