"""The static table of commands: what `seatctl --help` lists without importing any of it.

A test keeps it true to the modules. A command that is not built yet is not here.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
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
    Entry("init", "Set up a profile: configuration, ledger and sandbox.", group=False),
    Entry("status", "Show what this profile holds and what needs attention.", group=False),
    Entry("doctor", "Check the installation and say how to repair it.", group=False),
    Entry("demo", "Show seatctl at work on a throw-away profile.", group=False),
    Entry("check", "Say whether a person is entitled, and why.", group=False),
    Entry("sync", "Bring the ledger and Stripe to agree.", group=False),
    Entry("reconcile", "Compare seats paid for, in the ledger, and assigned.", group=False),
    Entry("plans", "Define what is sold, at which price and under which policy.", aliases=("plan",)),
    Entry("subs", "Buy and manage subscriptions.", aliases=("sub", "subscriptions", "subscription")),
    Entry("users", "Manage the people who can sit in seats.", aliases=("user",)),
    Entry(
        "seats",
        "Decide who sits where.",
        aliases=("seat", "licenses", "license", "licences", "licence", "slots", "slot", "spots", "spot"),
    ),
    Entry("requests", "Ask for seats, and approve or deny.", aliases=("request",)),
    Entry("invoices", "Look at invoices, pay and void them.", aliases=("invoice",)),
    Entry("roles", "Say who may do what.", aliases=("role",)),
    Entry("notify", "Send messages to people, and see what became of them."),
    Entry("config", "Look at and change settings."),
    Entry("batch", "Run many commands in one process.", group=False),
    Entry("runs", "Look at what was done.", aliases=("run",)),
    Entry("audit", "Read the audit log and verify it.", aliases=("audits",)),
    Entry("ledger", "Look after the ledger file.", aliases=("ledgers",)),
    Entry("sandbox", "Control the embedded Stripe sandbox."),
    Entry("help", "Explain a topic: exit codes, formats, environment, …", group=False),
)


def names() -> dict[str, Entry]:
    """Every name that is understood, aliases too, with its entry."""
    known = {entry.name: entry for entry in ENTRIES}
    known.update((alias, entry) for entry in ENTRIES for alias in entry.aliases)
    return known
