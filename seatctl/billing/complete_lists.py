"""Completes the lists inside of objects: Stripe sends only their first ten entries.

The line that paid the running period is the last one of an invoice: a sum over the first page would refund
nothing. Completing lists here means that no reader can forget to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from seatctl.billing.port import InvalidRequest, MissingInStripe, Read, StripeJson
from seatctl.errors import Code, JsonValue, TryAgain

_PAGE: Final = 100
_PREVIEW: Final = "upcoming"
"""How the id of a preview begins. Its lines get new ids at each reading, so no cursor is valid. If more than
the first lines are needed, another preview is read (`previews.py`)."""

_LISTED_AT: Final = {
    ("invoice", "payments"): ("/v1/invoice_payments", "invoice"),
    ("charge", "refunds"): ("/v1/refunds", "charge"),
}
"""Lists whose own `url` is not a documented endpoint, with the endpoint and the filter to use instead."""


class UnreadableList(TryAgain):
    """A list that Stripe cut short could not be read to its end; its beginning was not used."""

    kind = Code.STRIPE_LIST_UNREADABLE


def complete(answer: StripeJson, read: Callable[[Read], StripeJson]) -> None:
    """Read the rest of every list inside an object, or inside the entries of a page. Raises UnreadableList.

    The page itself is left as it is. `read` sends a call.
    """
    if answer.get("object") == "list":
        _complete_entries(answer, read)
    elif not str(answer.get("id")).startswith(_PREVIEW):
        for name, value in answer.items():
            if not isinstance(value, dict):
                continue
            if value.get("object") == "list" and value.get("has_more") is True:
                _read_on(value, _rest_of(answer, name, value), read)
            complete(value, read)


def _complete_entries(page: StripeJson, read: Callable[[Read], StripeJson]) -> None:
    entries = page.get("data")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            complete(entry, read)


def _read_on(cut: StripeJson, rest: Read, read: Callable[[Read], StripeJson]) -> None:
    """Add to a list the entries on its further pages."""
    entries = cut.get("data")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableList(f"the list at {rest.path} has no entries to continue from")
    more = True
    while more:
        try:
            page = read(Read(rest.path, {**rest.form, "limit": _PAGE, **_after(entries)}))
        except (MissingInStripe, InvalidRequest) as refused:
            # Passed on as it is, "no such object" would mean that the holder is gone.
            raise UnreadableList(f"the rest of a list cannot be read: {refused.message}") from refused
        added = page.get("data")
        if not isinstance(added, list) or (added and added[-1] in entries[-1:]):
            raise UnreadableList(f"the list at {rest.path} does not end")
        entries.extend(added)
        more = page.get("has_more") is True and bool(added)
    cut["has_more"] = False


def _after(entries: list[JsonValue]) -> dict[str, JsonValue]:
    """Return the cursor after the entries that were read; empty if there are none."""
    last = entries[-1] if entries else None
    return {"starting_after": last.get("id")} if isinstance(last, dict) else {}


def _rest_of(holder: StripeJson, name: str, cut: StripeJson) -> Read:
    """Return the call that reads the rest of a list. Raises UnreadableList."""
    known = _LISTED_AT.get((str(holder.get("object")), name))
    if known is not None:
        return Read(known[0], {known[1]: holder.get("id")})
    address = urlsplit(str(cut.get("url")))
    # Whatever the answer says, the key is sent only to the API's own address.
    if not address.path.startswith("/v1/") or address.scheme or address.netloc:
        raise UnreadableList(f"Stripe sent a part of {name} but no address for the rest")
    return Read(address.path, dict(parse_qsl(address.query)))
