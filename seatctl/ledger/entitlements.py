"""The query behind `check`: a user's status and active seats, by index, in two statements."""

from __future__ import annotations

from datetime import datetime

from seatctl.ledger.collection import OWED, read_owed, read_pause
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time
from seatctl.models.entitlement import Holding
from seatctl.rules.emails import email_key

# Owed invoices are read only if they can matter: most subscriptions are paid. Only the needed fields of the
# policy are read: parsing all of it would import more modules at start-up.
_HOLDINGS = f"""SELECT s.name AS subscription, p.slug AS plan, s.status, t.until, s.cancel_at, s.unpaid_since,
    coalesce(json_extract(s.policy, '$.grace_days'), 0) AS grace_days,
    coalesce(json_extract(s.policy, '$.features'), '[]') AS features,
    json_extract(s.policy, '$.sign_in_url') AS sign_in_url, s.capacity, s.pause_collection AS pause,
    CASE WHEN s.status <> 'active' OR s.unpaid_since IS NOT NULL THEN {OWED} END AS owed
    FROM seats t JOIN subscriptions s ON s.id = t.subscription_id JOIN plans p ON p.id = s.plan_id
    WHERE t.user_id = :user AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)"""

_holding = mapper(Holding, pause=read_pause, owed=read_owed)


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
