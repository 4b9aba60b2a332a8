"""docs/roles.md, made of the matrix: `python -m seatctl.cli.role_table` writes it, a test compares."""

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

Made from `seatctl/rules/permissions.py` and `command_roles.py` by `python -m seatctl.cli.role_table`; a test
runs every command below under every role and compares.

An actor is an e-mail address or `ci:NAME`. A role is granted for everything or for one subscription
(`seatctl roles grant ACTOR ROLE [--subscription SUB]`); the *owner* of a subscription is one of its
settings (`seatctl subs transfer`). The first actor of `seatctl init` is an admin, and the last admin stays.
Roles guard against mistakes: who can write the ledger's file can write anything in it.

An owner may do the following for the subscriptions that they own, everybody else for those that the role was
granted for.
"""


def text() -> str:
    """The whole page."""
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
        f"- Everybody, for themselves: {named(ONESELF)}.",
        f"- Whoever has the activation code: {named(BY_CODE)}.",
        f"- Everybody, since they only read: {named(READS)}.",
        f"- Whoever may use the commands in it: {named(OF_ITS_LINES)}.",
        f"- The user of this machine, since they change no ledger: {named(OF_THE_MACHINE)}.",
        "- Nobody who is a suspended user, whatever their roles.",
        "- `reconcile --fix` needs the role to sync with Stripe.",
        "- `--create-users`, where a command has it, needs the role to manage users too.",
        "- `requests create --priority` above 0 needs the role to decide requests, for oneself too.",
        "- `users edit --email` of who holds roles, which follow, needs the role to grant roles too.",
        "- `runs undo` of a purchase that waits needs what it needs; of anything else, what doing it needs.",
    ]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/roles.md").write_text(text(), encoding="utf-8")
