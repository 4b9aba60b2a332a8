"""Which action each command is, for the check of roles. Pure.

With the matrix in `permissions.py` this is the source of docs/roles.md. A test fails if a command is missing
here or asks for another action than it has here.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatctl.models.role import Action, Role
from seatctl.rules.permissions import permits

CHANGES: Mapping[str, Action] = {
    "plans add": Action.MANAGE_PLANS,
    "plans edit": Action.MANAGE_PLANS,
    "plans import": Action.MANAGE_PLANS,
    "plans archive": Action.MANAGE_PLANS,
    "subs buy": Action.BUY,
    "subs add-seats": Action.ADD_SEATS,
    "subs set-seats": Action.ADD_SEATS,
    "subs renew": Action.ADD_SEATS,
    "subs change-plan": Action.MANAGE_SUBSCRIPTION,
    "subs cancel": Action.MANAGE_SUBSCRIPTION,
    "subs resume": Action.MANAGE_SUBSCRIPTION,
    "subs rename": Action.MANAGE_SUBSCRIPTION,
    "subs transfer": Action.MANAGE_SUBSCRIPTION,
    "subs billing": Action.MANAGE_SUBSCRIPTION,
    "users add": Action.MANAGE_USERS,
    "users edit": Action.MANAGE_USERS,
    "users import": Action.MANAGE_USERS,
    "users suspend": Action.MANAGE_USERS,
    "users reactivate": Action.MANAGE_USERS,
    "users remove": Action.MANAGE_USERS,
    "seats assign": Action.ASSIGN,
    "seats revoke": Action.ASSIGN,
    "seats apply": Action.ASSIGN,
    "seats move": Action.ASSIGN,
    "seats swap": Action.ASSIGN,
    "seats reclaim": Action.ASSIGN,
    "requests create": Action.REQUEST,
    "requests approve": Action.DECIDE_REQUESTS,
    "requests deny": Action.DECIDE_REQUESTS,
    "requests cancel": Action.DECIDE_REQUESTS,
    "roles grant": Action.GRANT_ROLES,
    "roles revoke": Action.GRANT_ROLES,
    "notify send": Action.NOTIFY,
    "notify test": Action.NOTIFY,
    "config auto-approve": Action.CONFIGURE_APPROVAL,
    "invoices pay": Action.MANAGE_SUBSCRIPTION,
    "invoices send": Action.MANAGE_SUBSCRIPTION,
    "invoices void": Action.MANAGE_SUBSCRIPTION,
    "ledger adopt": Action.MANAGE_LEDGER,
    "runs undo": Action.BUY,
    "sync": Action.SYNC,
}
"""Commands that change the ledger or Stripe, with the action that a role has to permit."""

ONESELF = frozenset(("requests create", "requests cancel"))
"""Commands that everybody may use for themselves, without a role."""

BY_CODE = frozenset(("seats claim",))
"""Commands that anybody may use who has the activation code."""

OF_THE_MACHINE = frozenset(
    (
        *("init", "demo", "ledger restore", "config set", "config unset", "config use"),
        *(
            f"sandbox {verb}"
            for verb in ("reset", "advance", "fail", "complete", "authenticate", "retries", "serve")
        ),
    )
)
"""Commands that change files of this machine's user: the configuration, and a sandbox, which bills nobody."""

OF_ITS_LINES = frozenset(("batch", "runs resume"))
"""Commands that run other commands; each of those needs its own role."""

READS = frozenset(
    (
        *("status", "doctor", "check", "help", "audit log", "audit verify", "ledger path", "ledger check"),
        *("plans list", "plans show", "plans export", "subs list", "subs show", "users list", "users show"),
        *("seats list", "seats history", "requests list", "requests show", "invoices list", "invoices show"),
        *(
            "roles list",
            "notify list",
            "notify show",
            "runs list",
            "runs show",
            "runs failures",
            "sandbox status",
        ),
        *("invoices download", "ledger backup", "ledger export", "reconcile"),
        *("config show", "config get", "config path", "config profiles"),
    )
)
"""Commands for everybody who can read the ledger."""


def may_use(command: str, roles: set[Role]) -> bool:
    """Return whether these roles permit a command, globally or for the subscription in question."""
    action = CHANGES.get(command)
    return action is None or permits(action, roles)
