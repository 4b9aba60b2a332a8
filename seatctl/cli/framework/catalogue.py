"""The static table of commands, which `seatctl --help` lists without importing any of them.

A test compares it with the modules.
"""

from __future__ import annotations

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """A group of commands, or one command at the top: its module in `seatctl.cli` and its help line."""

    name: str
    help: str
    group: bool = True
    aliases: tuple[str, ...] = ()
    """Hidden other names: singulars, and other vendors' words."""

    @property
    def module(self) -> str:
        """The module with the variable `app`."""
        return f"seatctl.cli.{self.name}"


ENTRIES = (
    CommandEntry("init", "Set up a profile: configuration, ledger and sandbox.", group=False),
    CommandEntry("status", "Show the state of this profile and what needs attention.", group=False),
    CommandEntry("doctor", "Check the installation and say how to repair it.", group=False),
    CommandEntry("demo", "Show seatctl at work in a temporary profile.", group=False),
    CommandEntry("check", "Say whether a person is entitled, and why.", group=False),
    CommandEntry("sync", "Update the ledger from Stripe and finish interrupted operations.", group=False),
    CommandEntry("reconcile", "Compare the seats paid for, in the ledger, and assigned.", group=False),
    CommandEntry("plans", "Define what is sold, at which price and under which policy.", aliases=("plan",)),
    CommandEntry("subs", "Buy and manage subscriptions.", aliases=("sub", "subscriptions", "subscription")),
    CommandEntry("users", "Manage the people who can have seats.", aliases=("user",)),
    CommandEntry(
        "seats",
        "Decide who has a seat.",
        aliases=("seat", "licenses", "license", "licences", "licence", "slots", "slot", "spots", "spot"),
    ),
    CommandEntry("requests", "Ask for seats, and approve or deny.", aliases=("request",)),
    CommandEntry("invoices", "Show, pay and void invoices.", aliases=("invoice",)),
    CommandEntry("roles", "Decide who may do what.", aliases=("role",)),
    CommandEntry("notify", "Send messages to people, and see whether they were delivered."),
    CommandEntry("config", "Show and change settings."),
    CommandEntry("batch", "Run many commands in one process.", group=False),
    CommandEntry("runs", "Show what was done, undo it, or continue a batch.", aliases=("run",)),
    CommandEntry("audit", "Read the audit log and verify it.", aliases=("audits",)),
    CommandEntry("ledger", "Back up, check and move the ledger file.", aliases=("ledgers",)),
    CommandEntry("sandbox", "Control the embedded Stripe sandbox."),
    CommandEntry("help", "Explain a topic: exit codes, formats, environment, …", group=False),
)


def names() -> dict[str, CommandEntry]:
    """Return every known name, including aliases, with its entry."""
    known = {entry.name: entry for entry in ENTRIES}
    known.update((alias, entry) for entry in ENTRIES for alias in entry.aliases)
    return known
