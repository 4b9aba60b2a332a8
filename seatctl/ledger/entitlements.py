"""The query behind `check`: a user's status and active seats, by index, in two statements."""

from __future__ import annotations

import json
from datetime import datetime

from seatctl.ledger.collection import OWED, read_owed, read_pause
from seatctl.ledger.engines.port import Row
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, parse_time
from seatctl.models.entitlement import Holding
from seatctl.rules.emails import email_key

# Owed invoices are read only if they can matter: most subscriptions are paid.
_HOLDINGS = f"""SELECT s.id, s.name, p.slug AS plan, s.status, t.until, s.cancel_at, s.unpaid_since, s.policy,
    s.capacity, s.pause_collection,
    CASE WHEN s.status <> 'active' OR s.unpaid_since IS NOT NULL THEN {OWED} END AS owed
    FROM seats t JOIN subscriptions s ON s.id = t.subscription_id JOIN plans p ON p.id = s.plan_id
    WHERE t.user_id = :user AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)"""


def status_and_holdings(
    reader: Reader,
    email: str,
    now: datetime,
    *,
    subscription_id: int | None = None,
    plan_id: int | None = None,
    feature: str | None = None,
) -> tuple[str | None, list[Holding]]:
    """Return the user's status (None: unknown user) and the active seats at `now` (UTC) that match."""
    user = reader.row("SELECT id, status FROM users WHERE email_key = ?", (email_key(email),))
    if user is None:
        return None, []
    by_subscription = "" if subscription_id is None else " AND s.id = :subscription"
    by_plan = "" if plan_id is None else " AND p.id = :plan"
    rows = reader.rows(
        f"{_HOLDINGS}{by_subscription}{by_plan} ORDER BY s.name_key",
        {"user": user["id"], "now": format_time(now), "subscription": subscription_id, "plan": plan_id},
    )
    holdings = [_holding(row) for row in rows]
    return user["status"], [held for held in holdings if feature is None or feature in held.features]


def _holding(row: Row) -> Holding:
    # Only the needed fields of the policy are read: parsing all of it would import more modules at start-up.
    policy = json.loads(row["policy"]) if row["policy"] else {}
    return Holding(
        subscription=row["name"],
        plan=row["plan"],
        status=row["status"],
        until=_moment(row["until"]),
        cancel_at=_moment(row["cancel_at"]),
        unpaid_since=_moment(row["unpaid_since"]),
        grace_days=policy.get("grace_days", 0),
        sign_in_url=policy.get("sign_in_url"),
        features=tuple(policy.get("features", ())),
        capacity=row["capacity"],
        pause=read_pause(row["pause_collection"]),
        owed=read_owed(row["owed"]),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
