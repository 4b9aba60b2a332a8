"""Builds hints: commands made of words and quoted for a shell, one after the other. Pure.

In a hint a command is followed by the end, `, or`, `, then` or `;`, and anything said about it comes before
it and a colon. So it can be copied as it is, and a test finds it and runs it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_SANDBOX_PAGES: Final = "https://sandbox.invalid/"
"""The address of the sandbox's pages. It does not resolve, so that nobody mistakes one for Stripe's."""

AGAIN: Final = "run the same command again"


class Blank(StrEnum):
    """Words of a command that the reader has to fill in; all other words are typed as they are."""

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
    """Return `seatctl` and the words, each quoted for a shell."""
    from shlex import join

    return join(["seatctl", *map(str, words)])


def buy(plan: str, *paid: object) -> str:
    """Return the command that buys a new subscription to a plan; `paid` replaces the saved card."""
    way = paid or ("--payment-method", Blank.PAYMENT_METHOD)
    return command("subs", "buy", "--plan", plan, "--seats", Blank.SEATS, "--name", Blank.NAME, *way)


def either(*hints: str) -> str:
    """Join alternatives, the best one first."""
    return ", or ".join(hints)


def then(*hints: str) -> str:
    """Join steps that are done one after the other."""
    return ", then: ".join(hints)


def to(purpose: str, what: str) -> str:
    """Return a command after its purpose and a colon."""
    return f"{purpose}: {what}"


def page(url: str | None) -> str:
    """Return how to confirm a payment on Stripe's page of an invoice; in the sandbox a command does it."""
    if url is not None and url.startswith(_SANDBOX_PAGES):
        return then(command("sandbox", "authenticate", url), command("sync"))
    return then("open the page", command("sync"))


def checkout(url: str | None, session: str) -> str:
    """Return how to complete a Checkout page; in the sandbox a command plays the customer."""
    if url is not None and url.startswith(_SANDBOX_PAGES):
        return then(command("sandbox", "complete", session), command("sync"))
    return to("afterwards", command("sync"))


def ask(support: str | None, *, before: bool) -> str:
    """Return whom to ask for an exception from a policy; empty if it names no support contact."""
    if not support:
        return ""
    return f"; before that ask {support}" if before else f"; ask {support}"
