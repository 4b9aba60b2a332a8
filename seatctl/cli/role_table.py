"""Which action each command is, for the check of roles, and the page docs/roles.md.

`python -m seatctl.cli.role_table` writes the page from this table and the matrix in rules/permissions.py. A
test fails if a command is missing here, asks for another action, or differs from the page.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from seatctl.models.role import Action, Role
from seatctl.rules.permissions import MATRIX, permits

_COMMANDS_BY_ACTION = (
    (Action.MANAGE_PLANS, "plans add, plans edit, plans import, plans archive"),
    (Action.BUY, "subs buy"),
    (Action.ADD_SEATS, "subs add-seats, subs set-seats, subs renew"),
    (
        Action.MANAGE_SUBSCRIPTION,
        "subs change-plan, subs cancel, subs pause, subs resume, subs rename, subs transfer, subs billing",
    ),
    (
        Action.MANAGE_USERS,
        "users add, users edit, users import, users suspend, users reactivate, users remove",
    ),
    (Action.ASSIGN, "seats assign, seats revoke, seats apply, seats move, seats swap, seats reclaim"),
    (Action.REQUEST, "requests create"),
    (Action.DECIDE_REQUESTS, "requests approve, requests deny, requests cancel"),
    (Action.GRANT_ROLES, "roles grant, roles revoke"),
    (Action.NOTIFY, "notify send, notify test"),
    (Action.CONFIGURE_APPROVAL, "config auto-approve"),
    (Action.MANAGE_SUBSCRIPTION, "invoices pay, invoices send, invoices void"),
    (Action.MANAGE_LEDGER, "ledger adopt, ledger copy, ledger new-id"),
    (Action.BUY, "runs undo"),
    (Action.SYNC, "sync"),
)
CHANGES: Mapping[str, Action] = {
    command: action for action, commands in _COMMANDS_BY_ACTION for command in commands.split(", ")
}
"""Commands that change the ledger or Stripe, with the action that a role has to permit."""

ONESELF = frozenset(("requests create", "requests cancel"))
"""Commands that everybody may use for themselves, without a role."""

BY_CODE = frozenset(("seats claim",))
"""Commands that anybody may use who has the activation code."""

OF_THE_MACHINE = frozenset(
    (
        *("init", "demo", "ledger restore", "ledger migrate", "config set", "config unset", "config use"),
        *(
            f"sandbox {verb}"
            for verb in ("reset", "advance", "fail", "complete", "authenticate", "retries", "tax", "serve")
        ),
    )
)
"""Commands that change files of this machine's user: the configuration, and a sandbox, which bills nobody."""

OF_ITS_LINES = frozenset(("batch", "runs resume"))
"""Commands that run other commands; each of those needs its own role."""

READS = frozenset(
    (
        *("status", "doctor", "check", "help", "audit log", "audit verify", "ledger path", "ledger check"),
        "ledger grants",
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


ROLES = (Role.ADMIN, Role.OWNER, Role.ASSIGNOR, Role.VIEWER)

_HEAD = """\
# Roles

`python -m seatctl.cli.role_table` generates this page from its table of commands and
`seatctl/rules/permissions.py`. A test runs every command below with every role and compares.

An actor is an e-mail address or `ci:NAME`. A role is granted for everything or for one subscription
(`seatctl roles grant ACTOR ROLE [--subscription SUB]`). The *owner* of a subscription is one of its settings
(`seatctl subs transfer`). `seatctl init` makes its actor an admin, and the last admin cannot be removed.
Roles prevent mistakes, not attacks: whoever can write the ledger's file can write anything in it. On a
PostgreSQL server, database roles are enforced by the server: [shared-ledger.md](shared-ledger.md#roles).
Setting what the ledger stores (`seatctl help settings` marks it) needs the right to *manage the ledger*.

An owner has these rights for the subscriptions that they own, other roles for the subscriptions that they
were granted for.
"""


def text() -> str:
    """Return the whole page."""
    return "\n".join(
        [_HEAD, "## Actions", "", *_actions(), "", "## Commands", "", *_commands(), "", *_others(), ""]
    )


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _header(first: list[str]) -> list[str]:
    names = [*first, *ROLES]
    return [_row(names), _row(["---"] * len(names))]


def _actions() -> list[str]:
    return [
        *_header(["action"]),
        *(
            _row([action.value, *("yes" if role in MATRIX[action] else "" for role in ROLES)])
            for action in Action
        ),
    ]


def _commands() -> list[str]:
    return [
        *_header(["command", "action"]),
        *(
            _row(
                [f"`{command}`", action.value, *("yes" if may_use(command, {role}) else "" for role in ROLES)]
            )
            for command, action in CHANGES.items()
        ),
    ]


def _others() -> list[str]:
    def named(commands: frozenset[str]) -> str:
        return ", ".join(f"`{command}`" for command in sorted(commands))

    return [
        f"- Every actor, for themselves: {named(ONESELF)}.",
        f"- Anybody who has the activation code: {named(BY_CODE)}.",
        f"- Every actor, as these commands only read: {named(READS)}.",
        f"- Actors who may run each command of the batch: {named(OF_ITS_LINES)}.",
        f"- The user of the machine, as these commands do not change the ledger: {named(OF_THE_MACHINE)}.",
        "- Suspended users may use none of their roles.",
        "- `ledger copy --keep`, like `ledger backup`, needs no role.",
        "- `reconcile --fix` needs the role to sync with Stripe.",
        "- `--create-users` also needs the role to manage users.",
        "- `requests create --priority` above 0 needs the role to decide requests, even for oneself.",
        "- `users edit --email` also needs the role to grant roles if the user has roles, which move along.",
        "- `runs undo` needs the roles that the undone command needs.",
        (
            "- On a server, `users remove --erase` also needs the database role of an admin, and"
            " `ledger copy`, `ledger new-id` and `ledger migrate` the login that owns the ledger."
        ),
    ]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/roles.md").write_text(text(), encoding="utf-8")
