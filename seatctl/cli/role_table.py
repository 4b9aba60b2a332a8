"""Generates docs/roles.md: `python -m seatctl.cli.role_table` writes the page, and a test compares it."""

from __future__ import annotations

import sys
from pathlib import Path

from seatctl.models.role import Action, Role
from seatctl.rules.command_roles import (
    BY_CODE,
    CHANGES,
    OF_ITS_LINES,
    OF_THE_MACHINE,
    ONESELF,
    READS,
    may_use,
)
from seatctl.rules.permissions import MATRIX

ROLES = (Role.ADMIN, Role.OWNER, Role.ASSIGNOR, Role.VIEWER)

_HEAD = """\
# Roles

`python -m seatctl.cli.role_table` generates this page from `seatctl/rules/permissions.py` and
`command_roles.py`. A test runs every command below with every role and compares.

An actor is an e-mail address or `ci:NAME`. A role is granted for everything or for one subscription
(`seatctl roles grant ACTOR ROLE [--subscription SUB]`). The *owner* of a subscription is one of its settings
(`seatctl subs transfer`). `seatctl init` makes its actor an admin, and the last admin cannot be removed.
Roles prevent mistakes, not attacks: whoever can write the ledger's file can write anything in it.

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
        "- `reconcile --fix` needs the role to sync with Stripe.",
        "- `--create-users` also needs the role to manage users.",
        "- `requests create --priority` above 0 needs the role to decide requests, even for oneself.",
        "- `users edit --email` also needs the role to grant roles if the user has roles, which move along.",
        "- `runs undo` needs the roles that the undone command needs.",
    ]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/roles.md").write_text(text(), encoding="utf-8")
