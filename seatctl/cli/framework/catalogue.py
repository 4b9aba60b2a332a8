"""The static table of commands: what `seatctl --help` lists without importing any of it.

A test keeps it true to the modules. A command that is not built yet is not here.
"""

from __future__ import annotations

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """A group of commands, or one command at the top: its module in `seatctl.cli` and its line of help."""

    name: str
    help: str
    group: bool = True
    aliases: tuple[str, ...] = ()
    """Hidden other names: singulars, and the words of other vendors."""

    @property
    def module(self) -> str:
        """The module that holds `app`."""
        return f"seatctl.cli.{self.name}"


ENTRIES = (
    CommandEntry("init", "Set up a profile: configuration, ledger and sandbox.", group=False),
    CommandEntry("status", "Show what this profile holds and what needs attention.", group=False),
    CommandEntry("doctor", "Check the installation and say how to repair it.", group=False),
    CommandEntry("demo", "Show seatctl at work on a throw-away profile.", group=False),
    CommandEntry("check", "Say whether a person is entitled, and why.", group=False),
    CommandEntry("sync", "Bring the ledger and Stripe to agree.", group=False),
    CommandEntry("reconcile", "Compare seats paid for, in the ledger, and assigned.", group=False),
    CommandEntry("plans", "Define what is sold, at which price and under which policy.", aliases=("plan",)),
    CommandEntry("subs", "Buy and manage subscriptions.", aliases=("sub", "subscriptions", "subscription")),
    CommandEntry("users", "Manage the people who can sit in seats.", aliases=("user",)),
    CommandEntry(
        "seats",
        "Decide who sits where.",
        aliases=("seat", "licenses", "license", "licences", "licence", "slots", "slot", "spots", "spot"),
    ),
    CommandEntry("requests", "Ask for seats, and approve or deny.", aliases=("request",)),
    CommandEntry("invoices", "Look at invoices, pay and void them.", aliases=("invoice",)),
    CommandEntry("roles", "Say who may do what.", aliases=("role",)),
    CommandEntry("notify", "Send messages to people, and see what became of them."),
    CommandEntry("config", "Look at and change settings."),
    CommandEntry("batch", "Run many commands in one process.", group=False),
    CommandEntry("runs", "Look at what was done.", aliases=("run",)),
    CommandEntry("audit", "Read the audit log and verify it.", aliases=("audits",)),
    CommandEntry("ledger", "Look after the ledger file.", aliases=("ledgers",)),
    CommandEntry("sandbox", "Control the embedded Stripe sandbox."),
    CommandEntry("help", "Explain a topic: exit codes, formats, environment, …", group=False),
)


def names() -> dict[str, CommandEntry]:
    """Every name that is understood, aliases too, with its entry."""
    known = {entry.name: entry for entry in ENTRIES}
    known.update((alias, entry) for entry in ENTRIES for alias in entry.aliases)
    return known
