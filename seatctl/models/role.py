"""Roles and actions. `rules/permissions.py` has the matrix of which role permits which action."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Roles are global or for one subscription; `owner` is always for one."""

    ADMIN = "admin"
    OWNER = "owner"
    ASSIGNOR = "assignor"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a change does, for the check of permissions."""

    MANAGE_PLANS = "manage plans"
    BUY = "buy subscriptions"
    ADD_SEATS = "add seats"
    MANAGE_SUBSCRIPTION = "manage the subscription"
    MANAGE_USERS = "manage users"
    ASSIGN = "assign and revoke seats"
    DECIDE_REQUESTS = "decide requests"
    REQUEST = "request a seat"
    CONFIGURE_APPROVAL = "configure automatic approval"
    GRANT_ROLES = "grant roles"
    NOTIFY = "send messages"
    SYNC = "sync with Stripe"
    MANAGE_LEDGER = "manage the ledger"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of an actor; `subscription_id` None: global."""

    actor: str
    role: Role
    subscription_id: int | None = None
