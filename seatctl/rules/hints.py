"""What hints are made of: commands built from words and quoted for a shell, one after the other. Pure.

A command stands at the end of a hint, or before `, or`, `, then` or `;`: what is said of it stands before it
and a colon. So it can be copied as it is, and a test finds it and runs it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_SANDBOX_PAGES: Final = "https://sandbox.invalid/"
"""Where the pages of the embedded sandbox are: nowhere, so that nobody takes one for Stripe's."""

AGAIN: Final = "run the same command again"


class Blank(StrEnum):
    """The words of a command that the reader has to fill in; every other word is typed as it stands."""

    ACTOR = "ACTOR"
    CODE = "CODE"
    DAYS = "DAYS"
    EMAIL = "EMAIL"
    EMAILS = "EMAIL..."
    FILE = "FILE"
    FOLDER = "FOLDER"
    NAME = "NAME"
    PAYMENT_METHOD = "ID"
    PLAN = "PLAN"
    PROFILE = "PROFILE"
    SEATS = "N"
    SUBSCRIPTION = "SUBSCRIPTION"


def command(*words: object) -> str:
    """`seatctl` and the words, each quoted so that a shell takes it as one."""
    from shlex import join

    return join(["seatctl", *map(str, words)])


def buy(plan: str, *paid: object) -> str:
    """The command that buys a subscription of its own on a plan; `paid` is how, unless by a saved card."""
    way = paid or ("--payment-method", Blank.PAYMENT_METHOD)
    return command("subs", "buy", "--plan", plan, "--seats", Blank.SEATS, "--name", Blank.NAME, *way)


def either(*hints: str) -> str:
    """Hints of which one is enough, the best one first."""
    return ", or ".join(hints)


def then(*hints: str) -> str:
    """What is done one after the other."""
    return ", then: ".join(hints)


def to(purpose: str, what: str) -> str:
    """A command with what it is for before it."""
    return f"{purpose}: {what}"


def page(url: str | None) -> str:
    """How somebody answers what Stripe's page of an invoice asks; in the sandbox no page can be opened."""
    if url is not None and url.startswith(_SANDBOX_PAGES):
        return then(command("sandbox", "authenticate", url), command("sync"))
    return then("open the page", command("sync"))


def checkout(url: str | None, session: str) -> str:
    """How somebody completes a page that sells; in the sandbox the customer is played by a command."""
    if url is not None and url.startswith(_SANDBOX_PAGES):
        return then(command("sandbox", "complete", session), command("sync"))
    return to("afterwards", command("sync"))


def ask(support: str | None, *, before: bool) -> str:
    """Whom to ask for what a policy leaves to the support of who sells it; empty if nobody is named."""
    if not support:
        return ""
    return f"; before that ask {support}" if before else f"; ask {support}"
