"""The query behind `check`: a user's status and active seats, by index, in one statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from seatctl.ledger.collection import OWED, read_owed, read_pause
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, optional_text, optional_time
from seatctl.models.entitlement import Holding
from seatctl.rules.emails import email_key

if TYPE_CHECKING:
    from seatctl.errors import SeatctlError
    from seatctl.rules.payment_states import Payments

# Owed invoices are read only if they can matter: most subscriptions are paid. Only the needed fields of the
# policy are read: parsing all of it would import more modules at start-up.
_HOLDING = f"""s.name AS subscription, p.slug AS plan, s.status, t.until, s.cancel_at, s.unpaid_since,
    coalesce(json_extract(s.policy, '$.grace_days'), '0') AS grace_days,
    coalesce(json_extract(s.policy, '$.features'), '[]') AS features,
    json_extract(s.policy, '$.sign_in_url') AS sign_in_url, s.capacity, s.pause_collection AS pause,
    CASE WHEN s.status <> 'active' OR s.unpaid_since IS NOT NULL THEN {OWED} END AS owed"""

_QUESTION = f"""SELECT u.id AS user_id, u.status AS user_status, w.id AS wanted_id, w.name AS wanted_name,
    x.id AS wanted_plan, (SELECT value FROM sync_state WHERE key = 'last_success') AS last_sync,
    s.id AS subscription_id, s.plan_id, {_HOLDING}
    FROM (SELECT 1 AS one) AS question LEFT JOIN users u ON u.email_key = :email
    LEFT JOIN (SELECT s.id, s.name FROM subscriptions s WHERE {{named}} ORDER BY s.id LIMIT 1) AS w ON TRUE
    LEFT JOIN (SELECT id FROM plans WHERE slug = :plan OR product_id = :plan OR price_id = :plan
        ORDER BY id LIMIT 1) AS x ON TRUE
    LEFT JOIN seats t ON t.user_id = u.id AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)
    LEFT JOIN subscriptions s ON s.id = t.subscription_id LEFT JOIN plans p ON p.id = s.plan_id
    ORDER BY s.name_key"""

# A requester may not read all that a Subscription has.
_PAYMENTS = f"""SELECT s.name, s.status, s.unpaid_since, s.pause_collection AS pause,
    coalesce(json_extract(s.policy, '$.grace_days'), '0') AS grace_days, {OWED} AS owed
    FROM subscriptions s WHERE s.id = :id"""

_holding = mapper(Holding, pause=read_pause, owed=read_owed, grace_days=int)


class EntitlementFacts(NamedTuple):
    """What the ledger knows about a person's entitlement."""

    user_id: int | None
    status: str | None
    """The user's status; None: unknown user."""
    holdings: list[Holding]
    """The active seats that match the question."""
    subscription_id: int | None
    subscription: str | None
    """The id and the name of the subscription that the question names."""
    last_sync: str | None
    """When the ledger last agreed with Stripe, in the written form."""


def facts(
    reader: Reader,
    email: str,
    now: datetime,
    *,
    subscription: str | None = None,
    plan: str | None = None,
    feature: str | None = None,
) -> EntitlementFacts:
    """Return the facts at `now` (UTC); `subscription` and `plan` are handles.

    Raises UnknownSubscription, UnknownPlan, and NotAllowed for a database role that may not ask about them.
    """
    named, params = _named(subscription)
    key = email_key(email)
    reader.engine.name_person(key)
    rows = list(
        reader.rows(
            _QUESTION.format(named=named),
            {"email": key, "now": format_time(now), "plan": plan, **params},
        )
    )
    first, rights = rows[0], reader.engine.rights
    if not (rights.reads_everything or rights.checks_anybody or rights.requester == key):
        raise _not_oneself(email)
    if subscription is not None and first["wanted_id"] is None:
        from seatctl.ledger.subscription_handles import unknown_error

        raise unknown_error(reader, subscription)
    if plan is not None and first["wanted_plan"] is None:
        from seatctl.ledger import plans

        raise plans.unknown_error(reader, plan)
    holdings = [_holding(row) for row in rows if _matches(row, subscription, plan)]
    return EntitlementFacts(
        first["user_id"],
        first["user_status"],
        [held for held in holdings if feature is None or feature in held.features],
        first["wanted_id"],
        first["wanted_name"],
        optional_text(optional_time(first["last_sync"])),
    )


def _not_oneself(email: str) -> SeatctlError:
    """Return the refusal for a requester who asks about another person, of whom they see nothing."""
    from seatctl.errors import Code, refuse

    return refuse(
        Code.NOT_ALLOWED,
        f"this database role may ask about its own person only, not about {email}",
        hint="seatctl check, with your own e-mail address",
        data={"email": email},
    )


def payments(reader: Reader, subscription_id: int) -> Payments:
    """Return what decides whether a subscription is paid."""
    row = reader.row(_PAYMENTS, {"id": subscription_id})
    if row is None:
        raise LookupError(f"there is no subscription with the id {subscription_id}")
    # Imported here: a yes needs none of it.
    from seatctl.rules.payment_states import Payments

    read = mapper(Payments, pause=read_pause, owed=read_owed, grace_days=int)
    return read(row)


def _named(subscription: str | None) -> tuple[str, dict[str, SqlValue]]:
    """Return the condition for the subscription that the question names, with its parameters."""
    if subscription is None:
        return "FALSE", {}
    from seatctl.ledger.subscription_handles import CONDITION, parameters

    return CONDITION, parameters(subscription)


def _matches(row: Row, subscription: str | None, plan: str | None) -> bool:
    """Return whether a row has a seat, in the subscription and of the plan that the question names."""
    return (
        row["subscription_id"] is not None
        and (subscription is None or row["subscription_id"] == row["wanted_id"])
        and (plan is None or row["plan_id"] == row["wanted_plan"])
    )
