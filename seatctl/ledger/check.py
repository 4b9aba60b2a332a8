"""All checks of a ledger, for `ledger check`, `ledger backup` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seatctl.ledger.checks import all_checks
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.schema import email_keys
from seatctl.rules.emails import email_key

_OVER_ASSIGNED = """SELECT name, assigned, capacity FROM subscriptions WHERE assigned > capacity"""

_SEARCH: Final = "search_index"


def problems(ledger: Ledger) -> Iterator[all_checks.Problem]:
    """Yield (check, subject, detail) for each problem as it is found."""
    has_problems = False
    with ledger.reading() as reader:
        for problem in all_checks.problems(reader):
            has_problems = True
            yield problem
    search_problem = None if has_problems else ledger.engine.search_problem()
    if search_problem is not None:
        yield _SEARCH, "users_search", search_problem


def over_assigned(ledger: Ledger) -> list[str]:
    """Describe subscriptions with more people assigned than seats paid for.

    This is allowed, because Stripe may lower a quantity and nobody loses a seat by that, but it is worth a
    warning.
    """
    with ledger.reading() as reader:
        return [
            f"{row[0]}: {row[1]} people assigned to {row[2]} seats" for row in reader.rows(_OVER_ASSIGNED)
        ]


def shared_addresses(ledger: Ledger) -> list[str]:
    """Describe users whose addresses an earlier version confused, or who share an address by today's rule."""
    with ledger.reading() as reader:
        doubled = [
            f"{email} is the address of two users; to name the later one, type {handle!r}"
            for email, handle in email_keys.doubled(reader)
        ]
        return doubled + [
            f"an earlier version treated {email} as {former}{_sent_there(email, former)}"
            for email, former in email_keys.separated(reader)
        ]


def _sent_there(email: str, former: str) -> str:
    """Say whether messages went to another domain; the part before the @ was always kept as typed."""
    other_domain = former.rpartition("@")[2] != email_key(email).rpartition("@")[2]
    return " and sent its messages there" if other_domain else ""


def check_names() -> tuple[str, ...]:
    """Return the names of all checks, in order."""
    return (*all_checks.check_names(), _SEARCH)
