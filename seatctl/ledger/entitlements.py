"""The query behind `check`, by index, in one statement: a user's status, active seats and open request."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from seatctl.ledger.collection import OWED, read_owed, read_pause
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, optional_text, optional_time
from seatctl.models.entitlement import Holding, OpenRequest
from seatctl.rules.emails import email_key

if TYPE_CHECKING:
    from seatctl.errors import SeatctlError
    from seatctl.rules.payment_states import Payments

# Owed invoices are read only if they can matter: most subscriptions are paid. Only the needed fields of the
# policy are read: parsing all of it would import more modules at start-up.
_PAYMENTS = f"""s.status, s.unpaid_since, s.pause_collection AS pause,
    coalesce(json_extract(s.policy, '$.grace_days'), '0') AS grace_days,
    CASE WHEN s.status <> 'active' OR s.unpaid_since IS NOT NULL THEN {OWED} END AS owed"""

# The statuses are written out: the modules that have them would be imported for nothing else.
IS_RUNNING = "status IN ('trialing', 'active', 'past_due')"
HAS_ENDED = "status IN ('incomplete_expired', 'canceled')"
IS_OPEN = "status IN ('pending', 'waitlisted')"

_FIRST_OPEN = f"""(SELECT o.number FROM requests o LEFT JOIN subscriptions s ON s.id = o.subscription_id
    WHERE o.user_id = u.id AND o.{IS_OPEN} AND (o.expires_at IS NULL OR o.expires_at > :now)
    AND (s.id IS NULL OR NOT s.{HAS_ENDED})
    AND (w.id IS NULL OR o.subscription_id IS NULL OR o.subscription_id = w.id) ORDER BY o.number LIMIT 1)"""

# What only a negative answer needs is part of the same query: on a server, a second one is a round trip.
_QUESTION = f"""SELECT u.id AS user_id, u.status AS user_status, x.id AS wanted_plan,
    w.id AS wanted_id, w.name AS wanted_name, w.status AS wanted_status,
    w.unpaid_since AS wanted_unpaid_since, w.pause AS wanted_pause, w.grace_days AS wanted_grace_days,
    w.owed AS wanted_owed, r.number AS request, r.status AS request_status, q.name AS requested,
    (SELECT CASE WHEN count(*) = 1 THEN min(two.name) END FROM
        (SELECT name FROM subscriptions WHERE {IS_RUNNING} ORDER BY id LIMIT 2) AS two) AS only_running,
    (SELECT value FROM sync_state WHERE key = 'last_success') AS last_sync,
    s.id AS subscription_id, s.plan_id, s.name AS subscription, p.slug AS plan, t.until, s.cancel_at,
    s.capacity, coalesce(json_extract(s.policy, '$.features'), '[]') AS features,
    json_extract(s.policy, '$.sign_in_url') AS sign_in_url, NULL AS trial,
    CASE WHEN s.status = 'trialing' THEN coalesce(json_extract(s.policy, '$.renewal'), 'automatic')
    END AS trial_renewal, {_PAYMENTS}
    FROM (SELECT 1 AS one) AS question LEFT JOIN users u ON u.email_key = :email
    LEFT JOIN (SELECT s.id, s.name, {_PAYMENTS} FROM subscriptions s WHERE {{named}}
        ORDER BY s.id LIMIT 1) AS w ON TRUE
    LEFT JOIN (SELECT id FROM plans WHERE slug = :plan OR product_id = :plan OR price_id = :plan
        ORDER BY id LIMIT 1) AS x ON TRUE
    LEFT JOIN requests r ON r.number = {_FIRST_OPEN} LEFT JOIN subscriptions q ON q.id = r.subscription_id
    LEFT JOIN seats t ON t.user_id = u.id AND t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)
    LEFT JOIN subscriptions s ON s.id = t.subscription_id LEFT JOIN plans p ON p.id = s.plan_id
    ORDER BY s.name_key"""

_holding = mapper(Holding, pause=read_pause, owed=read_owed, grace_days=int, trial=lambda _: None)


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
    payments: Payments | None
    """What decides whether that subscription is paid; None if it is active."""
    request: OpenRequest | None
    """The first open request for that subscription or for any, without its place on a waitlist."""
    request_waits: bool
    """Whether that request is on a waitlist."""
    only_running: str | None
    """The name of the only running subscription; None if there are several, or none."""


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
    sees_trials = rights.reads_everything
    matching = [row for row in rows if _matches(row, subscription, plan)]
    holdings = [_with_trial(reader, row) if sees_trials else _holding(row) for row in matching]
    return EntitlementFacts(
        first["user_id"],
        first["user_status"],
        [held for held in holdings if feature is None or feature in held.features],
        first["wanted_id"],
        first["wanted_name"],
        optional_text(optional_time(first["last_sync"])),
        None if first["wanted_status"] in {None, "active"} else _payments(first),
        None if first["request"] is None else OpenRequest(first["request"], None, first["requested"]),
        first["request_status"] == "waitlisted",
        first["only_running"],
    )


def _with_trial(reader: Reader, row: Row) -> Holding:
    """Return a holding with its trial, which is read by another query: few subscriptions have one."""
    if row["trial_renewal"] != "automatic":
        return _holding(row)
    from seatctl.ledger.trials import trial_and_schedule

    return _holding(row)._replace(trial=trial_and_schedule(reader, row["subscription_id"]).trial)


def _not_oneself(email: str) -> SeatctlError:
    """Return the error for a requester who asks about somebody else, whose rows the server hides."""
    from seatctl.errors import Code, refuse

    return refuse(
        Code.NOT_ALLOWED,
        f"this database role may ask only about its own user, not about {email}",
        hint="seatctl check, with your own e-mail address",
        data={"email": email},
    )


def _payments(row: Row) -> Payments:
    """Return what decides whether the subscription that the question names is paid."""
    # Imported here: an active subscription needs none of it.
    from seatctl.rules.payment_states import Payments

    return Payments(
        row["wanted_name"],
        row["wanted_status"],
        read_pause(row["wanted_pause"]),
        read_owed(row["wanted_owed"]),
        optional_time(row["wanted_unpaid_since"]),
        int(row["wanted_grace_days"]),
    )


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
