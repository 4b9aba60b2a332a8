"""Stripe's limits of one subscription: no request exceeds them, and what they refuse has done nothing."""

from __future__ import annotations

from tests.simulator.books import Books, Obj
from tests.simulator.invariants import REFUSED_BY_A_LIMIT, Violation
from tests.simulator.world import Result

LIMITS = ((60, 10), (86400, 20))
"""Seconds, and how many invoices of one subscription are made in them."""


def _made(books: Books) -> dict[str, list[Obj]]:
    """The invoices of each subscription, but those that seatctl makes itself: they belong to the customer."""
    found: dict[str, list[Obj]] = {}
    for invoice in books.stripe["invoice"]:
        details = (invoice["parent"] or {}).get("subscription_details") or {}
        if details.get("subscription"):
            found.setdefault(details["subscription"], []).append(invoice)
    return found


def _within(invoices: list[Obj], seconds: int, now: int) -> int:
    return sum(now - seconds < invoice["created"] <= now for invoice in invoices)


def is_at_a_limit(books: Books) -> bool:
    """Whether a further invoice of some subscription would be refused just now."""
    return any(
        _within(invoices, seconds, books.now) >= most
        for invoices in _made(books).values()
        for seconds, most in LIMITS
    )


def check_limits(result: Result, before: Books, after: Books) -> None:
    """A command makes no more invoices than it may; refused for that, it leaves no change under way."""
    for subscription, invoices in _made(after).items():
        new = [invoice for invoice in invoices if invoice["id"] not in before.invoices]
        for seconds, most in LIMITS if new else ():
            if (count := _within(invoices, seconds, after.now)) > most:
                raise Violation("more invoices than Stripe makes", f"{subscription}: {count} in {seconds} s")
    told = result.error.get("code") == "rate_limited" or REFUSED_BY_A_LIMIT in result.out
    if result.hit or not told:
        return
    if not is_at_a_limit(after):
        raise Violation("asked to slow down without reason", result.err[-300:])
    begun = [one for one in after.open_operations if one.ref not in before.operations]
    if begun and before.money() == after.money():
        raise Violation("refused by a limit, and the operation stays open", str(begun[0]))
