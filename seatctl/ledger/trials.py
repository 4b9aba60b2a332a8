"""What the ledger's copy of Stripe's subscription says beyond its columns: its trial and its schedule."""

from __future__ import annotations

import json
from typing import NamedTuple

from seatctl.ledger.transaction import Reader
from seatctl.models.call import parse_time
from seatctl.models.collection import Trial

_SELECT = """SELECT s.status, s.term_end, s.cancel_at, s.metadata, c.data AS customer,
    coalesce(json_extract(s.policy, '$.renewal'), '') AS renewal
    FROM subscriptions s JOIN customers c ON c.id = s.customer_id WHERE s.id = ?"""

# As in rules/metadata.py, which is too heavy to import for `check`.
_SCHEDULE, _TRIAL = "[schedule]", "[trial]"


class TrialAndSchedule(NamedTuple):
    """A subscription's running trial, and the id of the schedule that manages it."""

    trial: Trial | None
    schedule: str | None


def trial_and_schedule(reader: Reader, subscription_id: int) -> TrialAndSchedule:
    """Return the trial and the schedule of a subscription; None for each that it does not have."""
    row = reader.row(_SELECT, (subscription_id,))
    if row is None:
        return TrialAndSchedule(None, None)
    copied = json.loads(row["metadata"])
    if row["status"] != "trialing" or row["renewal"] == "manual":
        return TrialAndSchedule(None, copied.get(_SCHEDULE))
    # A copy that an earlier version made does not say it; nearly every trial has a card.
    then = copied.get(_TRIAL, "charge")
    if then not in {"charge", "invoice"} and json.loads(row["customer"]).get("default_payment_method"):
        then = "charge"
    then = "unpaid" if then == "create_invoice" else then
    if row["cancel_at"] is not None and row["cancel_at"] <= row["term_end"]:
        then = "end"
    return TrialAndSchedule(Trial(parse_time(row["term_end"]), then), copied.get(_SCHEDULE))
