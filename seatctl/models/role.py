"""Roles and the actions they permit. The matrix itself is `rules/permissions.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Global, or for one subscription (`owner` always is)."""

    ADMIN = "admin"
    OWNER = "owner"
    ASSIGNOR = "assignor"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a change does, as far as permission is concerned."""

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
    """A role of an actor; `subscription_id` None is global."""

    actor: str
    role: Role
    subscription_id: int | None = None
