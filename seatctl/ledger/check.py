"""Whether a ledger is sound, for `ledger check`, `ledger backup` and `doctor`."""

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
    """(check, subject, detail) of everything that is wrong, as it is found."""
    wrong = False
    with ledger.reading() as reader:
        for problem in all_checks.problems(reader):
            wrong = True
            yield problem
    searched = None if wrong else ledger.engine.search_problem()
    if searched is not None:
        yield _SEARCH, "users_search", searched


def over_assigned(ledger: Ledger) -> list[str]:
    """Subscriptions in which more sit than are paid for: allowed (rule 3), but worth a word."""
    with ledger.reading() as reader:
        return [f"{row[0]}: {row[1]} sit in {row[2]} seats" for row in reader.rows(_OVER_ASSIGNED)]


def shared_addresses(ledger: Ledger) -> list[str]:
    """Users who shared a key by the rule of earlier versions, or share an address by the rule of this one."""
    with ledger.reading() as reader:
        same = [
            f"{email} is the address of two users; the later one is found as {handle!r}"
            for email, handle in email_keys.doubled(reader)
        ]
        return same + [
            f"an earlier version took {email} for {former}{_wrote(email, former)}"
            for email, former in email_keys.separated(reader)
        ]


def _wrote(email: str, former: str) -> str:
    """Whether the mails went to the other domain too: the letters before the @ were always as typed."""
    elsewhere = former.rpartition("@")[2] != email_key(email).rpartition("@")[2]
    return ", and sent the mails there" if elsewhere else ""


def check_names() -> tuple[str, ...]:
    """The names of all checks, in order."""
    return (*all_checks.check_names(), _SEARCH)
