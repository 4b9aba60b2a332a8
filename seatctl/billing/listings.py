"""The lists and objects that a sync reads, as calls, and how a list is divided for parallel reading.

Objects are read as Stripe's JSON: building the SDK's objects takes four times as long as the fetch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from urllib.parse import quote

from seatctl.billing.port import Read
from seatctl.errors import JsonValue
from seatctl.models.stripe_objects import Kind, Span

PAGE: Final = 100
"""The most entries that Stripe puts on one page."""

BEGINNING: Final = 1293840000
"""Before Stripe's first customer (2011): nothing is older."""

_PATHS: Final = {
    Kind.PRODUCT: "/v1/products",
    Kind.PRICE: "/v1/prices",
    Kind.CUSTOMER: "/v1/customers",
    Kind.SUBSCRIPTION: "/v1/subscriptions",
    Kind.INVOICE: "/v1/invoices",
    Kind.REFUND: "/v1/refunds",
    Kind.DISPUTE: "/v1/disputes",
}

# Payment methods cannot be listed for a whole account, so the default one is expanded in its customer.
# What a price costs by tiers and in other currencies is only shown if it is asked for.
_EXPANDED: Final = {
    Kind.CUSTOMER: ("invoice_settings.default_payment_method",),
    Kind.INVOICE: ("payments",),
    Kind.PRICE: ("currency_options", "tiers"),
}


_WORTH_CUTTING: Final = 3
"""Pages, at the density of the last one: smaller parts would mean pages that are half empty."""

_MOST_PARTS: Final = 4
"""Parts of two pages or more: more of them would more often be empty, fewer would take more rounds."""

_FAR: Final = 64
"""Pages: a list is assumed not to go back further than twice as many, until it is known to."""


def page(kind: Kind, span: Span) -> Read:
    """One page of a part of a list, newest first."""
    form: dict[str, JsonValue] = {"limit": PAGE, "created": {"gte": span.first, "lte": span.last}}
    if kind is Kind.SUBSCRIPTION:
        form["status"] = "all"
    if kind in _EXPANDED:
        form["expand"] = [f"data.{name}" for name in _EXPANDED[kind]]
    if span.after is not None:
        form["starting_after"] = span.after
    return Read(_PATHS[kind], form)


def one(kind: Kind, identifier: str) -> Read:
    """One object, with the same expansions as in its list."""
    form: dict[str, JsonValue] = {"expand": [*_EXPANDED[kind]]} if kind in _EXPANDED else {}
    return Read(f"{_PATHS[kind]}/{quote(identifier, safe='')}", form)


def refunds_of_charge(charge: str) -> Read:
    """The refunds of one charge: an event may name only the charge."""
    return Read(_PATHS[Kind.REFUND], {"charge": charge})


def newest_events() -> Read:
    """A page of the latest events. Their times are Stripe's own, from which the next sync continues."""
    return Read("/v1/events", {"limit": PAGE})


def events(since: int, after: str | None) -> Read:
    """A page of the events created at or after `since` (unix seconds), newest first."""
    form: dict[str, JsonValue] = {"limit": PAGE, "created": {"gte": since}}
    if after is not None:
        form["starting_after"] = after
    return Read("/v1/events", form)


def rest(span: Span, created: Sequence[int], last_id: str) -> tuple[Span, ...]:
    """Return what is left of a part after a full page: the rest of its newest part, and the parts before it.

    `created` are the times of the page's objects. All parts are read in parallel and divided again, so that
    a list of n pages takes fewer than log n rounds. The newest part continues by cursor, which alone
    separates objects of the same second.
    """
    oldest = min(created)
    ends = [*_cuts(span.first, oldest, max(created)), span.first - 1]
    before = (Span(first + 1, last) for last, first in pairwise(ends))
    return (Span(ends[0] + 1, oldest, last_id), *before)


def _cuts(first: int, oldest: int, newest: int) -> list[int]:
    """Return where to divide the seconds from `first` to `oldest`, newest first; empty if it is not worth it.

    How far back a list goes is unknown at first. While its assumed end is far away, the cut is made where a
    fair number of pages would fit at the page's own density: most of fifteen years would be empty.
    """
    of_a_page = max(newest - oldest, 1)
    pages = (oldest - first) / of_a_page
    if pages < _WORTH_CUTTING:
        return []
    if pages > 2 * _FAR:
        return [oldest - _FAR * of_a_page]
    parts = max(2, min(_MOST_PARTS, round(pages / 2)))
    # Whole pages: if objects are spread evenly, only the last part ends in a page that is half empty.
    size = max(1, round(pages / parts)) * of_a_page
    return [end for end in (oldest - size * part for part in range(1, parts)) if end > first]
